/* made_vectors.c: see made_vectors.h. */
#include "made_vectors.h"
#include "tests/made_numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEAN, PHOTO, PART, TEXT_MEAN, TEXT, DIM_MAX = 8192 };

/* Nearly normal, unit variance: the sum of four 16-bit numbers. */
static float normal(uint64_t *seed)
{
    uint64_t b = made_bits(seed);
    int s = (int)(b & 0xffff) + (int)(b >> 16 & 0xffff) + (int)(b >> 32 & 0xffff) + (int)(b >> 48) - 2 * 65535;
    return (float)s * (1.0f / 37836.0f);
}

bool made_shape_open(const char *path, int dim, made_shape *out)
{
    uint64_t seed = 10;
    FILE *f = fopen(path, "r");
    *out = (made_shape){.dim = dim, .sign = malloc(2 * sizeof(float) * (size_t)dim)};
    for (int i = 0; i < 5; i++) out->axis[i] = malloc(sizeof(float) * (size_t)dim);
    bool ok = f && dim <= DIM_MAX;
    for (int i = 0; ok && i < dim; i++)
        for (int c = 0; c < 5; c++) ok = ok && fscanf(f, "%f", &out->axis[c][i]) == 1;
    for (int i = 0; ok && i < 2 * dim; i++) out->sign[i] = made_bits(&seed) & 1 ? -1 : 1;
    if (f) fclose(f);
    if (!ok) made_shape_close(out);
    return ok;
}

void made_shape_close(made_shape *s)
{
    for (int i = 0; i < 5; i++) free(s->axis[i]);
    free(s->sign);
    *s = (made_shape){0};
}

/* An orthogonal map that mixes all dimensions: twice, signs, Walsh-Hadamard transforms of blocks, a permutation. */
static void turn(const made_shape *s, float *v)
{
    int d = s->dim, block = d & -d;
    float scale = 1 / sqrtf((float)block), t[DIM_MAX];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < d; i++) v[i] *= s->sign[round * d + i];
        for (int b = 0; b < d; b += block)
            for (int h = 1; h < block; h *= 2)
                for (int i = b; i < b + block; i += 2 * h)
                    for (int j = i; j < i + h; j++) {
                        float x = v[j], y = v[j + h];
                        v[j] = x + y;
                        v[j + h] = x - y;
                    }
        for (int i = 0; i < d; i++) t[(int64_t)i * 7919 % d] = v[i] * scale;
        memcpy(v, t, (size_t)d * sizeof *v);
    }
}

static void finish(const made_shape *s, float *v)
{
    double sum = 0;
    for (int i = 0; i < s->dim; i++) sum += (double)v[i] * v[i];
    float scale = (float)(1 / sqrt(sum));
    for (int i = 0; i < s->dim; i++) v[i] *= scale;
    turn(s, v);
}

void made_photo(const made_shape *s, uint64_t number, uint64_t scene, float *v)
{
    uint64_t own = number * 0x2545f4914f6cdd1du + 7, shared = scene * 0x9e3779b97f4a7c15u + 3;
    for (int i = 0; i < s->dim; i++)
        v[i] = s->axis[MEAN][i] + s->axis[PHOTO][i] * normal(&shared) + s->axis[PART][i] * normal(&own);
    finish(s, v);
}

void made_text(const made_shape *s, uint64_t number, float *v)
{
    uint64_t seed = number * 0xd1342543de82ef95u + 1000003;
    for (int i = 0; i < s->dim; i++) v[i] = s->axis[TEXT_MEAN][i] + s->axis[TEXT][i] * normal(&seed);
    finish(s, v);
}
