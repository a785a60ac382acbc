/* dnn_internal.h: what the files that include oneDNN's header share; versions 2 and 3 differ here and nowhere else.
 *
 * Version 3 made memory descriptors opaque and dropped the operation descriptors; clip_md hides the first. */
#ifndef CLIP_DNN_INTERNAL_H
#define CLIP_DNN_INTERNAL_H

#include "engine/math/dnn.h"
#include "engine/math/dnn_calls.h"
#include "engine/math/int16.h"
#include "engine/math/int8.h"

struct clip_dnn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

struct clip_packed {
    dnnl_memory_t weights, bias;
    void *weight_bytes, *bias_bytes;
    clip_int16_weights *narrow; /* nothing of the above when there is this, ... */
    clip_int8_weights *eight;   /* ... or this */
    clip_int8_outputs outputs;  /* of oneDNN's weights of 8-bit integers */
};

typedef struct clip_md {
    dnnl_memory_desc_t d; /* version 2: the struct itself; version 3: a handle, NULL when not made */
} clip_md;

#if DNNL_VERSION_MAJOR >= 3
#define CLIP_MD(m) ((m).d)
#else
#define CLIP_MD(m) (&(m).d)
#endif

dnnl_data_type_t clip_dnn_type(clip_type t);

/* strides NULL: any order that oneDNN likes. */
bool clip_md_make(clip_md *m, int dims, const dnnl_dim_t *size, clip_type type, const dnnl_dim_t *strides);
bool clip_md_make_tagged(clip_md *m, int dims, const dnnl_dim_t *size, clip_type type, dnnl_format_tag_t tag);
void clip_md_free(clip_md *m);
size_t clip_md_bytes(const clip_md *m);

/* A copy of what a primitive wants for one argument; empty when it wants none. */
bool clip_md_of(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index, clip_md *out);

/* A memory object without memory, and one with its own. `bytes` is freed by the caller with free(). */
bool clip_memory_bare(clip_dnn *d, const clip_md *md, dnnl_memory_t *out);
bool clip_memory_own(clip_dnn *d, const clip_md *md, dnnl_memory_t *out, void **bytes);

/* Post-operations in the order sum, activation; attributes with the caller's scratch memory. NULL when oneDNN refuses. */
dnnl_primitive_attr_t clip_dnn_attr(bool add, clip_activation act);

/* `stride`, `before` and `after` (zeros around the image) are for height and width. */
dnnl_status_t clip_dnn_describe_convolution(clip_dnn *d, const clip_md *x, const clip_md *w, const clip_md *b, const clip_md *y,
                                            const int stride[2], const int before[2], const int after[2],
                                            dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out);

/* from -> to, converting order and type. */
bool clip_dnn_reorder(clip_dnn *d, const clip_md *from, const void *src, const clip_md *to, dnnl_memory_t dst);

/* `plain` is how w lies in memory; the results are what the primitive wants. bias NULL: it wants none. */
clip_status clip_dnn_pack(clip_dnn *d, const clip_md *plain, const void *w, const clip_md *weights, const clip_md *bias,
                          const float *b, clip_packed **out, clip_error *err);

const char *clip_dnn_kernel(const_dnnl_primitive_desc_t pd);

/* Weights of our own kernels, of 16 and of 8 bits; most: as clip_int16_pack wants it. */
clip_status clip_dnn_pack_int16(const float *w, const float *b, int in, int out, int most, clip_packed **packed, clip_error *err);
clip_status clip_dnn_pack_int8(const float *w, const float *b, int in, int out, clip_packed **packed, clip_error *err);

#endif
