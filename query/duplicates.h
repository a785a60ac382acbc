/* duplicates.h: the photos of a library that are copies of each other. */
#ifndef QUERY_DUPLICATES_H
#define QUERY_DUPLICATES_H

#include "query/copies.h"
#include "query/rank.h"

typedef struct query_duplicates {
    query_hits photos;           /* every photo that was compared, by id; `score` is the cosine with the best of its group */
    query_copy_photo *copies;    /* [photos.n] the answer about each */
    query_pixels *looks;         /* [photos.n] where they were needed */
    size_t groups;
    size_t unread;               /* photos whose file could not be looked at, and which may have had copies */
} query_duplicates;

/* Reports what goes wrong: 0 or the exit status. */
int query_duplicates_find(query_library *l, const store_filter *f, double threshold, query_duplicates *out);
void query_duplicates_finish(query_duplicates *d);

#endif
