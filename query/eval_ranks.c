/* eval_ranks.c: where among all items the nearest of a query's own stands.
 *
 * Every query meets every item: 5,000 captions and 1,000 photos are 2.5 thousand million products at dim 512. The items lie
 * turned, dim by dim, so that the inner loop runs over neighbours in memory and the compiler may use vectors without
 * changing the order of a sum. */
#include "query/eval.h"

#include <stdlib.h>
#include <string.h>

static void score_all(const float *query, const float *turned /* [dim][m] */, size_t m, int dim, float *scores /* [m] */)
{
    memset(scores, 0, m * sizeof *scores);
    for (int d = 0; d < dim; d++) {
        const float *row = turned + (size_t)d * m; /* [m] */
        float q = query[d];
        for (size_t i = 0; i < m; i++) scores[i] += q * row[i];
    }
}

static size_t rank_of_best(const float *scores, const size_t *groups, size_t m, size_t own)
{
    size_t best = m, rank = 0;
    for (size_t i = 0; i < m; i++)
        if (groups[i] == own && (best == m || scores[i] > scores[best])) best = i;
    if (best == m) return m;
    for (size_t i = 0; i < m; i++) rank += scores[i] > scores[best] || (scores[i] == scores[best] && i < best);
    return rank;
}

bool query_retrieval_ranks(const float *queries, const size_t *query_groups, size_t n, const float *items, const size_t *item_groups,
                           size_t m, int dim, size_t *ranks)
{
    float *turned = malloc(((size_t)dim * m + 1) * sizeof *turned); /* [dim][m] */
    float *scores = malloc((m + 1) * sizeof *scores);               /* [m] */
    bool ok = turned && scores;
    for (size_t i = 0; ok && i < m; i++)
        for (int d = 0; d < dim; d++) turned[(size_t)d * m + i] = items[i * (size_t)dim + (size_t)d];
    for (size_t q = 0; ok && q < n; q++) {
        score_all(queries + q * (size_t)dim, turned, m, dim, scores);
        ranks[q] = rank_of_best(scores, item_groups, m, query_groups[q]);
    }
    free(turned);
    free(scores);
    return ok;
}
