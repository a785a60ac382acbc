/* adapter.c: a residual of low rank on frozen text vectors, trained by the CLIP paper's loss (figure 3): symmetric cross-entropy over the
 * cosines of a batch of photos and captions, here at a fixed SCALE, by Adam (Kingma and Ba 2015). Each round shows every photo once with
 * one of its captions, drawn at random. `up` starts at zero, so that the correction starts at nothing; how long is trained is what
 * keeps it small. Only text vectors are changed: the library's stay as they are.
 *
 * Whether it gains is asked of captions that it did not see: the photos are dealt into FOLDS, each fold is ranked by a correction that was
 * trained on the others, and the number of rounds for a fold is the one that is best on the other folds. What is stored is then
 * trained on all of them, for as long as is best over all folds. */
#include "query/adapter.h"
#include "query/products.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RANK = QUERY_ADAPTER_RANK, BATCH = 512, FOLDS = 5, STEP = 2 /* rounds between two looks */, LOOKS = 10 };
static const float SCALE = 100; /* as most models end with */
static const double RATE = 1e-3;

bool query_adapter_make(int dim, query_adapter *a)
{
    size_t half = (size_t)dim * RANK;
    uint64_t seed = 1;
    *a = (query_adapter){.dim = dim, .down = calloc(2 * half, sizeof(float))};
    if (!a->down) return false;
    a->up = a->down + half;
    for (size_t i = 0; i < half; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        a->down[i] = (float)(((double)(seed >> 11) * 0x1p-53 - 0.5) * sqrt(12.0 / dim)); /* deviation 1 / sqrt(dim) */
    }
    return true;
}

void query_adapter_finish(query_adapter *a)
{
    free(a->down);
    *a = (query_adapter){0};
}

static float length_of(const float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)v[i] * (double)v[i];
    return (float)sqrt(sum);
}

void query_adapter_apply(const query_adapter *a, float *texts, size_t n)
{
    size_t dim = (size_t)a->dim;
    for (size_t i = 0; i < n; i++) {
        float *t = texts + i * dim, small[RANK] = {0};
        for (size_t d = 0; d < dim; d++)
            for (int r = 0; r < RANK; r++) small[r] += t[d] * a->down[d * RANK + (size_t)r];
        for (size_t d = 0; d < dim; d++)
            for (int r = 0; r < RANK; r++) t[d] += small[r] * a->up[d * RANK + (size_t)r];
        float length = length_of(t, dim);
        for (size_t d = 0; d < dim && length > 0; d++) t[d] /= length;
    }
}

/* ---- training ---- */

typedef struct trainer {
    query_adapter *a;
    const query_captioned *c;
    size_t dim, *photos, n;       /* the photos that are trained on */
    size_t *first;                /* [n_photos + 1] each photo's captions */
    double *moments;              /* [2][2 dim RANK] Adam's */
    size_t steps;
    uint64_t seed;
    float *room;                  /* one block for all that follows; b: the batch's length */
    float *t, *x, *turned;        /* [b][dim] texts, photos, [dim][b] photos turned */
    float *small;                 /* [b][RANK] texts through down */
    float *o, *length;            /* [b][dim] corrected texts of unit length, [b] the length they had */
    float *s, *s_turned;          /* [b][b] cosines times SCALE, then derivatives */
    float *g, *g_small;           /* [b][dim], [b][RANK] derivatives */
    float *turn, *gradient;       /* [dim][b] scratch, [2 dim RANK] */
} trainer;

static uint64_t next(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void forward(trainer *p, size_t b)
{
    size_t dim = p->dim;
    memset(p->small, 0, b * RANK * sizeof *p->small);
    query_products(p->t, p->a->down, p->small, b, dim, RANK);
    query_transpose(p->a->up, p->turn, dim, RANK); /* [RANK][dim] */
    memcpy(p->o, p->t, b * dim * sizeof *p->o);
    query_products(p->small, p->turn, p->o, b, RANK, dim);
    for (size_t i = 0; i < b; i++) {
        float *o = p->o + i * dim;
        p->length[i] = fmaxf(length_of(o, dim), 1e-6f);
        for (size_t d = 0; d < dim; d++) o[d] /= p->length[i];
    }
    query_transpose(p->x, p->turned, b, dim);
    memset(p->s, 0, b * b * sizeof *p->s);
    query_products(p->o, p->turned, p->s, b, dim, b);
}

/* The derivative of the mean of both cross-entropies by the cosines, in s. */
static void lose(trainer *p, size_t b)
{
    float *columns = p->s_turned;
    query_transpose(p->s, columns, b, b);
    for (int way = 0; way < 2; way++) {
        float *m = way ? columns : p->s;
        for (size_t i = 0; i < b; i++) {
            float *row = m + i * b, most = row[0];
            double sum = 0;
            for (size_t j = 1; j < b; j++) most = fmaxf(most, row[j]);
            for (size_t j = 0; j < b; j++) sum += row[j] = expf(SCALE * (row[j] - most));
            for (size_t j = 0; j < b; j++) row[j] = (float)(row[j] / sum) - (i == j);
        }
    }
    for (size_t i = 0; i < b; i++)
        for (size_t j = 0; j < b; j++) p->s[i * b + j] = SCALE * (p->s[i * b + j] + columns[j * b + i]) / (2 * (float)b);
}

static void backward(trainer *p, size_t b)
{
    size_t dim = p->dim, half = dim * RANK;
    memset(p->g, 0, b * dim * sizeof *p->g);
    query_products(p->s, p->x, p->g, b, b, dim);
    for (size_t i = 0; i < b; i++) { /* through the normalisation */
        float *g = p->g + i * dim, *o = p->o + i * dim;
        double along = 0;
        for (size_t d = 0; d < dim; d++) along += (double)g[d] * (double)o[d];
        for (size_t d = 0; d < dim; d++) g[d] = (g[d] - (float)along * o[d]) / p->length[i];
    }
    memset(p->gradient, 0, 2 * half * sizeof *p->gradient);
    memset(p->g_small, 0, b * RANK * sizeof *p->g_small);
    query_transpose(p->g, p->turn, b, dim);                                    /* [dim][b] */
    query_products(p->turn, p->small, p->gradient + half, dim, b, RANK);       /* of up */
    query_products(p->g, p->a->up, p->g_small, b, dim, RANK);
    query_transpose(p->t, p->turn, b, dim);
    query_products(p->turn, p->g_small, p->gradient, dim, b, RANK);            /* of down */
}

static void step(trainer *p)
{
    size_t n = 2 * p->dim * RANK;
    float *w = p->a->down; /* up lies behind it */
    p->steps++;
    double c1 = 1 - pow(0.9, (double)p->steps), c2 = 1 - pow(0.999, (double)p->steps);
    for (size_t i = 0; i < n; i++) {
        double g = (double)p->gradient[i], *m = &p->moments[i], *v = &p->moments[n + i];
        *m = 0.9 * *m + 0.1 * g;
        *v = 0.999 * *v + 0.001 * g * g;
        w[i] -= (float)(RATE * (*m / c1) / (sqrt(*v / c2) + 1e-8));
    }
}

static void train_batch(trainer *p, const size_t *photos, size_t b)
{
    size_t dim = p->dim;
    for (size_t i = 0; i < b; i++) {
        size_t photo = photos[i], count = p->first[photo + 1] - p->first[photo];
        size_t text = p->first[photo] + (size_t)(next(&p->seed) % count);
        memcpy(p->t + i * dim, p->c->texts + text * dim, dim * sizeof *p->t);
        memcpy(p->x + i * dim, p->c->photos + photo * dim, dim * sizeof *p->x);
    }
    forward(p, b);
    lose(p, b);
    backward(p, b);
    step(p);
}

static void train_rounds(trainer *p, int rounds)
{
    for (int r = 0; r < rounds; r++) {
        for (size_t i = p->n; i > 1; i--) {
            size_t j = (size_t)(next(&p->seed) % i), was = p->photos[i - 1];
            p->photos[i - 1] = p->photos[j], p->photos[j] = was;
        }
        size_t batches = (p->n + BATCH - 1) / BATCH;
        for (size_t k = 0; k < batches; k++) {
            size_t from = p->n * k / batches, to = p->n * (k + 1) / batches;
            if (to - from > 1) train_batch(p, p->photos + from, to - from);
        }
    }
}

static bool open_trainer(trainer *p, query_adapter *a, const query_captioned *c, const bool *use, uint64_t seed)
{
    size_t dim = (size_t)c->dim, b = BATCH;
    *p = (trainer){.a = a, .c = c, .dim = dim, .seed = seed};
    p->photos = malloc((c->n_photos + 1) * sizeof *p->photos);
    p->first = calloc(c->n_photos + 2, sizeof *p->first);
    p->moments = calloc(4 * dim * RANK, sizeof *p->moments);
    p->room = malloc((6 * b * dim + 2 * b * RANK + b + 2 * b * b + 2 * dim * RANK + dim * RANK) * sizeof *p->room);
    if (!p->photos || !p->first || !p->moments || !p->room) return false;
    float *at = p->room;
    p->t = at, at += b * dim;
    p->x = at, at += b * dim;
    p->turned = at, at += b * dim;
    p->o = at, at += b * dim;
    p->g = at, at += b * dim;
    p->turn = at, at += b * dim + dim * RANK;
    p->small = at, at += b * RANK;
    p->g_small = at, at += b * RANK;
    p->length = at, at += b;
    p->s = at, at += b * b;
    p->s_turned = at, at += b * b;
    p->gradient = at;
    for (size_t i = 0; i < c->n_texts; i++) p->first[c->own[i] + 1]++;
    for (size_t i = 0; i < c->n_photos; i++) {
        if (p->first[i + 1] && (!use || use[i])) p->photos[p->n++] = i;
        p->first[i + 1] += p->first[i];
    }
    return true;
}

static void close_trainer(trainer *p)
{
    free(p->photos);
    free(p->first);
    free(p->moments);
    free(p->room);
}

bool query_adapter_train(query_adapter *a, const query_captioned *c, const bool *use, int rounds, uint64_t seed)
{
    trainer p;
    bool ok = open_trainer(&p, a, c, use, seed);
    if (ok) train_rounds(&p, rounds);
    close_trainer(&p);
    return ok;
}

/* ---- judging ---- */

/* Where its own photo stands among all, for each caption of the photos that are not used; others' ranks are left as they are. */
static bool rank_captions(const query_adapter *a, const query_captioned *c, const bool *use, uint32_t *ranks /* [n_texts] */)
{
    enum { BLOCK = 64 };
    size_t dim = (size_t)c->dim, n = c->n_photos;
    float *turned = malloc((dim * n + 1) * sizeof *turned), *t = malloc(BLOCK * dim * sizeof *t), *s = malloc((BLOCK * n + 1) * sizeof *s);
    size_t which[BLOCK];
    bool ok = turned && t && s;
    if (ok) query_transpose(c->photos, turned, n, dim);
    for (size_t i = 0; ok && i < c->n_texts;) {
        size_t b = 0;
        for (; i < c->n_texts && b < BLOCK; i++)
            if (!use[c->own[i]]) memcpy(t + b * dim, c->texts + i * dim, dim * sizeof *t), which[b++] = i;
        if (a) query_adapter_apply(a, t, b);
        memset(s, 0, b * n * sizeof *s);
        query_products(t, turned, s, b, dim, n);
        for (size_t k = 0; k < b; k++) {
            size_t own = c->own[which[k]];
            uint32_t rank = 0;
            for (size_t j = 0; j < n; j++) rank += s[k * n + j] > s[k * n + own] || (s[k * n + j] == s[k * n + own] && j < own);
            ranks[which[k]] = rank;
        }
    }
    free(turned);
    free(t);
    free(s);
    return ok;
}

typedef struct judge {
    const query_captioned *c;
    uint8_t *fold;           /* [n_photos] */
    bool *use;               /* [n_photos] */
    uint32_t *ranks;         /* [LOOKS + 1][n_texts]; 0: without a correction */
    void (*report)(size_t, size_t, void *);
    void *ctx;
    size_t done;
} judge;

static bool look_at_fold(judge *j, size_t fold)
{
    trainer p;
    query_adapter a;
    for (size_t i = 0; i < j->c->n_photos; i++) j->use[i] = j->fold[i] != fold;
    bool ok = query_adapter_make(j->c->dim, &a), opened = false;
    if (ok) ok = rank_captions(NULL, j->c, j->use, j->ranks);
    if (ok) ok = opened = open_trainer(&p, &a, j->c, j->use, fold + 1);
    for (size_t k = 1; k <= LOOKS && ok; k++) {
        train_rounds(&p, STEP);
        ok = rank_captions(&a, j->c, j->use, j->ranks + k * j->c->n_texts);
        if (j->report) j->report(++j->done, FOLDS * LOOKS, j->ctx);
    }
    if (opened) close_trainer(&p);
    query_adapter_finish(&a);
    return ok;
}

/* The mean reciprocal rank after `look` of captions whose fold is not `without` (FOLDS: of all). */
static double mean_rank(const judge *j, size_t look, size_t without)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < j->c->n_texts; i++)
        if (j->fold[j->c->own[i]] != without) sum += 1 / (1.0 + j->ranks[look * j->c->n_texts + i]), n++;
    return n > 0 ? sum / n : 0;
}

static size_t best_look(const judge *j, size_t without)
{
    size_t best = 1;
    for (size_t k = 2; k <= LOOKS; k++)
        if (mean_rank(j, k, without) > mean_rank(j, best, without)) best = k;
    return best;
}

static bool sum_up(const judge *j, query_adapted *out)
{
    static const uint32_t cuts[3] = {1, 5, 10};
    size_t best[FOLDS], n = j->c->n_texts;
    double *gain = calloc(2 * j->c->n_photos, sizeof *gain), *texts = gain + j->c->n_photos, photos = 0, squares = 0;
    if (!gain) return false;
    for (size_t f = 0; f < FOLDS; f++) best[f] = best_look(j, f);
    for (size_t i = 0; i < n; i++) {
        uint32_t before = j->ranks[i], after = j->ranks[best[j->fold[j->c->own[i]]] * n + i];
        for (int k = 0; k < 3; k++) out->before[k] += (before < cuts[k]) / (double)n, out->after[k] += (after < cuts[k]) / (double)n;
        gain[j->c->own[i]] += 1 / (1.0 + after) - 1 / (1.0 + before);
        texts[j->c->own[i]]++;
    }
    for (size_t i = 0; i < j->c->n_photos; i++)
        if (texts[i] > 0) out->gain += gain[i] /= texts[i], photos++;
    out->gain /= photos;
    for (size_t i = 0; i < j->c->n_photos; i++)
        if (texts[i] > 0) squares += pow(gain[i] - out->gain, 2);
    double half = photos > 1 ? 1.96 * sqrt(squares / (photos - 1) / photos) : INFINITY;
    out->low = out->gain - half, out->high = out->gain + half;
    free(gain);
    return true;
}

bool query_adapter_learn(query_adapter *a, const query_captioned *c, void (*report)(size_t, size_t, void *), void *ctx, query_adapted *out)
{
    judge j = {.c = c, .report = report, .ctx = ctx};
    uint64_t seed = 3;
    *out = (query_adapted){0};
    j.fold = malloc(c->n_photos + 1);
    j.use = malloc((c->n_photos + 1) * sizeof *j.use);
    j.ranks = calloc((LOOKS + 1) * c->n_texts + 1, sizeof *j.ranks);
    bool ok = j.fold && j.use && j.ranks;
    for (size_t i = 0; ok && i < c->n_photos; i++) j.fold[i] = (uint8_t)(i % FOLDS);
    for (size_t i = c->n_photos; ok && i > 1; i--) {
        size_t k = (size_t)(next(&seed) % i);
        uint8_t was = j.fold[i - 1];
        j.fold[i - 1] = j.fold[k], j.fold[k] = was;
    }
    for (size_t f = 0; f < FOLDS && ok; f++) ok = look_at_fold(&j, f);
    if (ok) ok = sum_up(&j, out);
    if (ok) out->rounds = STEP * (int)best_look(&j, FOLDS);
    ok = ok && query_adapter_train(a, c, NULL, out->rounds, 11);
    free(j.fold);
    free(j.use);
    free(j.ranks);
    return ok;
}
