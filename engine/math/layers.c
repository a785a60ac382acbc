/* layers.c: splits kernels among threads. Static schedules, because the pieces of one layer cost the same. */
#include "engine/math/layers.h"

#ifdef _OPENMP
#include <omp.h>
#else
/* Without OpenMP in the compiler oneDNN may still have its own. */
static int omp_get_thread_num(void) { return 0; }
static int omp_get_max_threads(void) { return 1; }
static void omp_set_num_threads(int n) { (void)n; }
#endif

int clip_threads_set(int n)
{
    int before = omp_get_max_threads();
    if (n > 0) omp_set_num_threads(n);
    return before;
}

/* 48 outputs of 2048 f16 weights are 196 kB: a piece that outweighs the split and divides by every vector width. */
#define LINEAR_PIECE 48

void clip_layer_linear(const clip_kernels *k, const clip_linear_args *a, int out)
{
    int pieces = (out + LINEAR_PIECE - 1) / LINEAR_PIECE;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < pieces; i++)
        k->linear(a, i * LINEAR_PIECE, (i + 1) * LINEAR_PIECE < out ? (i + 1) * LINEAR_PIECE : out);
}

static void norm_row(const clip_kernels *k, const clip_norm_args *a, int r)
{
    const float *x = a->x + (size_t)r * a->ldx;
    if (a->y_type == CLIP_T_F32) {
        k->layer_norm(x, a->gain, a->bias, a->eps, a->width, (float *)a->y + (size_t)r * a->width);
        return;
    }
    float row[CLIP_MAX_WIDTH];
    k->layer_norm(x, a->gain, a->bias, a->eps, a->width, row);
    k->to_bf16(row, (uint16_t *)a->y + (size_t)r * a->width, (size_t)a->width);
}

void clip_layer_norm(const clip_kernels *k, const clip_norm_args *a)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < a->rows; r++) norm_row(k, a, r);
}

/* Each thread: one head's scratch and, for bf16 results, one head's output. A multiple of 64 bytes. */
static size_t mha_thread_scratch(int queries, int keys, int head)
{
    size_t n = clip_attention_scratch(keys, head) + (size_t)queries * (size_t)head;
    return (n + 15) & ~(size_t)15;
}

size_t clip_mha_scratch(int threads, int queries, int keys, int head)
{
    return (size_t)threads * mha_thread_scratch(queries, keys, head);
}

static void mha_one(const clip_kernels *k, const clip_mha_args *a, int s, int h, float *scratch)
{
    size_t width = (size_t)a->heads * (size_t)a->head, at = (size_t)h * (size_t)a->head;
    size_t first = (size_t)s * (size_t)a->queries;
    float *own = scratch + clip_attention_scratch(a->keys, a->head); /* [queries][head] */
    bool direct = a->out_type == CLIP_T_F32;
    k->attention(&(clip_attention_args){
        .q = a->q + first * a->ldq + at,
        .k = a->k + (size_t)s * (size_t)a->keys * a->ldkv + at,
        .v = a->v + (size_t)s * (size_t)a->keys * a->ldkv + at,
        .ldq = a->ldq,
        .ldkv = a->ldkv,
        .out = direct ? (float *)a->out + first * width + at : own,
        .ldo = direct ? width : (size_t)a->head,
        .queries = a->queries,
        .keys = a->keys,
        .head = a->head,
        .causal = a->causal,
        .scratch = scratch,
    });
    if (direct) return;
    for (int i = 0; i < a->queries; i++)
        k->to_bf16(own + (size_t)i * a->head, (uint16_t *)a->out + (first + (size_t)i) * width + at, (size_t)a->head);
}

void clip_layer_mha(const clip_kernels *k, const clip_mha_args *a)
{
    size_t each = mha_thread_scratch(a->queries, a->keys, a->head);
    int tasks = a->sequences * a->heads;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < tasks; i++)
        mha_one(k, a, i / a->heads, i % a->heads, a->scratch + (size_t)omp_get_thread_num() * each);
}
