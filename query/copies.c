/* copies.c: from pairs that may be copies to groups that are.
 *
 * The pairs make islands. Within an island the best photo takes those that are the same as it, compared with it itself; then
 * the best of what is left, and so on. So a slow drift (a to b to c, each nearly the same as the one before) never puts two
 * photos into one group that are not alike. */
#include "query/copies.h"

#include <stdlib.h>
#include <string.h>

bool query_copy_better(const query_copy_photo *a, const query_copy_photo *b)
{
    if (a->pixels != b->pixels) return a->pixels > b->pixels;
    if (a->bytes != b->bytes) return a->bytes > b->bytes;
    int order = *a->taken && *b->taken ? strcmp(a->taken, b->taken) : 0;
    if (!order) order = (a->modified > b->modified) - (a->modified < b->modified);
    return order ? order < 0 : strcmp(a->path, b->path) < 0;
}

bool query_copy_exact(const query_copy_photo *a, const query_copy_photo *b)
{
    return a->hash && b->hash && memcmp(a->hash, b->hash, 16) == 0;
}

static bool same(const query_copy_photo *a, const query_copy_photo *b)
{
    return query_copy_exact(a, b) || (a->look && b->look && query_pixels_same(a->look, b->look));
}

static uint32_t island_of(uint32_t *up, uint32_t i)
{
    while (up[i] != i) i = up[i] = up[up[i]];
    return i;
}

typedef struct place { uint32_t island, photo; const query_copy_photo *photos; } place;

static int by_island_then_best(const void *x, const void *y)
{
    const place *a = x, *b = y;
    if (a->island != b->island) return a->island < b->island ? -1 : 1;
    if (a->photo == b->photo) return 0;
    return query_copy_better(&a->photos[a->photo], &b->photos[b->photo]) ? -1 : 1;
}

/* One island, the best first. */
static void divide(query_copy_photo *photos, const place *island, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        query_copy_photo *best = &photos[island[i].photo];
        for (size_t k = i + 1; best->kind == QUERY_COPY_NONE && k < n; k++) {
            query_copy_photo *p = &photos[island[k].photo];
            if (p->kind != QUERY_COPY_NONE || !same(best, p)) continue;
            p->kind = query_copy_exact(best, p) ? QUERY_COPY_EXACT : QUERY_COPY_NEAR;
            p->group = island[i].photo; /* numbered later */
        }
        for (size_t k = i + 1; k < n; k++)
            if (photos[island[k].photo].kind != QUERY_COPY_NONE && photos[island[k].photo].group == island[i].photo) {
                best->kind = QUERY_COPY_BEST;
                best->group = island[i].photo;
            }
    }
}

static int by_path(const void *x, const void *y)
{
    const place *a = x, *b = y;
    return strcmp(a->photos[a->photo].path, b->photos[b->photo].path);
}

/* From "the place of the best photo" to 0, 1, 2... in order of that one's path. `number` has room for n. */
static size_t number_groups(query_copy_photo *photos, size_t n, place *places, uint32_t *number)
{
    size_t groups = 0;
    for (size_t i = 0; i < n; i++)
        if (photos[i].kind == QUERY_COPY_BEST) places[groups++] = (place){0, (uint32_t)i, photos};
    qsort(places, groups, sizeof *places, by_path);
    for (size_t g = 0; g < groups; g++) number[places[g].photo] = (uint32_t)g;
    for (size_t i = 0; i < n; i++)
        if (photos[i].kind != QUERY_COPY_NONE) photos[i].group = number[photos[i].group];
    return groups;
}

bool query_copies_group(query_copy_photo *photos, size_t n, const query_pair *pairs, size_t n_pairs, size_t *groups)
{
    uint32_t *up = malloc((n + 1) * sizeof *up);
    place *places = malloc((n + 1) * sizeof *places);
    bool well = up && places;
    *groups = 0;
    if (!well) goto end;
    for (size_t i = 0; i < n; i++) {
        up[i] = (uint32_t)i;
        photos[i].kind = QUERY_COPY_NONE;
        photos[i].group = SIZE_MAX;
    }
    for (size_t i = 0; i < n_pairs; i++) up[island_of(up, pairs[i].a)] = island_of(up, pairs[i].b);
    for (size_t i = 0; i < n; i++) places[i] = (place){island_of(up, (uint32_t)i), (uint32_t)i, photos};
    qsort(places, n, sizeof *places, by_island_then_best);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && places[to].island == places[from].island;) to++;
        if (to - from > 1) divide(photos, places + from, to - from);
    }
    *groups = number_groups(photos, n, places, up);
end:
    free(up);
    free(places);
    return well;
}
