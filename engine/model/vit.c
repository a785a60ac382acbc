/* vit.c: the ViT image tower of any size.
 *
 *     e = patches W                                          [n patches][width], normalisation of the pixels folded into W
 *     x = ln_pre(class, e + positions)                       [n tokens][width]
 *     each block:  x += out(attention(qkv(ln_1 x)));  x += fc2(act(fc1(ln_2 x)))
 *     y = ln_post(x at the class token) P                    [n][dim]
 *
 * SigLIP's has no class token and no ln_pre; a query q of its own, the same for every image, pools the patches, and y is that:
 *
 *     y = out(attention(q, kv(ln_post x)));  y += fc2(act(fc1(ln y)))
 *
 * which is what the last block does for the class token, but for q and for the residual that y begins with: so it is computed
 * as one more block, behind the last.
 *
 * A whole batch is one tall matrix for the products; only attention looks at images apart. Of the last block only the class
 * token's row is used, so only keys and values are computed for the others: a twelfth of a B/32's work less, exactly.
 *
 * Every product is compiled for two numbers of images, the batch and one, because the last batch of a folder is rarely full;
 * all workers use the same packed weights. With CLIP_BF16 the blocks' products take bf16 and sum in f32; the residual stream, the
 * norms, the softmax, the first and the last product stay f32. With CLIP_INT16 all products but the last take 16-bit integers: each
 * token's row is rounded with a scale of its own as it leaves a norm, the attention or the activation; the pixels are integers
 * already. With CLIP_INT8 the blocks' products take 8-bit integers in the same way, but for what is sensitive and costs next to
 * nothing: the patches and the rows of the class tokens stay f32. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/dnn.h"
#include "engine/math/int16.h"
#include "engine/math/int8.h"
#include "engine/math/layers.h"
#include "engine/model/block.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

/* The products of a forward pass over `images` images. */
typedef struct vit_plan {
    int images;
    clip_matmul *patches, *qkv, *out, *fc1, *fc2;
    clip_matmul *kv_last, *q_last, *out_last, *fc1_last, *fc2_last, *projection;
} vit_plan;
#define PLAN_MATMULS ((sizeof(vit_plan) - offsetof(vit_plan, patches)) / sizeof(clip_matmul *))

typedef struct vit_block {
    clip_block_vectors v;
    clip_packed *qkv, *q, *kv, *out, *fc1, *fc2; /* q and kv of the last block, qkv of the others */
} vit_block;

/* What one thread needs for itself. */
typedef struct vit_worker {
    clip_dnn *dnn;
    vit_plan plans[2];                    /* the batch, and one image */
    void *memory;
    float *x, *last;                      /* [n tokens][width], [n][width]: the residual stream */
    void *h;                              /* [n tokens][width] of `type`, or int16.h's or int8.h's: what goes into the next product */
    float *qkv;                           /* [n tokens][3 width]; of the last block only k and v: [n tokens][2 width] */
    float *q_last;                        /* [n][width] */
    void *wide;                           /* [n tokens][mlp], f32 or bf16; at first the patches: [n patches][3 patch patch]; with
                                             integers also what attention gives: [n tokens][width] */
    void *narrow;                         /* with integers: wide as such */
    float *mha;
    void *scratch;
} vit_worker;

typedef struct vit {
    const clip_model *model;
    const clip_kernels *k;
    clip_tower_options options;
    int tokens, side;                     /* side: patches in a row */
    clip_type type;                       /* of what goes into a block's products */
    clip_type last_type;                  /* and into those of the class tokens alone */
    vit_worker *workers;
    vit_block *blocks;                    /* [block_count()] */
    clip_packed *patches, *projection;
    void *memory;                         /* of the vectors below and the blocks' */
    float *class_embedding, *positions, *ln_pre_gain, *ln_pre_bias, *ln_post_gain, *ln_post_bias;
    float *query;                         /* [width] of the attention pool */
} vit;

static bool is_pooled(const vit *t) { return t->model->config.image.attention_pool; }

/* The attention pool counts as one. */
static int block_count(const vit *t) { return t->model->config.image.stack.layers + is_pooled(t); }

/* ---- making ---------------------------------------------------------------------------------------------------- */

static void worker_finish(vit_worker *w)
{
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < PLAN_MATMULS; i++) clip_matmul_destroy((&w->plans[p].patches)[i]);
    clip_dnn_destroy(w->dnn);
    free(w->memory);
}

static void vit_destroy(clip_image_tower *tower)
{
    vit *t = (vit *)tower;
    if (!t) return;
    for (int i = 0; t->workers && i < t->options.workers; i++) worker_finish(&t->workers[i]);
    for (int i = 0; t->blocks && i < block_count(t); i++) {
        vit_block *b = &t->blocks[i];
        clip_packed *all[] = {b->qkv, b->q, b->kv, b->out, b->fc1, b->fc2};
        for (int j = 0; j < 6; j++) clip_packed_destroy(all[j]);
    }
    clip_packed_destroy(t->patches);
    clip_packed_destroy(t->projection);
    free(t->workers);
    free(t->blocks);
    free(t->memory);
    free(t);
}

static bool is_integer(clip_type type) { return type == CLIP_T_S16 || type == CLIP_T_U8; }

/* Of a matrix that goes into a product. */
static size_t matrix_bytes(clip_type type, size_t rows, int width)
{
    if (type == CLIP_T_S16) return clip_int16_bytes(rows, width);
    return type == CLIP_T_U8 ? clip_int8_bytes(rows, width) : rows * (size_t)width * clip_type_size(type);
}

/* The products for p->images images; those of `like` (NULL for the first) tell how the weights are packed. */
static clip_status make_plan(const vit *t, clip_dnn *dnn, vit_plan *p, const vit_plan *like, clip_error *err)
{
    const clip_image_config *c = &t->model->config.image;
    int n = p->images, rows = n * t->tokens, w = c->stack.width, mlp = c->stack.mlp;
    clip_type y = t->type, last = t->last_type, f32 = CLIP_T_F32, pixel = y == CLIP_T_S16 ? y : f32;
    clip_type wide = is_integer(y) ? f32 : y, wide_last = is_integer(last) ? f32 : last;
    clip_activation none = CLIP_ACT_NONE, act = is_integer(y) ? none : c->stack.act; /* else it comes with the rounding */
    clip_activation act_last = is_integer(last) ? none : c->stack.act;
    const struct {
        clip_matmul **out, *like;
        clip_matmul_spec spec;
    } all[] = {
        {&p->patches, like ? like->patches : NULL, {n * t->side * t->side, 3 * c->patch * c->patch, w, 0, 0, pixel, f32, .most = 255}},
        {&p->qkv, like ? like->qkv : NULL, {rows, w, 3 * w, 0, 0, y, f32}},
        {&p->out, like ? like->out : NULL, {rows, w, w, 0, 0, y, f32, .add = true}},
        {&p->fc1, like ? like->fc1 : NULL, {rows, w, mlp, 0, 0, y, wide, .act = act}},
        {&p->fc2, like ? like->fc2 : NULL, {rows, mlp, w, 0, 0, y, f32, .add = true}},
        {&p->kv_last, like ? like->kv_last : NULL, {rows, w, 2 * w, 0, 0, y, f32}},
        {&p->q_last, like ? like->q_last : NULL, {n, w, w, 0, 0, last, f32}},
        {&p->out_last, like ? like->out_last : NULL, {n, w, w, 0, 0, last, f32, .add = true}},
        {&p->fc1_last, like ? like->fc1_last : NULL, {n, w, mlp, 0, 0, last, wide_last, .act = act_last}},
        {&p->fc2_last, like ? like->fc2_last : NULL, {n, mlp, w, 0, 0, last, f32, .add = true}},
        {&p->projection, like ? like->projection : NULL, {n, w, t->model->config.dim, 0, 0, f32, f32}},
    };
    _Static_assert(sizeof all / sizeof *all == PLAN_MATMULS, "every product of the plan is made here");
    for (size_t i = 0; i < PLAN_MATMULS; i++) {
        clip_matmul_spec spec = all[i].spec;
        spec.as_vnni = t->options.as_vnni;
        clip_status s = clip_matmul_create(dnn, &spec, all[i].like, all[i].out, err);
        if (s) return s;
    }
    return CLIP_OK;
}

/* Views one after another into `space`, then packed for m. The file's pages are let go, so that the weights are in memory once. */
static clip_status pack(vit *t, const clip_matmul *m, const clip_view *views, int n, const float *bias, float *space,
                        clip_packed **out, clip_error *err)
{
    float *at = space;
    for (int i = 0; i < n; at += views[i++].count) {
        clip_view_read(t->k, views[i], at);
        clip_safetensors_release(t->model->file, views[i].data, (size_t)views[i].count * clip_type_size(views[i].type));
    }
    return clip_packed_create(m, space, bias, out, err);
}

/* q = W probe + b, once for all images. */
static void make_query(vit *t, const clip_block_weights *w, float *space)
{
    size_t width = (size_t)t->model->config.image.stack.width;
    float *probe = space + width * width; /* [width] */
    clip_view_read(t->k, w->qkv[0], space);
    clip_view_read(t->k, t->model->vit.probe, probe);
    clip_view_read(t->k, w->qkv_bias[0], t->query);
    for (size_t o = 0; o < width; o++) {
        double sum = 0;
        for (size_t i = 0; i < width; i++) sum += (double)space[o * width + i] * probe[i];
        t->query[o] += (float)sum;
    }
}

static clip_status pack_block(vit *t, int layer, float *space, clip_error *err)
{
    const clip_block_weights *w = &t->model->vit.blocks[layer];
    const vit_plan *p = &t->workers[0].plans[0];
    vit_block *b = &t->blocks[layer];
    int width = t->model->config.image.stack.width;
    bool last = layer == block_count(t) - 1;
    clip_block_vectors_fill(t->k, w, &b->v);
    clip_status s = CLIP_OK;
    if (!last) s = pack(t, p->qkv, w->qkv, 3, b->v.qkv_bias, space, &b->qkv, err);
    if (last && is_pooled(t)) make_query(t, w, space);
    else if (last) s = pack(t, p->q_last, w->qkv, 1, b->v.qkv_bias, space, &b->q, err);
    if (!s && last) s = pack(t, p->kv_last, w->qkv + 1, 2, b->v.qkv_bias + width, space, &b->kv, err);
    if (!s) s = pack(t, last ? p->out_last : p->out, &w->out, 1, b->v.out_bias, space, &b->out, err);
    if (!s) s = pack(t, last ? p->fc1_last : p->fc1, &w->fc1, 1, b->v.fc1_bias, space, &b->fc1, err);
    if (!s) s = pack(t, last ? p->fc2_last : p->fc2, &w->fc2, 1, b->v.fc2_bias, space, &b->fc2, err);
    return s;
}

/* The first convolution as a product over patches in the order y, x, channel, with (pixel/255 - mean)/std folded in. */
static clip_status pack_patches(vit *t, float *space, clip_error *err)
{
    const clip_image_config *c = &t->model->config.image;
    size_t area = (size_t)c->patch * c->patch, width = (size_t)c->stack.width;
    float *from = space, *to = space + width * 3 * area, *bias = to + width * 3 * area;
    clip_view_read(t->k, t->model->vit.patches, from);
    memset(bias, 0, width * sizeof *bias);
    clip_view_read(t->k, t->model->vit.patch_bias, bias);
    for (size_t o = 0; o < width; o++) {
        double shift = 0;
        for (size_t ch = 0; ch < 3; ch++)
            for (size_t i = 0; i < area; i++) {
                double w = from[(o * 3 + ch) * area + i] / c->std[ch];
                to[(o * area + i) * 3 + ch] = (float)(w / 255);
                shift -= w * c->mean[ch];
            }
        bias[o] += (float)shift;
    }
    return clip_packed_create(t->workers[0].plans[0].patches, to, bias, &t->patches, err);
}

static clip_status pack_projection(vit *t, float *space, clip_error *err)
{
    const clip_projection *p = &t->model->vit.projection;
    size_t width = (size_t)t->model->config.image.stack.width, dim = (size_t)t->model->config.dim;
    float *from = space, *to = space + width * dim;
    clip_view_read(t->k, p->w, from);
    for (size_t d = 0; d < dim; d++)
        for (size_t i = 0; i < width; i++) to[d * width + i] = p->transposed ? from[i * dim + d] : from[d * width + i];
    return clip_packed_create(t->workers[0].plans[0].projection, to, NULL, &t->projection, err);
}

static clip_status pack_all(vit *t, clip_error *err)
{
    const clip_image_config *c = &t->model->config.image;
    size_t w = (size_t)c->stack.width, patch = 3 * (size_t)c->patch * (size_t)c->patch, dim = (size_t)t->model->config.dim;
    size_t most = w * (size_t)c->stack.mlp;
    if (3 * w * w > most) most = 3 * w * w;
    if (w * (2 * patch + 1) > most) most = w * (2 * patch + 1);
    if (2 * w * dim > most) most = 2 * w * dim;
    float *space = clip_aligned_alloc(most * sizeof *space);
    if (!space) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the weights of %s", t->model->dir);
    clip_status s = pack_patches(t, space, err);
    for (int i = 0; i < block_count(t) && !s; i++) s = pack_block(t, i, space, err);
    if (!s && !is_pooled(t)) s = pack_projection(t, space, err);
    free(space);
    return s;
}

static size_t most_scratch(const vit_worker *w)
{
    size_t most = 0;
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < PLAN_MATMULS && w->plans[p].patches; i++) {
            size_t n = clip_matmul_scratch((&w->plans[p].patches)[i]);
            if (n > most) most = n;
        }
    return most;
}

static void lay_out_worker(const vit *t, vit_worker *k, clip_arena *a)
{
    const clip_image_config *c = &t->model->config.image;
    size_t w = (size_t)c->stack.width, n = (size_t)t->options.batch, rows = n * (size_t)t->tokens;
    size_t wide = rows * (size_t)c->stack.mlp * (t->type == CLIP_T_BF16 ? 2 : sizeof(float));
    size_t count = n * (size_t)t->side * (size_t)t->side, area = 3 * (size_t)c->patch * (size_t)c->patch;
    size_t patches = matrix_bytes(t->type == CLIP_T_S16 ? CLIP_T_S16 : CLIP_T_F32, count, (int)area);
    size_t h = rows * w * sizeof(float), h_narrow = matrix_bytes(t->type, rows, c->stack.width);
    if (is_integer(t->type) && wide < h) wide = h; /* attention's results, before they are rounded */
    k->x = clip_arena_floats(a, rows * w);
    k->last = clip_arena_floats(a, n * w);
    k->h = clip_arena_take(a, h_narrow > h ? h_narrow : h, 1);
    k->qkv = clip_arena_floats(a, rows * 3 * w);
    k->q_last = clip_arena_floats(a, n * w);
    k->wide = clip_arena_take(a, wide > patches ? wide : patches, 1);
    k->narrow = clip_arena_take(a, is_integer(t->type) ? matrix_bytes(t->type, rows, c->stack.mlp) : 0, 1);
    k->mha = clip_arena_floats(a, clip_mha_scratch(t->tokens, t->tokens, c->stack.width / c->stack.heads));
    k->scratch = clip_arena_take(a, most_scratch(k), 1);
}

static void lay_out_vectors(vit *t, clip_arena *a)
{
    const clip_image_config *c = &t->model->config.image;
    size_t w = (size_t)c->stack.width;
    for (int i = 0; i < block_count(t); i++) clip_block_vectors_take(a, &c->stack, &t->blocks[i].v);
    t->query = clip_arena_floats(a, w);
    t->class_embedding = clip_arena_floats(a, w);
    t->positions = clip_arena_floats(a, (size_t)t->tokens * w);
    t->ln_pre_gain = clip_arena_floats(a, w);
    t->ln_pre_bias = clip_arena_floats(a, w);
    t->ln_post_gain = clip_arena_floats(a, w);
    t->ln_post_bias = clip_arena_floats(a, w);
}

static clip_status make_worker(vit *t, vit_worker *w, clip_error *err)
{
    const vit_plan *first = w == t->workers ? NULL : &t->workers[0].plans[0];
    w->plans[0].images = t->options.batch;
    w->plans[1].images = 1;
    clip_status s = clip_dnn_create(&w->dnn, err);
    if (!s) s = make_plan(t, w->dnn, &w->plans[0], first, err);
    if (!s && t->options.batch > 1) s = make_plan(t, w->dnn, &w->plans[1], &w->plans[0], err);
    if (s) return s;
    clip_arena a = {0};
    lay_out_worker(t, w, &a);
    if (a.used != SIZE_MAX) w->memory = clip_aligned_alloc(a.used);
    if (!w->memory) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the image tower of %s", t->model->dir);
    lay_out_worker(t, w, &(clip_arena){w->memory, 0});
    return CLIP_OK;
}

static clip_status read_vectors(vit *t, clip_error *err)
{
    const clip_vit_weights *w = &t->model->vit;
    clip_arena a = {0};
    lay_out_vectors(t, &a);
    if (a.used != SIZE_MAX) t->memory = clip_aligned_alloc(a.used);
    if (!t->memory) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the image tower of %s", t->model->dir);
    lay_out_vectors(t, &(clip_arena){t->memory, 0});
    clip_view_read(t->k, w->class_embedding, t->class_embedding);
    clip_view_read(t->k, w->positions, t->positions);
    clip_view_read(t->k, w->ln_pre_gain, t->ln_pre_gain);
    clip_view_read(t->k, w->ln_pre_bias, t->ln_pre_bias);
    clip_view_read(t->k, w->ln_post_gain, t->ln_post_gain);
    clip_view_read(t->k, w->ln_post_bias, t->ln_post_bias);
    return CLIP_OK;
}

static clip_status vit_create(const clip_model *m, const clip_tower_options *o, clip_image_tower **out, clip_error *err)
{
    const clip_image_config *c = &m->config.image;
    vit *t = calloc(1, sizeof *t);
    if (!t) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    t->model = m;
    t->options = *o;
    t->k = clip_kernels_best();
    t->side = c->size / c->patch;
    t->tokens = !is_pooled(t) + t->side * t->side;
    static const clip_type types[] = {[CLIP_BF16] = CLIP_T_BF16, [CLIP_INT16] = CLIP_T_S16, [CLIP_INT8] = CLIP_T_U8};
    t->type = types[o->precision];
    t->last_type = t->type == CLIP_T_U8 ? CLIP_T_F32 : t->type;
    t->blocks = calloc((size_t)block_count(t), sizeof *t->blocks);
    t->workers = calloc((size_t)o->workers, sizeof *t->workers);
    clip_status s = t->blocks && t->workers ? read_vectors(t, err) : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    for (int i = 0; i < o->workers && !s; i++) s = make_worker(t, &t->workers[i], err);
    if (!s) s = pack_all(t, err);
    if (s) vit_destroy((clip_image_tower *)t);
    else *out = (clip_image_tower *)t;
    return s;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static void tap(const vit *t, const char *layer, const float *x, int rows)
{
    if (t->options.tap) t->options.tap(t->options.tap_context, layer, x, (size_t)rows, (size_t)t->model->config.image.stack.width);
}

/* Rows of x that are `every` rows apart. */
static void norm(const vit *t, vit_worker *w, const float *x, int every, int rows, const float *gain, const float *bias,
                 clip_type type)
{
    const clip_stack_config *c = &t->model->config.image.stack;
    clip_layer_norm(t->k, &(clip_norm_args){.x = x, .ldx = (size_t)every * (size_t)c->width, .gain = gain, .bias = bias,
                                            .eps = c->eps, .rows = rows, .width = c->width, .y = w->h, .y_type = type});
}

/* x: [rows][width], which is lost */
static void round_rows(const vit *t, clip_type type, float *x, int rows, int width, clip_activation act, void *y)
{
    if (type == CLIP_T_S16) clip_layer_int16(t->k, x, rows, width, act, 0, y);
    else clip_layer_u8(t->k, x, rows, width, act, y);
}

/* The result goes to w->h as `type`. */
static void attend(const vit *t, vit_worker *w, const float *q, size_t ldq, const float *k, size_t ldkv, int n, int queries,
                   clip_type type)
{
    const clip_stack_config *c = &t->model->config.image.stack;
    int head = c->width / c->heads;
    bool narrow = is_integer(type);
    clip_layer_mha(t->k, &(clip_mha_args){.q = q, .k = k, .v = k + c->width, .ldq = ldq, .ldkv = ldkv,
                                          .scale = 1 / sqrtf((float)head), .out = narrow ? w->wide : w->h,
                                          .out_type = narrow ? CLIP_T_F32 : type, .sequences = n,
                                          .queries = queries, .keys = t->tokens, .heads = c->heads, .head = head,
                                          .scratch = w->mha});
    if (narrow) round_rows(t, type, w->wide, n * queries, c->width, CLIP_ACT_NONE, w->h);
}

/* The two products behind the second norm, from h to x. */
static bool run_mlp(const vit *t, vit_worker *w, clip_matmul *fc1, clip_matmul *fc2, const vit_block *b, int rows, clip_type type,
                    float *x)
{
    const clip_stack_config *c = &t->model->config.image.stack;
    if (!clip_matmul_run(fc1, b->fc1, w->h, w->wide, w->scratch)) return false;
    if (is_integer(type)) round_rows(t, type, w->wide, rows, c->mlp, c->act, w->narrow);
    return clip_matmul_run(fc2, b->fc2, is_integer(type) ? w->narrow : w->wide, x, w->scratch);
}

/* x = patches + positions, [n patches][width] */
static void add_positions(const vit *t, const float *patches, int n, float *x)
{
    size_t image = (size_t)t->tokens * (size_t)t->model->config.image.stack.width;
    for (int s = 0; s < n; s++)
        for (size_t i = 0; i < image; i++) x[(size_t)s * image + i] = patches[(size_t)s * image + i] + t->positions[i];
}

static bool run_embed(const vit *t, vit_worker *w, const vit_plan *p, const uint8_t *images)
{
    const clip_image_config *c = &t->model->config.image;
    clip_layer_patches(t->k, images, p->images, c->size, c->patch, w->wide, t->type == CLIP_T_S16 ? CLIP_T_S16 : CLIP_T_F32);
    if (!clip_matmul_run(p->patches, t->patches, w->wide, w->qkv, w->scratch)) return false;
    if (is_pooled(t)) add_positions(t, w->qkv, p->images, w->x);
    else clip_layer_embed(t->k, &(clip_embed_args){.first = t->class_embedding, .rest = w->qkv, .positions = t->positions,
                                              .gain = t->ln_pre_gain, .bias = t->ln_pre_bias, .eps = c->stack.eps,
                                              .sequences = p->images, .tokens = t->tokens, .width = c->stack.width, .x = w->x});
    tap(t, "embedding", w->x, p->images * t->tokens);
    return true;
}

static bool run_block(const vit *t, vit_worker *w, const vit_plan *p, const vit_block *b)
{
    size_t width = (size_t)t->model->config.image.stack.width;
    int rows = p->images * t->tokens;
    norm(t, w, w->x, 1, rows, b->v.ln_1_gain, b->v.ln_1_bias, t->type);
    if (!clip_matmul_run(p->qkv, b->qkv, w->h, w->qkv, w->scratch)) return false;
    attend(t, w, w->qkv, 3 * width, w->qkv + width, 3 * width, p->images, t->tokens, t->type);
    if (!clip_matmul_run(p->out, b->out, w->h, w->x, w->scratch)) return false;
    norm(t, w, w->x, 1, rows, b->v.ln_2_gain, b->v.ln_2_bias, t->type);
    if (!run_mlp(t, w, p->fc1, p->fc2, b, rows, t->type, w->x)) return false;
    tap(t, "block", w->x, rows);
    return true;
}

/* The class tokens' rows to where the last block wants them, and their queries. */
static bool begin_class_tokens(const vit *t, vit_worker *w, const vit_plan *p, const vit_block *b)
{
    size_t width = (size_t)t->model->config.image.stack.width;
    for (int i = 0; i < p->images; i++)
        memcpy(w->last + (size_t)i * width, w->x + (size_t)i * t->tokens * width, width * sizeof *w->x);
    norm(t, w, w->x, t->tokens, p->images, b->v.ln_1_gain, b->v.ln_1_bias, t->last_type);
    return clip_matmul_run(p->q_last, b->q, w->h, w->q_last, w->scratch);
}

static void begin_pool(const vit *t, vit_worker *w, int n)
{
    size_t width = (size_t)t->model->config.image.stack.width;
    memset(w->last, 0, (size_t)n * width * sizeof *w->last);
    for (int i = 0; i < n; i++) memcpy(w->q_last + (size_t)i * width, t->query, width * sizeof *t->query);
}

/* Leaves the class tokens' rows, or what the pool made, in w->last. */
static bool run_last_block(const vit *t, vit_worker *w, const vit_plan *p, const vit_block *b)
{
    size_t width = (size_t)t->model->config.image.stack.width;
    int n = p->images;
    norm(t, w, w->x, 1, n * t->tokens, b->v.ln_1_gain, b->v.ln_1_bias, t->type);
    if (!clip_matmul_run(p->kv_last, b->kv, w->h, w->qkv, w->scratch)) return false;
    if (is_pooled(t)) begin_pool(t, w, n);
    else if (!begin_class_tokens(t, w, p, b)) return false;
    attend(t, w, w->q_last, width, w->qkv, 2 * width, n, 1, t->last_type);
    if (!clip_matmul_run(p->out_last, b->out, w->h, w->last, w->scratch)) return false;
    norm(t, w, w->last, 1, n, b->v.ln_2_gain, b->v.ln_2_bias, t->last_type);
    if (!run_mlp(t, w, p->fc1_last, p->fc2_last, b, n, t->last_type, w->last)) return false;
    tap(t, "last", w->last, n);
    return true;
}

static bool run_plan(const vit *t, vit_worker *w, const vit_plan *p, const uint8_t *images, float *out)
{
    int last = block_count(t) - 1;
    bool ok = run_embed(t, w, p, images);
    for (int i = 0; i < last && ok; i++) ok = run_block(t, w, p, &t->blocks[i]);
    ok = ok && run_last_block(t, w, p, &t->blocks[last]);
    if (!ok) return false;
    if (is_pooled(t)) {
        memcpy(out, w->last, (size_t)p->images * (size_t)t->model->config.dim * sizeof *out);
        return true;
    }
    norm(t, w, w->last, 1, p->images, t->ln_post_gain, t->ln_post_bias, CLIP_T_F32);
    return clip_matmul_run(p->projection, t->projection, w->h, out, w->scratch);
}

static bool vit_run(clip_image_tower *tower, int worker, const uint8_t *images, int n, float *out)
{
    const vit *t = (const vit *)tower;
    vit_worker *w = &t->workers[worker];
    return run_plan(t, w, &w->plans[n == t->options.batch ? 0 : 1], images, out);
}

static const char *vit_kernel(const clip_image_tower *tower, int i)
{
    const vit_worker *w = ((const vit *)tower)->workers;
    int plans = w->plans[1].patches ? 2 : 1, n = (int)PLAN_MATMULS;
    return i < n * plans ? clip_matmul_kernel((&w->plans[i / n].patches)[i % n]) : NULL;
}

const clip_image_tower_kind clip_vit_tower = {4, CLIP_INT8, vit_create, vit_run, vit_kernel, vit_destroy};
