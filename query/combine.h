/* combine.h: several unit vectors and their weights into the one that is searched with. */
#ifndef QUERY_COMBINE_H
#define QUERY_COMBINE_H

#include "query/term.h"

/* out[dim] = the unit vector along the sum of weight[i] * vectors[i][dim]. False when the terms cancel each other. */
bool query_combine(const query_term *terms, size_t n, const float *vectors /* [n][dim] */, int dim, float *out /* [dim] */);

#endif
