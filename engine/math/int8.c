/* int8.c: weights as 8-bit integers, and the product as its formula reads. See int8.h. */
#include "engine/math/int8.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/arena.h"
#include "engine/math/cpu.h"

/* The factor before rounding; NaN when a weight is not finite. */
static float widest_factor(const float *w, int in, int most)
{
    float largest = 0;
    for (int k = 0; k < in; k++) {
        float size = fabsf(w[k]);
        if (!(size <= FLT_MAX)) return NAN;
        largest = size > largest ? size : largest;
    }
    return largest > 1e-30f ? (float)most / largest : 0;
}

static void round_output(const float *w, int in, float factor, int8_t *to, float *scale, int32_t *total)
{
    *scale = factor > 0 ? 1 / factor : isnan(factor) ? NAN : 0;
    *total = 0;
    for (int k = 0; k < in; k++) {
        to[k] = factor > 0 ? (int8_t)lrintf(w[k] * factor) : 0;
        *total += to[k];
    }
}

static clip_status reserve_outputs(int in, int out, clip_int8_outputs *o, clip_error *err)
{
    if (in > CLIP_INT8_INPUTS) return clip_fail(err, CLIP_E_LIMIT, "a layer of %d inputs is too wide for 8-bit integers", in);
    size_t each = ((size_t)out + 15) & ~(size_t)15;
    float *block = clip_aligned_alloc(3 * each * sizeof *block);
    if (!block) return clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
    memset(block, 0, 3 * each * sizeof *block);
    *o = (clip_int8_outputs){.scale = block, .bias = block + each, .total = (int32_t *)(void *)(block + 2 * each)};
    return CLIP_OK;
}

clip_status clip_int8_round(const float *w, const float *b, int in, int out, int most, int8_t *rounded, clip_int8_outputs *o,
                            clip_error *err)
{
    clip_status s = reserve_outputs(in, out, o, err);
    for (int n = 0; n < out && !s; n++) {
        const float *from = w + (size_t)n * (size_t)in;
        round_output(from, in, widest_factor(from, in, most), rounded + (size_t)n * (size_t)in, &o->scale[n], &o->total[n]);
        o->bias[n] = b ? b[n] : 0;
    }
    return s;
}

/* ---- our own kernel ------------------------------------------------------------------------------------------------ */

void clip_int8_destroy(clip_int8_weights *w)
{
    if (!w) return;
    free(w->w);
    free(w->o.scale);
    free(w);
}

/* Of four weights that meet in 16 bits, the positive ones' sum or the negative ones', whichever is larger. */
static float sum_of_one_sign(float a, float b, float c, float d)
{
    float total = a + b + c + d, size = fabsf(a) + fabsf(b) + fabsf(c) + fabsf(d);
    return (size + fabsf(total)) / 2;
}

/* The largest of these sums: of inputs 0, 1, 4, 5 and of 2, 3, 6, 7 of each step. */
static float largest_sum(const float *w, int in)
{
    float most = 0;
    for (int k = 0; k < in; k += CLIP_INT8_STEP) {
        float step[CLIP_INT8_STEP] = {0};
        int n = in - k < CLIP_INT8_STEP ? in - k : CLIP_INT8_STEP;
        memcpy(step, w + k, (size_t)n * sizeof *step);
        float left = sum_of_one_sign(step[0], step[1], step[4], step[5]), right = sum_of_one_sign(step[2], step[3], step[6], step[7]);
        most = left > most ? left : most;
        most = right > most ? right : most;
    }
    return most;
}

static void pack_output(clip_int8_weights *p, int n, const float *w, int8_t *rounded)
{
    int8_t *panel = p->w + (size_t)(n / CLIP_INT8_PANEL) * (size_t)p->steps * CLIP_INT8_STEP * CLIP_INT8_PANEL;
    float factor = widest_factor(w, p->in, CLIP_INT8_MOST), sum = largest_sum(w, p->in);
    if (factor > 0) factor = fminf(factor, (CLIP_INT8_SUM - 2) / sum); /* rounding may add half a unit to each of the four */
    round_output(w, p->in, factor, rounded, &p->o.scale[n], &p->o.total[n]);
    for (int k = 0; k < p->in; k++) panel[(k / 4 * CLIP_INT8_PANEL + n % CLIP_INT8_PANEL) * 4 + k % 4] = rounded[k];
}

clip_status clip_int8_pack(const float *w, const float *b, int in, int out, clip_int8_weights **packed, clip_error *err)
{
    clip_int8_outputs o = {0};
    clip_status s = reserve_outputs(in, out, &o, err);
    if (s) return s;
    int panels = (out + CLIP_INT8_PANEL - 1) / CLIP_INT8_PANEL, steps = (in + CLIP_INT8_STEP - 1) / CLIP_INT8_STEP;
    size_t bytes = (size_t)panels * (size_t)steps * CLIP_INT8_STEP * CLIP_INT8_PANEL;
    clip_int8_weights *p = malloc(sizeof *p);
    int8_t *rounded = malloc((size_t)in), *room = clip_aligned_alloc(bytes);
    if (p) *p = (clip_int8_weights){in, out, panels, steps, room, o};
    if (!p || !room || !rounded) s = clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
    if (!s) memset(room, 0, bytes);
    for (int n = 0; n < out && !s; n++) {
        pack_output(p, n, w + (size_t)n * (size_t)in, rounded);
        o.bias[n] = b ? b[n] : 0;
    }
    free(rounded);
    if (!s) *packed = p;
    else if (p) clip_int8_destroy(p);
    else free(room), free(o.scale);
    return s;
}

static int32_t dot(const uint8_t *x, const int8_t *w, int in)
{
    int32_t sum = 0;
    for (int k = 0; k < in; k++) sum += x[k] * w[k / 4 * CLIP_INT8_PANEL * 4 + k % 4];
    return sum;
}

static void plain_product(const clip_int8_args *a)
{
    const clip_int8_weights *p = a->w;
    const clip_u8_row *rows = clip_int8_rows(a->x, (size_t)a->rows, p->in);
    for (int r = 0; r < a->rows; r++)
        for (int n = 0; n < p->out; n++) {
            const int8_t *panel = p->w + (size_t)(n / CLIP_INT8_PANEL) * (size_t)p->steps * CLIP_INT8_STEP * CLIP_INT8_PANEL;
            const uint8_t *x = (const uint8_t *)a->x + (size_t)r * (size_t)p->in;
            int32_t sum = dot(x, panel + n % CLIP_INT8_PANEL * 4, p->in) - rows[r].zero * p->o.total[n];
            float v = (float)sum * (rows[r].scale * p->o.scale[n]) + p->o.bias[n], *y = a->y + (size_t)r * a->ldy + n;
            *y = a->add ? *y + v : v;
        }
}

const clip_int8_kernel clip_int8_plain = {"plain C, 8-bit integers", plain_product};

bool clip_int8_is_fast(void)
{
    clip_cpu c = clip_cpu_get();
    return c.avx2 && c.fma && c.f16c; /* what that file is compiled for */
}

const clip_int8_kernel *clip_int8_best(void)
{
#if defined(__x86_64__)
    if (clip_int8_is_fast()) return &clip_int8_avx2;
#endif
    return &clip_int8_plain;
}
