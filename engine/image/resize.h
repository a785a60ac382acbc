/* resize.h: a stream of stored rows in, a turned, resized, cropped picture out. Internal to engine/image/.
 *
 *   frame    what is wanted, in terms of the turned photo: how large it is resized, which part of that is kept
 *   resizer  takes a decoder's rows top to bottom and writes the frame's pixels; holds a few rows, never the photo */
#ifndef CLIP_RESIZE_H
#define CLIP_RESIZE_H

#include "engine/image/image.h"
#include "engine/math/resample.h"

#define CLIP_MAX_SIDE 1000000 /* pixels: bounds the tables and the rows held, whatever max_pixels says */

typedef struct clip_frame {
    clip_resize_filter filter;
    int64_t resized_w, resized_h;
    int64_t x, y;     /* of the kept part in the resized picture; negative: a black margin */
    int out_w, out_h; /* the kept part */
} clip_frame;

/* width, height: the turned photo's. */
clip_frame clip_frame_of_spec(const clip_resize_spec *spec, int width, int height);
clip_frame clip_frame_to_fit(int max_side, int width, int height); /* whole, never enlarged; 0: as it is */

/* The rows that a decoder will deliver. */
typedef struct clip_stored {
    int width, height;      /* of the rows delivered */
    double true_w, true_h;  /* what the photo really spans of them: less by a fraction of a pixel after scaled decoding */
    int orientation;        /* EXIF 1..8: how they must be turned */
} clip_stored;

static inline bool clip_orientation_swaps(int orientation) { return orientation >= 5 && orientation <= 8; }

typedef struct clip_resizer clip_resizer;

/* out: [out_h][out_w][3], which must outlive the resizer. NULL when there is no memory. */
clip_resizer *clip_resizer_create(const clip_frame *f, const clip_stored *s, const clip_resample_kernels *k, uint8_t *out);
void clip_resizer_destroy(clip_resizer *r);

uint8_t *clip_resizer_row(clip_resizer *r); /* where the next stored row goes: [width][3] */
void clip_resizer_push(clip_resizer *r);    /* it is there. Rows beyond the last are ignored */
bool clip_resizer_complete(const clip_resizer *r); /* every pixel of the frame has been written */

#endif
