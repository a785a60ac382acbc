/* eval.h: what the kinds of `clipsearch eval` share. */
#ifndef QUERY_EVAL_H
#define QUERY_EVAL_H

#include "query/encode.h"
#include "query/prompts.h"

typedef struct query_eval {
    cli *c;
    query_encoder encoder;
    clip_precision precision;
    const char *templates;   /* --templates */
    const char *names;       /* --names */
    const char *cache;       /* --cache: see kept_vectors.h */
    const char *test;        /* --test: a folder of its own to test on */
    bool json;
} query_eval;

/* A share of n trials with its 95 % interval, all from 0 to 1. */
typedef struct query_share { double value, low, high; } query_share;

/* Wilson's score interval for `hits` of n. n may be fewer than there were, and no whole number: see query_share_grouped. */
query_share query_share_of(double hits, double n);

/* For trials that come in groups which tend to agree, as the captions of one photo do: hits[g] of sizes[g]. Wilson's interval
 * for as many independent trials as would vary as much as these groups do, and never more than there are. */
query_share query_share_grouped(const double *hits, const double *sizes, size_t groups);

/* The mean of one value a group, as if the groups had been drawn from many: 1.96 standard errors either way. */
query_share query_share_mean(const double *values, size_t groups);

/* "21.3 % (19.9 to 22.8)" */
const char *query_share_text(query_share s, char room[48]);
/* Into a jansson object: {"value": , "low": , "high": }. */
void query_share_json(void *object, const char *name, query_share s);

/* The model and how it was asked, into a jansson object. */
void query_eval_json_head(void *object, query_eval *v, const char *task);

int query_eval_retrieval(query_eval *v, const char *captions, const char *folder);
int query_eval_zeroshot(query_eval *v, const char *folder);
int query_eval_probe(query_eval *v, const char *folder);

/* ---- the arithmetic of retrieval, apart so that it can be tested ---- */

/* For each of n queries the rank (0 best) of its nearest own item among m: own(q, i) by equal group numbers. Of equal
 * scores the earlier item comes first. False when memory ran out. */
bool query_retrieval_ranks(const float *queries /* [n][dim] */, const size_t *query_groups, size_t n,
                           const float *items /* [m][dim] */, const size_t *item_groups, size_t m, int dim, size_t *ranks /* [n] */);

#endif
