/* logistic.h: logistic regression with a quadratic penalty: the paper's linear probe. */
#ifndef QUERY_LOGISTIC_H
#define QUERY_LOGISTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is learned from. Of two classes there is one row of weights, for class 1; of more, one row a class. */
typedef struct query_logistic {
    const float *x;          /* [n][dim] */
    const uint32_t *label;   /* [n] below `classes` */
    const float *weight;     /* [n] how much each counts; NULL: 1 */
    size_t n, classes;
    int dim;
    double strength;         /* C of sum weight * loss + |w|² / 2C, biases not counted */
    int threads;
} query_logistic;

static inline size_t query_logistic_rows(size_t classes) { return classes == 2 ? 1 : classes; }

/* w[rows][dim + 1], each row's bias last; starts from what is there (zeros are a good start). At most `iterations` of L-BFGS.
 * False when memory ran out. */
bool query_logistic_fit(const query_logistic *l, double *w, int iterations);

/* scores[rows]: w.x + bias. */
void query_logistic_scores(const double *w, size_t rows, int dim, const float *x /* [dim] */, double *scores);
double query_logistic_sigmoid(double score);

/* The value that is minimised and its derivatives, for tests. */
double query_logistic_objective(const double *w, double *gradient, size_t n, void *query_logistic_);

#endif
