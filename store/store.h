/* store.h: photos and their vectors, kept. One library is one SQLite file; beside it lie FAISS caches that can always be
 * made again from it.
 *
 * The nouns
 *   library  the SQLite file (WAL), with NAME.lock (who writes) and NAME.cache/ (FAISS files) beside it
 *   root     a folder that the user asked to index; has an id that survives its being mounted somewhere else
 *   photo    one file under a root: (root, relative path) is unique; overlapping roots hold a photo once
 *   model    (name, fingerprint, dim); every vector belongs to a photo and a model
 *   vector   dim floats of unit length, kept as half-precision floats
 *   cache    an immutable FAISS index of one model's vectors; what is newer is searched exactly, so results are current
 *
 * Ownership    store_open gives a handle that store_close takes back (NULL is fine). Functions that fill a store_photo
 *              allocate its strings; store_photo_finish frees them. Strings passed in are copied.
 * Threads      A handle belongs to one thread at a time. Several handles and several processes may read one library while
 *              one writes: readers never wait, and one writer at a time is enforced by a lock file, never by
 *              "database is locked".
 * Errors       As in every header here: a status, 0 being success, and one line of text that says what happened, to which
 *              file, and what to do. Nothing is printed, nothing exits, no environment variable is read.
 * Paths        are bytes, never assumed to be UTF-8, absolute for roots, relative to their root for photos.
 * Dates        "YYYY-MM-DD HH:MM:SS" as the camera wrote it, else the file's modification time in local time.
 *
 * Use
 *     store *s; store_error e = {0}; store_hit hits[10]; size_t n;
 *     if (store_open("photos.db", STORE_READ, &s, &e)) { puts(e.text); return 1; }
 *     store_model m; store_model_current(s, &m, &e);
 *     store_search(s, m.id, query, 10, NULL, hits, &n, &e);      // query: m.dim floats
 *     store_close(s); */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_MUST_USE __attribute__((warn_unused_result))

typedef enum store_status {
    STORE_OK = 0,
    STORE_E_IO,
    STORE_E_FULL,      /* no space left: what was committed before is safe */
    STORE_E_BUSY,      /* another process is writing; err says which */
    STORE_E_READONLY,  /* the library or its folder cannot be written */
    STORE_E_CORRUPT,
    STORE_E_VERSION,   /* made by a newer clipsearch */
    STORE_E_NOT_FOUND, /* no such library, root, photo, model, setting */
    STORE_E_MEMORY,
    STORE_E_ARGUMENT,
    STORE_E_INTERNAL
} store_status;

typedef struct store_error { char text[512]; } store_error;

typedef struct store store;

typedef enum store_mode {
    STORE_READ,   /* must exist; works on a read-only medium */
    STORE_WRITE,  /* must exist; takes the writer's lock */
    STORE_CREATE  /* made if absent; takes the writer's lock */
} store_mode;

STORE_MUST_USE store_status store_open(const char *path, store_mode mode, store **out, store_error *err);

/* The same, waiting up to `seconds` for another writer to finish (negative: for ever). `waiting` is called once, before
 * the wait, with a line that says who is writing; it may be NULL. */
STORE_MUST_USE store_status store_open_wait(const char *path, store_mode mode, double seconds,
                                            void (*waiting)(const char *line, void *ctx), void *ctx, store **out,
                                            store_error *err);
void store_close(store *s);
const char *store_path(const store *s);

/* Reads between these two see one state of the library, and take one lock where each would take its own: for many of them. May be
 * nested; *opened belongs to the pair. */
STORE_MUST_USE store_status store_look_begin(store *s, bool *opened, store_error *err);
void store_look_end(store *s, bool opened);

/* ---- roots ------------------------------------------------------------------------------------------------------ */

typedef struct store_root { int64_t id; char *path; int64_t photos; } store_root;

/* All roots by path; *roots is an array of *n, freed by store_roots_free. `photos` counts those that are not missing. */
STORE_MUST_USE store_status store_roots(store *s, store_root **roots, size_t *n, store_error *err);
void store_roots_free(store_root *roots, size_t n);

/* A root for the absolute, real path `path`. Inside an existing root (or equal to one): that root, and *prefix is the
 * relative path of the folder below it ("" for the root itself; freed by the caller). Around existing roots: a new root
 * that takes over their photos, whose relative paths are adjusted, and the old ones go. */
STORE_MUST_USE store_status store_root_place(store *s, const char *path, int64_t *root_id, char **prefix,
                                             store_error *err);
/* The folder of root `root_id` is now found at `path` (a drive mounted elsewhere). */
STORE_MUST_USE store_status store_root_move(store *s, int64_t root_id, const char *path, store_error *err);

/* ---- models ----------------------------------------------------------------------------------------------------- */

typedef struct store_model {
    int64_t id;
    char name[128], dir[1024], fingerprint[33], precision[16];
    int dim;
    int64_t vectors; /* of photos that are not missing */
} store_model;

/* Registers the model or finds it by its fingerprint; the name and the directory are brought up to date. */
STORE_MUST_USE store_status store_model_put(store *s, const store_model *m, int64_t *id, store_error *err);
STORE_MUST_USE store_status store_models(store *s, store_model **models, size_t *n, store_error *err); /* free() */
/* The model that search uses: chosen with store_model_use, else the only one. STORE_E_NOT_FOUND when there is none. */
STORE_MUST_USE store_status store_model_current(store *s, store_model *out, store_error *err);
STORE_MUST_USE store_status store_model_use(store *s, int64_t model_id, store_error *err);

/* Whether a faster arithmetic may compute a model's photos, tried once on some of them: what came out. */
typedef struct store_trial {
    char tried[16], against[16]; /* precisions */
    int photos;
    double mean, least;          /* cosine between both vectors of a photo, kept to millionths */
    bool kept;                   /* it was good enough */
} store_trial;
STORE_MUST_USE store_status store_trial_put(store *s, int64_t model_id, const store_trial *t, store_error *err);
STORE_MUST_USE store_status store_trial_get(store *s, int64_t model_id, store_trial *out, store_error *err); /* STORE_E_NOT_FOUND: none */

/* ---- photos ----------------------------------------------------------------------------------------------------- */

typedef enum store_state {
    STORE_PRESENT = 0, /* decoded and encoded, or about to be */
    STORE_MISSING = 1, /* its file is gone; everything is kept and comes back with it */
    STORE_FAILED = 2   /* the file is there but could not be decoded: see reason */
} store_state;

typedef struct store_photo {
    int64_t id;          /* 0 before it is saved */
    int64_t root_id;
    char *path;          /* relative to the root */
    int64_t size;        /* bytes */
    int64_t mtime_ns;    /* since 1970 */
    uint64_t inode;
    uint8_t hash[16];    /* XXH3-128 of the content; all zero when unknown */
    int width, height;   /* pixels, after turning; 0 when unknown */
    char *format;        /* "jpeg", ...; NULL when unknown */
    char *taken;         /* camera's date, or NULL */
    char *camera;        /* or NULL */
    bool has_gps;
    double latitude, longitude;
    store_state state;
    bool truncated;
    char *reason;        /* why it failed, or a remark; NULL when there is none */
} store_photo;

void store_photo_finish(store_photo *p); /* frees the strings, zeroes the struct */

/* The absolute path of a photo, allocated. */
STORE_MUST_USE store_status store_photo_where(store *s, const store_photo *p, char **absolute, store_error *err);

/* STORE_E_NOT_FOUND is an answer of these four and fills no err. has_vector may be NULL; model_id 0 asks for none. */
STORE_MUST_USE store_status store_photo_get(store *s, int64_t id, store_photo *out, store_error *err);
STORE_MUST_USE store_status store_photo_at(store *s, int64_t root_id, const char *path, int64_t model_id,
                                           store_photo *out, bool *has_vector, store_error *err);
/* By what a rename keeps: the photo of this size, mtime and inode (any root); most recent if several. */
STORE_MUST_USE store_status store_photo_like(store *s, int64_t size, int64_t mtime_ns, uint64_t inode, int64_t model_id,
                                             store_photo *out, bool *has_vector, store_error *err);
/* By content: a photo with this hash, one that has a vector of model_id first. */
STORE_MUST_USE store_status store_photo_with_hash(store *s, const uint8_t hash[16], int64_t model_id, store_photo *out,
                                                  bool *has_vector, store_error *err);
/* By absolute path, through whichever root holds it. */
STORE_MUST_USE store_status store_photo_by_absolute(store *s, const char *absolute, store_photo *out, store_error *err);

typedef struct store_brief { int64_t id; store_state state; const char *path; bool has_vector; } store_brief;

/* Every photo of a root below `prefix` ("" for all), in order of id. `each` returns false to stop. It must not write. */
STORE_MUST_USE store_status store_photos_below(store *s, int64_t root_id, const char *prefix, int64_t model_id,
                                               bool (*each)(const store_brief *b, void *ctx), void *ctx,
                                               store_error *err);

/* ---- writing: all within a batch, which is one transaction ------------------------------------------------------- */

STORE_MUST_USE store_status store_batch_begin(store *s, store_error *err);
STORE_MUST_USE store_status store_batch_commit(store *s, store_error *err); /* on failure nothing of the batch is kept */
void store_batch_abandon(store *s);

/* Inserts (id 0; an existing row at (root, path) is replaced in place) or updates (id set). Vectors of all models are
 * dropped when the content hash differs from the stored one. *id receives the row's id. */
STORE_MUST_USE store_status store_photo_save(store *s, const store_photo *p, int64_t *id, store_error *err);
STORE_MUST_USE store_status store_photo_set_state(store *s, int64_t id, store_state state, store_error *err);
/* The same content at a new place: the row keeps its id, its vectors, its tags. */
STORE_MUST_USE store_status store_photo_relocate(store *s, int64_t id, int64_t root_id, const char *path, int64_t size,
                                                 int64_t mtime_ns, uint64_t inode, store_error *err);
/* vector: dim finite floats of unit length; anything else is STORE_E_ARGUMENT and nothing is stored. */
STORE_MUST_USE store_status store_vector_save(store *s, int64_t photo_id, int64_t model_id, const float *vector,
                                              store_error *err);
/* Gives photo `to` the vectors of photo `from`, of every model. */
STORE_MUST_USE store_status store_vectors_copy(store *s, int64_t from, int64_t to, store_error *err);

/* What the indexer keeps about a folder so that it need not open again what is no photo: a digest of the names, sizes and
 * times of those files. A cache of its own making: losing a digest costs time only. STORE_E_NOT_FOUND is an answer. */
STORE_MUST_USE store_status store_folder_recall(store *s, int64_t root_id, const char *path, uint8_t digest[16],
                                                store_error *err);
STORE_MUST_USE store_status store_folder_remember(store *s, int64_t root_id, const char *path, const uint8_t digest[16],
                                                  store_error *err); /* within a batch */

/* ---- tags: words that photos carry, letter case ignored ----------------------------------------------------------- */

typedef struct store_tag { char *tag; int64_t photos; } store_tag; /* photos: those that are neither missing nor failed */

/* All tags by name; freed by store_tags_free. */
STORE_MUST_USE store_status store_tags(store *s, store_tag **tags, size_t *n, store_error *err);
void store_tags_free(store_tag *tags, size_t n);
/* Within a batch. A photo that is gone is no error. */
STORE_MUST_USE store_status store_tag_put(store *s, int64_t photo_id, const char *tag, store_error *err);
/* Takes the tag (NULL: every tag) from all photos, within a batch. */
STORE_MUST_USE store_status store_tag_clear(store *s, const char *tag, int64_t *cleared, store_error *err);

/* ---- concepts: what was learned from examples ---------------------------------------------------------------------- */

typedef struct store_concept {  /* a photo shows it with probability 1 / (1 + exp(-(weights.vector + bias))) */
    char *name;
    char fingerprint[33];       /* of the model in whose vectors it was learned */
    float *weights;             /* [dim] */
    int dim;
    double bias;
    int64_t yes, no, unlabelled;/* how many photos it was learned from */
    char *words;                /* the words that helped; NULL: none */
    char learned[20];           /* local time; set by the library */
} store_concept;

/* In place of what was learned under this name for the same model. Opens its own batch where none is open. */
STORE_MUST_USE store_status store_concept_put(store *s, const store_concept *c, store_error *err);
/* STORE_E_NOT_FOUND is an answer and fills no err. */
STORE_MUST_USE store_status store_concept_get(store *s, const char *name, const char *fingerprint, store_concept *out,
                                              store_error *err);
/* All by name, whatever their model; freed by store_concepts_free. */
STORE_MUST_USE store_status store_concepts(store *s, store_concept **concepts, size_t *n, store_error *err);
STORE_MUST_USE store_status store_concept_forget(store *s, const char *name, int64_t *forgotten, store_error *err);
void store_concept_finish(store_concept *c);
void store_concepts_free(store_concept *concepts, size_t n);

/* ---- corrections of text vectors: what captions taught ------------------------------------------------------------- */

typedef struct store_adapter {
    char fingerprint[33];       /* of the model whose text vectors it corrects; one a model */
    int dim, rank;
    float *maps;                /* [2][dim][rank]: down, up */
    int64_t photos, captions;   /* what it was learned from */
    double gain;                /* in reciprocal rank, on captions that were held out */
    char learned[20];           /* local time; set by the library */
} store_adapter;

STORE_MUST_USE store_status store_adapter_put(store *s, const store_adapter *a, store_error *err);
/* STORE_E_NOT_FOUND is an answer and fills no err. */
STORE_MUST_USE store_status store_adapter_get(store *s, const char *fingerprint, int dim, store_adapter *out, store_error *err);
STORE_MUST_USE store_status store_adapter_forget(store *s, const char *fingerprint, int64_t *forgotten, store_error *err);
void store_adapter_finish(store_adapter *a);

/* ---- vectors ---------------------------------------------------------------------------------------------------- */

/* STORE_E_NOT_FOUND when there is none. */
STORE_MUST_USE store_status store_vector_get(store *s, int64_t photo_id, int64_t model_id, float *vector,
                                             store_error *err);

typedef struct store_filter {      /* zero means: no condition. Missing and failed photos are never found. */
    const char *const *under; size_t n_under; /* absolute paths of folders (or files); any of them */
    const char *after, *before;    /* dates, "YYYY[-MM[-DD[ HH:MM:SS]]]"; after is inclusive, before exclusive */
    const char *camera;            /* part of the name, letter case ignored */
    bool near; double latitude, longitude, km;
    const char *format;            /* "jpeg", ... */
    enum { STORE_ANY_SHAPE, STORE_PORTRAIT, STORE_LANDSCAPE, STORE_SQUARE } shape;
    int min_side;                  /* pixels, of the longer side */
    const char *const *tags; size_t n_tags;   /* all of them */
    int64_t not_photo;             /* this photo is left out */
} store_filter;

typedef struct store_hit { int64_t photo_id; float score; } store_hit; /* score: dot product of query and vector */

/* The k best, best first, ties by absolute path. query: dim floats, not necessarily of unit length. Filters act inside:
 * k hits come back whenever k photos satisfy the filter. *n receives the number found. */
STORE_MUST_USE store_status store_search(store *s, int64_t model_id, const float *query, size_t k,
                                         const store_filter *filter, store_hit *hits, size_t *n, store_error *err);

/* Every vector that satisfies the filter, in blocks: ids[n], vectors[n][dim] (valid during the call). Exact, in order of
 * id. `each` returns false to stop. */
STORE_MUST_USE store_status store_vectors_each(store *s, int64_t model_id, const store_filter *filter,
                                               bool (*each)(const int64_t *ids, const float *vectors, size_t n, void *ctx),
                                               void *ctx, store_error *err);

/* Brings the FAISS cache up to date where that pays (measured thresholds; `force` rebuilds it whole). progress may be NULL. */
STORE_MUST_USE store_status store_cache_update(store *s, int64_t model_id, bool force,
                                               void (*progress)(int64_t done, int64_t total, void *ctx), void *ctx,
                                               store_error *err);

/* Vectors of query texts, so that a repeated query needs no model. Best effort: on a read-only library put does nothing. */
bool store_query_recall(store *s, const char *fingerprint, const char *text, float *vector, int dim);
void store_query_remember(store *s, const char *fingerprint, const char *text, const float *vector, int dim);

/* ---- the library as a whole -------------------------------------------------------------------------------------- */

typedef struct store_counts {
    int64_t photos, present, missing, failed, truncated;
    int64_t database_bytes, cache_bytes;
    char last_indexed[20]; /* local time; "" when never */
} store_counts;

STORE_MUST_USE store_status store_count(store *s, store_counts *out, store_error *err);

typedef struct store_cache_info {
    bool exists, current;         /* current: every vector is in the base (no delta, no tombstones) */
    char kind[64];                /* FAISS factory string, e.g. "PQ640x4fs" */
    int64_t base, delta, dead;    /* vectors in the file, newer than the file, in the file but gone */
    int64_t bytes, generation;
    bool exact;                   /* every vector is weighed in full; with a file only those that it names are */
    bool due;                     /* so much is outside or in vain that store_cache_update makes a new one */
} store_cache_info;
STORE_MUST_USE store_status store_cache_describe(store *s, int64_t model_id, store_cache_info *out, store_error *err);

/* Database integrity, vectors (size, finite, unit length), orphans, cache agreement. Each finding is one line; `mended`
 * says whether it was repaired (only when `repair`). *problems counts them. */
STORE_MUST_USE store_status store_check(store *s, bool repair,
                                        void (*finding)(const char *line, bool mended, void *ctx), void *ctx,
                                        int64_t *problems, store_error *err);

/* Photos in state `state` in order of path, whole rows with absolute path (valid during the call). `each` must not write. */
STORE_MUST_USE store_status store_photos_each(store *s, const store_state *state,
                                              bool (*each)(const store_photo *p, const char *absolute, void *ctx),
                                              void *ctx, store_error *err);
STORE_MUST_USE store_status store_photo_forget(store *s, int64_t id, store_error *err); /* within a batch */
/* Forgets every photo at or below this absolute path, and a root at or below it. Opens its own batch. */
STORE_MUST_USE store_status store_forget_below(store *s, const char *absolute, int64_t *forgotten, store_error *err);

STORE_MUST_USE store_status store_setting_get(store *s, const char *key, char **value, store_error *err); /* free() */
STORE_MUST_USE store_status store_setting_set(store *s, const char *key, const char *value, store_error *err);

#endif
