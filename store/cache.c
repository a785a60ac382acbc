/* cache.c: the FAISS file that makes searching a large library fast, and when to make it.
 *
 * The truth is in the database; the file is a base that never changes. What was written after it (vectors.seq > its seq) is
 * read from the database at every search; what it holds in vain (deleted or replaced vectors, photos that are missing) is
 * found out when a candidate is looked up, which every candidate is: so results are current whatever the file says, and a
 * file that disagrees with its row in any byte that matters is not used at all. Adding photos therefore rewrites nothing
 * until so many vectors lie outside the file that reading them is felt.
 *
 * A row in the database says what the file must look like. The row is written last, after the file has been flushed and
 * renamed: a kill in between leaves the old pair. Commits that a power cut takes away take the row with them, since it came
 * after them in the same log; so a file can never be believed to hold vectors that the database has lost.
 *
 * The thresholds, measured: see cache_rule below. */
#include "store/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

cache_rules cache_rule = {.loose_max = 10000, .exact_max = 50000, .portions = 16, .sample_bytes = 128 << 20};

/* A head is the centroids and little else; the largest that we make is 8192 lists of 4096. */
enum { HEAD_MAX = 160 << 20 };

char *cache_file_path(const store *s, int64_t model_id, int64_t generation)
{
    char name[96];
    snprintf(name, sizeof name, ".cache/vectors-%lld-%lld.faiss", (long long)model_id, (long long)generation);
    return store_path_beside(s, name);
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */

static bool hash_column(db_stmt *q, int i, uint8_t hash[16])
{
    size_t n;
    const void *v = db_col_blob(q, i, &n);
    if (n == 16) memcpy(hash, v, 16);
    return n == 16;
}

/* A row with impossible figures counts as none. */
static bool take_row(db_stmt *q, cache_row *r)
{
    *r = (cache_row){.generation = db_col_int(q, 0), .seq = db_col_int(q, 1), .count = db_col_int(q, 2),
                     .bytes = db_col_int(q, 3), .trained = db_col_int(q, 6), .head_bytes = db_col_int(q, 7)};
    int64_t lists = db_col_int(q, 4), probes = db_col_int(q, 5);
    r->bits = db_col_int(q, 10) == 8 ? 8 : 16;
    r->lists = lists > 0 && lists <= 1 << 20 ? (int)lists : 0;
    r->probes = probes > 0 && probes < r->lists ? (int)probes : r->lists;
    return hash_column(q, 8, r->head_hash) && hash_column(q, 9, r->file_hash) && r->lists && r->count >= 0 && r->seq >= 0 &&
           r->head_bytes > CACHE_FRONT && r->head_bytes <= HEAD_MAX && r->head_bytes <= r->bytes;
}

store_status cache_row_get(store *s, const store_model *m, cache_row *row, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT generation, seq, count, bytes, lists, probes, trained, head_bytes, head_hash, "
                            "file_hash, bits FROM caches WHERE model_id = ?");
    db_int(q, m->id);
    int rc = db_step(q);
    bool found = rc == DB_ROW && take_row(q, row);
    db_release(q);
    return rc == DB_FAILED ? db_fail(s->db, err) : found ? STORE_OK : STORE_E_NOT_FOUND;
}

store_status cache_row_put(store *s, int64_t model_id, const cache_row *r, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "INSERT OR REPLACE INTO caches(model_id, generation, seq, count, bytes, lists, probes, "
                            "trained, head_bytes, bits, head_hash, file_hash) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    int64_t v[] = {model_id, r->generation, r->seq, r->count, r->bytes, r->lists, r->probes, r->trained, r->head_bytes, r->bits};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) db_int(q, v[i]);
    db_blob(q, r->head_hash, 16);
    db_blob(q, r->file_hash, 16);
    return db_run(q, err);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

void cache_hash(const void *bytes, size_t n, uint8_t hash[16])
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(bytes, n));
    memcpy(hash, c.digest, 16);
}

void cache_front_make(uint8_t *front, const store_model *m, const cache_row *r, uint32_t offset)
{
    uint32_t version = 1, dim = (uint32_t)m->dim, lists = (uint32_t)r->lists;
    memset(front, 0, offset);
    memcpy(front, "clipsix", 8);
    memcpy(front + 8, &version, 4);
    memcpy(front + 12, &dim, 4);
    memcpy(front + 16, &r->generation, 8);
    memcpy(front + 24, &r->seq, 8);
    memcpy(front + 32, &r->count, 8);
    memcpy(front + 40, &lists, 4);
    memcpy(front + 44, &offset, 4);
    memcpy(front + 48, m->fingerprint, 32);
}

/* Where FAISS's part begins, if the head is what the row and the model say; 0 if not. */
static uint32_t head_agrees(const uint8_t *head, const store_model *m, const cache_row *r)
{
    uint8_t hash[16], front[CACHE_FRONT + CACHE_ALIGN];
    uint32_t offset;
    cache_hash(head, (size_t)r->head_bytes, hash);
    memcpy(&offset, head + 44, 4);
    if (memcmp(hash, r->head_hash, 16) || offset < CACHE_FRONT || offset > sizeof front || offset > r->head_bytes) return 0;
    cache_front_make(front, m, r, offset);
    if (memcmp(head, front, offset)) return 0;
    vec_figures f = {m->dim, r->lists, r->bits, r->count, (uint64_t)(r->bytes - r->head_bytes)};
    return vec_head_check(head + offset, (size_t)(r->head_bytes - offset), &f) ? offset : 0;
}

static bool read_all(int fd, uint8_t *to, size_t n, off_t at)
{
    while (n) {
        ssize_t got = pread(fd, to, n, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static store_status doubtful(cache_doubt *d, const char *path, const char *why)
{
    snprintf(d->why, sizeof d->why, "%.120s: %.70s", path, why);
    return STORE_OK;
}

static store_status open_file(int fd, const char *path, const store_model *m, const cache_row *r, vec_file **out,
                              cache_doubt *doubt, store_error *err)
{
    struct stat f;
    if (fstat(fd, &f) || !S_ISREG(f.st_mode) || f.st_size != r->bytes)
        return doubtful(doubt, path, "its length is not what the library says");
    uint8_t *head = malloc((size_t)r->head_bytes);
    if (!head) return store_no_memory(err);
    uint32_t offset = read_all(fd, head, (size_t)r->head_bytes, 0) ? head_agrees(head, m, r) : 0;
    free(head);
    if (!offset) return doubtful(doubt, path, "its contents are not what the library says");
    store_error why = {0};
    store_status st = vec_open(fd, offset, out, &why);
    if (st == STORE_E_MEMORY) return store_fail(err, st, "%s", why.text);
    return st ? doubtful(doubt, path, why.text) : STORE_OK;
}

void cache_close(cache *c)
{
    if (!c) return;
    vec_close(c->file);
    free(c);
}

static store_status open_row(store *s, const store_model *m, const cache_row *r, vec_file **out, cache_doubt *doubt,
                             store_error *err)
{
    char *path = cache_file_path(s, m->id, r->generation);
    if (!path) return store_no_memory(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    doubt->gone = fd < 0 && errno == ENOENT;
    store_status st = fd < 0 ? doubtful(doubt, path, strerror(errno)) : open_file(fd, path, m, r, out, doubt, err);
    if (fd >= 0) close(fd);
    free(path);
    return st;
}

store_status cache_open(store *s, const store_model *m, cache **out, cache_doubt *doubt, store_error *err)
{
    cache_row row;
    *out = NULL;
    *doubt = (cache_doubt){{0}, false};
    store_status st = cache_row_get(s, m, &row, err);
    if (st) return st == STORE_E_NOT_FOUND ? STORE_OK : st;
    cache *c = s->cache;
    if (c && c->model_id == m->id && !memcmp(&c->row, &row, sizeof row)) {
        *out = c;
        return STORE_OK;
    }
    cache_close(c);
    s->cache = NULL;
    vec_file *file = NULL;
    st = open_row(s, m, &row, &file, doubt, err);
    if (st || !file) return st;
    if (!(c = malloc(sizeof *c))) {
        vec_close(file);
        return store_no_memory(err);
    }
    *c = (cache){m->id, row, file};
    *out = s->cache = c;
    return STORE_OK;
}

bool cache_hash_fd(int fd, int64_t bytes, uint8_t hash[16])
{
    enum { BLOCK = 1 << 20 };
    uint8_t *block = malloc(BLOCK);
    XXH3_state_t *state = XXH3_createState();
    bool ok = block && state && XXH3_128bits_reset(state) == XXH_OK;
    int64_t at = 0;
    while (ok && at < bytes) {
        size_t n = bytes - at < BLOCK ? (size_t)(bytes - at) : BLOCK;
        ok = read_all(fd, block, n, at);
        if (ok) XXH3_128bits_update(state, block, n);
        at += (int64_t)n;
    }
    XXH128_canonical_t c = {{0}};
    if (ok) XXH128_canonicalFromHash(&c, XXH3_128bits_digest(state));
    memcpy(hash, c.digest, 16);
    XXH3_freeState(state);
    free(block);
    struct stat f;
    return ok && !fstat(fd, &f) && f.st_size == bytes;
}

bool cache_file_sound(store *s, int64_t model_id, const cache_row *row)
{
    uint8_t hash[16];
    char *path = cache_file_path(s, model_id, row->generation);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    bool sound = fd >= 0 && cache_hash_fd(fd, row->bytes, hash) && !memcmp(hash, row->file_hash, 16);
    if (fd >= 0) close(fd);
    free(path);
    return sound;
}

/* ---- how it stands ----------------------------------------------------------------------------------------------- */

store_status cache_measure(store *s, const store_model *m, const cache_row *row, int64_t *delta, int64_t *dead,
                           store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT count(*) FROM vectors v CROSS JOIN photos p ON p.id = v.key & 1099511627775 "
                            "WHERE v.model_id = ? AND v.seq > ? AND p.state = 0");
    db_int(q, m->id);
    db_int(q, row ? row->seq : 0);
    *delta = *dead = 0;
    if (!row) {
        db_release(q);
        *delta = m->vectors;
        return STORE_OK;
    }
    store_status st = db_run_int(q, delta, err);
    int64_t alive = m->vectors - *delta;
    *dead = row->count > alive ? row->count - alive : 0;
    return st;
}

store_status store_cache_describe(store *s, int64_t model_id, store_cache_info *out, store_error *err)
{
    store_model m;
    cache *c = NULL;
    cache_doubt doubt;
    bool opened = false;
    memset(out, 0, sizeof *out);
    store_status st = store_look_begin(s, &opened, err);
    if (!st) st = model_get(s, model_id, &m, err);
    if (!st) st = cache_open(s, &m, &c, &doubt, err);
    if (!st) st = cache_measure(s, &m, c ? &c->row : NULL, &out->delta, &out->dead, err);
    store_look_end(s, opened);
    out->exact = !c || c->row.probes >= c->row.lists;
    if (st || !c) return st;
    out->exists = true;
    out->current = !out->delta && !out->dead;
    snprintf(out->kind, sizeof out->kind, c->row.bits == 8 ? "IVF%d,SQ8" : "IVF%d,SQfp16", c->row.lists);
    out->base = c->row.count;
    out->bytes = c->row.bytes;
    out->generation = c->row.generation;
    return STORE_OK;
}

/* Found centroids serve until the library is four times as large. */
static bool must_retrain(const cache_row *r, int64_t count)
{
    bool exact_now = count <= cache_rule.exact_max, exact_then = r->trained == 0;
    return exact_now != exact_then || (!exact_then && (count > 4 * r->trained || count < r->trained / 4));
}

store_status store_cache_update(store *s, int64_t model_id, bool force, void (*progress)(int64_t, int64_t, void *),
                                void *ctx, store_error *err)
{
    store_model m;
    cache *c = NULL;
    cache_doubt doubt;
    int64_t delta = 0, dead = 0;
    store_status st = store_writable(s, err);
    if (!st && s->in_batch) st = store_fail(err, STORE_E_ARGUMENT, "a batch is open");
    if (!st) st = model_get(s, model_id, &m, err);
    if (!st) st = cache_open(s, &m, &c, &doubt, err);
    if (!st) st = cache_measure(s, &m, c ? &c->row : NULL, &delta, &dead, err);
    if (st) return st;
    /* What lies in the file in vain costs as much to pass over as what lies outside costs to read. */
    if (!force && delta + dead <= cache_rule.loose_max) return STORE_OK;
    return cache_build(s, &m, c, force || !c || must_retrain(&c->row, m.vectors), progress, ctx, err);
}
