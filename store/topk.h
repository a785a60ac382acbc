/* topk.h: the k best of a stream of scores: highest first, ties by absolute path. */
#ifndef TOPK_H
#define TOPK_H

#include "store/library.h"

typedef struct topk_entry { int64_t id; float score; char *path; } topk_entry; /* path: only once it was needed */

typedef struct topk {
    store *s;
    size_t k, n;
    topk_entry *heap; /* the worst on top */
} topk;

STORE_MUST_USE store_status topk_init(topk *t, store *s, size_t k, store_error *err);
void topk_finish(topk *t);
/* A score that is not a number is left out. */
STORE_MUST_USE store_status topk_push(topk *t, int64_t id, float score, store_error *err);
void topk_copy(topk *to, const topk *from);
/* The score that a newcomer must reach; -infinity while there is room. */
float topk_bar(const topk *t);
/* Puts the entries in order into hits; the heap is none afterwards. */
STORE_MUST_USE store_status topk_take(topk *t, store_hit *hits, size_t *n, store_error *err);

#endif
