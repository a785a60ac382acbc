/* matmul.c: y = act(x Wᵀ + b) by oneDNN's matmul. The weights' order is left to oneDNN and they are reordered once, when the
 * encoder is made; activations stay row-major, so that our own passes can read them. Bias, activation and residual sum ride
 * on the product as post-operations, which oneDNN 2.6 keeps on its fast kernels. Without AVX-512 it has no such kernel and
 * falls to a plain GEMM, whose own activation pass takes as long as the product (64 Gop/s with QuickGELU, 113 without): there
 * the vector kernels' does it. */
#include <stdlib.h>
#include <string.h>

#include "engine/math/dnn_internal.h"
#include "engine/math/kernels.h"

struct clip_matmul {
    clip_dnn *d;
    clip_matmul_spec spec;
    const clip_kernels *activate; /* NULL when oneDNN does it */
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

static bool describe(clip_matmul *m, const clip_md *x, const clip_md *w, const clip_md *b, const clip_md *y)
{
    dnnl_primitive_attr_t attr = clip_dnn_attr(m->spec.add, m->activate ? CLIP_ACT_NONE : m->spec.act);
    if (!attr) return false;
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t s =
        dnnl_matmul_primitive_desc_create(&m->pd, m->d->engine, CLIP_MD(*x), CLIP_MD(*w), CLIP_MD(*b), CLIP_MD(*y), attr);
#else
    dnnl_matmul_desc_t desc;
    dnnl_status_t s = dnnl_matmul_desc_init(&desc, CLIP_MD(*x), CLIP_MD(*w), CLIP_MD(*b), CLIP_MD(*y));
    if (s == dnnl_success) s = dnnl_primitive_desc_create(&m->pd, &desc, attr, m->d->engine, NULL);
#endif
    dnnl_primitive_attr_destroy(attr);
    return s == dnnl_success;
}

static bool compile(clip_matmul *m, const clip_matmul *like)
{
    const clip_matmul_spec *s = &m->spec;
    clip_md x = {0}, w = {0}, y = {0};
    dnnl_dim_t xs[] = {s->rows, s->in}, ws[] = {s->in, s->out}, ys[] = {s->rows, s->out}, bs[] = {1, s->out};
    bool ok = clip_md_make(&x, 2, xs, s->type, (dnnl_dim_t[]){s->ldx ? (dnnl_dim_t)s->ldx : s->in, 1}) &&
              clip_md_make(&y, 2, ys, s->y_type, (dnnl_dim_t[]){s->ldy ? (dnnl_dim_t)s->ldy : s->out, 1}) &&
              clip_md_make(&m->bias, 2, bs, CLIP_T_F32, (dnnl_dim_t[]){s->out, 1}) &&
              (like || clip_md_make(&w, 2, ws, s->type, NULL));
    ok = ok && describe(m, &x, like ? &like->weights : &w, &m->bias, &y) &&
         clip_md_of(m->pd, dnnl_query_weights_md, 0, &m->weights) &&
         clip_md_of(m->pd, dnnl_query_scratchpad_md, 0, &m->scratch) &&
         dnnl_primitive_create(&m->primitive, m->pd) == dnnl_success && clip_memory_bare(m->d, &x, &m->x) &&
         clip_memory_bare(m->d, &y, &m->y) && clip_memory_bare(m->d, &m->scratch, &m->scratch_memory);
    clip_md_free(&x);
    clip_md_free(&w);
    clip_md_free(&y);
    return ok;
}

static bool activates_slowly(const clip_matmul *m)
{
    bool dense = !m->spec.ldy || m->spec.ldy == (size_t)m->spec.out;
    return m->spec.act != CLIP_ACT_NONE && dense && m->spec.y_type == CLIP_T_F32 && !strncmp(clip_dnn_kernel(m->pd), "gemm", 4);
}

clip_status clip_matmul_create(clip_dnn *d, const clip_matmul_spec *spec, const clip_matmul *like, clip_matmul **out,
                               clip_error *err)
{
    clip_matmul *m = calloc(1, sizeof *m);
    if (!m) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    m->d = d;
    m->spec = *spec;
    bool ok = compile(m, like);
    if (ok && activates_slowly(m)) {
        forget(m);
        m->activate = clip_kernels_best();
        ok = compile(m, like);
    }
    if (!ok) {
        clip_matmul_destroy(m);
        return clip_fail(err, CLIP_E_INTERNAL, "oneDNN made no product of %d x %d by %d", spec->rows, spec->in, spec->out);
    }
    *out = m;
    return CLIP_OK;
}

size_t clip_matmul_scratch(const clip_matmul *m) { return clip_md_bytes(&m->scratch); }

const char *clip_matmul_kernel(const clip_matmul *m) { return clip_dnn_kernel(m->pd); }

clip_status clip_packed_create(const clip_matmul *m, const float *w, const float *b, clip_packed **out, clip_error *err)
{
    clip_md plain = {0};
    dnnl_dim_t size[] = {m->spec.in, m->spec.out}, strides[] = {1, m->spec.in};
    if (!clip_md_make(&plain, 2, size, CLIP_T_F32, strides)) return clip_fail(err, CLIP_E_INTERNAL, "oneDNN refused a shape");
    clip_status s = clip_dnn_pack(m->d, &plain, w, &m->weights, &m->bias, b, out, err);
    clip_md_free(&plain);
    return s;
}

bool clip_matmul_run(clip_matmul *m, const clip_packed *w, const void *x, void *y, void *scratch)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, m->x},         {DNNL_ARG_WEIGHTS, w->weights},
                              {DNNL_ARG_BIAS, w->bias},     {DNNL_ARG_DST, m->y},
                              {DNNL_ARG_SCRATCHPAD, m->scratch_memory}};
    bool ok = dnnl_memory_set_data_handle(m->x, (void *)(uintptr_t)x) == dnnl_success &&
              dnnl_memory_set_data_handle(m->y, y) == dnnl_success &&
              dnnl_memory_set_data_handle(m->scratch_memory, scratch) == dnnl_success &&
              dnnl_primitive_execute(m->primitive, m->d->stream, 5, args) == dnnl_success;
    if (ok && m->activate) m->activate->activate(y, (size_t)m->spec.rows * (size_t)m->spec.out, m->spec.act);
    return ok;
}
