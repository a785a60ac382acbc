/* check.c: is the library whole?
 *
 * What can be made again is mended without asking twice: counts are counted again, rows that belong to nothing go, a vector
 * that cannot be one goes (its photo is encoded again by the next `index`), the FAISS file is rebuilt. What holds what a
 * person cannot get back, which is only the photos' rows themselves, is never removed for being strange, except where it
 * could not be reached anyway. */
#include "store/cache.h"

#include "store/f16.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct check {
    store *s;
    bool repair;
    void (*finding)(const char *, bool, void *);
    void *ctx;
    int64_t *problems;
} check;

static void report(check *c, bool mended, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void report(check *c, bool mended, const char *format, ...)
{
    char line[600];
    va_list a;
    va_start(a, format);
    vsnprintf(line, sizeof line, format, a);
    va_end(a);
    for (char *p = line; *p; p++)
        if (*p == '\n') *p = ' ';
    ++*c->problems;
    if (c->finding) c->finding(line, mended, c->ctx);
}

/* ---- SQLite's own view ------------------------------------------------------------------------------------------- */

enum { LINES_MAX = 20 };

/* What SQLite finds, at most LINES_MAX lines; 0 when it finds nothing. A file so damaged that it cannot even be checked
 * gives one line. */
static int integrity(db *d, char *line[LINES_MAX])
{
    int n = 0, rc;
    db_stmt *q = db_prepare(d, "PRAGMA integrity_check(20)");
    while ((rc = db_step(q)) == DB_ROW && n < LINES_MAX) {
        const char *t = db_col_text(q, 0);
        if (t && strcmp(t, "ok")) line[n++] = strdup(t);
    }
    db_release(q);
    if (rc != DB_FAILED) return n;
    store_error e = {{0}};
    db_fail(d, &e);
    if (n < LINES_MAX) line[n++] = strdup(e.text);
    return n;
}

static void free_lines(char *line[LINES_MAX], int n)
{
    for (int i = 0; i < n; i++) free(line[i]);
}

/* *sound: the tables can be read, so that the other checks mean something. */
static void check_integrity(check *c, bool *sound)
{
    char *line[LINES_MAX] = {NULL}, *again[LINES_MAX] = {NULL};
    int n = integrity(c->s->db, line), left = n;
    /* An index can be made again from its table; most damage that SQLite notices is of that kind. */
    if (n && c->repair) {
        (void)!db_exec(c->s->db, "REINDEX", NULL);
        left = integrity(c->s->db, again);
        free_lines(again, left);
    }
    for (int i = 0; i < n; i++) report(c, left == 0, "%s: %s", c->s->path, line[i] ? line[i] : "damaged");
    free_lines(line, n);
    *sound = left == 0;
    if (left && c->repair)
        report(c, false, "%s: the tables themselves are damaged: put back a copy, or remove the file and type \"clipsearch "
               "index FOLDER\" (your photos are not touched)", c->s->path);
}

/* ---- rows that contradict each other ------------------------------------------------------------------------------ */

/* Absolute, or with ".." in it: compared as bytes, since a path need not be text. */
#define LEADS_OUT                                                                                                           \
    "substr(CAST(path AS BLOB), 1, 1) = x'2f' OR instr(CAST('/' || path || '/' AS BLOB), x'2f2e2e2f') > 0"

/* What was learned must fit its model, where that is in the library, and be finite. Vectors have at most 8192 numbers. */
#define UNFIT_CONCEPT                                                                                                       \
    "ifnull(floats(weights) NOT BETWEEN 1 AND 8192 OR floats(weights) <> "                                                  \
    "ifnull((SELECT dim FROM models m WHERE m.fingerprint = concepts.fingerprint), floats(weights)) OR abs(bias) > 1e300, 1)"
#define UNFIT_ADAPTER                                                                                                       \
    "ifnull(rank NOT BETWEEN 1 AND 1024 OR floats(maps) % (2 * rank) OR floats(maps) / (2 * rank) NOT BETWEEN 1 AND 8192 OR " \
    "floats(maps) <> 2 * rank * ifnull((SELECT dim FROM models m WHERE m.fingerprint = adapters.fingerprint), "             \
    "floats(maps) / (2 * rank)), 1)"

static const struct { const char *count, *line, *mend; } rules[] = {
    {"SELECT count(*) FROM photos WHERE root_id NOT IN (SELECT id FROM roots)",
     "photos belong to no root", "DELETE FROM photos WHERE root_id NOT IN (SELECT id FROM roots)"},
    {"SELECT count(*) FROM photos WHERE " LEADS_OUT, "photos have paths that lead out of their root",
     "DELETE FROM photos WHERE " LEADS_OUT},
    {"SELECT count(*) FROM vectors WHERE NOT EXISTS(SELECT 1 FROM photos WHERE id = key & 1099511627775)",
     "vectors belong to no photo",
     "DELETE FROM vectors WHERE NOT EXISTS(SELECT 1 FROM photos WHERE id = key & 1099511627775)"},
    {"SELECT count(*) FROM vectors WHERE key >> 40 NOT IN (SELECT id FROM models)",
     "vectors belong to no model", "DELETE FROM vectors WHERE key >> 40 NOT IN (SELECT id FROM models)"},
    {"SELECT count(*) FROM vectors WHERE typeof(vector) <> 'blob' OR "
     "length(vector) <> (SELECT 2 * dim FROM models WHERE id = key >> 40)",
     "vectors have a wrong size: their photos will be encoded again",
     "DELETE FROM vectors WHERE typeof(vector) <> 'blob' OR "
     "length(vector) <> (SELECT 2 * dim FROM models WHERE id = key >> 40)"},
    {"SELECT count(*) FROM tags WHERE photo_id NOT IN (SELECT id FROM photos)",
     "tags belong to no photo", "DELETE FROM tags WHERE photo_id NOT IN (SELECT id FROM photos)"},
    {"SELECT count(*) FROM concepts WHERE " UNFIT_CONCEPT, "concepts are damaged: they have to be learned again",
     "DELETE FROM concepts WHERE " UNFIT_CONCEPT},
    {"SELECT count(*) FROM adapters WHERE " UNFIT_ADAPTER,
     "corrections that captions taught are damaged: they have to be learned again", "DELETE FROM adapters WHERE " UNFIT_ADAPTER},
    {"SELECT count(*) FROM models WHERE seq < (SELECT ifnull(max(seq), 0) FROM vectors WHERE model_id = models.id)",
     "models have lost count of their vectors' changes",
     "UPDATE models SET seq = max(seq, (SELECT ifnull(max(seq), 0) FROM vectors WHERE model_id = models.id));"
     "DELETE FROM caches"},
    {"SELECT count(*) FROM caches WHERE seq > (SELECT seq FROM models WHERE id = model_id) OR model_id NOT IN "
     "(SELECT id FROM models)",
     "search indexes are said to be newer than the library",
     "DELETE FROM caches WHERE seq > (SELECT seq FROM models WHERE id = model_id) OR model_id NOT IN (SELECT id FROM models)"},
    {"SELECT count(*) FROM models WHERE vectors <> (SELECT count(*) FROM vectors JOIN photos ON photos.id = key & 1099511627775 "
     "WHERE key >= models.id << 40 AND key < (models.id + 1) << 40 AND state = 0)",
     "models have a wrong count of vectors",
     "UPDATE models SET vectors = (SELECT count(*) FROM vectors JOIN photos ON photos.id = key & 1099511627775 "
     "WHERE key >= models.id << 40 AND key < (models.id + 1) << 40 AND state = 0)"},
    {"SELECT count(*) FROM (SELECT root_id, state, truncated, count(*) FROM photos GROUP BY 1, 2, 3 "
     "EXCEPT SELECT root_id, state, truncated, n FROM tallies)",
     "counts of photos are wrong", NULL},
    {"SELECT count(*) FROM tallies t WHERE n <> (SELECT count(*) FROM photos p WHERE p.root_id = t.root_id AND "
     "p.state = t.state AND p.truncated = t.truncated)",
     "counts of photos are wrong",
     "DELETE FROM tallies; INSERT INTO tallies SELECT root_id, state, truncated, count(*) FROM photos GROUP BY 1, 2, 3"},
};

static store_status mend(check *c, const char *sql, store_error *err)
{
    bool opened;
    store_status st = store_step_begin(c->s, &opened, err);
    return st ? st : store_step_end(c->s, opened, db_exec(c->s->db, sql, err), err);
}

static store_status check_rules(check *c, store_error *err)
{
    size_t n = sizeof rules / sizeof *rules;
    store_status st = STORE_OK;
    for (size_t i = 0; i < n && !st; i++) {
        int64_t wrong = 0;
        st = db_run_int(db_prepare(c->s->db, rules[i].count), &wrong, err);
        if (st || !wrong) continue;
        const char *sql = rules[i].mend ? rules[i].mend : rules[n - 1].mend;
        if (c->repair) st = mend(c, sql, err);
        report(c, c->repair && !st, "%s: %lld %s", c->s->path, (long long)wrong, rules[i].line);
    }
    return st;
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

typedef struct bad { int64_t *id; size_t n; } bad;

static bool sound_vector(const void *f16, float *x, int dim)
{
    double s = 0;
    f16_to_f32(f16, x, (size_t)dim);
    for (int i = 0; i < dim; i++) s += (double)x[i] * x[i];
    return fabs(s - 1) < 0.02; /* false where a number is not finite */
}

static store_status find_bad(check *c, const store_model *m, bad *b, store_error *err)
{
    float x[STORE_MAX_DIM];
    db_stmt *q = db_prepare(c->s->db, "SELECT key, vector FROM vectors WHERE key >= ? AND key < ?");
    db_int(q, m->id << STORE_PHOTO_BITS);
    db_int(q, (m->id + 1) << STORE_PHOTO_BITS);
    store_status st = STORE_OK;
    int rc = DB_DONE;
    while (!st && (rc = db_step(q)) == DB_ROW) {
        size_t n;
        const void *v = db_col_blob(q, 1, &n);
        if (n != 2 * (size_t)m->dim || sound_vector(v, x, m->dim)) continue;
        int64_t *more = (b->n & (b->n - 1)) ? b->id : realloc(b->id, (b->n ? 2 * b->n : 1) * sizeof *more);
        if (!more) st = store_no_memory(err);
        else (b->id = more)[b->n++] = db_col_int(q, 0) & STORE_PHOTO_MASK;
    }
    db_release(q);
    return st ? st : rc == DB_FAILED ? db_fail(c->s->db, err) : STORE_OK;
}

static store_status drop_bad(check *c, const store_model *m, const bad *b, store_error *err)
{
    bool opened;
    store_status st = store_step_begin(c->s, &opened, err);
    for (size_t i = 0; i < b->n && !st; i++) {
        db_stmt *q = db_prepare(c->s->db, "DELETE FROM vectors WHERE key = ?");
        db_int(q, m->id << STORE_PHOTO_BITS | b->id[i]);
        st = db_run(q, err);
    }
    return store_step_end(c->s, opened, st, err);
}

static store_status check_vectors(check *c, const store_model *m, store_error *err)
{
    bad b = {0};
    store_status st = m->dim ? find_bad(c, m, &b, err) : STORE_OK;
    if (!m->dim) report(c, false, "%s: model \"%s\" has an impossible size of vectors", c->s->path, m->name);
    if (!st && b.n) {
        char *path = NULL;
        if (photo_absolute(c->s, b.id[0], &path, NULL)) path = NULL;
        if (c->repair) st = drop_bad(c, m, &b, err);
        report(c, c->repair && !st, "%s: %zu vectors of model \"%s\" are damaged, the first is that of %s: they will be made "
               "again by \"clipsearch index\"", c->s->path, b.n, m->name, path ? path : "an unknown photo");
        free(path);
    }
    free(b.id);
    return st;
}

/* ---- what lies beside the library --------------------------------------------------------------------------------- */

static store_status check_cache(check *c, const store_model *m, store_error *err)
{
    cache_row row;
    cache *open = NULL;
    cache_doubt doubt;
    cache_close(c->s->cache);
    c->s->cache = NULL;
    store_status st = cache_row_get(c->s, m, &row, err);
    if (st) return st == STORE_E_NOT_FOUND ? STORE_OK : st;
    st = cache_open_sound(c->s, m, &open, &doubt, err);
    if (st || open) return st; /* it was read whole */
    if (c->repair) st = store_cache_update(c->s, m->id, true, NULL, NULL, err);
    report(c, c->repair && !st, "%s", doubt.why);
    return st;
}

static void check_queries(check *c)
{
    db *d = NULL;
    char *path = store_path_beside(c->s, ".cache/queries.db"), *line[LINES_MAX] = {NULL};
    if (path && !access(path, F_OK)) {
        store_error e = {{0}};
        int n = db_open(path, c->s->fixed ? DB_IMMUTABLE : DB_SIDE, 1000, &d, &e) ? 1 : integrity(d, line);
        if (d) free_lines(line, n);
        db_close(d);
        if (n) report(c, c->repair && !unlink(path), "%s: the vectors of earlier questions are damaged", path);
    }
    free(path);
}

store_status store_check(store *s, bool repair, void (*finding)(const char *, bool, void *), void *ctx, int64_t *problems,
                         store_error *err)
{
    *problems = 0;
    check c = {s, repair, finding, ctx, problems};
    store_status st = repair ? store_writable(s, err) : STORE_OK;
    if (!st && s->in_batch) st = store_fail(err, STORE_E_ARGUMENT, "a batch is open");
    if (st) return st;
    bool sound;
    store_model *models = NULL;
    size_t n = 0;
    check_integrity(&c, &sound);
    if (!sound) return STORE_OK;
    st = check_rules(&c, err);
    if (!st) st = store_models(s, &models, &n, err);
    for (size_t i = 0; i < n && !st; i++) {
        st = check_vectors(&c, &models[i], err);
        if (!st && models[i].dim) st = check_cache(&c, &models[i], err);
    }
    free(models);
    if (s->queries) {
        db_close(s->queries);
        s->queries = NULL;
    }
    check_queries(&c);
    return st;
}
