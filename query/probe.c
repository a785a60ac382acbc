/* probe.c: linear probes as the CLIP paper has them (section 3.2 and appendix A.3): logistic regression by L-BFGS of at most 1000
 * iterations; the penalty's strength by a search that halves its step in the exponent around the best value on a validation split, down to
 * a quarter of a decade. The fits of a sweep start from zero each: a warm start saves a third of the time and makes the result
 * depend on the order. */
#include "query/probe.h"
#include "query/logistic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITERATIONS = 1000 };

uint64_t query_probe_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void query_probe_shuffle(size_t *rows, size_t n, uint64_t *seed)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)(query_probe_random(seed) % i), was = rows[i - 1];
        rows[i - 1] = rows[j], rows[j] = was;
    }
}

bool query_probe_fit(const query_probe *p, const query_probe_set *s, double strength, double *w)
{
    size_t dim = (size_t)p->dim;
    float *x = malloc((s->n + 1) * dim * sizeof *x); /* [n][dim] */
    uint32_t *label = malloc((s->n + 1) * sizeof *label);
    bool ok = x && label;
    for (size_t i = 0; ok && i < s->n; i++) {
        memcpy(x + i * dim, s->x + s->rows[i] * dim, dim * sizeof *x);
        label[i] = s->label[s->rows[i]];
    }
    const query_logistic l = {.x = x, .label = label, .n = s->n, .classes = p->classes, .dim = p->dim, .strength = strength, .threads = p->threads};
    memset(w, 0, query_logistic_rows(p->classes) * (dim + 1) * sizeof *w);
    ok = ok && query_logistic_fit(&l, w, ITERATIONS);
    free(x);
    free(label);
    return ok;
}

bool query_probe_ranks(const query_probe *p, const double *w, const query_probe_set *s, size_t *ranks)
{
    size_t rows = query_logistic_rows(p->classes);
    double *scores = calloc(p->classes + 1, sizeof *scores);
    if (!scores) return false;
    for (size_t i = 0; i < s->n; i++) {
        size_t own = s->label[s->rows[i]];
        query_logistic_scores(w, rows, p->dim, s->x + s->rows[i] * (size_t)p->dim, scores);
        if (rows == 1) scores[1] = scores[0], scores[0] = 0;
        ranks[i] = 0;
        for (size_t k = 0; k < p->classes; k++) ranks[i] += scores[k] > scores[own] || (scores[k] == scores[own] && k < own);
    }
    free(scores);
    return true;
}

typedef struct sweep {
    const query_probe *p;
    const query_probe_set *train, *valid;
    void (*report)(size_t, size_t, void *);
    void *ctx;
    double *w;
    size_t *ranks, tried;
    double best, exponent; /* hits at the best exponent so far */
} sweep;

static bool try_exponent(sweep *s, double exponent)
{
    double hits = 0;
    bool ok = query_probe_fit(s->p, s->train, pow(10, exponent), s->w) && query_probe_ranks(s->p, s->w, s->valid, s->ranks);
    for (size_t i = 0; ok && i < s->valid->n; i++) hits += s->ranks[i] == 0;
    if (ok && hits > s->best) s->best = hits, s->exponent = exponent;
    s->tried++;
    if (s->report) s->report(s->tried, QUERY_PROBE_TRIALS, s->ctx);
    return ok;
}

bool query_probe_sweep(const query_probe *p, const query_probe_set *train, const query_probe_set *valid,
                       void (*report)(size_t, size_t, void *), void *ctx, double *strength)
{
    sweep s = {.p = p, .train = train, .valid = valid, .report = report, .ctx = ctx, .best = -1};
    s.w = malloc(query_logistic_rows(p->classes) * ((size_t)p->dim + 1) * sizeof *s.w);
    s.ranks = malloc((valid->n + 1) * sizeof *s.ranks);
    bool ok = s.w && s.ranks;
    for (int e = -6; e <= 6 && ok; e += 2) ok = try_exponent(&s, e);
    for (double step = 1; step >= 0.25 && ok; step /= 2) {
        double middle = s.exponent;
        ok = try_exponent(&s, middle - step) && try_exponent(&s, middle + step);
    }
    *strength = pow(10, s.exponent);
    free(s.w);
    free(s.ranks);
    return ok;
}
