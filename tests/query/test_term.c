/* test_term.c: how a question is spelled. */
#include "query/combine.h"
#include "query/term.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void expect(const char *argument, query_kind kind, double weight, const char *body)
{
    query_term t;
    const char *wrong = query_term_parse(argument, &t);
    if (wrong) fail_msg("%s: %s", argument, wrong);
    assert_int_equal(t.kind, kind);
    assert_true(fabs((double)t.weight - weight) < 1e-6);
    assert_string_equal(t.body, body);
    assert_int_equal(t.photo_id, 0);
}

static void words_are_a_text(void **state)
{
    expect("beach", QUERY_TEXT, 1, "beach");
    expect("a dog, running", QUERY_TEXT, 1, "a dog, running");
    expect("beach.jpg", QUERY_TEXT, 1, "beach.jpg");
    expect("photos/beach.jpg", QUERY_TEXT, 1, "photos/beach.jpg");
    expect(".hidden", QUERY_TEXT, 1, ".hidden");
    expect("~tilde", QUERY_TEXT, 1, "~tilde");
}

static void what_begins_as_a_path_is_an_image(void **state)
{
    expect("./a.jpg", QUERY_IMAGE, 1, "./a.jpg");
    expect("../a.jpg", QUERY_IMAGE, 1, "../a.jpg");
    expect("/a.jpg", QUERY_IMAGE, 1, "/a.jpg");
    expect("~/a.jpg", QUERY_IMAGE, 1, "~/a.jpg");
}

static void a_number_and_a_colon_weigh_a_term(void **state)
{
    expect("2:cat", QUERY_TEXT, 2, "cat");
    expect("0.5:./a.jpg", QUERY_IMAGE, 0.5, "./a.jpg");
    expect(".25:cat", QUERY_TEXT, 0.25, "cat");
    expect("-1:cat", QUERY_TEXT, -1, "cat");
    expect("+3:cat", QUERY_TEXT, 3, "cat");
    expect("0.5:concept:our boat", QUERY_CONCEPT, 0.5, "our boat");
    expect("2:3:cat", QUERY_TEXT, 1, "2:3:cat");
}

static void colons_of_everyday_words_are_no_weights(void **state)
{
    expect("16:9", QUERY_TEXT, 1, "16:9");
    expect("7:30", QUERY_TEXT, 1, "7:30");
    expect("at 7: breakfast", QUERY_TEXT, 1, "at 7: breakfast");
    expect("1: a list", QUERY_TEXT, 1, "1: a list");
    expect("1.2.3:x", QUERY_TEXT, 1, "1.2.3:x");
    expect("1e3:x", QUERY_TEXT, 1, "1e3:x");
    expect("inf:x", QUERY_TEXT, 1, "inf:x");
    expect("0x10:x", QUERY_TEXT, 1, "0x10:x");
    expect(":x", QUERY_TEXT, 1, ":x");
    expect("-:x", QUERY_TEXT, 1, "-:x");
    expect(".:x", QUERY_TEXT, 1, ".:x");
}

static void a_prefix_says_what_a_term_is(void **state)
{
    expect("text:/etc", QUERY_TEXT, 1, "/etc");
    expect("image:a.jpg", QUERY_IMAGE, 1, "a.jpg");
    expect("0.5:text:16:9", QUERY_TEXT, 0.5, "16:9");
    expect("2:image:a.jpg", QUERY_IMAGE, 2, "a.jpg");
}

static void empty_and_weightless_terms_are_refused(void **state)
{
    static const char *const bad[] = {"", " ", "\t\n", "text:", "image:", "2:", "0:cat", "-0.0:cat", "2000:cat",
                                      "99999999999999999999999999999999999999999999999999:cat"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        query_term t;
        if (!query_term_parse(bad[i], &t)) fail_msg("\"%s\" was accepted", bad[i]);
    }
}

static void all_plain_words_are_one_text(void **state)
{
    char *words[] = {"a", "bird", "on", "a tree"};
    query_terms t = {0};
    assert_null(query_terms_from_words(words, 4, &t));
    assert_int_equal(t.n, 1);
    assert_string_equal(t.items[0].body, "a bird on a tree");
    query_terms_finish(&t);
}

static void images_stand_apart_from_words(void **state)
{
    char *words[] = {"a", "./x.jpg", "bird", "2:snow"};
    query_terms t = {0};
    assert_null(query_terms_from_words(words, 4, &t));
    assert_int_equal(t.n, 3);
    assert_int_equal(t.items[0].kind, QUERY_IMAGE);
    assert_string_equal(t.items[1].body, "snow");
    assert_string_equal(t.items[2].body, "a bird");
    query_terms_finish(&t);
}

static void no_words_are_no_terms_but_blank_words_are_wrong(void **state)
{
    char *blank[] = {" "}, *empty[] = {""};
    query_terms t = {0};
    assert_null(query_terms_from_words(NULL, 0, &t));
    assert_int_equal(t.n, 0);
    query_terms_finish(&t);
    assert_non_null(query_terms_from_words(blank, 1, &t));
    query_terms_finish(&t);
    assert_non_null(query_terms_from_words(empty, 1, &t));
    query_terms_finish(&t);
}

static void subtracting_turns_the_weight_round(void **state)
{
    query_terms t = {0};
    assert_null(query_terms_add(&t, "0.5:people", -1));
    assert_true(t.items[0].weight == -0.5f);
    query_terms_finish(&t);
}

/* ---- sums ---- */

static void a_sum_is_of_unit_length(void **state)
{
    const query_term terms[] = {{.weight = 1}, {.weight = 2}, {.weight = -0.5f}};
    const float vectors[3][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 0.6f, 0.8f}};
    float out[4];
    double length = 0;
    assert_true(query_combine(terms, 3, vectors[0], 4, out));
    for (int i = 0; i < 4; i++) length += (double)out[i] * out[i];
    assert_true(fabs(length - 1) < 1e-6);
    assert_true(fabs((double)out[1] / out[0] - 2) < 1e-6);
    assert_true(fabs((double)out[3] / out[0] + 0.4) < 1e-6);
}

static void one_term_alone_is_itself_whatever_its_weight(void **state)
{
    const query_term term = {.weight = 7};
    const float vector[2] = {0.6f, 0.8f};
    float out[2];
    assert_true(query_combine(&term, 1, vector, 2, out));
    assert_true(fabsf(out[0] - 0.6f) < 1e-6f && fabsf(out[1] - 0.8f) < 1e-6f);
}

static void terms_that_cancel_are_refused(void **state)
{
    const query_term terms[] = {{.weight = 1}, {.weight = -1}};
    const float vectors[2][2] = {{0.6f, 0.8f}, {0.6f, 0.8f}};
    float out[2];
    assert_false(query_combine(terms, 2, vectors[0], 2, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_a_text),
        cmocka_unit_test(what_begins_as_a_path_is_an_image),
        cmocka_unit_test(a_number_and_a_colon_weigh_a_term),
        cmocka_unit_test(colons_of_everyday_words_are_no_weights),
        cmocka_unit_test(a_prefix_says_what_a_term_is),
        cmocka_unit_test(empty_and_weightless_terms_are_refused),
        cmocka_unit_test(all_plain_words_are_one_text),
        cmocka_unit_test(images_stand_apart_from_words),
        cmocka_unit_test(no_words_are_no_terms_but_blank_words_are_wrong),
        cmocka_unit_test(subtracting_turns_the_weight_round),
        cmocka_unit_test(a_sum_is_of_unit_length),
        cmocka_unit_test(one_term_alone_is_itself_whatever_its_weight),
        cmocka_unit_test(terms_that_cancel_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
