/* conv_weights.h: a convolution as its file holds it, with the batch norm behind it. Internal to engine/. */
#ifndef CLIP_CONV_WEIGHTS_H
#define CLIP_CONV_WEIGHTS_H

#include "engine/math/dnn.h"
#include "engine/math/kernels.h"
#include "engine/model/weights.h"

/* A convolution without bias and the batch norm behind it, which is folded into it when it is packed. */
typedef struct clip_conv_weights {
    clip_view w;                      /* [out][in, or 1 when depthwise][kernel][kernel] */
    clip_view gain, bias, mean, var;  /* [out] */
    int in, out, kernel, stride;
    bool depthwise;
    clip_activation act;              /* behind the norm */
} clip_conv_weights;

/* c's sizes are set; finds prefix + conv + ".weight" and the four vectors of prefix + norm. */
CLIP_MUST_USE clip_status clip_conv_weights_take(const clip_safetensors *s, const char *prefix, const char *conv,
                                                 const char *norm, clip_conv_weights *c, clip_error *err);

/* Weights and norm as one, packed for `conv`; eps is the norm's. The file's pages of the weights are let go. */
CLIP_MUST_USE clip_status clip_conv_weights_pack(const clip_kernels *k, const clip_safetensors *s, const clip_conv_weights *c,
                                                 double eps, const clip_conv *conv, clip_packed **out, clip_error *err);

#endif
