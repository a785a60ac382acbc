/* test_int8.c: products of 8-bit integers are what the formula says on every CPU: rows and weights are rounded to nearest, no
 * operands saturate, oneDNN has a real kernel for every shape of a ViT. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uniform_numbers.h"

#include "engine/math/dnn.h"
#include "engine/math/int8.h"
#include "engine/math/layers.h"

static void rows_are_rounded_to_nearest(void **state)
{
    const clip_kernels *all[] = {&clip_kernels_plain, clip_kernels_best()};
    for (int k = 0; k < 2; k++)
        for (size_t n = 1; n <= 70; n++) {
            float *x = numbers(n);
            uint8_t q[71];
            q[n] = 77;
            x[n - 1] = n % 3 ? -2 : 5; /* of one sign only when n is 1 */
            clip_u8_row row = all[k]->to_u8(x, q, n);
            assert_true(row.zero >= 0 && row.zero <= 255);
            for (size_t i = 0; i < n; i++) assert_true(fabsf(x[i] / row.scale - (float)(q[i] - row.zero)) <= 1.001f);
            for (size_t i = 0; i + 1 < n; i++) assert_true(fabsf(x[i] / row.scale - (float)(q[i] - row.zero)) <= 0.501f);
            assert_int_equal(q[n - 1], n % 3 ? 0 : 255);
            assert_int_equal(q[n], 77);
            x[0] = k ? INFINITY : NAN;
            assert_true(isnan(all[k]->to_u8(x, q, n).scale));
            memset(x, 0, n * sizeof *x);
            assert_true(all[k]->to_u8(x, q, n).scale == 0 && q[0] == 0 && q[n - 1] == 0);
            free(x);
        }
}

/* One row of sums to numbers, by the plain kernel and the best, in place and not. */
static void sums_become_numbers(void **state)
{
    enum { N = 203 };
    float *scale = numbers(N), *bias = numbers(N), *before = numbers(N);
    int32_t sums[N], total[N];
    for (int i = 0; i < N; i++) sums[i] = (int32_t)(uniform() * 9e7f), total[i] = (int32_t)(uniform() * 3e5f);
    for (size_t n = 1; n <= N; n += 13)
        for (int how = 0; how < 3; how++) { /* elsewhere, added elsewhere, in place */
            float y[2][N];
            const clip_kernels *all[] = {&clip_kernels_plain, clip_kernels_best()};
            for (int k = 0; k < 2; k++) {
                memcpy(y[k], how == 2 ? (const void *)sums : before, sizeof y[k]);
                all[k]->from_sums(&(clip_sums_args){.sums = how == 2 ? (const int32_t *)(const void *)y[k] : sums, .total = total,
                                                    .scale = scale, .bias = bias, .row = {1e-4f, 100}, .n = n, .y = y[k], .add = how == 1});
            }
            for (size_t i = 0; i < N; i++) {
                double v = (sums[i] - 100.0 * total[i]) * 1e-4 * scale[i] + bias[i] + (how == 1 ? before[i] : 0);
                for (int k = 0; k < 2 && i < n; k++) assert_true(fabs(y[k][i] - v) <= 1e-5 * fabs(v) + 1e-4);
                if (i >= n) assert_memory_equal(&y[1][i], how == 2 ? (const void *)&sums[i] : &before[i], sizeof(float));
            }
        }
    free(scale), free(bias), free(before);
}

typedef struct product {
    clip_dnn *d;
    clip_matmul *m;
    clip_packed *w;
    void *q, *scratch;
} product;

/* x: [rows][in] is rounded; w NULL: the weights of `like`. */
static product make(const clip_matmul_spec *spec, const float *x, const float *w, const float *b, const product *like)
{
    product p = {0};
    size_t n = (size_t)spec->rows * (size_t)spec->in;
    float *copy = clip_aligned_alloc(n * sizeof *copy);
    assert_int_equal(clip_dnn_create(&p.d, NULL), CLIP_OK);
    assert_int_equal(clip_matmul_create(p.d, spec, like ? like->m : NULL, &p.m, NULL), CLIP_OK);
    if (strstr(clip_matmul_kernel(p.m), "ref"))
        fail_msg("%d x %d x %d: %s", spec->rows, spec->in, spec->out, clip_matmul_kernel(p.m));
    if (w) assert_int_equal(clip_packed_create(p.m, w, b, &p.w, NULL), CLIP_OK);
    p.q = clip_aligned_alloc(clip_int8_bytes((size_t)spec->rows, spec->in));
    p.scratch = clip_aligned_alloc(clip_matmul_scratch(p.m));
    memcpy(copy, x, n * sizeof *copy);
    clip_layer_u8(clip_kernels_best(), copy, spec->rows, spec->in, CLIP_ACT_NONE, p.q);
    free(copy);
    return p;
}

static void finish(product *p)
{
    clip_matmul_destroy(p->m);
    clip_packed_destroy(p->w);
    clip_dnn_destroy(p->d);
    free(p->q), free(p->scratch);
}

/* Against f64, of the numbers before they were rounded; what lies behind a row stays as it was. */
static void one_product(int rows, int in, int out, bool add, bool as_vnni)
{
    size_t ldy = (size_t)out + 16, count = (size_t)rows * ldy;
    float *x = numbers((size_t)rows * (size_t)in), *w = numbers((size_t)out * (size_t)in), *b = numbers((size_t)out);
    float *before = numbers(count), *y = numbers(count);
    clip_matmul_spec spec = {.rows = rows, .in = in, .out = out, .ldy = ldy, .type = CLIP_T_U8, .add = add, .as_vnni = as_vnni}, other = spec;
    other.rows = 2 * rows + 1;
    float *x2 = numbers((size_t)other.rows * (size_t)in);
    product first = make(&other, x2, w, b, NULL), p = make(&spec, x, NULL, NULL, &first);
    memcpy(y, before, count * sizeof *y);
    assert_true(clip_matmul_run(p.m, first.w, p.q, y, p.scratch));
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < (int)ldy; o++) {
            size_t at = (size_t)r * ldy + (size_t)o;
            double want = add || o >= out ? (double)before[at] : 0, room = o < out ? 0.04 * sqrt(in) : 0;
            for (int i = 0; i < in && o < out; i++) want += (double)x[r * in + i] * w[o * in + i];
            if (o < out) want += b[o];
            if (!(fabs(y[at] - want) <= room)) fail_msg("%d x %d x %d, %d %d: %.9g, not %.9g", rows, in, out, r, o, (double)y[at], want);
        }
    finish(&p), finish(&first);
    free(x), free(x2), free(w), free(b), free(before), free(y);
}

static void products_are_near_at_every_size(void **state)
{
    for (int rows = 1; rows <= 20; rows += 6)
        for (int in = 16; in <= 80; in += 16)
            for (int out = 16; out <= 96; out += 16) one_product(rows, in, out, (rows + in / 16 + out / 16) & 1, (in + out) & 32);
    for (int in = 1; in <= 40; in++)
        for (int out = 1; out <= 40; out += 3) one_product(1 + (in + out) % 9, in, out, out & 1, false);
    one_product(5, 37, 51, false, true);
}

/* A ViT-B's and an L's, of four images and of one. */
static void real_shapes_have_real_kernels(void **state)
{
    static const int widths[] = {768, 1024}, rows[] = {4 * 65, 65, 4 * 50, 50, 257};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 5; j++) {
            int w = widths[i], shapes[][2] = {{w, 3 * w}, {w, 2 * w}, {w, w}, {w, 4 * w}, {4 * w, w}};
            for (int s = 0; s < 5; s++) {
                clip_matmul_spec spec = {.rows = rows[j], .in = shapes[s][0], .out = shapes[s][1], .type = CLIP_T_U8, .add = s & 1, .as_vnni = true};
                float *x = numbers((size_t)spec.rows * (size_t)spec.in);
                product p = make(&spec, x, NULL, NULL, NULL);
                finish(&p);
                free(x);
            }
        }
}

/* 255 times the largest weight, in every place: an instruction that adds pairs in 16 bits must not lose any of it. Our own kernel's weights
 * are the coarser, the more of them are equal. */
static void the_largest_operands_do_not_saturate(void **state)
{
    enum { ROWS = 8, OUT = 32 };
    for (int in = 2; in <= 4096; in *= 4)
        for (int how = 0; how < 4; how++) {
            int sign = how & 1 ? 1 : -1;
            float *x = numbers((size_t)ROWS * (size_t)in), *w = numbers((size_t)OUT * (size_t)in), y[ROWS * OUT];
            for (int i = 0; i < ROWS * in; i++) x[i] = 2;
            for (int i = 0; i < OUT * in; i++) w[i] = (float)sign * 0.5f;
            clip_matmul_spec spec = {.rows = ROWS, .in = in, .out = OUT, .type = CLIP_T_U8, .as_vnni = how & 2};
            product p = make(&spec, x, w, NULL, NULL);
            assert_true(clip_matmul_run(p.m, p.w, p.q, y, p.scratch));
            float room = how & 2 ? 1e-5f : 0.02f;
            for (int i = 0; i < ROWS * OUT; i++) assert_true(fabsf(y[i] - (float)(sign * in)) <= room * (float)in);
            finish(&p);
            free(x), free(w);
        }
}

/* Weights as they come: no four that meet in 16 bits exceed what 255 times them may be, and the fast kernel gives the plain one's numbers. */
static void our_kernel_is_the_plain_one(void **state)
{
    for (int n = 1; n < 60; n++) {
        int rows = 1 + n % 7, in = 1 + n * 37 % 131, out = 1 + n * 29 % 90, ldy = out + 3;
        float *x = numbers((size_t)rows * (size_t)in), *w = numbers((size_t)in * (size_t)out), *b = numbers((size_t)out);
        float *y[2] = {numbers((size_t)rows * (size_t)ldy), numbers((size_t)rows * (size_t)ldy)};
        for (int i = 0; i < in * out; i++) w[i] *= n & 1 ? w[i] * w[i] * w[i] : 1; /* long tails too */
        memcpy(y[1], y[0], (size_t)rows * (size_t)ldy * sizeof *y[0]);
        void *q = clip_aligned_alloc(clip_int8_bytes((size_t)rows, in));
        clip_int8_weights *p;
        assert_int_equal(clip_int8_pack(w, b, in, out, &p, NULL), CLIP_OK);
        clip_layer_u8(clip_kernels_best(), x, rows, in, CLIP_ACT_NONE, q);
        const clip_int8_kernel *all[] = {&clip_int8_plain, clip_int8_best()};
        for (int k = 0; k < 2; k++)
            all[k]->product(&(clip_int8_args){.w = p, .x = q, .rows = rows, .y = y[k], .ldy = (size_t)ldy, .add = n & 2});
        for (int i = 0; i < rows * ldy; i++) assert_float_equal(y[0][i], y[1][i], 1e-4);
        for (int i = 0; i < p->panels * p->steps * CLIP_INT8_PANEL * CLIP_INT8_STEP; i++) {
            int place = i % 4, next = i + CLIP_INT8_PANEL * 4, sum[2] = {0, 0};
            if (place & 1 || i / (CLIP_INT8_PANEL * 4) & 1) continue; /* the pairs 0 1 and 2 3 of a step's first four */
            const int four[] = {p->w[i], p->w[i + 1], p->w[next], p->w[next + 1]};
            for (int f = 0; f < 4; f++) sum[four[f] < 0] += abs(four[f]);
            assert_true(sum[0] <= CLIP_INT8_SUM && sum[1] <= CLIP_INT8_SUM);
        }
        clip_int8_destroy(p);
        free(x), free(w), free(b), free(y[0]), free(y[1]), free(q);
    }
}

static void what_is_not_finite_stays_so(void **state)
{
    float *x = numbers(32), *w = numbers(16 * 16), y[32];
    x[16 + 3] = INFINITY, w[16 * 5 + 2] = NAN;
    clip_matmul_spec spec = {.rows = 2, .in = 16, .out = 16, .type = CLIP_T_U8};
    for (int how = 0; how < 2; how++) {
        spec.as_vnni = how;
        product p = make(&spec, x, w, NULL, NULL);
        assert_true(clip_matmul_run(p.m, p.w, p.q, y, p.scratch));
        for (int i = 0; i < 32; i++) assert_int_equal(!isnan(y[i]), i < 16 && i != 5);
        finish(&p);
    }
    clip_matmul *m;
    spec.act = CLIP_ACT_GELU;
    assert_int_equal(clip_matmul_create(NULL, &spec, NULL, &m, NULL), CLIP_E_INTERNAL);
    assert_int_equal(clip_int8_round(NULL, NULL, CLIP_INT8_INPUTS + 1, 1, CLIP_INT8_MOST, NULL, NULL, NULL), CLIP_E_LIMIT);
    free(x), free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_rounded_to_nearest),     cmocka_unit_test(sums_become_numbers),
        cmocka_unit_test(products_are_near_at_every_size), cmocka_unit_test(real_shapes_have_real_kernels),
        cmocka_unit_test(the_largest_operands_do_not_saturate), cmocka_unit_test(our_kernel_is_the_plain_one),
        cmocka_unit_test(what_is_not_finite_stays_so),
    };
    clip_dnn_use_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
