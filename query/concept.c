/* concept.c: a classifier from a few examples, and searching with it.
 *
 * Learning is logistic regression (logistic.c) of the examples against the rest of the library, whose photos are weak negatives:
 * most of them do not show the thing, some do. All of them together weigh as much as the examples. Measured over 24 words that
 * captions of 1,000 photos name, five examples each, as the mean average precision of the ranking: unlabelled photos weighing
 * together 0.3, 1, 3, 10 and 100 times the examples 0.422, 0.418, 0.412, 0.400, 0.374.
 *
 * The words that name the thing, when there are any, are one more feature: the photo's cosine with them, standardised, times
 * WORDS. The penalty on it is so small that it is used where the examples agree with it. The same mean: the words alone 0.493,
 * five examples alone 0.418, both 0.534; with the words of some other thing 0.404. Because the feature is linear in the
 * photo's vector, what was learned is still one direction and one bias, and searching with it needs nothing else.
 *
 * The strength comes from cross-validation by the loss on examples held out; their scores then make a probability out of the
 * score (Platt 1999, "Probabilistic outputs for support vector machines", with his smoothed targets), as if one photo in
 * RARITY + 1 showed the thing. */
#include "query/concept.h"
#include "query/logistic.h"
#include "query/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FOLDS = 5, ITERATIONS = 200, RARITY = 10 };
static const double strengths[] = {1, 3, 10, 30};
enum { STRENGTHS = sizeof strengths / sizeof *strengths };
static const double WORDS = 0.4;

/* ---- features ---- */

typedef struct bench { /* what is learned from, ready for logistic.c */
    const query_examples *e;
    size_t n, dim;        /* dim: with the words' feature */
    float *x;             /* [n][dim] */
    uint32_t *label;      /* [n] 1: shows it */
    float *weight;        /* [n] */
    uint8_t *fold;        /* [n] */
    double mean, scale;   /* the words' feature is (cosine - mean) * scale */
    double *held;         /* [n] scores by a fit that did not see the photo */
    double *trial;        /* [n] the same for the strength that is tried */
} bench;

static double cosine(const query_examples *e, size_t i)
{
    double sum = 0;
    for (int d = 0; d < e->dim; d++) sum += (double)e->words[d] * (double)e->x[i * (size_t)e->dim + (size_t)d];
    return sum;
}

static void level_words(bench *b)
{
    double sum = 0, squares = 0, n = (double)b->n;
    for (size_t i = 0; i < b->n; i++) sum += cosine(b->e, i);
    b->mean = sum / n;
    for (size_t i = 0; i < b->n; i++) squares += pow(cosine(b->e, i) - b->mean, 2);
    b->scale = squares > 0 ? WORDS / sqrt(squares / n) : 0;
}

static bool make_bench(bench *b, const query_examples *e)
{
    *b = (bench){.e = e, .n = e->yes + e->no + e->unlabelled, .dim = (size_t)e->dim + (e->words != NULL)};
    b->x = malloc(b->n * b->dim * sizeof *b->x);
    b->label = calloc(b->n, sizeof *b->label);
    b->weight = malloc(b->n * sizeof *b->weight);
    b->fold = malloc(b->n);
    b->held = calloc(2 * b->n, sizeof *b->held);
    if (!b->x || !b->label || !b->weight || !b->fold || !b->held) return false;
    b->trial = b->held + b->n;
    if (e->words) level_words(b);
    for (size_t i = 0; i < b->n; i++) {
        size_t unlabelled = i - (i < e->yes ? 0 : i < e->yes + e->no ? e->yes : e->yes + e->no); /* place in its group */
        memcpy(b->x + i * b->dim, e->x + i * (size_t)e->dim, (size_t)e->dim * sizeof *b->x);
        if (e->words) b->x[i * b->dim + (size_t)e->dim] = (float)((cosine(e, i) - b->mean) * b->scale);
        b->label[i] = i < e->yes;
        b->weight[i] = i < e->yes + e->no ? 1 : (float)e->yes / (float)e->unlabelled;
        b->fold[i] = (uint8_t)(unlabelled % FOLDS);
    }
    return true;
}

static void free_bench(bench *b)
{
    free(b->x);
    free(b->label);
    free(b->weight);
    free(b->fold);
    free(b->held);
}

/* ---- fitting ---- */

/* Over all but one fold (FOLDS: over all). */
static bool fit(const bench *b, double strength, size_t without, double *w /* [dim + 1] */)
{
    query_logistic l = {.classes = 2, .dim = (int)b->dim, .strength = strength, .threads = b->e->threads};
    float *x = malloc(b->n * b->dim * sizeof *x), *weight = malloc(b->n * sizeof *weight);
    uint32_t *label = malloc(b->n * sizeof *label);
    bool ok = x && weight && label;
    for (size_t i = 0; ok && i < b->n; i++) {
        if (b->fold[i] == without) continue;
        memcpy(x + l.n * b->dim, b->x + i * b->dim, b->dim * sizeof *x);
        weight[l.n] = b->weight[i];
        label[l.n++] = b->label[i];
    }
    l.x = x, l.weight = weight, l.label = label;
    ok = ok && query_logistic_fit(&l, w, ITERATIONS);
    free(x);
    free(weight);
    free(label);
    return ok;
}

/* The loss on photos that the fit did not see. */
static bool try_strength(const bench *b, double strength, double *loss)
{
    double *w = malloc((b->dim + 1) * sizeof *w); /* [dim + 1] */
    bool ok = w != NULL;
    *loss = 0;
    for (size_t f = 0; f < FOLDS && ok; f++) {
        memset(w, 0, (b->dim + 1) * sizeof *w);
        ok = fit(b, strength, f, w);
        for (size_t i = 0; ok && i < b->n; i++) {
            if (b->fold[i] != f) continue;
            query_logistic_scores(w, 1, (int)b->dim, b->x + i * b->dim, &b->trial[i]);
            double margin = b->label[i] ? b->trial[i] : -b->trial[i];
            *loss += (double)b->weight[i] * (margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin);
        }
    }
    free(w);
    return ok;
}

static bool choose_strength(bench *b, double *strength)
{
    double least = INFINITY, loss;
    for (size_t k = 0; k < STRENGTHS; k++) {
        if (!try_strength(b, strengths[k], &loss)) return false;
        if (!(loss < least)) continue;
        least = loss;
        *strength = strengths[k];
        memcpy(b->held, b->trial, b->n * sizeof *b->held);
    }
    return true;
}

/* How often a held-out example lies above a held-out photo that is none. */
static double separate(const bench *b)
{
    double above = 0, others = (double)(b->n - b->e->yes);
    for (size_t i = 0; i < b->e->yes; i++)
        for (size_t j = b->e->yes; j < b->n; j++) above += (b->held[i] > b->held[j]) + 0.5 * (b->held[i] == b->held[j]);
    return above / ((double)b->e->yes * others);
}

/* ---- from scores to probabilities ---- */

/* score -> a score + c by Newton's method on Platt's loss, over standardised scores. */
static void calibrate(const bench *b, double *a, double *c)
{
    double mean = 0, squares = 0, n = (double)b->n, yes = (double)b->e->yes, others = (double)(b->n - b->e->yes);
    for (size_t i = 0; i < b->n; i++) mean += b->held[i] / n;
    for (size_t i = 0; i < b->n; i++) squares += pow(b->held[i] - mean, 2) / n;
    double scale = squares > 0 ? 1 / sqrt(squares) : 1, slope = 1, shift = 0;
    double high = (yes + 1) / (yes + 2), low = 1 / (RARITY * yes + 2);
    for (int step = 0; step < 100; step++) {
        double g0 = 0, g1 = 0, h00 = 1e-9, h01 = 0, h11 = 1e-9;
        for (size_t i = 0; i < b->n; i++) {
            double x = (b->held[i] - mean) * scale, weight = b->label[i] ? 1 : RARITY * yes / others;
            double p = query_logistic_sigmoid(slope * x + shift), r = weight * (p - (b->label[i] ? high : low));
            double s = weight * fmax(p * (1 - p), 1e-6);
            g0 += r * x, g1 += r, h00 += s * x * x, h01 += s * x, h11 += s;
        }
        double det = h00 * h11 - h01 * h01, d0 = (h11 * g0 - h01 * g1) / det, d1 = (h00 * g1 - h01 * g0) / det;
        double most = fmax(fabs(d0), fabs(d1)), part = most > 2 ? 2 / most : 1;
        slope -= part * d0, shift -= part * d1;
        if (most < 1e-9) break;
    }
    if (!(slope > 0)) slope = 0.1; /* held-out examples rank no better than chance: little is claimed */
    *a = slope * scale;
    *c = shift - slope * scale * mean;
}

bool query_concept_learn(const query_examples *e, float *weights, query_learned *out)
{
    bench b;
    size_t dim = (size_t)e->dim;
    *out = (query_learned){.strength = strengths[1], .separation = NAN};
    double *w = calloc(dim + 2, sizeof *w), a = 1, c = -log(RARITY); /* [dim + 1 or 2] */
    bool ok = make_bench(&b, e) && w;
    bool enough = e->yes >= 2 && e->no + e->unlabelled >= FOLDS;
    if (ok && enough) ok = choose_strength(&b, &out->strength);
    if (ok && enough) out->separation = separate(&b), calibrate(&b, &a, &c);
    ok = ok && fit(&b, out->strength, FOLDS, w);
    if (ok) {
        double of_words = e->words ? w[dim] * b.scale : 0;
        for (size_t d = 0; d < dim; d++) weights[d] = (float)(a * (w[d] + (e->words ? of_words * (double)e->words[d] : 0)));
        out->bias = a * (w[b.dim] - of_words * b.mean) + c;
    }
    free_bench(&b);
    free(w);
    return ok;
}

/* ---- using ---- */

/* What is there under this name for other models. */
static int explain_missing(query_library *l, const char *name)
{
    store_error err = {0};
    store_concept *all = NULL;
    store_model *models = NULL;
    size_t n = 0, n_models = 0;
    const char *other = NULL;
    if (store_concepts(l->store, &all, &n, &err) || store_models(l->store, &models, &n_models, &err)) cli_fail("%s", err.text);
    for (size_t i = 0; i < n && !err.text[0]; i++)
        for (size_t m = 0; m < n_models && strcasecmp(all[i].name, name) == 0; m++)
            if (strcmp(models[m].fingerprint, all[i].fingerprint) == 0) other = models[m].name;
    if (!err.text[0] && other)
        cli_fail("\"%s\" was learned with the model %s, and the question is asked with %s.\nEither search with --model %s, or "
                 "teach it again: clipsearch learn %s --model %s --yes FILE...", name, other, l->model.name, other, name, l->model.name);
    else if (!err.text[0])
        cli_fail("nothing was learned under the name \"%s\"; clipsearch learn --list shows what was.\nTo teach it, type: "
                 "clipsearch learn %s --yes FILE...", name, name);
    store_concepts_free(all, n);
    free(models);
    return 2;
}

int query_concept_open(query_library *l, const char *name, store_concept *out)
{
    store_error err = {0};
    store_status st = store_concept_get(l->store, name, l->model.fingerprint, out, &err);
    if (st == STORE_E_NOT_FOUND) return explain_missing(l, name);
    if (st) return cli_fail("%s", err.text);
    if (out->dim == l->model.dim) return 0;
    store_concept_finish(out);
    return cli_fail("what was learned of \"%s\" does not fit its model: type \"clipsearch check --repair\", and learn it again", name);
}

int query_concept_ask(query_library *l, const query_term *t, float *vector)
{
    store_concept c;
    double squares = 0;
    int status = query_concept_open(l, t->body, &c);
    if (status) return status;
    for (int d = 0; d < c.dim; d++) squares += (double)c.weights[d] * (double)c.weights[d];
    if (squares > 0)
        for (int d = 0; d < c.dim; d++) vector[d] = (float)((double)c.weights[d] / sqrt(squares));
    else status = cli_fail("\"%s\" says nothing: its examples looked like all other photos", t->body);
    store_concept_finish(&c);
    return status;
}

int query_concept_relevance(query_library *l, const query_term *t, const store_hit *hits, size_t n, float *relevance)
{
    store_concept c;
    store_error err = {0};
    int status = query_concept_open(l, t->body, &c);
    if (status) return status;
    float *photo = malloc((size_t)c.dim * sizeof *photo); /* [dim] */
    size_t *order = query_reading_order(hits, n);
    bool looking = false;
    if (!photo || !order) status = cli_fail("memory ran out");
    else if (store_look_begin(l->store, &looking, &err)) status = cli_fail("%s", err.text);
    for (size_t at = 0; at < n && !status; at++) {
        size_t i = order[at];
        store_status st = store_vector_get(l->store, hits[i].photo_id, l->model.id, photo, &err);
        double score = c.bias;
        if (st && st != STORE_E_NOT_FOUND) status = cli_fail("%s", err.text);
        for (int d = 0; d < c.dim && !st; d++) score += (double)c.weights[d] * (double)photo[d];
        relevance[i] = fminf(relevance[i], st ? 0 : (float)query_logistic_sigmoid(score));
    }
    store_look_end(l->store, looking);
    free(order);
    free(photo);
    store_concept_finish(&c);
    return status;
}
