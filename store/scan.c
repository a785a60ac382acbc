/* scan.c: reading many vectors.
 *
 * A model's vectors are one range of one table, so they are read in the order of the file (0.4 microseconds a row of 1.3 KB,
 * 100,000 in 40 ms). Joining each of them with its photo's row costs as much again, so the photos are asked first: without
 * a filter for the few that are missing or failed (a small partial index), with one for those that satisfy it; the answer
 * is a sorted list of ids that is merged with the scan or, when it is short, looked up one by one. */
#include "store/scan.h"

#include <stdlib.h>

/* Below this share of all vectors, looking up each costs less than reading over all of them (2.3 against 0.4
 * microseconds). */
enum { LOOK_UP_SHARE = 6 };

typedef struct id_list { int64_t *id; size_t n, room; } id_list;

static bool push(id_list *l, int64_t id)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 1024;
        int64_t *more = realloc(l->id, room * sizeof *more);
        if (!more) return false;
        l->id = more;
        l->room = room;
    }
    l->id[l->n++] = id;
    return true;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static store_status list_photos(store *s, const filter *f, id_list *l, store_error *err)
{
    bool all = f->length == 0;
    char *sql = all ? NULL : filter_sql(f, "SELECT p.id FROM photos p WHERE p.state = 0", "");
    if (!all && !sql) return store_no_memory(err);
    db_stmt *q = all ? db_prepare(s->db, "SELECT id FROM photos WHERE state <> 0") : db_prepare_once(s->db, sql);
    filter_bind(f, q);
    int rc;
    bool ok = true;
    while (ok && (rc = db_step(q)) == DB_ROW) ok = push(l, db_col_int(q, 0));
    db_release(q);
    free(sql);
    if (!ok) return store_no_memory(err);
    if (rc == DB_FAILED) return db_fail(s->db, err);
    if (l->n) qsort(l->id, l->n, sizeof *l->id, by_id);
    return STORE_OK;
}

/* A blob of another size is damage: it is passed over here and reported by store_check. */
static store_status give(db_stmt *q, int64_t id, int column, const store_model *m, scan_each each, void *ctx,
                         store_error *err)
{
    size_t n;
    const void *v = db_col_blob(q, column, &n);
    return n == 2 * (size_t)m->dim ? each(id, v, ctx, err) : STORE_OK;
}

static void bind_range(db_stmt *q, const store_model *m)
{
    db_int(q, m->id << STORE_PHOTO_BITS);
    db_int(q, (m->id + 1) << STORE_PHOTO_BITS);
}

/* Reads the model's range; `l` is what to take or, when `skip`, what to leave out. */
static store_status merge(store *s, const store_model *m, const id_list *l, bool skip, scan_each each, void *ctx,
                          store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT key, vector FROM vectors WHERE key >= ? AND key < ? ORDER BY key");
    bind_range(q, m);
    store_status st = STORE_OK;
    size_t i = 0;
    int rc = DB_DONE;
    while (!st && (skip || i < l->n) && (rc = db_step(q)) == DB_ROW) {
        int64_t id = db_col_int(q, 0) & STORE_PHOTO_MASK;
        while (i < l->n && l->id[i] < id) i++;
        bool listed = i < l->n && l->id[i] == id;
        if (listed != skip) st = give(q, id, 1, m, each, ctx, err);
    }
    db_release(q);
    return st ? st : rc == DB_FAILED ? db_fail(s->db, err) : STORE_OK;
}

static store_status look_up(store *s, const store_model *m, const id_list *l, scan_each each, void *ctx, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT vector FROM vectors WHERE key = ?");
    store_status st = STORE_OK;
    int rc = DB_DONE;
    for (size_t i = 0; i < l->n && !st && rc != DB_FAILED; i++) {
        db_again(q);
        db_int(q, m->id << STORE_PHOTO_BITS | l->id[i]);
        rc = db_step(q);
        if (rc == DB_ROW) st = give(q, l->id[i], 0, m, each, ctx, err);
    }
    db_release(q);
    return st ? st : rc == DB_FAILED ? db_fail(s->db, err) : STORE_OK;
}

store_status scan_all(store *s, const store_model *m, const filter *f, scan_each each, void *ctx, store_error *err)
{
    id_list l = {0};
    bool skip = f->length == 0;
    store_status st = list_photos(s, f, &l, err);
    if (!st && !skip && (int64_t)l.n < m->vectors / LOOK_UP_SHARE) st = look_up(s, m, &l, each, ctx, err);
    else if (!st) st = merge(s, m, &l, skip, each, ctx, err);
    free(l.id);
    return st;
}

store_status scan_newer(store *s, const store_model *m, int64_t seq, const filter *f, scan_each each, void *ctx,
                        store_error *err)
{
    char *sql = filter_sql(f, "SELECT p.id, v.vector FROM vectors v CROSS JOIN photos p ON p.id = v.key & 1099511627775 "
                              "WHERE v.model_id = ? AND v.seq > ? AND p.state = 0", "");
    if (!sql) return store_no_memory(err);
    db_stmt *q = db_prepare_once(s->db, sql);
    db_int(q, m->id);
    db_int(q, seq);
    filter_bind(f, q);
    store_status st = STORE_OK;
    int rc = DB_DONE;
    while (!st && (rc = db_step(q)) == DB_ROW) st = give(q, db_col_int(q, 0), 1, m, each, ctx, err);
    db_release(q);
    free(sql);
    return st ? st : rc == DB_FAILED ? db_fail(s->db, err) : STORE_OK;
}

store_status scan_raw(store *s, const store_model *m, int64_t seq, scan_each each, void *ctx, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT key, vector FROM vectors WHERE key >= ? AND key < ? AND seq <= ? ORDER BY key");
    bind_range(q, m);
    db_int(q, seq);
    store_status st = STORE_OK;
    int rc = DB_DONE;
    while (!st && (rc = db_step(q)) == DB_ROW) st = give(q, db_col_int(q, 0) & STORE_PHOTO_MASK, 1, m, each, ctx, err);
    db_release(q);
    return st ? st : rc == DB_FAILED ? db_fail(s->db, err) : STORE_OK;
}
