/* pixels.c: the DCT hash, and cells of colour beside it.
 *
 * The hash is that of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1:
 * luma of 32 x 32, its discrete cosine transform, the 8 x 8 lowest frequencies without those of index 0, and for each one bit:
 * is it above their median? It stays the same through scaling and compression, but it knows no colour and little of small
 * things that moved. So a pair must also agree in the mean colours of 16 x 16 cells, on the whole and in every cell: that
 * keeps apart a photo and its black-and-white version, and two frames of one series.
 *
 * The limits were measured on 32 desktop photos and paintings. Copies at a half, a third and a quarter of the size and at JPEG
 * quality 30 differ by at most 1.1 levels on the whole and 11 in a cell (127 of 128 are taken); with a spot added every
 * picture differs by 42 or more in a cell; shifted by a fiftieth of its width, by 35 in the median. What is still taken of the
 * shifted ones are smooth gradients, on which a shift cannot be seen. */
#include "query/pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = QUERY_PIXELS_SIDE, CELLS = QUERY_PIXELS_CELLS, LOW = 8, BITS = LOW * LOW };
enum { SIGNS_MOST = 8, MEAN_MOST = 3, CELL_MOST = 14 };
static const float shape_most = 0.03f; /* of the ratio of sides: pixels are whole, so a small copy's ratio is rounded */

/* out[SIDE][SIDE][3]: the mean of the pixels that fall into each place. A picture that is smaller repeats its pixels. */
static void shrink(const clip_picture *p, float out[SIDE][SIDE][3])
{
    for (int i = 0; i < SIDE; i++) {
        int top = (int)((int64_t)i * p->height / SIDE), bottom = (int)((int64_t)(i + 1) * p->height / SIDE);
        if (bottom <= top) bottom = top + 1;
        for (int j = 0; j < SIDE; j++) {
            int left = (int)((int64_t)j * p->width / SIDE), right = (int)((int64_t)(j + 1) * p->width / SIDE);
            if (right <= left) right = left + 1;
            double sum[3] = {0};
            for (int y = top; y < bottom; y++) {
                const uint8_t *row = p->rgb + (size_t)y * (size_t)p->width * 3; /* [width][3] */
                for (int x = left; x < right; x++)
                    for (int c = 0; c < 3; c++) sum[c] += row[x * 3 + c];
            }
            for (int c = 0; c < 3; c++) out[i][j][c] = (float)(sum[c] / ((double)(bottom - top) * (right - left)));
        }
    }
}

/* The low frequencies of index 1 to 8 in both directions, of the luma (ITU-R BT.601). */
static void frequencies(float rgb[SIDE][SIDE][3], float out[LOW][LOW])
{
    float wave[LOW][SIDE], rows[SIDE][LOW];
    for (int k = 0; k < LOW; k++)
        for (int x = 0; x < SIDE; x++) wave[k][x] = cosf((float)M_PI / SIDE * ((float)x + 0.5f) * (float)(k + 1));
    for (int y = 0; y < SIDE; y++)
        for (int k = 0; k < LOW; k++) {
            rows[y][k] = 0;
            for (int x = 0; x < SIDE; x++)
                rows[y][k] += wave[k][x] * (0.299f * rgb[y][x][0] + 0.587f * rgb[y][x][1] + 0.114f * rgb[y][x][2]);
        }
    for (int k = 0; k < LOW; k++)
        for (int m = 0; m < LOW; m++) {
            out[k][m] = 0;
            for (int y = 0; y < SIDE; y++) out[k][m] += wave[k][y] * rows[y][m];
        }
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static uint64_t signs(const float f[LOW][LOW])
{
    float sorted[BITS];
    uint64_t bits = 0;
    memcpy(sorted, f, sizeof sorted);
    qsort(sorted, BITS, sizeof *sorted, ascending);
    float median = (sorted[BITS / 2 - 1] + sorted[BITS / 2]) / 2;
    for (int i = 0; i < BITS; i++) bits |= (uint64_t)(f[i / LOW][i % LOW] > median) << i;
    return bits;
}

void query_pixels_of(const clip_picture *p, query_pixels *out)
{
    float small[SIDE][SIDE][3], low[LOW][LOW];
    enum { STEP = SIDE / CELLS };
    shrink(p, small);
    frequencies(small, low);
    out->hash = signs(low);
    out->shape = (float)p->width / (float)p->height;
    for (int i = 0; i < CELLS; i++)
        for (int j = 0; j < CELLS; j++)
            for (int c = 0; c < 3; c++) {
                float sum = 0;
                for (int k = 0; k < STEP * STEP; k++) sum += small[i * STEP + k / STEP][j * STEP + k % STEP][c];
                out->mean[i][j][c] = (uint8_t)lrintf(sum / (STEP * STEP));
            }
}

int query_pixels_distance(const query_pixels *a, const query_pixels *b)
{
    return __builtin_popcountll(a->hash ^ b->hash);
}

bool query_pixels_same(const query_pixels *a, const query_pixels *b)
{
    const uint8_t *x = &a->mean[0][0][0], *y = &b->mean[0][0][0]; /* [CELLS][CELLS][3] */
    int total = 0;
    if (query_pixels_distance(a, b) > SIGNS_MOST || fabsf(a->shape - b->shape) > shape_most * fmaxf(a->shape, b->shape)) return false;
    for (int i = 0; i < CELLS * CELLS * 3; i++) {
        int d = abs(x[i] - y[i]);
        if (d > CELL_MOST) return false;
        total += d;
    }
    return total <= MEAN_MOST * CELLS * CELLS * 3;
}
