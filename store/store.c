/* store.c: opening and closing a library, transactions, settings, the library's figures.
 *
 * Opening decides how SQLite may use the place where the library lies:
 *   a local disk           readers and one writer share the log (WAL)
 *   a folder that cannot   the file is read as it is (no log beside it), or read with its log but without locks (a log
 *   be written             that nobody folded back before the medium became read-only)
 *   a network file system  one process at a time: see medium.c
 * A reader holds no lock that a writer waits for, and the writer's commits never make a reader wait. */
#include "store/library.h"

#include "store/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Waited for, in milliseconds, when somebody else's tool holds SQLite's own lock. */
enum { BUSY_MS = 20000 };

store_status store_fail(store_error *err, store_status status, const char *format, ...)
{
    if (err && !err->text[0]) {
        va_list a;
        va_start(a, format);
        vsnprintf(err->text, sizeof err->text, format, a);
        va_end(a);
    }
    return status;
}

store_status store_no_memory(store_error *err)
{
    return store_fail(err, STORE_E_MEMORY, "out of memory: close other programs and try again");
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Makes the folders above `path`, for the user alone as the XDG specification has it, because a library tells where photos were
 * taken and what was looked for. Failures show when the library itself is made. */
static void make_folders(const char *path)
{
    char *p = strdup(path);
    for (char *c = p ? strchr(p + 1, '/') : NULL; c; c = strchr(c + 1, '/')) {
        *c = 0;
        mkdir(p, 0700);
        *c = '/';
    }
    free(p);
}

/* SQLite names the log after the file that a symbolic link leads to, and so must the lock and the caches. */
static store_status real_path(const char *path, store_mode mode, char **out, store_error *err)
{
    char real[PATH_MAX];
    struct stat f;
    if (realpath(path, real)) {
        if (!stat(real, &f) && S_ISDIR(f.st_mode))
            return store_fail(err, STORE_E_ARGUMENT, "%s: is a folder: name a file in it with --db", path);
        *out = strdup(real);
        return *out ? STORE_OK : store_no_memory(err);
    }
    if (errno == ENOENT && mode != STORE_CREATE)
        return store_fail(err, STORE_E_NOT_FOUND, "%s: there is no library yet: type \"clipsearch index FOLDER\" first", path);
    if (errno != ENOENT) return store_fail(err, STORE_E_IO, "%s: %s", path, strerror(errno));
    make_folders(path);
    char *a = strdup(path), *b = strdup(path);
    *out = NULL;
    if (a && b && realpath(dirname(a), real)) *out = store_path_join(real, basename(b));
    store_status st = *out ? STORE_OK : store_fail(err, STORE_E_IO, "%s: its folder cannot be made: %s", path, strerror(errno));
    free(a);
    free(b);
    return st;
}

static bool has_log(const char *path)
{
    char log[PATH_MAX + 8];
    struct stat f;
    snprintf(log, sizeof log, "%s-wal", path);
    return !stat(log, &f) && f.st_size > 0;
}

static store_status open_reader(store *s, store_error *err)
{
    const char *network = medium_of(s->path);
    if (!network) {
        store_error first = {0};
        store_status st = db_open(s->path, DB_READER, BUSY_MS, &s->db, &first);
        if (st != STORE_E_IO && st != STORE_E_READONLY) {
            if (st) store_fail(err, st, "%s", first.text);
            return st;
        }
        if (access(s->path, R_OK)) return store_fail(err, STORE_E_IO, "%s: %s", s->path, strerror(errno));
    } else {
        store_status st = writer_exclude(s->path, &s->lock_fd, err);
        if (st) return st;
    }
    /* Without a log the file is complete. Somebody with more rights could start writing in this very second; that writer
     * touches the file itself only when it folds its log back, and the worst that we can then see is an error. */
    s->fixed = true;
    return db_open(s->path, has_log(s->path) ? DB_ALONE : DB_IMMUTABLE, BUSY_MS, &s->db, err);
}

static store_status open_writer(store *s, double seconds, void (*waiting)(const char *, void *), void *ctx,
                                store_error *err)
{
    const char *network = medium_of(s->path);
    if (network && seconds >= 0 && seconds < 3) seconds = 3; /* readers hold the lock there, for a moment */
    store_status st = writer_lock(s->path, seconds, waiting, ctx, &s->lock_fd, err);
    return st ? st : db_open(s->path, network ? DB_SOLE : DB_WRITER, BUSY_MS, &s->db, err);
}

store_status store_open_wait(const char *path, store_mode mode, double seconds, void (*waiting)(const char *, void *),
                             void *ctx, store **out, store_error *err)
{
    *out = NULL;
    store *s = calloc(1, sizeof *s);
    if (!s) return store_no_memory(err);
    s->mode = mode;
    s->lock_fd = -1;
    store_status st = real_path(path, mode, &s->path, err);
    if (!st) st = mode == STORE_READ ? open_reader(s, err) : open_writer(s, seconds, waiting, ctx, err);
    if (!st) st = schema_ready(s->db, mode != STORE_READ, err);
    if (st) {
        store_close(s);
        return st;
    }
    *out = s;
    return STORE_OK;
}

store_status store_open(const char *path, store_mode mode, store **out, store_error *err)
{
    return store_open_wait(path, mode, 0, NULL, NULL, out, err);
}

void store_close(store *s)
{
    if (!s) return;
    cache_close(s->cache);
    db_close(s->queries);
    db_close(s->db); /* an open transaction is rolled back */
    writer_unlock(s->lock_fd);
    free(s->path);
    free(s);
}

const char *store_path(const store *s) { return s->path; }

/* ---- transactions ------------------------------------------------------------------------------------------------ */

store_status store_writable(store *s, store_error *err)
{
    if (s->mode != STORE_READ) return STORE_OK;
    return store_fail(err, STORE_E_READONLY, "%s: was opened for reading", s->path);
}

store_status store_step_begin(store *s, bool *opened, store_error *err)
{
    *opened = false;
    store_status st = store_writable(s, err);
    if (st || s->in_batch) return st;
    st = db_exec(s->db, "BEGIN IMMEDIATE", err);
    *opened = !st;
    return st;
}

store_status store_step_end(store *s, bool opened, store_status so_far, store_error *err)
{
    if (!opened) return so_far;
    if (!so_far) so_far = db_exec(s->db, "COMMIT", err);
    if (so_far) db_rollback(s->db);
    return so_far;
}

store_status store_look_begin(store *s, bool *opened, store_error *err)
{
    *opened = !db_in_transaction(s->db);
    store_status st = *opened ? db_exec(s->db, "BEGIN", err) : STORE_OK;
    if (st) *opened = false;
    return st;
}

void store_look_end(store *s, bool opened)
{
    if (opened) db_rollback(s->db);
}

store_status store_batch_begin(store *s, store_error *err)
{
    if (s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "a batch is open already");
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    s->in_batch = opened;
    s->indexed = false;
    return st;
}

static void local_time(char text[20])
{
    time_t t = time(NULL);
    struct tm tm;
    strftime(text, 20, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
}

store_status store_batch_commit(store *s, store_error *err)
{
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    store_status st = STORE_OK;
    if (s->indexed) {
        char t[20];
        local_time(t);
        st = setting_put(s, "last_indexed", t, err);
    }
    s->in_batch = false;
    return store_step_end(s, true, st, err);
}

void store_batch_abandon(store *s)
{
    if (!s->in_batch) return;
    s->in_batch = false;
    db_rollback(s->db);
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

store_status store_setting_get(store *s, const char *key, char **value, store_error *err)
{
    *value = NULL;
    db_stmt *q = db_prepare(s->db, "SELECT value FROM settings WHERE key = ?");
    db_text(q, key);
    int rc = db_step(q);
    if (rc == DB_ROW && !db_col_null(q, 0)) *value = strdup(db_col_text(q, 0));
    bool lost = rc == DB_ROW && !db_col_null(q, 0) && !*value;
    db_release(q);
    if (rc == DB_FAILED) return db_fail(s->db, err);
    return lost ? store_no_memory(err) : *value ? STORE_OK : STORE_E_NOT_FOUND;
}

store_status setting_put(store *s, const char *key, const char *value, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "INSERT INTO settings VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value");
    db_text(q, key);
    db_text(q, value);
    return db_run(q, err);
}

store_status store_setting_set(store *s, const char *key, const char *value, store_error *err)
{
    bool opened;
    store_status st = store_step_begin(s, &opened, err);
    if (!st) st = setting_put(s, key, value, err);
    return store_step_end(s, opened, st, err);
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static int64_t bytes_of(const char *path)
{
    struct stat f;
    return stat(path, &f) ? 0 : (int64_t)f.st_size;
}

static int64_t bytes_in(const char *folder)
{
    int64_t sum = 0;
    DIR *d = opendir(folder);
    struct stat f;
    for (struct dirent *e; d && (e = readdir(d));)
        if (!fstatat(dirfd(d), e->d_name, &f, AT_SYMLINK_NOFOLLOW) && S_ISREG(f.st_mode)) sum += (int64_t)f.st_size;
    if (d) closedir(d);
    return sum;
}

store_status store_count(store *s, store_counts *out, store_error *err)
{
    memset(out, 0, sizeof *out);
    db_stmt *q = db_prepare(s->db, "SELECT state, truncated, sum(n) FROM tallies GROUP BY state, truncated");
    int rc;
    while ((rc = db_step(q)) == DB_ROW) {
        int64_t n = db_col_int(q, 2);
        int64_t *of[] = {&out->present, &out->missing, &out->failed};
        int64_t state = db_col_int(q, 0);
        if (state < 0 || state > 2) continue;
        *of[state] += n;
        out->photos += n;
        if (db_col_int(q, 1)) out->truncated += n;
    }
    db_release(q);
    if (rc == DB_FAILED) return db_fail(s->db, err);

    char *log = store_path_beside(s, "-wal"), *folder = store_path_beside(s, ".cache"), *last = NULL;
    store_status st = log && folder ? store_setting_get(s, "last_indexed", &last, err) : store_no_memory(err);
    if (st == STORE_OK || st == STORE_E_NOT_FOUND) {
        out->database_bytes = bytes_of(s->path) + bytes_of(log);
        out->cache_bytes = bytes_in(folder);
        snprintf(out->last_indexed, sizeof out->last_indexed, "%.19s", last ? last : "");
        st = STORE_OK;
    }
    free(last);
    free(folder);
    free(log);
    return st;
}
