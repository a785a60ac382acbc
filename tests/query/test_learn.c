/* test_learn.c: learning from examples: the minimiser, logistic regression against scikit-learn, concepts whose answer is known. */
#include "logistic_reference.h"

#include "query/concept.h"
#include "query/lbfgs.h"
#include "query/logistic.h"
#include "tests/made_numbers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- the minimiser ---- */

/* Rosenbrock's valley in n dimensions, whose minimum is at 1, 1, ... */
static double valley(const double *x, double *g, size_t n, void *ctx)
{
    double sum = 0;
    memset(g, 0, n * sizeof *g);
    for (size_t i = 0; i + 1 < n; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        sum += 100 * a * a + b * b;
        g[i] += -400 * a * x[i] - 2 * b;
        g[i + 1] += 200 * a;
    }
    *(int *)ctx += 1;
    return sum;
}

static void the_bottom_of_a_curved_valley_is_found(void **state)
{
    (void)state;
    double x[10];
    int looked = 0;
    query_minimum m;
    for (int i = 0; i < 10; i++) x[i] = i % 2 ? 1 : -1.2;
    assert_true(query_lbfgs(10, x, valley, &looked, 1000, 1e-8, &m));
    assert_true(m.converged && m.slope <= 1e-8 && m.iterations > 10 && looked < 400);
    for (int i = 0; i < 10; i++) assert_true(fabs(x[i] - 1) < 1e-6);
    x[0] = 3;
    assert_true(query_lbfgs(10, x, valley, &looked, 3, 1e-8, &m));
    assert_int_equal(m.iterations, 3); /* no more than asked for */
    assert_false(m.converged);
}

static double plane(const double *x, double *g, size_t n, void *ctx)
{
    (void)n;
    g[0] = *(double *)ctx;
    return g[0] * x[0];
}

static void nothing_to_gain_and_no_bottom_both_end(void **state)
{
    (void)state;
    double x[1] = {5}, flat = 0, steep = 1;
    query_minimum m;
    assert_true(query_lbfgs(1, x, plane, &flat, 100, 1e-8, &m));
    assert_true(m.converged && m.iterations == 0 && x[0] == 5);
    assert_true(query_lbfgs(1, x, plane, &steep, 100, 1e-8, &m)); /* downhill for ever */
    assert_true(x[0] < 5);
}

/* ---- logistic regression: see make_logistic_reference.py ---- */

static float *made_photos(size_t n, int dim)
{
    float *x = malloc(n * (size_t)dim * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n * (size_t)dim; i++) x[i] = (float)sin(12.9898 * (double)(i + 1));
    return x;
}

static uint32_t made_label(const float *x, size_t i, size_t classes)
{
    return (uint32_t)((2 * (double)x[0] + (double)x[1] + sin(5.0 * (double)i) + 4) / 8 * (double)classes);
}

static void compare(size_t n, int dim, size_t classes, double strength, const double *reference, bool weighted, int threads)
{
    float *x = made_photos(n, dim), weight[128];
    uint32_t label[128];
    double w[64] = {0};
    for (size_t i = 0; i < n; i++) {
        label[i] = made_label(x + i * (size_t)dim, i, classes);
        weight[i] = (float)(1 + i % 3);
    }
    query_logistic l = {.x = x, .label = label, .weight = weighted ? weight : NULL, .n = n, .classes = classes, .dim = dim,
                        .strength = strength, .threads = threads};
    assert_true(query_logistic_fit(&l, w, 1000));
    size_t rows = query_logistic_rows(classes), row = (size_t)dim + 1;
    double level = 0; /* a constant on all biases of a softmax changes nothing */
    for (size_t k = 0; rows > 1 && k < rows; k++) level += (w[k * row + row - 1] - reference[k * row + row - 1]) / (double)rows;
    for (size_t i = 0; i < rows * row; i++) {
        double got = w[i] - (i % row == row - 1 ? level : 0);
        if (!(fabs(got - reference[i]) < 2e-3)) fail_msg("weight %zu is %.6f, not %.6f", i, got, reference[i]);
    }
    free(x);
}

static void weights_are_those_of_scikit_learn(void **state)
{
    (void)state;
    compare(40, 5, 2, 0.7, reference_two[0], true, 1);
    compare(80, 6, 4, 20, reference_four[0], false, 1);
}

/* The derivative by differences, with a problem large enough for threads, whose number changes nothing. */
static void derivatives_are_those_of_the_value(void **state)
{
    (void)state;
    enum { N = 3000, DIM = 200, CLASSES = 8, SIZE = CLASSES * (DIM + 1) };
    float *x = made_photos(N, DIM);
    uint32_t *label = malloc(N * sizeof *label);
    double *w = calloc(4 * SIZE, sizeof *w), *g = w + SIZE, *g2 = g + SIZE, *unused = g2 + SIZE;
    assert_true(label && w);
    for (size_t i = 0; i < N; i++) label[i] = made_label(x + i * DIM, i, CLASSES);
    for (int i = 0; i < SIZE; i++) w[i] = 0.1 * sin(i);
    query_logistic l = {.x = x, .label = label, .n = N, .classes = CLASSES, .dim = DIM, .strength = 0.01, .threads = 1};
    double value = query_logistic_objective(w, g, SIZE, &l);
    l.threads = 3;
    assert_true(query_logistic_objective(w, g2, SIZE, &l) == value);
    assert_memory_equal(g, g2, SIZE * sizeof *g);
    for (int i = 0; i < SIZE; i += 97) {
        double h = 1e-2, was = w[i];
        w[i] = was + h;
        double up = query_logistic_objective(w, unused, SIZE, &l);
        w[i] = was - h;
        double down = query_logistic_objective(w, unused, SIZE, &l);
        w[i] = was;
        if (!(fabs((up - down) / (2 * h) - g[i]) < 0.02 + 1e-3 * fabs(g[i]))) fail_msg("derivative %d is %g, not %g", i, g[i], (up - down) / (2 * h));
    }
    free(x);
    free(label);
    free(w);
}

/* ---- concepts ---- */

enum { WIDE = 32 };

/* Unit vectors; those that show the thing lean along axis 3. */
static void make_photo(uint64_t *seed, float lean, float *x)
{
    double square = 0;
    for (int d = 0; d < WIDE; d++) x[d] = made_normal(seed) + (d == 0 ? 6 : 0) + (d == 3 ? lean : 0);
    for (int d = 0; d < WIDE; d++) square += (double)x[d] * (double)x[d];
    for (int d = 0; d < WIDE; d++) x[d] = (float)((double)x[d] / sqrt(square));
}

static double score(const float *w, double bias, const float *x)
{
    for (int d = 0; d < WIDE; d++) bias += (double)w[d] * (double)x[d];
    return bias;
}

/* How often one that shows the thing lies above one that does not, among photos that were not learned from; and the mean
 * probabilities of both. */
static double judge(const float *w, double bias, float lean, double mean[2])
{
    enum { N = 200 };
    uint64_t seed = 99;
    double s[2][N], above = 0;
    mean[0] = mean[1] = 0;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < N; i++) {
            float x[WIDE];
            make_photo(&seed, k ? lean : 0, x);
            s[k][i] = score(w, bias, x);
            mean[k] += query_logistic_sigmoid(s[k][i]) / N;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) above += s[1][i] > s[0][j];
    return above / (N * N);
}

/* `yes` examples among `others` photos of the library, of which one in twenty shows the thing too. */
static void learn(size_t yes, size_t no, size_t others, float lean, const float *words, float *w, query_learned *how)
{
    uint64_t seed = 7;
    float *x = malloc((yes + no + others) * WIDE * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < yes + no + others; i++)
        make_photo(&seed, i < yes || (i >= yes + no && i % 20 == 0) ? lean : 0, x + i * WIDE);
    const query_examples e = {.x = x, .yes = yes, .no = no, .unlabelled = others, .dim = WIDE, .words = words, .threads = 1};
    assert_true(query_concept_learn(&e, w, how));
    free(x);
}

static void a_concept_is_learned_from_five_examples(void **state)
{
    (void)state;
    float w[WIDE];
    double mean[2];
    query_learned how;
    learn(5, 0, 400, 5, NULL, w, &how);
    assert_true(judge(w, how.bias, 5, mean) > 0.93);
    assert_true(how.separation > 0.85);
    assert_true(mean[1] > 3 * mean[0]);
    assert_true(mean[0] < 0.2);
    learn(20, 20, 400, 5, NULL, w, &how);
    assert_true(judge(w, how.bias, 5, mean) > 0.98);
}

static void words_help_where_they_are_right_and_do_little_harm_where_not(void **state)
{
    (void)state;
    float w[WIDE], right[WIDE] = {0}, wrong[WIDE] = {0};
    double mean[2];
    query_learned how;
    right[3] = 1, wrong[9] = 1;
    learn(3, 0, 300, 2, NULL, w, &how);
    double alone = judge(w, how.bias, 2, mean);
    learn(3, 0, 300, 2, right, w, &how);
    assert_true(judge(w, how.bias, 2, mean) > alone + 0.05);
    learn(20, 0, 300, 2, NULL, w, &how);
    alone = judge(w, how.bias, 2, mean);
    learn(20, 0, 300, 2, wrong, w, &how);
    assert_true(judge(w, how.bias, 2, mean) > alone - 0.05);
}

static void examples_that_are_nothing_special_claim_nothing(void **state)
{
    (void)state;
    float w[WIDE];
    double mean[2];
    query_learned how;
    learn(6, 0, 400, 0, NULL, w, &how);
    assert_true(how.separation < 0.85);
    judge(w, how.bias, 0, mean);
    assert_true(mean[0] < 0.25);
    learn(1, 0, 50, 5, NULL, w, &how); /* too few for any check: still an answer */
    assert_true(isnan(how.separation) && judge(w, how.bias, 5, mean) > 0.6);
    learn(4, 4, 0, 5, NULL, w, &how); /* no library at all */
    assert_true(judge(w, how.bias, 5, mean) > 0.8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bottom_of_a_curved_valley_is_found),
        cmocka_unit_test(nothing_to_gain_and_no_bottom_both_end),
        cmocka_unit_test(weights_are_those_of_scikit_learn),
        cmocka_unit_test(derivatives_are_those_of_the_value),
        cmocka_unit_test(a_concept_is_learned_from_five_examples),
        cmocka_unit_test(words_help_where_they_are_right_and_do_little_harm_where_not),
        cmocka_unit_test(examples_that_are_nothing_special_claim_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
