/* layers.c: see layers.h. One thread each: whole images and texts are what the work is split by. */
#include "engine/math/layers.h"

#include <string.h>

#include "engine/math/int16.h"
#include "engine/math/int8.h"

/* Row r of the matrix y of `rows` rows. */
static void int16_row(const clip_kernels *k, const float *x, int r, int rows, int width, float bound, void *y)
{
    size_t stride = clip_int16_stride(width), n = (size_t)width;
    int16_t *to = (int16_t *)y + (size_t)r * stride;
    clip_int16_scales(y, (size_t)rows, width)[r] = k->to_int16(x, to, n, bound);
    memset(to + n, 0, (stride - n) * sizeof *to);
}

void clip_layer_int16(const clip_kernels *k, float *x, int rows, int width, clip_activation act, float bound, void *y)
{
    for (int r = 0; r < rows; r++) {
        float *row = x + (size_t)r * (size_t)width;
        k->activate(row, (size_t)width, act);
        int16_row(k, row, r, rows, width, bound, y);
    }
}

static void u8_row(const clip_kernels *k, const float *x, int r, int rows, int width, void *y)
{
    size_t n = (size_t)width;
    clip_int8_rows(y, (size_t)rows, width)[r] = k->to_u8(x, (uint8_t *)y + (size_t)r * n, n);
}

void clip_layer_u8(const clip_kernels *k, float *x, int rows, int width, clip_activation act, void *y)
{
    for (int r = 0; r < rows; r++) {
        float *row = x + (size_t)r * (size_t)width;
        k->activate(row, (size_t)width, act);
        u8_row(k, row, r, rows, width, y);
    }
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
    if (a->y_type == CLIP_T_S16) int16_row(k, row, r, a->rows, a->width, 0, a->y);
    else if (a->y_type == CLIP_T_U8) u8_row(k, row, r, a->rows, a->width, a->y);
    else k->to_bf16(row, (uint16_t *)a->y + (size_t)r * a->width, (size_t)a->width);
}

void clip_layer_norm(const clip_kernels *k, const clip_norm_args *a)
{
    for (int r = 0; r < a->rows; r++) norm_row(k, a, r);
}

/* One head's scratch and, for bf16 results, one head's output. */
size_t clip_mha_scratch(int queries, int keys, int head)
{
    return clip_attention_scratch(keys, head) + (size_t)queries * (size_t)head;
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

static void mha_one(const clip_kernels *k, const clip_mha_args *a, int s, int h)
{
    mha_rows r = mha_sequence(a, s);
    size_t width = (size_t)a->heads * (size_t)a->head, at = (size_t)h * (size_t)a->head;
    float *own = a->scratch + clip_attention_scratch(a->keys, a->head); /* [queries][head] */
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
        .scratch = a->scratch,
    });
    if (direct) return;
    for (int i = 0; i < r.queries; i++)
        k->to_bf16(own + (size_t)i * a->head, (uint16_t *)a->out + (r.query + (size_t)i) * width + at, (size_t)a->head);
}

void clip_layer_mha(const clip_kernels *k, const clip_mha_args *a)
{
    for (int s = 0; s < a->sequences; s++)
        for (int h = 0; h < a->heads; h++) mha_one(k, a, s, h);
}

static void bytes_to_int16(const uint8_t *src, int16_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) dst[i] = src[i];
}

/* One patch; its lines are `stride` bytes apart. */
static void patch_row(const clip_kernels *k, const uint8_t *pixels, size_t stride, int patch, void *out, clip_type type)
{
    size_t line = (size_t)patch * 3, n = line * (size_t)patch;
    for (size_t y = 0; y < (size_t)patch; y++)
        if (type == CLIP_T_F32) k->bytes_to_f32(pixels + y * stride, (float *)out + y * line, line);
        else bytes_to_int16(pixels + y * stride, (int16_t *)out + y * line, line);
    if (type == CLIP_T_S16) memset((int16_t *)out + n, 0, (clip_int16_stride((int)n) - n) * sizeof(int16_t));
}

void clip_layer_patches(const clip_kernels *k, const uint8_t *images, int n, int size, int patch, void *out, clip_type type)
{
    size_t side = (size_t)(size / patch), line = (size_t)patch * 3, stride = (size_t)size * 3, count = (size_t)n * side * side;
    int width = (int)line * patch;
    size_t row = type == CLIP_T_F32 ? (size_t)width * sizeof(float) : clip_int16_stride(width) * sizeof(int16_t);
    for (size_t i = 0; i < count; i++) {
        size_t image = i / (side * side), y = i / side % side, x = i % side;
        const uint8_t *pixels = images + (image * (size_t)size + y * (size_t)patch) * stride + x * line;
        patch_row(k, pixels, stride, patch, (char *)out + i * row, type);
    }
    for (size_t i = 0; i < count && type == CLIP_T_S16; i++) clip_int16_scales(out, count, width)[i] = 1;
}

void clip_layer_embed(const clip_kernels *k, const clip_embed_args *a)
{
    size_t w = (size_t)a->width;
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

void clip_layer_pixels(const uint8_t *pixels, size_t n, const float mean[3], const float std[3], float *out)
{
    float scales[48], shifts[48];
    for (int i = 0; i < 48; i++) scales[i] = 1 / (255 * std[i % 3]), shifts[i] = -mean[i % 3] / std[i % 3];
    for (size_t i = 0; i < n / 16; i++) pixels_16(pixels + i * 48, scales, shifts, out + i * 48);
    for (size_t i = n / 16 * 48; i < n * 3; i++) out[i] = (float)pixels[i] * scales[i % 3] + shifts[i % 3];
}

void clip_layer_mean(const float *x, int sequences, int rows, int width, float *y)
{
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
