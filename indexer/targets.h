/* targets.h: which folders a run looks at, and whether their drives are there. Private to indexer/. */
#ifndef INDEXER_TARGETS_H
#define INDEXER_TARGETS_H

#include "indexer/indexer.h"

/* A root of the library; fd is open while its folder is there, -1 otherwise. */
typedef struct indexer_root { int64_t id; char *path; int fd; int64_t photos; } indexer_root;

typedef struct indexer_target {
    int64_t root_id;        /* 0: not in the library (a dry run over a new folder) */
    char *root_path;        /* absolute */
    char *prefix;           /* what is to be walked, below it; "" for all */
    int fd;                 /* the root's folder; owned */
} indexer_target;

typedef struct indexer_targets {
    indexer_root *roots; size_t n_roots; /* all of the library's */
    indexer_target *items; size_t n;
    int absent;                          /* roots that were asked for and are not there */
} indexer_targets;

/* Resolves the options' folders (none: every root). Unless it is a dry run, new roots are made and drives that are
 * mounted elsewhere recognised. `remark` gets a line for each root that is absent or was found elsewhere. s may be
 * NULL in a dry run. */
CLIP_MUST_USE int indexer_targets_find(store *s, const indexer_options *o, void (*remark)(const char *line, void *ctx),
                                       void *ctx, indexer_targets *out, clip_error *err);
void indexer_targets_finish(indexer_targets *t);

/* The target around an absolute path, with *path what is below its root; NULL when there is none. */
const indexer_target *indexer_targets_around(const indexer_targets *t, const char *absolute, const char **path);
/* Whether a root that is not there lies around it. */
bool indexer_targets_absent(const indexer_targets *t, const char *absolute);

/* The root with this id if its folder is there; NULL otherwise. */
const indexer_root *indexer_targets_root(const indexer_targets *t, int64_t id);

#endif
