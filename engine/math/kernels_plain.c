/* kernels_plain.c: every kernel as its formula reads, one number at a time. Slow on purpose: this is what the vector
 * kernels are compared with, so nothing here may be clever. */
#include <math.h>
#include <string.h>

#include "engine/math/int16.h"
#include "engine/math/int8.h"
#include "engine/math/kernels.h"

/* IEEE 754 half to single. Subnormals are scaled by hand: 2^-24 is the weight of a half's last bit. */
static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023;
    uint32_t bits = sign | (exponent + 112) << 23 | mantissa << 13;
    if (exponent == 31) bits = sign | 0x7f800000u | mantissa << 13;
    float f;
    if (exponent == 0) {
        f = (float)mantissa * 0x1p-24f;
        return sign ? -f : f;
    }
    memcpy(&f, &bits, 4);
    return f;
}

static float load(const void *src, clip_type type, size_t i)
{
    float f;
    uint16_t h;
    uint32_t u;
    const unsigned char *p = src;
    switch (type) {
    case CLIP_T_F32:
        memcpy(&f, p + i * 4, 4);
        return f;
    case CLIP_T_F16:
        memcpy(&h, p + i * 2, 2);
        return half_to_float(h);
    case CLIP_T_BF16:
        memcpy(&h, p + i * 2, 2);
        u = (uint32_t)h << 16;
        memcpy(&f, &u, 4);
        return f;
    case CLIP_T_U8: return p[i];
    case CLIP_T_S8: return (signed char)p[i];
    case CLIP_T_S16: case CLIP_T_S32: break; /* never in a file */
    }
    return 0;
}

static float apply(float x, clip_activation act)
{
    switch (act) {
    case CLIP_ACT_GELU: return 0.5f * x * (1 + erff(x * 0.70710678f));
    case CLIP_ACT_GELU_TANH: return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case CLIP_ACT_QUICK_GELU: return x / (1 + expf(-1.702f * x));
    case CLIP_ACT_RELU6: return x < 0 ? 0 : x > 6 ? 6 : x;
    case CLIP_ACT_RELU: return x < 0 ? 0 : x;
    case CLIP_ACT_NONE: break;
    }
    return x;
}

static void plain_linear(const clip_linear_args *a, int first, int end)
{
    for (int r = 0; r < a->rows; r++)
        for (int n = first; n < end; n++) {
            float s = 0;
            for (int k = 0; k < a->in; k++) s += a->x[r * a->ldx + k] * load(a->w, a->type, (size_t)n * a->in + k);
            s = apply(s + (a->b ? a->b[n] : 0), a->act);
            float *y = a->y + r * a->ldy + n;
            *y = a->add ? *y + s : s;
        }
}

static void attend(const clip_attention_args *a, int i, int len)
{
    const float *q = a->q + i * a->ldq;
    float *p = a->scratch, *out = a->out + i * a->ldo, max = -INFINITY, sum = 0;
    for (int t = 0; t < len; t++) {
        p[t] = 0;
        for (int d = 0; d < a->head; d++) p[t] += q[d] * a->k[t * a->ldkv + d];
        p[t] *= a->scale;
        if (p[t] > max) max = p[t];
    }
    for (int t = 0; t < len; t++) sum += p[t] = expf(p[t] - max);
    for (int d = 0; d < a->head; d++) {
        float s = 0;
        for (int t = 0; t < len; t++) s += p[t] * a->v[t * a->ldkv + d];
        out[d] = s / sum;
    }
}

static void plain_attention(const clip_attention_args *a)
{
    for (int i = 0; i < a->queries; i++) attend(a, i, a->causal ? a->keys - a->queries + i + 1 : a->keys);
}

static void plain_layer_norm(const float *x, const float *gain, const float *bias, float eps, int width, float *y)
{
    double mean = 0, var = 0;
    for (int i = 0; i < width; i++) mean += x[i];
    mean /= width;
    for (int i = 0; i < width; i++) var += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(var / width + eps);
    for (int i = 0; i < width; i++) y[i] = (float)((x[i] - mean) * scale * gain[i] + bias[i]);
}

static void plain_activate(float *x, size_t n, clip_activation act)
{
    for (size_t i = 0; i < n; i++) x[i] = apply(x[i], act);
}

static void plain_to_f32(const void *src, clip_type type, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) dst[i] = load(src, type, i);
}

static void plain_to_bf16(const float *src, uint16_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, src + i, 4);
        bool nan = (u & 0x7fffffff) > 0x7f800000;
        dst[i] = nan ? 0x7fc0 : (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
    }
}

static float plain_to_int16(const float *src, int16_t *dst, size_t n, float bound)
{
    float most = bound;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        if (!bound) most = fmaxf(most, fabsf(src[i]));
        finite = finite && isfinite(src[i]);
    }
    float factor = finite && most > 0 ? CLIP_INT16_MOST / most : 0;
    for (size_t i = 0; i < n; i++) dst[i] = finite ? (int16_t)lrintf(src[i] * factor) : 0;
    return finite ? most / CLIP_INT16_MOST : NAN;
}

static clip_u8_row plain_to_u8(const float *src, uint8_t *dst, size_t n)
{
    float least = 0, most = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        least = fminf(least, src[i]), most = fmaxf(most, src[i]);
        finite = finite && isfinite(src[i]);
    }
    clip_u8_row row = clip_u8_range(least, most, finite);
    float factor = row.scale > 0 ? 1 / row.scale : 0;
    for (size_t i = 0; i < n; i++) dst[i] = factor > 0 ? clip_u8_of(src[i], factor, (float)row.zero) : 0;
    return row;
}

static void plain_from_sums(const clip_sums_args *a)
{
    for (size_t i = 0; i < a->n; i++) {
        float v = (float)(a->sums[i] - a->row.zero * a->total[i]) * (a->row.scale * a->scale[i]) + a->bias[i];
        a->y[i] = a->add ? a->y[i] + v : v;
    }
}

static void plain_bytes_to_f32(const uint8_t *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) dst[i] = src[i];
}

const clip_kernels clip_kernels_plain = {
    .name = "plain C",
    .linear = plain_linear,
    .attention = plain_attention,
    .layer_norm = plain_layer_norm,
    .activate = plain_activate,
    .to_f32 = plain_to_f32,
    .to_bf16 = plain_to_bf16,
    .to_int16 = plain_to_int16,
    .to_u8 = plain_to_u8,
    .from_sums = plain_from_sums,
    .bytes_to_f32 = plain_bytes_to_f32,
};
