/* conv_weights.c: see conv_weights.h. A batch norm after training is a scale and a shift for each channel, so it costs nothing
 * once it is part of the convolution before it: w' = w gain / sqrt(var + eps), b' = bias - mean gain / sqrt(var + eps). */
#include "engine/model/conv_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/math/arena.h"
#include "engine/model/block.h"

clip_status clip_conv_weights_take(const clip_safetensors *s, const char *prefix, const char *conv, const char *norm,
                                   clip_conv_weights *c, clip_error *err)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    clip_view *vectors[] = {&c->gain, &c->bias, &c->mean, &c->var};
    int64_t out = c->out;
    char full[192];
    snprintf(full, sizeof full, "%s%s.weight", prefix, conv);
    clip_status st = clip_weights_take(s, full, 4, (int64_t[]){out, c->depthwise ? 1 : c->in, c->kernel, c->kernel}, &c->w, err);
    for (int i = 0; i < 4 && !st; i++) {
        snprintf(full, sizeof full, "%s%s.%s", prefix, norm, parts[i]);
        st = clip_weights_take(s, full, 1, &out, vectors[i], err);
    }
    return st;
}

clip_status clip_conv_weights_pack(const clip_kernels *k, const clip_safetensors *s, const clip_conv_weights *c, double eps,
                                   const clip_conv *conv, clip_packed **packed, clip_error *err)
{
    size_t out = (size_t)c->out, each = (size_t)c->w.count / out;
    float *space = clip_aligned_alloc(((size_t)c->w.count + 4 * out) * sizeof *space);
    if (!space) return clip_fail(err, CLIP_E_MEMORY, "out of memory for the weights of %s", clip_safetensors_path(s));
    float *w = space, *gain = w + c->w.count, *bias = gain + out, *mean = bias + out, *var = mean + out;
    clip_view_read(k, c->w, w);
    clip_view_read(k, c->gain, gain);
    clip_view_read(k, c->bias, bias);
    clip_view_read(k, c->mean, mean);
    clip_view_read(k, c->var, var);
    clip_safetensors_release(s, c->w.data, (size_t)c->w.count * clip_type_size(c->w.type));
    for (size_t o = 0; o < out; o++) {
        double scale = gain[o] / sqrt(var[o] + eps);
        bias[o] = (float)(bias[o] - mean[o] * scale);
        for (size_t j = 0; j < each; j++) w[o * each + j] = (float)(w[o * each + j] * scale);
    }
    clip_status st = clip_conv_pack(conv, w, bias, packed, err);
    free(space);
    return st;
}
