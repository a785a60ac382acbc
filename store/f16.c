/* f16.c: the only arithmetic of the store: it does not know the engine, and a search that is exact over a few thousand rows
 * wants no library loaded for it. With F16C a dot product of 512 takes about 40 ns, less than reading its row. */
#include "store/f16.h"

#include <string.h>

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define FAST 1
#include <immintrin.h>
#endif

static uint16_t narrow(float f)
{
    uint32_t x;
    memcpy(&x, &f, 4);
    uint16_t sign = (uint16_t)(x >> 16 & 0x8000);
    x &= 0x7fffffff;
    if (x > 0x7f800000) return sign | 0x7e00 | (uint16_t)(x >> 13 & 0x3ff); /* not a number, made quiet */
    if (x >= 0x477ff000) return sign | 0x7c00;                              /* rounds to infinity */
    if (x < 0x33000001) return sign;                                        /* rounds to zero */
    int shift = 13;
    uint32_t m = x, bias = (uint32_t)112 << 23;
    if (x < 0x38800000) { /* subnormal: the leading one becomes explicit and moves right */
        shift = 126 - (int)(x >> 23);
        m = (x & 0x7fffff) | 0x800000;
        bias = 0;
    }
    m -= bias;
    uint32_t rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
    m >>= shift;
    if (rest > half || (rest == half && (m & 1))) m++;
    return (uint16_t)(sign | m);
}

static float widen(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff, x;
    if (e == 31) x = 0x7f800000 | m << 13 | (m ? 0x400000 : 0);
    else if (e) x = (e + 112) << 23 | m << 13;
    else {
        float f = (float)m * 0x1p-24f;
        memcpy(&x, &f, 4);
    }
    x |= sign;
    float f;
    memcpy(&f, &x, 4);
    return f;
}

void f16_from_f32_plain(const float *x, void *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = narrow(x[i]);
        memcpy((uint8_t *)out + 2 * i, &h, 2);
    }
}

static float at(const void *v, size_t i)
{
    uint16_t h;
    memcpy(&h, (const uint8_t *)v + 2 * i, 2);
    return widen(h);
}

void f16_to_f32_plain(const void *v, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = at(v, i);
}

float f16_dot_plain(const void *v, const float *q, size_t n)
{
    float s = 0;
    for (size_t i = 0; i < n; i++) s += at(v, i) * q[i];
    return s;
}

#ifdef FAST

static __m256 load(const void *v, size_t i)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint8_t *)v + 2 * i)));
}

void f16_from_f32(const float *x, void *out, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)((uint8_t *)out + 2 * i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    f16_from_f32_plain(x + i, (uint8_t *)out + 2 * i, n - i);
}

void f16_to_f32(const void *v, float *out, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, load(v, i));
    f16_to_f32_plain((const uint8_t *)v + 2 * i, out + i, n - i);
}

/* Four sums hide the latency of the multiply-add. */
float f16_dot(const void *v, const float *q, size_t n)
{
    __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        a = _mm256_fmadd_ps(load(v, i), _mm256_loadu_ps(q + i), a);
        b = _mm256_fmadd_ps(load(v, i + 8), _mm256_loadu_ps(q + i + 8), b);
        c = _mm256_fmadd_ps(load(v, i + 16), _mm256_loadu_ps(q + i + 16), c);
        d = _mm256_fmadd_ps(load(v, i + 24), _mm256_loadu_ps(q + i + 24), d);
    }
    for (; i + 8 <= n; i += 8) a = _mm256_fmadd_ps(load(v, i), _mm256_loadu_ps(q + i), a);
    a = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s) + f16_dot_plain((const uint8_t *)v + 2 * i, q + i, n - i);
}

#else

void f16_from_f32(const float *x, void *out, size_t n) { f16_from_f32_plain(x, out, n); }
void f16_to_f32(const void *v, float *out, size_t n) { f16_to_f32_plain(v, out, n); }
float f16_dot(const void *v, const float *q, size_t n) { return f16_dot_plain(v, q, n); }

#endif
