/* duplicates.c: three sieves, the cheap ones first.
 *
 * Equal content: the hash that the indexer took; nothing is opened. Near in meaning: the vectors of all different photos, each
 * with each (see near_pairs.c), which takes as much memory as the vectors have numbers, 2 KB a photo. Equal in pixels: only
 * photos that have a neighbour are decoded, each once, small. */
#include "query/duplicates.h"
#include "query/near_pairs.h"
#include "query/parallel.h"
#include "query/picture_file.h"
#include "query/progress_line.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_SIDE = 256 };

typedef struct finder {
    query_library *l;
    query_duplicates *d;
    float *vectors;         /* [n_vectors][width]; later those of different photos alone */
    int64_t *ids;           /* [n_vectors] whose they are, ascending */
    size_t n_vectors, room, width;
    uint32_t *places;       /* [n_vectors] of those photos in the list */
    uint32_t *represents;   /* [photos.n]: the first photo of the same content */
    uint32_t *up;           /* [photos.n]: towards one photo of an island of neighbours */
    query_pair *pairs;
    size_t n_pairs, pairs_room;
    uint32_t *to_look;      /* places of the photos whose pixels are needed */
    size_t n_look;
    bool *near;             /* [photos.n]: it has a neighbour */
    bool *seen;             /* [photos.n]: its pixels are known */
    bool failed;
    query_progress_line progress;
} finder;

/* ---- the photos ---- */

static bool make_room_for(finder *x, size_t n)
{
    if (n <= x->room) return true;
    size_t room = 2 * n;
    float *vectors = aligned_alloc(64, (room * x->width * sizeof *vectors + 63) / 64 * 64);
    int64_t *ids = realloc(x->ids, room * sizeof *ids);
    if (ids) x->ids = ids;
    if (vectors && x->n_vectors) memcpy(vectors, x->vectors, x->n_vectors * x->width * sizeof *vectors);
    if (vectors) free(x->vectors), x->vectors = vectors;
    if (!ids || !vectors) return false;
    x->room = room;
    return true;
}

static bool take_vectors(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    finder *x = ctx;
    size_t dim = (size_t)x->l->model.dim;
    if (!make_room_for(x, x->n_vectors + n)) return x->failed = true, false;
    for (size_t i = 0; i < n; i++, x->n_vectors++) {
        float *row = x->vectors + x->n_vectors * x->width; /* [width] */
        memcpy(row, vectors + i * dim, dim * sizeof *row);
        memset(row + dim, 0, (x->width - dim) * sizeof *row);
        x->ids[x->n_vectors] = ids[i];
    }
    return true;
}

static int load(finder *x, const store_filter *f)
{
    query_hits *out = &x->d->photos;
    store_error err = {0};
    size_t kept = 0;
    int status = make_room_for(x, (size_t)x->l->model.vectors / 2 + 1) ? 0 : cli_fail("memory ran out");
    if (status) return status;
    if (store_vectors_each(x->l->store, x->l->model.id, f, take_vectors, x, &err)) return cli_fail("%s", err.text);
    if (x->failed || !(out->items = calloc(x->n_vectors + 1, sizeof *out->items))) return cli_fail("memory ran out");
    for (size_t i = 0; !status && i < x->n_vectors; i++) {
        query_hit *h = &out->items[out->n];
        store_status s = store_photo_get(x->l->store, x->ids[i], &h->photo, &err);
        if (s == STORE_E_NOT_FOUND) continue; /* it went meanwhile */
        if (!s) s = store_photo_where(x->l->store, &h->photo, &h->where, &err);
        if (s) store_photo_finish(&h->photo), status = cli_fail("%s", err.text);
        else {
            out->n++;
            x->ids[kept] = x->ids[i];
            memmove(x->vectors + kept++ * x->width, x->vectors + i * x->width, x->width * sizeof *x->vectors);
        }
    }
    x->n_vectors = kept; /* as many as photos, in their order */
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

static void show(size_t done, void *ctx)
{
    query_progress_show(ctx, done);
}

static uint32_t island_of(finder *x, uint32_t i)
{
    while (x->up[i] != i) i = x->up[i] = x->up[x->up[i]];
    return i;
}

/* Neighbours are joined at once and not listed: a series of n photos has n * n / 2 pairs. */
static void join(size_t a, size_t b, void *ctx)
{
    finder *x = ctx;
    x->near[x->places[a]] = x->near[x->places[b]] = true;
    x->up[island_of(x, x->places[a])] = island_of(x, x->places[b]);
}

static bool pair_islands(finder *x)
{
    for (uint32_t i = 0; i < x->d->photos.n; i++)
        if (x->near[i] && x->up[i] != i && !add_pair(x, i, island_of(x, i))) return false;
    return true;
}

static int pair_neighbours(finder *x, double threshold)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->n_vectors; i++) {
        x->up[i] = (uint32_t)i;
        if (x->represents[i] != i) continue;
        x->places[kept] = (uint32_t)i;
        memmove(x->vectors + kept++ * x->width, x->vectors + i * x->width, x->width * sizeof *x->vectors);
    }
    x->progress = query_progress_begin(x->l->c, "Comparing photos, part", query_near_steps(kept));
    bool well = query_near_pairs(x->vectors, kept, x->width, (float)threshold, x->l->c->threads, join, x, show, &x->progress);
    cli_draw_end();
    if (!well) return cli_fail("cannot start a thread");
    return pair_islands(x) ? 0 : cli_fail("memory ran out");
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

static int compare_pixels(finder *x)
{
    for (size_t i = 0; i < x->d->photos.n; i++)
        if (x->near[i]) x->to_look[x->n_look++] = (uint32_t)i;
    x->progress = query_progress_begin(x->l->c, "Looking at pixels", x->n_look);
    bool well = !x->n_look || query_parallel(query_threads(x->l->c->threads, x->n_look), x->n_look, look, x, show, &x->progress);
    cli_draw_end();
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
    x->up = malloc(n * sizeof *x->up);
    x->places = malloc(n * sizeof *x->places);
    x->to_look = malloc(n * sizeof *x->to_look);
    x->near = calloc(n, sizeof *x->near);
    x->seen = calloc(n, sizeof *x->seen);
    return x->d->copies && x->d->looks && x->represents && x->up && x->places && x->to_look && x->near && x->seen;
}

int query_duplicates_find(query_library *l, const store_filter *f, double threshold, query_duplicates *out)
{
    finder *x = calloc(1, sizeof *x);
    *out = (query_duplicates){0};
    if (!x) return cli_fail("memory ran out");
    x->l = l, x->d = out;
    x->width = ((size_t)l->model.dim + QUERY_NEAR_LANES - 1) / QUERY_NEAR_LANES * QUERY_NEAR_LANES;
    int status = load(x, f);
    if (!status && !make_room(x)) status = cli_fail("memory ran out");
    if (!status) describe(x);
    if (!status && !pair_equals(x)) status = cli_fail("memory ran out");
    if (!status) status = pair_neighbours(x, threshold);
    if (!status) status = compare_pixels(x);
    if (!status && !query_copies_group(out->copies, out->photos.n, x->pairs, x->n_pairs, &out->groups))
        status = cli_fail("memory ran out");
    if (!status) status = score(x);
    free(x->vectors);
    free(x->ids);
    free(x->places);
    free(x->up);
    free(x->near);
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
