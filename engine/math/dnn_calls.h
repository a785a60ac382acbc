/* dnn_calls.h: oneDNN's functions, called through pointers, so that its library is opened by the first who makes something with
 * it and not at the start of every search. A function that is not in the list cannot be linked. */
#ifndef CLIP_DNN_CALLS_H
#define CLIP_DNN_CALLS_H

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>

#include "engine/lazy.h"

/* What the library is called: the build asks the library itself; its own naming would be this. */
#ifndef CLIP_SONAME_DNNL
#define CLIP_TEXT_OF(x) #x
#define CLIP_SONAME_OF(major) "libdnnl.so." CLIP_TEXT_OF(major)
#define CLIP_SONAME_DNNL CLIP_SONAME_OF(DNNL_VERSION_MAJOR)
#endif

/* Version 3's list was tried with 3.2 (Intel's) and 3.7 (Debian 13's), on AVX2 alone. */
#if DNNL_VERSION_MAJOR >= 3
#define CLIP_DNN_OWN(X) \
    X(dnnl_convolution_forward_primitive_desc_create) X(dnnl_matmul_primitive_desc_create) \
    X(dnnl_memory_desc_clone) X(dnnl_memory_desc_create_with_strides) \
    X(dnnl_memory_desc_create_with_tag) X(dnnl_memory_desc_destroy)
#else
#define CLIP_DNN_OWN(X) \
    X(dnnl_convolution_forward_desc_init) X(dnnl_matmul_desc_init) X(dnnl_memory_desc_init_by_strides) \
    X(dnnl_memory_desc_init_by_tag) X(dnnl_primitive_desc_create)
#endif
#define CLIP_DNN_CALLS(X) \
    CLIP_DNN_OWN(X) \
    X(dnnl_engine_create) X(dnnl_engine_destroy) X(dnnl_get_effective_cpu_isa) X(dnnl_memory_create) \
    X(dnnl_memory_desc_get_size) X(dnnl_memory_destroy) X(dnnl_memory_set_data_handle) \
    X(dnnl_post_ops_append_eltwise) X(dnnl_post_ops_append_sum) X(dnnl_post_ops_create) \
    X(dnnl_post_ops_destroy) X(dnnl_primitive_attr_create) X(dnnl_primitive_attr_destroy) \
    X(dnnl_primitive_attr_set_post_ops) X(dnnl_primitive_attr_set_scratchpad_mode) \
    X(dnnl_primitive_create) X(dnnl_primitive_desc_destroy) X(dnnl_primitive_desc_query) \
    X(dnnl_primitive_desc_query_md) X(dnnl_primitive_destroy) X(dnnl_primitive_execute) \
    X(dnnl_reorder_primitive_desc_create) X(dnnl_stream_create) X(dnnl_stream_destroy) \
    X(dnnl_stream_wait)

typedef struct clip_dnn_functions { CLIP_DNN_CALLS(CLIP_LAZY_MEMBER) } clip_dnn_functions;
extern clip_dnn_functions clip_dnn_calls;

/* Before any other call; any number of times, in any thread. False when there is no such library here. */
bool clip_dnn_load(void);

#ifndef CLIP_DNN_CALLS_LIST /* dnn_calls.c needs the names themselves */
#define dnnl_engine_create clip_dnn_calls.dnnl_engine_create
#define dnnl_engine_destroy clip_dnn_calls.dnnl_engine_destroy
#define dnnl_get_effective_cpu_isa clip_dnn_calls.dnnl_get_effective_cpu_isa
#define dnnl_memory_create clip_dnn_calls.dnnl_memory_create
#define dnnl_memory_desc_get_size clip_dnn_calls.dnnl_memory_desc_get_size
#define dnnl_memory_destroy clip_dnn_calls.dnnl_memory_destroy
#define dnnl_memory_set_data_handle clip_dnn_calls.dnnl_memory_set_data_handle
#define dnnl_post_ops_append_eltwise clip_dnn_calls.dnnl_post_ops_append_eltwise
#define dnnl_post_ops_append_sum clip_dnn_calls.dnnl_post_ops_append_sum
#define dnnl_post_ops_create clip_dnn_calls.dnnl_post_ops_create
#define dnnl_post_ops_destroy clip_dnn_calls.dnnl_post_ops_destroy
#define dnnl_primitive_attr_create clip_dnn_calls.dnnl_primitive_attr_create
#define dnnl_primitive_attr_destroy clip_dnn_calls.dnnl_primitive_attr_destroy
#define dnnl_primitive_attr_set_post_ops clip_dnn_calls.dnnl_primitive_attr_set_post_ops
#define dnnl_primitive_attr_set_scratchpad_mode clip_dnn_calls.dnnl_primitive_attr_set_scratchpad_mode
#define dnnl_primitive_create clip_dnn_calls.dnnl_primitive_create
#define dnnl_primitive_desc_destroy clip_dnn_calls.dnnl_primitive_desc_destroy
#define dnnl_primitive_desc_query clip_dnn_calls.dnnl_primitive_desc_query
#define dnnl_primitive_desc_query_md clip_dnn_calls.dnnl_primitive_desc_query_md
#define dnnl_primitive_destroy clip_dnn_calls.dnnl_primitive_destroy
#define dnnl_primitive_execute clip_dnn_calls.dnnl_primitive_execute
#define dnnl_reorder_primitive_desc_create clip_dnn_calls.dnnl_reorder_primitive_desc_create
#define dnnl_stream_create clip_dnn_calls.dnnl_stream_create
#define dnnl_stream_destroy clip_dnn_calls.dnnl_stream_destroy
#define dnnl_stream_wait clip_dnn_calls.dnnl_stream_wait
#if DNNL_VERSION_MAJOR >= 3
#define dnnl_convolution_forward_primitive_desc_create clip_dnn_calls.dnnl_convolution_forward_primitive_desc_create
#define dnnl_matmul_primitive_desc_create clip_dnn_calls.dnnl_matmul_primitive_desc_create
#define dnnl_memory_desc_clone clip_dnn_calls.dnnl_memory_desc_clone
#define dnnl_memory_desc_create_with_strides clip_dnn_calls.dnnl_memory_desc_create_with_strides
#define dnnl_memory_desc_create_with_tag clip_dnn_calls.dnnl_memory_desc_create_with_tag
#define dnnl_memory_desc_destroy clip_dnn_calls.dnnl_memory_desc_destroy
#else
#define dnnl_convolution_forward_desc_init clip_dnn_calls.dnnl_convolution_forward_desc_init
#define dnnl_matmul_desc_init clip_dnn_calls.dnnl_matmul_desc_init
#define dnnl_memory_desc_init_by_strides clip_dnn_calls.dnnl_memory_desc_init_by_strides
#define dnnl_memory_desc_init_by_tag clip_dnn_calls.dnnl_memory_desc_init_by_tag
#define dnnl_primitive_desc_create clip_dnn_calls.dnnl_primitive_desc_create
#endif
#endif

#endif
