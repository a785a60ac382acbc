/* efficientnet_tower.c: runs EfficientNet-Lite. See efficientnet.c for what it consists of.
 *
 * The network is a list of convolutions, each from one buffer to another:
 *
 *     stem                       pixels -> x
 *     block: expand              x -> wide
 *            depthwise           wide (or x, in stage 0) -> deep
 *            shrink              deep -> x, added to x when the block has a skip
 *     head                       x -> wide, then the mean over the image, then the projection
 *
 * With CLIP_BF16 the convolutions take bf16 and sum in f32. The wide activations are bf16, too, but x, to which block after
 * block is added, stays f32, and a bf16 copy of it (narrow) is what the convolutions read. Stem, stage 0 and projection stay
 * f32: on 100 photos the first depthwise convolution alone cost more (least cosine 0.9973) than all the others together
 * (0.9997), and it is 2 % of the time.
 *
 * With CLIP_INT16 the 1x1 convolutions of the later stages take 16-bit integers, a pixel's channels being rounded with a scale of
 * their own; all else is f32.
 *
 * One buffer holds every block's input and output, because a block reads x only before it writes it. Batch norms (eps 1e-3)
 * are folded into the weights; activations and sums ride on the convolutions. Convolutions pad as TensorFlow's SAME: what is
 * odd goes to the bottom and right. Images go through the convolutions one at a time, because a batch's activations would not
 * stay in the caches; only the projection takes the pass together, since one image would read its weights for itself. */
#include <stdlib.h>
#include <string.h>

#include "engine/math/arena.h"
#include "engine/math/dnn.h"
#include "engine/math/int16.h"
#include "engine/math/layers.h"
#include "engine/model/block.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

#define FEATURES CLIP_EFFICIENTNET_FEATURES
#define NORM_EPS 1e-3
#define NARROW_SIDE 28 /* pixels: with 56 it is 7 % slower, with 112 22 %: few channels in, and the rounding costs more than it saves */

enum { PIXELS = 0, X, NARROW /* x in bf16, or what a convolution of integers reads */, WIDE, DEEP, BUFFERS };

typedef struct net_layer {
    const clip_conv_weights *w;
    clip_conv_spec spec;
    int from, to;              /* buffers */
    const char *name;          /* for the tap; NULL inside a block */
    clip_packed *packed;
} net_layer;

/* What one thread needs for itself. */
typedef struct net_worker {
    clip_dnn *dnn;
    clip_conv **convs;         /* [layers] */
    clip_matmul *fc1[2], *fc2[2]; /* for the batch, and for one image */
    void *memory, *scratch;
    void *buffers[BUFFERS];    /* [side][side][channels] */
    float *mean, *hidden;      /* [batch][features], [batch][2 dim] */
} net_worker;

typedef struct net {
    const clip_model *model;
    const clip_kernels *k;
    clip_tower_options options;
    net_layer *layers;
    int count;
    net_worker *workers;
    clip_packed *fc1, *fc2;
} net;

static void worker_finish(net_worker *w, int layers)
{
    for (int i = 0; w->convs && i < layers; i++) clip_conv_destroy(w->convs[i]);
    for (int p = 0; p < 2; p++) {
        clip_matmul_destroy(w->fc1[p]);
        clip_matmul_destroy(w->fc2[p]);
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
    clip_packed_destroy(t->fc1);
    clip_packed_destroy(t->fc2);
    free(t->layers);
    free(t->workers);
    free(t);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

/* TensorFlow's SAME, which timm keeps for stride 2; stride 1 pads k/2 on all sides, which is the same. */
static void set_padding(clip_conv_spec *s)
{
    int total = ((s->side + s->stride - 1) / s->stride - 1) * s->stride + s->kernel - s->side;
    if (total < 0) total = 0;
    s->pad_before = total / 2;
    s->pad_after = total - total / 2;
}

/* Appends a layer and returns the side of what comes out of it. */
static int append(net *t, const clip_conv_weights *w, int side, int from, int to, bool half, bool add, const char *name)
{
    net_layer *l = &t->layers[t->count++];
    *l = (net_layer){.w = w, .from = half && from == X ? NARROW : from, .to = to, .name = name};
    l->spec = (clip_conv_spec){.images = 1, .side = side, .in = w->in, .out = w->out, .kernel = w->kernel,
                               .stride = w->stride, .depthwise = w->depthwise, .add = add,
                               .act = w->act, .type = half ? CLIP_T_BF16 : CLIP_T_F32,
                               .y_type = half && !name ? CLIP_T_BF16 : CLIP_T_F32};
    if (t->options.precision == CLIP_INT16 && w->kernel == 1 && side <= NARROW_SIDE) l->spec.type = CLIP_T_S16;
    set_padding(&l->spec);
    return clip_conv_side(&l->spec);
}

static void list_layers(net *t)
{
    const clip_efficientnet_weights *w = &t->model->efficientnet;
    bool bf16 = t->options.precision == CLIP_BF16;
    int side = append(t, &w->stem, t->model->config.image.size, PIXELS, X, false, false, "embedding");
    for (int i = 0; i < w->count; i++) {
        const clip_efficientnet_block *b = &w->blocks[i];
        bool expands = b->expand.out, half = bf16 && expands;
        if (expands) append(t, &b->expand, side, X, WIDE, half, false, NULL);
        side = append(t, &b->depthwise, side, expands ? WIDE : X, DEEP, half, false, NULL);
        append(t, &b->shrink, side, DEEP, X, half, b->skip, "block");
    }
    append(t, &w->head, side, X, WIDE, bf16, false, "head");
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

static clip_status pack_linear(net *t, const clip_matmul *m, clip_view w, clip_view bias, size_t out, clip_packed **packed,
                               clip_error *err)
{
    float *space = clip_aligned_alloc(((size_t)w.count + out) * sizeof *space), *b = space + w.count;
    if (!space) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the weights of %s", t->model->dir);
    clip_view_read(t->k, w, space);
    if (bias.count) clip_view_read(t->k, bias, b);
    clip_status s = clip_packed_create(m, space, bias.count ? b : NULL, packed, err);
    free(space);
    return s;
}

static clip_status pack_all(net *t, clip_error *err)
{
    const clip_efficientnet_weights *w = &t->model->efficientnet;
    const net_worker *first = &t->workers[0];
    size_t dim = (size_t)t->model->config.dim;
    clip_status s = CLIP_OK;
    for (int i = 0; i < t->count && !s; i++) s = clip_conv_weights_pack(t->k, t->model->file, t->layers[i].w, NORM_EPS, first->convs[i], &t->layers[i].packed, err);
    if (!s && first->fc1[0]) s = pack_linear(t, first->fc1[0], w->fc1, w->fc1_bias, first->fc2[0] ? 2 * dim : dim, &t->fc1, err);
    if (!s && first->fc2[0]) s = pack_linear(t, first->fc2[0], w->fc2, w->fc2_bias, dim, &t->fc2, err);
    return s;
}

/* ---- making ------------------------------------------------------------------------------------------------------- */

/* The projection of `rows` images; plan 1 and the other workers take the first one's packed weights. */
static clip_status make_projection(const net *t, net_worker *w, int plan, int rows, clip_error *err)
{
    const net_worker *first = w == t->workers && !plan ? NULL : t->workers;
    clip_head_kind head = t->model->config.image.head;
    int dim = t->model->config.dim;
    if (head == CLIP_HEAD_NONE) return CLIP_OK;
    clip_matmul_spec fc1 = {.rows = rows, .in = FEATURES, .out = head == CLIP_HEAD_MLP ? 2 * dim : dim,
                            .act = head == CLIP_HEAD_MLP ? CLIP_ACT_GELU : CLIP_ACT_NONE};
    clip_matmul_spec fc2 = {.rows = rows, .in = 2 * dim, .out = dim};
    clip_status s = clip_matmul_create(w->dnn, &fc1, first ? first->fc1[0] : NULL, &w->fc1[plan], err);
    if (s || head != CLIP_HEAD_MLP) return s;
    return clip_matmul_create(w->dnn, &fc2, first ? first->fc2[0] : NULL, &w->fc2[plan], err);
}

static void lay_out(const net *t, net_worker *w, clip_arena *a)
{
    size_t n = (size_t)t->options.batch, most[BUFFERS] = {0}, scratch = 0;
    most[PIXELS] = sizeof(float) * (size_t)t->model->config.image.size * (size_t)t->model->config.image.size * 3;
    for (int i = 0; i < t->count; i++) {
        const net_layer *l = &t->layers[i];
        size_t side = (size_t)clip_conv_side(&l->spec), size = side * side * (size_t)l->spec.out * clip_type_size(l->spec.y_type);
        if (size > most[l->to]) most[l->to] = size;
        if (l->spec.type == CLIP_T_S16) {
            size_t rows = (size_t)l->spec.side * (size_t)l->spec.side, narrow = clip_int16_bytes(rows, l->spec.in);
            if (narrow > most[NARROW]) most[NARROW] = narrow;
        }
        if (clip_conv_scratch(w->convs[i]) > scratch) scratch = clip_conv_scratch(w->convs[i]);
    }
    const clip_matmul *products[] = {w->fc1[0], w->fc1[1], w->fc2[0], w->fc2[1]};
    for (int i = 0; i < 4; i++)
        if (products[i] && clip_matmul_scratch(products[i]) > scratch) scratch = clip_matmul_scratch(products[i]);
    if (t->options.precision == CLIP_BF16) most[NARROW] = most[X] / 2;
    for (int i = 0; i < BUFFERS; i++) w->buffers[i] = clip_arena_take(a, most[i], 1);
    w->mean = clip_arena_floats(a, n * FEATURES);
    w->hidden = clip_arena_floats(a, n * 2 * (size_t)t->model->config.dim);
    w->scratch = clip_arena_take(a, scratch, 1);
}

static clip_status make_worker(const net *t, net_worker *w, clip_error *err)
{
    const net_worker *like = w == t->workers ? NULL : t->workers;
    w->convs = calloc((size_t)t->count, sizeof *w->convs);
    clip_status s = w->convs ? clip_dnn_create(&w->dnn, err) : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    for (int i = 0; i < t->count && !s; i++)
        s = clip_conv_create(w->dnn, &t->layers[i].spec, like ? like->convs[i] : NULL, &w->convs[i], err);
    if (!s) s = make_projection(t, w, 0, t->options.batch, err);
    if (!s) s = make_projection(t, w, 1, 1, err);
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
    t->layers = calloc((size_t)m->efficientnet.count * 3 + 2, sizeof *t->layers);
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

/* mean: [features] */
static bool run_image(const net *t, net_worker *w, const uint8_t *image, float *mean)
{
    const clip_image_config *c = &t->model->config.image;
    clip_layer_pixels(image, (size_t)c->size * (size_t)c->size, c->mean, c->std, w->buffers[PIXELS]);
    for (int i = 0; i < t->count; i++) {
        const net_layer *l = &t->layers[i];
        size_t side = (size_t)clip_conv_side(&l->spec);
        int from = l->spec.type == CLIP_T_S16 ? NARROW : l->from;
        if (from != l->from)
            clip_layer_int16(t->k, w->buffers[l->from], l->spec.side * l->spec.side, l->spec.in, CLIP_ACT_NONE,
                             l->from == DEEP && t->layers[i - 1].spec.act == CLIP_ACT_RELU6 ? 6 : 0, w->buffers[from]);
        if (!clip_conv_run(w->convs[i], l->packed, w->buffers[from], w->buffers[l->to], w->scratch)) return false;
        if (i + 1 < t->count && t->layers[i + 1].from == NARROW)
            t->k->to_bf16(w->buffers[X], w->buffers[NARROW], side * side * (size_t)l->spec.out);
        if (l->name && t->options.tap)
            t->options.tap(t->options.tap_context, l->name, w->buffers[l->to], side * side, (size_t)l->spec.out);
    }
    int last = clip_conv_side(&t->layers[t->count - 1].spec);
    clip_layer_mean(w->buffers[WIDE], 1, last * last, FEATURES, mean);
    return true;
}

/* out [n][dim] = what the head makes of mean [n][features] */
static bool project(const net *t, net_worker *w, int n, float *out)
{
    int plan = n == t->options.batch ? 0 : 1;
    clip_matmul *fc1 = w->fc1[plan], *fc2 = w->fc2[plan];
    if (!fc1) memcpy(out, w->mean, (size_t)n * FEATURES * sizeof *out);
    if (!fc1) return true;
    if (!fc2) return clip_matmul_run(fc1, t->fc1, w->mean, out, w->scratch);
    return clip_matmul_run(fc1, t->fc1, w->mean, w->hidden, w->scratch) &&
           clip_matmul_run(fc2, t->fc2, w->hidden, out, w->scratch);
}

static bool net_run(clip_image_tower *tower, int worker, const uint8_t *images, int n, float *out)
{
    const net *t = (const net *)tower;
    net_worker *w = &t->workers[worker];
    size_t size = (size_t)t->model->config.image.size;
    for (int i = 0; i < n; i++)
        if (!run_image(t, w, images + (size_t)i * size * size * 3, w->mean + (size_t)i * FEATURES)) return false;
    return project(t, w, n, out);
}

static const char *net_kernel(const clip_image_tower *tower, int i)
{
    const net *t = (const net *)tower;
    return i < t->count ? clip_conv_kernel(t->workers[0].convs[i]) : NULL;
}

const clip_image_tower_kind clip_efficientnet_tower = {4, CLIP_INT16, net_create, net_run, net_kernel, net_destroy};
