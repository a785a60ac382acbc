/* rank.h: what was found, with rows and places, in the order in which it is shown. */
#ifndef QUERY_RANK_H
#define QUERY_RANK_H

#include "query/open_library.h"

typedef struct query_hit {
    float score;
    float relevance;    /* NAN: not known */
    store_photo photo;
    char *where;        /* absolute path */
} query_hit;

typedef struct query_hits { query_hit *items; size_t n; } query_hits;

typedef enum query_order { QUERY_BY_SCORE, QUERY_BY_DATE, QUERY_BY_PATH } query_order;

/* The places of hits in order of photo, [n], allocated, NULL when memory ran out: rows and vectors lie in the library in this order,
 * and reading a million of them in another took ten times as long. */
size_t *query_reading_order(const store_hit *hits, size_t n);
/* found[n] with their rows, in reading order; relevance[n] may be NULL. Reports what goes wrong; 0 or the status. */
int query_hits_load(query_library *l, const store_hit *found, const float *relevance, size_t n, query_hits *out);
/* By score (best first), date (newest first) or path; what is equal then goes by path. */
void query_hits_sort(query_hits *h, query_order order);
void query_hits_finish(query_hits *h);

#endif
