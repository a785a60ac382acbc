/* efficientnet.c: EfficientNet-Lite 0 to 4 as timm's tf_efficientnet_lite towers in open_clip (M. Tan and Q. Le,
 * arXiv 1905.11946; the Lite variants have ReLU6 and no squeeze-and-excitation).
 *
 *     part         names below visual.trunk.                            shape
 *     stem         conv_stem bn1                                        3x3 stride 2
 *     stage 0      blocks.0.B.  conv_dw bn1, conv_pw bn2                depthwise, then 1x1
 *     stages 1..6  blocks.S.B.  conv_pw bn1, conv_dw bn2, conv_pwl bn3  1x1 to six times the width, depthwise, 1x1
 *     head         conv_head bn2                                        1x1 to 1280, then the mean over the image
 *     projection   visual.head.proj, or visual.head.mlp.fc1 and fc2     linear, or GELU between two
 *
 * ReLU6 follows each norm but that of a block's last 1x1. A block adds its input when its shape allows. This file finds the
 * tensors; efficientnet_tower.c runs them. */
#include "engine/model/efficientnet.h"

#include <stdio.h>
#include <stdlib.h>

#define STAGES 7
#define STEM_CHANNELS 32

static const struct {
    int width[STAGES], depth[STAGES];
} variants[] = {
    {{16, 24, 40, 80, 112, 192, 320}, {1, 2, 2, 3, 3, 4, 1}},
    {{16, 24, 40, 80, 112, 192, 320}, {1, 3, 3, 4, 4, 5, 1}},
    {{16, 24, 48, 88, 120, 208, 352}, {1, 3, 3, 4, 4, 5, 1}},
    {{24, 32, 48, 96, 136, 232, 384}, {1, 3, 3, 5, 5, 6, 1}},
    {{24, 32, 56, 112, 160, 272, 448}, {1, 4, 4, 6, 6, 8, 1}},
};
static const int stage_kernel[STAGES] = {3, 3, 5, 3, 5, 5, 3}, stage_stride[STAGES] = {1, 2, 2, 2, 1, 2, 1};
#define EXPANSION 6

/* ---- binding ---------------------------------------------------------------------------------------------------- */

typedef struct conv_binder {
    const clip_safetensors *s;
    clip_error *err;
    clip_status status;
} conv_binder;

static void take_vector(conv_binder *b, const char *prefix, const char *name, int n, clip_view *out)
{
    char full[192];
    int64_t size = n;
    if (b->status) return;
    snprintf(full, sizeof full, "%s%s", prefix, name);
    b->status = clip_weights_take(b->s, full, 1, &size, out, b->err);
}

static void take_conv(conv_binder *b, const char *prefix, const char *conv, const char *norm, clip_conv_weights *c)
{
    if (!b->status) b->status = clip_conv_weights_take(b->s, prefix, conv, norm, c, b->err);
}

static void take_block(conv_binder *b, int stage, int index, int in, int out, clip_efficientnet_block *k)
{
    char prefix[64];
    int stride = index ? 1 : stage_stride[stage], wide = stage ? in * EXPANSION : in;
    snprintf(prefix, sizeof prefix, "visual.trunk.blocks.%d.%d.", stage, index);
    k->depthwise = (clip_conv_weights){.in = wide, .out = wide, .kernel = stage_kernel[stage], .stride = stride,
                                       .depthwise = true, .act = CLIP_ACT_RELU6};
    k->shrink = (clip_conv_weights){.in = wide, .out = out, .kernel = 1, .stride = 1};
    k->skip = stride == 1 && in == out;
    if (stage) {
        k->expand = (clip_conv_weights){.in = in, .out = wide, .kernel = 1, .stride = 1, .act = CLIP_ACT_RELU6};
        take_conv(b, prefix, "conv_pw", "bn1", &k->expand);
    }
    take_conv(b, prefix, "conv_dw", stage ? "bn2" : "bn1", &k->depthwise);
    take_conv(b, prefix, stage ? "conv_pwl" : "conv_pw", stage ? "bn3" : "bn2", &k->shrink);
}

static void take_linear(conv_binder *b, const char *name, int out, int in, bool bias, clip_view *w, clip_view *v)
{
    char full[192];
    if (b->status) return;
    snprintf(full, sizeof full, "%s.weight", name);
    b->status = clip_weights_take(b->s, full, 2, (int64_t[]){out, in}, w, b->err);
    if (bias) take_vector(b, name, ".bias", out, v);
}

static void take_head(conv_binder *b, const clip_config *c, clip_efficientnet_weights *w)
{
    int dim = c->dim;
    if (c->image.head == CLIP_HEAD_LINEAR)
        take_linear(b, "visual.head.proj", dim, CLIP_EFFICIENTNET_FEATURES, c->image.head_bias, &w->fc1, &w->fc1_bias);
    if (c->image.head == CLIP_HEAD_MLP) {
        take_linear(b, "visual.head.mlp.fc1", 2 * dim, CLIP_EFFICIENTNET_FEATURES, true, &w->fc1, &w->fc1_bias);
        take_linear(b, "visual.head.mlp.fc2", dim, 2 * dim, c->image.head_bias, &w->fc2, &w->fc2_bias);
    }
    if (c->image.head == CLIP_HEAD_NONE && dim != CLIP_EFFICIENTNET_FEATURES && !b->status)
        b->status = clip_fail(b->err, CLIP_E_FORMAT, "%s: without a projection this tower's vectors have %d numbers, not %d",
                              clip_safetensors_path(b->s), CLIP_EFFICIENTNET_FEATURES, dim);
}

clip_status clip_efficientnet_bind(const clip_safetensors *s, const clip_config *c, clip_efficientnet_weights *out,
                                   clip_error *err)
{
    const int *width = variants[c->image.variant].width, *depth = variants[c->image.variant].depth;
    conv_binder b = {s, err, CLIP_OK};
    int in = STEM_CHANNELS, count = 0;
    for (int i = 0; i < STAGES; i++) count += depth[i];
    out->blocks = calloc((size_t)count, sizeof *out->blocks);
    if (!out->blocks) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    out->stem = (clip_conv_weights){.in = 3, .out = in, .kernel = 3, .stride = 2, .act = CLIP_ACT_RELU6};
    take_conv(&b, "visual.trunk.", "conv_stem", "bn1", &out->stem);
    for (int stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < depth[stage]; i++, in = width[stage])
            take_block(&b, stage, i, in, width[stage], &out->blocks[out->count++]);
    out->head = (clip_conv_weights){.in = in, .out = CLIP_EFFICIENTNET_FEATURES, .kernel = 1, .stride = 1, .act = CLIP_ACT_RELU6};
    take_conv(&b, "visual.trunk.", "conv_head", "bn2", &out->head);
    take_head(&b, c, out);
    return b.status;
}
