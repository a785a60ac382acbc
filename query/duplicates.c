/* duplicates.c: three sieves, the cheap ones first.
 *
 * Equal content: the hash that the indexer took; nothing is opened. Near in meaning: one search for each different photo, for
 * its neighbours above the threshold, through the store's cache, so that a library of 100,000 is a matter of minutes and not
 * of five billion comparisons. Equal in pixels: only photos that have such a neighbour are decoded, each once, small.
 *
 * Searches and decoding run on all threads; a store handle belongs to one thread, so each opens its own. */
#include "query/duplicates.h"
#include "query/parallel.h"
#include "query/picture_file.h"
#include "query/progress_line.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_K = 8, MOST_K = 512, LOOK_SIDE = 256 };

typedef struct near { int64_t a, b; } near; /* ids */

typedef struct worker {
    store *s;
    float *vector;      /* [dim] */
    store_hit *hits;    /* [MOST_K] */
    near *found;
    size_t n, room;
    clip_error err;
} worker;

typedef struct finder {
    query_library *l;
    const store_filter *filter;
    float threshold;
    query_duplicates *d;
    uint32_t *represents;   /* [photos.n]: the first photo of the same content */
    query_pair *pairs;
    size_t n_pairs, pairs_room;
    worker workers[QUERY_THREADS_MOST];
    uint32_t *to_look;      /* places of the photos whose pixels are needed */
    size_t n_look;
    bool *seen;             /* [photos.n]: the pixels are known */
    query_progress_line progress;
} finder;

/* ---- the photos ---- */

typedef struct id_list { int64_t *ids; size_t n, room; bool failed; } id_list;

static bool take_ids(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    id_list *l = ctx;
    if (l->n + n > l->room) {
        size_t room = 2 * (l->n + n);
        int64_t *more = realloc(l->ids, room * sizeof *more);
        if (!more) return l->failed = true, false;
        l->ids = more, l->room = room;
    }
    memcpy(l->ids + l->n, ids, n * sizeof *ids);
    l->n += n;
    return true;
}

static int load(query_library *l, const store_filter *f, query_hits *out)
{
    id_list list = {0};
    store_error err = {0};
    int status = 0;
    if (store_vectors_each(l->store, l->model.id, f, take_ids, &list, &err)) status = cli_fail("%s", err.text);
    else if (list.failed || !(out->items = calloc(list.n + 1, sizeof *out->items))) status = cli_fail("memory ran out");
    for (size_t i = 0; !status && i < list.n; i++) {
        query_hit *h = &out->items[out->n];
        store_status s = store_photo_get(l->store, list.ids[i], &h->photo, &err);
        if (s == STORE_E_NOT_FOUND) continue; /* it went meanwhile */
        if (!s) s = store_photo_where(l->store, &h->photo, &h->where, &err);
        if (s) store_photo_finish(&h->photo), status = cli_fail("%s", err.text);
        else out->n++;
    }
    free(list.ids);
    return status;
}

static bool known(const uint8_t hash[16])
{
    static const uint8_t none[16];
    return memcmp(hash, none, 16) != 0;
}

static void describe(finder *x)
{
    for (size_t i = 0; i < x->d->photos.n; i++) {
        const query_hit *h = &x->d->photos.items[i];
        x->d->copies[i] = (query_copy_photo){
            .hash = known(h->photo.hash) ? h->photo.hash : NULL, .pixels = (int64_t)h->photo.width * h->photo.height,
            .bytes = h->photo.size, .modified = h->photo.mtime_ns, .taken = h->photo.taken ? h->photo.taken : "",
            .path = h->where};
    }
}

static int place_order(const void *key, const void *item)
{
    int64_t id = *(const int64_t *)key, other = ((const query_hit *)item)->photo.id;
    return (id > other) - (id < other);
}

/* The place of the photo of this id, or n where there is none. The list is in order of id. */
static size_t place_of(const query_hits *h, int64_t id)
{
    const query_hit *found = bsearch(&id, h->items, h->n, sizeof *h->items, place_order);
    return found ? (size_t)(found - h->items) : h->n;
}

static bool add_pair(finder *x, size_t a, size_t b)
{
    if (x->n_pairs == x->pairs_room) {
        size_t room = x->pairs_room ? 2 * x->pairs_room : 256;
        query_pair *more = realloc(x->pairs, room * sizeof *more);
        if (!more) return false;
        x->pairs = more, x->pairs_room = room;
    }
    x->pairs[x->n_pairs++] = (query_pair){(uint32_t)a, (uint32_t)b};
    return true;
}

/* ---- equal content ---- */

typedef struct keyed { const uint8_t *hash; uint32_t place; } keyed;

static int by_hash(const void *x, const void *y)
{
    const keyed *a = x, *b = y;
    int order = memcmp(a->hash, b->hash, 16);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static bool pair_equals(finder *x)
{
    size_t n = x->d->photos.n, m = 0;
    keyed *list = malloc((n + 1) * sizeof *list);
    bool well = list;
    for (size_t i = 0; well && i < n; i++) {
        x->represents[i] = (uint32_t)i;
        if (x->d->copies[i].hash) list[m++] = (keyed){x->d->copies[i].hash, (uint32_t)i};
    }
    if (well) qsort(list, m, sizeof *list, by_hash);
    for (size_t i = 1; well && i < m; i++) {
        if (memcmp(list[i].hash, list[i - 1].hash, 16) != 0) continue;
        x->represents[list[i].place] = x->represents[list[i - 1].place];
        well = add_pair(x, list[i - 1].place, list[i].place);
    }
    free(list);
    return well;
}

/* ---- near in meaning ---- */

static bool keep_near(worker *w, int64_t a, int64_t b)
{
    if (w->n == w->room) {
        size_t room = w->room ? 2 * w->room : 256;
        near *more = realloc(w->found, room * sizeof *more);
        if (!more) return false;
        w->found = more, w->room = room;
    }
    w->found[w->n++] = (near){a, b};
    return true;
}

static bool open_worker(finder *x, worker *w)
{
    store_error err = {0};
    if (store_open(x->l->c->db, STORE_READ, &w->s, &err)) {
        snprintf(w->err.text, sizeof w->err.text, "%s", err.text);
        return false;
    }
    w->vector = malloc((size_t)x->l->model.dim * sizeof *w->vector);
    w->hits = malloc(MOST_K * sizeof *w->hits);
    return w->vector && w->hits;
}

/* Asks for more as long as even the last one is above the threshold. */
static bool search_neighbours(size_t i, int number, void *ctx)
{
    finder *x = ctx;
    worker *w = &x->workers[number];
    int64_t id = x->d->photos.items[i].photo.id;
    store_error err = {0};
    size_t n = 0;
    if (x->represents[i] != i) return true;
    if (!w->s && !open_worker(x, w)) return false;
    store_status s = store_vector_get(w->s, id, x->l->model.id, w->vector, &err);
    if (s == STORE_E_NOT_FOUND) return true;
    for (size_t k = FIRST_K; !s && k <= MOST_K; k *= 4) {
        s = store_search(w->s, x->l->model.id, w->vector, k, x->filter, w->hits, &n, &err);
        if (n < k || w->hits[n - 1].score < x->threshold) break;
    }
    if (s) snprintf(w->err.text, sizeof w->err.text, "%s", err.text);
    for (size_t k = 0; !s && k < n && w->hits[k].score >= x->threshold; k++)
        if (w->hits[k].photo_id != id && !keep_near(w, id, w->hits[k].photo_id)) return false;
    return !s;
}

static void show(size_t done, void *ctx)
{
    query_progress_show(ctx, done);
}

static bool collect(finder *x, worker *w)
{
    for (size_t i = 0; i < w->n; i++) {
        size_t a = place_of(&x->d->photos, w->found[i].a), b = place_of(&x->d->photos, w->found[i].b);
        if (a < x->d->photos.n && b < x->d->photos.n && !add_pair(x, a, x->represents[b])) return false;
    }
    return true;
}

static int pair_neighbours(finder *x)
{
    size_t n = x->d->photos.n;
    x->progress = query_progress_begin(x->l->c, "Comparing photos", n);
    bool well = query_parallel(query_threads(x->l->c->threads, n), n, search_neighbours, x, show, &x->progress);
    query_progress_end(&x->progress);
    const char *why = "";
    for (int i = 0; i < QUERY_THREADS_MOST; i++) {
        worker *w = &x->workers[i];
        if (w->err.text[0]) why = w->err.text;
        well = well && collect(x, w);
        store_close(w->s);
        free(w->vector);
        free(w->hits);
        free(w->found);
        w->vector = NULL, w->hits = NULL, w->found = NULL, w->s = NULL;
    }
    return well ? 0 : cli_fail("%s", *why ? why : "memory ran out");
}

/* ---- equal in pixels ---- */

static bool look(size_t i, int number, void *ctx)
{
    finder *x = ctx;
    size_t place = x->to_look[i];
    clip_picture picture;
    clip_error ignored = {0};
    if (query_picture_file(x->d->photos.items[place].where, LOOK_SIDE, &picture, &ignored) == CLIP_OK) {
        query_pixels_of(&picture, &x->d->looks[place]);
        x->seen[place] = true;
    }
    clip_picture_finish(&picture);
    return true;
}

/* Every photo of a pair whose contents differ; of equal ones the first is looked at for all. */
static bool list_looks(finder *x)
{
    size_t n = x->d->photos.n;
    bool *wanted = calloc(n + 1, sizeof *wanted);
    if (!wanted) return false;
    for (size_t i = 0; i < x->n_pairs; i++) {
        uint32_t a = x->represents[x->pairs[i].a], b = x->represents[x->pairs[i].b];
        if (a != b) wanted[a] = wanted[b] = true;
    }
    for (size_t i = 0; i < n; i++)
        if (wanted[i]) x->to_look[x->n_look++] = (uint32_t)i;
    free(wanted);
    return true;
}

static int compare_pixels(finder *x)
{
    if (!list_looks(x)) return cli_fail("memory ran out");
    x->progress = query_progress_begin(x->l->c, "Looking at pixels", x->n_look);
    bool well = !x->n_look || query_parallel(query_threads(x->l->c->threads, x->n_look), x->n_look, look, x, show, &x->progress);
    query_progress_end(&x->progress);
    if (!well) return cli_fail("cannot start a thread");
    for (size_t i = 0; i < x->n_look; i++) x->d->unread += !x->seen[x->to_look[i]];
    for (size_t i = 0; i < x->d->photos.n; i++)
        if (x->seen[x->represents[i]]) x->d->copies[i].look = &x->d->looks[x->represents[i]];
    return 0;
}

/* ---- the whole ---- */

static int score_group(finder *x, size_t best, const size_t *first, const size_t *next)
{
    size_t dim = (size_t)x->l->model.dim;
    float *a = malloc(2 * dim * sizeof *a), *b = a + dim; /* [2][dim] */
    store_error err = {0};
    if (!a) return cli_fail("memory ran out");
    store_status s = store_vector_get(x->l->store, x->d->photos.items[best].photo.id, x->l->model.id, a, &err);
    for (size_t i = first[x->d->copies[best].group]; !s && i != SIZE_MAX; i = next[i]) {
        float sum = 0;
        s = store_vector_get(x->l->store, x->d->photos.items[i].photo.id, x->l->model.id, b, &err);
        for (size_t k = 0; !s && k < dim; k++) sum += a[k] * b[k];
        x->d->photos.items[i].score = sum;
    }
    free(a);
    return s && s != STORE_E_NOT_FOUND ? cli_fail("%s", err.text) : 0;
}

/* The cosine of each photo with the best of its group. */
static int score(finder *x)
{
    size_t n = x->d->photos.n;
    size_t *first = malloc((x->d->groups + 1) * sizeof *first), *next = malloc((n + 1) * sizeof *next);
    int status = first && next ? 0 : cli_fail("memory ran out");
    for (size_t g = 0; !status && g < x->d->groups; g++) first[g] = SIZE_MAX;
    for (size_t i = 0; !status && i < n; i++) {
        if (x->d->copies[i].kind == QUERY_COPY_NONE) continue;
        next[i] = first[x->d->copies[i].group];
        first[x->d->copies[i].group] = i;
    }
    for (size_t i = 0; !status && i < n; i++)
        if (x->d->copies[i].kind == QUERY_COPY_BEST) status = score_group(x, i, first, next);
    free(first);
    free(next);
    return status;
}

static bool make_room(finder *x)
{
    size_t n = x->d->photos.n + 1;
    x->d->copies = calloc(n, sizeof *x->d->copies);
    x->d->looks = calloc(n, sizeof *x->d->looks);
    x->represents = malloc(n * sizeof *x->represents);
    x->to_look = malloc(n * sizeof *x->to_look);
    x->seen = calloc(n, sizeof *x->seen);
    return x->d->copies && x->d->looks && x->represents && x->to_look && x->seen;
}

int query_duplicates_find(query_library *l, const store_filter *f, double threshold, query_duplicates *out)
{
    finder *x = calloc(1, sizeof *x);
    *out = (query_duplicates){0};
    if (!x) return cli_fail("memory ran out");
    x->l = l, x->filter = f, x->threshold = (float)threshold, x->d = out;
    int status = load(l, f, &out->photos);
    if (!status && !make_room(x)) status = cli_fail("memory ran out");
    if (!status) describe(x);
    if (!status && !pair_equals(x)) status = cli_fail("memory ran out");
    if (!status) status = pair_neighbours(x);
    if (!status) status = compare_pixels(x);
    if (!status && !query_copies_group(out->copies, out->photos.n, x->pairs, x->n_pairs, &out->groups))
        status = cli_fail("memory ran out");
    if (!status) status = score(x);
    free(x->represents);
    free(x->pairs);
    free(x->to_look);
    free(x->seen);
    free(x);
    if (status) query_duplicates_finish(out);
    return status;
}

void query_duplicates_finish(query_duplicates *d)
{
    query_hits_finish(&d->photos);
    free(d->copies);
    free(d->looks);
    *d = (query_duplicates){0};
}
