/* logistic.c: the loss of logistic regression, its derivatives, and the fit by L-BFGS.
 *
 *     f(w, b) = sum_i weight_i * loss_i + |w|² / 2C
 *     loss    two classes: log(1 + exp(-/+ s));  more: log(sum_k exp(s_k)) - s_label
 *
 * which is what scikit-learn's LogisticRegression(C) minimises (divided by C), so that strengths can be compared with published
 * ones. Sums over the dimensions are floats in eight parts, sums over photos are doubles: enough for derivatives down to 1e-5
 * of their start. The photos are dealt into PARTS whose sums are added in order: the result does not depend on the threads. */
#include "query/logistic.h"
#include "query/lbfgs.h"
#include "query/parallel.h"
#include "query/products.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 8, WORTH_THREADS = 1 << 22 /* products, below which threads cost more than they bring */ };

double query_logistic_sigmoid(double s)
{
    return s >= 0 ? 1 / (1 + exp(-s)) : exp(s) / (1 + exp(s));
}

/* The loss; scores become its derivatives. */
static double lose(double *s /* [rows] */, size_t rows, uint32_t label)
{
    if (rows == 1) {
        double sign = label ? 1 : -1, m = sign * s[0];
        double loss = m > 0 ? log1p(exp(-m)) : log1p(exp(m)) - m;
        s[0] = -sign * query_logistic_sigmoid(-m);
        return loss;
    }
    double most = s[0], sum = 0, own = s[label];
    for (size_t k = 1; k < rows; k++) most = fmax(most, s[k]);
    for (size_t k = 0; k < rows; k++) sum += s[k] = exp(s[k] - most);
    for (size_t k = 0; k < rows; k++) s[k] /= sum;
    s[label] -= 1;
    return log(sum) + most - own;
}

typedef struct sums {
    const query_logistic *l;
    const float *w;    /* [rows][dim] */
    const double *bias;/* [rows] */
    size_t rows;
    double *scores;    /* [PARTS][rows] */
    float *block;      /* [PARTS][rows][dim] derivatives over a few photos */
    double *gradient;  /* [PARTS][rows][dim + 1] */
    double loss[PARTS];
} sums;

/* Floats are added into doubles before they are many. */
static void empty_block(const sums *s, size_t part)
{
    size_t dim = (size_t)s->l->dim;
    for (size_t k = 0; k < s->rows; k++) {
        float *block = s->block + (part * s->rows + k) * dim;
        double *g = s->gradient + (part * s->rows + k) * (dim + 1);
        for (size_t d = 0; d < dim; d++) g[d] += (double)block[d];
        memset(block, 0, dim * sizeof *block);
    }
}

static void add_photo(const sums *s, size_t part, size_t i)
{
    size_t dim = (size_t)s->l->dim;
    const float *x = s->l->x + i * dim; /* [dim] */
    double *scores = s->scores + part * s->rows, weight = s->l->weight ? (double)s->l->weight[i] : 1, loss;
    for (size_t k = 0; k < s->rows; k++) scores[k] = (double)query_dot(s->w + k * dim, x, s->l->dim) + s->bias[k];
    loss = lose(scores, s->rows, s->l->label[i]);
    ((sums *)s)->loss[part] += weight * loss;
    for (size_t k = 0; k < s->rows; k++) {
        float slope = (float)(weight * scores[k]), *block = s->block + (part * s->rows + k) * dim;
        s->gradient[(part * s->rows + k) * (dim + 1) + dim] += weight * scores[k];
        if (slope == 0) continue;
        for (size_t d = 0; d < dim; d++) block[d] += slope * x[d];
    }
}

static bool add_part(size_t part, int worker, void *ctx)
{
    (void)worker;
    const sums *s = ctx;
    size_t first = s->l->n * part / PARTS, end = s->l->n * (part + 1) / PARTS;
    for (size_t i = first; i < end; i++) {
        add_photo(s, part, i);
        if ((i - first) % 64 == 63 || i + 1 == end) empty_block(s, part);
    }
    return true;
}

static double add_all(sums *s, double *gradient /* [rows][dim + 1] */)
{
    size_t length = s->rows * ((size_t)s->l->dim + 1);
    double loss = 0;
    bool alone = s->l->threads == 1 || s->l->n * s->rows * (size_t)s->l->dim < WORTH_THREADS;
    if (alone || !query_parallel(query_threads(s->l->threads, PARTS), PARTS, add_part, s, NULL, NULL))
        for (size_t part = 0; part < PARTS; part++) {
            s->loss[part] = 0;
            memset(s->gradient + part * length, 0, length * sizeof *s->gradient);
            add_part(part, 0, s);
        }
    memset(gradient, 0, length * sizeof *gradient);
    for (size_t part = 0; part < PARTS; part++) {
        loss += s->loss[part];
        for (size_t i = 0; i < length; i++) gradient[i] += s->gradient[part * length + i];
    }
    return loss;
}

static double penalise(const query_logistic *l, const double *w, double *gradient, size_t rows)
{
    size_t dim = (size_t)l->dim;
    double sum = 0;
    for (size_t k = 0; k < rows; k++)
        for (size_t d = 0; d < dim; d++) {
            double x = w[k * (dim + 1) + d];
            sum += x * x;
            gradient[k * (dim + 1) + d] += x / l->strength;
        }
    return sum / (2 * l->strength);
}

double query_logistic_objective(const double *w, double *gradient, size_t n, void *ctx)
{
    const query_logistic *l = ctx;
    size_t rows = query_logistic_rows(l->classes), dim = (size_t)l->dim, all = rows * dim;
    float *floats = calloc(all + PARTS * all, sizeof *floats);
    double *doubles = calloc(rows + PARTS * rows + PARTS * n, sizeof *doubles), value = NAN;
    if (floats && doubles) {
        sums s = {.l = l, .w = floats, .bias = doubles, .rows = rows, .scores = doubles + rows, .block = floats + all,
                  .gradient = doubles + rows + PARTS * rows};
        for (size_t k = 0; k < rows; k++) {
            for (size_t d = 0; d < dim; d++) floats[k * dim + d] = (float)w[k * (dim + 1) + d];
            doubles[k] = w[k * (dim + 1) + dim];
        }
        value = add_all(&s, gradient);
        value += penalise(l, w, gradient, rows);
    }
    free(floats);
    free(doubles);
    return value;
}

bool query_logistic_fit(const query_logistic *l, double *w, int iterations)
{
    query_minimum m;
    size_t n = query_logistic_rows(l->classes) * ((size_t)l->dim + 1);
    double total = 0;
    for (size_t i = 0; i < l->n; i++) total += l->weight ? (double)l->weight[i] : 1;
    query_logistic copy = *l;
    return query_lbfgs(n, w, query_logistic_objective, &copy, iterations, 1e-5 * total, &m) && isfinite(m.value);
}

void query_logistic_scores(const double *w, size_t rows, int dim, const float *x, double *scores)
{
    for (size_t k = 0; k < rows; k++) {
        const double *row = w + k * ((size_t)dim + 1);
        double sum = row[dim];
        for (int d = 0; d < dim; d++) sum += row[d] * (double)x[d];
        scores[k] = sum;
    }
}
