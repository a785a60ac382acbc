/* resnet.c: CLIP's ResNets of any size (Radford et al. 2021, section 2.4; K. He et al., arXiv 1512.03385).
 *
 *     part        names below visual.                      shape
 *     stem        conv1 bn1, conv2 bn2, conv3 bn3          3x3 to width/2 with stride 2, 3x3 to width/2, 3x3 to width; 2x2 mean
 *     stage L     layerL.B.conv1 bn1 conv2 bn2 conv3 bn3   1x1 to p, 3x3, 1x1 to 4p; p is width, 2, 4 and 8 width
 *     shortcut    layerL.0.downsample.0 .1                 1x1 to 4p
 *     pooling     attnpool.positional_embedding, {q,k,v,c}_proj
 *
 * No convolution but the first has a stride: the first block of stages 2 to 4 takes 2x2 means before its last 1x1 and on its
 * shortcut. ReLU follows each norm but those of conv3 and the shortcut, and the sum of these two. This file finds the
 * tensors; resnet_tower.c runs them. */
#include "engine/model/resnet.h"

#include <stdio.h>
#include <stdlib.h>

#define STAGES 4

typedef struct net_binder {
    const clip_safetensors *s;
    clip_error *err;
    clip_status status;
} net_binder;

static void take_conv(net_binder *b, const char *prefix, const char *conv, const char *norm, clip_conv_weights c,
                      clip_conv_weights *out)
{
    *out = c;
    if (!b->status) b->status = clip_conv_weights_take(b->s, prefix, conv, norm, out, b->err);
}

static void take_stem(net_binder *b, int width, clip_conv_weights stem[3])
{
    const int channels[] = {3, width / 2, width / 2, width};
    for (int i = 0; i < 3; i++) {
        char conv[16], norm[16];
        snprintf(conv, sizeof conv, "conv%d", i + 1);
        snprintf(norm, sizeof norm, "bn%d", i + 1);
        take_conv(b, "visual.", conv, norm, (clip_conv_weights){.in = channels[i], .out = channels[i + 1], .kernel = 3,
                                                                .stride = i ? 1 : 2, .act = CLIP_ACT_RELU}, &stem[i]);
    }
}

static void take_block(net_binder *b, int stage, int index, int in, int planes, clip_resnet_block *k)
{
    char prefix[48];
    int out = 4 * planes;
    clip_activation relu = CLIP_ACT_RELU;
    snprintf(prefix, sizeof prefix, "visual.layer%d.%d.", stage + 1, index);
    k->halves = stage && !index;
    take_conv(b, prefix, "conv1", "bn1", (clip_conv_weights){.in = in, .out = planes, .kernel = 1, .stride = 1, .act = relu}, &k->conv1);
    take_conv(b, prefix, "conv2", "bn2", (clip_conv_weights){.in = planes, .out = planes, .kernel = 3, .stride = 1, .act = relu}, &k->conv2);
    take_conv(b, prefix, "conv3", "bn3", (clip_conv_weights){.in = planes, .out = out, .kernel = 1, .stride = 1, .act = relu}, &k->conv3);
    if (k->halves || in != out)
        take_conv(b, prefix, "downsample.0", "downsample.1", (clip_conv_weights){.in = in, .out = out, .kernel = 1, .stride = 1}, &k->shortcut);
}

static void take_linear(net_binder *b, const char *name, int64_t out, int64_t in, clip_view *w, clip_view *bias)
{
    char full[96];
    snprintf(full, sizeof full, "visual.attnpool.%s.weight", name);
    if (!b->status) b->status = clip_weights_take(b->s, full, 2, (int64_t[]){out, in}, w, b->err);
    snprintf(full, sizeof full, "visual.attnpool.%s.bias", name);
    if (!b->status) b->status = clip_weights_take(b->s, full, 1, &out, bias, b->err);
}

static void take_pooling(net_binder *b, const clip_config *c, clip_resnet_weights *w)
{
    int64_t features = clip_resnet_features(&c->image), side = clip_resnet_side(&c->image);
    if (!b->status)
        b->status = clip_weights_take(b->s, "visual.attnpool.positional_embedding", 2, (int64_t[]){1 + side * side, features},
                                      &w->positions, b->err);
    take_linear(b, "q_proj", features, features, &w->q, &w->q_bias);
    take_linear(b, "k_proj", features, features, &w->k, &w->k_bias);
    take_linear(b, "v_proj", features, features, &w->v, &w->v_bias);
    take_linear(b, "c_proj", c->dim, features, &w->c, &w->c_bias);
}

clip_status clip_resnet_bind(const clip_safetensors *s, const clip_config *c, clip_resnet_weights *out, clip_error *err)
{
    net_binder b = {s, err, CLIP_OK};
    const int *stages = c->image.stages;
    int width = c->image.stack.width, in = width;
    out->blocks = calloc((size_t)(stages[0] + stages[1] + stages[2] + stages[3]), sizeof *out->blocks);
    if (!out->blocks) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    take_stem(&b, width, out->stem);
    for (int stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < stages[stage]; i++, in = 4 * width << stage)
            take_block(&b, stage, i, in, width << stage, &out->blocks[out->count++]);
    take_pooling(&b, c, out);
    return b.status;
}
