/* torch_file.h: the tensors of a file that PyTorch wrote. Internal to engine/.
 *
 * Read are zip archives of torch.save (a state_dict, or a checkpoint that holds one) and of TorchScript's save (OpenAI's own
 * files). Everything is checked when it is opened: a tensor's numbers lie inside the file. Immutable once open. */
#ifndef CLIP_TORCH_FILE_H
#define CLIP_TORCH_FILE_H

#include <stdint.h>

#include "engine/error.h"
#include "engine/math/types.h"

#define CLIP_TORCH_DIMS 6

typedef struct clip_torch_tensor {
    char *name;                 /* "visual.conv1.weight": attributes' names joined by points; the file's */
    const char *dtype;          /* as safetensors calls it: "F32", "F16", "BF16", "I64", ... */
    bool is_weight;             /* f32, f16 or bf16 */
    size_t unit;                /* bytes of a number */
    int dims;
    int64_t size[CLIP_TORCH_DIMS], stride[CLIP_TORCH_DIMS]; /* strides in numbers */
    int64_t count;
    const uint8_t *first;       /* the first number, at any alignment */
} clip_torch_tensor;

typedef struct clip_torch_file clip_torch_file;

CLIP_MUST_USE clip_status clip_torch_open(const char *path, clip_torch_file **out, clip_error *err);

/* The same from memory, which must outlive the result. `name` is used in messages. */
CLIP_MUST_USE clip_status clip_torch_parse(const char *name, const uint8_t *bytes, size_t n, clip_torch_file **out, clip_error *err);
void clip_torch_close(clip_torch_file *f);

/* Several files as one; a name may occur once. Takes the n parts over, also when it fails. */
CLIP_MUST_USE clip_status clip_torch_join(const char *name, clip_torch_file **parts, size_t n, clip_torch_file **out, clip_error *err);

/* A model in several files beside each other: `json` is its NAME.bin.index.json, which lies at `path`. */
CLIP_MUST_USE clip_status clip_torch_shards_open(const char *path, const char *json, size_t json_n, clip_torch_file **out,
                                                 clip_error *err);

const char *clip_torch_path(const clip_torch_file *f);
size_t clip_torch_count(const clip_torch_file *f);
const clip_torch_tensor *clip_torch_at(const clip_torch_file *f, size_t i); /* in order of name */
const clip_torch_tensor *clip_torch_find(const clip_torch_file *f, const char *name); /* NULL when there is none */

/* Whether it is a TorchScript archive, and then whether a class of it is called QuickGELU. Several files are none. */
bool clip_torch_is_script(const clip_torch_file *f);
bool clip_torch_has_quick_gelu(const clip_torch_file *f);

/* The checksums of everything in the archive that has one. Reads all of it. */
CLIP_MUST_USE clip_status clip_torch_verify(const clip_torch_file *f, clip_error *err);

/* Numbers first..first+n of the tensor in the order of its shape, side by side into out: [n] of t->unit bytes. */
void clip_torch_read(const clip_torch_tensor *t, int64_t first, size_t n, void *out);

#endif
