/* int16.c: weights as 16-bit integers, and the product as its formula reads. See int16.h. */
#include "engine/math/int16.h"

#include <math.h>
#include <stdlib.h>

#include "engine/math/arena.h"
#include "engine/math/cpu.h"

void clip_int16_destroy(clip_int16_weights *w)
{
    if (!w) return;
    free(w->w);
    free(w->scale);
    free(w->bias);
    free(w);
}

/* The sum of sizes that the rounded weights would have. */
static int64_t rounded_sum(const float *w, int in, double scale)
{
    int64_t sum = 0;
    for (int k = 0; k < in; k++) sum += llabs(llrint(w[k] * scale));
    return sum;
}

/* The largest factor by which the weights of one output may be multiplied before they are rounded. Rounding may add half a
 * unit to each, so the factor that fits on average is made smaller until the sum really fits. */
static double widest_scale(const float *w, int in, int most)
{
    const int64_t limit = INT32_MAX / most;
    double sum = 0, largest = 0;
    for (int k = 0; k < in; k++) {
        sum += fabs((double)w[k]);
        largest = fmax(largest, fabs((double)w[k]));
    }
    if (!isfinite(sum)) return NAN;
    if (!(sum > 0)) return 1;
    double scale = fmin(INT16_MAX / largest, (double)limit / sum);
    while (rounded_sum(w, in, scale) > limit) scale *= 1 - 0x1p-10;
    return scale;
}

static void pack_output(clip_int16_weights *p, int n, const float *w, int most)
{
    int16_t *panel = p->w + (size_t)(n / CLIP_INT16_PANEL) * (size_t)p->pairs * CLIP_INT16_PANEL * 2;
    int column = n % CLIP_INT16_PANEL;
    double scale = widest_scale(w, p->in, most);
    p->scale[n] = (float)(1 / scale);
    if (isnan(scale)) return;
    for (int k = 0; k < p->in; k++) panel[(k / 2 * CLIP_INT16_PANEL + column) * 2 + k % 2] = (int16_t)llrint(w[k] * scale);
}

static bool reserve(clip_int16_weights *p)
{
    size_t outs = (size_t)p->panels * CLIP_INT16_PANEL, count = outs * (size_t)p->pairs * 2;
    p->w = clip_aligned_alloc(count * sizeof *p->w);
    p->scale = clip_aligned_alloc(outs * sizeof *p->scale);
    p->bias = clip_aligned_alloc(outs * sizeof *p->bias);
    if (!p->w || !p->scale || !p->bias) return false;
    for (size_t i = 0; i < count; i++) p->w[i] = 0;
    for (size_t i = 0; i < outs; i++) p->scale[i] = p->bias[i] = 0;
    return true;
}

clip_status clip_int16_pack(const float *w, const float *b, int in, int out, int most, clip_int16_weights **packed,
                            clip_error *err)
{
    clip_int16_weights *p = calloc(1, sizeof *p);
    if (!p) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    p->in = in;
    p->out = out;
    p->pairs = (in + 1) / 2;
    p->panels = (out + CLIP_INT16_PANEL - 1) / CLIP_INT16_PANEL;
    if (!reserve(p)) {
        clip_int16_destroy(p);
        return clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
    }
    for (int n = 0; n < out; n++) {
        pack_output(p, n, w + (size_t)n * (size_t)in, most);
        if (b) p->bias[n] = b[n];
    }
    *packed = p;
    return CLIP_OK;
}

static int32_t dot(const int16_t *x, const int16_t *w, int pairs)
{
    int32_t sum = 0;
    for (int k = 0; k < pairs; k++, w += CLIP_INT16_PANEL * 2) sum += x[2 * k] * w[0] + x[2 * k + 1] * w[1];
    return sum;
}

static void plain_product(const clip_int16_args *a)
{
    const clip_int16_weights *p = a->w;
    const float *scale = clip_int16_scales(a->x, (size_t)a->rows, p->in);
    for (int r = 0; r < a->rows; r++)
        for (int n = 0; n < p->out; n++) {
            const int16_t *x = (const int16_t *)a->x + (size_t)r * clip_int16_stride(p->in);
            const int16_t *panel = p->w + (size_t)(n / CLIP_INT16_PANEL) * (size_t)p->pairs * CLIP_INT16_PANEL * 2;
            float *y = a->y + (size_t)r * a->ldy + n;
            float v = (float)dot(x, panel + n % CLIP_INT16_PANEL * 2, p->pairs) * (scale[r] * p->scale[n]) + p->bias[n];
            if (a->add) v += *y;
            if (a->act != CLIP_ACT_NONE && v < 0) v = 0;
            if (a->act == CLIP_ACT_RELU6 && v > 6) v = 6;
            *y = v;
        }
}

const clip_int16_kernel clip_int16_plain = {"plain C, 16-bit integers", plain_product};

bool clip_int16_is_fast(void)
{
    clip_cpu c = clip_cpu_get();
    return c.avx2;
}

const clip_int16_kernel *clip_int16_best(void)
{
#if defined(__x86_64__)
    if (clip_int16_is_fast()) return &clip_int16_avx2;
#endif
    return &clip_int16_plain;
}
