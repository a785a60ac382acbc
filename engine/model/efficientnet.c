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
 * ReLU6 follows each norm but that of a block's last 1x1. A block adds its input when its shape allows. Convolutions of
 * stride 2 pad as TensorFlow does: what is odd goes to the bottom and right. Batch norms (eps 1e-3) are folded into the
 * weights. One buffer x holds every block's input and output: a block reads x only before it writes it. */
#include "engine/model/efficientnet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/arena.h"
#include "engine/math/dnn.h"
#include "engine/math/layers.h"
#include "engine/model/block.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

#define STAGES 7
#define STEM_CHANNELS 32
#define HEAD_CHANNELS 1280
#define NORM_EPS 1e-3

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

/* c's sizes are set; finds prefix + conv + ".weight" and the four vectors of prefix + norm. */
static void take_conv(conv_binder *b, const char *prefix, const char *conv, const char *norm, clip_conv_weights *c)
{
    char full[192], bn[128];
    if (b->status) return;
    snprintf(full, sizeof full, "%s%s.weight", prefix, conv);
    snprintf(bn, sizeof bn, "%s%s", prefix, norm);
    b->status = clip_weights_take(b->s, full, 4, (int64_t[]){c->out, c->depthwise ? 1 : c->in, c->kernel, c->kernel}, &c->w,
                                  b->err);
    take_vector(b, bn, ".weight", c->out, &c->gain);
    take_vector(b, bn, ".bias", c->out, &c->bias);
    take_vector(b, bn, ".running_mean", c->out, &c->mean);
    take_vector(b, bn, ".running_var", c->out, &c->var);
}

static void take_block(conv_binder *b, int stage, int index, int in, int out, clip_efficientnet_block *k)
{
    char prefix[64];
    int stride = index ? 1 : stage_stride[stage], wide = stage ? in * EXPANSION : in;
    snprintf(prefix, sizeof prefix, "visual.trunk.blocks.%d.%d.", stage, index);
    k->depthwise = (clip_conv_weights){.in = wide, .out = wide, .kernel = stage_kernel[stage], .stride = stride,
                                       .depthwise = true, .relu6 = true};
    k->shrink = (clip_conv_weights){.in = wide, .out = out, .kernel = 1, .stride = 1};
    k->skip = stride == 1 && in == out;
    if (stage) {
        k->expand = (clip_conv_weights){.in = in, .out = wide, .kernel = 1, .stride = 1, .relu6 = true};
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
        take_linear(b, "visual.head.proj", dim, HEAD_CHANNELS, c->image.head_bias, &w->fc1, &w->fc1_bias);
    if (c->image.head == CLIP_HEAD_MLP) {
        take_linear(b, "visual.head.mlp.fc1", 2 * dim, HEAD_CHANNELS, true, &w->fc1, &w->fc1_bias);
        take_linear(b, "visual.head.mlp.fc2", dim, 2 * dim, c->image.head_bias, &w->fc2, &w->fc2_bias);
    }
    if (c->image.head == CLIP_HEAD_NONE && dim != HEAD_CHANNELS && !b->status)
        b->status = clip_fail(b->err, CLIP_E_FORMAT, "%s: without a projection this tower's vectors have %d numbers, not %d",
                              clip_safetensors_path(b->s), HEAD_CHANNELS, dim);
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
    out->stem = (clip_conv_weights){.in = 3, .out = in, .kernel = 3, .stride = 2, .relu6 = true};
    take_conv(&b, "visual.trunk.", "conv_stem", "bn1", &out->stem);
    for (int stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < depth[stage]; i++, in = width[stage])
            take_block(&b, stage, i, in, width[stage], &out->blocks[out->count++]);
    out->head = (clip_conv_weights){.in = in, .out = HEAD_CHANNELS, .kernel = 1, .stride = 1, .relu6 = true};
    take_conv(&b, "visual.trunk.", "conv_head", "bn2", &out->head);
    take_head(&b, c, out);
    return b.status;
}

/* ---- the tower --------------------------------------------------------------------------------------------------- */

typedef struct conv_layer {
    const clip_conv_weights *w;
    clip_conv *conv[2];        /* for the batch, and for one image */
    clip_packed *packed;
    int side;                  /* of what comes out */
} conv_layer;

typedef struct net_block {
    conv_layer expand, depthwise, shrink;
} net_block;

typedef struct efficientnet {
    const clip_model *model;
    const clip_kernels *k;
    clip_tower_options options;
    clip_dnn *dnn;
    int images[2];             /* the batch, and 1 */
    conv_layer stem, head;
    net_block *blocks;
    clip_matmul *fc1[2], *fc2[2];
    clip_packed *fc1_packed, *fc2_packed;
    void *memory;
    float *pixels;             /* [n][size][size][3] */
    float *x;                  /* [n][side][side][width]: input and output of every block */
    float *wide;               /* [n][side][side][6 width]; at last the head's */
    float *deep;               /* [n][side][side][6 width] behind the depthwise convolution */
    float *mean, *hidden;      /* [n][1280], [n][2 dim] */
    void *scratch;
    size_t most_x, most_wide, most_deep, most_scratch;
} efficientnet;

static void free_layer(conv_layer *l)
{
    clip_conv_destroy(l->conv[0]);
    clip_conv_destroy(l->conv[1]);
    clip_packed_destroy(l->packed);
}

static void net_destroy(clip_image_tower *tower)
{
    efficientnet *t = (efficientnet *)tower;
    if (!t) return;
    for (int i = 0; t->blocks && i < t->model->efficientnet.count; i++) {
        free_layer(&t->blocks[i].expand);
        free_layer(&t->blocks[i].depthwise);
        free_layer(&t->blocks[i].shrink);
    }
    free_layer(&t->stem);
    free_layer(&t->head);
    for (int p = 0; p < 2; p++) {
        clip_matmul_destroy(t->fc1[p]);
        clip_matmul_destroy(t->fc2[p]);
    }
    clip_packed_destroy(t->fc1_packed);
    clip_packed_destroy(t->fc2_packed);
    clip_dnn_destroy(t->dnn);
    free(t->blocks);
    free(t->memory);
    free(t);
}

static void grow(size_t *most, size_t n)
{
    if (n > *most) *most = n;
}

/* TensorFlow's SAME, which timm keeps for stride 2; stride 1 pads k/2 on all sides, which is the same. */
static void set_padding(clip_conv_spec *s)
{
    int total = ((s->side + s->stride - 1) / s->stride - 1) * s->stride + s->kernel - s->side;
    if (total < 0) total = 0;
    s->pad_before = total / 2;
    s->pad_after = total - total / 2;
}

/* Weights and norm as one: w' = w gain / sqrt(var + eps), b' = bias - mean gain / sqrt(var + eps). */
static clip_status pack_conv(efficientnet *t, conv_layer *l, clip_error *err)
{
    const clip_conv_weights *c = l->w;
    size_t out = (size_t)c->out, each = (size_t)c->w.count / out;
    float *space = clip_aligned_alloc(((size_t)c->w.count + 4 * out) * sizeof *space);
    if (!space) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the weights of %s", t->model->dir);
    float *w = space, *gain = w + c->w.count, *bias = gain + out, *mean = bias + out, *var = mean + out;
    clip_view_read(t->k, c->w, w);
    clip_view_read(t->k, c->gain, gain);
    clip_view_read(t->k, c->bias, bias);
    clip_view_read(t->k, c->mean, mean);
    clip_view_read(t->k, c->var, var);
    for (size_t o = 0; o < out; o++) {
        double scale = gain[o] / sqrt(var[o] + NORM_EPS);
        bias[o] = (float)(bias[o] - mean[o] * scale);
        for (size_t i = 0; i < each; i++) w[o * each + i] = (float)(w[o * each + i] * scale);
    }
    clip_status s = clip_conv_pack(l->conv[0], w, bias, &l->packed, err);
    free(space);
    return s;
}

static clip_status make_layer(efficientnet *t, const clip_conv_weights *w, int side, bool add, conv_layer *l, clip_error *err)
{
    clip_status s = CLIP_OK;
    l->w = w;
    for (int p = 0; p < (t->options.batch > 1 ? 2 : 1) && !s; p++) {
        clip_conv_spec spec = {.images = t->images[p], .side = side, .in = w->in, .out = w->out, .kernel = w->kernel,
                               .stride = w->stride, .depthwise = w->depthwise, .add = add,
                               .act = w->relu6 ? CLIP_ACT_RELU6 : CLIP_ACT_NONE};
        set_padding(&spec);
        s = clip_conv_create(t->dnn, &spec, p ? l->conv[0] : NULL, &l->conv[p], err);
        if (s) break;
        l->side = clip_conv_side(&spec);
        grow(&t->most_scratch, clip_conv_scratch(l->conv[p]));
    }
    return s ? s : pack_conv(t, l, err);
}

static size_t layer_size(const efficientnet *t, const conv_layer *l)
{
    return (size_t)t->options.batch * (size_t)l->side * (size_t)l->side * (size_t)l->w->out;
}

static clip_status make_block(efficientnet *t, const clip_efficientnet_block *w, net_block *b, int *side, clip_error *err)
{
    clip_status s = CLIP_OK;
    if (w->expand.out) {
        s = make_layer(t, &w->expand, *side, false, &b->expand, err);
        if (!s) grow(&t->most_wide, layer_size(t, &b->expand));
    }
    if (!s) s = make_layer(t, &w->depthwise, *side, false, &b->depthwise, err);
    if (!s) s = make_layer(t, &w->shrink, b->depthwise.side, w->skip, &b->shrink, err);
    if (s) return s;
    grow(&t->most_deep, layer_size(t, &b->depthwise));
    grow(&t->most_x, layer_size(t, &b->shrink));
    *side = b->shrink.side;
    return CLIP_OK;
}

static clip_status make_linear(efficientnet *t, clip_view w, clip_view bias, int in, int out, clip_activation act,
                               clip_matmul *m[2], clip_packed **packed, clip_error *err)
{
    clip_status s = CLIP_OK;
    for (int p = 0; p < (t->options.batch > 1 ? 2 : 1) && !s; p++) {
        s = clip_matmul_create(t->dnn, &(clip_matmul_spec){.rows = t->images[p], .in = in, .out = out, .act = act},
                               p ? m[0] : NULL, &m[p], err);
        if (!s) grow(&t->most_scratch, clip_matmul_scratch(m[p]));
    }
    if (s) return s;
    float *space = clip_aligned_alloc(((size_t)w.count + (size_t)out) * sizeof *space), *b = space + w.count;
    if (!space) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the weights of %s", t->model->dir);
    clip_view_read(t->k, w, space);
    if (bias.count) clip_view_read(t->k, bias, b);
    s = clip_packed_create(m[0], space, bias.count ? b : NULL, packed, err);
    free(space);
    return s;
}

static clip_status make_projection(efficientnet *t, clip_error *err)
{
    const clip_efficientnet_weights *w = &t->model->efficientnet;
    int dim = t->model->config.dim;
    if (t->model->config.image.head == CLIP_HEAD_NONE) return CLIP_OK;
    if (t->model->config.image.head == CLIP_HEAD_LINEAR)
        return make_linear(t, w->fc1, w->fc1_bias, HEAD_CHANNELS, dim, CLIP_ACT_NONE, t->fc1, &t->fc1_packed, err);
    clip_status s = make_linear(t, w->fc1, w->fc1_bias, HEAD_CHANNELS, 2 * dim, CLIP_ACT_GELU, t->fc1, &t->fc1_packed, err);
    return s ? s : make_linear(t, w->fc2, w->fc2_bias, 2 * dim, dim, CLIP_ACT_NONE, t->fc2, &t->fc2_packed, err);
}

static clip_status make_layers(efficientnet *t, clip_error *err)
{
    const clip_efficientnet_weights *w = &t->model->efficientnet;
    clip_status s = make_layer(t, &w->stem, t->model->config.image.size, false, &t->stem, err);
    if (s) return s;
    int side = t->stem.side;
    grow(&t->most_x, layer_size(t, &t->stem));
    for (int i = 0; i < w->count && !s; i++) s = make_block(t, &w->blocks[i], &t->blocks[i], &side, err);
    if (!s) s = make_layer(t, &w->head, side, false, &t->head, err);
    if (s) return s;
    grow(&t->most_wide, layer_size(t, &t->head));
    return make_projection(t, err);
}

static void lay_out(efficientnet *t, clip_arena *a)
{
    size_t n = (size_t)t->options.batch, size = (size_t)t->model->config.image.size;
    t->pixels = clip_arena_floats(a, n * size * size * 3);
    t->x = clip_arena_floats(a, t->most_x);
    t->wide = clip_arena_floats(a, t->most_wide);
    t->deep = clip_arena_floats(a, t->most_deep);
    t->mean = clip_arena_floats(a, n * HEAD_CHANNELS);
    t->hidden = clip_arena_floats(a, n * 2 * (size_t)t->model->config.dim);
    t->scratch = clip_arena_take(a, t->most_scratch, 1);
}

static clip_status net_create(const clip_model *m, const clip_tower_options *o, clip_image_tower **out, clip_error *err)
{
    efficientnet *t = calloc(1, sizeof *t);
    if (!t) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    t->model = m;
    t->options = *o;
    t->k = clip_kernels_best();
    t->images[0] = o->batch;
    t->images[1] = 1;
    t->blocks = calloc((size_t)m->efficientnet.count, sizeof *t->blocks);
    clip_status s = t->blocks ? clip_dnn_create(&t->dnn, err) : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    if (!s) s = make_layers(t, err);
    if (!s) {
        clip_arena a = {0};
        lay_out(t, &a);
        if (a.used != SIZE_MAX) t->memory = clip_aligned_alloc(a.used);
        if (!t->memory) s = clip_fail(err, CLIP_E_MEMORY, "out of memory for the image tower of %s", m->dir);
    }
    if (s) {
        net_destroy((clip_image_tower *)t);
        return s;
    }
    lay_out(t, &(clip_arena){t->memory, 0});
    *out = (clip_image_tower *)t;
    return CLIP_OK;
}

static void tap(const efficientnet *t, const char *name, const float *x, const conv_layer *l, int n)
{
    if (t->options.tap)
        t->options.tap(t->options.tap_context, name, x, (size_t)n * (size_t)l->side * (size_t)l->side, (size_t)l->w->out);
}

static bool run_block(efficientnet *t, net_block *b, int p)
{
    const float *in = t->x;
    if (b->expand.packed) {
        if (!clip_conv_run(b->expand.conv[p], b->expand.packed, t->x, t->wide, t->scratch)) return false;
        in = t->wide;
    }
    if (!clip_conv_run(b->depthwise.conv[p], b->depthwise.packed, in, t->deep, t->scratch)) return false;
    if (!clip_conv_run(b->shrink.conv[p], b->shrink.packed, t->deep, t->x, t->scratch)) return false;
    tap(t, "block", t->x, &b->shrink, t->images[p]);
    return true;
}

static bool run_projection(efficientnet *t, int p, float *out)
{
    if (!t->fc1[p]) {
        memcpy(out, t->mean, (size_t)t->images[p] * HEAD_CHANNELS * sizeof *out);
        return true;
    }
    if (!t->fc2[p]) return clip_matmul_run(t->fc1[p], t->fc1_packed, t->mean, out, t->scratch);
    return clip_matmul_run(t->fc1[p], t->fc1_packed, t->mean, t->hidden, t->scratch) &&
           clip_matmul_run(t->fc2[p], t->fc2_packed, t->hidden, out, t->scratch);
}

static bool run_plan(efficientnet *t, int p, const uint8_t *images, float *out)
{
    const clip_image_config *c = &t->model->config.image;
    int n = t->images[p];
    float scale[3], shift[3];
    for (int i = 0; i < 3; i++) {
        scale[i] = 1 / (255 * c->std[i]);
        shift[i] = -c->mean[i] / c->std[i];
    }
    clip_layer_pixels(images, (size_t)n * (size_t)c->size * (size_t)c->size, scale, shift, t->pixels);
    if (!clip_conv_run(t->stem.conv[p], t->stem.packed, t->pixels, t->x, t->scratch)) return false;
    tap(t, "embedding", t->x, &t->stem, n);
    for (int i = 0; i < t->model->efficientnet.count; i++)
        if (!run_block(t, &t->blocks[i], p)) return false;
    if (!clip_conv_run(t->head.conv[p], t->head.packed, t->x, t->wide, t->scratch)) return false;
    tap(t, "head", t->wide, &t->head, n);
    clip_layer_mean(t->wide, n, t->head.side * t->head.side, HEAD_CHANNELS, t->mean);
    return run_projection(t, p, out);
}

static bool net_run(clip_image_tower *tower, const uint8_t *images, int n, float *out)
{
    efficientnet *t = (efficientnet *)tower;
    size_t size = (size_t)t->model->config.image.size, dim = (size_t)t->model->config.dim;
    if (n == t->images[0]) return run_plan(t, 0, images, out);
    for (int i = 0; i < n; i++)
        if (!run_plan(t, 1, images + (size_t)i * size * size * 3, out + (size_t)i * dim)) return false;
    return true;
}

const clip_image_tower_kind clip_efficientnet_tower = {net_create, net_run, net_destroy};
