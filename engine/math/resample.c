/* resample.c: the plain C reference of the resampling loops, and the choice among implementations.
 *
 * Method: Pillow's 8-bit resampling (documented in its manual under "Filters"; the fixed-point scheme was read from its
 * source and written anew). Kept simple on purpose: resample_avx2.c is compared against it bit by bit. */
#include "engine/math/resample.h"

#include "engine/math/resample_avx2.h"

static uint8_t clip8(int32_t sum)
{
    sum >>= CLIP_WEIGHT_BITS;
    return sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
}

static void horizontal(const clip_taps *t, const uint8_t *row, uint8_t *out)
{
    for (int i = 0; i < t->count; i++) {
        const uint8_t *p = row + (size_t)t->first[i] * 3;
        const int32_t *w = t->weight + (size_t)i * (size_t)t->stride; /* [stride] */
        int32_t r = 1 << (CLIP_WEIGHT_BITS - 1), g = r, b = r;
        for (int k = 0; k < t->n[i]; k++, p += 3) {
            r += p[0] * w[k];
            g += p[1] * w[k];
            b += p[2] * w[k];
        }
        out[3 * i] = clip8(r);
        out[3 * i + 1] = clip8(g);
        out[3 * i + 2] = clip8(b);
    }
}

static void vertical(const clip_taps *t, int i, const uint8_t **rows, size_t width, uint8_t *out)
{
    const int32_t *w = t->weight + (size_t)i * (size_t)t->stride; /* [stride] */
    for (size_t x = 0; x < width; x++) {
        int32_t sum = 1 << (CLIP_WEIGHT_BITS - 1);
        for (int k = 0; k < t->n[i]; k++) sum += rows[k][x] * w[k];
        out[x] = clip8(sum);
    }
}

const clip_resample_kernels clip_resample_c = {"c", horizontal, vertical};

const clip_resample_kernels *clip_resample_pick(void)
{
#ifdef CLIP_RESAMPLE_HAVE_AVX2
    if (__builtin_cpu_supports("avx2")) return &clip_resample_avx2;
#endif
    return &clip_resample_c;
}
