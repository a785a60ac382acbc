/* test_adapter.c: what a person's captions teach: products against plain ones, derivatives through the loss, data whose answer is known. */
#include "query/adapter.h"
#include "query/products.h"
#include "tests/made_numbers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DIM = 48, PHOTOS = 300, TEXTS = 2 * PHOTOS };

static void to_unit_length(float *v)
{
    double square = 0;
    for (int d = 0; d < DIM; d++) square += (double)v[d] * (double)v[d];
    for (int d = 0; d < DIM; d++) v[d] = (float)((double)v[d] / sqrt(square));
}

static void products_are_those_of_the_plain_loop(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1}, {4, 3, 5}, {7, 9, 513}, {13, 40, 1030}};
    uint64_t seed = 1;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t m = sizes[k][0], inner = sizes[k][1], n = sizes[k][2];
        float *a = malloc(m * inner * sizeof *a), *b = malloc(inner * n * sizeof *b), *c = calloc(m * n, sizeof *c);
        assert_true(a && b && c);
        for (size_t i = 0; i < m * inner; i++) a[i] = made_normal(&seed);
        for (size_t i = 0; i < inner * n; i++) b[i] = made_normal(&seed);
        for (size_t i = 0; i < m * n; i++) c[i] = 1; /* is added to */
        query_products(a, b, c, m, inner, n);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 1;
                for (size_t x = 0; x < inner; x++) sum += (double)a[i * inner + x] * (double)b[x * n + j];
                assert_true(fabs(sum - (double)c[i * n + j]) < 1e-3);
            }
        free(a);
        free(b);
        free(c);
    }
}

/* Two captions a photo. `turned`: half of what a caption says stands in other dimensions than the photo has it in. */
static void make(float *photos, float *texts, uint32_t *own, bool turned, float noise)
{
    uint64_t seed = 5;
    for (size_t i = 0; i < PHOTOS; i++) {
        float *x = photos + i * DIM;
        for (int d = 0; d < DIM; d++) x[d] = made_normal(&seed);
        to_unit_length(x);
        for (size_t k = 0; k < 2; k++) {
            float *t = texts + (2 * i + k) * DIM;
            for (int d = 0; d < DIM; d++) t[d] = x[turned && d % 2 ? (d + 10) % DIM : d] + noise / 7 * made_normal(&seed);
            to_unit_length(t);
            own[2 * i + k] = (uint32_t)i;
        }
    }
}

static query_adapted learn(bool turned, float noise, query_adapter *a)
{
    float *photos = malloc(PHOTOS * DIM * sizeof *photos), *texts = malloc(TEXTS * DIM * sizeof *texts);
    uint32_t *own = malloc(TEXTS * sizeof *own);
    query_adapted how;
    assert_true(photos && texts && own && query_adapter_make(DIM, a));
    make(photos, texts, own, turned, noise);
    const query_captioned c = {photos, texts, own, PHOTOS, TEXTS, DIM};
    assert_true(query_adapter_learn(a, &c, NULL, NULL, &how));
    free(photos);
    free(texts);
    free(own);
    return how;
}

static void captions_that_say_it_otherwise_are_learned(void **state)
{
    (void)state;
    query_adapter a;
    query_adapted how = learn(true, 1.5f, &a);
    assert_true(how.low > 0.02);
    assert_true(how.after[0] > how.before[0] && how.after[2] > how.before[2]);
    float t[2 * DIM], was[2 * DIM], x[DIM];
    uint64_t seed = 77; /* photos that it never saw */
    double before = 0, after = 0;
    for (int i = 0; i < 50; i++) {
        for (int d = 0; d < DIM; d++) x[d] = made_normal(&seed);
        to_unit_length(x);
        for (int d = 0; d < DIM; d++) t[d] = t[DIM + d] = x[d % 2 ? (d + 10) % DIM : d];
        to_unit_length(t);
        memcpy(was, t, sizeof was);
        query_adapter_apply(&a, t, 1);
        assert_memory_equal(t + DIM, was + DIM, DIM * sizeof *t);
        for (int d = 0; d < DIM; d++) before += (double)was[d] * (double)x[d], after += (double)t[d] * (double)x[d];
    }
    assert_true(after > before + 1);
    query_adapter_finish(&a);
}

static void captions_that_fit_already_gain_nothing(void **state)
{
    (void)state;
    query_adapter a;
    query_adapted how = learn(false, 3, &a);
    assert_true(how.low <= 0 && how.high >= how.gain);
    query_adapter_finish(&a);
}

static void a_new_one_changes_nothing(void **state)
{
    (void)state;
    query_adapter a;
    float t[DIM], was[DIM];
    uint64_t seed = 3;
    for (int d = 0; d < DIM; d++) t[d] = made_normal(&seed);
    to_unit_length(t);
    memcpy(was, t, sizeof was);
    assert_true(query_adapter_make(DIM, &a));
    query_adapter_apply(&a, t, 1);
    for (int d = 0; d < DIM; d++) assert_true(fabsf(t[d] - was[d]) < 1e-6f);
    query_adapter_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_the_plain_loop),
        cmocka_unit_test(captions_that_say_it_otherwise_are_learned),
        cmocka_unit_test(captions_that_fit_already_gain_nothing),
        cmocka_unit_test(a_new_one_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
