/* least.c: every photo's score under questions that must all match.
 *
 * The least of several cosines is no cosine with anything, so no index of neighbours can find the greatest of them: all
 * vectors are read, which is exact and takes a few hundredths of a second for 100,000 photos. */
#include "query/least.h"
#include "query/products.h"

#include <stdlib.h>

typedef struct collecting {
    const float *questions; /* [m][dim] */
    size_t m, n, room;
    int dim;
    store_hit *hits;
    bool failed;
} collecting;

static bool make_room(collecting *c, size_t more)
{
    if (c->n + more <= c->room) return true;
    size_t room = 2 * (c->n + more);
    store_hit *hits = realloc(c->hits, room * sizeof *hits);
    c->failed = !hits;
    if (!hits) return false;
    c->hits = hits;
    c->room = room;
    return true;
}

static bool take(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    collecting *c = ctx;
    if (!make_room(c, n)) return false;
    for (size_t i = 0; i < n; i++) {
        float least = 2;
        for (size_t q = 0; q < c->m; q++) {
            float cosine = query_dot(vectors + i * (size_t)c->dim, c->questions + q * (size_t)c->dim, c->dim);
            if (cosine < least) least = cosine;
        }
        c->hits[c->n++] = (store_hit){ids[i], least};
    }
    return true;
}

int query_least(query_library *l, const float *questions, size_t m, const store_filter *f, store_hit **hits, size_t *n)
{
    store_error err = {0};
    collecting c = {.questions = questions, .m = m, .dim = l->model.dim};
    int status = 0;
    if (store_vectors_each(l->store, l->model.id, f, take, &c, &err)) status = cli_fail("%s", err.text);
    if (!status && c.failed) status = cli_fail("memory ran out");
    if (status) free(c.hits), c.hits = NULL, c.n = 0;
    *hits = c.hits;
    *n = c.n;
    return status;
}

static int by_score(const void *a, const void *b)
{
    const store_hit *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->photo_id > y->photo_id) - (x->photo_id < y->photo_id);
}

void query_least_sort(store_hit *hits, size_t n)
{
    if (n) qsort(hits, n, sizeof *hits, by_score);
}

size_t query_least_add(store_hit *a, size_t na, const store_hit *b, size_t nb)
{
    size_t kept = 0;
    for (size_t i = 0, j = 0; i < na; i++) {
        while (j < nb && b[j].photo_id < a[i].photo_id) j++;
        if (j < nb && b[j].photo_id == a[i].photo_id) a[kept++] = (store_hit){a[i].photo_id, a[i].score + b[j].score};
    }
    return kept;
}
