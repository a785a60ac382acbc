/* lbfgs.c: limited-memory BFGS.
 *
 * Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989: the inverse Hessian is known by the
 * last MEMORY steps s and gradient changes y, and is applied by the two loops of Nocedal and Wright, "Numerical Optimization",
 * 2nd edition, algorithm 7.4, starting from s.y / y.y times the identity (7.20). The line search is theirs too: bracketing
 * (3.5) and zooming (3.6) for the strong Wolfe conditions, with bisection, which needs no tuning and at most a few more
 * evaluations. The functions here are convex, so that nothing more is needed. */
#include "query/lbfgs.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY = 10, TRIES = 30 };
static const double DECREASE = 1e-4, CURVATURE = 0.9; /* c1 and c2 of the Wolfe conditions */

typedef struct search {
    size_t n;
    query_objective f;
    void *ctx;
    double *x, *g;           /* [n] where we are, and the gradient there */
    double *next_x, *next_g; /* [n] the point that is tried */
    double *d;               /* [n] direction */
    double *s, *y, *rho;     /* [MEMORY][n], [MEMORY][n], [MEMORY]: a ring */
    double alpha[MEMORY];
    size_t kept, newest;
    double value, next_value;
} search;

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double greatest(const double *a, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(a[i]));
    return most;
}

/* d = -H g, the two loops. */
static void find_direction(search *p)
{
    size_t n = p->n;
    for (size_t i = 0; i < n; i++) p->d[i] = -p->g[i];
    for (size_t k = 0; k < p->kept; k++) {
        size_t at = (p->newest + MEMORY - k) % MEMORY;
        p->alpha[at] = p->rho[at] * dot(p->s + at * n, p->d, n);
        for (size_t i = 0; i < n; i++) p->d[i] -= p->alpha[at] * p->y[at * n + i];
    }
    const double *y = p->y + p->newest * n;
    double scale = p->kept ? 1 / (p->rho[p->newest] * dot(y, y, n)) : 1 / fmax(1, sqrt(dot(p->g, p->g, n)));
    for (size_t i = 0; i < n; i++) p->d[i] *= scale;
    for (size_t k = p->kept; k-- > 0;) {
        size_t at = (p->newest + MEMORY - k) % MEMORY;
        double beta = p->rho[at] * dot(p->y + at * n, p->d, n);
        for (size_t i = 0; i < n; i++) p->d[i] += (p->alpha[at] - beta) * p->s[at * n + i];
    }
}

/* The slope along d at x + step d, which becomes the point that is tried. */
static double look(search *p, double step)
{
    for (size_t i = 0; i < p->n; i++) p->next_x[i] = p->x[i] + step * p->d[i];
    p->next_value = p->f(p->next_x, p->next_g, p->n, p->ctx);
    return dot(p->next_g, p->d, p->n);
}

/* A step that satisfies the conditions is left in next_*; false when there is none at this precision. */
static bool find_step(search *p)
{
    double slope0 = dot(p->g, p->d, p->n), low = 0, high = INFINITY, step = 1;
    if (!(slope0 < 0)) return false;
    for (int i = 0; i < TRIES; i++) {
        double slope = look(p, step);
        bool lower = p->next_value <= p->value + DECREASE * step * slope0; /* false for NAN */
        if (lower && fabs(slope) <= -CURVATURE * slope0) return true;
        if (lower && slope < 0) low = step;
        else high = step;
        step = isinf(high) ? 2 * step : (low + high) / 2;
    }
    return p->next_value < p->value;
}

/* Keeps what the step taught; a pair without positive curvature would spoil the matrix. */
static void learn(search *p)
{
    size_t n = p->n, at = p->kept ? (p->newest + 1) % MEMORY : 0;
    double curvature = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        double y = p->next_g[i] - p->g[i];
        curvature += (p->next_x[i] - p->x[i]) * y;
        square += y * y;
    }
    if (curvature > 1e-14 * square) {
        for (size_t i = 0; i < n; i++) {
            p->s[at * n + i] = p->next_x[i] - p->x[i];
            p->y[at * n + i] = p->next_g[i] - p->g[i];
        }
        p->rho[at] = 1 / curvature;
        p->newest = at;
        if (p->kept < MEMORY) p->kept++;
    }
    memcpy(p->x, p->next_x, n * sizeof *p->x);
    memcpy(p->g, p->next_g, n * sizeof *p->g);
    p->value = p->next_value;
}

bool query_lbfgs(size_t n, double *x, query_objective f, void *ctx, int most_iterations, double tolerance, query_minimum *out)
{
    size_t vectors = 4 + 2 * MEMORY;
    double *room = n < SIZE_MAX / sizeof(double) / vectors ? calloc(vectors * n + MEMORY, sizeof *room) : NULL;
    if (!room) return false;
    search p = {.n = n, .f = f, .ctx = ctx, .x = x, .g = room, .next_x = room + n, .next_g = room + 2 * n, .d = room + 3 * n,
                .s = room + 4 * n, .y = room + (4 + MEMORY) * n, .rho = room + vectors * n};
    *out = (query_minimum){0};
    p.value = f(x, p.g, n, ctx);
    for (;;) {
        out->slope = greatest(p.g, n);
        if ((out->converged = out->slope <= tolerance) || out->iterations >= most_iterations) break;
        find_direction(&p);
        if (!find_step(&p)) {
            out->converged = true;
            if (!p.kept) break;
            p.kept = 0; /* once more, downhill */
            find_direction(&p);
            if (!find_step(&p)) break;
        }
        learn(&p);
        out->iterations++;
    }
    out->value = p.value;
    free(room);
    return true;
}
