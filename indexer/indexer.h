/* indexer.h: photo folders in, a library brought up to date.
 *
 * The nouns
 *   walk      directory entries (folder descriptor, size, mtime, inode), sorted by bytes, loops and odd files left out
 *   plan      a pure function of one walk entry and its stored row: NEW, CHANGED, SAME, MOVED; what the walk did not
 *             meet is GONE
 *   pipeline  decoder threads -> one encoder -> one writer, a batch at a time, each batch one transaction
 *
 * Ownership  The caller owns the store and the model, which must outlive the call. Threads: one indexer_run a store.
 * Promise    A kill at any instant loses at most one batch; a broken file never stops a run; a folder that cannot be
 *            read, or a root that is gone, marks nothing as missing. */
#ifndef INDEXER_H
#define INDEXER_H

#include "engine/clip.h"
#include "store/store.h"

typedef struct indexer_options {
    const char *const *folders; size_t n_folders; /* none: every root of the library */
    const char *const *files; size_t n_files; /* absolute; not NULL: of those folders these files alone, and no walk */
    const char *const *excludes; size_t n_excludes; /* globs, matched against the name and the path below the root */
    bool hidden, follow_symlinks, dry_run, exact_decode;
    bool retry;                  /* read again what failed, even where it has not changed */
    int threads;                 /* 0: one for each core */
    int64_t memory_mb;           /* bound on the pipeline's memory, 0: default */
    clip_precision precision;
    clip_limits limits;
} indexer_options;

typedef enum indexer_fate { INDEXER_NEW, INDEXER_CHANGED, INDEXER_SAME, INDEXER_MOVED, INDEXER_GONE, INDEXER_RETURNED,
                            INDEXER_FAILED, INDEXER_REEMBEDDED, INDEXER_FATES } indexer_fate;

typedef struct indexer_report {
    int64_t count[INDEXER_FATES];
    int64_t truncated, not_photos, unreadable_folders, encoded;
    int64_t still_failed;        /* failed in an earlier run and not changed since: not opened, not in count[] */
    int roots_absent;
    bool interrupted;
    double seconds;
    store_trial trial;           /* of this run; photos 0: none */
} indexer_report;

typedef struct indexer_events {  /* called from the thread that called indexer_run; any may be NULL */
    void (*progress)(const indexer_report *so_far, int64_t done, int64_t total, void *ctx); /* total < 0: still walking */
    void (*fate)(indexer_fate f, const char *absolute, const char *reason, void *ctx);      /* each file but the SAME ones */
    void (*remark)(const char *line, void *ctx);                                            /* a folder, a root */
    bool (*stop)(void *ctx);     /* true: finish the batch and return */
    void *ctx;
} indexer_events;

/* Returns 0, or nonzero with err->text set (fatal: disk full, library broken, model broken). */
CLIP_MUST_USE int indexer_run(store *s, const clip_model *m, const indexer_options *o, const indexer_events *ev,
                              indexer_report *out, clip_error *err);

struct cli;
int indexer_command_index(struct cli *c, int argc, char **argv); /* `clipsearch index` */

#endif
