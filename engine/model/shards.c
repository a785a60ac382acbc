/* shards.c: a model in several safetensors files, as Hugging Face splits large ones:
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

#define MAX_SHARDS 64
#define MAX_NAME 200

typedef struct shards {
    const char *path;
    clip_error *err;
    const char *names[MAX_SHARDS]; /* the JSON's own */
    clip_safetensors *files[MAX_SHARDS];
    size_t count;
} shards;

static bool is_plain_name(const char *s)
{
    static const char end[] = ".safetensors";
    size_t n = strlen(s), m = sizeof end - 1;
    return n > m && n <= MAX_NAME && *s != '.' && !strchr(s, '/') && !strcmp(s + n - m, end);
}

static clip_status open_one(shards *s, const char *name)
{
    char *path = NULL;
    const char *slash = strrchr(s->path, '/');
    int folder = slash ? (int)(slash - s->path + 1) : 0;
    if (asprintf(&path, "%.*s%s", folder, s->path, name) < 0) return clip_fail(s->err, CLIP_E_MEMORY, "out of memory");
    clip_status st = clip_safetensors_open(path, &s->files[s->count], s->err);
    free(path);
    if (!st) s->names[s->count++] = name;
    return st;
}

/* The file of this name, opened when it is named first. */
static clip_status find_file(shards *s, const char *tensor, const char *name, clip_safetensors **out)
{
    if (!name || !is_plain_name(name))
        return clip_fail(s->err, CLIP_E_FORMAT, "%s: tensor %.100s is in no file that a model may have", s->path, tensor);
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->names[i], name)) {
            *out = s->files[i];
            return CLIP_OK;
        }
    if (s->count == MAX_SHARDS) return clip_fail(s->err, CLIP_E_LIMIT, "%s: more than %d files", s->path, MAX_SHARDS);
    clip_status st = open_one(s, name);
    if (!st) *out = s->files[s->count - 1];
    return st;
}

static clip_status open_all(shards *s, json_t *map)
{
    const char *tensor;
    json_t *value;
    size_t listed = 0, held = 0;
    json_object_foreach(map, tensor, value) {
        clip_safetensors *file = NULL;
        clip_status st = find_file(s, tensor, json_string_value(value), &file);
        if (st) return st;
        if (!clip_safetensors_find(file, tensor))
            return clip_fail(s->err, CLIP_E_FORMAT, "%s: tensor %.100s is not in %s", s->path, tensor, clip_safetensors_path(file));
        listed++;
    }
    for (size_t i = 0; i < s->count; i++) held += clip_safetensors_count(s->files[i]);
    if (held == listed && listed) return CLIP_OK;
    return clip_fail(s->err, CLIP_E_FORMAT, "%s: lists %zu tensors, but its files hold %zu", s->path, listed, held);
}

clip_status clip_shards_open(const char *path, const char *json, size_t n, clip_safetensors **out, clip_error *err)
{
    clip_json_reader r = {path, err, CLIP_OK};
    shards s = {.path = path, .err = err};
    json_t *root = clip_json_parse(&r, json, n), *map = json_object_get(root, "weight_map");
    clip_status st = r.status;
    if (!st && !json_is_object(map)) st = clip_fail(err, CLIP_E_FORMAT, "%s: no weight_map in it", path);
    if (!st) st = open_all(&s, map);
    if (!st) st = clip_safetensors_join(path, s.files, s.count, out, err);
    else
        for (size_t i = 0; i < s.count; i++) clip_safetensors_close(s.files[i]);
    json_decref(root);
    return st;
}
