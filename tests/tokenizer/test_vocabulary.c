/* test_vocabulary.c: what is not a vocabulary in CLIP's form is refused, and the message says why.
 *
 * A small valid vocabulary is made, one thing in it is broken, and the refusal must name it. */
#include "engine/model/vocabulary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { VOCAB_SIZE = 600 };

typedef struct text {
    char *p;
    size_t n;
} text;

static text read_text(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s cannot be read", path);
    text t = {calloc(1, 1 << 17), 0};
    assert_non_null(t.p);
    t.n = fread(t.p, 1, (1 << 17) - 64, f);
    fclose(f);
    return t;
}

/* A copy of t with the first `from` made `to`; both may be of any length. Padded as clip_vocabulary_parse asks. */
static text replace(text t, const char *from, const char *to) {
    char *at = strstr(t.p, from);
    if (!at) fail_msg("the sample has no %s", from);
    size_t before = (size_t)(at - t.p), from_n = strlen(from), to_n = strlen(to);
    text out = {calloc(1, t.n + to_n + 64), t.n - from_n + to_n};
    assert_non_null(out.p);
    memcpy(out.p, t.p, before);
    memcpy(out.p + before, to, to_n);
    memcpy(out.p + before + to_n, at + from_n, t.n - before - from_n);
    return out;
}

static clip_status parse(text json, text merges, int vocab_size, clip_error *err) {
    clip_vocabulary v;
    text copy = replace(json, "", ""); /* the parser changes it */
    clip_status s = clip_vocabulary_parse((uint8_t *)copy.p, copy.n, "vocab.json", (uint8_t *)merges.p, merges.n, "merges.txt", vocab_size,
                                          &v, err);
    if (!s) clip_vocabulary_finish(&v);
    free(copy.p);
    return s;
}

typedef struct offence {
    const char *from, *to;
    clip_status status;
    const char *says; /* a part of the message */
} offence;

static void check_offences(const char *broken_name, bool merges_broken, const offence *list, size_t n) {
    text json = read_text("plain/vocab.json"), merges = read_text("plain/merges.txt");
    clip_error none = {0};
    if (parse(json, merges, 1000, &none)) fail_msg("the sample itself: %s", none.text);
    for (size_t i = 0; i < n; i++) {
        clip_error err = {0};
        text broken = replace(merges_broken ? merges : json, list[i].from, list[i].to);
        clip_status s = parse(merges_broken ? json : broken, merges_broken ? broken : merges, 1000, &err);
        if (s != list[i].status || !strstr(err.text, list[i].says) || !strstr(err.text, broken_name))
            fail_msg("%s -> %s gives status %d, \"%s\"; expected %d, \"%s\"", list[i].from, list[i].to, s, err.text, list[i].status,
                     list[i].says);
        free(broken.p);
    }
    free(json.p);
    free(merges.p);
}

static void a_broken_vocab_json_is_refused_with_its_reason(void **state) {
    char long_token[1200] = "\"", long_number[] = "\"!\": 99999999999999999999999";
    memset(long_token + 1, 'x', 1000);
    strcat(long_token, "\": 0");
    const offence list[] = {
        {"\"A\": 32", "\"A\": 33", CLIP_E_FORMAT, "two tokens have id 33"},
        {"\"A\": 32", "\"B\": 32", CLIP_E_FORMAT, "\"B\" comes twice"},
        {"\"A\": 32, ", "", CLIP_E_FORMAT, "no token \"A\" for the byte 0x41"},
        {"\"A</w>\"", "\"AA</w>\"", CLIP_E_FORMAT, "no token \"A</w>\" for the byte 0x41"},
        {"\"A\": 32", "\"A\": 1000", CLIP_E_FORMAT, "has id 1000, but the model has 1000 tokens"},
        {"\"A\": 32", "\"A\": -1", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"A\": 32", "\"A\": 3.2", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"A\": 32", "\"A\": 32e1", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"A\": 32", "\"A\": \"32\"", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"A\": 32", "\"A\" 32", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"A\": 32, ", "\"A\": 32 ", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"A\": 32, ", "\"A\": 32,, ", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"!\": 0", long_number, CLIP_E_FORMAT, "not a vocabulary"},
        {"\"!\": 0", long_token, CLIP_E_FORMAT, "a token of 1000 bytes"},
        {"\"!\": 0", "\"\": 0", CLIP_E_FORMAT, "a token of 0 bytes"},
        {"\"!\": 0", "\"!\n\": 0", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"!\": 0", "\"\\x21\": 0", CLIP_E_FORMAT, "not a vocabulary"},
        {"\"!\": 0", "\"\\u00g1\": 0", CLIP_E_FORMAT, "not a vocabulary"},
        {"<|startoftext|>", "<|start|>", CLIP_E_FORMAT, "no token \"<|startoftext|>\""},
        {"<|endoftext|>", "<|end|>", CLIP_E_FORMAT, "no token \"<|endoftext|>\""},
        {"{", "[", CLIP_E_FORMAT, "not a vocabulary"},
        {"{", "", CLIP_E_FORMAT, "not a vocabulary"},
        {": 886}", ": 886", CLIP_E_FORMAT, "not a vocabulary"},
    };
    check_offences("vocab.json", false, list, sizeof list / sizeof *list);
}

static void a_broken_merges_txt_is_refused_with_its_reason(void **state) {
    const offence list[] = {
        {"t h\n", "t qq\n", CLIP_E_FORMAT, "names a token that the vocabulary does not have"},
        {"t h\n", "qq h\n", CLIP_E_FORMAT, "names a token that the vocabulary does not have"},
        {"t h\n", "t ~\n", CLIP_E_FORMAT, "names a token that the vocabulary does not have"}, /* both exist, the two together do not */
        {"t h\n", "th\n", CLIP_E_FORMAT, "not of the form LEFT RIGHT"},
        {"t h\n", "t h e\n", CLIP_E_FORMAT, "names a token"},
        {"t h\n", " h\n", CLIP_E_FORMAT, "not of the form LEFT RIGHT"},
        {"t h\n", "t \n", CLIP_E_FORMAT, "not of the form LEFT RIGHT"},
        {"t h\n", "t h\nt h\n", CLIP_E_FORMAT, "repeats merge"},
    };
    check_offences("merges.txt", true, list, sizeof list / sizeof *list);
}

static void harmless_variations_are_read(void **state) {
    text json = read_text("plain/vocab.json"), merges = read_text("plain/merges.txt");
    const text variations[][2] = {
        {replace(json, "\"A\": 32, ", "\n\t\"\\u0041\"  :32\r\n ,"), replace(merges, "#version: 0.2\n", "")},
        {replace(json, "<|startoftext|>", "<start_of_text>"), replace(merges, "t h\n", "t h\r\n")},
        {replace(json, "<|endoftext|>", "<end_of_text>"), replace(merges, "t h\n", "\nt h\n\n")}};
    for (size_t i = 0; i < 3; i++) {
        clip_error err = {0};
        if (parse(variations[i][0], variations[i][1], 1000, &err)) fail_msg("%s", err.text);
        free(variations[i][0].p);
        free(variations[i][1].p);
    }
    free(json.p);
    free(merges.p);
}

static void a_model_of_an_absurd_size_takes_no_memory(void **state) {
    text json = read_text("plain/vocab.json"), merges = read_text("plain/merges.txt");
    clip_error err = {0};
    assert_int_equal(parse(json, merges, 0, &err), CLIP_E_LIMIT);
    assert_int_equal(parse(json, merges, CLIP_VOCABULARY_MAX + 1, &err), CLIP_E_LIMIT);
    assert_int_equal(parse(json, merges, 886, &err), CLIP_E_FORMAT); /* one row too few */
    assert_int_equal(parse(json, merges, CLIP_VOCABULARY_MAX, NULL), CLIP_OK);
    free(json.p);
    free(merges.p);
}

static void a_tokenizer_of_another_kind_is_refused(void **state) {
    static const char *const others[][2] = {
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", -1.5]]}}", "model.merges"},
        {"{\"version\": \"1.0\"}", "model.vocab"},
        {"{\"model\": {\"vocab\": {}, \"merges\": []}}", "for the byte"},
        {"{\"model\": {\"vocab\": {}, \"merges\": [}}", "not a vocabulary"},
        {"{\"x\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "not a vocabulary"},
        {"", "not a vocabulary"}, {"{", "not a vocabulary"}, {"{\"model\"", "not a vocabulary"}, {"null", "not a vocabulary"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        uint8_t bytes[256] = {0};
        clip_vocabulary v;
        clip_error err = {0};
        size_t n = strlen(others[i][0]);
        memcpy(bytes, others[i][0], n);
        assert_int_not_equal(clip_vocabulary_parse(bytes, n, "tokenizer.json", NULL, 0, "tokenizer.json", VOCAB_SIZE, &v, &err), CLIP_OK);
        if (!strstr(err.text, others[i][1])) fail_msg("%s: \"%s\"", others[i][0], err.text);
    }
}

/* Where vocabulary.c looks first for a pair, in a table of 1024. */
static unsigned home_of(int left, int right) {
    uint64_t h = ((uint64_t)left << 20 | (uint64_t)right) * 0x9E3779B97F4A7C15u;
    return (unsigned)((h ^ h >> 29) * 0xBF58476D1CE4E5B9u >> 32) & 1023;
}

/* Merges that all want one place in the table would make every look-up as long as the table, and a million of them take hours. */
static void merges_made_to_collide_are_refused(void **state) {
    enum { SIDE = 1000, FIRST = 1000, CHAIN = 600, ROOM = 1 << 20 };
    text json = read_text("plain/vocab.json"), out = {calloc(1, ROOM), 0}, merges = {calloc(1, ROOM), 0};
    assert_non_null(out.p);
    assert_non_null(merges.p);
    out.n = json.n - 1; /* its closing brace */
    memcpy(out.p, json.p, out.n);
    for (int i = 0; i < SIDE; i++)
        out.n += (size_t)sprintf(out.p + out.n, ", \"<%d\": %d, \"%d>\": %d", i, FIRST + i, i, FIRST + SIDE + i);
    int found = 0;
    for (int l = 0; l < SIDE; l++)
        for (int r = 0; r < SIDE && found < CHAIN; r++) {
            if (home_of(FIRST + l, FIRST + SIDE + r) != 7) continue;
            out.n += (size_t)sprintf(out.p + out.n, ", \"<%d%d>\": %d", l, r, FIRST + 2 * SIDE + found++);
            merges.n += (size_t)sprintf(merges.p + merges.n, "<%d %d>\n", l, r);
        }
    assert_int_equal(found, CHAIN);
    out.n += (size_t)sprintf(out.p + out.n, "}");
    clip_error err = {0};
    assert_int_equal(parse(out, merges, 4000, &err), CLIP_E_FORMAT);
    if (!strstr(err.text, "collide")) fail_msg("%s", err.text);
    free(json.p);
    free(out.p);
    free(merges.p);
}

static void absent_and_odd_files_are_reported(void **state) {
    char dir[] = "/tmp/clipsearch_vocabulary_XXXXXX", path[4096];
    clip_vocabulary v;
    clip_error err = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(clip_vocabulary_open(dir, VOCAB_SIZE, &v, &err), CLIP_E_IO);
    assert_non_null(strstr(err.text, "vocab.json and merges.txt, or tokenizer.json"));
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    err = (clip_error){0};
    assert_int_equal(clip_vocabulary_open(dir, VOCAB_SIZE, &v, &err), CLIP_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(unlink(path), 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), (off_t)1 << 40), 0); /* a hole of a terabyte */
    fclose(f);
    err = (clip_error){0};
    assert_int_equal(clip_vocabulary_open(dir, VOCAB_SIZE, &v, &err), CLIP_E_LIMIT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_vocab_json_is_refused_with_its_reason),
        cmocka_unit_test(a_broken_merges_txt_is_refused_with_its_reason),
        cmocka_unit_test(harmless_variations_are_read),
        cmocka_unit_test(a_model_of_an_absurd_size_takes_no_memory),
        cmocka_unit_test(a_tokenizer_of_another_kind_is_refused),
        cmocka_unit_test(merges_made_to_collide_are_refused),
        cmocka_unit_test(absent_and_odd_files_are_reported),
    };
    return cmocka_run_group_tests_name("vocabulary", tests, NULL, NULL);
}
