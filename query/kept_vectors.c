/* kept_vectors.c: photos' vectors in a file that is only ever added to.
 *
 *     offset  bytes   header
 *     0       8       "CLIPVEC1"
 *     8       32      the model's fingerprint, hex digits
 *     40      8       what the encoder runs in: "f32", "bf16", ..., zeros behind
 *     48      4       dim, little endian as all numbers here
 *     52      4       check: FNV-1a of the 52 bytes before
 *     56              records, each 32 + 4 dim bytes
 *             8       FNV-1a of the photo's name, relative to the folder that was asked about
 *             8       size of the file in bytes
 *             8       its time of change in nanoseconds since 1970
 *             4       state: query_photo_state
 *             4       check: FNV-1a of the record without this field
 *             4 dim   the vector, floats
 *
 * Records are written whole batches at a time at the end. A kill leaves a part of one at most, which the next run cuts off; a
 * record whose check is wrong is passed over. One process at a time: the file is locked. */
#include "query/kept_vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 56, FIXED = 32, DIM_MOST = 8192 };

typedef struct record { uint64_t name; int64_t size, mtime_ns; uint32_t state, check; } record; /* as it lies in the file */
typedef struct known { record r; uint64_t place; } known;

struct query_kept {
    char *file;
    int fd, dim;
    uint64_t end;      /* where the next record goes */
    known *items;      /* [n] by name, size, time; of equal ones the later first */
    size_t n;
    uint8_t *room;     /* one record */
};

_Static_assert(sizeof(record) == FIXED, "a record has no gaps");

static uint64_t fnv(const void *bytes, size_t n, uint64_t h)
{
    for (const uint8_t *p = bytes, *end = p + n; p < end; p++) h = (h ^ *p) * 1099511628211u;
    return h;
}

static const uint64_t FNV = 14695981039346656037u;

static size_t length_of(const query_kept *k) { return FIXED + 4 * (size_t)k->dim; }

static uint32_t check_of(const query_kept *k, const uint8_t *bytes)
{
    uint64_t h = fnv(bytes, FIXED - 4, FNV);
    h = fnv(bytes + FIXED, 4 * (size_t)k->dim, h);
    return (uint32_t)(h ^ h >> 32);
}

static void make_header(uint8_t header[HEADER], const char *fingerprint, const char *precision, int dim)
{
    uint32_t number = (uint32_t)dim;
    memset(header, 0, HEADER);
    memcpy(header, "CLIPVEC1", 8);
    memcpy(header + 8, fingerprint, strnlen(fingerprint, 32));
    memcpy(header + 40, precision, strnlen(precision, 8));
    memcpy(header + 48, &number, 4);
    number = (uint32_t)fnv(header, HEADER - 4, FNV);
    memcpy(header + 52, &number, 4);
}

static bool read_at(int fd, void *to, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (uint8_t *)to + done, n - done, (off_t)(at + done));
        if (got <= 0 && !(got < 0 && errno == EINTR)) return false;
        if (got > 0) done += (size_t)got;
    }
    return true;
}

static int write_at(const query_kept *k, const void *from, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = pwrite(k->fd, (const uint8_t *)from + done, n - done, (off_t)(at + done));
        if (put < 0 && errno != EINTR) return cli_fail("cannot write %s: %s", k->file, strerror(errno));
        if (put > 0) done += (size_t)put;
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const known *x = a, *y = b;
    if (x->r.name != y->r.name) return x->r.name < y->r.name ? -1 : 1;
    if (x->r.size != y->r.size) return x->r.size < y->r.size ? -1 : 1;
    if (x->r.mtime_ns != y->r.mtime_ns) return x->r.mtime_ns < y->r.mtime_ns ? -1 : 1;
    return x->place > y->place ? -1 : x->place < y->place;
}

static int read_records(query_kept *k, uint64_t size)
{
    uint64_t length = length_of(k), count = (size - HEADER) / length;
    if (count > SIZE_MAX / 2 / sizeof *k->items || !(k->items = malloc((size_t)(count + 1) * sizeof *k->items))) return cli_fail("memory ran out");
    k->end = HEADER + count * length;
    for (uint64_t place = HEADER; place < k->end; place += length) {
        known *one = &k->items[k->n];
        if (!read_at(k->fd, k->room, (size_t)length, place)) return cli_fail("cannot read %s: %s", k->file, strerror(errno));
        memcpy(&one->r, k->room, FIXED);
        one->place = place;
        if (one->r.check == check_of(k, k->room) && one->r.state <= QUERY_PHOTO_BROKEN) k->n++;
    }
    if (k->n) qsort(k->items, k->n, sizeof *k->items, by_key);
    if (size > k->end && ftruncate(k->fd, (off_t)k->end)) return cli_fail("cannot write %s: %s", k->file, strerror(errno));
    return 0;
}

static int read_file(query_kept *k, const char *fingerprint, const char *precision)
{
    uint8_t header[HEADER], wanted[HEADER];
    struct stat st;
    make_header(wanted, fingerprint, precision, k->dim);
    if (fstat(k->fd, &st)) return cli_fail("cannot read %s: %s", k->file, strerror(errno));
    if (!S_ISREG(st.st_mode)) return cli_fail("%s is no file to keep vectors in", k->file);
    uint64_t size = (uint64_t)st.st_size;
    if (size < HEADER && read_at(k->fd, header, (size_t)size, 0) && !memcmp(header, wanted, (size_t)size)) { /* new, or killed at once */
        k->end = HEADER;
        return write_at(k, wanted, HEADER, 0);
    }
    if (size < HEADER || !read_at(k->fd, header, HEADER, 0) || memcmp(header, wanted, 8))
        return cli_fail("%s is no file of kept vectors; name another one with --cache", k->file);
    if (memcmp(header, wanted, HEADER))
        return cli_fail("%s keeps vectors of another model, or in another precision; name another file with --cache", k->file);
    return read_records(k, size);
}

int query_kept_open(const char *file, const char *fingerprint, const char *precision, int dim, query_kept **out)
{
    *out = NULL;
    if (dim < 1 || dim > DIM_MOST) return cli_fail("a vector of %d numbers cannot be kept", dim);
    query_kept *k = calloc(1, sizeof *k);
    if (!k) return cli_fail("memory ran out");
    k->dim = dim;
    k->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    k->file = strdup(file);
    k->room = malloc(length_of(k));
    int status = 0;
    if (!k->file || !k->room) status = cli_fail("memory ran out");
    else if (k->fd < 0) status = cli_fail("cannot open %s: %s", file, strerror(errno));
    else if (flock(k->fd, LOCK_EX | LOCK_NB)) status = cli_fail("another run is using %s", file);
    else status = read_file(k, fingerprint, precision);
    if (status) query_kept_close(k);
    else *out = k;
    return status;
}

void query_kept_close(query_kept *k)
{
    if (!k) return;
    if (k->fd >= 0) close(k->fd);
    free(k->file);
    free(k->items);
    free(k->room);
    free(k);
}

size_t query_kept_count(const query_kept *k) { return k->n; }

/* The first record at or after the key. */
static size_t lower(const query_kept *k, const known *key)
{
    size_t low = 0, high = k->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_key(&k->items[middle], key) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

bool query_kept_find(const query_kept *k, const char *name, int64_t size, int64_t mtime_ns, float *vector, uint8_t *state)
{
    const known key = {{fnv(name, strlen(name), FNV), size, mtime_ns, 0, 0}, UINT64_MAX};
    size_t at = lower(k, &key);
    const record *r = at < k->n ? &k->items[at].r : NULL;
    if (!r || r->name != key.r.name || r->size != size || r->mtime_ns != mtime_ns) return false;
    *state = (uint8_t)r->state;
    return read_at(k->fd, vector, 4 * (size_t)k->dim, k->items[at].place + FIXED);
}

int query_kept_add(query_kept *k, const char *name, int64_t size, int64_t mtime_ns, const float *vector, uint8_t state)
{
    record r = {fnv(name, strlen(name), FNV), size, mtime_ns, state, 0};
    memcpy(k->room, &r, FIXED);
    memcpy(k->room + FIXED, vector, 4 * (size_t)k->dim);
    r.check = check_of(k, k->room);
    memcpy(k->room, &r, FIXED);
    int status = write_at(k, k->room, length_of(k), k->end);
    if (!status) k->end += length_of(k);
    return status;
}

/* ---- encoding with it ---- */

typedef struct gap { /* the photos that the file does not hold */
    query_kept *k;
    const char *folder;
    const char **paths;     /* [n] */
    struct stat *was;       /* [n] before they were read */
    size_t *place;          /* [n] among all */
    size_t n;
    float *vectors;         /* [n][dim] */
    uint8_t *states;        /* [n] */
    size_t dim;
} gap;

static const char *relative(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static int64_t time_of(const struct stat *st) { return st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec; }

/* After each batch: what the next run need not do. */
static int keep(size_t first, size_t count, void *ctx)
{
    gap *g = ctx;
    int status = 0;
    for (size_t i = first; i < first + count && !status; i++)
        if (g->was[i].st_nlink)
            status = query_kept_add(g->k, relative(g->paths[i], g->folder), g->was[i].st_size, time_of(&g->was[i]),
                                    g->vectors + i * g->dim, g->states[i]);
    return status;
}

static void find_gap(gap *g, const char *const *paths, size_t n, float *out, uint8_t *states)
{
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (stat(paths[i], &st)) st = (struct stat){0}; /* no links: reading it will say why */
        if (st.st_nlink && query_kept_find(g->k, relative(paths[i], g->folder), st.st_size, time_of(&st), out + i * g->dim, &states[i])) continue;
        g->paths[g->n] = paths[i];
        g->was[g->n] = st;
        g->place[g->n++] = i;
    }
}

static int fill_gap(query_encoder *e, gap *g, clip_precision precision, float *out, uint8_t *states)
{
    g->vectors = malloc((g->n + 1) * g->dim * sizeof *g->vectors); /* [n][dim] */
    g->states = calloc(g->n + 1, 1);
    if (!g->vectors || !g->states) return cli_fail("memory ran out");
    int status = query_encode_photos_each(e, g->paths, g->n, precision, g->vectors, g->states, keep, g);
    for (size_t i = 0; i < g->n && !status; i++) {
        memcpy(out + g->place[i] * g->dim, g->vectors + i * g->dim, g->dim * sizeof *out);
        states[g->place[i]] = g->states[i];
    }
    return status;
}

int query_encode_photos_kept(query_encoder *e, const char *file, const char *folder, const char *const *paths, size_t n,
                             clip_precision precision, float *out, uint8_t *states)
{
    if (!file) return query_encode_photos(e, paths, n, precision, out, states);
    const clip_model_info *m = clip_model_describe(e->model);
    gap g = {.folder = folder, .dim = (size_t)m->dim};
    int status = query_encode_photos_ready(e, precision);
    if (!status) status = query_kept_open(file, m->fingerprint, clip_precision_name(clip_image_encoder_precision(e->image)), m->dim, &g.k);
    g.paths = malloc((n + 1) * sizeof *g.paths);
    g.was = calloc(n + 1, sizeof *g.was);
    g.place = malloc((n + 1) * sizeof *g.place);
    if (!status && (!g.paths || !g.was || !g.place)) status = cli_fail("memory ran out");
    if (!status) find_gap(&g, paths, n, out, states);
    if (!status && g.n < n) cli_say(e->c, "%zu of %zu photos are kept in %s", n - g.n, n, file);
    if (!status) status = fill_gap(e, &g, precision, out, states);
    query_kept_close(g.k);
    free(g.paths);
    free(g.was);
    free(g.place);
    free(g.vectors);
    free(g.states);
    return status;
}
