/* plan.h: what is to be done with one file. Private to indexer/. */
#ifndef INDEXER_PLAN_H
#define INDEXER_PLAN_H

#include "indexer/indexer.h"

/* The time kept for a file that could not be read at all (permission, a failing disk): no file has it, so that every
 * run tries again, for a permission changes without a trace in size or time. */
enum { INDEXER_UNREAD_MTIME = -1 };

typedef struct indexer_plan_input {
    int64_t size, mtime_ns;          /* as the walk found them */
    const store_photo *row;          /* the stored photo at this very path, or NULL */
    const store_photo *like;         /* one of this size, mtime and inode at a path where it no longer is, or NULL */
    bool row_has_vector, like_has_vector; /* of the model in use */
    bool retry;                      /* read again what failed */
} indexer_plan_input;

typedef struct indexer_plan {
    indexer_fate fate;
    bool read;                       /* the file must be opened; otherwise its row says all there is to know */
} indexer_plan;

indexer_plan indexer_plan_file(const indexer_plan_input *in);

#endif
