/* search.c: the k nearest photos. */
#include "store/f16.h"
#include "store/scan.h"
#include "store/topk.h"

#include <math.h>
#include <stdlib.h>

typedef struct search {
    store *s;
    store_model m;
    const float *query; /* [dim] */
    filter f;
    topk best;
} search;

static store_status weigh(int64_t id, const void *f16, void *ctx, store_error *err)
{
    search *h = ctx;
    return topk_push(&h->best, id, f16_dot(f16, h->query, (size_t)h->m.dim), err);
}

static store_status check_query(const float *query, int dim, store_error *err)
{
    double s = 0;
    for (int i = 0; i < dim; i++) s += (double)query[i] * query[i];
    return isfinite(s) ? STORE_OK : store_fail(err, STORE_E_ARGUMENT, "the query's vector holds numbers that are not finite");
}

store_status store_search(store *s, int64_t model_id, const float *query, size_t k, const store_filter *f, store_hit *hits,
                          size_t *n, store_error *err)
{
    *n = 0;
    search h = {.s = s, .query = query};
    bool opened = false;
    store_status st = store_look_begin(s, &opened, err);
    if (!st) st = model_get(s, model_id, &h.m, err);
    if (!st) st = check_query(query, h.m.dim, err);
    if (!st) st = filter_build(s, f, &h.f, err);
    if (!st && (int64_t)k > h.m.vectors) k = (size_t)h.m.vectors; /* no more than that can be found */
    if (!st) st = topk_init(&h.best, s, k, err);
    if (!st) st = scan_all(s, &h.m, &h.f, weigh, &h, err);
    if (!st) st = topk_take(&h.best, hits, n, err);
    topk_finish(&h.best);
    filter_finish(&h.f);
    store_look_end(s, opened);
    return st;
}
