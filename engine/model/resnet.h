/* resnet.h: the tensors of CLIP's ResNets. Internal to engine/. */
#ifndef CLIP_RESNET_H
#define CLIP_RESNET_H

#include "engine/model/conv_weights.h"

typedef struct clip_resnet_block {
    clip_conv_weights conv1, conv2, conv3; /* 1x1, 3x3, 1x1 to four times the width */
    clip_conv_weights shortcut;            /* 1x1; absent (out 0) where the block's input is added as it is */
    bool halves;                           /* 2x2 means before conv3 and the shortcut */
} clip_resnet_block;

typedef struct clip_resnet_weights {
    clip_conv_weights stem[3];
    clip_resnet_block *blocks;
    int count;
    clip_view positions;                   /* [1 + side side][features] */
    clip_view q, q_bias, k, k_bias, v, v_bias; /* [features][features], [features] */
    clip_view c, c_bias;                   /* [dim][features], [dim] */
} clip_resnet_weights;

/* Pixels in a row of the last features, and their channels. */
static inline int clip_resnet_side(const clip_image_config *c) { return c->size / 32; }
static inline int clip_resnet_features(const clip_image_config *c) { return 32 * c->stack.width; }

/* Allocates `blocks`, which the caller frees, also after a failure. */
CLIP_MUST_USE clip_status clip_resnet_bind(const clip_safetensors *s, const clip_config *c, clip_resnet_weights *out,
                                           clip_error *err);

#endif
