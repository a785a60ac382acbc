/* tags.c: words that photos carry. A tag's letter case is kept as it was first written and ignored when it is looked for. */
#include "store/library.h"

#include <stdlib.h>
#include <string.h>

store_status store_tag_put(store *s, int64_t photo_id, const char *tag, store_error *err)
{
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    if (!*tag) return store_fail(err, STORE_E_ARGUMENT, "a tag needs a name");
    db_stmt *q = db_prepare(s->db, "INSERT OR IGNORE INTO tags(photo_id, tag) SELECT id, ? FROM photos WHERE id = ?");
    db_text(q, tag);
    db_int(q, photo_id);
    return db_run(q, err);
}

store_status store_tag_clear(store *s, const char *tag, int64_t *cleared, store_error *err)
{
    if (!s->in_batch) return store_fail(err, STORE_E_ARGUMENT, "no batch is open");
    db_stmt *q = db_prepare(s->db, tag ? "DELETE FROM tags WHERE tag = ?" : "DELETE FROM tags");
    if (tag) db_text(q, tag);
    store_status st = db_run(q, err);
    *cleared = st ? 0 : db_changes(s->db);
    return st;
}

store_status store_tags(store *s, store_tag **tags, size_t *n, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "SELECT tag, count(*) FROM tags JOIN photos p ON p.id = photo_id WHERE p.state = 0 "
                                   "GROUP BY tag ORDER BY tag");
    size_t room = 0;
    int rc;
    bool lost = false;
    *tags = NULL, *n = 0;
    while (!lost && (rc = db_step(q)) == DB_ROW) {
        if (*n == room) {
            store_tag *more = realloc(*tags, (room = room ? 2 * room : 16) * sizeof *more);
            if ((lost = !more)) break;
            *tags = more;
        }
        const char *tag = db_col_text(q, 0);
        store_tag t = {strdup(tag ? tag : ""), db_col_int(q, 1)};
        if (!(lost = !t.tag)) (*tags)[(*n)++] = t;
    }
    db_release(q);
    store_status st = lost ? store_no_memory(err) : rc == DB_FAILED ? db_fail(s->db, err) : STORE_OK;
    if (!st) return st;
    store_tags_free(*tags, *n);
    *tags = NULL, *n = 0;
    return st;
}

void store_tags_free(store_tag *tags, size_t n)
{
    for (size_t i = 0; i < n; i++) free(tags[i].tag);
    free(tags);
}
