/* block.c: see block.h. */
#include "engine/model/block.h"

void clip_view_read(const clip_kernels *k, clip_view v, float *dst)
{
    if (v.count) k->to_f32(v.data, v.type, dst, (size_t)v.count);
}

void clip_block_vectors_take(clip_arena *a, const clip_stack_config *c, clip_block_vectors *out)
{
    size_t w = (size_t)c->width;
    out->ln_1_gain = clip_arena_floats(a, w);
    out->ln_1_bias = clip_arena_floats(a, w);
    out->qkv_bias = clip_arena_floats(a, 3 * w);
    out->out_bias = clip_arena_floats(a, w);
    out->ln_2_gain = clip_arena_floats(a, w);
    out->ln_2_bias = clip_arena_floats(a, w);
    out->fc1_bias = clip_arena_floats(a, (size_t)c->mlp);
    out->fc2_bias = clip_arena_floats(a, w);
}

void clip_block_vectors_fill(const clip_kernels *k, const clip_block_weights *w, clip_block_vectors *out)
{
    float *at = out->qkv_bias;
    for (int i = 0; i < 3; at += w->qkv_bias[i++].count) clip_view_read(k, w->qkv_bias[i], at);
    clip_view_read(k, w->ln_1_gain, out->ln_1_gain);
    clip_view_read(k, w->ln_1_bias, out->ln_1_bias);
    clip_view_read(k, w->out_bias, out->out_bias);
    clip_view_read(k, w->ln_2_gain, out->ln_2_gain);
    clip_view_read(k, w->ln_2_bias, out->ln_2_bias);
    clip_view_read(k, w->fc1_bias, out->fc1_bias);
    clip_view_read(k, w->fc2_bias, out->fc2_bias);
}
