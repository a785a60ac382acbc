/* queries.c: vectors of query texts, so that a question asked twice needs no model.
 *
 * They lie in a database of their own, "photos.db.cache/queries.db": a search must never wait for the indexer's write lock,
 * and losing the file loses time only. Every failure here is silent: the caller computes the vector.
 *
 * queries   id, fingerprint, text, vector (dim little-endian floats, whole: the same text must give the same results) */
#include "store/library.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_QUERIES = 10000, TEXT_MAX = 1000, BUSY_MS = 30 };

static bool ready(store *s, bool write)
{
    if (s->queries) return true;
    if (s->queries_tried && !write) return false;
    s->queries_tried = true;
    char *folder = store_path_beside(s, ".cache"), *file = store_path_beside(s, ".cache/queries.db");
    if (folder && file && write) mkdir(folder, 0777);
    if (folder && file && (write || !access(file, R_OK)) && !db_open(file, DB_SIDE, BUSY_MS, &s->queries, NULL) && write &&
        db_exec(s->queries, "CREATE TABLE IF NOT EXISTS queries(id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, "
                            "text TEXT NOT NULL, vector BLOB NOT NULL, UNIQUE(fingerprint, text))", NULL)) {
        db_close(s->queries);
        s->queries = NULL;
    }
    free(folder);
    free(file);
    return s->queries != NULL;
}

bool store_query_recall(store *s, const char *fingerprint, const char *text, float *vector, int dim)
{
    if (dim < 1 || dim > STORE_MAX_DIM || !ready(s, false)) return false;
    db_stmt *q = db_prepare(s->queries, "SELECT vector FROM queries WHERE fingerprint = ? AND text = ?");
    db_text(q, fingerprint);
    db_text(q, text);
    int rc = db_step(q);
    size_t n = 0;
    const void *v = rc == DB_ROW ? db_col_blob(q, 0, &n) : NULL;
    bool found = n == sizeof *vector * (size_t)dim;
    if (found) memcpy(vector, v, n);
    db_release(q);
    if (rc == DB_FAILED) db_fail(s->queries, NULL);
    return found;
}

void store_query_remember(store *s, const char *fingerprint, const char *text, const float *vector, int dim)
{
    if (s->fixed || dim < 1 || dim > STORE_MAX_DIM || strlen(text) > TEXT_MAX || !ready(s, true)) return;
    db_stmt *q = db_prepare(s->queries, "INSERT INTO queries(fingerprint, text, vector) VALUES(?, ?, ?) "
                            "ON CONFLICT DO UPDATE SET vector = excluded.vector");
    db_text(q, fingerprint);
    db_text(q, text);
    db_blob(q, vector, sizeof *vector * (size_t)dim);
    if (db_run(q, NULL)) return;
    q = db_prepare(s->queries, "DELETE FROM queries WHERE id <= (SELECT max(id) FROM queries) - ?");
    db_int(q, KEPT_QUERIES);
    (void)!db_run(q, NULL);
}
