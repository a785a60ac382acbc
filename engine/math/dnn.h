/* dnn.h: oneDNN behind a narrow door: matrix products and convolutions with packed weights. Internal to engine/.
 *
 *   clip_dnn      oneDNN's engine and stream; one for each encoder
 *   clip_matmul   a product of one shape, compiled for this CPU; serves every layer of that shape
 *   clip_conv     a convolution of one shape, the same way
 *   clip_packed   one layer's weights in the order that its product or convolution wants
 *
 * Creating allocates and may take milliseconds; running allocates nothing of ours: scratch memory is the caller's. Everything
 * belongs to one thread at a time. Destroy in any order but clip_dnn last; all accept NULL. */
#ifndef CLIP_DNN_H
#define CLIP_DNN_H

#include "engine/error.h"
#include "engine/math/types.h"

typedef struct clip_dnn clip_dnn;
typedef struct clip_matmul clip_matmul;
typedef struct clip_conv clip_conv;
typedef struct clip_packed clip_packed;

/* Makes oneDNN work on the calling thread alone, and says how many threads it would have used, to put back afterwards. A team
 * that meets after every layer waits for its slowest member and burns the core that others could use; so this engine gives
 * whole images to its own threads (pool.h) instead. To be called before creating and before running. */
int clip_dnn_use_threads(int n);

/* Whether products of bf16 are fast here. */
bool clip_dnn_has_bf16(void);

/* Whether oneDNN's products of 8-bit integers are: without, our own are faster. */
bool clip_dnn_has_vnni(void);

CLIP_MUST_USE clip_status clip_dnn_create(clip_dnn **out, clip_error *err);
void clip_dnn_destroy(clip_dnn *d);

/* y = act(x Wᵀ + b), or act(y + x Wᵀ + b) when `add`. */
typedef struct clip_matmul_spec {
    int rows, in, out;
    size_t ldx, ldy;          /* elements from row to row; 0: dense */
    clip_type type;           /* of x and the weights: f32 or bf16, sums being f32; or the matrices of int16.h (S16) or int8.h (U8) */
    clip_type y_type;
    clip_activation act;
    bool add;
    int most;                 /* with 16-bit integers: the largest size of a number of x; 0: CLIP_INT16_MOST */
    bool as_vnni;             /* with 8-bit integers: by oneDNN, without VNNI too */
} clip_matmul_spec;

/* 16-bit integers are our own kernel's: x is dense, y is f32, and the activation none, ReLU or ReLU6. So are 8-bit ones without VNNI;
 * with, they are oneDNN's; in both cases x is dense, y is f32, and there is no activation.
 * `like`: NULL, or a product of another number of rows whose packed weights this one shall use too. */
CLIP_MUST_USE clip_status clip_matmul_create(clip_dnn *d, const clip_matmul_spec *spec, const clip_matmul *like,
                                             clip_matmul **out, clip_error *err);
void clip_matmul_destroy(clip_matmul *m);
size_t clip_matmul_scratch(const clip_matmul *m);      /* bytes */
const char *clip_matmul_kernel(const clip_matmul *m);  /* the name of the implementation: oneDNN's, or ours */

/* w: [out][in], b: [out] or NULL for none; neither is kept. */
CLIP_MUST_USE clip_status clip_packed_create(const clip_matmul *m, const float *w, const float *b, clip_packed **out,
                                             clip_error *err);
void clip_packed_destroy(clip_packed *p);

/* scratch: clip_matmul_scratch() bytes, 64-byte aligned; may be NULL when that is 0. */
CLIP_MUST_USE bool clip_matmul_run(clip_matmul *m, const clip_packed *w, const void *x, void *y, void *scratch);


/* y = act(conv(x) + b), or act(y + conv(x) + b) when `add`. Square images, channels last: x: [images][side][side][in]. */
typedef struct clip_conv_spec {
    int images, side, in, out, kernel, stride;
    int pad_before, pad_after;  /* zeros at the top and left, at the bottom and right */
    bool depthwise;             /* in == out, each channel by itself */
    clip_type type;             /* of x and the weights: f32 or bf16, sums being f32; or, of a 1x1 convolution, int16.h's */
    clip_type y_type;
    clip_activation act;
    bool add;
} clip_conv_spec;

/* Pixels in a row of y. */
int clip_conv_side(const clip_conv_spec *spec);

CLIP_MUST_USE clip_status clip_conv_create(clip_dnn *d, const clip_conv_spec *spec, const clip_conv *like, clip_conv **out,
                                           clip_error *err);
void clip_conv_destroy(clip_conv *c);
size_t clip_conv_scratch(const clip_conv *c);
const char *clip_conv_kernel(const clip_conv *c);

/* w: [out][in, or 1 when depthwise][kernel][kernel], b: [out]; neither is kept. */
CLIP_MUST_USE clip_status clip_conv_pack(const clip_conv *c, const float *w, const float *b, clip_packed **out,
                                         clip_error *err);
CLIP_MUST_USE bool clip_conv_run(clip_conv *c, const clip_packed *w, const void *x, void *y, void *scratch);

#endif
