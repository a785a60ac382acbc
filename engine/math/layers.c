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

typedef struct mha_rows {
    size_t query, key; /* first rows of a sequence */
    int queries, keys;
} mha_rows;

static mha_rows mha_sequence(const clip_mha_args *a, int s)
{
    if (!a->starts)
        return (mha_rows){(size_t)s * (size_t)a->queries, (size_t)s * (size_t)a->keys, a->queries, a->keys};
    int keys = a->starts[s + 1] - a->starts[s];
    size_t first = (size_t)a->starts[s];
    return (mha_rows){a->last_only ? (size_t)s : first, first, a->last_only ? 1 : keys, keys};
}

static void mha_one(const clip_kernels *k, const clip_mha_args *a, int s, int h, float *scratch)
{
    mha_rows r = mha_sequence(a, s);
    size_t width = (size_t)a->heads * (size_t)a->head, at = (size_t)h * (size_t)a->head;
    float *own = scratch + clip_attention_scratch(a->keys, a->head); /* [queries][head] */
    bool direct = a->out_type == CLIP_T_F32;
    k->attention(&(clip_attention_args){
        .q = a->q + r.query * a->ldq + at,
        .k = a->k + r.key * a->ldkv + at,
        .v = a->v + r.key * a->ldkv + at,
        .ldq = a->ldq,
        .ldkv = a->ldkv,
        .scale = a->scale,
        .out = direct ? (float *)a->out + r.query * width + at : own,
        .ldo = direct ? width : (size_t)a->head,
        .queries = r.queries,
        .keys = r.keys,
        .head = a->head,
        .causal = a->causal,
        .scratch = scratch,
    });
    if (direct) return;
    for (int i = 0; i < r.queries; i++)
        k->to_bf16(own + (size_t)i * a->head, (uint16_t *)a->out + (r.query + (size_t)i) * width + at, (size_t)a->head);
}

void clip_layer_mha(const clip_kernels *k, const clip_mha_args *a)
{
    size_t each = mha_thread_scratch(a->queries, a->keys, a->head);
    int tasks = a->sequences * a->heads;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < tasks; i++)
        mha_one(k, a, i / a->heads, i % a->heads, a->scratch + (size_t)omp_get_thread_num() * each);
}

void clip_layer_patches(const clip_kernels *k, const uint8_t *images, int n, int size, int patch, float *out)
{
    int side = size / patch;
    size_t line = (size_t)patch * 3, stride = (size_t)size * 3;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < n * side; i++) { /* one row of patches */
        const uint8_t *top = images + (size_t)(i / side) * stride * (size_t)size + (size_t)(i % side) * patch * stride;
        float *to = out + (size_t)i * side * line * patch;
        for (int p = 0; p < side; p++)
            for (int y = 0; y < patch; y++, to += line) k->bytes_to_f32(top + (size_t)y * stride + p * line, to, line);
    }
}

void clip_layer_embed(const clip_kernels *k, const clip_embed_args *a)
{
    size_t w = (size_t)a->width;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < a->sequences * a->tokens; r++) {
        int s = r / a->tokens, t = r % a->tokens;
        const float *from = t ? a->rest + ((size_t)s * (a->tokens - 1) + t - 1) * w : a->first, *at = a->positions + t * w;
        float *x = a->x + (size_t)r * w;
        for (size_t i = 0; i < w; i++) x[i] = from[i] + at[i];
        k->layer_norm(x, a->gain, a->bias, a->eps, a->width, x);
    }
}

/* Sixteen pixels at a time, so that the compiler sees a whole number of vectors. */
static void pixels_16(const uint8_t *p, const float scale[48], const float shift[48], float *out)
{
    for (int i = 0; i < 48; i++) out[i] = (float)p[i] * scale[i] + shift[i];
}

void clip_layer_pixels(const uint8_t *pixels, size_t n, const float scale[3], const float shift[3], float *out)
{
    float scales[48], shifts[48];
    for (int i = 0; i < 48; i++) scales[i] = scale[i % 3], shifts[i] = shift[i % 3];
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n / 16; i++) pixels_16(pixels + i * 48, scales, shifts, out + i * 48);
    for (size_t i = n / 16 * 48; i < n * 3; i++) out[i] = (float)pixels[i] * scales[i % 3] + shifts[i % 3];
}

void clip_layer_mean(const float *x, int sequences, int rows, int width, float *y)
{
#pragma omp parallel for schedule(static)
    for (int s = 0; s < sequences; s++) {
        float *to = y + (size_t)s * width;
        for (int i = 0; i < width; i++) to[i] = 0;
        for (int r = 0; r < rows; r++) {
            const float *from = x + ((size_t)s * rows + r) * width;
            for (int i = 0; i < width; i++) to[i] += from[i];
        }
        for (int i = 0; i < width; i++) to[i] /= (float)rows;
    }
}
