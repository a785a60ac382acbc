/* kernels_vector.h: the vector kernels, written once for any width and compiled by kernels_avx2.c and kernels_avx512.c.
 *
 * The including file defines the vector type vf, its number of floats LANES, TILE_ROWS and TILE_COLS (how many
 * accumulators the registers hold: rows x vectors, with room for the operands), and the v_ functions used below. The
 * tiles are inline functions whose sizes are constants at each call, so that their loops unroll into registers.
 *
 * Two shapes of product occur. `dots` is for weights that lie output by output in the file, each a row of `in` numbers:
 * both operands are read along k and summed across the vector at the end. `tile` is for small matrices that attention
 * has packed itself: one operand is broadcast, the other read across. */
#ifndef CLIP_KERNELS_VECTOR_H
#define CLIP_KERNELS_VECTOR_H

#include <math.h>
#include <string.h>

#include "engine/math/int16.h"
#include "engine/math/int8.h"
#include "engine/math/kernels.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

/* ---- functions of a vector ------------------------------------------------------------------------------------- */

/* e^x by range reduction and the polynomial of Cephes' expf (S. Moshier); about 1 unit in the last place. Below -87 it
 * stays at e^-87 rather than 0, above 88 at e^88 rather than infinity; a NaN stays one. */
INLINE vf v_exp(vf x)
{
    x = v_max(v_set(-87.0f), v_min(v_set(88.0f), x));
    vf n = v_round(x * v_set(1.44269504f));
    vf r = x - n * v_set(0.693359375f) + n * v_set(2.12194440e-4f);
    vf p = v_set(1.9875691500e-4f);
    p = p * r + v_set(1.3981999507e-3f);
    p = p * r + v_set(8.3334519073e-3f);
    p = p * r + v_set(4.1665795894e-2f);
    p = p * r + v_set(1.6666665459e-1f);
    p = p * r + v_set(5.0000001201e-1f);
    return v_scale(p * r * r + r + v_set(1.0f), n);
}

INLINE vf v_sigmoid(vf x) { return v_set(1.0f) / (v_set(1.0f) + v_exp(-x)); }

/* x times the normal distribution's integral, by Abramowitz and Stegun 7.1.26: |error| of erf <= 1.5e-7. */
INLINE vf v_gelu(vf x)
{
    vf z = v_abs(x) * v_set(0.70710678f);
    vf t = v_set(1.0f) / (v_set(1.0f) + v_set(0.3275911f) * z);
    vf p = v_set(1.061405429f);
    p = p * t + v_set(-1.453152027f);
    p = p * t + v_set(1.421413741f);
    p = p * t + v_set(-0.284496736f);
    p = p * t + v_set(0.254829592f);
    vf half_tail = v_set(0.5f) * p * t * v_exp(-z * z); /* (1 - erf z) / 2, the part beyond |x| */
    return v_max(x, v_set(0.0f)) - v_abs(x) * half_tail;
}

INLINE vf v_gelu_tanh(vf x)
{
    return x * v_sigmoid(v_set(1.5957691f) * (x + v_set(0.044715f) * x * x * x));
}

INLINE vf v_activate(vf x, clip_activation act)
{
    switch (act) {
    case CLIP_ACT_GELU: return v_gelu(x);
    case CLIP_ACT_GELU_TANH: return v_gelu_tanh(x);
    case CLIP_ACT_QUICK_GELU: return x * v_sigmoid(v_set(1.702f) * x);
    case CLIP_ACT_RELU6: return v_max(v_set(0.0f), v_min(v_set(6.0f), x));
    case CLIP_ACT_RELU: return v_max(v_set(0.0f), x);
    case CLIP_ACT_NONE: break;
    }
    return x;
}

/* The first n < LANES floats, the others 0. */
INLINE vf v_load_part(const float *p, size_t n)
{
    float part[LANES] = {0};
    memcpy(part, p, n * sizeof *part);
    return v_load(part);
}

INLINE vf v_load_as(const void *p, clip_type type)
{
    return type == CLIP_T_F16 ? v_load_f16(p) : type == CLIP_T_BF16 ? v_load_bf16(p) : v_load(p);
}

INLINE vf v_load_part_as(const void *p, clip_type type, size_t n)
{
    float part[LANES] = {0};
    memcpy(part, p, n * clip_type_size(type));
    return v_load_as(part, type);
}

static void vector_activate(float *x, size_t n, clip_activation act)
{
    size_t i = 0;
    if (act == CLIP_ACT_NONE) return;
    for (; i + LANES <= n; i += LANES) v_store(x + i, v_activate(v_load(x + i), act));
    if (i == n) return;
    float part[LANES];
    v_store(part, v_activate(v_load_part(x + i, n - i), act));
    memcpy(x + i, part, (n - i) * sizeof *x);
}

/* ---- linear ---------------------------------------------------------------------------------------------------- */

/* Rows r .. r+R-1 against outputs n .. n+C-1. Each weight is converted once for R rows. */
INLINE void dots(const clip_linear_args *a, clip_type type, int r, int n, const int R, const int C)
{
    size_t size = clip_type_size(type), in = (size_t)a->in, k = 0;
    const float *x = a->x + (size_t)r * a->ldx;
    const char *w = (const char *)a->w + (size_t)n * in * size;
    vf sum[8][8], wv[8];
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int c = 0; c < C; c++) sum[i][c] = v_set(0.0f);

    for (; k + LANES <= in; k += LANES) {
        UNROLL for (int c = 0; c < C; c++) wv[c] = v_load_as(w + (c * in + k) * size, type);
        UNROLL for (int i = 0; i < R; i++) {
            vf xv = v_load(x + i * a->ldx + k);
            UNROLL for (int c = 0; c < C; c++) sum[i][c] += xv * wv[c];
        }
    }
    if (k < in) {
        UNROLL for (int c = 0; c < C; c++) wv[c] = v_load_part_as(w + (c * in + k) * size, type, in - k);
        UNROLL for (int i = 0; i < R; i++) {
            vf xv = v_load_part(x + i * a->ldx + k, in - k);
            UNROLL for (int c = 0; c < C; c++) sum[i][c] += xv * wv[c];
        }
    }
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int c = 0; c < C; c++) {
            float *y = a->y + (size_t)(r + i) * a->ldy + n + c;
            float s = v_sum(sum[i][c]) + (a->b ? a->b[n + c] : 0);
            *y = a->add ? *y + s : s;
        }
}

INLINE void dots_rows(const clip_linear_args *a, clip_type type, int n, const int C)
{
    int r = 0;
    for (; r + DOT_ROWS <= a->rows; r += DOT_ROWS) dots(a, type, r, n, DOT_ROWS, C);
    switch (a->rows - r) {
    case 5: dots(a, type, r, n, 5, C); break;
    case 4: dots(a, type, r, n, 4, C); break;
    case 3: dots(a, type, r, n, 3, C); break;
    case 2: dots(a, type, r, n, 2, C); break;
    case 1: dots(a, type, r, n, 1, C); break;
    }
}

INLINE void linear_as(const clip_linear_args *a, clip_type type, int first, int end)
{
    int n = first;
    for (; n + DOT_COLS <= end; n += DOT_COLS) dots_rows(a, type, n, DOT_COLS);
    for (; n < end; n++) dots_rows(a, type, n, 1);
}

static void vector_linear(const clip_linear_args *a, int first, int end)
{
    switch (a->type) {
    case CLIP_T_F16: linear_as(a, CLIP_T_F16, first, end); break;
    case CLIP_T_BF16: linear_as(a, CLIP_T_BF16, first, end); break;
    default: linear_as(a, CLIP_T_F32, first, end); break;
    }
    if (a->add || a->act == CLIP_ACT_NONE) return;
    for (int r = 0; r < a->rows; r++) vector_activate(a->y + (size_t)r * a->ldy + first, (size_t)(end - first), a->act);
}

/* ---- attention ------------------------------------------------------------------------------------------------- */

/* c = a b; a: [R][depth], b: [depth][N vectors], aligned; c: [R][N vectors] */
INLINE void tile(const float *a, size_t lda, const float *b, size_t ldb, int depth, float *c, size_t ldc, const int R,
                 const int N)
{
    vf sum[8][4], bv[4];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++) sum[r][n] = v_set(0.0f);
    for (int k = 0; k < depth; k++) {
        UNROLL for (int n = 0; n < N; n++) bv[n] = v_load(b + (size_t)k * ldb + n * LANES);
        UNROLL for (int r = 0; r < R; r++) {
            vf av = v_set(a[(size_t)r * lda + k]);
            UNROLL for (int n = 0; n < N; n++) sum[r][n] += av * bv[n];
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++) v_store(c + (size_t)r * ldc + n * LANES, sum[r][n]);
}

INLINE void tile_cols(const float *a, size_t lda, const float *b, size_t ldb, int depth, float *c, size_t ldc, const int R,
                      int vectors)
{
    int n = 0;
    for (; n + TILE_COLS <= vectors; n += TILE_COLS)
        tile(a, lda, b + n * LANES, ldb, depth, c + n * LANES, ldc, R, TILE_COLS);
    for (; n < vectors; n++) tile(a, lda, b + n * LANES, ldb, depth, c + n * LANES, ldc, R, 1);
}

static void product(const float *a, size_t lda, const float *b, size_t ldb, int depth, float *c, size_t ldc, int rows,
                    int vectors)
{
    switch (rows) {
    case 6: tile_cols(a, lda, b, ldb, depth, c, ldc, 6, vectors); break;
    case 5: tile_cols(a, lda, b, ldb, depth, c, ldc, 5, vectors); break;
    case 4: tile_cols(a, lda, b, ldb, depth, c, ldc, 4, vectors); break;
    case 3: tile_cols(a, lda, b, ldb, depth, c, ldc, 3, vectors); break;
    case 2: tile_cols(a, lda, b, ldb, depth, c, ldc, 2, vectors); break;
    case 1: tile_cols(a, lda, b, ldb, depth, c, ldc, 1, vectors); break;
    }
}

/* p: [padded] products, of which `len` count; they become e^(scale (p - max)), the others 0. Returns 1 / sum. */
static float soften(float *p, float scale, int len, int padded)
{
    vf max = v_set(-INFINITY), sum = v_set(0.0f);
    for (int t = len; t < padded; t++) p[t] = -INFINITY;
    for (int t = 0; t < padded; t += LANES) max = v_max(max, v_load(p + t));
    max = v_set(v_maximum(max));
    for (int t = 0; t < padded; t += LANES) {
        vf e = v_exp((v_load(p + t) - max) * v_set(scale));
        sum += e;
        v_store(p + t, e);
    }
    for (int t = len; t < padded; t++) p[t] = 0;
    return 1 / v_sum(sum);
}

static void vector_attention(const clip_attention_args *a)
{
    int head_vectors = (a->head + LANES - 1) / LANES;
    size_t ldt = ((size_t)a->keys + LANES - 1) / LANES * LANES, ldd = (size_t)head_vectors * LANES;
    float *kt = a->scratch;          /* [head][ldt] keys, transposed */
    float *v = kt + a->head * ldt;   /* [keys][ldd] */
    float *p = v + a->keys * ldd;    /* [TILE_ROWS][ldt] */
    float *o = p + TILE_ROWS * ldt;  /* [TILE_ROWS][ldd] */

    for (int d = 0; d < a->head; d++) memset(kt + d * ldt + ldt - LANES, 0, LANES * sizeof *kt);
    for (int t = 0; t < a->keys; t++) {
        for (int d = 0; d < a->head; d++) kt[d * ldt + t] = a->k[t * a->ldkv + d];
        memset(v + (t + 1) * ldd - LANES, 0, LANES * sizeof *v);
        memcpy(v + t * ldd, a->v + t * a->ldkv, (size_t)a->head * sizeof *v);
    }
    for (int i = 0; i < a->queries; i += TILE_ROWS) {
        int rows = a->queries - i < TILE_ROWS ? a->queries - i : TILE_ROWS;
        int seen = a->causal ? a->keys - a->queries + i + rows : a->keys; /* by the last of these rows */
        int vectors = (seen + LANES - 1) / LANES;
        float scale[TILE_ROWS];
        product(a->q + i * a->ldq, a->ldq, kt, ldt, a->head, p, ldt, rows, vectors);
        for (int r = 0; r < rows; r++)
            scale[r] = soften(p + r * ldt, a->scale, a->causal ? seen - rows + r + 1 : seen, vectors * LANES);
        product(p, ldt, v, ldd, seen, o, ldd, rows, head_vectors);
        for (int r = 0; r < rows; r++) {
            for (size_t d = 0; d < ldd; d += LANES) v_store(o + r * ldd + d, v_load(o + r * ldd + d) * v_set(scale[r]));
            memcpy(a->out + (i + r) * a->ldo, o + r * ldd, (size_t)a->head * sizeof *o);
        }
    }
}

/* ---- one row --------------------------------------------------------------------------------------------------- */

static void vector_layer_norm(const float *x, const float *gain, const float *bias, float eps, int width, float *y)
{
    int whole = width / LANES * LANES;
    vf s = v_set(0.0f);
    float tail = 0;
    for (int i = 0; i < whole; i += LANES) s += v_load(x + i);
    for (int i = whole; i < width; i++) tail += x[i];
    float mean = (v_sum(s) + tail) / (float)width;

    s = v_set(0.0f), tail = 0;
    for (int i = 0; i < whole; i += LANES) {
        vf d = v_load(x + i) - v_set(mean);
        s += d * d;
    }
    for (int i = whole; i < width; i++) tail += (x[i] - mean) * (x[i] - mean);
    float scale = 1 / sqrtf((v_sum(s) + tail) / (float)width + eps);

    for (int i = 0; i < whole; i += LANES)
        v_store(y + i, (v_load(x + i) - v_set(mean)) * v_set(scale) * v_load(gain + i) + v_load(bias + i));
    for (int i = whole; i < width; i++) y[i] = (x[i] - mean) * scale * gain[i] + bias[i];
}

static void vector_to_f32(const void *src, clip_type type, float *dst, size_t n)
{
    const char *p = src;
    size_t size = clip_type_size(type), i = 0;
    if (type == CLIP_T_F32) {
        memcpy(dst, src, n * sizeof *dst);
        return;
    }
    if (type != CLIP_T_F16 && type != CLIP_T_BF16) {
        clip_kernels_plain.to_f32(src, type, dst, n);
        return;
    }
    for (; i + LANES <= n; i += LANES) v_store(dst + i, v_load_as(p + i * size, type));
    if (i == n) return;
    float part[LANES];
    v_store(part, v_load_part_as(p + i * size, type, n - i));
    memcpy(dst + i, part, (n - i) * sizeof *dst);
}

/* The compiler's own vectors are as good as ours in these two. */
static void vector_to_bf16(const float *src, uint16_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, src + i, 4);
        uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
        dst[i] = (u & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (uint16_t)rounded;
    }
}

/* Of numbers that are not finite, some may be missed here. */
static float largest_size(const float *src, size_t n)
{
    vf most = v_set(0.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) most = v_max(most, v_abs(v_load(src + i)));
    return v_maximum(v_max(most, v_abs(v_load_part(src + i, n - i))));
}

static float vector_to_int16(const float *src, int16_t *dst, size_t n, float bound)
{
    float most = bound ? bound : largest_size(src, n), factor = most > 0 && most < INFINITY ? CLIP_INT16_MOST / most : 0;
    vf doubt = v_set(0.0f); /* x - x is 0, or a NaN where x is not finite */
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf x = v_load(src + i);
        doubt += x - x;
        v_store_int16(dst + i, x * v_set(factor));
    }
    vf x = v_load_part(src + i, n - i);
    int16_t part[LANES];
    doubt += x - x;
    v_store_int16(part, x * v_set(factor));
    memcpy(dst + i, part, (n - i) * sizeof *dst);
    if (v_sum(doubt) == 0) return most / CLIP_INT16_MOST;
    memset(dst, 0, n * sizeof *dst);
    return NAN;
}

static clip_u8_row vector_to_u8(const float *src, uint8_t *dst, size_t n)
{
    vf most = v_set(0.0f), least = most, doubt = most; /* least: its negative */
    size_t i = 0;
    for (; i < n; i += LANES) {
        vf x = i + LANES <= n ? v_load(src + i) : v_load_part(src + i, n - i);
        most = v_max(most, x), least = v_max(least, -x), doubt += x - x;
    }
    clip_u8_row row = clip_u8_range(-v_maximum(least), v_maximum(most), v_sum(doubt) == 0);
    float factor = 1 / row.scale, shift = (float)row.zero;
    if (!(row.scale > 0)) memset(dst, 0, n);
    else for (i = 0; i < n; i++) dst[i] = clip_u8_of(src[i], factor, shift); /* a loop that the compiler makes vectors of */
    return row;
}

/* Part by part, because y may be where the sums are. */
static void vector_from_sums(const clip_sums_args *a)
{
    enum { PART = 64 };
    for (size_t at = 0; at < a->n; at += PART) {
        size_t n = a->n - at < PART ? a->n - at : PART;
        const int32_t *restrict total = a->total + at;
        const float *restrict scale = a->scale + at, *restrict bias = a->bias + at;
        float *restrict y = a->y + at, v[PART];
        int32_t sums[PART];
        memcpy(sums, a->sums + at, n * sizeof *sums);
        for (size_t i = 0; i < n; i++) v[i] = (float)(sums[i] - a->row.zero * total[i]) * (a->row.scale * scale[i]) + bias[i];
        if (a->add) for (size_t i = 0; i < n; i++) y[i] += v[i];
        else memcpy(y, v, n * sizeof *v);
    }
}

static void vector_bytes_to_f32(const uint8_t *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) dst[i] = src[i];
}

#define CLIP_VECTOR_KERNELS(title)       \
    {                                    \
        .name = title,                   \
        .linear = vector_linear,         \
        .attention = vector_attention,   \
        .layer_norm = vector_layer_norm, \
        .activate = vector_activate,     \
        .to_f32 = vector_to_f32,         \
        .to_bf16 = vector_to_bf16,       \
        .to_int16 = vector_to_int16,     \
        .to_u8 = vector_to_u8,           \
        .from_sums = vector_from_sums,   \
        .bytes_to_f32 = vector_bytes_to_f32, \
    }

#endif
