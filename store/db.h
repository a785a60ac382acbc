/* db.h: SQLite, narrowed to what a library needs: prepared statements kept by their text, values bound in order, one place
 * where its result codes become ours. The SQL itself lives with the code that needs it.
 *
 *     db_stmt *q = db_prepare(d, "SELECT path FROM photos WHERE id = ?");
 *     db_int(q, id);
 *     if (db_step(q) == DB_ROW) puts(db_col_text(q, 0));
 *     db_release(q);
 *
 * Only the step needs a check: what fails before it makes it answer DB_FAILED. The first failure is kept, and every step
 * fails, until db_fail() has turned it into a status and a text. */
#ifndef DB_H
#define DB_H

#include "store/store.h"

typedef struct db db;
typedef struct db_stmt db_stmt;

typedef enum db_kind {
    DB_WRITER,    /* made if absent, WAL */
    DB_SOLE,      /* a writer where no memory can be shared: nobody reads meanwhile */
    DB_READER,    /* shared with a writer; writes nothing of its own */
    DB_IMMUTABLE, /* a read-only medium: no lock, no log */
    DB_ALONE,     /* a read-only medium that holds a log: read with the log, without locks or shared memory */
    DB_SIDE       /* a small file beside the library that may be lost */
} db_kind;

enum { DB_FAILED = -1, DB_DONE = 0, DB_ROW = 1 };

STORE_MUST_USE store_status db_open(const char *path, db_kind kind, int busy_ms, db **out, store_error *err);
void db_close(db *d);
const char *db_path(const db *d);

/* Runs statements that need no values and give no rows. */
STORE_MUST_USE store_status db_exec(db *d, const char *sql, store_error *err);

/* db_prepare: `sql` must be a string that lives as long as the program; db_prepare_once: any text, not kept. */
db_stmt *db_prepare(db *d, const char *sql);
db_stmt *db_prepare_once(db *d, const char *sql);
void db_release(db_stmt *q);

/* Bind the next value. Text and blobs must live until the statement is released or bound again. */
void db_int(db_stmt *q, int64_t v);
void db_real(db_stmt *q, double v);
void db_text(db_stmt *q, const char *v);                  /* NULL binds null */
void db_blob(db_stmt *q, const void *v, size_t n);        /* NULL binds null */
void db_name(db_stmt *q, const char *v);                  /* a path: text where it is UTF-8, else a blob */
void db_again(db_stmt *q);                                /* rewinds; the next value bound is the first */

int db_step(db_stmt *q);
int64_t db_col_int(db_stmt *q, int i);
double db_col_real(db_stmt *q, int i);
const char *db_col_text(db_stmt *q, int i);               /* NULL for null; of blobs too, with a final zero */
const void *db_col_blob(db_stmt *q, int i, size_t *n);
bool db_col_null(db_stmt *q, int i);

/* Steps to the end and releases. */
STORE_MUST_USE store_status db_run(db_stmt *q, store_error *err);
/* The single integer that the statement gives; released. STORE_E_NOT_FOUND without a row, and then *v is untouched. */
STORE_MUST_USE store_status db_run_int(db_stmt *q, int64_t *v, store_error *err);

int64_t db_last_id(db *d);
int64_t db_changes(db *d);
bool db_in_transaction(db *d);
/* Bytes that a failed write left in the log are of no interest: ends a transaction whatever its state. */
void db_rollback(db *d);

/* The failure that was noted last, as a status and a text; clears the note. */
store_status db_fail(db *d, store_error *err);

#endif
