/* products.c: four rows at a time, so that each number of b that was loaded is used four times. */
#include "query/products.h"

/* Eight sums side by side: one alone would wait for itself at every step. */
float query_dot(const float *a, const float *b, int n)
{
    float sum[8] = {0}, rest = 0;
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++) rest += a[i] * b[i];
    for (int k = 0; k < 8; k++) rest += sum[k];
    return rest;
}

enum { ROWS = 4, COLUMNS = 512 /* of b and c that stay in the nearest cache */ };

static void four_rows(const float *a, const float *restrict b, float *restrict c, size_t k, size_t stride, size_t width)
{
    float *restrict c0 = c, *restrict c1 = c + stride, *restrict c2 = c + 2 * stride, *restrict c3 = c + 3 * stride;
    for (size_t i = 0; i < k; i++, b += stride) {
        float a0 = a[i], a1 = a[k + i], a2 = a[2 * k + i], a3 = a[3 * k + i];
        for (size_t j = 0; j < width; j++) {
            c0[j] += a0 * b[j];
            c1[j] += a1 * b[j];
            c2[j] += a2 * b[j];
            c3[j] += a3 * b[j];
        }
    }
}

static void one_row(const float *a, const float *restrict b, float *restrict c, size_t k, size_t stride, size_t width)
{
    for (size_t i = 0; i < k; i++, b += stride)
        for (size_t j = 0; j < width; j++) c[j] += a[i] * b[j];
}

void query_products(const float *a, const float *b, float *c, size_t m, size_t k, size_t n)
{
    for (size_t left = 0; left < n; left += COLUMNS) {
        size_t width = n - left < COLUMNS ? n - left : COLUMNS, i = 0;
        for (; i + ROWS <= m; i += ROWS) four_rows(a + i * k, b + left, c + i * n + left, k, n, width);
        for (; i < m; i++) one_row(a + i * k, b + left, c + i * n + left, k, n, width);
    }
}

void query_transpose(const float *in, float *out, size_t m, size_t n)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) out[j * m + i] = in[i * n + j];
}
