/* dnn.c: oneDNN's objects, made and freed. Scratch memory is always the caller's, because a forward pass has one workspace
 * that all its layers share. */
#include <stdlib.h>
#include <string.h>

#include "engine/math/arena.h"
#include "engine/math/dnn_internal.h"

/* oneDNN's threads are OpenMP's, which has no say in its own interface. The header is the compiler's, the library oneDNN's. */
int omp_get_max_threads(void);
void omp_set_num_threads(int n);

int clip_dnn_use_threads(int n)
{
    int before = omp_get_max_threads();
    if (n > 0 && n != before) omp_set_num_threads(n);
    return before;
}

/* oneDNN's own view, which its environment may narrow, not the CPU's. The values are sets of features. */
bool clip_dnn_has_bf16(void)
{
    return clip_dnn_load() && (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

/* With AVX-512's registers or with AVX2's. */
bool clip_dnn_has_vnni(void)
{
    if (!clip_dnn_load()) return false;
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    return (isa & dnnl_cpu_isa_avx512_core_vnni) == dnnl_cpu_isa_avx512_core_vnni ||
           (isa & dnnl_cpu_isa_avx2_vnni) == dnnl_cpu_isa_avx2_vnni;
}

void *clip_aligned_alloc(size_t bytes)
{
    size_t padded = (bytes + 63) & ~(size_t)63;
    if (padded < bytes) return NULL;
    return aligned_alloc(64, padded ? padded : 64);
}

clip_status clip_dnn_create(clip_dnn **out, clip_error *err)
{
    if (!clip_dnn_load())
        return clip_fail(err, CLIP_E_INTERNAL, "oneDNN cannot be loaded: is " CLIP_SONAME_DNNL " installed?");
    clip_dnn *d = calloc(1, sizeof *d);
    if (!d) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    if (dnnl_engine_create(&d->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags) != dnnl_success) {
        clip_dnn_destroy(d);
        return clip_fail(err, CLIP_E_INTERNAL, "oneDNN would not start on this CPU");
    }
    *out = d;
    return CLIP_OK;
}

void clip_dnn_destroy(clip_dnn *d)
{
    if (!d) return;
    if (d->stream) dnnl_stream_destroy(d->stream);
    if (d->engine) dnnl_engine_destroy(d->engine);
    free(d);
}

dnnl_data_type_t clip_dnn_type(clip_type t)
{
    switch (t) {
    case CLIP_T_F32: return dnnl_f32;
    case CLIP_T_F16: return dnnl_f16;
    case CLIP_T_BF16: return dnnl_bf16;
    case CLIP_T_U8: return dnnl_u8;
    case CLIP_T_S8: return dnnl_s8;
    case CLIP_T_S32: return dnnl_s32;
    case CLIP_T_S16: break; /* ours, not oneDNN's */
    }
    return dnnl_data_type_undef;
}

bool clip_md_make(clip_md *m, int dims, const dnnl_dim_t *size, clip_type type, const dnnl_dim_t *strides)
{
    if (!strides) return clip_md_make_tagged(m, dims, size, type, dnnl_format_tag_any);
#if DNNL_VERSION_MAJOR >= 3
    m->d = NULL;
    return dnnl_memory_desc_create_with_strides(&m->d, dims, size, clip_dnn_type(type), strides) == dnnl_success;
#else
    return dnnl_memory_desc_init_by_strides(&m->d, dims, size, clip_dnn_type(type), strides) == dnnl_success;
#endif
}

bool clip_md_make_tagged(clip_md *m, int dims, const dnnl_dim_t *size, clip_type type, dnnl_format_tag_t tag)
{
#if DNNL_VERSION_MAJOR >= 3
    m->d = NULL;
    return dnnl_memory_desc_create_with_tag(&m->d, dims, size, clip_dnn_type(type), tag) == dnnl_success;
#else
    return dnnl_memory_desc_init_by_tag(&m->d, dims, size, clip_dnn_type(type), tag) == dnnl_success;
#endif
}

void clip_md_free(clip_md *m)
{
#if DNNL_VERSION_MAJOR >= 3
    if (m->d) dnnl_memory_desc_destroy(m->d);
#endif
    memset(m, 0, sizeof *m);
}

size_t clip_md_bytes(const clip_md *m) { return dnnl_memory_desc_get_size(CLIP_MD(*m)); }

bool clip_md_of(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index, clip_md *out)
{
    memset(out, 0, sizeof *out);
#if DNNL_VERSION_MAJOR >= 3
    const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(pd, what, index);
    return found && dnnl_memory_desc_clone(&out->d, found) == dnnl_success;
#else
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(pd, what, index);
    if (found) out->d = *found;
    return found != NULL;
#endif
}

bool clip_memory_bare(clip_dnn *d, const clip_md *md, dnnl_memory_t *out)
{
    return dnnl_memory_create(out, CLIP_MD(*md), d->engine, DNNL_MEMORY_NONE) == dnnl_success;
}

bool clip_memory_own(clip_dnn *d, const clip_md *md, dnnl_memory_t *out, void **bytes)
{
    *bytes = clip_aligned_alloc(clip_md_bytes(md));
    return *bytes && dnnl_memory_create(out, CLIP_MD(*md), d->engine, *bytes) == dnnl_success;
}

static bool append_activation(dnnl_post_ops_t ops, clip_activation act)
{
    dnnl_alg_kind_t kind = dnnl_eltwise_gelu_erf;
    float alpha = 0, beta = 0;
    switch (act) {
    case CLIP_ACT_NONE: return true;
    case CLIP_ACT_GELU: break;
    case CLIP_ACT_GELU_TANH: kind = dnnl_eltwise_gelu_tanh; break;
    case CLIP_ACT_QUICK_GELU: kind = dnnl_eltwise_swish, alpha = 1.702f; break;
    case CLIP_ACT_RELU6: kind = dnnl_eltwise_clip, beta = 6; break;
    case CLIP_ACT_RELU: kind = dnnl_eltwise_relu; break;
    }
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, beta) == dnnl_success;
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, beta) == dnnl_success;
#endif
}

static bool append_sum(dnnl_post_ops_t ops)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef) == dnnl_success;
#else
    return dnnl_post_ops_append_sum(ops, 1.0f) == dnnl_success;
#endif
}

dnnl_primitive_attr_t clip_dnn_attr(bool add, clip_activation act)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    bool ok = dnnl_primitive_attr_create(&attr) == dnnl_success && dnnl_post_ops_create(&ops) == dnnl_success &&
              dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success &&
              (!add || append_sum(ops)) && append_activation(ops, act) &&
              dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success;
    if (ops) dnnl_post_ops_destroy(ops);
    if (ok) return attr;
    if (attr) dnnl_primitive_attr_destroy(attr);
    return NULL;
}

bool clip_dnn_reorder(clip_dnn *d, const clip_md *from, const void *src, const clip_md *to, dnnl_memory_t dst)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t p = NULL;
    dnnl_memory_t in = NULL;
    bool ok = dnnl_memory_create(&in, CLIP_MD(*from), d->engine, (void *)(uintptr_t)src) == dnnl_success &&
              dnnl_reorder_primitive_desc_create(&pd, CLIP_MD(*from), d->engine, CLIP_MD(*to), d->engine, NULL) ==
                  dnnl_success &&
              dnnl_primitive_create(&p, pd) == dnnl_success;
    if (ok) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, in}, {DNNL_ARG_TO, dst}};
        ok = dnnl_primitive_execute(p, d->stream, 2, args) == dnnl_success && dnnl_stream_wait(d->stream) == dnnl_success;
    }
    if (p) dnnl_primitive_destroy(p);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (in) dnnl_memory_destroy(in);
    return ok;
}

void clip_packed_destroy(clip_packed *p)
{
    if (!p) return;
    if (p->weights) dnnl_memory_destroy(p->weights);
    if (p->bias) dnnl_memory_destroy(p->bias);
    clip_int16_destroy(p->narrow);
    clip_int8_destroy(p->eight);
    free(p->outputs.scale);
    free(p->weight_bytes);
    free(p->bias_bytes);
    free(p);
}

clip_status clip_dnn_pack(clip_dnn *d, const clip_md *plain, const void *w, const clip_md *weights, const clip_md *bias,
                          const float *b, clip_packed **out, clip_error *err)
{
    clip_packed *p = calloc(1, sizeof *p);
    bool room = p && clip_memory_own(d, weights, &p->weights, &p->weight_bytes) &&
                (!bias || clip_memory_own(d, bias, &p->bias, &p->bias_bytes));
    if (room && bias && b) memcpy(p->bias_bytes, b, clip_md_bytes(bias));
    else if (room && bias) memset(p->bias_bytes, 0, clip_md_bytes(bias));
    if (room && clip_dnn_reorder(d, plain, w, weights, p->weights)) {
        *out = p;
        return CLIP_OK;
    }
    clip_packed_destroy(p);
    return room ? clip_fail(err, CLIP_E_INTERNAL, "oneDNN could not pack weights")
                : clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
}

clip_status clip_dnn_pack_int16(const float *w, const float *b, int in, int out, int most, clip_packed **packed, clip_error *err)
{
    clip_packed *p = calloc(1, sizeof *p);
    if (!p) return clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
    clip_status s = clip_int16_pack(w, b, in, out, most, &p->narrow, err);
    if (s) clip_packed_destroy(p);
    else *packed = p;
    return s;
}

clip_status clip_dnn_pack_int8(const float *w, const float *b, int in, int out, clip_packed **packed, clip_error *err)
{
    clip_packed *p = calloc(1, sizeof *p);
    if (!p) return clip_fail(err, CLIP_E_MEMORY, "out of memory for packed weights");
    clip_status s = clip_int8_pack(w, b, in, out, &p->eight, err);
    if (s) clip_packed_destroy(p);
    else *packed = p;
    return s;
}

const char *clip_dnn_kernel(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) != dnnl_success || !name) return "unknown";
    return name;
}
