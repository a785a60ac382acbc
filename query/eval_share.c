/* eval_share.c: a share and how far it can be trusted.
 *
 * Wilson's interval (1927) keeps to 0..1 and is right near the ends, where the textbook's p ± 1.96·se is not. It wants
 * independent trials. Five captions of one photo are not: for them the trials are counted as
 *
 *     n' = p (1 - p) / v,  v = sum over groups of (hits - p · size)² / n² · G / (G - 1)
 *
 * which is the number of independent ones with the variance that the groups show (the survey statistician's design effect). */
#include "query/eval.h"

#include <jansson.h>
#include <math.h>

static const double Z = 1.959963984540054; /* of the normal distribution, 95 % two-sided */

query_share query_share_of(double hits, double n)
{
    if (!(n > 0)) return (query_share){0, 0, 1};
    double p = hits / n, z2 = Z * Z / n, centre = (p + z2 / 2) / (1 + z2);
    double half = Z / (1 + z2) * sqrt(p * (1 - p) / n + z2 / (4 * n));
    query_share s = {p, centre - half, centre + half};
    if (s.low < 0 || hits <= 0) s.low = 0; /* rounding */
    if (s.high > 1 || hits >= n) s.high = 1;
    return s;
}

query_share query_share_grouped(const double *hits, const double *sizes, size_t groups)
{
    double h = 0, n = 0, squares = 0;
    for (size_t g = 0; g < groups; g++) h += hits[g], n += sizes[g];
    if (!(n > 0)) return query_share_of(0, 0);
    double p = h / n;
    for (size_t g = 0; g < groups; g++) squares += (hits[g] - p * sizes[g]) * (hits[g] - p * sizes[g]);
    double worth = groups < n ? (double)groups : n; /* all hits or none: the groups show no variance to go by */
    if (squares > 0 && groups > 1) worth = p * (1 - p) * n * n / squares * (double)(groups - 1) / (double)groups;
    if (worth > n) worth = n;
    return query_share_of(p * worth, worth);
}

query_share query_share_mean(const double *values, size_t groups)
{
    double sum = 0, squares = 0;
    for (size_t g = 0; g < groups; g++) sum += values[g];
    double mean = groups ? sum / (double)groups : 0;
    for (size_t g = 0; g < groups; g++) squares += (values[g] - mean) * (values[g] - mean);
    if (!(squares > 0)) return query_share_of(sum, (double)groups); /* all alike, which does not mean certain */
    double half = Z * sqrt(squares / (double)(groups - 1) / (double)groups);
    return (query_share){mean, fmax(0, mean - half), fmin(1, mean + half)};
}

const char *query_share_text(query_share s, char room[48])
{
    snprintf(room, 48, "%.1f %% (%.1f to %.1f)", 100 * s.value, 100 * s.low, 100 * s.high);
    return room;
}

void query_share_json(void *object, const char *name, query_share s)
{
    json_t *share = json_object();
    json_object_set_new(share, "value", json_real(s.value));
    json_object_set_new(share, "low", json_real(s.low));
    json_object_set_new(share, "high", json_real(s.high));
    json_object_set_new(object, name, share);
}
