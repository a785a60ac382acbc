/* plan.c: the fate of a file, from what the walk saw and what the library remembers. A pure function.
 *
 * The algorithm in prose. A file is taken to be what it was while its size and its modification time are what they
 * were: so nothing is opened that has not changed. Inodes are not asked here: FAT and network file systems make them
 * up anew at every mount. A path that the library does not know is looked for by size, time and inode together, which
 * is what a rename keeps; it is a move only if the old path no longer holds that file (the caller has looked).
 * Everything else must be read, and then its content decides whether a vector that we already have is its own
 * (pipeline.c, indexer.c).
 *
 *   row at this path   size, time   vector   fate         read
 *   none, like         -            yes      MOVED        no
 *   none, like         -            no       MOVED        yes, unless it is a photo that failed and is not to be retried
 *   none               -            -        NEW          yes
 *   failed, unread     -            -        NEW          yes: it could not even be opened; that may have changed by itself
 *   any                differ       -        CHANGED      yes
 *   missing            equal        yes      RETURNED     no
 *   missing            equal        no       RETURNED     yes
 *   failed             equal        -        FAILED       no, unless it is to be retried
 *   present            equal        yes      SAME         no
 *   present            equal        no       REEMBEDDED   yes */
#include "indexer/plan.h"

static indexer_plan plan_unknown(const indexer_plan_input *in) {
    if (!in->like) return (indexer_plan){INDEXER_NEW, true};
    if (in->like->state == STORE_FAILED) return (indexer_plan){INDEXER_MOVED, in->retry};
    return (indexer_plan){INDEXER_MOVED, !in->like_has_vector};
}

indexer_plan indexer_plan_file(const indexer_plan_input *in) {
    const store_photo *row = in->row;
    if (!row) return plan_unknown(in);
    if (row->state == STORE_FAILED && row->mtime_ns == INDEXER_UNREAD_MTIME) return (indexer_plan){INDEXER_NEW, true};
    if (row->size != in->size || row->mtime_ns != in->mtime_ns) return (indexer_plan){INDEXER_CHANGED, true};
    if (row->state == STORE_MISSING) return (indexer_plan){INDEXER_RETURNED, !in->row_has_vector};
    if (row->state == STORE_FAILED) return (indexer_plan){INDEXER_FAILED, in->retry};
    if (in->row_has_vector) return (indexer_plan){INDEXER_SAME, false};
    return (indexer_plan){INDEXER_REEMBEDDED, true};
}
