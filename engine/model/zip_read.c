/* zip_read.c: the directory of a zip archive (APPNOTE.TXT 6.3.10 of PKWARE), for archives that are read by mapping.
 *
 *     record                    signature   fields used, at their offsets
 *     end of directory          50 4b 05 06 disk 4, directory's disk 6, entries 10, its size 12, its offset 16, comment's length 20
 *     zip64 end's locator       50 4b 06 07 offset of the zip64 end 8
 *     zip64 end of directory    50 4b 06 06 entries 32, directory's size 40, its offset 48
 *     directory entry           50 4b 01 02 flags 8, method 10, crc 16, stored size 20, size 24, lengths of name 28, extra 30 and
 *                                           comment 32, local header's offset 42; name from 46
 *     extra field 0001          zip64: size, stored size, offset, each where its 32 bits above are all ones
 *     local header              50 4b 03 04 lengths of name 26 and extra 28; name from 30, then extra, then the data
 *
 * Why not libzip or libarchive: PyTorch stores its numbers uncompressed so that they can be mapped, and what is needed is the
 * place where they lie. Neither library tells it; both would copy gigabytes through a buffer. The directory alone is believed,
 * because sizes in a local header may be left open (flag 8), and only as far as it agrees with the file's length; files may lie
 * inside each other, but together they may not be larger than the archive, so that reading all of them is no endless work. */
#include "engine/model/zip_read.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ENTRIES 100000
#define END_SIZE 22
#define ENTRY_SIZE 46
#define LOCAL_SIZE 30

typedef struct reader {
    const char *name;
    const uint8_t *bytes;
    size_t n;
    uint64_t entries, start, length; /* of the directory */
    clip_error *err;
} reader;

static uint64_t little(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    while (bytes--) v = v << 8 | p[bytes];
    return v;
}

static clip_status broken(const reader *r, const char *what)
{
    return clip_fail(r->err, CLIP_E_FORMAT, "%s: a broken zip archive (%s): it is truncated or damaged, fetch it again", r->name, what);
}

static clip_status read_zip64_end(reader *r, size_t end)
{
    if (end < 20 || memcmp(r->bytes + end - 20, "PK\6\7", 4)) return broken(r, "its 64-bit directory is not announced");
    uint64_t at = little(r->bytes + end - 20 + 8, 8);
    if (r->n < 56 || at > r->n - 56 || memcmp(r->bytes + at, "PK\6\6", 4)) return broken(r, "its 64-bit directory is not there");
    r->entries = little(r->bytes + at + 32, 8);
    r->length = little(r->bytes + at + 40, 8);
    r->start = little(r->bytes + at + 48, 8);
    return CLIP_OK;
}

/* From the end backwards: a comment of up to 65,535 bytes may follow the record, and must end where the file does. */
static clip_status read_end(reader *r)
{
    size_t last = r->n >= END_SIZE ? r->n - END_SIZE : 0, first = last > 65535 ? last - 65535 : 0, at = last + 1;
    if (r->n < END_SIZE) return broken(r, "no room for a directory");
    while (at-- > first)
        if (!memcmp(r->bytes + at, "PK\5\6", 4) && little(r->bytes + at + 20, 2) == last - at) break;
    if (at + 1 == first) return broken(r, "no directory at its end");
    const uint8_t *end = r->bytes + at;
    r->entries = little(end + 10, 2);
    r->length = little(end + 12, 4);
    r->start = little(end + 16, 4);
    if (little(end + 4, 2) != little(end + 6, 2)) return broken(r, "in several parts");
    bool wide = r->entries == 0xffff || r->length == 0xffffffff || r->start == 0xffffffff;
    clip_status s = wide ? read_zip64_end(r, at) : CLIP_OK;
    if (!s && (r->start > r->n || r->length > r->n - r->start)) return broken(r, "its directory lies outside it");
    if (!s && (r->entries > MAX_ENTRIES || r->entries > r->length / ENTRY_SIZE)) return broken(r, "too many files");
    return s;
}

/* Three numbers of an entry, of which any may have its real value in the extra field. */
static bool widen(const uint8_t *extra, size_t n, uint64_t *const value[3])
{
    bool wide = *value[0] == 0xffffffff || *value[1] == 0xffffffff || *value[2] == 0xffffffff;
    for (size_t at = 0; wide && at + 4 <= n; ) {
        size_t size = (size_t)little(extra + at + 2, 2);
        if (size > n - at - 4) return false;
        if (little(extra + at, 2) == 1) {
            const uint8_t *p = extra + at + 4, *end = p + size;
            for (int i = 0; i < 3; i++) {
                if (*value[i] != 0xffffffff) continue;
                if (end - p < 8) return false;
                *value[i] = little(p, 8);
                p += 8;
            }
            return true;
        }
        at += 4 + size;
    }
    return !wide;
}

static clip_status find_data(const reader *r, clip_zip_entry *e, uint64_t local, uint64_t stored)
{
    if (r->n < LOCAL_SIZE || local > r->n - LOCAL_SIZE || memcmp(r->bytes + local, "PK\3\4", 4)) return broken(r, "a file is not where it should be");
    const uint8_t *p = r->bytes + local;
    uint64_t name = little(p + 26, 2), at = local + LOCAL_SIZE + name + little(p + 28, 2);
    if (at > r->n || stored > r->n - at) return broken(r, "a file ends after the archive does");
    if (name != e->name_length || memcmp(p + LOCAL_SIZE, e->name, name)) return broken(r, "a file has two names");
    e->data = r->bytes + at;
    return CLIP_OK;
}

/* One entry of the directory; *at moves behind it. */
static clip_status read_entry(const reader *r, uint64_t *at, clip_zip_entry *e)
{
    uint64_t left = r->start + r->length - *at;
    const uint8_t *p = r->bytes + *at;
    if (left < ENTRY_SIZE || memcmp(p, "PK\1\2", 4)) return broken(r, "its directory is too short");
    uint64_t name = little(p + 28, 2), extra = little(p + 30, 2), whole = ENTRY_SIZE + name + extra + little(p + 32, 2);
    if (whole > left) return broken(r, "its directory is too short");
    uint64_t size = little(p + 24, 4), stored = little(p + 20, 4), local = little(p + 42, 4);
    if (!widen(p + ENTRY_SIZE + name, (size_t)extra, (uint64_t *[]){&size, &stored, &local})) return broken(r, "a size is missing");
    *e = (clip_zip_entry){(const char *)p + ENTRY_SIZE, (size_t)name, NULL, 0, (uint32_t)little(p + 16, 4)};
    *at += whole;
    bool plain = little(p + 10, 2) == 0 && !(little(p + 8, 2) & 1);
    if (!plain) return CLIP_OK;
    if (size != stored) return broken(r, "a stored file has two sizes");
    e->size = (size_t)size;
    return find_data(r, e, local, stored);
}

static int by_name(const void *a, const void *b)
{
    const clip_zip_entry *x = a, *y = b;
    size_t n = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = n ? memcmp(x->name, y->name, n) : 0;
    return order ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

clip_status clip_zip_open(const char *name, const uint8_t *bytes, size_t n, clip_zip *out, clip_error *err)
{
    reader r = {name, bytes, n, 0, 0, 0, err};
    *out = (clip_zip){0};
    clip_status s = read_end(&r);
    if (s) return s;
    out->entries = calloc((size_t)r.entries + 1, sizeof *out->entries);
    if (!out->entries) return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", name);
    uint64_t at = r.start, all = 0;
    for (; !s && out->count < r.entries; out->count++) {
        s = read_entry(&r, &at, &out->entries[out->count]);
        all += out->entries[out->count].size; /* each is at most the archive's, and they are few */
        if (!s && all > n) s = broken(&r, "its files overlap");
    }
    if (!s) qsort(out->entries, out->count, sizeof *out->entries, by_name);
    for (size_t i = 1; !s && i < out->count; i++)
        if (!by_name(&out->entries[i - 1], &out->entries[i])) s = broken(&r, "two files have one name");
    if (s) clip_zip_close(out);
    return s;
}

void clip_zip_close(clip_zip *z)
{
    free(z->entries);
    *z = (clip_zip){0};
}

const clip_zip_entry *clip_zip_find(const clip_zip *z, const char *name)
{
    clip_zip_entry key = {name, strlen(name), NULL, 0, 0};
    return bsearch(&key, z->entries, z->count, sizeof *z->entries, by_name);
}
