/* rank.h: a vector to the photos nearest to it. */
#ifndef QUERY_RANK_H
#define QUERY_RANK_H

#include "query/open_library.h"

typedef struct query_hit {
    float score;
    store_photo photo;
    char *where;        /* absolute path */
} query_hit;

typedef struct query_hits { query_hit *items; size_t n; } query_hits;

/* The k best (0: all) with at least min_score, best first, with their rows. Reports what goes wrong; 0 or the status. */
int query_rank(query_library *l, const float *vector /* [dim] */, size_t k, double min_score, const store_filter *f,
               query_hits *out);
void query_hits_finish(query_hits *h);

#endif
