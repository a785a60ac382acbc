/* vectors.c: one vector at a time in, one or all of them out. */
#include "store/f16.h"
#include "store/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A unit vector may be off by the rounding of the engine's arithmetic, and of half precision, but not by more. */
static bool is_unit(const float *v, int dim)
{
    double s = 0;
    for (int i = 0; i < dim; i++) s += (double)v[i] * v[i];
    return fabs(s - 1) < 1e-2; /* false for anything that is not finite */
}

/* The model's vectors have `dim` numbers; asked once for each save, so by a statement of its own. */
static store_status dim_of(store *s, int64_t model_id, int *dim, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT dim FROM models WHERE id = ?");
    db_int(q, model_id);
    int64_t v = 0;
    store_status st = db_run_int(q, &v, err);
    *dim = v > 0 && v <= STORE_MAX_DIM ? (int)v : 0;
    if (st == STORE_E_NOT_FOUND || (!st && !*dim))
        return store_fail(err, STORE_E_NOT_FOUND, "%s: there is no model %lld", s->path, (long long)model_id);
    return st;
}

static store_status photo_exists(store *s, int64_t id, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT 1 FROM photos WHERE id = ?");
    db_int(q, id);
    int64_t v;
    store_status st = db_run_int(q, &v, err);
    return st == STORE_E_NOT_FOUND ? store_fail(err, st, "there is no photo %lld", (long long)id) : st;
}

store_status store_vector_save(store *s, int64_t photo_id, int64_t model_id, const float *vector, store_error *err)
{
    uint16_t half[STORE_MAX_DIM];
    int dim;
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    s->indexed = true;
    store_status st = dim_of(s, model_id, &dim, err);
    if (!st && !is_unit(vector, dim))
        st = store_fail(err, STORE_E_ARGUMENT, "the vector of photo %lld is not of unit length", (long long)photo_id);
    if (!st) st = photo_exists(s, photo_id, err);
    if (st) return st;
    f16_from_f32(vector, half, (size_t)dim);
    db_stmt *q = db_prepare(s->db,
        "INSERT INTO vectors(key, seq, vector) VALUES(?, (SELECT seq + 1 FROM models WHERE id = ?), ?) "
        "ON CONFLICT DO UPDATE SET seq = excluded.seq, vector = excluded.vector");
    db_int(q, model_id << STORE_PHOTO_BITS | photo_id);
    db_int(q, model_id);
    db_blob(q, half, 2 * (size_t)dim);
    return db_run(q, err);
}

static store_status copy_one(store *s, int64_t model_id, int64_t from, int64_t to, store_error *err)
{
    db_stmt *q = db_prepare(s->db,
        "INSERT INTO vectors(key, seq, vector) SELECT ?, (SELECT seq + 1 FROM models WHERE id = ?), vector "
        "FROM vectors WHERE key = ? ON CONFLICT DO UPDATE SET seq = excluded.seq, vector = excluded.vector");
    db_int(q, model_id << STORE_PHOTO_BITS | to);
    db_int(q, model_id);
    db_int(q, model_id << STORE_PHOTO_BITS | from);
    return db_run(q, err);
}

store_status store_vectors_copy(store *s, int64_t from, int64_t to, store_error *err)
{
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    s->indexed = true;
    store_model *models;
    size_t n;
    store_status st = photo_exists(s, to, err);
    if (st || from == to) return st;
    st = store_models(s, &models, &n, err);
    for (size_t i = 0; i < n && !st; i++) st = copy_one(s, models[i].id, from, to, err);
    free(models);
    return st;
}

store_status store_vector_get(store *s, int64_t photo_id, int64_t model_id, float *vector, store_error *err)
{
    int dim;
    store_status st = dim_of(s, model_id, &dim, err);
    if (st) return st;
    db_stmt *q = db_prepare(s->db, "SELECT vector FROM vectors WHERE key = ?");
    db_int(q, model_id << STORE_PHOTO_BITS | photo_id);
    int rc = db_step(q);
    size_t n = 0;
    const void *v = rc == DB_ROW ? db_col_blob(q, 0, &n) : NULL;
    bool fits = n == 2 * (size_t)dim;
    if (fits) f16_to_f32(v, vector, (size_t)dim);
    db_release(q);
    if (rc == DB_FAILED) return db_fail(s->db, err);
    if (rc == DB_DONE) return STORE_E_NOT_FOUND;
    return fits ? STORE_OK : store_fail(err, STORE_E_CORRUPT, "%s: the vector of photo %lld is damaged: type \"clipsearch "
                                        "check --repair\"", s->path, (long long)photo_id);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

typedef struct block {
    int64_t *ids;
    float *vectors; /* [room][dim] */
    size_t n, room;
    int dim;
    bool stopped;
    bool (*each)(const int64_t *, const float *, size_t, void *);
    void *ctx;
} block;

/* A caller who wants no more ends the scan by a failure without a text. */
static store_status flush(block *b)
{
    if (b->n && !b->each(b->ids, b->vectors, b->n, b->ctx)) b->stopped = true;
    b->n = 0;
    return b->stopped ? STORE_E_INTERNAL : STORE_OK;
}

static store_status fill(int64_t id, const void *f16, void *ctx, store_error *err)
{
    (void)err;
    block *b = ctx;
    b->ids[b->n] = id;
    f16_to_f32(f16, b->vectors + b->n * (size_t)b->dim, (size_t)b->dim);
    return ++b->n == b->room ? flush(b) : STORE_OK;
}

store_status store_vectors_each(store *s, int64_t model_id, const store_filter *f,
                                bool (*each)(const int64_t *, const float *, size_t, void *), void *ctx, store_error *err)
{
    store_model m;
    filter c = {0};
    bool opened = false;
    store_status st = store_look_begin(s, &opened, err);
    if (!st) st = model_get(s, model_id, &m, err);
    if (!st) st = filter_build(s, f, &c, err);
    if (!st) {
        /* 512 KB of floats: they are still in the cache when the caller reads them. */
        block b = {.room = (size_t)(131072 / m.dim) + 1, .dim = m.dim, .each = each, .ctx = ctx};
        b.ids = malloc(b.room * sizeof *b.ids);
        b.vectors = malloc(b.room * (size_t)m.dim * sizeof *b.vectors);
        st = b.ids && b.vectors ? scan_all(s, &m, &c, fill, &b, err) : store_no_memory(err);
        if (!st) st = flush(&b);
        if (b.stopped) st = STORE_OK;
        free(b.ids);
        free(b.vectors);
    }
    filter_finish(&c);
    store_look_end(s, opened);
    return st;
}
