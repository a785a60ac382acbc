/* products.h: products of vectors and of small matrices. Plain C in a loop order that compilers turn into vector instructions. */
#ifndef QUERY_PRODUCTS_H
#define QUERY_PRODUCTS_H

#include <stddef.h>

/* The sum of a[i] b[i], i in 0..n-1. */
float query_dot(const float *a, const float *b, int n);
/* c[m][n] += a[m][k] b[k][n]. */
void query_products(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);
/* out[n][m] = in[m][n], the other way round. */
void query_transpose(const float *in, float *out, size_t m, size_t n);

#endif
