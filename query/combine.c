/* combine.c: a weighted sum, brought back to unit length.
 *
 * rclip leaves the sum as it is, so that its scores grow with the number of terms. Here a score is always a cosine,
 * whatever was asked, and --min-score means one thing; the order of results is the same either way. */
#include "query/combine.h"

#include <math.h>
#include <string.h>

bool query_combine(const query_term *terms, size_t n, const float *vectors, int dim, float *out)
{
    double square = 0, weights = 0;
    memset(out, 0, (size_t)dim * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        weights += fabs((double)terms[i].weight);
        for (int d = 0; d < dim; d++) out[d] += terms[i].weight * vectors[i * (size_t)dim + (size_t)d];
    }
    for (int d = 0; d < dim; d++) square += (double)out[d] * out[d];
    double length = sqrt(square);
    if (!(length > 1e-4 * weights)) return false; /* what is left is rounding */
    for (int d = 0; d < dim; d++) out[d] = (float)(out[d] / length);
    return true;
}
