/* resample.h: the two inner loops of image resizing, bit-equal to Pillow's 8-bit resampling. Internal to engine/.
 *
 * Weights are signed fixed point with 22 fractional bits; a sum starts at one half, and the result is shifted and clipped
 * to 8 bits after each of the two passes. All sums are exact int32, so every implementation gives the same bytes. */
#ifndef CLIP_RESAMPLE_H
#define CLIP_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define CLIP_WEIGHT_BITS 22
#define CLIP_RESAMPLE_SLACK 16 /* readable bytes wanted beyond the end of every input row, writable beyond mid rows */

/* What each output of one axis takes from which inputs. */
typedef struct clip_taps {
    int count;        /* outputs */
    int stride;       /* weights held for each output: a multiple of 4, zero beyond `n` of them */
    int32_t *first;   /* [count] the first input */
    int32_t *n;       /* [count] number of inputs, 1..stride */
    int32_t *weight;  /* [count][stride] */
    int16_t *split;   /* [count][stride / 4][8]: of four weights the high parts, then the low: weight = high * 2048 + low */
} clip_taps;

typedef struct clip_resample_kernels {
    const char *name;
    /* One row of pixels to the `t->count` outputs of the horizontal axis. row: [width][3], out: [t->count][3]. */
    void (*horizontal)(const clip_taps *t, const uint8_t *row, uint8_t *out);
    /* Output `i` of the vertical axis: rows[0 .. t->n[i]) are its inputs, each `width` bytes; out: [width], where nothing
     * is written beyond the end. rows[] has room for one pointer more, which may be overwritten. */
    void (*vertical)(const clip_taps *t, int i, const uint8_t **rows, size_t width, uint8_t *out);
} clip_resample_kernels;

extern const clip_resample_kernels clip_resample_c; /* the reference */

/* The fastest that this CPU runs. */
const clip_resample_kernels *clip_resample_pick(void);

#endif
