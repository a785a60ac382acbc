/* shards.c: a model in several files, safetensors or PyTorch's, as Hugging Face splits large ones:
 *
 *     {"metadata": {"total_size": N}, "weight_map": {tensor: "model-00001-of-00003.safetensors", ...}}
 *
 * The index comes from elsewhere like the files. So a file's name is a plain name beside the index, never a path; files are
 * few; and the index must name every tensor exactly where it is, because an index that disagrees with its files is a
 * download that was mixed from two. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/json_read.h"
#include "engine/model/safetensors.h"
#include "engine/model/torch_file.h"

#define MAX_SHARDS 64
#define MAX_NAME 200

/* A file of either form. */
typedef union shard {
    clip_safetensors *safetensors;
    clip_torch_file *torch;
} shard;

typedef struct shards {
    const char *path;
    bool torch;                    /* else safetensors */
    clip_error *err;
    const char *names[MAX_SHARDS]; /* the JSON's own */
    shard files[MAX_SHARDS];
    size_t count;
} shards;

static bool is_plain_name(const shards *s, const char *name)
{
    const char *end = s->torch ? ".bin" : ".safetensors";
    size_t n = strlen(name), m = strlen(end);
    return n > m && n <= MAX_NAME && *name != '.' && !strchr(name, '/') && !strcmp(name + n - m, end);
}

static clip_status open_one(shards *s, const char *name)
{
    char *path = NULL;
    const char *slash = strrchr(s->path, '/');
    int folder = slash ? (int)(slash - s->path + 1) : 0;
    if (asprintf(&path, "%.*s%s", folder, s->path, name) < 0) return clip_fail(s->err, CLIP_E_MEMORY, "out of memory");
    shard *to = &s->files[s->count];
    clip_status st = s->torch ? clip_torch_open(path, &to->torch, s->err) : clip_safetensors_open(path, &to->safetensors, s->err);
    free(path);
    if (!st) s->names[s->count++] = name;
    return st;
}

/* The file of this name, opened when it is named first. */
static clip_status find_file(shards *s, const char *tensor, const char *name, shard *out)
{
    size_t i = 0;
    if (!name || !is_plain_name(s, name))
        return clip_fail(s->err, CLIP_E_FORMAT, "%s: tensor %.100s is in no file that a model may have", s->path, tensor);
    while (i < s->count && strcmp(s->names[i], name)) i++;
    if (i == MAX_SHARDS) return clip_fail(s->err, CLIP_E_LIMIT, "%s: more than %d files", s->path, MAX_SHARDS);
    clip_status st = i == s->count ? open_one(s, name) : CLIP_OK;
    if (!st) *out = s->files[i];
    return st;
}

static clip_status open_all(shards *s, json_t *map)
{
    const char *tensor;
    json_t *value;
    size_t listed = 0, held = 0;
    json_object_foreach(map, tensor, value) {
        shard file = {0};
        const char *name = json_string_value(value);
        clip_status st = find_file(s, tensor, name, &file);
        if (st) return st;
        if (s->torch ? !clip_torch_find(file.torch, tensor) : !clip_safetensors_find(file.safetensors, tensor))
            return clip_fail(s->err, CLIP_E_FORMAT, "%s: tensor %.100s is not in %s", s->path, tensor, name);
        listed++;
    }
    for (size_t i = 0; i < s->count; i++)
        held += s->torch ? clip_torch_count(s->files[i].torch) : clip_safetensors_count(s->files[i].safetensors);
    if (held == listed && listed) return CLIP_OK;
    return clip_fail(s->err, CLIP_E_FORMAT, "%s: lists %zu tensors, but its files hold %zu", s->path, listed, held);
}

static void close_all(shards *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->torch) clip_torch_close(s->files[i].torch);
        else clip_safetensors_close(s->files[i].safetensors);
}

/* The files that the index at s->path names; none is open after a failure. */
static clip_status open_index(shards *s, const char *json, size_t n)
{
    clip_json_reader r = {s->path, s->err, CLIP_OK};
    json_t *root = clip_json_parse(&r, json, n), *map = json_object_get(root, "weight_map");
    clip_status st = r.status;
    if (!st && !json_is_object(map)) st = clip_fail(s->err, CLIP_E_FORMAT, "%s: no weight_map in it", s->path);
    if (!st) st = open_all(s, map);
    if (st) close_all(s);
    json_decref(root);
    return st;
}

clip_status clip_shards_open(const char *path, const char *json, size_t n, clip_safetensors **out, clip_error *err)
{
    shards s = {.path = path, .err = err};
    clip_safetensors *parts[MAX_SHARDS];
    clip_status st = open_index(&s, json, n);
    if (st) return st;
    for (size_t i = 0; i < s.count; i++) parts[i] = s.files[i].safetensors;
    return clip_safetensors_join(path, parts, s.count, out, err);
}

clip_status clip_torch_shards_open(const char *path, const char *json, size_t n, clip_torch_file **out, clip_error *err)
{
    shards s = {.path = path, .torch = true, .err = err};
    clip_torch_file *parts[MAX_SHARDS];
    clip_status st = open_index(&s, json, n);
    if (st) return st;
    for (size_t i = 0; i < s.count; i++) parts[i] = s.files[i].torch;
    return clip_torch_join(path, parts, s.count, out, err);
}
