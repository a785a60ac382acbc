/* cache_read.c: the file is read through a stream of ours, which computes the checksum of the bytes while they are in the
 * processor's cache. So a file is verified whole at every pass for a few percent of the time that reading it takes, and no
 * flipped bit can ever hide a photo. Compiled for the CPU that the program is built for: XXH3 of the distribution's library
 * knows SSE2 alone and takes twice as long.
 *
 * FAISS wants a FILE, and a FILE of this kind copies everything through a buffer of 8 KB. So the linker sends fread here
 * (--wrap in meson.build), and what is asked of such a stream goes past its buffer. Where FAISS is a shared library its calls
 * do not come here, and the buffer does its work. */
#include "store/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct cache_stream {
    FILE *file;
    XXH3_state_t *state;
    int fd;
    int64_t at, end;
    const uint8_t *head;        /* what FILE gives before the file's bytes */
    size_t head_left;
    int64_t stop;               /* where FILE ends for now */
    void *table;                /* where the file's bytes were asked for, all at once */
    bool failed;
};

static _Thread_local cache_stream *current;

/* At most 256 KB at once, so that they are still in the cache when they are hashed. */
static ssize_t give_file(cache_stream *s, char *to, size_t n, int64_t stop)
{
    if (n > 1 << 18) n = 1 << 18;
    if ((int64_t)n > stop - s->at) n = (size_t)(stop - s->at);
    if (!n) return 0;
    ssize_t got;
    do got = pread(s->fd, to, n, s->at);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        s->failed = true;
        return got;
    }
    XXH3_128bits_update(s->state, to, (size_t)got);
    s->at += got;
    return got;
}

static ssize_t give(void *cookie, char *to, size_t n)
{
    cache_stream *s = cookie;
    if (!s->head_left) return give_file(s, to, n, s->stop);
    if (n > s->head_left) n = s->head_left;
    memcpy(to, s->head, n);
    s->head += n;
    s->head_left -= n;
    return (ssize_t)n;
}

size_t __real_fread(void *to, size_t size, size_t n, FILE *f);
size_t __wrap_fread(void *to, size_t size, size_t n, FILE *f);

size_t __wrap_fread(void *to, size_t size, size_t n, FILE *f)
{
    size_t want, had = 0;
    if (!current || current->file != f) return __real_fread(to, size, n, f);
    if (__builtin_mul_overflow(size, n, &want)) return 0;
    if (!current->head_left && (int64_t)want == current->stop - current->at) current->table = to;
    for (ssize_t got = 1; had < want && got > 0; had += got > 0 ? (size_t)got : 0) got = give(current, (char *)to + had, want - had);
    return want ? had / size : 0;
}

cache_stream *cache_stream_open(int fd, int64_t at, int64_t bytes)
{
    cache_stream *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (cache_stream){.state = XXH3_createState(), .fd = fd, .at = at, .end = at + bytes, .stop = at};
    if (s->state) XXH3_128bits_reset(s->state);
    s->file = s->state ? fopencookie(s, "rb", (cookie_io_functions_t){.read = give}) : NULL;
    if (s->file) return current = s;
    XXH3_freeState(s->state);
    free(s);
    return NULL;
}

bool cache_stream_read(cache_stream *s, void *to, size_t n)
{
    size_t had = 0;
    for (ssize_t got = 1; had < n && got > 0; had += got > 0 ? (size_t)got : 0) got = give_file(s, (char *)to + had, n - had, s->end);
    return had == n;
}

FILE *cache_stream_file(cache_stream *s, const uint8_t *head, size_t n, int64_t bytes)
{
    clearerr(s->file);
    s->head = head;
    s->head_left = n;
    s->table = NULL;
    s->stop = bytes < s->end - s->at ? s->at + bytes : s->end;
    return s->file;
}

void *cache_stream_table(const cache_stream *s) { return s->table; }

static void canonical(XXH128_hash_t h, uint8_t digest[16])
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, h);
    memcpy(digest, c.digest, 16);
}

bool cache_stream_close(cache_stream *s, uint8_t digest[16])
{
    char rest[1 << 16];
    while (!s->failed && s->at < s->end) give_file(s, rest, sizeof rest, s->end);
    bool ok = !s->failed;
    current = NULL;
    canonical(XXH3_128bits_digest(s->state), digest);
    fclose(s->file);
    XXH3_freeState(s->state);
    free(s);
    return ok;
}

void cache_digest(const void *bytes, size_t n, uint8_t digest[16]) { canonical(XXH3_128bits(bytes, n), digest); }

bool cache_file_hash(int fd, int dim, const cache_row *r, uint8_t hash[16])
{
    uint8_t digest[(CACHE_PARTS_MAX + 1) * 16];
    int parts = cache_parts(r->count);
    for (int i = 0; i <= parts; i++) {
        int64_t at = i ? cache_part_at(r->count, dim, parts, i - 1) : 0;
        cache_stream *s = cache_stream_open(fd, at, cache_part_at(r->count, dim, parts, i) - at);
        if (!s || !cache_stream_close(s, digest + 16 * i)) return false;
    }
    cache_digest(digest, 16 * (size_t)(parts + 1), hash);
    return true;
}
