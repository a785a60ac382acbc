/* cache.c: the FAISS file that makes searching a large library fast, and when to make it.
 *
 * The truth is in the database; the file is a base that never changes. What was written after it (vectors.seq > its seq) is
 * read from the database at every search; what it holds in vain (deleted or replaced vectors, photos that are missing) is
 * found out when a candidate is looked up, which every candidate is: so results are current whatever the file says. Adding
 * photos therefore rewrites nothing until so many vectors lie outside the file that reading them is felt.
 *
 * A row in the database says what the file must look like, to the last bit. It is written last, after the file has been
 * flushed and renamed: a kill in between leaves the old pair. Commits that a power cut takes away take the row with them,
 * since it came after them in the same log; so a file is never believed to hold vectors that the database has lost. */
#include "store/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Measured with 640 dimensions on two cores: a vector read from the database costs 0.4 microseconds (0.55 when it is newer than
 * the file), one in the file 0.1 for a fresh process, and a file 2 to 3 milliseconds for looking up its candidates. So a file
 * pays from about 9,000 vectors on. Below a part of 25,000 (8 MB, 2.5 ms) a second thread gains little. */
cache_rules cache_rule = {.loose_max = 10000, .part_min = 25000, .chunk_bytes = 1 << 20};

char *cache_file_path(const store *s, int64_t model_id, int64_t generation)
{
    char name[96];
    snprintf(name, sizeof name, ".cache/vectors-%lld-%lld.faiss", (long long)model_id, (long long)generation);
    return store_path_beside(s, name);
}

int cache_parts(int64_t count)
{
    int64_t parts = count / cache_rule.part_min;
    return parts < 1 ? 1 : parts > CACHE_PARTS_MAX ? CACHE_PARTS_MAX : (int)parts;
}

int64_t cache_first(int64_t count, int parts, int i) { return count / parts * i + (count % parts < i ? count % parts : i); }

int64_t cache_part_at(int64_t count, int dim, int parts, int i)
{
    int64_t at = CACHE_FRONT + 8 * count, head = (int64_t)vec_head_bytes(dim);
    for (int j = 0;; j++) {
        if (j < parts) at = (at + head + CACHE_PAGE - 1) / CACHE_PAGE * CACHE_PAGE - head;
        if (j == i) return at;
        at += vec_part_bytes(dim, cache_first(count, parts, j + 1) - cache_first(count, parts, j));
    }
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */

store_status cache_row_get(store *s, const store_model *m, cache_row *r, store_error *err)
{
    memset(r, 0, sizeof *r);
    db_stmt *q = db_prepare(s->db, "SELECT generation, seq, count, bytes, hash FROM caches WHERE model_id = ?");
    db_int(q, m->id);
    int rc = db_step(q);
    size_t n = 0;
    if (rc == DB_ROW) {
        *r = (cache_row){.generation = db_col_int(q, 0), .seq = db_col_int(q, 1), .count = db_col_int(q, 2),
                         .bytes = db_col_int(q, 3)};
        const void *hash = db_col_blob(q, 4, &n);
        if (n == 16) memcpy(r->hash, hash, 16);
    }
    db_release(q);
    return rc == DB_FAILED ? db_fail(s->db, err) : n == 16 ? STORE_OK : STORE_E_NOT_FOUND;
}

store_status cache_row_put(store *s, int64_t model_id, const cache_row *r, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "INSERT OR REPLACE INTO caches(model_id, generation, seq, count, bytes, hash) "
                            "VALUES(?, ?, ?, ?, ?, ?)");
    db_int(q, model_id);
    db_int(q, r->generation);
    db_int(q, r->seq);
    db_int(q, r->count);
    db_int(q, r->bytes);
    db_blob(q, r->hash, 16);
    return db_run(q, err);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

typedef struct work {
    int n;
    atomic_int next;
    void (*task)(void *, int);
    void *ctx;
} work;

static void *run_tasks(void *arg)
{
    work *w = arg;
    for (int i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) w->task(w->ctx, i);
    return NULL;
}

void cache_parallel(int n, void (*task)(void *, int), void *ctx)
{
    pthread_t thread[CACHE_PARTS_MAX];
    work w = {.n = n, .task = task, .ctx = ctx};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int helpers = n < cores ? n - 1 : (int)cores - 1, started = 0;
    if (helpers > CACHE_PARTS_MAX) helpers = CACHE_PARTS_MAX;
    while (started < helpers && !pthread_create(&thread[started], NULL, run_tasks, &w)) started++;
    run_tasks(&w);
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

void cache_front_make(uint8_t front[CACHE_FRONT], const store_model *m, const cache_row *r)
{
    uint32_t version = 2, dim = (uint32_t)m->dim;
    memset(front, 0, CACHE_FRONT);
    memcpy(front, "clipsix", 8);
    memcpy(front + 8, &version, 4);
    memcpy(front + 12, &dim, 4);
    memcpy(front + 16, &r->generation, 8);
    memcpy(front + 24, &r->seq, 8);
    memcpy(front + 32, &r->count, 8);
    memcpy(front + 40, m->fingerprint, 32);
}

static store_status doubtful(cache_doubt *d, const char *path, const char *why)
{
    snprintf(d->why, sizeof d->why, "%.120s: %.70s", path, why);
    return STORE_OK;
}

/* Figures that lead to sizes are checked before memory is taken for them. */
static bool figures_agree(const cache *c, int fd)
{
    struct stat f;
    const cache_row *r = &c->row;
    return r->count > 0 && r->count < INT32_MAX && r->bytes == cache_part_at(r->count, c->dim, c->parts, c->parts) && !fstat(fd, &f) &&
           S_ISREG(f.st_mode) && f.st_size == r->bytes;
}

void cache_close(cache *c)
{
    if (!c) return;
    close(c->fd);
    free(c->ids);
    free(c->path);
    free(c);
}

store_status cache_open_fd(int fd, const char *path, const store_model *m, const cache_row *r, cache **out, cache_doubt *doubt,
                           store_error *err)
{
    *out = NULL;
    cache *c = malloc(sizeof *c);
    char *name = strdup(path);
    if (!c || !name) {
        free(c);
        free(name);
        close(fd);
        return store_no_memory(err);
    }
    *c = (cache){.model_id = m->id, .dim = m->dim, .parts = cache_parts(r->count), .fd = fd, .path = name, .row = *r};
    cache_front_make(c->front, m, r);
    if (figures_agree(c, fd)) {
        *out = c;
        return STORE_OK;
    }
    cache_close(c);
    return doubtful(doubt, path, "its length is not what the library says");
}

static store_status open_row(store *s, const store_model *m, const cache_row *r, cache **out, cache_doubt *doubt,
                             store_error *err)
{
    char *path = cache_file_path(s, m->id, r->generation);
    if (!path) return store_no_memory(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    doubt->gone = fd < 0 && errno == ENOENT;
    store_status st = fd < 0 ? doubtful(doubt, path, strerror(errno)) : cache_open_fd(fd, path, m, r, out, doubt, err);
    free(path);
    return st;
}

store_status cache_open(store *s, const store_model *m, cache **out, cache_doubt *doubt, store_error *err)
{
    cache_row row;
    *out = NULL;
    memset(doubt, 0, sizeof *doubt);
    store_status st = cache_row_get(s, m, &row, err);
    if (st) return st == STORE_E_NOT_FOUND ? STORE_OK : st;
    if (!s->cache || s->cache->model_id != m->id || memcmp(&s->cache->row, &row, sizeof row)) {
        cache_close(s->cache);
        s->cache = NULL;
        st = open_row(s, m, &row, &s->cache, doubt, err);
    }
    *out = s->cache;
    return st;
}

store_status cache_open_sound(store *s, const store_model *m, cache **out, cache_doubt *doubt, store_error *err)
{
    bool sound = true;
    store_status st = cache_open(s, m, out, doubt, err);
    if (!st && *out) st = cache_verify(*out, &sound, doubt, err);
    if (!st && sound) return STORE_OK;
    cache_close(s->cache);
    *out = s->cache = NULL;
    return st;
}

/* ---- one pass over the file -------------------------------------------------------------------------------------- */

/* The file is read anew in every search, chunk by chunk into memory that the processor's cache still holds when the chunk is
 * hashed and searched. Mapping its pages instead, which was done before, copies nothing but takes the kernel longer than
 * copying (a page's entry, its count in two places, and both again at the end), keeps all of it resident, and dies of a file
 * that another program cuts short. 1,000,000 vectors of 640: see RESULTS.md. */
typedef struct pass {
    cache *c;
    const float *query;                   /* [dim]; NULL: the file is only compared with its checksum */
    size_t want;
    candidate *best[CACHE_PARTS_MAX];     /* [want] of each part, best first; the id is the place in the file */
    size_t found[CACHE_PARTS_MAX];
    uint8_t digest[(CACHE_PARTS_MAX + 1) * 16]; /* of the front with the ids, then of each part */
    store_status st[CACHE_PARTS_MAX + 1]; /* STORE_E_CORRUPT: the file is not what it should be */
} pass;

static int64_t first_of(const cache *c, int i) { return cache_first(c->row.count, c->parts, i); }

/* No photo twice; that they also belong to photos is seen when they are looked up. */
static bool are_ascending(const int64_t *ids, size_t n)
{
    bool ok = true;
    for (size_t i = 1; i < n; i++) ok &= ids[i - 1] < ids[i];
    return ok;
}

static store_status read_ids(pass *p)
{
    cache *c = p->c;
    uint8_t front[CACHE_FRONT];
    size_t n = (size_t)c->row.count;
    int64_t *ids = malloc(8 * n);
    cache_stream *s = ids ? cache_stream_open(c->fd, 0, cache_part_at(c->row.count, c->dim, c->parts, 0)) : NULL;
    bool ok = s && cache_stream_read(s, front, CACHE_FRONT) && cache_stream_read(s, ids, 8 * n);
    if (s) ok = cache_stream_close(s, p->digest) && ok && !memcmp(front, c->front, CACHE_FRONT) && are_ascending(ids, n);
    if (ok && !c->ids) c->ids = ids;
    else free(ids);
    return ok ? STORE_OK : s ? STORE_E_CORRUPT : STORE_E_MEMORY;
}

/* What searching a part needs for itself. */
typedef struct part_desk {
    candidate *best, *merged;    /* [want] */
    float *scores;               /* [want] of a chunk */
    int64_t *places;             /* [want] */
    size_t n;                    /* of best */
    vec_part *part;              /* the chunk's index */
    void *codes;                 /* its table; NULL: not known */
    int64_t count;               /* its vectors */
} part_desk;

static bool desk_make(part_desk *d, size_t want)
{
    *d = (part_desk){.best = malloc(want * sizeof *d->best), .merged = malloc(want * sizeof *d->best),
                     .scores = malloc(want * sizeof *d->scores), .places = malloc(want * sizeof *d->places)};
    return d->best && d->merged && d->scores && d->places;
}

static void desk_free(part_desk *d)
{
    vec_part_close(d->part);
    free(d->best);
    free(d->merged);
    free(d->scores);
    free(d->places);
}

/* Both are in order. */
static void merge(part_desk *d, size_t found, int64_t first, size_t want)
{
    size_t n = 0, a = 0, b = 0;
    while (n < want && (a < d->n || b < found)) {
        bool old = b == found || (a < d->n && d->best[a].score >= d->scores[b]);
        d->merged[n++] = old ? d->best[a] : (candidate){first + d->places[b], d->scores[b]};
        if (old) a++;
        else b++;
    }
    candidate *swap = d->best;
    d->best = d->merged;
    d->merged = swap;
    d->n = n;
}

/* An index of the next `count` vectors. The one before is used again where only its codes differ: its memory
 * has been touched. */
static store_status read_chunk(const pass *p, cache_stream *s, uint8_t *head, int64_t count, part_desk *d)
{
    int dim = p->c->dim;
    size_t bytes = vec_code_bytes(dim, count);
    if (d->part && d->codes && d->count == count) return cache_stream_read(s, d->codes, bytes) ? STORE_OK : STORE_E_CORRUPT;
    vec_part_close(d->part);
    d->part = NULL;
    vec_head_resize(head, dim, count);
    FILE *f = cache_stream_file(s, head, vec_head_bytes(dim), (int64_t)bytes);
    store_status st = vec_part_read(f, dim, count, &d->part, NULL);
    d->codes = cache_stream_table(s);
    d->count = count;
    return st == STORE_OK || st == STORE_E_MEMORY ? st : STORE_E_CORRUPT;
}

static int64_t chunk_vectors(int dim)
{
    int64_t blocks = (int64_t)(cache_rule.chunk_bytes / vec_code_bytes(dim, VEC_BLOCK));
    return VEC_BLOCK * (blocks < 1 ? 1 : blocks);
}

static store_status search_part(pass *p, int i, cache_stream *s, uint8_t *head)
{
    part_desk d;
    store_status st = desk_make(&d, p->want) ? STORE_OK : STORE_E_MEMORY;
    int64_t end = first_of(p->c, i + 1), step = chunk_vectors(p->c->dim);
    for (int64_t at = first_of(p->c, i); at < end && !st; at += step) {
        size_t found = 0;
        st = read_chunk(p, s, head, at + step < end ? step : end - at, &d);
        if (!st) st = vec_part_search(d.part, p->query, p->want, d.scores, d.places, &found, NULL);
        if (!st) merge(&d, found, at, p->want);
    }
    p->best[i] = d.best;
    p->found[i] = d.n;
    d.best = NULL;
    desk_free(&d);
    return st;
}

static store_status read_part(pass *p, int i)
{
    cache *c = p->c;
    int64_t at = cache_part_at(c->row.count, c->dim, c->parts, i), count = first_of(c, i + 1) - first_of(c, i);
    size_t n = vec_head_bytes(c->dim);
    uint8_t *head = malloc(n);
    cache_stream *s = head ? cache_stream_open(c->fd, at, cache_part_at(c->row.count, c->dim, c->parts, i + 1) - at) : NULL;
    store_status st = STORE_E_MEMORY;
    if (s) st = cache_stream_read(s, head, n) && vec_head_check(head, c->dim, count) ? STORE_OK : STORE_E_CORRUPT;
    if (!st && p->query) st = search_part(p, i, s, head);
    if (s && !cache_stream_close(s, p->digest + 16 * (i + 1)) && !st) st = STORE_E_CORRUPT;
    free(head);
    return st;
}

static void pass_task(void *ctx, int i)
{
    pass *p = ctx;
    p->st[i] = i ? read_part(p, i - 1) : read_ids(p);
}

/* All of it; *sound stays false where the file is not the library's. */
static store_status pass_run(pass *p, bool *sound, cache_doubt *doubt, store_error *err)
{
    cache *c = p->c;
    uint8_t hash[16];
    *sound = false;
    cache_parallel(c->parts + 1, pass_task, p);
    for (int i = 0; i <= c->parts; i++) {
        if (p->st[i] == STORE_E_MEMORY) return store_no_memory(err);
        if (p->st[i] == STORE_E_CORRUPT) return doubtful(doubt, c->path, "its contents are not what the library says");
    }
    cache_digest(p->digest, 16 * (size_t)(c->parts + 1), hash);
    *sound = !memcmp(hash, c->row.hash, 16);
    if (!*sound) return doubtful(doubt, c->path, "its contents are not what the library says");
    for (int i = 0; i <= c->parts; i++)
        if (p->st[i]) return store_fail(err, p->st[i], "the search index of model %lld cannot be searched", (long long)c->model_id);
    return STORE_OK;
}

store_status cache_verify(cache *c, bool *sound, cache_doubt *doubt, store_error *err)
{
    pass p = {.c = c};
    return pass_run(&p, sound, doubt, err);
}

/* ---- searching --------------------------------------------------------------------------------------------------- */

static int best_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static store_status gather(const pass *p, candidate *out, size_t *found, store_error *err)
{
    const cache *c = p->c;
    candidate *all = malloc((size_t)c->parts * p->want * sizeof *all);
    if (!all) return store_no_memory(err);
    size_t n = 0;
    for (int i = 0; i < c->parts; i++)
        for (size_t j = 0; j < p->found[i]; j++) all[n++] = (candidate){c->ids[p->best[i][j].id], p->best[i][j].score};
    qsort(all, n, sizeof *all, best_first);
    *found = n < p->want ? n : p->want;
    memcpy(out, all, *found * sizeof *out);
    free(all);
    return STORE_OK;
}

store_status cache_find(cache *c, const float *query, size_t want, candidate *out, size_t *found, bool *sound, cache_doubt *doubt,
                        store_error *err)
{
    pass p = {.c = c, .query = query, .want = want};
    *found = 0;
    store_status st = pass_run(&p, sound, doubt, err);
    if (!st && *sound) st = gather(&p, out, found, err);
    for (int i = 0; i < c->parts; i++) free(p.best[i]);
    return st;
}

/* ---- how it stands ----------------------------------------------------------------------------------------------- */

store_status cache_measure(store *s, const store_model *m, const cache_row *row, int64_t *delta, int64_t *dead,
                           store_error *err)
{
    *dead = 0;
    *delta = m->vectors;
    if (!row) return STORE_OK;
    db_stmt *q = db_prepare(s->db, "SELECT count(*) FROM vectors v CROSS JOIN photos p ON p.id = v.key & 1099511627775 "
                            "WHERE v.model_id = ? AND v.seq > ? AND p.state = 0");
    db_int(q, m->id);
    db_int(q, row->seq);
    store_status st = db_run_int(q, delta, err);
    int64_t alive = m->vectors - *delta;
    *dead = row->count > alive ? row->count - alive : 0;
    return st;
}

/* What lies in the file in vain makes searches ask it for more, as what lies outside makes them read more. Rewriting a
 * large file for each ten thousand photos would be felt, so a large one waits for a fiftieth of its size. */
static bool is_due(const store_model *m, int64_t delta, int64_t dead)
{
    int64_t patience = m->vectors / 50 > cache_rule.loose_max ? m->vectors / 50 : cache_rule.loose_max;
    return delta + dead > patience;
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
    if (!st) st = cache_open_sound(s, &m, &c, &doubt, err);
    if (!st) st = cache_measure(s, &m, c ? &c->row : NULL, &out->delta, &out->dead, err);
    store_look_end(s, opened);
    out->exact = !c;
    out->due = !st && is_due(&m, out->delta, out->dead);
    if (st || !c) return st;
    out->exists = true;
    out->current = !out->delta && !out->dead;
    vec_kind(m.dim, out->kind, sizeof out->kind);
    out->base = c->row.count;
    out->bytes = c->row.bytes;
    out->generation = c->row.generation;
    return STORE_OK;
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
    if (!st) st = cache_open_sound(s, &m, &c, &doubt, err);
    if (!st) st = cache_measure(s, &m, c ? &c->row : NULL, &delta, &dead, err);
    if (st) return st;
    return force || is_due(&m, delta, dead) ? cache_build(s, &m, progress, ctx, err) : STORE_OK;
}
