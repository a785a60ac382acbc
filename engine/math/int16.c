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

/* The factor by which the weights of one output are multiplied before they are rounded: as large as the sum of their sizes
 * allows, to which rounding may add half a unit for each. NaN when one is not finite. */
static double widest_scale(const float *w, int in, int most)
{
    double sum = 0, largest = 0, room = (double)(INT32_MAX / most) - 0.5 * in - 1;
    for (int k = 0; k < in; k++) {
        double size = fabs((double)w[k]);
        sum += size;
        if (size > largest) largest = size;
    }
    if (!isfinite(sum)) return NAN;
    return sum > 0 ? fmin(INT16_MAX / largest, room / sum) : 1;
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
    clip_int16_weights *p;
    if (in > INT32_MAX / most) return clip_fail(err, CLIP_E_LIMIT, "a layer of %d inputs is too wide for 16-bit integers", in);
    p = calloc(1, sizeof *p);
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
    return c.avx2 && c.fma && c.f16c; /* what that file is compiled for */
}

const clip_int16_kernel *clip_int16_best(void)
{
#if defined(__x86_64__)
    if (clip_int16_is_fast()) return &clip_int16_avx2;
#endif
    return &clip_int16_plain;
}
