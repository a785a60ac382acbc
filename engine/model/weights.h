/* weights.h: the tensors of a model by what they are for, whoever named them. Internal to engine/.
 *
 * Binding a tower looks up every tensor that it needs and checks its shape; nothing is read. */
#ifndef CLIP_WEIGHTS_H
#define CLIP_WEIGHTS_H

#include "engine/model/config.h"
#include "engine/model/safetensors.h"

/* Numbers in the mapped file. */
typedef struct clip_view {
    const void *data; /* at any alignment */
    clip_type type;   /* f32, f16 or bf16 */
    int64_t count;
} clip_view;

typedef struct clip_block_weights {
    clip_view ln_1_gain, ln_1_bias;       /* [width] */
    clip_view qkv[3], qkv_bias[3];        /* [width][width], [width] */
    clip_view out, out_bias;              /* [width][width], [width] */
    clip_view ln_2_gain, ln_2_bias;       /* [width] */
    clip_view fc1, fc1_bias;              /* [mlp][width], [mlp] */
    clip_view fc2, fc2_bias;              /* [width][mlp], [width] */
} clip_block_weights;

/* A last projection: [dim][width] as Hugging Face keeps it, or [width][dim] when transposed; bias: [dim], or none (count 0). */
typedef struct clip_projection {
    clip_view w, bias;
    bool transposed;
} clip_projection;

typedef struct clip_text_weights {
    clip_view tokens;                     /* [vocab][width] */
    clip_view positions;                  /* [context][width] */
    clip_block_weights *blocks;           /* [layers] */
    clip_view ln_gain, ln_bias;           /* [width] */
    clip_projection projection;
} clip_text_weights;

/* With attention pooling the pool is one more block: its first norm is the tower's last, its query comes from `probe`. */
typedef struct clip_vit_weights {
    clip_view patches;                    /* [width][3][patch][patch] */
    clip_view positions;                  /* [1 + patches][width], the class token's first; pooled [patches][width] */
    clip_block_weights *blocks;           /* [layers], pooled [layers + 1] */
    clip_view class_embedding;            /* [width]; these are not there when pooled: */
    clip_view ln_pre_gain, ln_pre_bias, ln_post_gain, ln_post_bias; /* [width] */
    clip_projection projection;
    clip_view patch_bias, probe;          /* [width] each; only when pooled */
} clip_vit_weights;

/* Which tensors a file has. */
bool clip_weights_have_image(const clip_safetensors *s, const clip_config *c);
bool clip_weights_have_text(const clip_safetensors *s, const clip_config *c);

/* Each allocates `blocks`, which the caller frees, also after a failure. */
CLIP_MUST_USE clip_status clip_text_bind(const clip_safetensors *s, const clip_config *c, clip_text_weights *out,
                                         clip_error *err);
CLIP_MUST_USE clip_status clip_vit_bind(const clip_safetensors *s, const clip_config *c, clip_vit_weights *out,
                                        clip_error *err);

/* One tensor by its full name, whose shape must be these `dims` sizes. */
CLIP_MUST_USE clip_status clip_weights_take(const clip_safetensors *s, const char *name, int dims, const int64_t *size,
                                            clip_view *out, clip_error *err);

/* A single number, or `absent` when there is no such tensor. */
float clip_weights_scalar(const clip_safetensors *s, const char *name, float absent);

#endif
