/* compare_libraries.c: whether two libraries hold the same photos with the same vectors.
 *
 *     compare_libraries ONE TWO LEAST_COSINE
 *
 * Every photo of ONE that is not missing must be in TWO under the same absolute path with the same size, time,
 * content, measures and state, its vector of the current model with at least that cosine; and TWO must hold no more. */
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIM = 4096 };

typedef struct pair {
    store *one, *two;
    store_model model_one, model_two;
    double least, lowest;
    long photos, differ;
} pair;

static double cosine(pair *p, int64_t a, int64_t b) {
    static float x[MAX_DIM], y[MAX_DIM];
    store_error e = {{0}};
    double xy = 0, xx = 0, yy = 0;
    if (store_vector_get(p->one, a, p->model_one.id, x, &e) || store_vector_get(p->two, b, p->model_two.id, y, &e)) return -2;
    for (int i = 0; i < p->model_one.dim; i++) xy += x[i] * y[i], xx += x[i] * x[i], yy += y[i] * y[i];
    return xy / sqrt(xx * yy);
}

static bool same_facts(const store_photo *a, const store_photo *b) {
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->inode == b->inode && !memcmp(a->hash, b->hash, 16) &&
           a->width == b->width && a->height == b->height && a->state == b->state && a->truncated == b->truncated;
}

static bool compare_one(const store_photo *a, const char *absolute, void *ctx) {
    pair *p = ctx;
    store_photo b;
    store_error e = {{0}};
    if (a->state == STORE_MISSING) return true;
    p->photos++;
    if (store_photo_by_absolute(p->two, absolute, &b, &e)) {
        printf("only in the first: %s\n", absolute);
        p->differ++;
        return true;
    }
    double c = a->state == STORE_PRESENT ? cosine(p, a->id, b.id) : 1;
    if (c < p->lowest) p->lowest = c;
    if (!same_facts(a, &b) || !(c >= p->least)) {
        printf("different: %s (cosine %.7f)\n", absolute, c);
        p->differ++;
    }
    store_photo_finish(&b);
    return true;
}

int main(int argc, char **argv) {
    pair p = {.lowest = 1};
    store_error e = {{0}};
    store_counts one, two;
    if (argc != 4) return 2;
    p.least = atof(argv[3]);
    if (store_open(argv[1], STORE_READ, &p.one, &e) || store_open(argv[2], STORE_READ, &p.two, &e) ||
        store_model_current(p.one, &p.model_one, &e) || store_model_current(p.two, &p.model_two, &e) ||
        p.model_one.dim != p.model_two.dim || p.model_one.dim > MAX_DIM ||
        store_photos_each(p.one, NULL, compare_one, &p, &e) || store_count(p.one, &one, &e) || store_count(p.two, &two, &e)) {
        fprintf(stderr, "compare_libraries: %s\n", e.text);
        return 2;
    }
    if (one.present != two.present || one.failed != two.failed) {
        printf("%lld and %lld present, %lld and %lld failed\n", (long long)one.present, (long long)two.present,
               (long long)one.failed, (long long)two.failed);
        p.differ++;
    }
    printf("%ld photos, %ld differ, lowest cosine %.7f\n", p.photos, p.differ, p.lowest);
    store_close(p.one);
    store_close(p.two);
    return p.differ ? 1 : 0;
}
