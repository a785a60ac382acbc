/* import.c: a model as PyTorch wrote it becomes one that can be mapped: the same numbers in a safetensors file, and a
 * configuration that is beside it, or is told from its tensors.
 *
 * Only the towers' tensors are taken: optimizers' states, masks and counters stay behind. Nothing is converted, so that a
 * vector is the same whichever of the two files it comes from. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/string_build.h"
#include "engine/model/torch_config.h"
#include "engine/model/whole_file.h"

#define PIECE ((size_t)1 << 20)
#define MAX_CONFIG ((size_t)1 << 20)

typedef struct output {
    const char *path;
    FILE *f;
    clip_status status;
    clip_error *err;
} output;

static void put(output *o, const void *bytes, size_t n)
{
    if (!o->status && fwrite(bytes, 1, n, o->f) != n) o->status = clip_fail(o->err, CLIP_E_IO, "%s: %s", o->path, strerror(errno));
}

static void open_output(output *o, const char *dir, const char *name, char **path)
{
    if (asprintf(path, "%s/%s", dir, name) < 0) *path = NULL;
    o->path = *path;
    if (!*path) o->status = clip_fail(o->err, CLIP_E_MEMORY, "out of memory");
    else if (!(o->f = fopen(*path, "wbxe"))) o->status = clip_fail(o->err, CLIP_E_IO, "%s: %s", *path, strerror(errno));
}

static clip_status close_output(output *o, char *path)
{
    if (o->f) {
        bool ok = fflush(o->f) == 0 && fsync(fileno(o->f)) == 0;
        if ((fclose(o->f) || !ok) && !o->status) o->status = clip_fail(o->err, CLIP_E_IO, "%s: %s", path, strerror(errno));
    }
    free(path);
    return o->status;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static bool is_wanted(const clip_torch_tensor *t)
{
    static const char *const begins[] = {"visual.", "transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection",
                                         "text.", "logit_scale", "logit_bias", "vision_model.", "text_model.", "visual_projection."};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    size_t n = strlen(t->name), i = 0;
    if (strspn(t->name, letters) != n || (n >= 9 && !strcmp(t->name + n - 9, "attn_mask"))) return false;
    while (i < sizeof begins / sizeof *begins && strncmp(t->name, begins[i], strlen(begins[i]))) i++;
    return i < sizeof begins / sizeof *begins && (t->is_weight || !strcmp(t->dtype, "F64"));
}

/* The header of engine/model/safetensors.c, padded to a multiple of eight. */
static void make_header(const clip_torch_file *f, clip_string *h)
{
    int64_t at = 0;
    for (size_t i = 0; i < clip_torch_count(f); i++) {
        const clip_torch_tensor *t = clip_torch_at(f, i);
        if (!is_wanted(t)) continue;
        clip_string_add(h, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", h->n ? "," : "{", t->name, t->dtype);
        for (int d = 0; d < t->dims; d++) clip_string_add(h, "%s%lld", d ? "," : "", (long long)t->size[d]);
        clip_string_add(h, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)(at + t->count * (int64_t)t->unit));
        at += t->count * (int64_t)t->unit;
    }
    clip_string_add(h, h->n ? "}" : "{}");
    while (h->n % 8 && !h->failed) clip_string_add(h, " ");
}

static void put_tensor(output *o, const clip_torch_tensor *t, uint8_t *room)
{
    for (int64_t at = 0, n; at < t->count && !o->status; at += n) {
        n = (int64_t)(PIECE / t->unit) < t->count - at ? (int64_t)(PIECE / t->unit) : t->count - at;
        clip_torch_read(t, at, (size_t)n, room);
        put(o, room, (size_t)n * t->unit);
    }
}

static clip_status write_weights(const clip_torch_file *f, const char *dir, const char *name, clip_error *err)
{
    output o = {.err = err};
    clip_string header = {0};
    char *path;
    uint8_t *room = malloc(PIECE), size[8];
    make_header(f, &header);
    open_output(&o, dir, name, &path);
    if (!o.status && (header.failed || !room)) o.status = clip_fail(err, CLIP_E_MEMORY, "out of memory");
    for (int i = 0; i < 8; i++) size[i] = (uint8_t)((uint64_t)header.n >> 8 * i);
    if (!o.status) put(&o, size, 8), put(&o, header.text, header.n);
    for (size_t i = 0; i < clip_torch_count(f) && !o.status; i++) {
        const clip_torch_tensor *t = clip_torch_at(f, i);
        if (!is_wanted(t)) continue;
        if (!t->is_weight)
            o.status = clip_fail(err, CLIP_E_UNSUPPORTED, "%s: tensor %s has the type F64; in Python, model.float() before saving makes it F32",
                                 clip_torch_path(f), t->name);
        else put_tensor(&o, t, room);
    }
    free(header.text);
    free(room);
    return close_output(&o, path);
}

/* ---- configuration ----------------------------------------------------------------------------------------------- */

static clip_status write_text(const char *dir, const char *name, const char *text, size_t n, clip_error *err)
{
    output o = {.err = err};
    char *path;
    open_output(&o, dir, name, &path);
    put(&o, text, n);
    return close_output(&o, path);
}

static bool exists(const char *dir, const char *name)
{
    char *path = NULL;
    bool there = asprintf(&path, "%s/%s", dir, name) >= 0 && !access(path, F_OK);
    free(path);
    return there;
}

/* From the folder `beside`, unless dir has one. */
static clip_status copy_config(const char *beside, const char *dir, const char *name, clip_error *err)
{
    char *path = NULL, *text = NULL;
    size_t n = 0;
    if (exists(dir, name)) return CLIP_OK;
    if (asprintf(&path, "%s/%s", beside, name) < 0) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    clip_status s = clip_whole_file_read(path, MAX_CONFIG, &text, &n, err);
    if (!s) s = write_text(dir, name, text, n, err);
    free(text);
    free(path);
    return s;
}

static clip_status write_deduced(const clip_torch_file *f, const char *dir, clip_gelu gelu, clip_error *err)
{
    char *json = NULL;
    if (gelu == CLIP_GELU_UNKNOWN && !clip_torch_is_script(f))
        return clip_fail(err, CLIP_E_ARGUMENT, "%s: there is no open_clip_config.json beside it, and the file does not show whether it was trained with "
                         "QuickGELU (as OpenAI, MetaCLIP and DFN did) or GELU (as LAION and DataComp did); say which", clip_torch_path(f));
    bool quick = gelu == CLIP_GELU_QUICK || (gelu == CLIP_GELU_UNKNOWN && clip_torch_has_quick_gelu(f));
    clip_status s = clip_torch_deduce(f, quick, &json, err);
    if (!s) s = write_text(dir, "open_clip_config.json", json, strlen(json), err);
    free(json);
    return s;
}

static clip_status write_config(const clip_torch_file *f, clip_file_form form, const char *beside, const char *dir, clip_gelu gelu,
                                bool *assumed, clip_error *err)
{
    const char *name = form == CLIP_FORM_OPEN_CLIP ? "open_clip_config.json" : "config.json", *more = "preprocessor_config.json";
    bool there = beside && exists(beside, name) && !clip_torch_is_script(f) && gelu == CLIP_GELU_UNKNOWN;
    if (form == CLIP_FORM_HUGGINGFACE && !there)
        return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: has Hugging Face's names, and its config.json is needed beside it", clip_torch_path(f));
    if (assumed) *assumed = !there && !clip_torch_is_script(f);
    if (!there) return write_deduced(f, dir, gelu, err);
    clip_status s = copy_config(beside, dir, name, err);
    return !s && form == CLIP_FORM_HUGGINGFACE && exists(beside, more) ? copy_config(beside, dir, more, err) : s;
}

/* One file, or the several that an index lists. */
static clip_status open_file(const char *path, clip_torch_file **out, clip_error *err)
{
    static const char index[] = ".index.json";
    size_t n = strlen(path), m = sizeof index - 1;
    char *json = NULL;
    if (n < m || strcmp(path + n - m, index)) return clip_torch_open(path, out, err);
    clip_status s = clip_whole_file_read(path, MAX_CONFIG, &json, &n, err);
    if (!s) s = clip_torch_shards_open(path, json, n, out, err);
    free(json);
    return s;
}

clip_status clip_model_import(const char *file, const char *beside, const char *dir, clip_gelu gelu, bool *assumed, clip_error *err)
{
    clip_torch_file *f = NULL;
    clip_file_form form;
    clip_status s = open_file(file, &f, err);
    if (!s) s = clip_torch_form(f, &form, err);
    if (!s) s = write_config(f, form, beside, dir, gelu, assumed, err);
    if (!s) s = clip_torch_verify(f, err);
    if (!s) s = write_weights(f, dir, form == CLIP_FORM_OPEN_CLIP ? "open_clip_model.safetensors" : "model.safetensors", err);
    clip_torch_close(f);
    return s;
}
