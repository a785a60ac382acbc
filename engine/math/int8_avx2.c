/* int8_avx2.c: the product of int8.h without VNNI. For eight inputs and eight outputs of a row: two vpmaddubsw, a sum in 16 bits, which
 * the weights leave room for, vpmaddwd by ones, a sum in 32 bits. Five instructions for what takes eight in int16_avx2.c and six when each
 * vpmaddubsw is widened by itself, as oneDNN does.
 *
 * A tile is four rows of x against a panel of sixteen outputs: eight sums, four working registers, the ones, and three of a step's four
 * vectors of weights, the fourth being read from the first cache. As there, the instructions of a row are spelled out, because the
 * compiler spills. A panel of a 768-wide layer is 12 KB and stays in the first cache; one of a 3072-wide layer is streamed from the second. */
#include <immintrin.h>
#include <string.h>

#include "engine/math/int8.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 4")

#define TILE_ROWS 4
#define AHEAD 512      /* bytes of a panel */
#define BLOCK_ROWS 132 /* rows that pass by each panel: at 3072 numbers, 400 KB of the second cache */
#define STEP_BYTES (CLIP_INT8_STEP * CLIP_INT8_PANEL)

typedef struct tile_place {
    const uint8_t *x;        /* first row */
    const clip_u8_row *rows;
    float *y;
    size_t ldy;
    int columns;             /* of the panel that exist */
    bool add;
} tile_place;

/* Eight results of one row, of which y may hold fewer. */
INLINE void finish(__m256i sum, clip_u8_row row, const clip_int8_outputs *o, int first, float *y, int columns, bool add)
{
    __m256i shift = _mm256_mullo_epi32(_mm256_set1_epi32(row.zero), _mm256_load_si256((const void *)(o->total + first)));
    __m256 scale = _mm256_mul_ps(_mm256_set1_ps(row.scale), _mm256_load_ps(o->scale + first));
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(sum, shift)), scale);
    v = _mm256_add_ps(v, _mm256_load_ps(o->bias + first));
    float part[8] = {0};
    size_t n = columns < 0 ? 0 : columns < 8 ? (size_t)columns : 8;
    if (n == 8) _mm256_storeu_ps(y, add ? _mm256_add_ps(_mm256_loadu_ps(y), v) : v);
    else {
        if (add) v = _mm256_add_ps(_mm256_loadu_ps(memcpy(part, y, n * sizeof *y)), v);
        _mm256_storeu_ps(part, v);
        memcpy(y, part, n * sizeof *y);
    }
}

INLINE void tile(const clip_int8_weights *p, int panel, const tile_place *t, const int R)
{
    const int8_t *w = p->w + (size_t)panel * (size_t)p->steps * STEP_BYTES;
    const uint8_t *x = t->x;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[TILE_ROWS][2];
    UNROLL for (int r = 0; r < R; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (int k = 0; k < p->steps; k++, w += STEP_BYTES, x += CLIP_INT8_STEP) {
        __m256i w0 = _mm256_load_si256((const void *)w), w1 = _mm256_load_si256((const void *)(w + 32)), w2 = _mm256_load_si256((const void *)(w + 64));
        _mm_prefetch((const char *)(w + AHEAD), _MM_HINT_T0);
        _mm_prefetch((const char *)(w + AHEAD + 64), _MM_HINT_T0);
        UNROLL for (int r = 0; r < R; r++) {
            const uint8_t *row = x + (size_t)r * (size_t)p->in;
            __m256i a, b, c, d;
            __asm__("vpbroadcastd %6, %2\n\t"
                    "vpbroadcastd %7, %3\n\t"
                    "vpmaddubsw %8, %2, %4\n\t"
                    "vpmaddubsw %9, %2, %2\n\t"
                    "vpmaddubsw %10, %3, %5\n\t"
                    "vpmaddubsw %11, %3, %3\n\t"
                    "vpaddw %5, %4, %4\n\t"
                    "vpaddw %3, %2, %2\n\t"
                    "vpmaddwd %12, %4, %4\n\t"
                    "vpmaddwd %12, %2, %2\n\t"
                    "vpaddd %4, %0, %0\n\t"
                    "vpaddd %2, %1, %1"
                    : "+x"(sum[r][0]), "+x"(sum[r][1]), "=&x"(a), "=&x"(b), "=&x"(c), "=&x"(d)
                    : "m"(*(const uint8_t (*)[4])row), "m"(*(const uint8_t (*)[4])(row + 4)), "x"(w0), "x"(w1), "x"(w2),
                      "m"(*(const __m256i *)(const void *)(w + 96)), "x"(ones));
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        float *y = t->y + (size_t)r * t->ldy;
        finish(sum[r][0], t->rows[r], &p->o, panel * CLIP_INT8_PANEL, y, t->columns, t->add);
        finish(sum[r][1], t->rows[r], &p->o, panel * CLIP_INT8_PANEL + 8, y + 8, t->columns - 8, t->add);
    }
}

static void tile_rows(const clip_int8_weights *p, int panel, const tile_place *t, int rows)
{
    switch (rows) {
    case 4: tile(p, panel, t, 4); break;
    case 3: tile(p, panel, t, 3); break;
    case 2: tile(p, panel, t, 2); break;
    case 1: tile(p, panel, t, 1); break;
    }
}

/* The last step of a row may read up to seven bytes beyond it, where the next row or the rows' scales lie; their weights are 0. */
static void avx2_product(const clip_int8_args *a)
{
    const clip_int8_weights *p = a->w;
    const clip_u8_row *rows = clip_int8_rows(a->x, (size_t)a->rows, p->in);
    for (int first = 0; first < a->rows; first += BLOCK_ROWS) {
        int end = a->rows - first < BLOCK_ROWS ? a->rows : first + BLOCK_ROWS;
        for (int panel = 0; panel < p->panels; panel++)
            for (int r = first; r < end; r += TILE_ROWS) {
                tile_place t = {.x = (const uint8_t *)a->x + (size_t)r * (size_t)p->in, .rows = rows + r,
                                .y = a->y + (size_t)r * a->ldy + panel * CLIP_INT8_PANEL, .ldy = a->ldy,
                                .columns = p->out - panel * CLIP_INT8_PANEL, .add = a->add};
                tile_rows(p, panel, &t, end - r < TILE_ROWS ? end - r : TILE_ROWS);
            }
    }
}

const clip_int8_kernel clip_int8_avx2 = {"AVX2, 8-bit integers", avx2_product};
