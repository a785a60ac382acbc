/* concepts.c: what a person taught the library, one classifier of a model's vectors a name. Letter case of names is ignored.
 * What is read was perhaps damaged or written by somebody else: sizes are checked here, and so that numbers are finite. */
#include "store/library.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS "name, fingerprint, weights, bias, yes, no, unlabelled, words, learned"

static bool all_finite(const float *v, size_t n, double bias)
{
    bool ok = isfinite(bias);
    for (size_t i = 0; i < n && ok; i++) ok = isfinite(v[i]);
    return ok;
}

store_status store_concept_put(store *s, const store_concept *c, store_error *err)
{
    if (!*c->name || c->dim < 1 || c->dim > STORE_MAX_DIM || !all_finite(c->weights, (size_t)c->dim, c->bias))
        return store_fail(err, STORE_E_ARGUMENT, "a concept needs a name and finite weights");
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    if (st) return st;
    db_stmt *q = db_prepare(s->db, "INSERT OR REPLACE INTO concepts(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, "
                                   "strftime('%Y-%m-%d %H:%M:%S', 'now', 'localtime'))");
    db_text(q, c->name);
    db_text(q, c->fingerprint);
    db_blob(q, c->weights, sizeof *c->weights * (size_t)c->dim);
    db_real(q, c->bias);
    db_int(q, c->yes);
    db_int(q, c->no);
    db_int(q, c->unlabelled);
    db_text(q, c->words);
    return store_step_end(s, opened, db_run(q, err), err);
}

static store_status fill(store *s, store_concept *c, db_stmt *q, store_error *err)
{
    size_t bytes = 0;
    const void *weights = db_col_blob(q, 2, &bytes);
    const char *name = db_col_text(q, 0), *fingerprint = db_col_text(q, 1);
    *c = (store_concept){.name = strdup(name ? name : ""), .bias = db_col_real(q, 3), .yes = db_col_int(q, 4),
                         .no = db_col_int(q, 5), .unlabelled = db_col_int(q, 6)};
    snprintf(c->fingerprint, sizeof c->fingerprint, "%s", fingerprint ? fingerprint : "");
    snprintf(c->learned, sizeof c->learned, "%s", db_col_text(q, 8) ? db_col_text(q, 8) : "");
    bool words = !db_col_null(q, 7), whole = bytes && bytes % sizeof(float) == 0 && bytes / sizeof(float) <= STORE_MAX_DIM;
    if (whole && (c->weights = malloc(bytes))) memcpy(c->weights, weights, bytes);
    if (words) c->words = strdup(db_col_text(q, 7));
    c->dim = (int)(bytes / sizeof(float));
    if (!c->name || (whole && !c->weights) || (words && !c->words)) return store_no_memory(err);
    if (whole && all_finite(c->weights, (size_t)c->dim, c->bias)) return STORE_OK;
    return store_fail(err, STORE_E_CORRUPT, "%s: what was learned of \"%s\" is damaged: type \"clipsearch check --repair\", and "
                      "learn it again", s->path, c->name);
}

store_status store_concept_get(store *s, const char *name, const char *fingerprint, store_concept *out, store_error *err)
{
    *out = (store_concept){0};
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS " FROM concepts WHERE name = ? AND fingerprint = ?");
    db_text(q, name);
    db_text(q, fingerprint);
    int rc = db_step(q);
    store_status st = rc == DB_ROW ? fill(s, out, q, err) : STORE_E_NOT_FOUND;
    db_release(q);
    if (rc == DB_FAILED) st = db_fail(s->db, err);
    if (st) store_concept_finish(out);
    return st;
}

store_status store_concepts(store *s, store_concept **concepts, size_t *n, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS " FROM concepts ORDER BY name, fingerprint");
    store_status st = STORE_OK;
    int rc;
    *concepts = NULL, *n = 0;
    while (!st && (rc = db_step(q)) == DB_ROW) {
        store_concept *more = realloc(*concepts, (*n + 1) * sizeof *more);
        if (!more) st = store_no_memory(err);
        else st = fill(s, &(*concepts = more)[(*n)++], q, err);
    }
    db_release(q);
    if (!st && rc == DB_FAILED) st = db_fail(s->db, err);
    if (!st) return st;
    store_concepts_free(*concepts, *n);
    *concepts = NULL, *n = 0;
    return st;
}

store_status store_concept_forget(store *s, const char *name, int64_t *forgotten, store_error *err)
{
    bool opened;
    *forgotten = 0;
    store_status st = store_step_begin(s, &opened, err);
    if (st) return st;
    db_stmt *q = db_prepare(s->db, "DELETE FROM concepts WHERE name = ?");
    db_text(q, name);
    st = db_run(q, err);
    if (!st) *forgotten = db_changes(s->db);
    return store_step_end(s, opened, st, err);
}

void store_concept_finish(store_concept *c)
{
    free(c->name);
    free(c->weights);
    free(c->words);
    *c = (store_concept){0};
}

void store_concepts_free(store_concept *concepts, size_t n)
{
    for (size_t i = 0; i < n; i++) store_concept_finish(&concepts[i]);
    free(concepts);
}
