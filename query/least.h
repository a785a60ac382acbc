/* least.h: every photo's score under questions that must all match. */
#ifndef QUERY_LEAST_H
#define QUERY_LEAST_H

#include "query/open_library.h"

/* Each photo that satisfies the filter with the least of its cosines with the m questions, in order of id. *hits: free().
 * Reports what goes wrong: 0 or the exit status. */
int query_least(query_library *l, const float *questions /* [m][dim] */, size_t m, const store_filter *f, store_hit **hits, size_t *n);

/* Best first; of equal scores the lower id first. */
void query_least_sort(store_hit *hits, size_t n);

/* Keeps in a[na] those that are in b[nb] too, both in order of id, and adds their scores. The number that is left. */
size_t query_least_add(store_hit *a, size_t na, const store_hit *b, size_t nb);

#endif
