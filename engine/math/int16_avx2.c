/* int16_avx2.c: the product of int16.h by vpmaddwd, which multiplies sixteen pairs of numbers and adds neighbours: twice the
 * work of an f32 multiply-add, at the same two a cycle (but each wants an addition besides, and Zen 3 then issues 1.6).
 *
 * A tile is six rows of x against a panel of sixteen outputs: twelve sums, two vectors of weights and two for the broadcast
 * pair and its products fill the sixteen registers exactly. The compiler does not find that by itself: it moves products
 * away from their sums and spills half the tile (80 Gop/s on one core of a Zen 3 instead of 150), so the five instructions of
 * a row are spelled out. Tiles are not cut along k: a panel of a 768-wide layer fits in the first cache, one of a
 * 3072-wide layer is streamed from the second, both were within 3 % of each other, and cutting cost more than that. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "engine/math/int16.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

#define TILE_ROWS 6
#define AHEAD 1024     /* numbers of a panel; to fetch them early gains 1 % */
#define BLOCK_ROWS 132 /* rows that pass by each panel: at 768 numbers, 200 KB of the second cache */

typedef struct tile_place {
    const int16_t *x;   /* first row */
    size_t stride;
    const float *scale; /* of the rows */
    float *y;
    size_t ldy;
    int columns;        /* of the panel that exist */
    bool add;
    float least, most;  /* results are kept between */
} tile_place;

/* Eight results of one row, of which y may hold fewer. A NaN stays one: max and min return their second operand then. */
INLINE void finish(__m256i sum, __m256 scale, const float *column_scale, const float *bias, float *y, int columns, const tile_place *t)
{
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scale, _mm256_load_ps(column_scale)));
    v = _mm256_add_ps(v, _mm256_load_ps(bias));
    float part[8] = {0};
    size_t n = columns < 0 ? 0 : columns < 8 ? (size_t)columns : 8;
    if (t->add && n == 8) v = _mm256_add_ps(v, _mm256_loadu_ps(y));
    else if (t->add) v = _mm256_add_ps(v, _mm256_loadu_ps(memcpy(part, y, n * sizeof *y)));
    v = _mm256_min_ps(_mm256_set1_ps(t->most), _mm256_max_ps(_mm256_set1_ps(t->least), v));
    if (n == 8) _mm256_storeu_ps(y, v);
    else _mm256_storeu_ps(part, v), memcpy(y, part, n * sizeof *y);
}

INLINE void tile(const clip_int16_weights *p, int panel, const tile_place *t, const int R)
{
    const int16_t *w = p->w + (size_t)panel * (size_t)p->pairs * CLIP_INT16_PANEL * 2, *x = t->x;
    const float *scale = p->scale + panel * CLIP_INT16_PANEL, *bias = p->bias + panel * CLIP_INT16_PANEL;
    __m256i sum[TILE_ROWS][2];
    UNROLL for (int r = 0; r < R; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (int k = 0; k < p->pairs; k++, w += CLIP_INT16_PANEL * 2, x += 2) {
        __m256i left = _mm256_load_si256((const void *)w), right = _mm256_load_si256((const void *)(w + CLIP_INT16_PANEL));
        _mm_prefetch((const char *)(w + AHEAD), _MM_HINT_T0);
        UNROLL for (int r = 0; r < R; r++) {
            __m256i pair, product;
            __asm__("vpbroadcastd %4, %2\n\t"
                    "vpmaddwd %5, %2, %3\n\t"
                    "vpmaddwd %6, %2, %2\n\t"
                    "vpaddd %3, %0, %0\n\t"
                    "vpaddd %2, %1, %1"
                    : "+x"(sum[r][0]), "+x"(sum[r][1]), "=&x"(pair), "=&x"(product)
                    : "m"(*(const int16_t (*)[2])(x + (size_t)r * t->stride)), "x"(left), "x"(right));
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        __m256 row = _mm256_set1_ps(t->scale[r]);
        float *y = t->y + (size_t)r * t->ldy;
        finish(sum[r][0], row, scale, bias, y, t->columns, t);
        finish(sum[r][1], row, scale + 8, bias + 8, y + 8, t->columns - 8, t);
    }
}

static void tile_rows(const clip_int16_weights *p, int panel, const tile_place *t, int rows)
{
    switch (rows) {
    case 6: tile(p, panel, t, 6); break;
    case 5: tile(p, panel, t, 5); break;
    case 4: tile(p, panel, t, 4); break;
    case 3: tile(p, panel, t, 3); break;
    case 2: tile(p, panel, t, 2); break;
    case 1: tile(p, panel, t, 1); break;
    }
}

static void avx2_product(const clip_int16_args *a)
{
    const clip_int16_weights *p = a->w;
    size_t stride = clip_int16_stride(p->in);
    const float *scale = clip_int16_scales(a->x, (size_t)a->rows, p->in);
    for (int first = 0; first < a->rows; first += BLOCK_ROWS) {
        int end = a->rows - first < BLOCK_ROWS ? a->rows : first + BLOCK_ROWS;
        for (int panel = 0; panel < p->panels; panel++)
            for (int r = first; r < end; r += TILE_ROWS) {
                tile_place t = {.x = (const int16_t *)a->x + (size_t)r * stride, .stride = stride, .scale = scale + r,
                                .y = a->y + (size_t)r * a->ldy + panel * CLIP_INT16_PANEL, .ldy = a->ldy,
                                .columns = p->out - panel * CLIP_INT16_PANEL, .add = a->add,
                                .least = a->act == CLIP_ACT_NONE ? -INFINITY : 0, .most = a->act == CLIP_ACT_RELU6 ? 6 : INFINITY};
                tile_rows(p, panel, &t, end - r < TILE_ROWS ? end - r : TILE_ROWS);
            }
    }
}

const clip_int16_kernel clip_int16_avx2 = {"AVX2, 16-bit integers", avx2_product};
