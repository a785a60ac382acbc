/* zeroshot.c: a classifier made of words.
 *
 * Sentences are encoded a hundred or so at a time: the text tower works through them in its own batches, and progress can
 * be shown in between (a thousand labels in eighty sentences each take minutes). */
#include "query/zeroshot.h"
#include "query/progress_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 128 };

static void normalise(float *v, int dim)
{
    double sum = 0;
    for (int i = 0; i < dim; i++) sum += (double)v[i] * v[i];
    float scale = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (int i = 0; i < dim; i++) v[i] *= scale;
}

/* Sentence i of all of them is label i / n in sentence i % n. */
static char *sentence(const char *const *labels, const query_prompts *p, size_t i)
{
    return query_prompt_fill(p->items[i % p->n], labels[i / p->n]);
}

/* Encodes sentences first..first+count and adds each to its label's sum. */
static int add_group(query_encoder *e, const char *const *labels, const query_prompts *p, size_t first, size_t count,
                     float *vectors /* [GROUP][dim] */, float *out)
{
    char *texts[GROUP] = {0};
    size_t dim = (size_t)query_encoder_dim(e);
    int status = 0;
    for (size_t i = 0; i < count && !status; i++)
        if (!(texts[i] = sentence(labels, p, first + i))) status = cli_fail("memory ran out");
    if (!status) status = query_encode_texts(e, (const char *const *)texts, count, vectors);
    for (size_t i = 0; i < count && !status; i++) {
        float *sum = out + (first + i) / p->n * dim; /* [dim] */
        for (size_t d = 0; d < dim; d++) sum[d] += vectors[i * dim + d];
    }
    for (size_t i = 0; i < count; i++) free(texts[i]);
    return status;
}

int query_zeroshot_embed(query_encoder *e, const char *const *labels, size_t n, const query_prompts *p, float *out)
{
    size_t dim = (size_t)query_encoder_dim(e), total = n * p->n;
    float *vectors = malloc(GROUP * dim * sizeof *vectors); /* [GROUP][dim] */
    int status = vectors ? 0 : cli_fail("memory ran out");
    query_progress_line progress = query_progress_begin(e->c, "Reading labels", total);
    memset(out, 0, n * dim * sizeof *out);
    for (size_t first = 0; first < total && !status; first += GROUP) {
        size_t count = total - first < GROUP ? total - first : GROUP;
        status = add_group(e, labels, p, first, count, vectors, out);
        query_progress_show(&progress, first + count);
    }
    cli_draw_end();
    for (size_t i = 0; i < n; i++) normalise(out + i * dim, (int)dim);
    free(vectors);
    return status;
}

void query_zeroshot_scores(const float *labels, size_t n, int dim, const float *image, float *out)
{
    for (size_t i = 0; i < n; i++) {
        const float *label = labels + i * (size_t)dim; /* [dim] */
        float sum = 0;
        for (int d = 0; d < dim; d++) sum += label[d] * image[d];
        out[i] = sum;
    }
}

void query_zeroshot_softmax(float *scores, size_t n, float scale)
{
    float most = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++) most = scores[i] > most ? scores[i] : most;
    for (size_t i = 0; i < n; i++) sum += scores[i] = expf(scale * (scores[i] - most));
    for (size_t i = 0; i < n; i++) scores[i] = (float)(scores[i] / sum);
}

/* Insertion into a short list: k is 5 or so. */
void query_zeroshot_top(const float *scores, size_t n, size_t k, size_t *top)
{
    size_t have = 0;
    for (size_t i = 0; i < n && k; i++) {
        if (have == k && !(scores[i] > scores[top[k - 1]])) continue;
        size_t at = have < k ? have++ : k - 1;
        for (; at > 0 && scores[i] > scores[top[at - 1]]; at--) top[at] = top[at - 1];
        top[at] = i;
    }
}
