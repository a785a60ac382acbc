/* near_pairs.h: all pairs of many vectors that are near each other. */
#ifndef QUERY_NEAR_PAIRS_H
#define QUERY_NEAR_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

enum { QUERY_NEAR_LANES = 8 }; /* vectors are padded with zeros to a multiple of this many floats */

/* Every pair a < b whose dot product is at least `threshold`, in no order. vectors: [n][width], aligned to 32 bytes, width a
 * multiple of QUERY_NEAR_LANES. `each` is called by one thread at a time. False when no thread could be started. */
bool query_near_pairs(const float *vectors, size_t n, size_t width, float threshold, int threads,
                      void (*each)(size_t a, size_t b, void *ctx), void *ctx,
                      void (*report)(size_t done, void *ctx), void *report_ctx);
/* What `report` counts up to. */
size_t query_near_steps(size_t n);

#endif
