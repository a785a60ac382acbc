/* probe.h: the arithmetic of `clipsearch eval probe`: splitting, sweeping, counting. Pure. */
#ifndef QUERY_PROBE_H
#define QUERY_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Photos of known classes, as vectors. */
typedef struct query_probe_set {
    const float *x;            /* [..][dim] all photos */
    const uint32_t *label;     /* [..] */
    const size_t *rows;        /* [n] those that belong to the set */
    size_t n;
} query_probe_set;

typedef struct query_probe {
    size_t classes;
    int dim, threads;
} query_probe;

/* Numbers 0 .. 2^64 - 1 in an order that depends on the seed alone (splitmix64). */
uint64_t query_probe_random(uint64_t *seed);
void query_probe_shuffle(size_t *rows, size_t n, uint64_t *seed);

/* w[rows of logistic.h][dim + 1], fitted to `train`. False when memory ran out. */
bool query_probe_fit(const query_probe *p, const query_probe_set *train, double strength, double *w);

/* ranks[i]: how many classes the i-th photo's own lies behind; of equal scores the earlier class counts as the higher. */
bool query_probe_ranks(const query_probe *p, const double *w, const query_probe_set *test, size_t *ranks /* [test->n] */);

/* The strength with the best top-1 on `valid`, of equal ones the first that was tried: from 10^-6 to 10^6 in steps of 10^2, then
 * halving the step around the best down to 10^0.25. report(tried, total, ctx) may be NULL. False when memory ran out. */
bool query_probe_sweep(const query_probe *p, const query_probe_set *train, const query_probe_set *valid,
                       void (*report)(size_t tried, size_t total, void *ctx), void *ctx, double *strength);

enum { QUERY_PROBE_TRIALS = 7 + 2 * 3 };

#endif
