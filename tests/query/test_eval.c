/* test_eval.c: the arithmetic behind `clipsearch eval`, and the sentences in which labels are asked for. */
#include "query/eval.h"
#include "query/prompts.h"
#include "query/zeroshot.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void close_to(double got, double want, double within)
{
    if (!(fabs(got - want) <= within)) fail_msg("%.6f, not %.6f", got, want);
}

/* ---- intervals ---- */

/* R. G. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3. */
static void wilsons_interval_as_published(void **state)
{
    static const double published[][4] = {
        {81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < 4; i++) {
        query_share s = query_share_of(published[i][0], published[i][1]);
        close_to(s.value, published[i][0] / published[i][1], 1e-12);
        close_to(s.low, published[i][2], 5e-5);
        close_to(s.high, published[i][3], 5e-5);
    }
    assert_true(query_share_of(0, 0).high == 1); /* nothing is known */
    assert_true(query_share_of(7, 7).high == 1 && query_share_of(0, 7).low == 0);
}

/* Groups that always agree are worth one trial each; groups that are as mixed as chance makes them, their members. */
static void captions_of_one_photo_do_not_count_as_many(void **state)
{
    enum { GROUPS = 400 };
    double hits[GROUPS], sizes[GROUPS];
    for (int g = 0; g < GROUPS; g++) hits[g] = g % 2 ? 5 : 0, sizes[g] = 5;
    query_share same = query_share_grouped(hits, sizes, GROUPS), by_photo = query_share_of(GROUPS / 2, GROUPS);
    close_to(same.low, by_photo.low, 1e-3);
    close_to(same.high, by_photo.high, 1e-3);
    for (int g = 0; g < GROUPS; g++) hits[g] = g % 2 ? 3 : 2; /* more even than chance: never worth more than there are */
    query_share even = query_share_grouped(hits, sizes, GROUPS), by_caption = query_share_of(2.5 * GROUPS, 5 * GROUPS);
    close_to(even.low, by_caption.low, 1e-9);
    for (int g = 0; g < GROUPS; g++) hits[g] = 5;
    query_share all = query_share_grouped(hits, sizes, GROUPS);
    assert_true(all.value == 1 && all.high == 1);
    close_to(all.low, query_share_of(GROUPS, GROUPS).low, 1e-9);
}

static void the_mean_over_classes_has_the_spread_of_classes(void **state)
{
    const double values[] = {0.2, 0.4, 0.6, 0.8};
    query_share s = query_share_mean(values, 4);
    close_to(s.value, 0.5, 1e-12);
    close_to(s.high - s.value, 1.959964 * 0.2581989 / 2, 1e-6);
    const double alike[] = {1, 1, 1};
    assert_true(query_share_mean(alike, 3).low < 0.5); /* three classes prove little */
    assert_true(query_share_mean(values, 1).high > 0.5);
}

/* ---- ranks ---- */

/* The rank by its definition: how many items come before the best of the query's own. */
static size_t slow_rank(const float *scores, const size_t *groups, size_t m, size_t own)
{
    size_t rank = m;
    for (size_t i = 0; i < m; i++) {
        size_t before = 0;
        for (size_t j = 0; j < m; j++) before += scores[j] > scores[i] || (scores[j] == scores[i] && j < i);
        if (groups[i] == own && before < rank) rank = before;
    }
    return rank;
}

static void ranks_are_those_of_the_definition(void **state)
{
    enum { N = 60, M = 45, DIM = 3 };
    float queries[N * DIM], items[M * DIM], scores[M];
    size_t query_groups[N], item_groups[M], ranks[N];
    unsigned seed = 12345;
    for (int i = 0; i < N * DIM; i++) queries[i] = (float)((seed = seed * 1103515245 + 12345) >> 16 & 3) - 1; /* whole numbers: many ties */
    for (int i = 0; i < M * DIM; i++) items[i] = (float)((seed = seed * 1103515245 + 12345) >> 16 & 3) - 1;
    for (size_t i = 0; i < N; i++) query_groups[i] = i % 20;
    for (size_t i = 0; i < M; i++) item_groups[i] = i % 15; /* groups 15 to 19 own nothing */
    assert_true(query_retrieval_ranks(queries, query_groups, N, items, item_groups, M, DIM, ranks));
    for (size_t q = 0; q < N; q++) {
        for (size_t i = 0; i < M; i++) {
            scores[i] = 0;
            for (int d = 0; d < DIM; d++) scores[i] += queries[q * DIM + (size_t)d] * items[i * DIM + (size_t)d];
        }
        assert_int_equal(ranks[q], slow_rank(scores, item_groups, M, query_groups[q]));
    }
}

/* ---- labels ---- */

static void the_top_is_ordered_and_ties_go_to_the_earlier(void **state)
{
    const float scores[] = {0.1f, 0.9f, 0.5f, 0.9f, -1, 0.5f, 0.7f};
    size_t top[7];
    query_zeroshot_top(scores, 7, 4, top);
    const size_t four[] = {1, 3, 6, 2};
    assert_memory_equal(top, four, sizeof four);
    query_zeroshot_top(scores, 7, 7, top);
    const size_t seven[] = {1, 3, 6, 2, 5, 0, 4};
    assert_memory_equal(top, seven, sizeof seven);
}

static void chances_sum_to_one_at_any_scale(void **state)
{
    float scores[] = {0.31f, 0.30f, 0.10f}, large[] = {300, 299, -300};
    query_zeroshot_softmax(scores, 3, 100);
    close_to(scores[0] + scores[1] + scores[2], 1, 1e-6);
    close_to(scores[0] / scores[1], exp(1), 1e-4);
    query_zeroshot_softmax(large, 3, 100); /* exp of 30,000 would be infinite */
    close_to(large[0], 1, 1e-6);
    close_to(large[2], 0, 1e-6);
}

static void the_papers_sentences_are_all_there(void **state)
{
    query_prompts p, simple;
    assert_int_equal(query_prompts_open("imagenet80", &p), 0);
    assert_int_equal(query_prompts_open("simple7", &simple), 0);
    assert_int_equal(p.n, 80);
    assert_int_equal(simple.n, 7);
    for (size_t i = 0; i < p.n; i++) {
        assert_non_null(strstr(p.items[i], "{}"));
        for (size_t k = 0; k < i; k++) assert_string_not_equal(p.items[i], p.items[k]);
    }
    for (size_t i = 0; i < simple.n; i++) { /* the seven are among the eighty */
        size_t k = 0;
        while (k < p.n && strcmp(p.items[k], simple.items[i])) k++;
        assert_true(k < p.n);
    }
    query_prompts_close(&p);
    query_prompts_close(&simple);
    assert_int_equal(query_prompts_open("none", &p), 0);
    assert_string_equal(p.items[0], "{}");
    query_prompts_close(&p);
}

static void a_label_goes_where_the_gap_is(void **state)
{
    static const char *const cases[][3] = {
        {"a photo of a {}.", "dog", "a photo of a dog."}, {"{}", "dog", "dog"}, {"a {c}, toy", "cat", "a cat, toy"},
        {"{} and {}", "%s {}", "%s {} and {}"}, {"no gap", "dog", "no gap"}, {"a {} {c}", "x", "a x {c}"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = query_prompt_fill(cases[i][0], cases[i][1]);
        assert_string_equal(text, cases[i][2]);
        free(text);
    }
}

/* Opens a file with these bytes as a set of sentences. */
static int open_bytes(const char *bytes, size_t n, query_prompts *p)
{
    char path[] = "/tmp/clipsearch_prompts_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
    int status = query_prompts_open(path, p);
    unlink(path);
    return status;
}

static void sentences_from_a_file(void **state)
{
    query_prompts p;
    const char good[] = "a {} here.\r\n\n{c}, there\nlast {}";
    assert_int_equal(open_bytes(good, strlen(good), &p), 0);
    assert_int_equal(p.n, 3);
    assert_string_equal(p.items[0], "a {} here.");
    assert_string_equal(p.items[1], "{c}, there");
    assert_string_equal(p.items[2], "last {}");
    query_prompts_close(&p);
    assert_int_equal(open_bytes("a {}\nno gap\n", 12, &p), 2);
    assert_int_equal(open_bytes("", 0, &p), 2);
    assert_int_equal(open_bytes("\n\n", 2, &p), 2);
    assert_int_equal(open_bytes("a {}\0b {}\n", 10, &p), 2);
    assert_int_equal(query_prompts_open("/nonexistent/file", &p), 2);
    size_t large = (1 << 20) + 2;
    char *big = malloc(large);
    assert_non_null(big);
    for (size_t i = 0; i < large; i++) big[i] = "{}\n"[i % 3];
    assert_int_equal(open_bytes(big, large, &p), 2);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilsons_interval_as_published),
        cmocka_unit_test(captions_of_one_photo_do_not_count_as_many),
        cmocka_unit_test(the_mean_over_classes_has_the_spread_of_classes),
        cmocka_unit_test(ranks_are_those_of_the_definition),
        cmocka_unit_test(the_top_is_ordered_and_ties_go_to_the_earlier),
        cmocka_unit_test(chances_sum_to_one_at_any_scale),
        cmocka_unit_test(the_papers_sentences_are_all_there),
        cmocka_unit_test(a_label_goes_where_the_gap_is),
        cmocka_unit_test(sentences_from_a_file),
    };
    return cmocka_run_group_tests_name("eval", tests, NULL, NULL);
}
