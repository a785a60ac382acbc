/* test_int16.c: products of 16-bit integers. The vector kernel gives the plain one's sums bit for bit at every size that leaves
 * a remainder, the worst operands that packing allows do not overflow, and the rounding is what the formula says. */
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
#include "engine/math/int16.h"
#include "engine/math/layers.h"

static void *rounded(const float *x, int rows, int in)
{
    void *q = clip_aligned_alloc(clip_int16_bytes((size_t)rows, in));
    float *copy = clip_aligned_alloc((size_t)rows * (size_t)in * sizeof *copy);
    memcpy(copy, x, (size_t)rows * (size_t)in * sizeof *copy);
    clip_layer_int16(&clip_kernels_plain, copy, rows, in, CLIP_ACT_NONE, 0, q);
    free(copy);
    return q;
}

static int kernels(const clip_int16_kernel *out[2])
{
    int n = 0;
    out[n++] = &clip_int16_plain;
#if defined(__x86_64__)
    if (clip_int16_is_fast()) out[n++] = &clip_int16_avx2;
#endif
    return n;
}

/* What both kernels make of the same operands, against f64; and the columns behind the last stay as they were. */
static void one_product(int rows, int in, int out, bool add)
{
    const clip_int16_kernel *all[2];
    size_t ldy = (size_t)out + 3, count = (size_t)rows * ldy;
    float *x = numbers((size_t)rows * (size_t)in), *w = numbers((size_t)out * (size_t)in), *b = numbers((size_t)out);
    float *before = numbers(count), *y[2];
    void *q = rounded(x, rows, in);
    clip_int16_weights *p;
    int n = kernels(all);
    assert_int_equal(clip_int16_pack(w, b, in, out, CLIP_INT16_MOST, &p, NULL), CLIP_OK);
    for (int k = 0; k < n; k++) {
        y[k] = numbers(count);
        memcpy(y[k], before, count * sizeof *before);
        all[k]->product(&(clip_int16_args){.w = p, .x = q, .rows = rows, .y = y[k], .ldy = ldy, .add = add});
    }
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < (int)ldy; o++) {
            size_t at = (size_t)r * ldy + (size_t)o;
            double want = add ? (double)before[at] : 0, room = 2e-3 * sqrt(in);
            for (int i = 0; i < in && o < out; i++) want += (double)x[r * in + i] * w[o * in + i];
            if (o >= out) want = before[at], room = 0;
            else want += b[o];
            for (int k = 0; k < n; k++)
                if (!(fabs(y[k][at] - want) <= room))
                    fail_msg("%s, %d x %d x %d: %.9g, not %.9g", all[k]->name, rows, in, out, (double)y[k][at], want);
            if (n > 1 && !(fabsf(y[0][at] - y[1][at]) <= 1e-6f * (float)in)) fail_msg("%d x %d x %d: kernels differ", rows, in, out);
        }
    for (int k = 0; k < n; k++) free(y[k]);
    clip_int16_destroy(p);
    free(x), free(w), free(b), free(before), free(q);
}

static void products_are_near_at_every_size(void **state)
{
    for (int rows = 1; rows <= 14; rows++)
        for (int in = 1; in <= 70; in += in < 5 ? 1 : 13)
            for (int out = 1; out <= 50; out += out < 18 ? 1 : 7) one_product(rows, in, out, (rows + in + out) & 1);
    one_product(200, 40, 20, true); /* more rows than pass by a panel at once */
}

/* With scales that are powers of two every sum is a whole number, and both kernels must agree to the last bit. */
static void sums_are_exact(void **state)
{
    const clip_int16_kernel *all[2];
    int n = kernels(all);
    enum { ROWS = 13, IN = 777, OUT = 37 };
    void *q = clip_aligned_alloc(clip_int16_bytes(ROWS, IN));
    float *w = numbers((size_t)OUT * IN), *y[2] = {numbers(ROWS * OUT), numbers(ROWS * OUT)};
    clip_int16_weights *p;
    assert_int_equal(clip_int16_pack(w, NULL, IN, OUT, CLIP_INT16_MOST, &p, NULL), CLIP_OK);
    for (int i = 0; i < OUT; i++) p->scale[i] = 0.25f;
    memset(q, 0, clip_int16_bytes(ROWS, IN));
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < IN; i++) ((int16_t *)q)[(size_t)r * clip_int16_stride(IN) + (size_t)i] = (int16_t)(uniform() * CLIP_INT16_MOST);
        clip_int16_scales(q, ROWS, IN)[r] = 0.5f;
    }
    for (int k = 0; k < n; k++) all[k]->product(&(clip_int16_args){.w = p, .x = q, .rows = ROWS, .y = y[k], .ldy = OUT});
    if (n > 1) assert_memory_equal(y[0], y[1], sizeof(float) * ROWS * OUT);
    clip_int16_destroy(p);
    free(q), free(w), free(y[0]), free(y[1]);
}

/* The largest numbers, all of the signs that add up, in weights that are all alike, one alone, and mixed. */
static void the_largest_sums_do_not_overflow(void **state)
{
    const clip_int16_kernel *all[2];
    int n = kernels(all);
    for (int shape = 0; shape < 3; shape++)
        for (int most = 1; most <= 32767; most = most * 2 + 1)
            for (int in = 1; in <= 5000; in = in * 3 + 1) {
                float *w = numbers((size_t)in), y;
                for (int i = 0; i < in && shape < 2; i++) w[i] = shape == 0 ? -3.0f : i ? 0 : 1e-30f;
                void *q = clip_aligned_alloc(clip_int16_bytes(1, in));
                memset(q, 0, clip_int16_bytes(1, in));
                double exact = 0;
                clip_int16_weights *p;
                assert_int_equal(clip_int16_pack(w, NULL, in, 1, most, &p, NULL), CLIP_OK);
                p->scale[0] = *clip_int16_scales(q, 1, in) = 1;
                for (int i = 0; i < in; i++) {
                    int weight = p->w[i / 2 * CLIP_INT16_PANEL * 2 + i % 2];
                    ((int16_t *)q)[i] = (int16_t)(weight < 0 ? -most : most);
                    exact += fabs((double)weight) * most;
                }
                assert_true(exact <= INT32_MAX);
                if (shape == 0 && (double)in * INT16_MAX * most > INT32_MAX) assert_true(exact > INT32_MAX * 0.7); /* and no bits are given away */
                for (int k = 0; k < n; k++) {
                    all[k]->product(&(clip_int16_args){.w = p, .x = q, .rows = 1, .y = &y, .ldy = 1});
                    assert_true(y == (float)exact);
                }
                clip_int16_destroy(p);
                free(w), free(q);
            }
}

static void rows_are_rounded_to_nearest(void **state)
{
    const clip_kernels *all[] = {&clip_kernels_plain, clip_kernels_best()};
    for (int k = 0; k < 2; k++)
        for (size_t n = 1; n <= 70; n++) {
            float *x = numbers(n), scale;
            int16_t q[71];
            q[n] = 77;
            x[n / 2] = -2;
            scale = all[k]->to_int16(x, q, n, 0);
            assert_true(scale == 2.0f / CLIP_INT16_MOST);
            assert_int_equal(q[n / 2], -CLIP_INT16_MOST);
            for (size_t i = 0; i < n; i++) assert_true(fabsf(x[i] / scale - q[i]) <= 0.5005f);
            assert_int_equal(q[n], 77);
            assert_true(all[k]->to_int16(x, q, n, 4) == 4.0f / CLIP_INT16_MOST && q[n / 2] == -CLIP_INT16_MOST / 2 - 1);
            memset(x, 0, n * sizeof *x);
            assert_true(all[k]->to_int16(x, q, n, 0) == 0 && q[0] == 0 && q[n - 1] == 0);
            for (int bad = 0; bad < 2; bad++) {
                x[n - 1] = bad ? INFINITY : NAN;
                assert_true(isnan(all[k]->to_int16(x, q, n, 0)));
            }
            free(x);
        }
}

static void what_is_not_finite_stays_so(void **state)
{
    const clip_int16_kernel *all[2];
    float w[2 * 20], x[2 * 20], y[4];
    for (int i = 0; i < 40; i++) w[i] = uniform(), x[i] = uniform();
    w[3] = NAN, x[27] = INFINITY;
    void *q = rounded(x, 2, 20);
    clip_int16_weights *p;
    assert_int_equal(clip_int16_pack(w, NULL, 20, 2, CLIP_INT16_MOST, &p, NULL), CLIP_OK);
    for (int k = kernels(all) - 1; k >= 0; k--) {
        all[k]->product(&(clip_int16_args){.w = p, .x = q, .rows = 2, .y = y, .ldy = 2});
        assert_true(isnan(y[0]) && isfinite(y[1]) && isnan(y[2]) && isnan(y[3]));
    }
    clip_int16_destroy(p);
    free(q);
}

/* Through the door that the towers use. */
static void the_product_is_chosen_by_its_type(void **state)
{
    enum { ROWS = 7, IN = 48, OUT = 33 };
    float *x = numbers(ROWS * IN), *w = numbers(OUT * IN), y[ROWS * OUT];
    void *q = rounded(x, ROWS, IN);
    clip_matmul *m;
    clip_packed *p;
    clip_matmul_spec s = {.rows = ROWS, .in = IN, .out = OUT, .type = CLIP_T_S16};
    assert_int_equal(clip_matmul_create(NULL, &s, NULL, &m, NULL), CLIP_OK);
    assert_string_equal(clip_matmul_kernel(m), clip_int16_best()->name);
#if defined(__x86_64__)
    if (clip_int16_is_fast()) assert_ptr_equal(clip_int16_best(), &clip_int16_avx2);
#endif
    assert_int_equal(clip_packed_create(m, w, NULL, &p, NULL), CLIP_OK);
    assert_true(clip_matmul_run(m, p, q, y, NULL));
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < OUT; o++) {
            double want = 0;
            for (int i = 0; i < IN; i++) want += (double)x[r * IN + i] * w[o * IN + i];
            assert_true(fabs(y[r * OUT + o] - want) < 1e-2);
        }
    clip_matmul_destroy(m);
    clip_packed_destroy(p);
    s.act = CLIP_ACT_GELU;
    assert_int_equal(clip_matmul_create(NULL, &s, NULL, &m, NULL), CLIP_E_INTERNAL);
    free(x), free(w), free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_near_at_every_size), cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(the_largest_sums_do_not_overflow), cmocka_unit_test(rows_are_rounded_to_nearest),
        cmocka_unit_test(what_is_not_finite_stays_so),      cmocka_unit_test(the_product_is_chosen_by_its_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
