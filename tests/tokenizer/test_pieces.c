/* test_pieces.c: SigLIP's ids are sentencepiece's for the text as open_clip, or Hugging Face, cleans it.
 *
 * pieces/ was made by make_pieces.py; the ids in pieces.json are sentencepiece's own. */
#include "engine/model/json_scan.h"
#include "engine/model/tokenizer.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CONTEXT = 64, CASES_AT_LEAST = 300, VOCAB = 500, END = 1, UNKNOWN = 2 };

static clip_tokenizer *open_pieces(const char *folder, clip_text_rules rules, int context, int vocab)
{
    clip_error err = {0};
    clip_tokenizer *t;
    char dir[4096];
    snprintf(dir, sizeof dir, FOLDER "/%s", folder);
    clip_text_config text = {.rules = rules, .context = context, .vocab = vocab, .padded = true};
    if (clip_tokenizer_open_pieces(dir, &text, &t, &err)) fail_msg("%s", err.text);
    return t;
}

static void encode(const clip_tokenizer *t, const char *text, int context, int32_t *ids)
{
    clip_error err = {0};
    size_t n;
    if (clip_tokenizer_encode(t, text, ids, (size_t)context, &n, &err)) fail_msg("%s", err.text);
    assert_int_equal(n, context);
}

/* The text's ids, cut before the last place, then end tokens to the context's end. */
static bool same_ids(const clip_tokenizer *t, const char *text, const json_t *want)
{
    int32_t ids[CONTEXT];
    bool same = true;
    encode(t, text, CONTEXT, ids);
    for (size_t i = 0; i < CONTEXT; i++) {
        json_int_t id = i < json_array_size(want) && i < CONTEXT - 1 ? json_integer_value(json_array_get(want, i)) : END;
        same = same && ids[i] == (int32_t)id;
    }
    if (!same) printf("# differs: %s\n", text);
    return same;
}

static void check_all(const char *folder)
{
    static const char *const keys[] = {[CLIP_TEXT_AS_IT_IS] = "as_it_is", [CLIP_TEXT_LOWER] = "lower",
                                       [CLIP_TEXT_CANONICAL] = "canonical", [CLIP_TEXT_PLAIN] = "plain"};
    json_error_t e;
    json_t *cases = json_load_file(FOLDER "/pieces/pieces.json", 0, &e), *c;
    size_t i;
    int wrong = 0;
    if (!cases) fail_msg("pieces.json: %s", e.text);
    assert_true(json_array_size(cases) >= CASES_AT_LEAST);
    for (int rules = CLIP_TEXT_AS_IT_IS; rules <= CLIP_TEXT_PLAIN; rules++) {
        clip_tokenizer *t = open_pieces(folder, (clip_text_rules)rules, CONTEXT, VOCAB);
        json_array_foreach(cases, i, c)
            wrong += !same_ids(t, json_string_value(json_object_get(c, "text")), json_object_get(c, keys[rules]));
        clip_tokenizer_close(t);
    }
    json_decref(cases);
    assert_int_equal(wrong, 0);
}

static void ids_equal_sentencepieces(void **state) { check_all("pieces"); }
static void a_tokenizer_json_serves_as_well(void **state) { check_all("pieces_json"); }

static void a_text_is_cut_and_ends_with_the_end_token(void **state)
{
    clip_tokenizer *whole = open_pieces("pieces", CLIP_TEXT_CANONICAL, CONTEXT, VOCAB);
    const char *text = "two children playing football in the park";
    int32_t all[CONTEXT], ids[CONTEXT];
    encode(whole, text, CONTEXT, all);
    for (int context = 2; context <= CONTEXT; context++) {
        clip_tokenizer *t = open_pieces("pieces", CLIP_TEXT_CANONICAL, context, VOCAB);
        encode(t, text, context, ids);
        assert_memory_equal(ids, all, (size_t)(context - 1) * sizeof *ids);
        assert_int_equal(ids[context - 1], END);
        clip_tokenizer_close(t);
    }
    clip_tokenizer_close(whole);
}

/* The multilingual vocabulary has more pieces than its models have rows. */
static void no_id_is_beyond_the_models_rows(void **state)
{
    enum { ROWS = 20 };
    clip_tokenizer *t = open_pieces("pieces", CLIP_TEXT_CANONICAL, CONTEXT, ROWS);
    int32_t ids[CONTEXT];
    encode(t, "a photo of a dog running on the beach", CONTEXT, ids);
    for (int i = 0; i < CONTEXT; i++) assert_in_range(ids[i], 0, ROWS - 1);
    clip_tokenizer_close(t);
}

/* ---- files that are refused -------------------------------------------------------------------------------------- */

static void refused(const char *bytes, size_t n, bool json, clip_status status, const char *why)
{
    clip_pieces *v = NULL;
    clip_error err = {0};
    uint8_t *copy = malloc(n + 1);
    memcpy(copy, bytes, n);
    clip_status s = json ? clip_pieces_parse_json(copy, n, "x", 100, &v, &err) : clip_pieces_parse(copy, n, "x", 100, &v, &err);
    if (s != status || !strstr(err.text, why)) fail_msg("%s: status %d, \"%s\"", why, s, err.text);
    assert_null(v);
}

#define PROTO(bytes, status, why) refused(bytes, sizeof bytes - 1, false, status, why)
#define JSON(text, status, why) refused(text, sizeof text - 1, true, status, why)
#define UNK "\x0A\x09\x0A\x05<unk>\x18\x02"
#define EOS "\x0A\x08\x0A\x04</s>\x18\x03"

static void a_broken_file_is_refused_with_a_reason(void **state)
{
    PROTO("", CLIP_E_FORMAT, "cut short");
    PROTO("\x0A\x7F", CLIP_E_FORMAT, "cut short");
    PROTO("\x0F\x01", CLIP_E_FORMAT, "cut short");
    PROTO("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01z", CLIP_E_FORMAT, "cut short");
    PROTO("\x0A\x02\x0A\x00", CLIP_E_FORMAT, "piece 0 has 0 bytes");
    PROTO("\x0A\x02\x0A\x05", CLIP_E_FORMAT, "piece 0 is broken");
    PROTO("\x0A\x08\x0A\x01" "a\x15\x00\x00\xC0\x7F", CLIP_E_FORMAT, "piece 0 is broken"); /* a score that is no number */
    PROTO("\x0A\x03\x0A\x01" "a", CLIP_E_FORMAT, "no piece for the unknown");
    PROTO(UNK, CLIP_E_FORMAT, "no \"</s>\"");
    PROTO(UNK EOS "\x0A\x03\x0A\x01" "a\x0A\x03\x0A\x01" "a", CLIP_E_FORMAT, "\"a\" comes twice");
    PROTO(UNK EOS "\x12\x02\x18\x02", CLIP_E_UNSUPPORTED, "byte pairs");
    PROTO(UNK EOS "\x12\x03\xC0\x01\x01", CLIP_E_UNSUPPORTED, "treat_whitespace_as_suffix");
    PROTO(UNK EOS "\x1A\x05\x12\x03" "abc", CLIP_E_FORMAT, "rules are broken");
    PROTO(UNK EOS "\x1A\x0B\x12\x09\xFF\x00\x00\x00xxxx\x00", CLIP_E_FORMAT, "rules are broken");
    JSON("{", CLIP_E_FORMAT, "not a tokenizer");
    JSON("{\"model\":[]}", CLIP_E_FORMAT, "not a tokenizer");
    JSON("{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", CLIP_E_UNSUPPORTED, "the kind \"BPE\"");
    JSON("{\"model\":{\"type\":\"Unigram\"}}", CLIP_E_FORMAT, "vocab is no list");
    JSON("{\"model\":{\"vocab\":[[\"a\",1e400]]}}", CLIP_E_FORMAT, "no list of pieces");
    JSON("{\"model\":{\"vocab\":[[\"a\",1e300]]}}", CLIP_E_FORMAT, "beyond all measure");
    JSON("{\"model\":{\"vocab\":[[\"a\",-1.5]]}}", CLIP_E_FORMAT, "no piece for the unknown");
    JSON("{\"model\":{\"unk_id\":0,\"vocab\":[[\"a\",-1],[\"</s>\",0]]},\"normalizer\":{\"precompiled_charsmap\":\"*\"}}", CLIP_E_FORMAT, "base64");
}

/* A number is read wherever its digits stand and however many they are. */
static void numbers_of_many_digits_are_read(void **state)
{
    enum { MANY = 30000 };
    static const struct { const char *head, *tail; char fill; double value; } all[] = {
        {"0.", "1]", '0', 0}, {"0.", "1e30001]", '0', -1}, {"1", "e-30000]", '0', -1}, {"-0.", "]", '3', -1.0 / 3}, {"1", "]", '0', -1}, {"0", "]", '0', 0},
        {"-2.5e", "1]", '0', -25},
    };
    char *text = malloc(MANY + 64);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double value = -1;
        size_t n = (size_t)sprintf(text, "%s", all[i].head);
        memset(text + n, all[i].fill, MANY);
        n += MANY + (size_t)sprintf(text + n + MANY, "%s", all[i].tail);
        clip_json j = {(uint8_t *)text, (uint8_t *)text + n, false};
        bool ok = clip_json_take_real(&j, &value);
        if (all[i].value == -1 ? ok : !ok || fabs(value - all[i].value) > 1e-15) fail_msg("case %zu: %d, %g", i, ok, value);
    }
    free(text);
}

/* A megabyte that a step done naively would take minutes for. */
static void long_texts_take_a_moment(void **state)
{
    enum { LENGTH = 1000000 };
    static const char *const again[] = {"photo", " ", "\xC3\xA9", "a photo of a dog ", "\xE2\x80\xA6"};
    clip_tokenizer *t = open_pieces("pieces", CLIP_TEXT_CANONICAL, CONTEXT, VOCAB);
    char *text = malloc(LENGTH + 64);
    int32_t ids[CONTEXT];
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) {
        size_t n = 0, step = strlen(again[i]);
        for (; n + step <= LENGTH; n += step) memcpy(text + n, again[i], step);
        text[n] = 0;
        encode(t, text, CONTEXT, ids); /* the suite's time limit is the measure */
    }
    free(text);
    clip_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_equal_sentencepieces),
        cmocka_unit_test(a_tokenizer_json_serves_as_well),
        cmocka_unit_test(a_text_is_cut_and_ends_with_the_end_token),
        cmocka_unit_test(no_id_is_beyond_the_models_rows),
        cmocka_unit_test(a_broken_file_is_refused_with_a_reason),
        cmocka_unit_test(numbers_of_many_digits_are_read),
        cmocka_unit_test(long_texts_take_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
