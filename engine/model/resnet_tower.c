/* resnet_tower.c: runs CLIP's ResNets. See resnet.c for what they consist of.
 *
 * The network is a list of convolutions, 2x2 means and copies, each from one buffer to another. A block reads x and leaves its result
 * in x, or, where it has a shortcut, in the other of two buffers that then change places:
 *
 *     shortcut     x (halved into a) -> y           only where the shape changes
 *     conv1        x -> a
 *     conv2        a -> b
 *     conv3        b (halved into a) -> x or y, added to what is there, then ReLU
 *
 * Batch norms (eps 1e-5) are folded into the weights; ReLU and sums ride on the convolutions. Images go through the
 * convolutions one at a time, because a batch's activations would not stay in the caches. The attention pooling takes the
 * pass together: its four matrices are a quarter of an RN50's weights, and one image would read them for itself. It has a
 * single query, the mean, so only keys and values are computed for the other tokens.
 *
 * With CLIP_BF16 every convolution but the first takes bf16 and sums in f32; x and y, which carry the sums from block to block,
 * stay f32 and are narrowed to bf16 for the convolutions that read them; the pooling stays f32. */
#include <math.h>
#include <stdlib.h>

#include "engine/math/arena.h"
#include "engine/math/dnn.h"
#include "engine/math/layers.h"
#include "engine/model/block.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

#define NORM_EPS 1e-5

enum { PIXELS = 0, X, Y, NARROW /* x or y in bf16 */, A, B, BUFFERS };

typedef enum net_kind { CONVOLVE = 0, HALVE, COPY } net_kind;

typedef struct net_layer {
    net_kind kind;
    const clip_conv_weights *w; /* of a convolution */
    clip_conv_spec spec;        /* the others have its sizes and types, too */
    int from, to;               /* buffers */
    const char *name;           /* for the tap; NULL inside a block */
    clip_packed *packed;
} net_layer;

/* The products of the pooling over so many images. */
typedef struct net_plan {
    clip_matmul *q, *kv, *c;
} net_plan;

/* What one thread needs for itself. */
typedef struct net_worker {
    clip_dnn *dnn;
    clip_conv **convs;          /* [layers]; NULL for what is no convolution */
    net_plan plans[2];          /* the batch, and one image */
    void *memory, *scratch;
    float *buffers[BUFFERS];    /* [side][side][channels] */
    float *tokens;              /* [batch][1 + side side][features] */
    float *q, *kv, *pooled;     /* [batch][features], [batch][1 + side side][2 features], [batch][features] */
    float *mha;
} net_worker;

typedef struct net {
    const clip_model *model;
    const clip_kernels *k;
    clip_tower_options options;
    int side, tokens, features;
    clip_type type;             /* of what goes into all convolutions but the first */
    net_layer *layers;
    int count, last;            /* last: the buffer that the features end up in */
    net_worker *workers;
    clip_packed *q, *kv, *c;
    float *positions;           /* [tokens][features] */
} net;

static void worker_finish(net_worker *w, int layers)
{
    for (int i = 0; w->convs && i < layers; i++) clip_conv_destroy(w->convs[i]);
    for (int p = 0; p < 2; p++) {
        clip_matmul_destroy(w->plans[p].q);
        clip_matmul_destroy(w->plans[p].kv);
        clip_matmul_destroy(w->plans[p].c);
    }
    clip_dnn_destroy(w->dnn);
    free(w->convs);
    free(w->memory);
}

static void net_destroy(clip_image_tower *tower)
{
    net *t = (net *)tower;
    if (!t) return;
    for (int i = 0; t->workers && i < t->options.workers; i++) worker_finish(&t->workers[i], t->count);
    for (int i = 0; t->layers && i < t->count; i++) clip_packed_destroy(t->layers[i].packed);
    clip_packed_destroy(t->q);
    clip_packed_destroy(t->kv);
    clip_packed_destroy(t->c);
    free(t->layers);
    free(t->workers);
    free(t->positions);
    free(t);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

/* Each appends a layer and returns the side of what comes out of it. */
static int append_conv(net *t, const clip_conv_weights *w, int side, int from, int to, clip_type type, clip_type y_type)
{
    net_layer *l = &t->layers[t->count++];
    *l = (net_layer){.kind = CONVOLVE, .w = w, .from = from, .to = to};
    l->spec = (clip_conv_spec){.images = 1, .side = side, .in = w->in, .out = w->out, .kernel = w->kernel, .stride = w->stride,
                               .pad_before = w->kernel / 2, .pad_after = w->kernel / 2, .act = w->act, .type = type,
                               .y_type = y_type};
    return clip_conv_side(&l->spec);
}

/* HALVE or COPY, from f32. */
static int append_pass(net *t, net_kind kind, int side, int channels, int from, int to, clip_type y_type)
{
    int k = kind == HALVE ? 2 : 1;
    clip_conv_spec spec = {.side = side, .in = channels, .out = channels, .kernel = k, .stride = k, .y_type = y_type};
    t->layers[t->count++] = (net_layer){.kind = kind, .spec = spec, .from = from, .to = to};
    return side / k;
}

/* The buffer with x in the convolutions' type. */
static int narrowed(net *t, int side, int channels, int x)
{
    if (t->type == CLIP_T_F32) return x;
    append_pass(t, COPY, side, channels, x, NARROW, t->type);
    return NARROW;
}

/* *x: the buffer of the block's input, then of its output. */
static int append_block(net *t, const clip_resnet_block *b, int side, int *x)
{
    int small = b->halves ? side / 2 : side, to = *x, from = narrowed(t, side, b->conv1.in, *x);
    clip_type type = t->type, f32 = CLIP_T_F32;
    if (b->shortcut.out) {
        to = *x == X ? Y : X;
        if (b->halves) append_pass(t, HALVE, side, b->shortcut.in, *x, A, type);
        append_conv(t, &b->shortcut, small, b->halves ? A : from, to, type, f32);
    }
    append_conv(t, &b->conv1, side, from, A, type, type);
    append_conv(t, &b->conv2, side, A, B, type, b->halves ? f32 : type);
    if (b->halves) append_pass(t, HALVE, side, b->conv2.out, B, A, type);
    append_conv(t, &b->conv3, small, b->halves ? A : B, to, type, f32);
    t->layers[t->count - 1].spec.add = true;
    t->layers[t->count - 1].name = "block";
    *x = to;
    return small;
}

#define STEM_LAYERS 5
#define BLOCK_LAYERS 7

static void list_layers(net *t)
{
    const clip_resnet_weights *w = &t->model->resnet;
    clip_type type = t->type, f32 = CLIP_T_F32;
    int side = append_conv(t, &w->stem[0], t->model->config.image.size, PIXELS, X, f32, f32), x = X;
    append_conv(t, &w->stem[1], side, narrowed(t, side, w->stem[0].out, X), B, type, type);
    append_conv(t, &w->stem[2], side, B, A, type, f32);
    side = append_pass(t, HALVE, side, w->stem[2].out, A, X, f32);
    t->layers[t->count - 1].name = "embedding";
    for (int i = 0; i < w->count; i++) side = append_block(t, &w->blocks[i], side, &x);
    t->last = x;
}

/* ---- making ------------------------------------------------------------------------------------------------------- */

/* Views one above the other as one matrix, biases the same way. */
static clip_status pack_linear(net *t, const clip_matmul *m, const clip_view *w, const clip_view *bias, int n,
                               clip_packed **packed, clip_error *err)
{
    size_t count = 0, outs = 0;
    for (int i = 0; i < n; i++) count += (size_t)w[i].count, outs += (size_t)bias[i].count;
    float *space = clip_aligned_alloc((count + outs) * sizeof *space), *at = space, *b = space + count;
    if (!space) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the weights of %s", t->model->dir);
    for (int i = 0; i < n; at += w[i].count, b += bias[i].count, i++) {
        clip_view_read(t->k, w[i], at);
        clip_view_read(t->k, bias[i], b);
        clip_safetensors_release(t->model->file, w[i].data, (size_t)w[i].count * clip_type_size(w[i].type));
    }
    clip_status s = clip_packed_create(m, space, space + count, packed, err);
    free(space);
    return s;
}

static clip_status pack_all(net *t, clip_error *err)
{
    const clip_resnet_weights *w = &t->model->resnet;
    const net_worker *first = &t->workers[0];
    const clip_view kv[] = {w->k, w->v}, kv_bias[] = {w->k_bias, w->v_bias};
    clip_status s = CLIP_OK;
    for (int i = 0; i < t->count && !s; i++)
        if (t->layers[i].w)
            s = clip_conv_weights_pack(t->k, t->model->file, t->layers[i].w, NORM_EPS, first->convs[i], &t->layers[i].packed, err);
    if (!s) s = pack_linear(t, first->plans[0].q, &w->q, &w->q_bias, 1, &t->q, err);
    if (!s) s = pack_linear(t, first->plans[0].kv, kv, kv_bias, 2, &t->kv, err);
    if (!s) s = pack_linear(t, first->plans[0].c, &w->c, &w->c_bias, 1, &t->c, err);
    if (s) return s;
    t->positions = clip_aligned_alloc((size_t)w->positions.count * sizeof *t->positions);
    if (!t->positions) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the weights of %s", t->model->dir);
    clip_view_read(t->k, w->positions, t->positions);
    return CLIP_OK;
}

/* Plan 1 and the other workers take the first one's packed weights. */
static clip_status make_plan(const net *t, net_worker *w, int plan, int images, clip_error *err)
{
    const net_plan *like = w == t->workers && !plan ? NULL : &t->workers[0].plans[0];
    net_plan *p = &w->plans[plan];
    int wide = t->features, tokens = t->tokens;
    clip_matmul_spec q = {.rows = images, .in = wide, .out = wide, .ldx = (size_t)tokens * (size_t)wide};
    clip_matmul_spec kv = {.rows = images * tokens, .in = wide, .out = 2 * wide};
    clip_matmul_spec c = {.rows = images, .in = wide, .out = t->model->config.dim};
    clip_status s = clip_matmul_create(w->dnn, &q, like ? like->q : NULL, &p->q, err);
    if (!s) s = clip_matmul_create(w->dnn, &kv, like ? like->kv : NULL, &p->kv, err);
    if (!s) s = clip_matmul_create(w->dnn, &c, like ? like->c : NULL, &p->c, err);
    return s;
}

static size_t most_scratch(const net *t, const net_worker *w)
{
    size_t most = 0, n;
    for (int i = 0; i < t->count; i++)
        if (w->convs[i] && (n = clip_conv_scratch(w->convs[i])) > most) most = n;
    for (int p = 0; p < 2; p++) {
        const clip_matmul *all[] = {w->plans[p].q, w->plans[p].kv, w->plans[p].c};
        for (int i = 0; i < 3; i++)
            if ((n = clip_matmul_scratch(all[i])) > most) most = n;
    }
    return most;
}

static void lay_out(const net *t, net_worker *w, clip_arena *a)
{
    size_t n = (size_t)t->options.batch, wide = (size_t)t->features, tokens = (size_t)t->tokens, most[BUFFERS] = {0};
    most[PIXELS] = (size_t)t->model->config.image.size * (size_t)t->model->config.image.size * 3;
    for (int i = 0; i < t->count; i++) {
        const net_layer *l = &t->layers[i];
        size_t side = (size_t)clip_conv_side(&l->spec), size = side * side * (size_t)l->spec.out; /* as if all were f32 */
        if (size > most[l->to]) most[l->to] = size;
    }
    for (int i = 0; i < BUFFERS; i++) w->buffers[i] = clip_arena_floats(a, most[i]);
    w->tokens = clip_arena_floats(a, n * tokens * wide);
    w->q = clip_arena_floats(a, n * wide);
    w->kv = clip_arena_floats(a, n * tokens * 2 * wide);
    w->pooled = clip_arena_floats(a, n * wide);
    w->mha = clip_arena_floats(a, clip_mha_scratch(1, t->tokens, t->features / t->model->config.image.stack.heads));
    w->scratch = clip_arena_take(a, most_scratch(t, w), 1);
}

static clip_status make_worker(const net *t, net_worker *w, clip_error *err)
{
    const net_worker *like = w == t->workers ? NULL : t->workers;
    w->convs = calloc((size_t)t->count, sizeof *w->convs);
    clip_status s = w->convs ? clip_dnn_create(&w->dnn, err) : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    for (int i = 0; i < t->count && !s; i++)
        if (t->layers[i].w) s = clip_conv_create(w->dnn, &t->layers[i].spec, like ? like->convs[i] : NULL, &w->convs[i], err);
    if (!s) s = make_plan(t, w, 0, t->options.batch, err);
    if (!s) s = make_plan(t, w, 1, 1, err);
    if (s) return s;
    clip_arena a = {0};
    lay_out(t, w, &a);
    if (a.used != SIZE_MAX) w->memory = clip_aligned_alloc(a.used);
    if (!w->memory) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the image tower of %s", t->model->dir);
    lay_out(t, w, &(clip_arena){w->memory, 0});
    return CLIP_OK;
}

static clip_status net_create(const clip_model *m, const clip_tower_options *o, clip_image_tower **out, clip_error *err)
{
    net *t = calloc(1, sizeof *t);
    if (!t) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    t->model = m;
    t->options = *o;
    t->k = clip_kernels_best();
    t->side = clip_resnet_side(&m->config.image);
    t->tokens = 1 + t->side * t->side;
    t->features = clip_resnet_features(&m->config.image);
    t->type = o->precision == CLIP_BF16 ? CLIP_T_BF16 : CLIP_T_F32;
    t->layers = calloc((size_t)m->resnet.count * BLOCK_LAYERS + STEM_LAYERS, sizeof *t->layers);
    t->workers = calloc((size_t)o->workers, sizeof *t->workers);
    clip_status s = t->layers && t->workers ? CLIP_OK : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    if (!s) list_layers(t);
    for (int i = 0; i < o->workers && !s; i++) s = make_worker(t, &t->workers[i], err);
    if (!s) s = pack_all(t, err);
    if (s) net_destroy((clip_image_tower *)t);
    else *out = (clip_image_tower *)t;
    return s;
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

/* y [n] = the mean of four pixels of n channels: two beside each other, and the two `line` floats behind them. */
static void mean_4(const float *p, size_t line, size_t n, float *y)
{
    for (size_t c = 0; c < n; c++) y[c] = (p[c] + p[n + c] + p[line + c] + p[line + n + c]) * 0.25f;
}

/* y [side/2][side/2][n] = means of 2x2 pixels of x [side][side][n]; an odd last row and column are left out. */
static void halve(const clip_kernels *k, const float *x, const clip_conv_spec *s, void *y)
{
    float pixel[CLIP_MAX_WIDTH];
    size_t n = (size_t)s->in, line = (size_t)s->side * n, small = (size_t)s->side / 2;
    for (size_t i = 0; i < small * small; i++) {
        const float *p = x + 2 * (i / small) * line + 2 * (i % small) * n;
        if (s->y_type == CLIP_T_F32) mean_4(p, line, n, (float *)y + i * n);
        else mean_4(p, line, n, pixel), k->to_bf16(pixel, (uint16_t *)y + i * n, n);
    }
}

static bool run_layer(const net *t, net_worker *w, int i)
{
    const net_layer *l = &t->layers[i];
    float *x = w->buffers[l->from], *y = w->buffers[l->to];
    size_t side = (size_t)l->spec.side;
    if (l->kind == CONVOLVE) return clip_conv_run(w->convs[i], l->packed, x, y, w->scratch);
    if (l->kind == HALVE) halve(t->k, x, &l->spec, y);
    else t->k->to_bf16(x, (uint16_t *)y, side * side * (size_t)l->spec.in);
    return true;
}

/* tokens [1 + side side][features] = the features' mean and the features, each with its position. */
static void make_tokens(const net *t, const float *x, float *tokens)
{
    size_t wide = (size_t)t->features, all = (size_t)t->tokens * wide;
    clip_layer_mean(x, 1, t->tokens - 1, t->features, tokens);
    for (size_t i = 0; i < wide; i++) tokens[i] += t->positions[i];
    for (size_t i = wide; i < all; i++) tokens[i] = x[i - wide] + t->positions[i];
}

static bool run_image(const net *t, net_worker *w, const uint8_t *image, float *tokens)
{
    const clip_image_config *c = &t->model->config.image;
    clip_layer_pixels(image, (size_t)c->size * (size_t)c->size, c->mean, c->std, w->buffers[PIXELS]);
    for (int i = 0; i < t->count; i++) {
        const net_layer *l = &t->layers[i];
        size_t side = (size_t)clip_conv_side(&l->spec);
        if (!run_layer(t, w, i)) return false;
        if (l->name && t->options.tap)
            t->options.tap(t->options.tap_context, l->name, w->buffers[l->to], side * side, (size_t)l->spec.out);
    }
    make_tokens(t, w->buffers[t->last], tokens);
    return true;
}

/* out [n][dim] = the attention pooling of n images' tokens */
static bool pool(const net *t, net_worker *w, const net_plan *p, int n, float *out)
{
    size_t wide = (size_t)t->features;
    int heads = t->model->config.image.stack.heads, head = t->features / heads;
    if (!clip_matmul_run(p->q, t->q, w->tokens, w->q, w->scratch)) return false;
    if (!clip_matmul_run(p->kv, t->kv, w->tokens, w->kv, w->scratch)) return false;
    clip_layer_mha(t->k, &(clip_mha_args){.q = w->q, .k = w->kv, .v = w->kv + wide, .ldq = wide, .ldkv = 2 * wide,
                                          .scale = 1 / sqrtf((float)head), .out = w->pooled, .sequences = n, .queries = 1,
                                          .keys = t->tokens, .heads = heads, .head = head, .scratch = w->mha});
    return clip_matmul_run(p->c, t->c, w->pooled, out, w->scratch);
}

static bool net_run(clip_image_tower *tower, int worker, const uint8_t *images, int n, float *out)
{
    const net *t = (const net *)tower;
    net_worker *w = &t->workers[worker];
    size_t size = (size_t)t->model->config.image.size, each = (size_t)t->tokens * (size_t)t->features;
    for (int i = 0; i < n; i++)
        if (!run_image(t, w, images + (size_t)i * size * size * 3, w->tokens + (size_t)i * each)) return false;
    return pool(t, w, &w->plans[n == t->options.batch ? 0 : 1], n, out);
}

/* The convolutions, then the pooling's products. */
static const char *net_kernel(const clip_image_tower *tower, int i)
{
    const net *t = (const net *)tower;
    const net_worker *w = &t->workers[0];
    const clip_matmul *pooling[] = {w->plans[0].q, w->plans[0].kv, w->plans[0].c};
    for (int l = 0; l < t->count; l++)
        if (w->convs[l] && !i--) return clip_conv_kernel(w->convs[l]);
    return i < 3 ? clip_matmul_kernel(pooling[i]) : NULL;
}

const clip_image_tower_kind clip_resnet_tower = {4, CLIP_F32, net_create, net_run, net_kernel, net_destroy};
