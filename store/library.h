/* library.h: what the files of store/ share: the handle, errors, paths. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "store/db.h"
#include "store/store.h"

/* A vector's row is keyed by model and photo in one integer, so that one model's vectors lie together in order of photo. */
#define STORE_PHOTO_BITS 40
#define STORE_PHOTO_MASK ((INT64_C(1) << STORE_PHOTO_BITS) - 1)
#define STORE_MAX_DIM 8192

typedef struct cache cache; /* cache.h */

struct store {
    db *db;
    char *path;
    store_mode mode;
    int lock_fd;            /* -1: none held */
    bool fixed;             /* on a medium that nobody can write */
    bool in_batch, indexed; /* indexed: the batch changed photos or vectors */
    cache *cache;           /* the FAISS file that was used last */
    db *queries;            /* vectors of query texts, opened when first asked for */
    bool queries_tried;
};

/* Sets err's text unless one is there already; returns `status`. */
store_status store_fail(store_error *err, store_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
store_status store_no_memory(store_error *err);

/* Statements that change the library by themselves are put into one transaction, the caller's if one is open. */
STORE_MUST_USE store_status store_writable(store *s, store_error *err);
STORE_MUST_USE store_status store_step_begin(store *s, bool *opened, store_error *err);
STORE_MUST_USE store_status store_step_end(store *s, bool opened, store_status so_far, store_error *err);

/* paths.c */
bool store_path_is_text(const char *path);                            /* valid UTF-8 */
char *store_path_join(const char *folder, const char *name);          /* allocated, or NULL */
const char *store_path_below(const char *folder, const char *path);   /* "" for the folder itself; NULL: not below */
char *store_path_clean(const char *path);                             /* no slash at the end; NULL unless absolute */
void store_path_range(const char *folder, char *low, char *high);     /* names below lie in [low, high); room: strlen + 2 */
char *store_path_beside(const store *s, const char *suffix);          /* "photos.db" + suffix */

/* schema.c */
#define STORE_SCHEMA_VERSION 3
STORE_MUST_USE store_status schema_ready(db *d, bool write, store_error *err);
/* The steps from version 0 upwards; step i brings version i to i + 1. */
STORE_MUST_USE store_status schema_upgrade(db *d, const char *const *steps, int n, bool write, store_error *err);

/* writer.c: one writer at a time */
STORE_MUST_USE store_status writer_lock(const char *library, double seconds, void (*waiting)(const char *, void *),
                                        void *ctx, int *fd, store_error *err);
STORE_MUST_USE store_status writer_exclude(const char *library, int *fd, store_error *err);
void writer_unlock(int fd);

/* medium.c: what kind of place the library lies on */
const char *medium_network_name(long statfs_type);                    /* "NFS", ...; NULL for a local disk */
const char *medium_fuse_name(const char *type);                       /* the same by a FUSE mount's type, "fuse.sshfs" */
const char *medium_of(const char *path);                              /* of the file or, if absent, its folder */
extern const char *medium_pretend;                                    /* for tests: what medium_of answers */

/* roots.c: a root whose photos are gone already */
STORE_MUST_USE store_status root_drop(store *s, int64_t id, store_error *err);

/* photos.c */
STORE_MUST_USE store_status photo_absolute(store *s, int64_t id, char **absolute, store_error *err);

/* models.c */
STORE_MUST_USE store_status model_get(store *s, int64_t id, store_model *out, store_error *err);

/* settings */
STORE_MUST_USE store_status setting_put(store *s, const char *key, const char *value, store_error *err);

#endif
