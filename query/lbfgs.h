/* lbfgs.h: the minimum of a smooth function of many numbers. */
#ifndef QUERY_LBFGS_H
#define QUERY_LBFGS_H

#include <stdbool.h>
#include <stddef.h>

/* The function's value at x, its derivatives into gradient. */
typedef double (*query_objective)(const double *x /* [n] */, double *gradient /* [n] */, size_t n, void *ctx);

typedef struct query_minimum {
    double value;
    double slope;      /* the greatest derivative that is left, absolute */
    int iterations;
    bool converged;    /* slope is at most `tolerance`, or no step gains anything at this precision */
} query_minimum;

/* Starts from x and leaves the best point there. False when memory ran out. */
bool query_lbfgs(size_t n, double *x /* [n] */, query_objective f, void *ctx, int most_iterations, double tolerance,
                 query_minimum *out);

#endif
