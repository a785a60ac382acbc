/* safetensors.h: named tensors in a mapped file. Internal to engine/.
 *
 * Everything that a file says is checked when it is opened, so a clip_tensor can be used without a further look: its bytes
 * lie inside the file and are as many as its shape and type need. Nothing but the header is read.
 * Immutable once open: any number of threads. */
#ifndef CLIP_SAFETENSORS_H
#define CLIP_SAFETENSORS_H

#include "engine/error.h"
#include "engine/math/types.h"

#define CLIP_TENSOR_DIMS 6

typedef struct clip_tensor {
    const char *name;
    const char *dtype;  /* as written: "F32", "F16", "BF16", "I64", ... */
    bool is_weight;     /* f32, f16 or bf16: `type` says which */
    clip_type type;
    int dims;
    int64_t size[CLIP_TENSOR_DIMS];
    int64_t count;      /* numbers in it */
    const void *data;   /* at any alignment */
    size_t bytes;
} clip_tensor;

typedef struct clip_safetensors clip_safetensors;

CLIP_MUST_USE clip_status clip_safetensors_open(const char *path, clip_safetensors **out, clip_error *err);

/* The same from memory, which must outlive the result. `name` is used in messages. */
CLIP_MUST_USE clip_status clip_safetensors_parse(const char *name, const void *bytes, size_t n, clip_safetensors **out,
                                                 clip_error *err);
void clip_safetensors_close(clip_safetensors *s);

/* Several files as one; a name may occur once. Takes the n parts over, also when it fails. */
CLIP_MUST_USE clip_status clip_safetensors_join(const char *name, clip_safetensors **parts, size_t n, clip_safetensors **out,
                                                clip_error *err);

/* A model in several files beside each other: `json` is its NAME.safetensors.index.json, which lies at `path`. */
CLIP_MUST_USE clip_status clip_shards_open(const char *path, const char *json, size_t json_n, clip_safetensors **out,
                                           clip_error *err);

const clip_tensor *clip_safetensors_find(const clip_safetensors *s, const char *name); /* NULL when there is none */
size_t clip_safetensors_count(const clip_safetensors *s);
const clip_tensor *clip_safetensors_at(const clip_safetensors *s, size_t i); /* in order of name */
/* These bytes have been read and will not be for a while: their pages may go. They come back when they are read again. */
void clip_safetensors_release(const clip_safetensors *s, const void *data, size_t bytes);
/* Copies bytes of a tensor by reading the file, which costs less than touching pages that are needed once. False: they are not
 * a file's, or it cannot be read. */
bool clip_safetensors_read(const clip_safetensors *s, const void *data, size_t bytes, void *to);

const char *clip_safetensors_path(const clip_safetensors *s);
const void *clip_safetensors_header(const clip_safetensors *s, size_t *n);   /* the JSON text */

#endif
