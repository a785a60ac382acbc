/* db.c: the only file that knows SQLite.
 *
 * Write-ahead logging lets any number of readers look at the last committed state while one writer goes on. With
 * synchronous=NORMAL the log is not flushed at every commit: a killed process loses nothing that was committed, a power
 * cut may lose the last commits and never damages the file. FULL would flush at every batch for the sake of photos that the
 * next run of `index` finds again anyway.
 *
 * Page size 8192, measured with 100,000 half-precision vectors of 512 (scan / file): 4096: 42-50 ms / 139 MB, 8192:
 * 26-36 ms / 119 MB, 16384: 34-47 ms / 111 MB. Memory-mapped reading was slower in every case (44-66 ms at 8192) and
 * would turn a read error into a signal, so it is not used. A table WITHOUT ROWID was slower throughout. */
#include "store/db.h"

#include "store/library.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct db_stmt {
    db *db;
    sqlite3_stmt *h;
    const char *sql;
    int bound;
    bool busy, once;
};

enum { KEPT_MAX = 128 };

struct db {
    sqlite3 *h;
    char *path;
    int kept;
    db_stmt *stmt[KEPT_MAX];
    db_stmt broken; /* stands for a statement that could not be compiled; every call on it fails quietly */
    bool opening;
    int code, system_code; /* the first failure since db_fail, 0: none */
    char text[256];
};

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void note(db *d, int code)
{
    if (d->code) return;
    d->code = code;
    d->system_code = d->h ? sqlite3_system_errno(d->h) : 0;
    snprintf(d->text, sizeof d->text, "%s", d->h ? sqlite3_errmsg(d->h) : sqlite3_errstr(code));
}

static store_status explain(const db *d, store_error *err)
{
    const char *p = d->path;
    switch (d->code & 0xff) {
    case SQLITE_FULL:
    disk_full:
        return store_fail(err, STORE_E_FULL, "%s: no space left on the disk. What was saved before is safe: free some space "
                          "and type the same command again", p);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return store_fail(err, STORE_E_BUSY, "%s: another program keeps the library locked (a database tool, a backup?): "
                          "close it and try again", p);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return store_fail(err, STORE_E_READONLY, "%s: cannot be written (%s): check the permissions of the file and of its "
                          "folder", p, d->text);
    case SQLITE_CORRUPT:
        if (d->opening)
            return store_fail(err, STORE_E_CORRUPT, "%s: the library is damaged and cannot be opened (%s): put back a copy, or "
                              "remove it and type \"clipsearch index FOLDER\" again; your photos are not touched", p, d->text);
        return store_fail(err, STORE_E_CORRUPT, "%s: the library is damaged (%s): type \"clipsearch check --repair\"", p,
                          d->text);
    case SQLITE_NOTADB:
        return store_fail(err, STORE_E_CORRUPT, "%s: is not a clipsearch library: name another file with --db", p);
    case SQLITE_NOMEM:
        return store_no_memory(err);
    case SQLITE_CANTOPEN:
        return store_fail(err, STORE_E_IO, "%s: cannot be opened: %s", p,
                          d->system_code ? strerror(d->system_code) : d->text);
    case SQLITE_IOERR:
        if (d->system_code == ENOSPC || d->system_code == EDQUOT) goto disk_full;
        return store_fail(err, STORE_E_IO, "%s: %s (%s): check the disk", p, d->text,
                          d->system_code ? strerror(d->system_code) : "no system error");
    default:
        return store_fail(err, STORE_E_INTERNAL, "%s: %s", p, d->text);
    }
}

store_status db_fail(db *d, store_error *err)
{
    if (!d->code) return store_fail(err, STORE_E_INTERNAL, "%s: a failure without a reason", d->path);
    store_status st = explain(d, err);
    d->code = 0;
    return st;
}

/* ---- functions that SQL may call --------------------------------------------------------------------------------- */

/* km(latitude, longitude, latitude, longitude): the great-circle distance. Haversine keeps its digits for small
 * distances, where the spherical law of cosines loses them (Sinnott, Sky and Telescope 68, 1984). */
static void sql_km(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    double a[4];
    for (int i = 0; i < 4; i++) a[i] = sqlite3_value_double(v[i]) * (3.14159265358979323846 / 180);
    double s = sin((a[2] - a[0]) / 2), t = sin((a[3] - a[1]) / 2);
    double h = s * s + cos(a[0]) * cos(a[2]) * t * t;
    sqlite3_result_double(c, 2 * 6371.0088 * asin(sqrt(h < 1 ? h : 1)));
}

/* name(a, b): the bytes of a, then those of b, as text where that is UTF-8 and as a blob elsewhere. */
static void sql_name(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    size_t na = (size_t)sqlite3_value_bytes(v[0]), nb = (size_t)sqlite3_value_bytes(v[1]);
    char *s = sqlite3_malloc64(na + nb + 1);
    if (!s) { sqlite3_result_error_nomem(c); return; }
    if (na) memcpy(s, sqlite3_value_blob(v[0]), na);
    if (nb) memcpy(s + na, sqlite3_value_blob(v[1]), nb);
    s[na + nb] = 0;
    if (store_path_is_text(s)) sqlite3_result_text64(c, s, na + nb, sqlite3_free, SQLITE_UTF8);
    else sqlite3_result_blob64(c, s, na + nb, sqlite3_free);
}

/* floats(blob): how many finite floats it is; null where it is something else. */
static void sql_floats(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    int bytes = sqlite3_value_bytes(v[0]);
    const char *p = sqlite3_value_blob(v[0]);
    bool sound = sqlite3_value_type(v[0]) == SQLITE_BLOB && bytes && bytes % (int)sizeof(float) == 0;
    for (int i = 0; sound && i < bytes; i += (int)sizeof(float)) {
        float x;
        memcpy(&x, p + i, sizeof x);
        sound = isfinite(x);
    }
    if (sound) sqlite3_result_int(c, bytes / (int)sizeof(float));
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* In a URI '?', '#' and '%' have a meaning, so that a path with them must be written otherwise. */
static char *uri_of(const char *path, const char *parameters)
{
    char *u = malloc(3 * strlen(path) + strlen(parameters) + 8), *o = u;
    if (!u) return NULL;
    o += sprintf(o, "file:");
    for (const char *p = path; *p; p++) {
        if (*p == '?' || *p == '#' || *p == '%') o += sprintf(o, "%%%02x", (unsigned char)*p);
        else *o++ = *p;
    }
    strcpy(o, parameters);
    return u;
}

#define WRITER_SETUP "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;" \
                     "PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY;"

static const char *setup_for(db_kind kind)
{
    switch (kind) {
    case DB_WRITER: return WRITER_SETUP;
    case DB_SOLE: return "PRAGMA locking_mode=EXCLUSIVE;" WRITER_SETUP;
    case DB_SIDE:
        return "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=OFF;";
    case DB_ALONE:
        return "PRAGMA locking_mode=EXCLUSIVE; PRAGMA query_only=ON; PRAGMA cache_size=-8000;";
    default:
        return "PRAGMA query_only=ON; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;";
    }
}

static int open_handle(db *d, db_kind kind)
{
    int flags = SQLITE_OPEN_NOMUTEX;
    const char *parameters = NULL, *layer = NULL;
    switch (kind) {
    case DB_WRITER:
    case DB_SOLE:
    case DB_SIDE: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE; break;
    /* Opened for writing where that is possible: only then does the last reader to leave fold the log back into the
     * file and take away the two files that go with it. query_only keeps it from writing anything else. */
    case DB_READER: flags |= SQLITE_OPEN_READWRITE; break;
    case DB_IMMUTABLE: flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI; parameters = "?immutable=1"; break;
    /* The layer without locks: a lock would need a file open for writing. (The URI's nolock=1 refuses logs.) */
    case DB_ALONE: flags |= SQLITE_OPEN_READONLY; layer = "unix-none"; break;
    }
    if (!parameters) return sqlite3_open_v2(d->path, &d->h, flags, layer);
    char *uri = uri_of(d->path, parameters);
    if (!uri) return SQLITE_NOMEM;
    int rc = sqlite3_open_v2(uri, &d->h, flags, NULL);
    free(uri);
    return rc;
}

/* A library may come from a stranger: its schema must not be able to do more than ours does. */
static int distrust(db *d)
{
    sqlite3_db_config(d->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(d->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_extended_result_codes(d->h, 1);
    sqlite3_limit(d->h, SQLITE_LIMIT_LENGTH, 64 << 20);
    int f = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = sqlite3_create_function(d->h, "km", 4, f, NULL, sql_km, NULL, NULL);
    if (!rc) rc = sqlite3_create_function(d->h, "name", 2, f, NULL, sql_name, NULL, NULL);
    return rc ? rc : sqlite3_create_function(d->h, "floats", 1, f, NULL, sql_floats, NULL, NULL);
}

store_status db_open(const char *path, db_kind kind, int busy_ms, db **out, store_error *err)
{
    *out = NULL;
    db *d = calloc(1, sizeof *d);
    if (!d || !(d->path = strdup(path))) {
        free(d);
        return store_no_memory(err);
    }
    d->broken.db = d;
    d->opening = true;
    int rc = open_handle(d, kind);
    if (!rc) rc = distrust(d);
    if (!rc) rc = sqlite3_busy_timeout(d->h, busy_ms);
    if (!rc) rc = sqlite3_exec(d->h, setup_for(kind), NULL, NULL, NULL);
    /* The first look at the file: here it turns out whether it is a database and whether its log can be used. */
    if (!rc) rc = sqlite3_exec(d->h, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (rc) {
        note(d, rc);
        store_status st = db_fail(d, err);
        db_close(d);
        return st;
    }
    d->opening = false;
    *out = d;
    return STORE_OK;
}

void db_close(db *d)
{
    if (!d) return;
    for (int i = 0; i < d->kept; i++) {
        sqlite3_finalize(d->stmt[i]->h);
        free(d->stmt[i]);
    }
    sqlite3_close(d->h);
    free(d->path);
    free(d);
}

const char *db_path(const db *d) { return d->path; }

/* ---- statements -------------------------------------------------------------------------------------------------- */

store_status db_exec(db *d, const char *sql, store_error *err)
{
    int rc = sqlite3_exec(d->h, sql, NULL, NULL, NULL);
    if (!rc) return STORE_OK;
    note(d, rc);
    return db_fail(d, err);
}

static db_stmt *compile(db *d, const char *sql, unsigned flags)
{
    db_stmt *q = calloc(1, sizeof *q);
    int rc = q ? sqlite3_prepare_v3(d->h, sql, -1, flags, &q->h, NULL) : SQLITE_NOMEM;
    if (rc) {
        note(d, rc);
        free(q);
        return &d->broken;
    }
    q->db = d;
    q->sql = sql;
    q->busy = true;
    return q;
}

db_stmt *db_prepare_once(db *d, const char *sql)
{
    db_stmt *q = compile(d, sql, 0);
    q->once = q->h != NULL;
    return q;
}

/* Kept statements are found by the address of their text: a literal has one. A statement that is still running (a nested
 * use) is compiled a second time. */
db_stmt *db_prepare(db *d, const char *sql)
{
    for (int i = 0; i < d->kept; i++) {
        db_stmt *q = d->stmt[i];
        if (q->sql != sql) continue;
        if (q->busy) return db_prepare_once(d, sql);
        q->busy = true;
        q->bound = 0;
        return q;
    }
    if (d->kept == KEPT_MAX) return db_prepare_once(d, sql);
    db_stmt *q = compile(d, sql, SQLITE_PREPARE_PERSISTENT);
    if (q->h) d->stmt[d->kept++] = q;
    return q;
}

void db_release(db_stmt *q)
{
    if (!q->h) return;
    if (q->once) {
        sqlite3_finalize(q->h);
        free(q);
        return;
    }
    sqlite3_reset(q->h);
    sqlite3_clear_bindings(q->h);
    q->busy = false;
}

static void bound(db_stmt *q, int rc) { if (rc && q->h) note(q->db, rc); }

void db_int(db_stmt *q, int64_t v) { bound(q, sqlite3_bind_int64(q->h, ++q->bound, v)); }
void db_real(db_stmt *q, double v) { bound(q, sqlite3_bind_double(q->h, ++q->bound, v)); }
void db_text(db_stmt *q, const char *v) { bound(q, sqlite3_bind_text(q->h, ++q->bound, v, -1, SQLITE_STATIC)); }
void db_blob(db_stmt *q, const void *v, size_t n)
{
    bound(q, sqlite3_bind_blob64(q->h, ++q->bound, v, n, SQLITE_STATIC));
}

void db_name(db_stmt *q, const char *v)
{
    if (store_path_is_text(v)) db_text(q, v);
    else db_blob(q, v, strlen(v));
}

void db_again(db_stmt *q)
{
    sqlite3_reset(q->h);
    q->bound = 0;
}

int db_step(db_stmt *q)
{
    if (q->db->code) return DB_FAILED;
    int rc = sqlite3_step(q->h);
    if (rc == SQLITE_ROW) return DB_ROW;
    if (rc == SQLITE_DONE) return DB_DONE;
    note(q->db, rc);
    return DB_FAILED;
}

int64_t db_col_int(db_stmt *q, int i) { return sqlite3_column_int64(q->h, i); }
double db_col_real(db_stmt *q, int i) { return sqlite3_column_double(q->h, i); }
const char *db_col_text(db_stmt *q, int i) { return (const char *)sqlite3_column_text(q->h, i); }
bool db_col_null(db_stmt *q, int i) { return sqlite3_column_type(q->h, i) == SQLITE_NULL; }
const void *db_col_blob(db_stmt *q, int i, size_t *n)
{
    const void *v = sqlite3_column_blob(q->h, i);
    *n = v ? (size_t)sqlite3_column_bytes(q->h, i) : 0;
    return v;
}

store_status db_run(db_stmt *q, store_error *err)
{
    int rc;
    while ((rc = db_step(q)) == DB_ROW) { }
    db *d = q->db;
    db_release(q);
    return rc == DB_DONE ? STORE_OK : db_fail(d, err);
}

store_status db_run_int(db_stmt *q, int64_t *v, store_error *err)
{
    db *d = q->db;
    int rc = db_step(q);
    if (rc == DB_ROW) *v = db_col_int(q, 0);
    db_release(q);
    return rc == DB_ROW ? STORE_OK : rc == DB_DONE ? STORE_E_NOT_FOUND : db_fail(d, err);
}

int64_t db_last_id(db *d) { return sqlite3_last_insert_rowid(d->h); }
int64_t db_changes(db *d) { return sqlite3_changes64(d->h); }
bool db_in_transaction(db *d) { return !sqlite3_get_autocommit(d->h); }

void db_rollback(db *d)
{
    if (db_in_transaction(d)) sqlite3_exec(d->h, "ROLLBACK", NULL, NULL, NULL);
    d->code = 0;
}
