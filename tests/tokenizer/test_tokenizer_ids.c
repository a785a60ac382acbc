/* test_tokenizer_ids.c: the ids are those of open_clip's SimpleTokenizer.
 *
 * cases.json and the vocabularies were made by make_cases.py; the ids in it are open_clip's own. */
#include "engine/model/tokenizer.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CONTEXT = 77, CASES_AT_LEAST = 400, THREADS = 4 };

static clip_tokenizer *open_vocabulary(const char *folder, int context, int vocab_size) {
    char dir[4096];
    clip_error err = {0};
    clip_tokenizer *t;
    snprintf(dir, sizeof dir, "%s/%s", FOLDER, folder);
    if (clip_tokenizer_open(dir, context, vocab_size, &t, &err)) fail_msg("%s", err.text);
    return t;
}

static json_t *load_cases(void) {
    json_error_t e;
    json_t *cases = json_load_file(FOLDER "/cases.json", 0, &e);
    if (!cases) fail_msg("cases.json: %s", e.text);
    assert_true(json_array_size(cases) >= CASES_AT_LEAST);
    return cases;
}

/* Whether the text has exactly these ids. */
static bool same_ids(const clip_tokenizer *t, const char *text, const json_t *want, bool report) {
    int32_t ids[CONTEXT];
    size_t n;
    clip_error err = {0};
    if (clip_tokenizer_encode(t, text, ids, CONTEXT, &n, &err)) fail_msg("%s", err.text);
    bool same = n == json_array_size(want);
    for (size_t i = 0; same && i < n; i++) same = ids[i] == (int32_t)json_integer_value(json_array_get(want, i));
    if (same || !report) return same;
    printf("# %s\n#   got", text);
    for (size_t i = 0; i < n; i++) printf(" %d", ids[i]);
    char *dump = json_dumps(want, JSON_COMPACT);
    printf("\n#   want %s\n", dump);
    free(dump);
    return false;
}

static int count_wrong(const clip_tokenizer *t, const json_t *cases, const char *key, bool report) {
    int wrong = 0;
    size_t i;
    json_t *c;
    json_array_foreach(cases, i, c)
        wrong += !same_ids(t, json_string_value(json_object_get(c, "text")), json_object_get(c, key), report);
    return wrong;
}

static void check_all(const char *folder, const char *key) {
    clip_tokenizer *t = open_vocabulary(folder, CONTEXT, 1000);
    json_t *cases = load_cases();
    assert_int_equal(count_wrong(t, cases, key, true), 0);
    json_decref(cases);
    clip_tokenizer_close(t);
}

static void ids_equal_open_clips(void **state) { check_all("plain", "plain"); }
static void a_single_tokenizer_json_serves_as_well(void **state) { check_all("single", "plain"); }
static void rank_decides_in_whatever_order_the_merges_come(void **state) { check_all("shuffled", "shuffled"); }

static void a_text_is_cut_to_the_context_and_ends_with_the_end_token(void **state) {
    const char *text = "two children playing football in the park, it's raining: 12345 <end_of_text> xylophone";
    clip_tokenizer *whole = open_vocabulary("plain", CONTEXT, 1000);
    int32_t all[CONTEXT], ids[CONTEXT];
    size_t n, all_n;
    assert_int_equal(clip_tokenizer_encode(whole, text, all, CONTEXT, &all_n, NULL), CLIP_OK);
    for (int context = 2; context <= (int)all_n; context++) {
        clip_tokenizer *t = open_vocabulary("plain", context, 1000);
        memset(ids, 0xFF, sizeof ids);
        assert_int_equal(clip_tokenizer_encode(t, text, ids, (size_t)context, &n, NULL), CLIP_OK);
        assert_int_equal(n, context);
        assert_memory_equal(ids, all, (n - 1) * sizeof *ids);
        assert_int_equal(ids[n - 1], clip_tokenizer_end_id(t));
        assert_int_equal(ids[0], clip_tokenizer_start_id(t));
        if (context < CONTEXT) assert_int_equal(ids[context], -1);
        clip_tokenizer_close(t);
    }
    clip_tokenizer_close(whole);
}

static void bytes_that_are_not_utf8_count_as_replacement_characters(void **state) {
    /* As Python's decoder replaces them. */
    static const char *const pairs[][2] = {
        {"a\xFFz", "a\uFFFDz"}, {"\xC3", "\uFFFD"}, {"\xC3(", "\uFFFD("}, {"\xC0\xAF", "\uFFFD\uFFFD"}, {"\xE2\x82", "\uFFFD"},
        {"\xE2\x82z", "\uFFFDz"}, {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"}, {"\xF0\x9F\x91", "\uFFFD"}, {"\xF0\x80\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
        {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"}, {"\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD"}, {"\x80", "\uFFFD"}, {"\xF0\x9F\x91\x8D\x91", "\U0001F44D\uFFFD"}};
    clip_tokenizer *t = open_vocabulary("plain", CONTEXT, 1000);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int32_t a[CONTEXT], b[CONTEXT];
        size_t n, m;
        assert_int_equal(clip_tokenizer_encode(t, pairs[i][0], a, CONTEXT, &n, NULL), CLIP_OK);
        assert_int_equal(clip_tokenizer_encode(t, pairs[i][1], b, CONTEXT, &m, NULL), CLIP_OK);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n * sizeof *a);
    }
    clip_tokenizer_close(t);
}

static void too_little_room_and_too_long_a_text_are_refused(void **state) {
    clip_tokenizer *t = open_vocabulary("plain", CONTEXT, 1000);
    int32_t ids[CONTEXT];
    size_t n;
    clip_error err = {0};
    assert_int_equal(clip_tokenizer_encode(t, "a", ids, CONTEXT - 1, &n, &err), CLIP_E_ARGUMENT);
    assert_non_null(strstr(err.text, "77"));
    char *text = malloc(CLIP_TEXT_MAX_BYTES + 2);
    assert_non_null(text);
    memset(text, 'a', CLIP_TEXT_MAX_BYTES + 1);
    text[CLIP_TEXT_MAX_BYTES + 1] = '\0';
    assert_int_equal(clip_tokenizer_encode(t, text, ids, CONTEXT, &n, NULL), CLIP_E_LIMIT);
    free(text);
    clip_tokenizer_close(t);
    assert_int_equal(clip_tokenizer_open(FOLDER "/plain", 1, 1000, &t, NULL), CLIP_E_LIMIT);
    assert_null(t);
    clip_tokenizer_close(NULL);
}

struct job {
    const clip_tokenizer *t;
    const json_t *cases;
    int wrong;
};

static void *run_job(void *p) {
    struct job *job = p;
    job->wrong = count_wrong(job->t, job->cases, "plain", false);
    return NULL;
}

static void many_threads_may_encode_at_once(void **state) {
    clip_tokenizer *t = open_vocabulary("plain", CONTEXT, 1000);
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){t, load_cases(), -1}; /* jansson's reference counts are not for sharing */
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].wrong, 0);
        json_decref((json_t *)jobs[i].cases);
    }
    clip_tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_equal_open_clips),
        cmocka_unit_test(a_single_tokenizer_json_serves_as_well),
        cmocka_unit_test(rank_decides_in_whatever_order_the_merges_come),
        cmocka_unit_test(a_text_is_cut_to_the_context_and_ends_with_the_end_token),
        cmocka_unit_test(bytes_that_are_not_utf8_count_as_replacement_characters),
        cmocka_unit_test(too_little_room_and_too_long_a_text_are_refused),
        cmocka_unit_test(many_threads_may_encode_at_once),
    };
    return cmocka_run_group_tests_name("tokenizer ids", tests, NULL, NULL);
}
