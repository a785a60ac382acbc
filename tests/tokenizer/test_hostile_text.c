/* test_hostile_text.c: a megabyte made to be slow is tokenised in a moment.
 *
 * Each text is one that a step done naively takes quadratic time for: minutes to hours where this takes well under a
 * second. The bound is wide enough for a slow machine with sanitizers, and far from quadratic. */
#include "engine/model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum { CONTEXT = 77, LENGTH = 1000000 };
#define SECONDS_MOST 20.0

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* first, then `again` as often as fits, then last. */
static void check_text(const char *first, const char *again, const char *last) {
    clip_tokenizer *t;
    clip_error err = {0};
    int32_t ids[CONTEXT];
    size_t n = strlen(first), step = strlen(again), count;
    if (clip_tokenizer_open(FOLDER "/plain", CONTEXT, 1000, &t, &err)) fail_msg("%s", err.text);
    char *text = malloc(LENGTH + 64);
    assert_non_null(text);
    memcpy(text, first, n);
    for (; n + step < LENGTH; n += step) memcpy(text + n, again, step);
    strcpy(text + n, last);
    double start = now();
    if (clip_tokenizer_encode(t, text, ids, CONTEXT, &count, &err)) fail_msg("%s", err.text);
    double took = now() - start;
    assert_in_range(count, 2, CONTEXT);
    assert_int_equal(ids[count - 1], clip_tokenizer_end_id(t));
    if (took > SECONDS_MOST) fail_msg("%.1f s for a megabyte of %s", took, again);
    free(text);
    clip_tokenizer_close(t);
}

static void one_word_of_a_megabyte(void **state) {
    check_text("", "a", "");
    check_text("", "photograph", "");
    check_text("", "ab", "");
    check_text("", "é", "");
    check_text("", "!", "");
}

static void references_within_references(void **state) {
    check_text("&", "amp;", "lt;");
    check_text("&", "#65286;", "lt;");
    check_text("", "&", "");
    check_text("", "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "");
    check_text("&#", "9", ";");
    check_text("", "&lt", "");
}

static void marks_without_end(void **state) {
    check_text("a", "\u0301\u0323", "");
    check_text("a", "\u0345\u0301\u0323\u0334", "");
    check_text("a", "\u0344", "");
    check_text("", "\u1E69", "");
}

static void sigmas_and_what_lies_between(void **state) {
    check_text("A", "\u03A3", "");
    check_text("A", "\u03A3\u0301.'", "");
    check_text("A\u03A3", "\u00AD", "\u03A3");
}

static void escapes_and_lines(void **state) {
    check_text("", "\x1b[", "m");
    check_text("\x1b[", ";", "");
    check_text("", "\x1b[1;", "");
    check_text("", "\u00A0\n", "x");
    check_text("", "<\n&amp;", "");
    check_text("", "<end_of_tex", "");
    check_text("", "\x01", "x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_word_of_a_megabyte), cmocka_unit_test(references_within_references), cmocka_unit_test(marks_without_end),
        cmocka_unit_test(sigmas_and_what_lies_between), cmocka_unit_test(escapes_and_lines)};
    return cmocka_run_group_tests_name("hostile text", tests, NULL, NULL);
}
