/* conv.c: convolutions by oneDNN, channels last, with bias, activation and residual sum as post-operations. Batch norms do
 * not exist here: whoever packs the weights has folded them in. */
#include <stdlib.h>

#include "engine/math/dnn_internal.h"

struct clip_conv {
    clip_dnn *d;
    clip_conv_spec spec;
    const clip_int16_kernel *own; /* with 16-bit integers, and then nothing of what follows */
    clip_md weights, bias, scratch;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, y, scratch_memory; /* bare: each run points them at its buffers */
};

int clip_conv_side(const clip_conv_spec *s) { return (s->side + s->pad_before + s->pad_after - s->kernel) / s->stride + 1; }

void clip_conv_destroy(clip_conv *c)
{
    if (!c) return;
    dnnl_memory_t memories[] = {c->x, c->y, c->scratch_memory};
    for (int i = 0; i < 3; i++)
        if (memories[i]) dnnl_memory_destroy(memories[i]);
    if (c->primitive) dnnl_primitive_destroy(c->primitive);
    if (c->pd) dnnl_primitive_desc_destroy(c->pd);
    clip_md_free(&c->weights);
    clip_md_free(&c->bias);
    clip_md_free(&c->scratch);
    free(c);
}

/* Weights have a leading dimension of groups when depthwise. */
static int weight_shape(const clip_conv_spec *s, dnnl_dim_t size[5], dnnl_dim_t strides[5])
{
    dnnl_dim_t k = s->kernel, in = s->depthwise ? 1 : s->in;
    const dnnl_dim_t deep[] = {s->out, 1, 1, k, k}, full[] = {s->out, in, k, k};
    int dims = s->depthwise ? 5 : 4;
    for (int i = 0; i < dims; i++) size[i] = s->depthwise ? deep[i] : full[i];
    strides[dims - 1] = 1;
    for (int i = dims - 1; i > 0; i--) strides[i - 1] = strides[i] * size[i];
    return dims;
}

static bool channels_last(clip_md *m, int images, int side, int channels, clip_type type)
{
    dnnl_dim_t n = side, c = channels, size[] = {images, c, n, n}, strides[] = {n * n * c, 1, n * c, c};
    return clip_md_make(m, 4, size, type, strides);
}

dnnl_status_t clip_dnn_describe_convolution(clip_dnn *d, const clip_md *x, const clip_md *w, const clip_md *b, const clip_md *y,
                                            const int stride[2], const int before[2], const int after[2],
                                            dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
    dnnl_dims_t step = {stride[0], stride[1]}, top = {before[0], before[1]}, bottom = {after[0], after[1]};
#if DNNL_VERSION_MAJOR >= 3
    dnnl_dims_t dilation = {0, 0};
    return dnnl_convolution_forward_primitive_desc_create(out, d->engine, dnnl_forward_inference, dnnl_convolution_direct,
                                                          CLIP_MD(*x), CLIP_MD(*w), CLIP_MD(*b), CLIP_MD(*y), step, dilation,
                                                          top, bottom, attr);
#else
    dnnl_convolution_desc_t desc;
    dnnl_status_t s = dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, CLIP_MD(*x),
                                                         CLIP_MD(*w), CLIP_MD(*b), CLIP_MD(*y), step, top, bottom);
    return s == dnnl_success ? dnnl_primitive_desc_create(out, &desc, attr, d->engine, NULL) : s;
#endif
}

static bool describe(clip_conv *c, const clip_md *x, const clip_md *w, const clip_md *b, const clip_md *y)
{
    const clip_conv_spec *s = &c->spec;
    const int stride[] = {s->stride, s->stride}, before[] = {s->pad_before, s->pad_before}, after[] = {s->pad_after, s->pad_after};
    dnnl_primitive_attr_t attr = clip_dnn_attr(s->add, s->act);
    if (!attr) return false;
    dnnl_status_t st = clip_dnn_describe_convolution(c->d, x, w, b, y, stride, before, after, attr, &c->pd);
    dnnl_primitive_attr_destroy(attr);
    return st == dnnl_success;
}

static bool compile(clip_conv *c, const clip_conv *like)
{
    const clip_conv_spec *s = &c->spec;
    clip_md x = {0}, w = {0}, y = {0};
    dnnl_dim_t size[5], strides[5], outs[] = {s->out};
    int dims = weight_shape(s, size, strides);
    bool ok = channels_last(&x, s->images, s->side, s->in, s->type) &&
              channels_last(&y, s->images, clip_conv_side(s), s->out, s->y_type) &&
              clip_md_make(&c->bias, 1, outs, CLIP_T_F32, (dnnl_dim_t[]){1}) &&
              (like || clip_md_make(&w, dims, size, s->type, NULL));
    ok = ok && describe(c, &x, like ? &like->weights : &w, &c->bias, &y) &&
         clip_md_of(c->pd, dnnl_query_weights_md, 0, &c->weights) &&
         clip_md_of(c->pd, dnnl_query_scratchpad_md, 0, &c->scratch) &&
         dnnl_primitive_create(&c->primitive, c->pd) == dnnl_success && clip_memory_bare(c->d, &x, &c->x) &&
         clip_memory_bare(c->d, &y, &c->y) && clip_memory_bare(c->d, &c->scratch, &c->scratch_memory);
    clip_md_free(&x);
    clip_md_free(&w);
    clip_md_free(&y);
    return ok;
}

clip_status clip_conv_create(clip_dnn *d, const clip_conv_spec *spec, const clip_conv *like, clip_conv **out, clip_error *err)
{
    clip_conv *c = calloc(1, sizeof *c);
    if (!c) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    c->d = d;
    c->spec = *spec;
    if (spec->type == CLIP_T_S16) c->own = clip_int16_best();
    bool possible = spec->kernel == 1 && spec->stride == 1 && !spec->depthwise && spec->y_type == CLIP_T_F32 && clip_int16_knows(spec->act);
    if (c->own ? !possible : !compile(c, like)) {
        clip_conv_destroy(c);
        return clip_fail(err, CLIP_E_INTERNAL, "oneDNN made no %dx%d convolution from %d to %d channels", spec->kernel,
                         spec->kernel, spec->in, spec->out);
    }
    *out = c;
    return CLIP_OK;
}

size_t clip_conv_scratch(const clip_conv *c) { return c->own ? 0 : clip_md_bytes(&c->scratch); }

const char *clip_conv_kernel(const clip_conv *c) { return c->own ? c->own->name : clip_dnn_kernel(c->pd); }

clip_status clip_conv_pack(const clip_conv *c, const float *w, const float *b, clip_packed **out, clip_error *err)
{
    clip_md plain = {0};
    dnnl_dim_t size[5], strides[5];
    if (c->own) return clip_dnn_pack_int16(w, b, c->spec.in, c->spec.out, CLIP_INT16_MOST, out, err);
    int dims = weight_shape(&c->spec, size, strides);
    if (!clip_md_make(&plain, dims, size, CLIP_T_F32, strides)) return clip_fail(err, CLIP_E_INTERNAL, "oneDNN refused a shape");
    clip_status s = clip_dnn_pack(c->d, &plain, w, &c->weights, &c->bias, b, out, err);
    clip_md_free(&plain);
    return s;
}

static void run_own(const clip_conv *c, const clip_packed *w, const void *x, float *y)
{
    const clip_conv_spec *s = &c->spec;
    c->own->product(&(clip_int16_args){.w = w->narrow, .x = x, .rows = s->images * s->side * s->side, .y = y, .ldy = (size_t)s->out,
                                       .act = s->act, .add = s->add});
}

bool clip_conv_run(clip_conv *c, const clip_packed *w, const void *x, void *y, void *scratch)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, c->x},         {DNNL_ARG_WEIGHTS, w->weights},
                              {DNNL_ARG_BIAS, w->bias},     {DNNL_ARG_DST, c->y},
                              {DNNL_ARG_SCRATCHPAD, c->scratch_memory}};
    if (c->own) run_own(c, w, x, y);
    if (c->own) return true;
    return dnnl_memory_set_data_handle(c->x, (void *)(uintptr_t)x) == dnnl_success &&
           dnnl_memory_set_data_handle(c->y, y) == dnnl_success &&
           dnnl_memory_set_data_handle(c->scratch_memory, scratch) == dnnl_success &&
           dnnl_primitive_execute(c->primitive, c->d->stream, 5, args) == dnnl_success;
}
