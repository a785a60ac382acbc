/* matmul.c: y = act(x Wᵀ + b) by oneDNN. The weights' order is left to oneDNN and they are reordered once, when the encoder is
 * made; activations stay row-major, so that our own passes can read them. Bias, activation and residual sum ride on the
 * product as post-operations; with 8-bit integers a pass of our own over its sums adds scales, bias and residual. Products of
 * integers without VNNI are our own kernels' (int16.h, int8.h).
 *
 * oneDNN's matmul has a kernel for packed weights only with AVX-512. Without, it falls to a plain GEMM, which packs the weights
 * anew at every call and trips over some shapes (200 x 768 x 3072: 66 Gop/s on one core where 117 are possible). A 1x1
 * convolution over an image one pixel high is the same product, and its AVX2 kernel keeps 110 to 119 at every shape: so then
 * it is used instead, with the order of weights that this kernel reads, OIhw8i8o: left to choose, oneDNN 3 takes another kernel, which is
 * slower (a ViT-B/32 120 to 130 ms an image instead of 105), and whose order for four images none but the reference code reads for one. */
#include <stdlib.h>
#include <string.h>

#include "engine/math/dnn_internal.h"

struct clip_matmul {
    clip_dnn *d;
    clip_matmul_spec spec;
    const clip_int16_kernel *own; /* with 16-bit integers, ... */
    const clip_int8_kernel *own8; /* ... and with 8-bit ones without VNNI; then nothing of what follows */
    const clip_kernels *k;        /* with 8-bit integers by oneDNN: what scales the sums */
    bool as_convolution;
    clip_md weights, bias, scratch;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, y, scratch_memory; /* bare: each run points them at its buffers */
};

/* What compile() made. */
static void forget(clip_matmul *m)
{
    dnnl_memory_t memories[] = {m->x, m->y, m->scratch_memory};
    for (int i = 0; i < 3; i++)
        if (memories[i]) dnnl_memory_destroy(memories[i]);
    if (m->primitive) dnnl_primitive_destroy(m->primitive);
    if (m->pd) dnnl_primitive_desc_destroy(m->pd);
    clip_md_free(&m->weights);
    clip_md_free(&m->bias);
    clip_md_free(&m->scratch);
    m->x = m->y = m->scratch_memory = NULL;
    m->primitive = NULL;
    m->pd = NULL;
}

void clip_matmul_destroy(clip_matmul *m)
{
    if (!m) return;
    forget(m);
    free(m);
}

static dnnl_status_t describe_product(clip_matmul *m, const clip_md *x, const clip_md *w, const clip_md *y, dnnl_primitive_attr_t attr)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(&m->pd, m->d->engine, CLIP_MD(*x), CLIP_MD(*w), CLIP_MD(m->bias), CLIP_MD(*y), attr);
#else
    dnnl_matmul_desc_t desc;
    dnnl_status_t s = dnnl_matmul_desc_init(&desc, CLIP_MD(*x), CLIP_MD(*w), CLIP_MD(m->bias), CLIP_MD(*y));
    return s == dnnl_success ? dnnl_primitive_desc_create(&m->pd, &desc, attr, m->d->engine, NULL) : s;
#endif
}

static bool describe(clip_matmul *m, const clip_md *x, const clip_md *w, const clip_md *y)
{
    static const int one[] = {1, 1}, none[] = {0, 0};
    dnnl_primitive_attr_t attr = clip_dnn_attr(m->spec.add && !m->k, m->spec.act);
    if (!attr) return false;
    dnnl_status_t s = m->as_convolution ? clip_dnn_describe_convolution(m->d, x, w, &m->bias, y, one, none, none, attr, &m->pd)
                                        : describe_product(m, x, w, y, attr);
    dnnl_primitive_attr_destroy(attr);
    return s == dnnl_success;
}

/* A matrix of rows x columns, `ld` elements from row to row; as an image: one pixel high, channels last. */
static bool matrix(const clip_matmul *m, clip_md *md, int rows, int columns, size_t ld, clip_type type)
{
    dnnl_dim_t r = rows, c = columns, step = ld ? (dnnl_dim_t)ld : c;
    if (!m->as_convolution) return clip_md_make(md, 2, (dnnl_dim_t[]){r, c}, type, (dnnl_dim_t[]){step, 1});
    return clip_md_make(md, 4, (dnnl_dim_t[]){1, c, 1, r}, type, (dnnl_dim_t[]){r * step, 1, r * step, step});
}

/* [in][out] as oneDNN's matmul wants it, or [out][in][1][1]; plain: as the caller has it. */
static bool weights(const clip_matmul *m, clip_md *md, clip_type type, bool plain)
{
    dnnl_dim_t in = m->spec.in, out = m->spec.out;
    if (m->as_convolution && type == CLIP_T_F32 && !plain)
        return clip_md_make_tagged(md, 4, (dnnl_dim_t[]){out, in, 1, 1}, type, dnnl_OIhw8i8o);
    if (m->as_convolution)
        return clip_md_make(md, 4, (dnnl_dim_t[]){out, in, 1, 1}, type, plain ? (dnnl_dim_t[]){in, 1, 1, 1} : NULL);
    return clip_md_make(md, 2, (dnnl_dim_t[]){in, out}, type, plain ? (dnnl_dim_t[]){1, in} : NULL);
}

/* Sums of 8-bit integers go where y is to be, or into scratch memory while y is still needed. */
static bool product(const clip_matmul *m, clip_md *x, clip_md *y)
{
    const clip_matmul_spec *s = &m->spec;
    return matrix(m, x, s->rows, s->in, s->ldx, s->type) &&
           matrix(m, y, s->rows, s->out, m->k && s->add ? 0 : s->ldy, m->k ? CLIP_T_S32 : s->y_type);
}

static bool compile(clip_matmul *m, const clip_matmul *like)
{
    const clip_matmul_spec *s = &m->spec;
    clip_md x = {0}, w = {0}, y = {0};
    dnnl_dim_t out = s->out;
    bool bias = m->as_convolution ? clip_md_make(&m->bias, 1, &out, CLIP_T_F32, (dnnl_dim_t[]){1})
                                  : clip_md_make(&m->bias, 2, (dnnl_dim_t[]){1, out}, CLIP_T_F32, (dnnl_dim_t[]){out, 1});
    if (m->k) clip_md_free(&m->bias); /* none: it comes with the scales */
    bool ok = bias && product(m, &x, &y) && (like || weights(m, &w, m->k ? CLIP_T_S8 : s->type, false)) &&
              describe(m, &x, like ? &like->weights : &w, &y) &&
              clip_md_of(m->pd, dnnl_query_weights_md, 0, &m->weights) &&
              clip_md_of(m->pd, dnnl_query_scratchpad_md, 0, &m->scratch) &&
              dnnl_primitive_create(&m->primitive, m->pd) == dnnl_success && clip_memory_bare(m->d, &x, &m->x) &&
              clip_memory_bare(m->d, &y, &m->y) && clip_memory_bare(m->d, &m->scratch, &m->scratch_memory);
    clip_md_free(&x);
    clip_md_free(&w);
    clip_md_free(&y);
    return ok;
}

/* A convolution in place of a plain GEMM, unless oneDNN has no real kernel for that either. */
static bool compile_best(clip_matmul *m, const clip_matmul *like)
{
    m->as_convolution = like && like->as_convolution;
    bool ok = compile(m, like);
    if (!ok || like || strncmp(clip_dnn_kernel(m->pd), "gemm", 4)) return ok;
    forget(m);
    m->as_convolution = true;
    if (compile(m, NULL) && !strstr(clip_dnn_kernel(m->pd), "ref")) return true;
    forget(m);
    m->as_convolution = false;
    return compile(m, NULL);
}

clip_status clip_matmul_create(clip_dnn *d, const clip_matmul_spec *spec, const clip_matmul *like, clip_matmul **out,
                               clip_error *err)
{
    clip_matmul *m = calloc(1, sizeof *m);
    if (!m) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    m->d = d;
    m->spec = *spec;
    if (spec->type == CLIP_T_S16) m->own = clip_int16_best();
    if (spec->type == CLIP_T_U8 && !spec->as_vnni && !clip_dnn_has_vnni()) m->own8 = clip_int8_best();
    else if (spec->type == CLIP_T_U8) m->k = clip_kernels_best();
    if (m->own && (spec->ldx || spec->y_type != CLIP_T_F32 || !clip_int16_knows(spec->act))) {
        clip_matmul_destroy(m);
        return clip_fail(err, CLIP_E_INTERNAL, "a product of 16-bit integers of a kind that there is not");
    }
    if (spec->type == CLIP_T_U8 && (spec->ldx || spec->y_type != CLIP_T_F32 || spec->act)) {
        clip_matmul_destroy(m);
        return clip_fail(err, CLIP_E_INTERNAL, "a product of 8-bit integers of a kind that there is not");
    }
    if (!m->own && !m->own8 && !compile_best(m, like)) {
        clip_matmul_destroy(m);
        return clip_fail(err, CLIP_E_INTERNAL, "oneDNN made no product of %d x %d by %d", spec->rows, spec->in, spec->out);
    }
    *out = m;
    return CLIP_OK;
}

/* oneDNN's, to a whole number of cache lines. */
static size_t scratch_of_product(const clip_matmul *m) { return (clip_md_bytes(&m->scratch) + 63) & ~(size_t)63; }

size_t clip_matmul_scratch(const clip_matmul *m)
{
    if (m->own || m->own8) return 0;
    return scratch_of_product(m) + (m->k && m->spec.add ? (size_t)m->spec.rows * (size_t)m->spec.out * sizeof(int32_t) : 0);
}

const char *clip_matmul_kernel(const clip_matmul *m)
{
    return m->own ? m->own->name : m->own8 ? m->own8->name : clip_dnn_kernel(m->pd);
}

static void run_own(const clip_matmul *m, const clip_packed *w, const void *x, float *y)
{
    const clip_matmul_spec *s = &m->spec;
    size_t ldy = s->ldy ? s->ldy : (size_t)s->out;
    if (m->own8) m->own8->product(&(clip_int8_args){.w = w->eight, .x = x, .rows = s->rows, .y = y, .ldy = ldy, .add = s->add});
    else m->own->product(&(clip_int16_args){.w = w->narrow, .x = x, .rows = s->rows, .y = y, .ldy = ldy, .act = s->act, .add = s->add});
}

static clip_status pack_8_bits(const clip_matmul *m, const float *w, const float *b, clip_packed **out, clip_error *err)
{
    clip_md plain = {0};
    clip_int8_outputs outputs = {0};
    const clip_matmul_spec *s = &m->spec;
    int8_t *rounded = malloc((size_t)s->in * (size_t)s->out);
    if (!rounded) return clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
    int most = clip_dnn_has_vnni() ? CLIP_INT8_MOST : CLIP_INT8_MOST_WITHOUT_VNNI;
    clip_status status = clip_int8_round(w, b, s->in, s->out, most, rounded, &outputs, err);
    if (!status && !weights(m, &plain, CLIP_T_S8, true)) status = clip_fail(err, CLIP_E_INTERNAL, "oneDNN refused a shape");
    if (!status) status = clip_dnn_pack(m->d, &plain, rounded, &m->weights, NULL, NULL, out, err);
    if (status) free(outputs.scale);
    else (*out)->outputs = outputs;
    clip_md_free(&plain);
    free(rounded);
    return status;
}

clip_status clip_packed_create(const clip_matmul *m, const float *w, const float *b, clip_packed **out, clip_error *err)
{
    clip_md plain = {0};
    const clip_matmul_spec *s = &m->spec;
    if (m->own) return clip_dnn_pack_int16(w, b, s->in, s->out, s->most ? s->most : CLIP_INT16_MOST, out, err);
    if (m->own8) return clip_dnn_pack_int8(w, b, s->in, s->out, out, err);
    if (m->k) return pack_8_bits(m, w, b, out, err);
    if (!weights(m, &plain, CLIP_T_F32, true)) return clip_fail(err, CLIP_E_INTERNAL, "oneDNN refused a shape");
    clip_status status = clip_dnn_pack(m->d, &plain, w, &m->weights, &m->bias, b, out, err);
    clip_md_free(&plain);
    return status;
}

static bool run_product(clip_matmul *m, const clip_packed *w, const void *x, void *y, void *scratch)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, m->x},         {DNNL_ARG_WEIGHTS, w->weights},
                              {DNNL_ARG_BIAS, w->bias},     {DNNL_ARG_DST, m->y},
                              {DNNL_ARG_SCRATCHPAD, m->scratch_memory}};
    return dnnl_memory_set_data_handle(m->x, (void *)(uintptr_t)x) == dnnl_success &&
           dnnl_memory_set_data_handle(m->y, y) == dnnl_success &&
           dnnl_memory_set_data_handle(m->scratch_memory, scratch) == dnnl_success &&
           dnnl_primitive_execute(m->primitive, m->d->stream, 5, args) == dnnl_success;
}

static bool run_8_bits(clip_matmul *m, const clip_packed *w, const void *x, float *y, void *scratch)
{
    const clip_matmul_spec *s = &m->spec;
    const clip_u8_row *rows = clip_int8_rows(x, (size_t)s->rows, s->in);
    size_t out = (size_t)s->out, ldy = s->ldy ? s->ldy : out, ld = s->add ? out : ldy;
    int32_t *sums = s->add ? (int32_t *)((uintptr_t)scratch + scratch_of_product(m)) : (int32_t *)(void *)y;
    if (!run_product(m, w, x, sums, scratch)) return false;
    for (size_t r = 0; r < (size_t)s->rows; r++)
        m->k->from_sums(&(clip_sums_args){.sums = sums + r * ld, .total = w->outputs.total, .scale = w->outputs.scale,
                                          .bias = w->outputs.bias, .row = rows[r], .n = out, .y = y + r * ldy, .add = s->add});
    return true;
}

bool clip_matmul_run(clip_matmul *m, const clip_packed *w, const void *x, void *y, void *scratch)
{
    if (m->k) return run_8_bits(m, w, x, y, scratch);
    if (!m->own && !m->own8) return run_product(m, w, x, y, scratch);
    run_own(m, w, x, y);
    return true;
}
