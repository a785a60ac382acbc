/* text.c: CLIP's text tower, for few tokens.
 *
 * A query is five to fifteen tokens against tens of millions of weights, so it is the reading of the weights that costs.
 * They are read once, where they lie in the mapped file and in the file's own type: nothing is packed, copied or converted
 * beforehand, and a cold query touches no page that it does not need. Because the mask is causal, tokens after the end
 * token never matter and are not computed; and of the last block only the end token's row is.
 *
 *     x = tokens[id] + positions                                        [rows][width]
 *     each block:  x += out(attention(qkv(ln_1 x)));  x += fc2(act(fc1(ln_2 x)))
 *     y = projection(ln_final(x at the end token))                      [n][dim]
 *
 * Many texts run together as one tall matrix, their attention apart. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/layers.h"
#include "engine/model/block.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

/* Rows of one pass when many texts are given: enough that the weights' reading no longer matters, and the activations of
 * a 2048-wide layer (2 MB) still stay in a core's second-level cache. */
#define MANY_ROWS 256

struct clip_text_tower {
    const clip_model *model;
    const clip_kernels *k;
    clip_tower_options options;
    int rows;
    void *memory;
    clip_block_vectors *vectors;      /* [layers] */
    float *ln_gain, *ln_bias;         /* [width] */
    float *x, *last;                  /* [rows][width], [batch][width]: the residual stream */
    float *h;                         /* [rows][width]: what goes into the next product */
    float *qkv;                       /* [rows][3 width] */
    float *q_last;                    /* [batch][width] */
    float *wide;                      /* [rows][mlp] */
    float *column;                    /* [max(dim, width)]: one row of a transposed projection, or one embedding */
    float *mha;
};

static void lay_out(clip_text_tower *t, clip_arena *a)
{
    const clip_text_config *c = &t->model->config.text;
    size_t w = (size_t)c->stack.width, rows = (size_t)t->rows, n = (size_t)t->options.batch, dim = (size_t)t->model->config.dim;
    int head = c->stack.width / c->stack.heads;
    for (int i = 0; i < c->stack.layers; i++) clip_block_vectors_take(a, &c->stack, &t->vectors[i]);
    t->ln_gain = clip_arena_floats(a, w);
    t->ln_bias = clip_arena_floats(a, w);
    t->x = clip_arena_floats(a, rows * w);
    t->last = clip_arena_floats(a, n * w);
    t->h = clip_arena_floats(a, (rows > n ? rows : n) * w);
    t->qkv = clip_arena_floats(a, rows * 3 * w);
    t->q_last = clip_arena_floats(a, n * w);
    t->wide = clip_arena_floats(a, (rows > n ? rows : n) * (size_t)c->stack.mlp);
    t->column = clip_arena_floats(a, dim > w ? dim : w);
    t->mha = clip_arena_floats(a, clip_mha_scratch(t->options.threads, c->context, c->context, head));
}

clip_status clip_text_tower_create(const clip_model *m, const clip_tower_options *o, clip_text_tower **out, clip_error *err)
{
    const clip_text_config *c = &m->config.text;
    clip_text_tower *t = calloc(1, sizeof *t);
    if (!t || !(t->vectors = calloc((size_t)c->stack.layers, sizeof *t->vectors))) {
        clip_text_tower_destroy(t);
        return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    }
    t->model = m;
    t->options = *o;
    t->k = clip_kernels_best();
    t->rows = o->batch > 1 && c->context < MANY_ROWS ? MANY_ROWS : c->context;
    if (t->options.batch > t->rows) t->options.batch = t->rows;

    clip_arena arena = {0};
    lay_out(t, &arena);
    if (arena.used != SIZE_MAX) t->memory = clip_aligned_alloc(arena.used);
    if (!t->memory) {
        clip_text_tower_destroy(t);
        return clip_fail(err, CLIP_E_MEMORY, "out of memory for the text tower of %s", m->dir);
    }
    arena = (clip_arena){t->memory, 0};
    lay_out(t, &arena);
    for (int i = 0; i < c->stack.layers; i++) clip_block_vectors_fill(t->k, &m->text.blocks[i], &t->vectors[i]);
    clip_view_read(t->k, m->text.ln_gain, t->ln_gain);
    clip_view_read(t->k, m->text.ln_bias, t->ln_bias);
    *out = t;
    return CLIP_OK;
}

void clip_text_tower_destroy(clip_text_tower *t)
{
    if (!t) return;
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

static void embed(clip_text_tower *t, const int32_t *ids, const int *starts, int n)
{
    const clip_text_weights *w = &t->model->text;
    size_t width = (size_t)t->model->config.text.stack.width;
    size_t token = width * clip_type_size(w->tokens.type), place = width * clip_type_size(w->positions.type);
    for (int s = 0; s < n; s++)
        for (int r = starts[s]; r < starts[s + 1]; r++) {
            float *x = t->x + (size_t)r * width;
            t->k->to_f32((const char *)w->tokens.data + (size_t)ids[r] * token, w->tokens.type, x, width);
            t->k->to_f32((const char *)w->positions.data + (size_t)(r - starts[s]) * place, w->positions.type, t->column, width);
            for (size_t i = 0; i < width; i++) x[i] += t->column[i];
        }
}

static void norm(clip_text_tower *t, const float *x, int rows, const float *gain, const float *bias)
{
    const clip_stack_config *c = &t->model->config.text.stack;
    clip_layer_norm(t->k, &(clip_norm_args){.x = x, .ldx = (size_t)c->width, .gain = gain, .bias = bias, .eps = c->eps,
                                            .rows = rows, .width = c->width, .y = t->h, .y_type = CLIP_T_F32});
}

/* y [rows][ldy] = h [rows][width] times parts first..2 of q, k, v. One call where the file keeps them together. */
static void project_qkv(clip_text_tower *t, const clip_block_weights *w, const float *bias, int rows, int first, int end,
                        float *y, size_t ldy)
{
    size_t width = (size_t)t->model->config.text.stack.width, part = width * width * clip_type_size(w->qkv[0].type);
    while (first < end) {
        int next = first + 1;
        while (next < end && w->qkv[next].type == w->qkv[first].type &&
               (const char *)w->qkv[next].data == (const char *)w->qkv[first].data + (size_t)(next - first) * part)
            next++;
        clip_linear_args a = {.x = t->h, .ldx = width, .rows = rows, .in = (int)width, .w = w->qkv[first].data,
                              .type = w->qkv[first].type, .b = bias + (size_t)first * width, .y = y, .ldy = ldy};
        clip_layer_linear(t->k, &a, (next - first) * (int)width);
        y += (size_t)(next - first) * width;
        first = next;
    }
}

static void linear(clip_text_tower *t, const float *x, int rows, int in, clip_view w, const float *bias, float *y, int out,
                   clip_activation act, bool add)
{
    clip_linear_args a = {.x = x, .ldx = (size_t)in, .rows = rows, .in = in, .w = w.data, .type = w.type, .b = bias, .y = y,
                          .ldy = (size_t)out, .act = act, .add = add};
    clip_layer_linear(t->k, &a, out);
}

static void attend(clip_text_tower *t, const float *q, size_t ldq, const int *starts, int n, bool last_only)
{
    const clip_text_config *c = &t->model->config.text;
    size_t width = (size_t)c->stack.width;
    int head = c->stack.width / c->stack.heads;
    clip_layer_mha(t->k, &(clip_mha_args){.q = q, .k = t->qkv + width, .v = t->qkv + 2 * width, .ldq = ldq, .ldkv = 3 * width,
                                          .scale = 1 / sqrtf((float)head), .out = t->h, .sequences = n, .queries = c->context,
                                          .keys = c->context, .heads = c->stack.heads, .head = head, .starts = starts,
                                          .last_only = last_only, .causal = true, .scratch = t->mha});
}

static void finish_block(clip_text_tower *t, const clip_block_weights *w, const clip_block_vectors *v, float *x, int rows)
{
    const clip_stack_config *c = &t->model->config.text.stack;
    linear(t, t->h, rows, c->width, w->out, v->out_bias, x, c->width, CLIP_ACT_NONE, true);
    norm(t, x, rows, v->ln_2_gain, v->ln_2_bias);
    linear(t, t->h, rows, c->width, w->fc1, v->fc1_bias, t->wide, c->mlp, c->act, false);
    linear(t, t->wide, rows, c->mlp, w->fc2, v->fc2_bias, x, c->width, CLIP_ACT_NONE, true);
}

static void block(clip_text_tower *t, int layer, const int *starts, int n)
{
    const clip_block_weights *w = &t->model->text.blocks[layer];
    const clip_block_vectors *v = &t->vectors[layer];
    size_t width = (size_t)t->model->config.text.stack.width;
    int rows = starts[n];
    norm(t, t->x, rows, v->ln_1_gain, v->ln_1_bias);
    project_qkv(t, w, v->qkv_bias, rows, 0, 3, t->qkv, 3 * width);
    attend(t, t->qkv, 3 * width, starts, n, false);
    finish_block(t, w, v, t->x, rows);
}

/* Keys and values of every token, but queries and all that follows of the end tokens alone. */
static void last_block(clip_text_tower *t, const int *starts, int n)
{
    int layer = t->model->config.text.stack.layers - 1;
    const clip_block_weights *w = &t->model->text.blocks[layer];
    const clip_block_vectors *v = &t->vectors[layer];
    size_t width = (size_t)t->model->config.text.stack.width;
    norm(t, t->x, starts[n], v->ln_1_gain, v->ln_1_bias);
    project_qkv(t, w, v->qkv_bias, starts[n], 1, 3, t->qkv + width, 3 * width);
    for (int s = 0; s < n; s++) { /* h's rows move up: row s is never after row starts[s+1]-1 */
        size_t end = (size_t)(starts[s + 1] - 1) * width;
        memcpy(t->last + (size_t)s * width, t->x + end, width * sizeof *t->x);
        memmove(t->h + (size_t)s * width, t->h + end, width * sizeof *t->h);
    }
    project_qkv(t, w, v->qkv_bias, n, 0, 1, t->q_last, width);
    attend(t, t->q_last, width, starts, n, true);
    finish_block(t, w, v, t->last, n);
}

/* y [dim] = x [width] P, P being [width][dim] */
static void project_transposed(clip_text_tower *t, const float *x, clip_view p, float *y)
{
    size_t dim = (size_t)t->model->config.dim, width = (size_t)t->model->config.text.stack.width;
    memset(y, 0, dim * sizeof *y);
    for (size_t k = 0; k < width; k++) {
        t->k->to_f32((const char *)p.data + k * dim * clip_type_size(p.type), p.type, t->column, dim);
        for (size_t i = 0; i < dim; i++) y[i] += x[k] * t->column[i];
    }
}

bool clip_text_tower_run(clip_text_tower *t, const int32_t *ids, const int *starts, int n, float *out)
{
    const clip_config *c = &t->model->config;
    const clip_projection *p = &t->model->text.projection;
    int width = c->text.stack.width;
    embed(t, ids, starts, n);
    tap(t, "embedding", t->x, starts[n], width);
    for (int i = 0; i < c->text.stack.layers - 1; i++) {
        block(t, i, starts, n);
        tap(t, "block", t->x, starts[n], width);
    }
    last_block(t, starts, n);
    tap(t, "last", t->last, n, width);
    norm(t, t->last, n, t->ln_gain, t->ln_bias);
    if (!p->transposed) linear(t, t->h, n, width, p->w, NULL, out, c->dim, CLIP_ACT_NONE, false);
    for (int s = 0; s < n && p->transposed; s++)
        project_transposed(t, t->h + (size_t)s * width, p->w, out + (size_t)s * c->dim);
    return true;
}
