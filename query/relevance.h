/* relevance.h: how likely it is that a photo shows what was asked for, beside the cosine, which only orders. */
#ifndef QUERY_RELEVANCE_H
#define QUERY_RELEVANCE_H

#include "query/open_library.h"

/* What --cut keeps when it is not told otherwise, and how many of an answer's best say how well the library answers. */
#define QUERY_RELEVANCE_CUT 0.25
enum { QUERY_RELEVANCE_DEPTH = 1000 };

typedef struct query_bank {
    float *vectors;     /* [dim][room]: one column for each text, room a multiple of 8; owned */
    float *cosines;     /* [room]: of the photo that was asked about last; owned */
    size_t n, room;
    int dim;
} query_bank;

/* The vectors of the neutral sentences, from the library's memory or encoded. Reports what goes wrong: 0 or the status. */
int query_bank_open(query_library *l, query_bank *out);
/* Whether it can be had: the library remembers it, or the model is there. */
bool query_bank_at_hand(query_library *l);
/* A bank of any other texts. False when memory ran out. */
bool query_bank_make(const float *rows /* [n][dim] */, size_t n, int dim, query_bank *out);
void query_bank_close(query_bank *b);

/* Models such as SigLIP are trained so that a cosine tells the probability by itself: then there is no bank and no height. */
typedef struct query_calibration {
    bool given;
    double scale, bias; /* the model's own: probability = sigmoid(scale * cosine + bias) */
} query_calibration;

/* What the library's model has, which is opened for it unless the library's memory shows that it is of the other kind.
 * Reports what goes wrong: 0 or the status. */
int query_calibration_open(query_library *l, query_calibration *out);
query_calibration query_calibration_of(const clip_model *m);
double query_calibrated(const query_calibration *k, float cosine);

/* A photo's cosines with the texts, [n], until the next call. */
const float *query_bank_cosines(query_bank *b, const float *photo /* [dim] */);
/* Their mean and standard deviation. */
void query_bank_level(query_bank *b, const float *photo /* [dim] */, float *mean, float *spread);

/* How far a cosine lies above those of the neutral sentences, in their standard deviations. */
float query_height(float cosine, float mean, float spread);

/* The probability for a photo of this height, when `best` is the greatest height in the library. */
double query_relevance(float height, float best);

/* The same for a whole answer, best first: relevance[n], each the least over the m questions. `best` is taken over the first
 * QUERY_RELEVANCE_DEPTH. Reports what goes wrong: 0 or the exit status. */
int query_relevance_of_hits(query_library *l, const float *questions /* [m][dim] */, size_t m, const store_hit *hits, size_t n,
                            float *relevance /* [n] */);

#endif
