/* topk.c: a binary heap with the worst entry on top.
 *
 * Photo folders hold many copies of one picture, so ties are common, at the k-th place too: an entry's absolute path decides
 * there. It costs a look-up, so it is fetched when two scores are equal and at no other time. */
#include "store/topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

store_status topk_init(topk *t, store *s, size_t k, store_error *err)
{
    *t = (topk){.s = s, .k = k, .heap = calloc(k ? k : 1, sizeof *t->heap)};
    return t->heap ? STORE_OK : store_no_memory(err);
}

void topk_finish(topk *t)
{
    for (size_t i = 0; t->heap && i < t->n; i++) free(t->heap[i].path);
    free(t->heap);
    memset(t, 0, sizeof *t);
}

float topk_bar(const topk *t) { return t->n < t->k ? -INFINITY : t->heap[0].score; }

static store_status need_path(topk *t, topk_entry *e, store_error *err)
{
    if (e->path) return STORE_OK;
    store_status st = photo_absolute(t->s, e->id, &e->path, err);
    if (st != STORE_E_NOT_FOUND) return st;
    e->path = strdup(""); /* a photo without a root: the library is damaged, which is not for a search to find out */
    return e->path ? STORE_OK : store_no_memory(err);
}

/* *worse: a comes after b in the results. */
static store_status compare(topk *t, topk_entry *a, topk_entry *b, bool *worse, store_error *err)
{
    *worse = a->score < b->score;
    if (a->score != b->score) return STORE_OK;
    store_status st = need_path(t, a, err);
    if (!st) st = need_path(t, b, err);
    if (st) return st;
    int c = strcmp(a->path, b->path);
    *worse = c ? c > 0 : a->id > b->id;
    return STORE_OK;
}

static void swap(topk_entry *a, topk_entry *b)
{
    topk_entry c = *a;
    *a = *b;
    *b = c;
}

static store_status sift_up(topk *t, size_t i, store_error *err)
{
    bool worse = true;
    for (store_status st; i > 0; i = (i - 1) / 2) {
        st = compare(t, &t->heap[i], &t->heap[(i - 1) / 2], &worse, err);
        if (st || !worse) return st;
        swap(&t->heap[i], &t->heap[(i - 1) / 2]);
    }
    return STORE_OK;
}

static store_status sift_down(topk *t, store_error *err)
{
    for (size_t i = 0, c; (c = 2 * i + 1) < t->n; i = c) {
        bool worse = false;
        store_status st = c + 1 < t->n ? compare(t, &t->heap[c + 1], &t->heap[c], &worse, err) : STORE_OK;
        if (st) return st;
        if (worse) c++;
        st = compare(t, &t->heap[c], &t->heap[i], &worse, err);
        if (st || !worse) return st;
        swap(&t->heap[c], &t->heap[i]);
    }
    return STORE_OK;
}

store_status topk_push(topk *t, int64_t id, float score, store_error *err)
{
    if (!(score >= topk_bar(t)) || !t->k) return STORE_OK;
    topk_entry e = {.id = id, .score = score};
    if (t->n < t->k) {
        t->heap[t->n++] = e;
        return sift_up(t, t->n - 1, err);
    }
    bool worse;
    store_status st = compare(t, &e, &t->heap[0], &worse, err);
    if (st || worse) {
        free(e.path);
        return st;
    }
    free(t->heap[0].path);
    t->heap[0] = e;
    return sift_down(t, err);
}

void topk_copy(topk *to, const topk *from)
{
    for (size_t i = 0; i < to->n; i++) free(to->heap[i].path);
    to->n = from->n;
    memcpy(to->heap, from->heap, from->n * sizeof *from->heap);
    for (size_t i = 0; i < to->n; i++) to->heap[i].path = NULL; /* it is the other one's; fetched again if needed */
}

store_status topk_take(topk *t, store_hit *hits, size_t *n, store_error *err)
{
    *n = t->n;
    while (t->n) {
        topk_entry *last = &t->heap[t->n - 1];
        swap(&t->heap[0], last);
        hits[t->n - 1] = (store_hit){last->id, last->score};
        free(last->path);
        last->path = NULL;
        t->n--;
        store_status st = sift_down(t, err);
        if (st) return st;
    }
    return STORE_OK;
}
