/* photos.c: rows of photos: looked up, saved, moved, forgotten. */
#include "store/library.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS                                                                                                          \
    "p.id, p.root_id, p.path, p.size, p.mtime_ns, p.inode, p.hash, p.width, p.height, p.format, p.taken, p.camera, "    \
    "p.latitude, p.longitude, p.state, p.truncated, p.reason"
#define HAS_VECTOR "EXISTS(SELECT 1 FROM vectors WHERE key = (? << 40 | p.id))"

void store_photo_finish(store_photo *p)
{
    if (!p) return;
    free(p->path);
    free(p->format);
    free(p->taken);
    free(p->camera);
    free(p->reason);
    memset(p, 0, sizeof *p);
}

static char *copy(db_stmt *q, int i, bool *lost)
{
    const char *t = db_col_text(q, i);
    char *c = t ? strdup(t) : NULL;
    if (t && !c) *lost = true;
    return c;
}

static int pixels(int64_t v) { return v < 0 || v > INT32_MAX ? 0 : (int)v; }

static store_status fill(store_photo *p, db_stmt *q, store_error *err)
{
    bool lost = false;
    size_t n;
    memset(p, 0, sizeof *p);
    p->id = db_col_int(q, 0);
    p->root_id = db_col_int(q, 1);
    p->path = copy(q, 2, &lost);
    p->size = db_col_int(q, 3);
    p->mtime_ns = db_col_int(q, 4);
    p->inode = (uint64_t)db_col_int(q, 5);
    const void *hash = db_col_blob(q, 6, &n);
    if (n == sizeof p->hash) memcpy(p->hash, hash, n);
    p->width = pixels(db_col_int(q, 7));
    p->height = pixels(db_col_int(q, 8));
    p->format = copy(q, 9, &lost);
    p->taken = copy(q, 10, &lost);
    p->camera = copy(q, 11, &lost);
    p->has_gps = !db_col_null(q, 12) && !db_col_null(q, 13);
    p->latitude = db_col_real(q, 12);
    p->longitude = db_col_real(q, 13);
    int64_t state = db_col_int(q, 14);
    p->state = state == STORE_MISSING || state == STORE_FAILED ? (store_state)state : STORE_PRESENT;
    p->truncated = db_col_int(q, 15);
    p->reason = copy(q, 16, &lost);
    if (!lost && p->path) return STORE_OK;
    store_photo_finish(p);
    return store_no_memory(err);
}

/* The one row of a query whose column 17 tells whether the photo has a vector. */
static store_status take(store *s, db_stmt *q, store_photo *out, bool *has_vector, store_error *err)
{
    memset(out, 0, sizeof *out);
    int rc = db_step(q);
    store_status st = rc == DB_ROW ? fill(out, q, err) : rc == DB_DONE ? STORE_E_NOT_FOUND : db_fail(s->db, err);
    if (!st && has_vector) *has_vector = db_col_int(q, 17);
    db_release(q);
    return st;
}

store_status store_photo_get(store *s, int64_t id, store_photo *out, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS " FROM photos p WHERE id = ?");
    db_int(q, id);
    return take(s, q, out, NULL, err);
}

store_status store_photo_at(store *s, int64_t root_id, const char *path, int64_t model_id, store_photo *out,
                            bool *has_vector, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS ", " HAS_VECTOR " FROM photos p "
                            "WHERE root_id = ? AND CAST(path AS BLOB) = ?");
    db_int(q, model_id);
    db_int(q, root_id);
    db_blob(q, path, strlen(path));
    return take(s, q, out, has_vector, err);
}

store_status store_photo_like(store *s, int64_t size, int64_t mtime_ns, uint64_t inode, int64_t model_id, store_photo *out,
                              bool *has_vector, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS ", " HAS_VECTOR " FROM photos p "
                            "WHERE inode = ? AND size = ? AND mtime_ns = ? ORDER BY id DESC LIMIT 1");
    db_int(q, model_id);
    db_int(q, (int64_t)inode);
    db_int(q, size);
    db_int(q, mtime_ns);
    return take(s, q, out, has_vector, err);
}

/* Two questions, so that the first answer ends the search: a content that ten thousand files share must not be sorted for each. */
store_status store_photo_with_hash(store *s, const uint8_t hash[16], int64_t model_id, store_photo *out, bool *has_vector,
                                   store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS ", 1 FROM photos p WHERE hash = ? AND " HAS_VECTOR " ORDER BY id LIMIT 1");
    db_blob(q, hash, 16);
    db_int(q, model_id);
    store_status st = take(s, q, out, has_vector, err);
    if (st != STORE_E_NOT_FOUND) return st;
    q = db_prepare(s->db, "SELECT " COLUMNS ", 0 FROM photos p WHERE hash = ? ORDER BY id LIMIT 1");
    db_blob(q, hash, 16);
    return take(s, q, out, has_vector, err);
}

store_status store_photo_by_absolute(store *s, const char *absolute, store_photo *out, store_error *err)
{
    memset(out, 0, sizeof *out);
    store_root *roots;
    size_t n;
    store_status st = store_roots(s, &roots, &n, err);
    if (st) return st;
    st = STORE_E_NOT_FOUND;
    for (size_t i = 0; i < n; i++) {
        const char *below = store_path_below(roots[i].path, absolute);
        if (below && *below) st = store_photo_at(s, roots[i].id, below, 0, out, NULL, err);
    }
    store_roots_free(roots, n);
    return st;
}

/* ---- absolute paths ---------------------------------------------------------------------------------------------- */

static store_status joined(store *s, db_stmt *q, char **absolute, store_error *err)
{
    *absolute = NULL;
    int rc = db_step(q);
    const char *root = rc == DB_ROW ? db_col_text(q, 0) : NULL, *path = rc == DB_ROW ? db_col_text(q, 1) : NULL;
    if (root && path) *absolute = store_path_join(root, path);
    store_status st = rc == DB_FAILED ? db_fail(s->db, err) : *absolute ? STORE_OK : root && path ? store_no_memory(err)
                                                                                  : STORE_E_NOT_FOUND;
    db_release(q);
    return st;
}

store_status photo_absolute(store *s, int64_t id, char **absolute, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT r.path, p.path FROM photos p JOIN roots r ON r.id = p.root_id WHERE p.id = ?");
    db_int(q, id);
    return joined(s, q, absolute, err);
}

store_status store_photo_where(store *s, const store_photo *p, char **absolute, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT path, ? FROM roots WHERE id = ?");
    db_blob(q, p->path, strlen(p->path));
    db_int(q, p->root_id);
    store_status st = joined(s, q, absolute, err);
    return st == STORE_E_NOT_FOUND ? store_fail(err, st, "there is no root %lld", (long long)p->root_id) : st;
}

/* ---- many photos ------------------------------------------------------------------------------------------------- */

store_status store_photos_below(store *s, int64_t root_id, const char *prefix, int64_t model_id,
                                bool (*each)(const store_brief *, void *), void *ctx, store_error *err)
{
    size_t room = strlen(prefix) + 2;
    char *low = malloc(room), *high = malloc(room);
    if (!low || !high) {
        free(low);
        free(high);
        return store_no_memory(err);
    }
    store_path_range(prefix, low, high);
    /* The whole root is read in the table's own order; a part of it through the index of paths. */
    db_stmt *q = *prefix
        ? db_prepare(s->db, "SELECT id, state, path, " HAS_VECTOR " FROM photos p WHERE root_id = ? AND "
                            "(CAST(path AS BLOB) = ? OR (CAST(path AS BLOB) >= ? AND CAST(path AS BLOB) < ?)) ORDER BY id")
        : db_prepare(s->db, "SELECT id, state, path, " HAS_VECTOR " FROM photos p WHERE +root_id = ? ORDER BY id");
    db_int(q, model_id);
    db_int(q, root_id);
    if (*prefix) {
        db_blob(q, prefix, strlen(prefix));
        db_blob(q, low, room - 1);
        db_blob(q, high, room - 1);
    }
    int rc;
    while ((rc = db_step(q)) == DB_ROW) {
        int64_t state = db_col_int(q, 1);
        const char *path = db_col_text(q, 2);
        store_brief b = {db_col_int(q, 0), (store_state)state, path ? path : "", db_col_int(q, 3)};
        if (!each(&b, ctx)) break;
    }
    db_release(q);
    free(low);
    free(high);
    return rc == DB_FAILED ? db_fail(s->db, err) : STORE_OK;
}

static store_status each_in_root(store *s, const store_root *r, const store_state *state,
                                 bool (*each)(const store_photo *, const char *, void *), void *ctx, bool *go_on,
                                 store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT " COLUMNS " FROM photos p WHERE root_id = ? AND (? OR state = ?) "
                            "ORDER BY CAST(path AS BLOB)");
    db_int(q, r->id);
    db_int(q, state == NULL);
    db_int(q, state ? *state : 0);
    store_status st = STORE_OK;
    int rc = DB_DONE;
    while (!st && *go_on && (rc = db_step(q)) == DB_ROW) {
        store_photo p;
        st = fill(&p, q, err);
        if (st) break;
        char *absolute = store_path_join(r->path, p.path);
        if (absolute) *go_on = each(&p, absolute, ctx);
        else st = store_no_memory(err);
        free(absolute);
        store_photo_finish(&p);
    }
    db_release(q);
    return st ? st : rc == DB_FAILED ? db_fail(s->db, err) : STORE_OK;
}

/* Roots in order of "path/" and their photos in order of path are all photos in order of absolute path, because no root
 * lies inside another. */
static int by_path_and_slash(const void *a, const void *b)
{
    const char *x = ((const store_root *)a)->path, *y = ((const store_root *)b)->path;
    while (*x && *x == *y) { x++; y++; }
    unsigned char c = *x ? (unsigned char)*x : '/', d = *y ? (unsigned char)*y : '/';
    return (c > d) - (c < d);
}

store_status store_photos_each(store *s, const store_state *state, bool (*each)(const store_photo *, const char *, void *),
                               void *ctx, store_error *err)
{
    store_root *roots;
    size_t n;
    bool opened, go_on = true;
    store_status st = store_look_begin(s, &opened, err);
    if (st) return st;
    st = store_roots(s, &roots, &n, err);
    if (!st && n) qsort(roots, n, sizeof *roots, by_path_and_slash);
    for (size_t i = 0; i < n && !st && go_on; i++) st = each_in_root(s, &roots[i], state, each, ctx, &go_on, err);
    store_roots_free(roots, n);
    store_look_end(s, opened);
    return st;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static store_status in_batch(store *s, store_error *err)
{
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    s->indexed = true;
    return STORE_OK;
}

static void date_of(const char *taken, int64_t mtime_ns, char date[20])
{
    if (taken && strlen(taken) >= 10) {
        strncpy(date, taken, 19);
        date[19] = 0;
        return;
    }
    time_t t = (time_t)(mtime_ns / 1000000000 - (mtime_ns % 1000000000 < 0));
    struct tm tm;
    if (!localtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099 || !strftime(date, 20, "%Y-%m-%d %H:%M:%S", &tm))
        strcpy(date, "0000-00-00 00:00:00");
}

static bool known(const uint8_t hash[16])
{
    static const uint8_t none[16];
    return memcmp(hash, none, 16) != 0;
}

/* The stored row that a save replaces: by id or, for a new photo, by place. *same: its content is the same. */
static store_status find_old(store *s, const store_photo *p, int64_t *id, bool *same, store_error *err)
{
    db_stmt *q = p->id ? db_prepare(s->db, "SELECT id, hash FROM photos WHERE id = ?")
                       : db_prepare(s->db, "SELECT id, hash FROM photos WHERE root_id = ? AND CAST(path AS BLOB) = ?");
    db_int(q, p->id ? p->id : p->root_id);
    if (!p->id) db_blob(q, p->path, strlen(p->path));
    int rc = db_step(q);
    *id = 0;
    if (rc == DB_ROW) {
        size_t n;
        const void *hash = db_col_blob(q, 1, &n);
        *id = db_col_int(q, 0);
        *same = known(p->hash) ? n == 16 && !memcmp(hash, p->hash, 16) : n == 0;
    }
    db_release(q);
    if (rc == DB_FAILED) return db_fail(s->db, err);
    return p->id && !*id ? store_fail(err, STORE_E_NOT_FOUND, "there is no photo %lld", (long long)p->id) : STORE_OK;
}

static void bind_photo(db_stmt *q, const store_photo *p, const char *date)
{
    db_int(q, p->root_id);
    db_name(q, p->path);
    db_int(q, p->size);
    db_int(q, p->mtime_ns);
    db_int(q, (int64_t)p->inode);
    db_blob(q, known(p->hash) ? p->hash : NULL, 16);
    db_int(q, p->width);
    db_int(q, p->height);
    db_text(q, p->format);
    db_text(q, p->taken);
    db_text(q, date);
    db_text(q, p->camera);
    if (p->has_gps) db_real(q, p->latitude); else db_text(q, NULL);
    if (p->has_gps) db_real(q, p->longitude); else db_text(q, NULL);
    db_int(q, p->state);
    db_int(q, p->truncated);
    db_text(q, p->reason);
}

static store_status drop_vectors(store *s, int64_t id, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "DELETE FROM vectors WHERE key IN (SELECT id << 40 | ? FROM models)");
    db_int(q, id);
    return db_run(q, err);
}

static store_status check_photo(const store_photo *p, store_error *err)
{
    if (!p->path || !*p->path || *p->path == '/')
        return store_fail(err, STORE_E_ARGUMENT, "a photo needs a path relative to its root");
    if ((unsigned)p->state > STORE_FAILED) return store_fail(err, STORE_E_ARGUMENT, "%s: there is no state %d", p->path, p->state);
    return STORE_OK;
}

store_status store_photo_save(store *s, const store_photo *p, int64_t *id, store_error *err)
{
    char date[20];
    int64_t old = 0;
    bool same = true;
    store_status st = in_batch(s, err);
    if (!st) st = check_photo(p, err);
    if (!st) st = find_old(s, p, &old, &same, err);
    if (!st && old && !same) st = drop_vectors(s, old, err);
    if (st) return st;
    date_of(p->taken, p->mtime_ns, date);
    db_stmt *q = old
        ? db_prepare(s->db, "UPDATE photos SET root_id = ?, path = ?, size = ?, mtime_ns = ?, inode = ?, hash = ?, width = ?, "
                            "height = ?, format = ?, taken = ?, date = ?, camera = ?, latitude = ?, longitude = ?, state = ?, "
                            "truncated = ?, reason = ? WHERE id = ?")
        : db_prepare(s->db, "INSERT INTO photos(root_id, path, size, mtime_ns, inode, hash, width, height, format, taken, "
                            "date, camera, latitude, longitude, state, truncated, reason) "
                            "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_photo(q, p, date);
    if (old) db_int(q, old);
    st = db_run(q, err);
    *id = old ? old : db_last_id(s->db);
    if (!st && *id > STORE_PHOTO_MASK) st = store_fail(err, STORE_E_INTERNAL, "the library is full: no more numbers for photos");
    return st;
}

static store_status one_changed(store *s, db_stmt *q, int64_t id, store_error *err)
{
    store_status st = db_run(q, err);
    if (!st && db_changes(s->db) == 0) st = store_fail(err, STORE_E_NOT_FOUND, "there is no photo %lld", (long long)id);
    return st;
}

store_status store_photo_set_state(store *s, int64_t id, store_state state, store_error *err)
{
    store_status st = in_batch(s, err);
    if (st) return st;
    db_stmt *q = db_prepare(s->db, "UPDATE photos SET state = ? WHERE id = ?");
    db_int(q, state);
    db_int(q, id);
    return one_changed(s, q, id, err);
}

/* Whatever was known at the new place has been written over there. */
static store_status clear_place(store *s, int64_t id, int64_t root_id, const char *path, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "DELETE FROM photos WHERE root_id = ? AND CAST(path AS BLOB) = ? AND id <> ?");
    db_int(q, root_id);
    db_blob(q, path, strlen(path));
    db_int(q, id);
    return db_run(q, err);
}

static store_status taken_of(store *s, int64_t id, char **taken, store_error *err)
{
    *taken = NULL;
    db_stmt *q = db_prepare(s->db, "SELECT taken FROM photos WHERE id = ?");
    db_int(q, id);
    int rc = db_step(q);
    bool lost = false;
    if (rc == DB_ROW) *taken = copy(q, 0, &lost);
    db_release(q);
    return rc == DB_FAILED ? db_fail(s->db, err) : lost ? store_no_memory(err) : STORE_OK;
}

store_status store_photo_relocate(store *s, int64_t id, int64_t root_id, const char *path, int64_t size, int64_t mtime_ns,
                                  uint64_t inode, store_error *err)
{
    char date[20], *taken = NULL;
    store_status st = in_batch(s, err);
    if (!st) st = clear_place(s, id, root_id, path, err);
    if (!st) st = taken_of(s, id, &taken, err);
    if (st) return st;
    date_of(taken, mtime_ns, date);
    free(taken);
    db_stmt *q = db_prepare(s->db, "UPDATE photos SET root_id = ?, path = ?, size = ?, mtime_ns = ?, inode = ?, date = ?, "
                            "state = CASE state WHEN 1 THEN 0 ELSE state END WHERE id = ?");
    db_int(q, root_id);
    db_name(q, path);
    db_int(q, size);
    db_int(q, mtime_ns);
    db_int(q, (int64_t)inode);
    db_text(q, date);
    db_int(q, id);
    return one_changed(s, q, id, err);
}

store_status store_photo_forget(store *s, int64_t id, store_error *err)
{
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    db_stmt *q = db_prepare(s->db, "DELETE FROM photos WHERE id = ?");
    db_int(q, id);
    return one_changed(s, q, id, err);
}

static store_status forget_in_root(store *s, const store_root *r, const char *below, int64_t *forgotten, store_error *err)
{
    size_t room = strlen(below) + 2;
    char *low = malloc(room), *high = malloc(room);
    store_status st = low && high ? STORE_OK : store_no_memory(err);
    if (!st) {
        store_path_range(below, low, high);
        db_stmt *q = db_prepare(s->db, "DELETE FROM photos WHERE root_id = ? AND (? OR CAST(path AS BLOB) = ? OR "
                                "(CAST(path AS BLOB) >= ? AND CAST(path AS BLOB) < ?))");
        db_int(q, r->id);
        db_int(q, *below == 0);
        db_blob(q, below, room - 2);
        db_blob(q, low, room - 1);
        db_blob(q, high, room - 1);
        st = db_run(q, err);
        if (!st) *forgotten += db_changes(s->db);
    }
    free(low);
    free(high);
    return st;
}

static store_status forget_all(store *s, const char *absolute, const store_root *roots, size_t n, int64_t *forgotten,
                               store_error *err)
{
    store_status st = STORE_OK;
    for (size_t i = 0; i < n && !st; i++) {
        const char *below = store_path_below(roots[i].path, absolute);
        bool whole = store_path_below(absolute, roots[i].path) != NULL;
        if (!below && !whole) continue;
        st = forget_in_root(s, &roots[i], whole ? "" : below, forgotten, err);
        if (!st && whole) st = root_drop(s, roots[i].id, err);
    }
    return st;
}

store_status store_forget_below(store *s, const char *absolute, int64_t *forgotten, store_error *err)
{
    *forgotten = 0;
    char *clean = store_path_clean(absolute);
    if (!clean) return store_fail(err, STORE_E_ARGUMENT, "%s: is not an absolute path", absolute ? absolute : "(none)");
    store_root *roots = NULL;
    size_t n = 0;
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    if (!st) {
        st = store_roots(s, &roots, &n, err);
        if (!st) st = forget_all(s, clean, roots, n, forgotten, err);
        st = store_step_end(s, opened, st, err);
    }
    if (st) *forgotten = 0;
    store_roots_free(roots, n);
    free(clean);
    return st;
}
