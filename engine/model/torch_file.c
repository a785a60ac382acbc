/* torch_file.c: PyTorch's zip files.
 *
 *     in the archive        what
 *     NAME/data.pkl         a pickle: a dictionary of tensors, or in TorchScript the tree of modules that hold them
 *     NAME/data/KEY         the numbers of one storage, as they lie in memory
 *     NAME/byteorder        "little" or "big"; absent in older files, which are little-endian
 *     NAME/code, constants  TorchScript's program: not looked at
 *
 *     in the pickle         what
 *     tensor                (storage, offset, sizes, strides, ...), counted in numbers
 *     storage               ("storage", type, KEY, device, numbers)
 *
 * A checkpoint is a dictionary whose "state_dict" is the dictionary of tensors; "module." and "_orig_mod." before every name
 * are left there by training on several machines and by compiling, and are taken off. Like a safetensors file it is believed
 * in nothing; tensors may share storages, but together they may not be larger than the file. */
#include "engine/model/torch_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include "engine/model/map.h"
#include "engine/model/pickle.h"
#include "engine/model/zip_read.h"

#define MAX_TENSORS 100000
#define MAX_VISITS 500000
#define MAX_DEPTH 32
#define MAX_NAME 200

struct clip_torch_file {
    char *path;
    void *map;                  /* NULL when the bytes are the caller's */
    size_t length;
    clip_zip zip;
    clip_pickle pickle;
    const char *root;           /* NAME, not terminated */
    size_t root_length;
    clip_torch_tensor *tensors; /* in order of name */
    size_t count, room;
    int64_t bytes;              /* of all tensors */
    size_t visits;
    bool script, quick_gelu;
    clip_torch_file **parts;    /* of a joined one, whose tensors are theirs, names and all */
    size_t part_count;
};

static const struct {
    const char *storage, *dtype;
    size_t unit;
    bool is_weight;
} types[] = {
    {"torch FloatStorage", "F32", 4, true}, {"torch HalfStorage", "F16", 2, true}, {"torch BFloat16Storage", "BF16", 2, true},
    {"torch DoubleStorage", "F64", 8},      {"torch LongStorage", "I64", 8},       {"torch IntStorage", "I32", 4},
    {"torch ShortStorage", "I16", 2},       {"torch CharStorage", "I8", 1},        {"torch ByteStorage", "U8", 1},
    {"torch BoolStorage", "BOOL", 1},
};

/* ---- the archive ------------------------------------------------------------------------------------------------ */

static const clip_zip_entry *entry(const clip_torch_file *f, const char *folder, const char *key, size_t key_n)
{
    char name[512];
    if (f->root_length + strlen(folder) + key_n + 2 > sizeof name) return NULL;
    snprintf(name, sizeof name, "%.*s%s%.*s", (int)f->root_length, f->root, folder, (int)key_n, key);
    return clip_zip_find(&f->zip, name);
}

static clip_status no_archive(const clip_torch_file *f, const uint8_t *bytes, size_t n, clip_error *err)
{
    static const struct { const char *begin; size_t n; const char *what; } kinds[] = {
        {"\x80\2\x8a\12\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14, "written by a PyTorch older than 1.6, in a form without bounds; in "
         "a newer one, torch.save(torch.load(FILE), FILE) writes it anew"},
        {"\x80", 1, "a pickle outside an archive, which is not read; torch.save of PyTorch 1.6 or newer writes an archive"},
        {"version https://git-lfs", 23, "a Git LFS pointer, not the file itself: fetch it with git lfs pull"},
        {"<!", 2, "a web page, not a model: the download went wrong"}, {"<html", 5, "a web page, not a model: the download went wrong"},
        {"\x1f\x8b", 2, "a gzip file, not PyTorch's"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (n >= kinds[i].n && !memcmp(bytes, kinds[i].begin, kinds[i].n))
            return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: %s", f->path, kinds[i].what);
    return clip_fail(err, CLIP_E_FORMAT, "%s: not a file of PyTorch's: those are zip archives", f->path);
}

/* NAME is whatever stands before /data.pkl, of which there must be one at that depth. */
static clip_status find_root(clip_torch_file *f, clip_error *err)
{
    static const char end[] = "/data.pkl";
    size_t m = sizeof end - 1, found = 0;
    for (size_t i = 0; i < f->zip.count; i++) {
        const clip_zip_entry *e = &f->zip.entries[i];
        if (e->name_length <= m || memcmp(e->name + e->name_length - m, end, m)) continue;
        if (memchr(e->name, '/', e->name_length - m)) continue;
        f->root = e->name, f->root_length = e->name_length - m, found++;
    }
    if (found == 1) return CLIP_OK;
    return clip_fail(err, CLIP_E_FORMAT, "%s: a zip archive with %s data.pkl: not a file of PyTorch's", f->path, found ? "more than one" : "no");
}

static clip_status check_byte_order(const clip_torch_file *f, clip_error *err)
{
    const clip_zip_entry *e = entry(f, "/byteorder", "", 0);
    if (!e || (e->data && e->size == 6 && !memcmp(e->data, "little", 6))) return CLIP_OK;
    return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: written on a big-endian machine", f->path);
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

static bool whole_number(const clip_pickle_value *v, int64_t *out)
{
    if (!v || v->kind != CLIP_PICKLE_INT || v->number < 0) return false;
    *out = v->number;
    return true;
}

static bool take_sizes(const clip_pickle *p, const clip_pickle_value *list, int64_t out[CLIP_TORCH_DIMS], int *n)
{
    bool sequence = list && (list->kind == CLIP_PICKLE_TUPLE || list->kind == CLIP_PICKLE_LIST);
    if (!sequence || list->n > CLIP_TORCH_DIMS) return false;
    for (uint32_t i = 0; i < list->n; i++)
        if (!whole_number(clip_pickle_item(p, list, i), &out[i])) return false;
    *n = (int)list->n;
    return true;
}

/* How many numbers there are, and which is the last one's place; false when that does not fit 63 bits. */
static bool measure(clip_torch_tensor *t, int64_t offset, int64_t *last)
{
    int64_t step;
    t->count = 1;
    *last = offset;
    for (int i = 0; i < t->dims; i++)
        if (__builtin_mul_overflow(t->count, t->size[i], &t->count)) return false;
    for (int i = 0; i < t->dims && t->count; i++)
        if (__builtin_mul_overflow(t->size[i] - 1, t->stride[i], &step) || __builtin_add_overflow(*last, step, last)) return false;
    return true;
}

static clip_status bad_tensor(const clip_torch_file *f, const clip_torch_tensor *t, const char *what, clip_error *err)
{
    return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s %s", f->path, t->name, what);
}

static clip_status take_storage(clip_torch_file *f, clip_torch_tensor *t, const clip_pickle_value *s, int64_t *numbers,
                                clip_error *err)
{
    const clip_pickle *p = &f->pickle;
    const clip_pickle_value *type = clip_pickle_item(p, s, 1), *key = clip_pickle_item(p, s, 2);
    if (!s || s->kind != CLIP_PICKLE_STORAGE || !key || key->kind != CLIP_PICKLE_TEXT || !whole_number(clip_pickle_item(p, s, 4), numbers))
        return bad_tensor(f, t, "has no storage", err);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (clip_pickle_is(type, CLIP_PICKLE_GLOBAL, types[i].storage))
            t->dtype = types[i].dtype, t->unit = types[i].unit, t->is_weight = types[i].is_weight;
    if (!t->unit) return bad_tensor(f, t, "has a type that is not known", err);
    const clip_zip_entry *e = key->length < 100 ? entry(f, "/data/", key->text, key->length) : NULL;
    if (!e) return bad_tensor(f, t, "has its numbers in a file that the archive lacks", err);
    if (!e->data) return bad_tensor(f, t, "is compressed or encrypted, which PyTorch never does", err);
    if ((uint64_t)*numbers > e->size / t->unit) return bad_tensor(f, t, "has fewer numbers in the archive than it should", err);
    t->first = e->data;
    return CLIP_OK;
}

static clip_status take_tensor(clip_torch_file *f, clip_torch_tensor *t, const clip_pickle_value *v, clip_error *err)
{
    const clip_pickle *p = &f->pickle;
    int64_t numbers = 0, offset, last;
    int strides;
    clip_status s = take_storage(f, t, clip_pickle_item(p, v, 0), &numbers, err);
    if (s) return s;
    if (!whole_number(clip_pickle_item(p, v, 1), &offset) || !take_sizes(p, clip_pickle_item(p, v, 2), t->size, &t->dims) ||
        !take_sizes(p, clip_pickle_item(p, v, 3), t->stride, &strides) || strides != t->dims || !measure(t, offset, &last))
        return bad_tensor(f, t, "has an impossible shape", err);
    if (t->count && (last >= numbers || t->count > numbers)) return bad_tensor(f, t, "reaches beyond its storage", err);
    if (t->count) t->first += (size_t)offset * t->unit;
    f->bytes += t->count * (int64_t)t->unit; /* each is at most the file's length, and their number is capped */
    if ((uint64_t)f->bytes > f->length) return clip_fail(err, CLIP_E_LIMIT, "%s: its tensors are larger than itself", f->path);
    return CLIP_OK;
}

static clip_status add_tensor(clip_torch_file *f, const char *name, const clip_pickle_value *v, clip_error *err)
{
    if (f->count == MAX_TENSORS) return clip_fail(err, CLIP_E_LIMIT, "%s: more than %d tensors", f->path, MAX_TENSORS);
    if (f->count == f->room) {
        size_t room = f->room ? 2 * f->room : 256;
        clip_torch_tensor *bigger = realloc(f->tensors, room * sizeof *bigger);
        if (!bigger) return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", f->path);
        f->tensors = bigger;
        f->room = room;
    }
    clip_torch_tensor *t = &f->tensors[f->count];
    *t = (clip_torch_tensor){.name = strdup(name)};
    if (!t->name) return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", f->path);
    f->count++;
    return take_tensor(f, t, v, err);
}

/* ---- the tree --------------------------------------------------------------------------------------------------- */

/* The tensors of a dictionary, or of a module and those below it. The walk is capped, because values may form circles. */
static clip_status walk(clip_torch_file *f, const clip_pickle_value *v, char name[MAX_NAME], size_t n, int depth, clip_error *err)
{
    const clip_pickle *p = &f->pickle;
    clip_status s = CLIP_OK;
    for (uint32_t i = 0; i + 1 < v->n && !s; i += 2) {
        const clip_pickle_value *key = clip_pickle_item(p, v, i), *value = clip_pickle_item(p, v, i + 1);
        bool module = v->kind == CLIP_PICKLE_OBJECT && value->kind == CLIP_PICKLE_OBJECT;
        if (++f->visits > MAX_VISITS) return clip_fail(err, CLIP_E_LIMIT, "%s: modules without end", f->path);
        if (key->kind != CLIP_PICKLE_TEXT || (!module && value->kind != CLIP_PICKLE_TENSOR)) continue;
        if (depth == MAX_DEPTH || n + key->length + 2 > MAX_NAME || memchr(key->text, 0, key->length))
            return clip_fail(err, CLIP_E_FORMAT, "%s: modules or names beyond reason", f->path);
        memcpy(name + n, key->text, key->length);
        strcpy(name + n + key->length, module ? "." : "");
        s = module ? walk(f, value, name, n + key->length + 1, depth + 1, err) : add_tensor(f, name, value, err);
    }
    return s;
}

static void strip(clip_torch_file *f, const char *prefix)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; i < f->count; i++)
        if (strncmp(f->tensors[i].name, prefix, n)) return;
    for (size_t i = 0; i < f->count; i++) memmove(f->tensors[i].name, f->tensors[i].name + n, strlen(f->tensors[i].name + n) + 1);
}

static int by_name(const void *a, const void *b) { return strcmp(((const clip_torch_tensor *)a)->name, ((const clip_torch_tensor *)b)->name); }

static bool ends_in_quick_gelu(const clip_pickle_value *v)
{
    static const char end[] = "QuickGELU";
    size_t n = sizeof end - 1;
    return v->kind == CLIP_PICKLE_OBJECT && v->length > n && !memcmp(v->text + v->length - n, end, n);
}

static clip_status take_tree(clip_torch_file *f, clip_error *err)
{
    const clip_pickle_value *v = &f->pickle.values[f->pickle.root], *inner = clip_pickle_member(&f->pickle, v, "state_dict");
    char name[MAX_NAME] = "";
    if (inner && inner->kind == CLIP_PICKLE_DICT) v = inner;
    f->script = v->kind == CLIP_PICKLE_OBJECT;
    if (!f->script && v->kind != CLIP_PICKLE_DICT) return clip_fail(err, CLIP_E_FORMAT, "%s: neither a dictionary of tensors nor a module", f->path);
    for (uint32_t i = 0; i < f->pickle.count && !f->quick_gelu; i++) f->quick_gelu = ends_in_quick_gelu(&f->pickle.values[i]);
    clip_status s = walk(f, v, name, 0, 0, err);
    if (s) return s;
    if (!f->count) return clip_fail(err, CLIP_E_FORMAT, "%s: no tensors in it", f->path);
    strip(f, "module.");
    strip(f, "_orig_mod.");
    qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
    for (size_t i = 1; i < f->count; i++)
        if (!by_name(&f->tensors[i - 1], &f->tensors[i])) return bad_tensor(f, &f->tensors[i], "is there twice", err);
    return CLIP_OK;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static clip_status parse(clip_torch_file *f, const uint8_t *bytes, size_t n, clip_error *err)
{
    if (n < 4 || memcmp(bytes, "PK\3\4", 4)) return no_archive(f, bytes, n, err);
    clip_status s = clip_zip_open(f->path, bytes, n, &f->zip, err);
    if (!s) s = find_root(f, err);
    if (!s) s = check_byte_order(f, err);
    const clip_zip_entry *e = s ? NULL : entry(f, "/data.pkl", "", 0);
    if (!s && (!e || !e->data)) s = clip_fail(err, CLIP_E_UNSUPPORTED, "%s: its data.pkl is compressed, which PyTorch never does", f->path);
    if (!s) s = clip_pickle_parse(f->path, e->data, e->size, &f->pickle, err);
    return s ? s : take_tree(f, err);
}

clip_status clip_torch_parse(const char *name, const uint8_t *bytes, size_t n, clip_torch_file **out, clip_error *err)
{
    clip_torch_file *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(name))) {
        free(f);
        return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", name);
    }
    f->length = n;
    clip_status s = parse(f, bytes, n, err);
    if (s) clip_torch_close(f);
    else *out = f;
    return s;
}

clip_status clip_torch_open(const char *path, clip_torch_file **out, clip_error *err)
{
    void *map = NULL;
    size_t n = 0;
    clip_status s = clip_file_map(path, 4, "file of PyTorch's", &map, &n, err);
    if (s) return s;
    s = clip_torch_parse(path, map, n, out, err);
    if (s) munmap(map, n);
    else (*out)->map = map;
    return s;
}

void clip_torch_close(clip_torch_file *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->count && !f->parts; i++) free(f->tensors[i].name);
    for (size_t i = 0; i < f->part_count; i++) clip_torch_close(f->parts[i]);
    free(f->parts);
    free(f->tensors);
    clip_pickle_finish(&f->pickle);
    clip_zip_close(&f->zip);
    if (f->map) munmap(f->map, f->length);
    free(f->path);
    free(f);
}

const char *clip_torch_path(const clip_torch_file *f) { return f->path; }
size_t clip_torch_count(const clip_torch_file *f) { return f->count; }
const clip_torch_tensor *clip_torch_at(const clip_torch_file *f, size_t i) { return &f->tensors[i]; }
bool clip_torch_is_script(const clip_torch_file *f) { return f->script; }
bool clip_torch_has_quick_gelu(const clip_torch_file *f) { return f->quick_gelu; }

const clip_torch_tensor *clip_torch_find(const clip_torch_file *f, const char *name)
{
    for (size_t low = 0, high = f->count; low < high; ) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, f->tensors[middle].name);
        if (!order) return &f->tensors[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* ---- several files as one --------------------------------------------------------------------------------------- */

static clip_status join(clip_torch_file *f, clip_error *err)
{
    for (size_t i = 0; i < f->part_count; i++) f->room += f->parts[i]->count;
    if (!(f->tensors = calloc(f->room + 1, sizeof *f->tensors))) return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", f->path);
    for (size_t i = 0; i < f->part_count; f->count += f->parts[i++]->count)
        memcpy(f->tensors + f->count, f->parts[i]->tensors, f->parts[i]->count * sizeof *f->tensors);
    qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
    for (size_t i = 1; i < f->count; i++)
        if (!by_name(&f->tensors[i - 1], &f->tensors[i])) return bad_tensor(f, &f->tensors[i], "is in two of the files", err);
    return CLIP_OK;
}

clip_status clip_torch_join(const char *name, clip_torch_file **parts, size_t n, clip_torch_file **out, clip_error *err)
{
    clip_torch_file *f = calloc(1, sizeof *f);
    if (f) f->parts = calloc(n + 1, sizeof *parts);
    if (!f || !f->parts || !(f->path = strdup(name))) {
        for (size_t i = 0; i < n; i++) clip_torch_close(parts[i]);
        if (f) free(f->parts);
        free(f);
        return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", name);
    }
    memcpy(f->parts, parts, n * sizeof *parts);
    f->part_count = n;
    clip_status s = join(f, err);
    if (s) clip_torch_close(f);
    else *out = f;
    return s;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

clip_status clip_torch_verify(const clip_torch_file *f, clip_error *err)
{
    clip_status s = CLIP_OK;
    for (size_t i = 0; i < f->part_count && !s; i++) s = clip_torch_verify(f->parts[i], err);
    if (s) return s;
    for (size_t i = 0; i < f->zip.count; i++) {
        const clip_zip_entry *e = &f->zip.entries[i];
        if (!e->data || !e->crc || crc32_z(0, e->data, e->size) == e->crc) continue; /* 0: PyTorch was told to compute none */
        return clip_fail(err, CLIP_E_FORMAT, "%s: the checksum of %.*s in it is wrong: it is damaged, fetch it again", f->path,
                         (int)(e->name_length < 100 ? e->name_length : 100), e->name);
    }
    return CLIP_OK;
}

static bool is_contiguous(const clip_torch_tensor *t)
{
    int64_t step = 1;
    for (int i = t->dims; i--; step *= t->size[i])
        if (t->size[i] != 1 && t->stride[i] != step) return false;
    return true;
}

void clip_torch_read(const clip_torch_tensor *t, int64_t first, size_t n, void *out)
{
    uint8_t *to = out;
    if (is_contiguous(t)) {
        memcpy(to, t->first + (size_t)first * t->unit, n * t->unit);
        return;
    }
    for (; n--; first++, to += t->unit) {
        int64_t place = 0, rest = first;
        for (int i = t->dims; i--; rest /= t->size[i]) place += rest % t->size[i] * t->stride[i];
        memcpy(to, t->first + (size_t)place * t->unit, t->unit);
    }
}
