/* rank.c: the search itself is the store's; here the best get their rows.
 *
 * A row may go between the search and the look at it, because another process may be writing: such a hit is left out,
 * which is what a search a moment later would do. */
#include "query/rank.h"

#include <stdlib.h>
#include <string.h>

static int load_hit(query_library *l, const store_hit *from, query_hits *out)
{
    store_error err = {0};
    query_hit *h = &out->items[out->n];
    *h = (query_hit){.score = from->score};
    store_status s = store_photo_get(l->store, from->photo_id, &h->photo, &err);
    if (s == STORE_E_NOT_FOUND) return 0;
    if (s == STORE_OK) s = store_photo_where(l->store, &h->photo, &h->where, &err);
    if (s == STORE_OK) {
        out->n++;
        return 0;
    }
    store_photo_finish(&h->photo);
    return cli_fail("%s", err.text);
}

int query_rank(query_library *l, const float *vector, size_t k, double min_score, const store_filter *f, query_hits *out)
{
    store_error err = {0};
    size_t most = (size_t)l->model.vectors, n = 0;
    int status = 0;
    *out = (query_hits){0};
    if (!k || k > most) k = most;
    store_hit *found = malloc((k ? k : 1) * sizeof *found);
    if (!found) return cli_fail("memory ran out");
    if (store_search(l->store, l->model.id, vector, k, f, found, &n, &err)) status = cli_fail("%s", err.text);
    while (!status && n && (double)found[n - 1].score < min_score) n--;
    if (!status && n && !(out->items = malloc(n * sizeof *out->items))) status = cli_fail("memory ran out");
    for (size_t i = 0; !status && i < n; i++) status = load_hit(l, &found[i], out);
    free(found);
    if (status) query_hits_finish(out);
    return status;
}

void query_hits_finish(query_hits *h)
{
    for (size_t i = 0; i < h->n; i++) {
        store_photo_finish(&h->items[i].photo);
        free(h->items[i].where);
    }
    free(h->items);
    *h = (query_hits){0};
}
