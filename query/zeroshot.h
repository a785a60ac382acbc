/* zeroshot.h: a classifier made of words. Paper section 3.1: one vector for each label, the mean of many sentences. */
#ifndef QUERY_ZEROSHOT_H
#define QUERY_ZEROSHOT_H

#include "query/encode.h"
#include "query/prompts.h"

/* Unit vectors of n labels: each label in each sentence, unit length, averaged, unit length again. Reports what goes
 * wrong: 0 or the exit status. */
int query_zeroshot_embed(query_encoder *e, const char *const *labels, size_t n, const query_prompts *p, float *out /* [n][dim] */);

/* The cosine of each label with one picture. */
void query_zeroshot_scores(const float *labels /* [n][dim] */, size_t n, int dim, const float *image /* [dim] */, float *out /* [n] */);

/* softmax(scale * scores), in place: what the model takes for the labels' chances when the picture is one of them.
 * scale: clip_model_info's logit_scale. */
void query_zeroshot_softmax(float *scores, size_t n, float scale);

/* The places of the k highest scores, best first; of equal ones the earlier label first. k <= n. */
void query_zeroshot_top(const float *scores, size_t n, size_t k, size_t *top /* [k] */);

#endif
