/* rank.c: the search itself is the store's; here the best get their rows, and the order in which they are shown.
 *
 * A row may go between the search and the look at it, because another process may be writing: such a hit is left out,
 * which is what a search a moment later would do. */
#include "query/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int by_photo(const void *a, const void *b, void *ctx)
{
    const store_hit *hits = *(const store_hit **)ctx;
    int64_t x = hits[*(const size_t *)a].photo_id, y = hits[*(const size_t *)b].photo_id;
    return (x > y) - (x < y);
}

size_t *query_reading_order(const store_hit *hits, size_t n)
{
    size_t *order = malloc((n + 1) * sizeof *order);
    for (size_t i = 0; order && i < n; i++) order[i] = i;
    if (order) qsort_r(order, n, sizeof *order, by_photo, &hits);
    return order;
}

static int load_hit(query_library *l, const store_hit *from, float relevance, query_hits *out)
{
    store_error err = {0};
    query_hit *h = &out->items[out->n];
    *h = (query_hit){.score = from->score, .relevance = relevance};
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

int query_hits_load(query_library *l, const store_hit *found, const float *relevance, size_t n, query_hits *out)
{
    size_t *order = query_reading_order(found, n);
    store_error err = {0};
    bool looking = false;
    int status = !order ? cli_fail("memory ran out") : store_look_begin(l->store, &looking, &err) ? cli_fail("%s", err.text) : 0;
    *out = (query_hits){0};
    if (!status && n && !(out->items = malloc(n * sizeof *out->items))) status = cli_fail("memory ran out");
    for (size_t i = 0; !status && i < n; i++) status = load_hit(l, &found[order[i]], relevance ? relevance[order[i]] : NAN, out);
    if (status) query_hits_finish(out);
    store_look_end(l->store, looking);
    free(order);
    return status;
}

/* ---- order ---- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const query_hit *)a)->where, ((const query_hit *)b)->where);
}

static int by_score(const void *a, const void *b)
{
    float x = ((const query_hit *)a)->score, y = ((const query_hit *)b)->score;
    return x > y ? -1 : x < y ? 1 : by_path(a, b);
}

/* The date that filters go by: the camera's or, without one, the file's. */
static void date_of(const store_photo *p, char text[32])
{
    time_t seconds = (time_t)(p->mtime_ns / 1000000000);
    struct tm parts;
    if (p->taken) snprintf(text, 32, "%.31s", p->taken);
    else if (!localtime_r(&seconds, &parts) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &parts)) text[0] = 0;
}

static int by_date(const void *a, const void *b)
{
    char x[32], y[32];
    date_of(&((const query_hit *)a)->photo, x);
    date_of(&((const query_hit *)b)->photo, y);
    int order = strcmp(y, x);
    return order ? order : by_path(a, b);
}

void query_hits_sort(query_hits *h, query_order order)
{
    static int (*const compare[])(const void *, const void *) = {by_score, by_date, by_path};
    if (h->n) qsort(h->items, h->n, sizeof *h->items, compare[order]);
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
