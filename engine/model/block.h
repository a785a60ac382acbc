/* block.h: the small vectors of a stack of attention blocks, as f32. Internal to engine/.
 *
 * The matrices stay where they are, in the file or packed; gains and biases are a thousandth of them and are converted once. */
#ifndef CLIP_BLOCK_H
#define CLIP_BLOCK_H

#include "engine/math/arena.h"
#include "engine/math/kernels.h"
#include "engine/model/weights.h"

typedef struct clip_block_vectors {
    float *ln_1_gain, *ln_1_bias, *qkv_bias /* [3][width] */, *out_bias, *ln_2_gain, *ln_2_bias, *fc1_bias, *fc2_bias;
} clip_block_vectors;

void clip_block_vectors_take(clip_arena *a, const clip_stack_config *c, clip_block_vectors *out);
void clip_block_vectors_fill(const clip_kernels *k, const clip_block_weights *w, clip_block_vectors *out);

/* dst[0..v.count) = v */
void clip_view_read(const clip_kernels *k, clip_view v, float *dst);

#endif
