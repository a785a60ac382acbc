/* test_relevance.c: what --cut and --all are made of, and the order of results. */
#include "query/least.h"
#include "query/rank.h"
#include "query/relevance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void relevance_rises_with_the_photo_and_with_the_best(void **state)
{
    for (float best = -5; best < 12; best += 0.5f)
        for (float height = -5; height < best; height += 0.5f) {
            double r = query_relevance(height, best);
            assert_true(r > 0 && r < 1);
            assert_true(query_relevance(height + 0.5f, best) > r);
            assert_true(query_relevance(height, best + 0.5f) > r);
        }
}

static void one_standard_deviation_above_neutral_is_cut_and_six_are_not(void **state)
{
    assert_true(query_relevance(1, 1) < QUERY_RELEVANCE_CUT);
    assert_true(query_relevance(6, 6) > QUERY_RELEVANCE_CUT);
}

/* The bank's own sentences are not needed for its arithmetic: any columns do. */
static void height_is_measured_in_the_photos_own_deviations(void **state)
{
    enum { DIM = 3, N = 102 };
    query_bank b;
    float rows[N * DIM] = {0}, photo[DIM] = {0.6f, 0, 0.8f}, mean, spread;
    /* Sentences point along the first axis and along the second by turns, so that cosines are 0.6 and 0. */
    for (int i = 0; i < N; i++) rows[i * DIM + i % 2] = 1;
    assert_true(query_bank_make(rows, N, DIM, &b));
    query_bank_level(&b, photo, &mean, &spread);
    assert_float_equal(mean, 0.3, 1e-6);
    assert_float_equal(spread, 0.3, 1e-6);
    assert_float_equal(query_bank_cosines(&b, photo)[N - 2], 0.6, 1e-6);
    assert_float_equal(query_height(0.6f, mean, spread), 1, 1e-5);
    assert_float_equal(query_height(0.6f, 0.3f, 0), 0, 0); /* and not a division by zero */
    query_bank_close(&b);
}

static void a_calibrated_models_relevance_is_its_sigmoid(void **state)
{
    const query_calibration k = {true, 117.33, -12.93}; /* SigLIP's are near to these */
    assert_float_equal(query_calibrated(&k, (float)(12.93 / 117.33)), 0.5, 1e-5);
    assert_float_equal(query_calibrated(&k, 0), 1 / (1 + exp(12.93)), 1e-9);
    assert_true(query_calibrated(&k, 1) > 0.999 && query_calibrated(&k, -1) < 1e-9);
}

static void scores_of_two_models_are_added_where_both_know_the_photo(void **state)
{
    store_hit a[] = {{1, 0.5f}, {3, 0.25f}, {7, 1}, {9, 0.5f}};
    const store_hit b[] = {{2, 1}, {3, 0.5f}, {9, 0.25f}, {11, 1}};
    assert_int_equal(query_least_add(a, 4, b, 4), 2);
    assert_int_equal(a[0].photo_id, 3);
    assert_float_equal(a[0].score, 0.75, 0);
    assert_int_equal(a[1].photo_id, 9);
    assert_float_equal(a[1].score, 0.75, 0);
    query_least_sort(a, 2);
    assert_int_equal(a[0].photo_id, 3); /* of equal ones the lower id */
    assert_int_equal(query_least_add(a, 2, b, 0), 0);
}

static void results_are_shown_by_score_date_or_path(void **state)
{
    query_hit items[] = {
        {.score = 0.2f, .photo = {.taken = "2023-01-01 00:00:00"}, .where = "/c"},
        {.score = 0.9f, .photo = {.mtime_ns = 0}, .where = "/b"},
        {.score = 0.2f, .photo = {.taken = "2024-01-01 00:00:00"}, .where = "/a"}};
    query_hits h = {items, 3};
    const char *const orders[] = {"/b/a/c", "/a/c/b", "/a/b/c"};
    setenv("TZ", "UTC", 1);
    for (int order = QUERY_BY_SCORE; order <= QUERY_BY_PATH; order++) {
        char shown[16] = "";
        query_hits_sort(&h, (query_order)order);
        for (int i = 0; i < 3; i++) strcat(shown, items[i].where);
        assert_string_equal(shown, orders[order]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relevance_rises_with_the_photo_and_with_the_best),
        cmocka_unit_test(one_standard_deviation_above_neutral_is_cut_and_six_are_not),
        cmocka_unit_test(height_is_measured_in_the_photos_own_deviations),
        cmocka_unit_test(a_calibrated_models_relevance_is_its_sigmoid),
        cmocka_unit_test(scores_of_two_models_are_added_where_both_know_the_photo),
        cmocka_unit_test(results_are_shown_by_score_date_or_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
