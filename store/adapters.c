/* adapters.c: the correction of text vectors that a person's captions taught, at most one a model. What is read is checked. */
#include "store/library.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool sound(const float *v, size_t n)
{
    bool ok = v != NULL;
    for (size_t i = 0; i < n && ok; i++) ok = isfinite(v[i]);
    return ok;
}

store_status store_adapter_put(store *s, const store_adapter *a, store_error *err)
{
    size_t n = 2 * (size_t)a->dim * (size_t)a->rank;
    if (a->dim < 1 || a->dim > STORE_MAX_DIM || a->rank < 1 || a->rank > 1024 || !sound(a->maps, n))
        return store_fail(err, STORE_E_ARGUMENT, "a correction needs two finite maps");
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    if (st) return st;
    db_stmt *q = db_prepare(s->db, "INSERT OR REPLACE INTO adapters VALUES(?, ?, ?, ?, ?, ?, "
                                   "strftime('%Y-%m-%d %H:%M:%S', 'now', 'localtime'))");
    db_text(q, a->fingerprint);
    db_int(q, a->rank);
    db_blob(q, a->maps, n * sizeof *a->maps);
    db_int(q, a->photos);
    db_int(q, a->captions);
    db_real(q, a->gain);
    return store_step_end(s, opened, db_run(q, err), err);
}

store_status store_adapter_get(store *s, const char *fingerprint, int dim, store_adapter *out, store_error *err)
{
    *out = (store_adapter){.dim = dim};
    db_stmt *q = db_prepare(s->db, "SELECT rank, maps, photos, captions, gain, learned FROM adapters WHERE fingerprint = ?");
    db_text(q, fingerprint);
    int rc = db_step(q);
    store_status st = rc == DB_ROW ? STORE_OK : STORE_E_NOT_FOUND;
    if (rc == DB_ROW) {
        size_t bytes = 0;
        int64_t rank = db_col_int(q, 0);
        const void *maps = db_col_blob(q, 1, &bytes);
        bool fits = rank > 0 && rank <= 1024 && bytes == 2 * sizeof(float) * (size_t)rank * (size_t)dim;
        out->rank = (int)rank, out->photos = db_col_int(q, 2), out->captions = db_col_int(q, 3), out->gain = db_col_real(q, 4);
        strncpy(out->learned, db_col_text(q, 5) ? db_col_text(q, 5) : "", sizeof out->learned - 1);
        strncpy(out->fingerprint, fingerprint, sizeof out->fingerprint - 1);
        if (fits && (out->maps = malloc(bytes))) memcpy(out->maps, maps, bytes);
        if (fits && !out->maps) st = store_no_memory(err);
        else if (!fits || !sound(out->maps, bytes / sizeof(float)))
            st = store_fail(err, STORE_E_CORRUPT, "%s: what was learned from captions is damaged: type \"clipsearch check --repair\", "
                            "and learn it again", s->path);
    }
    db_release(q);
    if (rc == DB_FAILED) st = db_fail(s->db, err);
    if (st) store_adapter_finish(out);
    return st;
}

store_status store_adapter_forget(store *s, const char *fingerprint, int64_t *forgotten, store_error *err)
{
    bool opened;
    *forgotten = 0;
    store_status st = store_step_begin(s, &opened, err);
    if (st) return st;
    db_stmt *q = db_prepare(s->db, "DELETE FROM adapters WHERE fingerprint = ?");
    db_text(q, fingerprint);
    st = db_run(q, err);
    if (!st) *forgotten = db_changes(s->db);
    return store_step_end(s, opened, st, err);
}

void store_adapter_finish(store_adapter *a)
{
    free(a->maps);
    *a = (store_adapter){0};
}
