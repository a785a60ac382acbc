/* efficientnet.h: the tensors of timm's tf_efficientnet_lite0..4. Internal to engine/. */
#ifndef CLIP_EFFICIENTNET_H
#define CLIP_EFFICIENTNET_H

#include "engine/model/conv_weights.h"

/* Channels behind the last convolution, in every variant. */
#define CLIP_EFFICIENTNET_FEATURES 1280

typedef struct clip_efficientnet_block {
    clip_conv_weights expand;         /* 1x1; absent (out 0) in stage 0 */
    clip_conv_weights depthwise;
    clip_conv_weights shrink;         /* 1x1 */
    bool skip;
} clip_efficientnet_block;

typedef struct clip_efficientnet_weights {
    clip_conv_weights stem, head;
    clip_efficientnet_block *blocks;
    int count;
    clip_view fc1, fc1_bias, fc2, fc2_bias; /* projection: fc1 alone when linear; the mlp's pair; a bias of count 0: none */
} clip_efficientnet_weights;

/* Allocates `blocks`, which the caller frees, also after a failure. */
CLIP_MUST_USE clip_status clip_efficientnet_bind(const clip_safetensors *s, const clip_config *c,
                                                 clip_efficientnet_weights *out, clip_error *err);

#endif
