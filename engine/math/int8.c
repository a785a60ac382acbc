/* int8.c: weights as 8-bit integers. See int8.h. */
#include "engine/math/int8.h"

#include <math.h>

#include "engine/math/arena.h"

/* The factor before rounding; NaN when a weight is not finite. */
static float widest_factor(const float *w, int in, int most)
{
    float largest = 0;
    for (int k = 0; k < in; k++) {
        if (!isfinite(w[k])) return NAN;
        largest = fmaxf(largest, fabsf(w[k]));
    }
    return largest > 1e-30f ? (float)most / largest : 0;
}

static void round_output(const float *w, int in, int most, int8_t *to, float *scale, int32_t *total)
{
    float factor = widest_factor(w, in, most);
    *scale = factor > 0 ? 1 / factor : isnan(factor) ? NAN : 0;
    *total = 0;
    for (int k = 0; k < in; k++) {
        to[k] = factor > 0 ? (int8_t)lrintf(w[k] * factor) : 0;
        *total += to[k];
    }
}

clip_status clip_int8_round(const float *w, const float *b, int in, int out, int most, int8_t *rounded, clip_int8_outputs *o,
                            clip_error *err)
{
    if (in > CLIP_INT8_INPUTS) return clip_fail(err, CLIP_E_LIMIT, "a layer of %d inputs is too wide for 8-bit integers", in);
    size_t each = ((size_t)out + 15) & ~(size_t)15;
    float *block = clip_aligned_alloc(3 * each * sizeof *block);
    if (!block) return clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
    *o = (clip_int8_outputs){.scale = block, .bias = block + each, .total = (int32_t *)(void *)(block + 2 * each)};
    for (int n = 0; n < out; n++) {
        size_t first = (size_t)n * (size_t)in;
        round_output(w + first, in, most, rounded + first, &o->scale[n], &o->total[n]);
        o->bias[n] = b ? b[n] : 0;
    }
    return CLIP_OK;
}
