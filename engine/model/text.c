/* text.c: CLIP's text tower, for few tokens.
 *
 * A query is five to fifteen tokens against tens of millions of weights, so it is the reading of the weights that costs.
 * They are read once, where they lie in the mapped file and in the file's own type: nothing is packed, copied or converted
 * beforehand, and a cold query touches no page that it does not need. Because the mask is causal, tokens after the end
 * token never matter and are not computed; and of the last block only the end token's row is. SigLIP has no mask and fills
 * each text up to the context, so that all its tokens are computed; the last one takes the end token's place.
 *
 *     x = tokens[id] + positions                                        [rows][width]
 *     each block:  x += out(attention(qkv(ln_1 x)));  x += fc2(act(fc1(ln_2 x)))
 *     y = projection(ln_final(x at the end token))                      [n][dim]
 *
 * Many texts run together as one tall matrix, their attention apart. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/crew.h"
#include "engine/math/layers.h"
#include "engine/model/block.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

/* Rows of one pass when many texts are given: enough that the weights' reading no longer matters, and the activations of
 * a 2048-wide layer (2 MB) still stay in a core's second-level cache. */
#define MANY_ROWS 256

/* What one thread needs for itself. */
typedef struct text_worker {
    clip_crew *crew;                  /* NULL: it computes alone */
    void *memory;
    float *x, *last;                  /* [rows][width], [batch][width]: the residual stream */
    float *h;                         /* [rows][width]: what goes into the next product */
    float *qkv;                       /* [rows][3 width] */
    float *q_last;                    /* [batch][width] */
    float *wide;                      /* [rows][mlp] */
    float *column;                    /* [max(dim, width)]: one row of a transposed projection, or one embedding */
    float *mha;
} text_worker;

struct clip_text_tower {
    const clip_model *model;
    const clip_kernels *k;
    clip_tower_options options;
    int rows;
    text_worker *workers;
    void *memory;                     /* of the vectors below */
    clip_block_vectors *vectors;      /* [layers] */
    float *ln_gain, *ln_bias;         /* [width] */
    float *projection_bias;           /* [dim], zeros where there is none */
};

static void lay_out_vectors(clip_text_tower *t, clip_arena *a)
{
    const clip_stack_config *c = &t->model->config.text.stack;
    for (int i = 0; i < c->layers; i++) clip_block_vectors_take(a, c, &t->vectors[i]);
    t->ln_gain = clip_arena_floats(a, (size_t)c->width);
    t->ln_bias = clip_arena_floats(a, (size_t)c->width);
    t->projection_bias = clip_arena_floats(a, (size_t)t->model->config.dim);
}

static void lay_out_worker(const clip_text_tower *t, text_worker *k, clip_arena *a)
{
    const clip_text_config *c = &t->model->config.text;
    size_t w = (size_t)c->stack.width, rows = (size_t)t->rows, n = (size_t)t->options.batch, dim = (size_t)t->model->config.dim;
    k->x = clip_arena_floats(a, rows * w);
    k->last = clip_arena_floats(a, n * w);
    k->h = clip_arena_floats(a, rows * w);
    k->qkv = clip_arena_floats(a, rows * 3 * w);
    k->q_last = clip_arena_floats(a, n * w);
    k->wide = clip_arena_floats(a, rows * (size_t)c->stack.mlp);
    k->column = clip_arena_floats(a, dim > w ? dim : w);
    k->mha = clip_arena_floats(a, clip_mha_scratch(c->context, c->context, c->stack.width / c->stack.heads));
}

static bool make_memory(clip_text_tower *t)
{
    clip_arena a = {0};
    lay_out_vectors(t, &a);
    if (a.used == SIZE_MAX || !(t->memory = clip_aligned_alloc(a.used))) return false;
    lay_out_vectors(t, &(clip_arena){t->memory, 0});
    for (int i = 0; i < t->options.workers; i++) {
        a = (clip_arena){0};
        lay_out_worker(t, &t->workers[i], &a);
        if (a.used == SIZE_MAX || !(t->workers[i].memory = clip_aligned_alloc(a.used))) return false;
        lay_out_worker(t, &t->workers[i], &(clip_arena){t->workers[i].memory, 0});
    }
    return true;
}

clip_status clip_text_tower_create(const clip_model *m, const clip_tower_options *o, clip_text_tower **out, clip_error *err)
{
    const clip_text_config *c = &m->config.text;
    clip_text_tower *t = calloc(1, sizeof *t);
    if (!t) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    t->model = m;
    t->options = *o;
    t->k = clip_kernels_best();
    t->rows = o->batch > 1 && c->context < MANY_ROWS ? MANY_ROWS : c->context;
    if (t->options.batch > t->rows) t->options.batch = t->rows;
    t->vectors = calloc((size_t)c->stack.layers, sizeof *t->vectors);
    t->workers = calloc((size_t)o->workers, sizeof *t->workers);
    if (!t->vectors || !t->workers || !make_memory(t)) {
        clip_text_tower_destroy(t);
        return clip_fail(err, CLIP_E_MEMORY, "out of memory for the text tower of %s", m->dir);
    }
    for (int i = 0; i < c->stack.layers; i++) clip_block_vectors_fill(t->k, &m->text.blocks[i], &t->vectors[i]);
    clip_view_read(t->k, m->text.ln_gain, t->ln_gain);
    clip_view_read(t->k, m->text.ln_bias, t->ln_bias);
    memset(t->projection_bias, 0, (size_t)m->config.dim * sizeof *t->projection_bias);
    clip_view_read(t->k, m->text.projection.bias, t->projection_bias);
    *out = t;
    return CLIP_OK;
}

void clip_text_tower_destroy(clip_text_tower *t)
{
    if (!t) return;
    for (int i = 0; t->workers && i < t->options.workers; i++) free(t->workers[i].memory);
    free(t->workers);
    free(t->vectors);
    free(t->memory);
    free(t);
}

int clip_text_tower_rows(const clip_text_tower *t) { return t->rows; }

static void tap(const clip_text_tower *t, const char *layer, const float *x, int rows, int width)
{
    if (t->options.tap) t->options.tap(t->options.tap_context, layer, x, (size_t)rows, (size_t)width);
}

/* ---- the pieces of a block --------------------------------------------------------------------------------------- */

static void embed(const clip_text_tower *t, text_worker *k, const int32_t *ids, const int *starts, int n)
{
    const clip_text_weights *w = &t->model->text;
    size_t width = (size_t)t->model->config.text.stack.width;
    size_t token = width * clip_type_size(w->tokens.type), place = width * clip_type_size(w->positions.type);
    for (int s = 0; s < n; s++)
        for (int r = starts[s]; r < starts[s + 1]; r++) {
            float *x = k->x + (size_t)r * width;
            t->k->to_f32((const char *)w->tokens.data + (size_t)ids[r] * token, w->tokens.type, x, width);
            t->k->to_f32((const char *)w->positions.data + (size_t)(r - starts[s]) * place, w->positions.type, k->column, width);
            for (size_t i = 0; i < width; i++) x[i] += k->column[i];
        }
}

static void norm(const clip_text_tower *t, text_worker *k, const float *x, int rows, const float *gain, const float *bias)
{
    const clip_stack_config *c = &t->model->config.text.stack;
    clip_layer_norm(t->k, &(clip_norm_args){.x = x, .ldx = (size_t)c->width, .gain = gain, .bias = bias, .eps = c->eps,
                                            .rows = rows, .width = c->width, .y = k->h, .y_type = CLIP_T_F32});
}

/* y = act(x Wᵀ + b), dense, or y += */
typedef struct linear_layer {
    clip_view w;
    const float *bias;
    int in, out;
    clip_activation act;
    bool add;
} linear_layer;

typedef struct shared_product {
    const clip_text_tower *t;
    clip_linear_args a;
} shared_product;

/* A lone text uses each weight once. So it is read into a little memory that stays in the processor's cache, instead of being
 * touched where the file is mapped: laying out a page and taking it back costs the kernel more than copying it. */
static void linear_piece(const void *product, int first, int end)
{
    _Alignas(64) char room[1 << 18];
    const shared_product *p = product;
    size_t row = (size_t)p->a.in * clip_type_size(p->a.type);
    int step = row ? (int)(sizeof room / row) / 2 * 2 : 0;
    for (int at = first; at < end; at += step) {
        clip_linear_args a = p->a;
        if (step == 0 || step > end - at) step = end - at;
        a.w = (const char *)a.w + (size_t)at * row;
        if ((size_t)step * row <= sizeof room && clip_safetensors_read(p->t->model->file, a.w, (size_t)step * row, room)) a.w = room;
        if (a.b) a.b += at;
        a.y += at;
        p->t->k->linear(&a, 0, step);
    }
}

static void linear(const clip_text_tower *t, const text_worker *k, linear_layer l, const float *x, int rows, float *y, size_t ldy)
{
    clip_linear_args a = {.x = x, .ldx = (size_t)l.in, .rows = rows, .in = l.in, .w = l.w.data, .type = l.w.type, .b = l.bias,
                          .y = y, .ldy = ldy, .act = l.act, .add = l.add};
    if (k->crew) clip_crew_run(k->crew, linear_piece, &(shared_product){t, a}, l.out);
    else t->k->linear(&a, 0, l.out);
}

/* Parts first .. end-1 of q, k, v of the first `rows` rows of h, side by side in y. */
static void project_qkv(const clip_text_tower *t, text_worker *k, int layer, int rows, int first, int end, float *y, size_t ldy)
{
    int width = t->model->config.text.stack.width;
    for (int i = first; i < end; i++) {
        linear_layer part = {.w = t->model->text.blocks[layer].qkv[i], .bias = t->vectors[layer].qkv_bias + (size_t)i * width,
                             .in = width, .out = width};
        linear(t, k, part, k->h, rows, y + (size_t)(i - first) * width, ldy);
    }
}

static void attend(const clip_text_tower *t, text_worker *k, const float *q, size_t ldq, const int *starts, int n, bool last_only)
{
    const clip_text_config *c = &t->model->config.text;
    size_t width = (size_t)c->stack.width;
    int head = c->stack.width / c->stack.heads;
    clip_layer_mha(t->k, &(clip_mha_args){.q = q, .k = k->qkv + width, .v = k->qkv + 2 * width, .ldq = ldq, .ldkv = 3 * width,
                                          .scale = 1 / sqrtf((float)head), .out = k->h, .sequences = n, .queries = c->context,
                                          .keys = c->context, .heads = c->stack.heads, .head = head, .starts = starts,
                                          .last_only = last_only, .causal = !c->padded, .scratch = k->mha});
}

/* What follows attention, on `rows` rows of x. */
static void finish_block(const clip_text_tower *t, text_worker *k, int layer, float *x, int rows)
{
    const clip_stack_config *c = &t->model->config.text.stack;
    const clip_block_weights *w = &t->model->text.blocks[layer];
    const clip_block_vectors *v = &t->vectors[layer];
    size_t width = (size_t)c->width, mlp = (size_t)c->mlp;
    linear(t, k, (linear_layer){.w = w->out, .bias = v->out_bias, .in = c->width, .out = c->width, .add = true}, k->h, rows, x, width);
    norm(t, k, x, rows, v->ln_2_gain, v->ln_2_bias);
    linear(t, k, (linear_layer){.w = w->fc1, .bias = v->fc1_bias, .in = c->width, .out = c->mlp, .act = c->act}, k->h, rows, k->wide, mlp);
    linear(t, k, (linear_layer){.w = w->fc2, .bias = v->fc2_bias, .in = c->mlp, .out = c->width, .add = true}, k->wide, rows, x, width);
}

static void block(const clip_text_tower *t, text_worker *k, int layer, const int *starts, int n)
{
    size_t width = (size_t)t->model->config.text.stack.width;
    int rows = starts[n];
    norm(t, k, k->x, rows, t->vectors[layer].ln_1_gain, t->vectors[layer].ln_1_bias);
    project_qkv(t, k, layer, rows, 0, 3, k->qkv, 3 * width);
    attend(t, k, k->qkv, 3 * width, starts, n, false);
    finish_block(t, k, layer, k->x, rows);
}

/* Keys and values of every token, but queries and all that follows of the end tokens alone. */
static void last_block(const clip_text_tower *t, text_worker *k, const int *starts, int n)
{
    int layer = t->model->config.text.stack.layers - 1;
    size_t width = (size_t)t->model->config.text.stack.width;
    norm(t, k, k->x, starts[n], t->vectors[layer].ln_1_gain, t->vectors[layer].ln_1_bias);
    project_qkv(t, k, layer, starts[n], 1, 3, k->qkv + width, 3 * width);
    for (int s = 0; s < n; s++) { /* h's rows move up: text s ends at row s or later */
        size_t end = (size_t)(starts[s + 1] - 1) * width;
        memcpy(k->last + (size_t)s * width, k->x + end, width * sizeof *k->x);
        memmove(k->h + (size_t)s * width, k->h + end, width * sizeof *k->h);
    }
    project_qkv(t, k, layer, n, 0, 1, k->q_last, width);
    attend(t, k, k->q_last, width, starts, n, true);
    finish_block(t, k, layer, k->last, n);
}

/* out [n][dim] = h [n][width] P, P being [width][dim] in the file */
static void project_transposed(const clip_text_tower *t, text_worker *k, int n, float *out)
{
    clip_view p = t->model->text.projection.w;
    size_t dim = (size_t)t->model->config.dim, width = (size_t)t->model->config.text.stack.width;
    memset(out, 0, (size_t)n * dim * sizeof *out);
    for (size_t j = 0; j < width; j++) {
        t->k->to_f32((const char *)p.data + j * dim * clip_type_size(p.type), p.type, k->column, dim);
        for (int s = 0; s < n; s++)
            for (size_t i = 0; i < dim; i++) out[(size_t)s * dim + i] += k->h[(size_t)s * width + j] * k->column[i];
    }
}

void clip_text_tower_run(clip_text_tower *t, int worker, clip_crew *crew, const int32_t *ids, const int *starts, int n, float *out)
{
    const clip_config *c = &t->model->config;
    text_worker *k = &t->workers[worker];
    k->crew = crew;
    int width = c->text.stack.width, last = c->text.stack.layers - 1;
    embed(t, k, ids, starts, n);
    tap(t, "embedding", k->x, starts[n], width);
    for (int i = 0; i < last; i++) {
        block(t, k, i, starts, n);
        tap(t, "block", k->x, starts[n], width);
    }
    last_block(t, k, starts, n);
    tap(t, "last", k->last, n, width);
    norm(t, k, k->last, n, t->ln_gain, t->ln_bias);
    if (t->model->text.projection.transposed) project_transposed(t, k, n, out);
    else linear(t, k, (linear_layer){.w = t->model->text.projection.w, .bias = t->projection_bias, .in = width, .out = c->dim}, k->h, n,
                out, (size_t)c->dim);
}
