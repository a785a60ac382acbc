/* models.c: the models that a library holds vectors of. A model is its fingerprint: the same weights found under another name
 * or in another folder are the same model. */
#include "store/library.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS "id, name, dir, fingerprint, precision, dim, vectors"

static void text_into(char *to, size_t room, const char *from) { snprintf(to, room, "%s", from ? from : ""); }

static void fill(store_model *m, db_stmt *q)
{
    memset(m, 0, sizeof *m);
    m->id = db_col_int(q, 0);
    text_into(m->name, sizeof m->name, db_col_text(q, 1));
    text_into(m->dir, sizeof m->dir, db_col_text(q, 2));
    text_into(m->fingerprint, sizeof m->fingerprint, db_col_text(q, 3));
    text_into(m->precision, sizeof m->precision, db_col_text(q, 4));
    int64_t dim = db_col_int(q, 5); /* sizes follow from it, so that a broken file must not choose it freely */
    m->dim = dim > 0 && dim <= STORE_MAX_DIM ? (int)dim : 0;
    m->vectors = db_col_int(q, 6) > 0 ? db_col_int(q, 6) : 0;
}

store_status model_get(store *s, int64_t id, store_model *out, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS " FROM models WHERE id = ?");
    db_int(q, id);
    int rc = db_step(q);
    if (rc == DB_ROW) fill(out, q);
    db_release(q);
    if (rc == DB_FAILED) return db_fail(s->db, err);
    if (rc == DB_DONE) return store_fail(err, STORE_E_NOT_FOUND, "%s: there is no model %lld", s->path, (long long)id);
    if (out->dim) return STORE_OK;
    return store_fail(err, STORE_E_CORRUPT, "%s: model \"%s\" has an impossible size of vectors: type \"clipsearch check\"",
                      s->path, out->name);
}

store_status store_model_put(store *s, const store_model *m, int64_t *id, store_error *err)
{
    if (m->dim < 1 || m->dim > STORE_MAX_DIM || !m->fingerprint[0])
        return store_fail(err, STORE_E_ARGUMENT, "a model needs a fingerprint and vectors of 1 to %d numbers", STORE_MAX_DIM);
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    if (st) return st;
    db_stmt *q = db_prepare(s->db,
        "INSERT INTO models(name, dir, fingerprint, precision, dim) VALUES(?, ?, ?, ?, ?) ON CONFLICT(fingerprint) "
        "DO UPDATE SET name = excluded.name, dir = excluded.dir, precision = excluded.precision WHERE dim = excluded.dim "
        "RETURNING id");
    db_text(q, m->name);
    db_text(q, m->dir);
    db_text(q, m->fingerprint);
    db_text(q, m->precision);
    db_int(q, m->dim);
    st = db_run_int(q, id, err);
    if (st == STORE_E_NOT_FOUND)
        st = store_fail(err, STORE_E_ARGUMENT, "%s: holds model %s with vectors of another size", s->path, m->fingerprint);
    return store_step_end(s, opened, st, err);
}

store_status store_models(store *s, store_model **models, size_t *n, store_error *err)
{
    *models = NULL;
    *n = 0;
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS " FROM models ORDER BY id");
    int rc;
    store_status st = STORE_OK;
    while (!st && (rc = db_step(q)) == DB_ROW) {
        store_model *more = realloc(*models, (*n + 1) * sizeof **models);
        if (!more) st = store_no_memory(err);
        else fill(&(*models = more)[(*n)++], q);
    }
    db_release(q);
    if (!st && rc == DB_FAILED) st = db_fail(s->db, err);
    if (!st) return STORE_OK;
    free(*models);
    *models = NULL;
    *n = 0;
    return st;
}

store_status store_model_current(store *s, store_model *out, store_error *err)
{
    char *chosen = NULL;
    store_status st = store_setting_get(s, "model", &chosen, err);
    if (st == STORE_OK) {
        long long id = atoll(chosen);
        free(chosen);
        if (!model_get(s, id, out, NULL)) return STORE_OK;
    } else if (st != STORE_E_NOT_FOUND) {
        return st;
    }
    store_model *all;
    size_t n;
    st = store_models(s, &all, &n, err);
    if (st) return st;
    if (n == 1) *out = all[0];
    free(all);
    if (n == 1 && out->dim) return STORE_OK;
    if (n == 0) return store_fail(err, STORE_E_NOT_FOUND, "%s: nothing is indexed yet: type \"clipsearch index FOLDER\"", s->path);
    return store_fail(err, STORE_E_NOT_FOUND, "%s: holds %zu models and none is chosen: type \"clipsearch model use NAME\"",
                      s->path, n);
}

store_status store_model_use(store *s, int64_t model_id, store_error *err)
{
    store_model m;
    store_status st = model_get(s, model_id, &m, err);
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)model_id);
    return st ? st : store_setting_set(s, "model", text, err);
}

static void trial_key(char key[40], int64_t model_id) { snprintf(key, 40, "trial.%lld", (long long)model_id); }

store_status store_trial_put(store *s, int64_t model_id, const store_trial *t, store_error *err)
{
    char key[40], value[128];
    trial_key(key, model_id);
    snprintf(value, sizeof value, "%s %s %d %ld %ld %d", t->tried, t->against, t->photos, lround(t->mean * 1e6), lround(t->least * 1e6), t->kept);
    return store_setting_set(s, key, value, err);
}

store_status store_trial_get(store *s, int64_t model_id, store_trial *out, store_error *err)
{
    char key[40], *value = NULL;
    trial_key(key, model_id);
    store_status st = store_setting_get(s, key, &value, err);
    if (st) return st;
    long mean = 0, least = 0;
    int kept = 0, found = sscanf(value, "%15[a-z0-9] %15[a-z0-9] %d %ld %ld %d", out->tried, out->against, &out->photos, &mean, &least, &kept);
    free(value);
    if (found != 6) return store_fail(err, STORE_E_CORRUPT, "%s: the setting %s cannot be read", s->path, key);
    out->mean = (double)mean / 1e6, out->least = (double)least / 1e6, out->kept = kept == 1;
    return STORE_OK;
}
