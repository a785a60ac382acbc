/* roots.c: the folders that were asked for. No root lies inside another, so that a photo has one place: a folder inside a
 * root is a part of that root, and a folder around roots takes over their photos under longer names, with their vectors. */
#include "store/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void store_roots_free(store_root *roots, size_t n)
{
    for (size_t i = 0; roots && i < n; i++) free(roots[i].path);
    free(roots);
}

static store_status add_root(store_root **roots, size_t *n, db_stmt *q, store_error *err)
{
    if ((*n & (*n - 1)) == 0) { /* the room doubles */
        store_root *more = realloc(*roots, (*n ? 2 * *n : 1) * sizeof **roots);
        if (!more) return store_no_memory(err);
        *roots = more;
    }
    store_root *r = &(*roots)[*n];
    const char *path = db_col_text(q, 1);
    r->id = db_col_int(q, 0);
    r->path = strdup(path ? path : "");
    r->photos = db_col_int(q, 2);
    if (!r->path) return store_no_memory(err);
    ++*n;
    return STORE_OK;
}

store_status store_roots(store *s, store_root **roots, size_t *n, store_error *err)
{
    *roots = NULL;
    *n = 0;
    db_stmt *q = db_prepare(s->db,
        "SELECT id, path, (SELECT ifnull(sum(n), 0) FROM tallies WHERE root_id = roots.id AND state <> 1) FROM roots "
        "ORDER BY CAST(path AS BLOB)");
    store_status st = STORE_OK;
    int rc;
    while ((rc = db_step(q)) == DB_ROW && !st) st = add_root(roots, n, q, err);
    db_release(q);
    if (rc == DB_FAILED) st = db_fail(s->db, err);
    if (st) {
        store_roots_free(*roots, *n);
        *roots = NULL;
        *n = 0;
    }
    return st;
}

store_status root_drop(store *s, int64_t id, store_error *err)
{
    static const char *const sql[] = {"DELETE FROM folders WHERE root_id = ?", "DELETE FROM tallies WHERE root_id = ?",
                                      "DELETE FROM roots WHERE id = ?"};
    store_status st = STORE_OK;
    for (int i = 0; i < 3 && !st; i++) {
        db_stmt *q = db_prepare(s->db, sql[i]);
        db_int(q, id);
        st = db_run(q, err);
    }
    return st;
}

static store_status adopt(store *s, int64_t from, int64_t to, const char *below, store_error *err)
{
    char *with_slash;
    if (asprintf(&with_slash, "%s/", below) < 0) return store_no_memory(err);
    db_stmt *q = db_prepare(s->db, "UPDATE photos SET root_id = ?, path = name(?, path) WHERE root_id = ?");
    db_int(q, to);
    db_blob(q, with_slash, strlen(with_slash));
    db_int(q, from);
    store_status st = db_run(q, err);
    free(with_slash);
    return st ? st : root_drop(s, from, err);
}

static store_status insert_root(store *s, const char *path, int64_t *id, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "INSERT INTO roots(path) VALUES(?)");
    db_name(q, path);
    store_status st = db_run(q, err);
    *id = db_last_id(s->db);
    return st;
}

static store_status place(store *s, const char *path, const store_root *roots, size_t n, int64_t *root_id, char **prefix,
                          store_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *below = store_path_below(roots[i].path, path);
        if (!below) continue;
        *root_id = roots[i].id;
        *prefix = strdup(below);
        return *prefix ? STORE_OK : store_no_memory(err);
    }
    store_status st = insert_root(s, path, root_id, err);
    for (size_t i = 0; i < n && !st; i++) {
        const char *below = store_path_below(path, roots[i].path);
        if (below) st = adopt(s, roots[i].id, *root_id, below, err);
    }
    *prefix = strdup("");
    return st ? st : *prefix ? STORE_OK : store_no_memory(err);
}

store_status store_root_place(store *s, const char *path, int64_t *root_id, char **prefix, store_error *err)
{
    *prefix = NULL;
    char *clean = store_path_clean(path);
    if (!clean) return store_fail(err, STORE_E_ARGUMENT, "%s: a root must be an absolute path", path ? path : "(none)");
    store_root *roots = NULL;
    size_t n = 0;
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    if (!st) {
        st = store_roots(s, &roots, &n, err);
        if (!st) st = place(s, clean, roots, n, root_id, prefix, err);
        st = store_step_end(s, opened, st, err);
    }
    if (st) {
        free(*prefix);
        *prefix = NULL;
    }
    store_roots_free(roots, n);
    free(clean);
    return st;
}

static store_status free_of_others(store *s, int64_t id, const char *path, store_error *err)
{
    store_root *roots;
    size_t n;
    bool found = false;
    store_status st = store_roots(s, &roots, &n, err);
    for (size_t i = 0; i < n && !st; i++) {
        if (roots[i].id == id) found = true;
        else if (store_path_below(roots[i].path, path) || store_path_below(path, roots[i].path))
            st = store_fail(err, STORE_E_ARGUMENT, "%s: overlaps with %s, which is indexed already: forget one of them first",
                            path, roots[i].path);
    }
    store_roots_free(roots, n);
    return st ? st : found ? STORE_OK : store_fail(err, STORE_E_NOT_FOUND, "there is no root %lld", (long long)id);
}

store_status store_root_move(store *s, int64_t root_id, const char *path, store_error *err)
{
    char *clean = store_path_clean(path);
    if (!clean) return store_fail(err, STORE_E_ARGUMENT, "%s: a root must be an absolute path", path ? path : "(none)");
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    if (!st) {
        st = free_of_others(s, root_id, clean, err);
        if (!st) {
            db_stmt *q = db_prepare(s->db, "UPDATE roots SET path = ? WHERE id = ?");
            db_name(q, clean);
            db_int(q, root_id);
            st = db_run(q, err);
        }
        st = store_step_end(s, opened, st, err);
    }
    free(clean);
    return st;
}

/* ---- the indexer's note about a folder ---------------------------------------------------------------------------- */

store_status store_folder_recall(store *s, int64_t root_id, const char *path, uint8_t digest[16], store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT digest FROM folders WHERE root_id = ? AND path = ?");
    db_int(q, root_id);
    db_blob(q, path, strlen(path));
    int rc = db_step(q);
    size_t n = 0;
    const void *v = rc == DB_ROW ? db_col_blob(q, 0, &n) : NULL;
    if (n == 16) memcpy(digest, v, 16);
    db_release(q);
    return rc == DB_FAILED ? db_fail(s->db, err) : n == 16 ? STORE_OK : STORE_E_NOT_FOUND;
}

store_status store_folder_remember(store *s, int64_t root_id, const char *path, const uint8_t digest[16], store_error *err)
{
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    db_stmt *q = db_prepare(s->db, "INSERT INTO folders VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET digest = excluded.digest");
    db_int(q, root_id);
    db_blob(q, path, strlen(path));
    db_blob(q, digest, 16);
    return db_run(q, err);
}
