/* safetensors.c: reads the format of https://github.com/huggingface/safetensors:
 *
 *     bytes        what
 *     0..7         N, length of the header, little-endian
 *     8..8+N-1     a JSON object: name -> {"dtype": "F16", "shape": [2, 3], "data_offsets": [begin, end]}, and
 *                  "__metadata__" -> strings, which are ignored
 *     8+N..        the data; offsets count from here
 *
 * The file comes from elsewhere, so it is believed in nothing: the tensors must lie side by side without gap or overlap
 * and end where the file ends, as the format demands, and each must be as long as its shape and type say. What is wrong
 * is refused with the tensor's name. The header is capped: the largest CLIP has 0.2 MB of it, and JSON takes some twenty
 * times its length in memory. The file is mapped, because a search touches only the text tower's pages. */
#include "engine/model/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/model/map.h"

#define MAX_HEADER ((uint64_t)4 << 20)

struct clip_safetensors {
    char *path;
    void *map;               /* NULL when the bytes are the caller's */
    int fd;                  /* of what is mapped, else -1 */
    const unsigned char *bytes, *data;
    size_t length, header_length, data_length;
    const void *header;
    clip_tensor *tensors;    /* in order of name */
    size_t count;
    char *names;             /* the strings that the tensors point at */
    clip_safetensors **parts; /* of a joined one, which has no bytes of its own */
    size_t part_count;
    void *headers;           /* of all parts, one after another */
};

/* Every element type of the format; those that are not weights are only measured. A size of 0: not whole bytes. */
static const struct {
    const char *name;
    size_t size;
    bool is_weight;
    clip_type type;
} dtypes[] = {
    {"F32", 4, true, CLIP_T_F32}, {"F16", 2, true, CLIP_T_F16}, {"BF16", 2, true, CLIP_T_BF16},
    {"F64", 8}, {"I64", 8}, {"U64", 8}, {"I32", 4}, {"U32", 4}, {"I16", 2}, {"U16", 2}, {"I8", 1}, {"U8", 1}, {"BOOL", 1},
    {"F8_E4M3", 1}, {"F8_E5M2", 1},
};

static clip_status take_dtype(const char *path, clip_tensor *t, const char *dtype, size_t *size, clip_error *err)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtype && !strcmp(dtype, dtypes[i].name)) {
            t->dtype = dtypes[i].name;
            t->is_weight = dtypes[i].is_weight;
            t->type = dtypes[i].type;
            *size = dtypes[i].size;
            return CLIP_OK;
        }
    return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: tensor %s has the unknown type %.20s", path, t->name,
                     dtype ? dtype : "(none)");
}

static clip_status take_shape(const char *path, clip_tensor *t, const json_t *shape, clip_error *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > CLIP_TENSOR_DIMS)
        return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s has no shape of at most %d dimensions", path, t->name,
                         CLIP_TENSOR_DIMS);
    t->dims = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->dims; i++) {
        const json_t *n = json_array_get(shape, (size_t)i);
        t->size[i] = json_integer_value(n);
        if (!json_is_integer(n) || t->size[i] < 0 || __builtin_mul_overflow(t->count, t->size[i], &t->count))
            return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s has an impossible shape", path, t->name);
    }
    return CLIP_OK;
}

static clip_status take_data(const clip_safetensors *s, clip_tensor *t, const json_t *offsets, size_t size, clip_error *err)
{
    const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(b), end = json_integer_value(e), need;
    if (json_array_size(offsets) != 2 || !json_is_integer(b) || !json_is_integer(e) || begin < 0 || end < begin)
        return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s has impossible offsets", s->path, t->name);
    if ((uint64_t)end > s->data_length)
        return clip_fail(err, CLIP_E_FORMAT,
                         "%s: tensor %s ends at byte %" PRId64 " of the data, but the file has %zu: it is truncated, "
                         "fetch it again", s->path, t->name, end, s->data_length);
    if (__builtin_mul_overflow(t->count, (int64_t)size, &need) || need != end - begin)
        return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s has %" PRId64 " bytes, which its shape and type %s do not need",
                         s->path, t->name, end - begin, t->dtype);
    t->data = s->data + begin;
    t->bytes = (size_t)(end - begin);
    return CLIP_OK;
}

static clip_status take_tensor(const clip_safetensors *s, clip_tensor *t, const json_t *entry, clip_error *err)
{
    size_t size = 0;
    clip_status st = take_dtype(s->path, t, json_string_value(json_object_get(entry, "dtype")), &size, err);
    if (!st) st = take_shape(s->path, t, json_object_get(entry, "shape"), err);
    if (!st) st = take_data(s, t, json_object_get(entry, "data_offsets"), size, err);
    return st;
}

static int by_data(const void *a, const void *b)
{
    const clip_tensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* an empty tensor comes before its neighbour */
}

static int by_name(const void *a, const void *b) { return strcmp(((const clip_tensor *)a)->name, ((const clip_tensor *)b)->name); }

/* Side by side, from the first byte of the data to the last. */
static clip_status check_tiling(clip_safetensors *s, clip_error *err)
{
    const unsigned char *at = s->data;
    qsort(s->tensors, s->count, sizeof *s->tensors, by_data);
    for (size_t i = 0; i < s->count; i++) {
        const clip_tensor *t = &s->tensors[i];
        if (t->data != at)
            return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s %s", s->path, t->name,
                             (const unsigned char *)t->data < at ? "overlaps another" : "begins after a gap");
        at += t->bytes;
    }
    if (at != s->data + s->data_length)
        return clip_fail(err, CLIP_E_FORMAT, "%s: %zu bytes after the last tensor belong to none", s->path,
                         (size_t)(s->data + s->data_length - at));
    return CLIP_OK;
}

static clip_status take_header(clip_safetensors *s, json_t *root, clip_error *err)
{
    size_t room = 0, n = json_object_size(root);
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry) room += strlen(name) + 1;
    s->names = malloc(room + 1);
    s->tensors = calloc(n + 1, sizeof *s->tensors);
    if (!s->names || !s->tensors) return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", s->path);

    char *copy = s->names;
    json_object_foreach(root, name, entry) {
        if (!strcmp(name, "__metadata__")) continue;
        size_t length = strlen(name) + 1;
        clip_tensor *t = &s->tensors[s->count++];
        t->name = memcpy(copy, name, length);
        copy += length;
        clip_status st = take_tensor(s, t, entry, err);
        if (st) return st;
    }
    clip_status st = check_tiling(s, err);
    qsort(s->tensors, s->count, sizeof *s->tensors, by_name);
    return st;
}

static clip_status parse(clip_safetensors *s, clip_error *err)
{
    uint64_t header = 0;
    if (s->length < 10) return clip_fail(err, CLIP_E_FORMAT, "%s: %zu bytes are no safetensors file", s->path, s->length);
    for (int i = 7; i >= 0; i--) header = header << 8 | s->bytes[i];
    if (header > MAX_HEADER && header <= s->length - 8)
        return clip_fail(err, CLIP_E_LIMIT, "%s: a header of %" PRIu64 " bytes; the limit is %" PRIu64, s->path, header,
                         MAX_HEADER);
    if (header > s->length - 8)
        return clip_fail(err, CLIP_E_FORMAT, "%s: not a safetensors file, or truncated in its header", s->path);
    s->header_length = (size_t)header;
    s->header = s->bytes + 8;
    s->data = s->bytes + 8 + header;
    s->data_length = s->length - 8 - (size_t)header;

    json_error_t why;
    json_t *root = json_loadb((const char *)s->bytes + 8, s->header_length, JSON_REJECT_DUPLICATES, &why);
    if (!root) return clip_fail(err, CLIP_E_FORMAT, "%s: broken header: %s", s->path, why.text);
    clip_status st = json_is_object(root) ? take_header(s, root, err)
                                          : clip_fail(err, CLIP_E_FORMAT, "%s: the header is no JSON object", s->path);
    json_decref(root);
    return st;
}

clip_status clip_safetensors_parse(const char *name, const void *bytes, size_t n, clip_safetensors **out, clip_error *err)
{
    clip_safetensors *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(name))) {
        free(s);
        return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", name);
    }
    s->bytes = bytes;
    s->length = n;
    clip_status st = parse(s, err);
    if (st) clip_safetensors_close(s);
    else *out = s;
    return st;
}

clip_status clip_safetensors_open(const char *path, clip_safetensors **out, clip_error *err)
{
    void *map = NULL;
    size_t length = 0;
    int fd;
    clip_status st = clip_file_map_keep(path, 10, "safetensors file", &map, &length, &fd, err);
    if (st) return st;
    st = clip_safetensors_parse(path, map, length, out, err);
    if (!st) {
        (*out)->map = map;
        (*out)->fd = fd;
        return st;
    }
    munmap(map, length);
    close(fd);
    return st;
}

void clip_safetensors_close(clip_safetensors *s)
{
    if (!s) return;
    if (s->map) munmap(s->map, s->length);
    if (s->map) close(s->fd);
    for (size_t i = 0; i < s->part_count; i++) clip_safetensors_close(s->parts[i]);
    free(s->parts);
    free(s->headers);
    free(s->tensors);
    free(s->names);
    free(s->path);
    free(s);
}

const clip_tensor *clip_safetensors_find(const clip_safetensors *s, const char *name)
{
    clip_tensor key = {.name = name};
    return bsearch(&key, s->tensors, s->count, sizeof *s->tensors, by_name);
}

/* The file that holds these bytes, or NULL. */
static const clip_safetensors *holder(const clip_safetensors *s, const void *data)
{
    const clip_safetensors *found = NULL;
    for (size_t i = 0; i < s->part_count && !found; i++) found = holder(s->parts[i], data);
    if (found || !s->map) return found;
    return (const unsigned char *)data >= s->data && (const unsigned char *)data < s->data + s->data_length ? s : NULL;
}

void clip_safetensors_release(const clip_safetensors *s, const void *data, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + bytes) / page * page;
    if (first < end && holder(s, data)) madvise((void *)first, end - first, MADV_DONTNEED); /* only advice: failing is harmless */
}

bool clip_safetensors_read(const clip_safetensors *s, const void *data, size_t bytes, void *to)
{
    const clip_safetensors *h = holder(s, data);
    size_t done = 0;
    for (ssize_t got = 1; h && done < bytes && got > 0; done += got > 0 ? (size_t)got : 0)
        got = pread(h->fd, (char *)to + done, bytes - done, (const unsigned char *)data - h->bytes + (off_t)done);
    return done == bytes;
}

size_t clip_safetensors_count(const clip_safetensors *s) { return s->count; }
const clip_tensor *clip_safetensors_at(const clip_safetensors *s, size_t i) { return &s->tensors[i]; }
const char *clip_safetensors_path(const clip_safetensors *s) { return s->path; }

const void *clip_safetensors_header(const clip_safetensors *s, size_t *n)
{
    *n = s->header_length;
    return s->header;
}

/* ---- several files as one --------------------------------------------------------------------------------------- */

static clip_status join(clip_safetensors *s, clip_error *err)
{
    for (size_t i = 0; i < s->part_count; i++) s->count += s->parts[i]->count, s->header_length += s->parts[i]->header_length;
    s->tensors = calloc(s->count + 1, sizeof *s->tensors);
    s->header = s->headers = malloc(s->header_length + 1);
    if (!s->tensors || !s->headers) return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", s->path);
    clip_tensor *t = s->tensors;
    char *header = s->headers;
    for (size_t i = 0; i < s->part_count; i++) {
        const clip_safetensors *p = s->parts[i];
        memcpy(t, p->tensors, p->count * sizeof *t);
        memcpy(header, p->header, p->header_length);
        t += p->count;
        header += p->header_length;
    }
    qsort(s->tensors, s->count, sizeof *s->tensors, by_name);
    for (size_t i = 1; i < s->count; i++)
        if (!by_name(&s->tensors[i - 1], &s->tensors[i]))
            return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s is in two of the files", s->path, s->tensors[i].name);
    return CLIP_OK;
}

clip_status clip_safetensors_join(const char *name, clip_safetensors **parts, size_t n, clip_safetensors **out, clip_error *err)
{
    clip_safetensors *s = calloc(1, sizeof *s);
    if (s) s->parts = calloc(n + 1, sizeof *parts);
    if (!s || !s->parts || !(s->path = strdup(name))) {
        for (size_t i = 0; i < n; i++) clip_safetensors_close(parts[i]);
        if (s) free(s->parts);
        free(s);
        return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", name);
    }
    memcpy(s->parts, parts, n * sizeof *parts);
    s->part_count = n;
    clip_status st = join(s, err);
    if (st) clip_safetensors_close(s);
    else *out = s;
    return st;
}
