/* near_pairs.c: every pair, by brute force in blocks.
 *
 * For 100,000 photos these are five billion products of 512 numbers: measured, 70 seconds of processor time, divided among the
 * cores. A search for each photo would take 16 to 43 ms, half an hour and more. It is as quick because a block of vectors stays in the processor's cache while thousands of others go by it. Rows are
 * taken by three and columns by four, so that twelve sums stay in registers. Written with the compiler's own vectors and not
 * with one processor's instructions. */
#include "query/near_pairs.h"
#include "query/parallel.h"

#include <pthread.h>
#include <string.h>

typedef float lanes __attribute__((vector_size(QUERY_NEAR_LANES * sizeof(float))));

enum { ROWS = 3, COLUMNS = 4, BLOCK_ROWS = 96, BLOCK_COLUMNS = 32 };

typedef struct work {
    const float *vectors;   /* [n][width] */
    size_t n, width;
    float threshold;
    pthread_mutex_t lock;
    void (*each)(size_t, size_t, void *);
    void *ctx;
} work;

static float total(lanes v)
{
    float sum = 0;
    for (int i = 0; i < QUERY_NEAR_LANES; i++) sum += v[i];
    return sum;
}

/* out[ROWS][COLUMNS]: the products of ROWS vectors from `a` on with COLUMNS ones from `b` on. */
static void products(const float *a, const float *b, size_t width, float out[ROWS][COLUMNS])
{
    lanes sum[ROWS][COLUMNS];
    memset(sum, 0, sizeof sum);
    for (size_t k = 0; k < width; k += QUERY_NEAR_LANES) {
        lanes x[ROWS], y[COLUMNS];
        for (int i = 0; i < ROWS; i++) x[i] = *(const lanes *)(a + (size_t)i * width + k);
        for (int j = 0; j < COLUMNS; j++) y[j] = *(const lanes *)(b + (size_t)j * width + k);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++) sum[i][j] += x[i] * y[j];
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) out[i][j] = total(sum[i][j]);
}

static void found(work *w, size_t a, size_t b)
{
    if (a >= b) return;
    pthread_mutex_lock(&w->lock);
    w->each(a, b, w->ctx);
    pthread_mutex_unlock(&w->lock);
}

static float product(const float *a, const float *b, size_t width)
{
    lanes sum = {0};
    for (size_t k = 0; k < width; k += QUERY_NEAR_LANES) sum += *(const lanes *)(a + k) * *(const lanes *)(b + k);
    return total(sum);
}

/* The products of rows [i0, i1) with columns [j0, j1). */
static void compare(work *w, size_t i0, size_t i1, size_t j0, size_t j1)
{
    size_t i = i0;
    for (; i + ROWS <= i1; i += ROWS) {
        size_t j = j0;
        for (; j + COLUMNS <= j1; j += COLUMNS) {
            float p[ROWS][COLUMNS];
            products(w->vectors + i * w->width, w->vectors + j * w->width, w->width, p);
            for (size_t r = 0; r < ROWS; r++)
                for (size_t c = 0; c < COLUMNS; c++)
                    if (p[r][c] >= w->threshold) found(w, i + r, j + c);
        }
        for (size_t r = i; r < i + ROWS; r++)
            for (size_t c = j; c < j1; c++)
                if (product(w->vectors + r * w->width, w->vectors + c * w->width, w->width) >= w->threshold) found(w, r, c);
    }
    for (; i < i1; i++)
        for (size_t j = j0; j < j1; j++)
            if (product(w->vectors + i * w->width, w->vectors + j * w->width, w->width) >= w->threshold) found(w, i, j);
}

/* One block of rows with all columns from its own first on. */
static bool compare_block(size_t block, int worker, void *ctx)
{
    work *w = ctx;
    size_t i0 = block * BLOCK_ROWS, i1 = i0 + BLOCK_ROWS < w->n ? i0 + BLOCK_ROWS : w->n;
    for (size_t j0 = i0; j0 < w->n; j0 += BLOCK_COLUMNS) compare(w, i0, i1, j0, j0 + BLOCK_COLUMNS < w->n ? j0 + BLOCK_COLUMNS : w->n);
    return true;
}

size_t query_near_steps(size_t n)
{
    return (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

bool query_near_pairs(const float *vectors, size_t n, size_t width, float threshold, int threads,
                      void (*each)(size_t, size_t, void *), void *ctx, void (*report)(size_t, void *), void *report_ctx)
{
    work w = {.vectors = vectors, .n = n, .width = width, .threshold = threshold, .each = each, .ctx = ctx};
    size_t steps = query_near_steps(n);
    if (!n) return true;
    pthread_mutex_init(&w.lock, NULL);
    bool well = query_parallel(query_threads(threads, steps), steps, compare_block, &w, report, report_ctx);
    pthread_mutex_destroy(&w.lock);
    return well;
}
