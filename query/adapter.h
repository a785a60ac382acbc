/* adapter.h: a small correction of a model's text vectors, learned from a person's own captions. */
#ifndef QUERY_ADAPTER_H
#define QUERY_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUERY_ADAPTER_RANK = 128, QUERY_ADAPTER_REPORTS = 50 };

/* t becomes the unit vector along t + up (down^T t). */
typedef struct query_adapter {
    int dim;
    float *down, *up;          /* [dim][QUERY_ADAPTER_RANK] each; up lies behind down in one block that is owned */
} query_adapter;

typedef struct query_captioned { /* photos and what is said of them */
    const float *photos;       /* [n_photos][dim] */
    const float *texts;        /* [n_texts][dim], in order of photo */
    const uint32_t *own;       /* [n_texts] photo */
    size_t n_photos, n_texts;
    int dim;
} query_captioned;

typedef struct query_adapted {
    int rounds;                /* chosen: how long was trained */
    double before[3], after[3];/* share of held-out captions whose photo is among the first 1, 5, 10 of all photos given */
    double gain, low, high;    /* mean over photos of the change in reciprocal rank, with its 95 % interval */
} query_adapted;

bool query_adapter_make(int dim, query_adapter *out); /* changes nothing yet; false when memory ran out */
void query_adapter_finish(query_adapter *a);
void query_adapter_apply(const query_adapter *a, float *texts /* [n][dim] */, size_t n);

/* Trains for `rounds` over the photos with use[photo] set (NULL: all). False when memory ran out. */
bool query_adapter_train(query_adapter *a, const query_captioned *c, const bool *use, int rounds, uint64_t seed);

/* Chooses how long to train and judges what is gained, on captions that were held out, then trains on all of them.
 * report(done, total, ctx) may be NULL. False when memory ran out. */
bool query_adapter_learn(query_adapter *a, const query_captioned *c, void (*report)(size_t done, size_t total, void *ctx), void *ctx,
                         query_adapted *out);

#endif
