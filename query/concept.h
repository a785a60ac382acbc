/* concept.h: a classifier from a few examples. Paper section 3.2's linear probe, for one thing that a person shows. */
#ifndef QUERY_CONCEPT_H
#define QUERY_CONCEPT_H

#include "query/open_library.h"
#include "query/term.h"

/* ---- learning: pure ---- */

typedef struct query_examples {
    const float *x;            /* [yes + no + unlabelled][dim], in this order */
    size_t yes, no, unlabelled;
    int dim;
    const float *words;        /* [dim] unit vector of a text that says what it is; NULL: none */
    int threads;
} query_examples;

typedef struct query_learned {
    double strength;           /* C, chosen by cross-validation */
    double separation;         /* how often a held-out example lies above a held-out other photo; NAN: too few to tell */
    double bias;
} query_learned;

/* weights[dim]. False when memory ran out. */
bool query_concept_learn(const query_examples *e, float *weights, query_learned *out);

/* ---- using ---- */

/* What the library holds under this name for its model; reports what to do when that is nothing. 0 or the exit status. */
int query_concept_open(query_library *l, const char *name, store_concept *out);
/* The direction in which the concept lies, of unit length. */
int query_concept_ask(query_library *l, const query_term *t, float *vector /* [dim] */);
/* relevance[i] becomes the lesser of itself and the probability that hit i shows it. */
int query_concept_relevance(query_library *l, const query_term *t, const store_hit *hits, size_t n, float *relevance);

#endif
