/* test_encoder.c: the public calls: vectors that do not depend on batches or threads, and nothing that poisons a library. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/clip.h"
#include "engine/math/dnn.h"
#include "engine/math/int16.h"
#include "engine/math/int8.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"
#include "made_model.h"

#define DIM 144 /* at most */

static clip_model *open_model(const char *dir)
{
    clip_model *m = NULL;
    clip_error err = {0};
    if (clip_model_open(dir, &m, &err)) fail_msg("%s", err.text);
    return m;
}

static double cosine(const float *a, const float *b, int dim)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < dim; i++) ab += (double)a[i] * b[i], aa += (double)a[i] * a[i], bb += (double)b[i] * b[i];
    return ab / sqrt(aa * bb);
}

static double squares(const float *v, int dim)
{
    double sum = 0;
    for (int i = 0; i < dim; i++) sum += (double)v[i] * v[i];
    return sum;
}

static void encode_images(const clip_model *m, clip_encoder_options o, const uint8_t *rows, size_t n, float *out)
{
    clip_error err = {0};
    clip_image_encoder *e;
    if (clip_image_encoder_create(m, &o, &e, &err) || clip_image_encode(e, rows, n, out, &err)) fail_msg("%s", err.text);
    if (o.max_batch) assert_int_equal(clip_image_encoder_max_batch(e), o.max_batch);
    clip_image_encoder_destroy(e);
}

static void vectors_are_the_references(void **state)
{
    static const char *const names[] = {"vit_quick_f32", "hf_gelu_f32", "lite0_mlp_f16", "hf_siglip_f32"};
    for (int i = 0; i < 4; i++) {
        clip_model *m = open_model(made_model(names[i]));
        int dim = clip_model_describe(m)->dim, found = 0;
        uint8_t *rows = made_images(clip_model_describe(m)->image_size);
        float v[2][MADE_IMAGES * DIM], narrow[MADE_IMAGES * DIM];
        clip_text_encoder *t;
        made_reference ref = made_reference_open(names[i]);
        made_record r;
        encode_images(m, (clip_encoder_options){.threads = 2, .max_batch = 2}, rows, MADE_IMAGES, v[0]);
        encode_images(m, (clip_encoder_options){.precision = CLIP_INT16}, rows, MADE_IMAGES, narrow);
        assert_int_equal(clip_text_encoder_create(m, NULL, &t, NULL), CLIP_OK);
        assert_int_equal(clip_text_encode(t, made_texts, MADE_TEXTS, v[1], NULL), CLIP_OK);
        while (made_reference_next(&ref, &r)) {
            int text = !strcmp(r.name, "text.vector");
            if (!text && strcmp(r.name, "image.vector") != 0) continue;
            for (int j = 0; j < MADE_IMAGES; j++) {
                assert_true(cosine(v[text] + j * dim, r.values + j * dim, dim) > 0.999999);
                if (!text) assert_true(cosine(narrow + j * dim, r.values + j * dim, dim) > 0.9999);
                assert_float_equal(squares(v[text] + j * dim, dim), 1, 1e-6);
            }
            found++;
        }
        assert_int_equal(found, 2);
        made_reference_close(&ref);
        clip_text_encoder_destroy(t);
        clip_model_close(m);
        free(rows);
    }
}

/* With integers a row is rounded by itself, so that what it is batched with cannot matter; only the first and the last
 * products' sums may. */
static void batches_and_threads_change_nothing(void **state)
{
    static const struct { const char *name; clip_precision precision; } all[] = {
        {"vit_quick_f32", CLIP_F32}, {"lite1_linear_bf16", CLIP_F32}, {"vit_quick_f32", CLIP_INT16}, {"hf_gelu_f32", CLIP_INT16},
        {"hf_siglip_f32", CLIP_F32}, {"hf_siglip_f32", CLIP_INT16},
        {"lite1_linear_bf16", CLIP_INT16}, {"vit_slim_f16", CLIP_INT16}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        clip_model *m = open_model(made_model(all[i].name));
        clip_precision p = all[i].precision;
        size_t size = (size_t)clip_model_describe(m)->image_size, dim = (size_t)clip_model_describe(m)->dim, row = size * size * 3;
        uint8_t *rows = malloc(23 * row), *three = made_images((int)size);
        for (size_t j = 0; j < 23; j++) memcpy(rows + j * row, three + j * 7 % 3 * row, row);
        for (size_t j = 0; j < 23 * row; j += 97) rows[j] = (uint8_t)(rows[j] + j / row);
        float *one = malloc(23 * dim * sizeof *one), *other = malloc(23 * dim * sizeof *other);
        encode_images(m, (clip_encoder_options){.threads = 1, .max_batch = 1, .precision = p}, rows, 23, one);
        const struct { int threads, batch; } ways[] = {{1, 8}, {2, 8}, {2, 9}, {3, 16}, {4, 32}, {0, 0}};
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            encode_images(m, (clip_encoder_options){.threads = ways[w].threads, .max_batch = ways[w].batch, .precision = p}, rows, 23, other);
            for (size_t j = 0; j < 23; j++) {
                double c = cosine(one + j * dim, other + j * dim, (int)dim);
                if (c < 0.9999999) fail_msg("%s in %s, %d threads, batch %d, image %zu: cosine %.9f", all[i].name,
                                            clip_precision_name(p), ways[w].threads, ways[w].batch, j, c);
            }
        }
        free(rows), free(three), free(one), free(other);
        clip_model_close(m);
    }
}

static void many_texts_are_the_same_as_each(void **state)
{
    enum { N = 100 };
    clip_model *m = open_model(made_model(*state));
    int dim = clip_model_describe(m)->dim;
    char text[N][40];
    const char *texts[N];
    static float all[N * DIM], one[DIM];
    clip_text_encoder *many, *single; /* many: a lone text is computed by three threads together */
    static float together[DIM];
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "%.*s %d", i % 20, "the quick brown fox jumps", i);
        texts[i] = text[i];
    }
    assert_int_equal(clip_text_encoder_create(m, &(clip_encoder_options){.threads = 3}, &many, NULL), CLIP_OK);
    assert_int_equal(clip_text_encoder_create(m, &(clip_encoder_options){.max_batch = 1}, &single, NULL), CLIP_OK);
    assert_int_equal(clip_text_encode(many, texts, N, all, NULL), CLIP_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(clip_text_encode(single, texts + i, 1, one, NULL), CLIP_OK);
        assert_true(cosine(one, all + i * dim, dim) > 0.9999999);
        assert_int_equal(clip_text_encode(many, texts + i, 1, together, NULL), CLIP_OK);
        assert_memory_equal(one, together, (size_t)dim * sizeof *one);
    }
    assert_int_equal(clip_text_encode(many, texts, 0, all, NULL), CLIP_OK);
    clip_text_encoder_destroy(many);
    clip_text_encoder_destroy(single);
    clip_model_close(m);
}

/* CLIP looks at the first end token: what a text says behind one is never seen. */
static void nothing_behind_the_end_token_counts(void **state)
{
    clip_model *m = open_model(made_model("vit_quick_f32"));
    const char *texts[] = {"a cat", "a cat <end_of_text> xy", "a cat xy"};
    float v[3 * DIM];
    int dim = clip_model_describe(m)->dim;
    clip_text_encoder *t;
    assert_int_equal(clip_text_encoder_create(m, NULL, &t, NULL), CLIP_OK);
    assert_int_equal(clip_text_encode(t, texts, 3, v, NULL), CLIP_OK);
    assert_true(cosine(v, v + dim, dim) > 0.9999999);
    assert_true(cosine(v, v + 2 * dim, dim) < 0.999);
    clip_text_encoder_destroy(t);
    clip_model_close(m);
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    clip_model *m = open_model(made_model("vit_quick_f32"));
    char *text = malloc(3001);
    memset(text, 'z', 3000), text[3000] = 0;
    int32_t ids[16];
    size_t n;
    float v[DIM];
    clip_text_encoder *t;
    assert_int_equal(clip_tokenize(m, text, ids, 16, &n, NULL), CLIP_OK);
    assert_int_equal(n, 16);
    assert_int_equal(ids[15], 513);
    assert_int_equal(clip_text_encoder_create(m, NULL, &t, NULL), CLIP_OK);
    assert_int_equal(clip_text_encode(t, &(const char *){text}, 1, v, NULL), CLIP_OK);
    clip_text_encoder_destroy(t);
    clip_model_close(m);
    free(text);
}

/* Overwrites the second half of the weight file's bytes, which a NaN in any type survives. */
static void a_vector_that_is_not_finite_is_an_error(void **state)
{
    char path[256];
    const char *dir = made_model_copy("hf_gelu_f32", "nan");
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    fseek(f, n - n / 2, SEEK_SET);
    for (long i = n - n / 2; i < n; i++) fputc(0xff, f);
    fclose(f);

    clip_model *m = open_model(dir);
    clip_error err = {0};
    clip_image_encoder *e;
    uint8_t *rows = made_images(clip_model_describe(m)->image_size);
    float v[MADE_IMAGES * DIM];
    assert_int_equal(clip_image_encoder_create(m, NULL, &e, &err), CLIP_OK);
    assert_int_equal(clip_image_encode(e, rows, MADE_IMAGES, v, &err), CLIP_E_INTERNAL);
    assert_non_null(strstr(err.text, "not finite"));
    clip_image_encoder_destroy(e);
    clip_model_close(m);
    free(rows);
}

/* oneDNN falls back to reference code, a hundred times slower, without a word. */
static void no_layer_runs_on_reference_code(void **state)
{
    static const struct { const char *name; clip_precision precision; } all[] = {
        {"vit_quick_f32", CLIP_F32},    {"vit_gelu_f16", CLIP_F32},  {"lite0_mlp_f16", CLIP_F32}, {"lite2_linear_f32", CLIP_F32},
        {"lite4_mlp_f16", CLIP_F32},    {"resnet_quick_f16", CLIP_F32}, {"vit_quick_f32", CLIP_INT8}, {"hf_siglip_f32", CLIP_INT8}};
    int before = clip_dnn_use_threads(1);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        clip_model *m = open_model(made_model(all[i].name));
        const clip_image_tower_kind *kind = clip_image_tower_of(m->config.image.kind);
        clip_image_tower *t;
        const char *name;
        int n = 0;
        assert_int_equal(kind->create(m, &(clip_tower_options){.workers = 1, .batch = kind->batch, .precision = all[i].precision}, &t, NULL), CLIP_OK);
        for (; (name = kind->kernel(t, n)); n++)
            if (strstr(name, "ref")) fail_msg("%s in %s, product %d: %s", all[i].name, clip_precision_name(all[i].precision), n, name);
        assert_true(n > 10);
        kind->destroy(t);
        clip_model_close(m);
    }
    clip_dnn_use_threads(before);
}

/* The random EfficientNet amplifies every rounding; a trained one keeps 0.999 (README). What a CPU or a tower does not have is
 * f32, and says so. */
static void narrow_arithmetic_stays_close_to_f32(void **state)
{
    static const struct { const char *name; clip_precision precision; double least; bool as_vnni; } all[] = {
        {"vit_quick_f32", CLIP_BF16, 0.999},    {"hf_gelu_f32", CLIP_BF16, 0.999},      {"lite0_mlp_f16", CLIP_BF16, 0.98},
        {"resnet_quick_f16", CLIP_BF16, 0.999}, {"vit_quick_f32", CLIP_INT16, 0.99999}, {"hf_gelu_f32", CLIP_INT16, 0.99999},
        {"vit_gelu_f16", CLIP_INT8, 0.99, true}, {"hf_gelu_f32", CLIP_INT8, 0.99, true}, {"hf_siglip_f32", CLIP_INT8, 0.99, true},
        {"vit_gelu_f16", CLIP_INT8, 0.99},      {"hf_gelu_f32", CLIP_INT8, 0.99},       {"hf_siglip_f32", CLIP_INT8, 0.99},
        {"vit_slim_f16", CLIP_BF16, 0.999},     {"vit_slim_f16", CLIP_INT16, 0.99999},  {"vit_slim_f16", CLIP_INT8, 0.99},
        {"lite0_mlp_f16", CLIP_INT16, 0.9999},  {"lite0_mlp_f16", CLIP_INT8, 0.9999}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        clip_model *m = open_model(made_model(all[i].name));
        int dim = clip_model_describe(m)->dim;
        clip_precision ran;
        clip_image_encoder *e;
        uint8_t *rows = made_images(clip_model_describe(m)->image_size);
        float f32[MADE_IMAGES * DIM], narrow[MADE_IMAGES * DIM];
        encode_images(m, (clip_encoder_options){.precision = CLIP_F32}, rows, MADE_IMAGES, f32);
        assert_int_equal(clip_image_encoder_create(m, &(clip_encoder_options){.precision = all[i].precision, .as_vnni = all[i].as_vnni}, &e, NULL), CLIP_OK);
        ran = clip_image_encoder_precision(e);
        bool convolutional = m->config.image.kind != CLIP_IMAGE_VIT;
        clip_precision want = all[i].precision == CLIP_INT8 && convolutional ? CLIP_INT16 : all[i].precision;
        assert_true(ran == want || (ran == CLIP_F32 && !all[i].as_vnni));
        if (clip_int16_is_fast() && want == CLIP_INT16) assert_int_equal(ran, want);
        assert_int_equal(clip_image_encode(e, rows, MADE_IMAGES, narrow, NULL), CLIP_OK);
        for (int j = 0; j < MADE_IMAGES; j++) {
            double c = cosine(f32 + j * dim, narrow + j * dim, dim);
            if (c < all[i].least || (ran != CLIP_F32 && !memcmp(f32 + j * dim, narrow + j * dim, (size_t)dim * sizeof *f32)))
                fail_msg("%s in %s: cosine %.9f", all[i].name, clip_precision_name(ran), c);
        }
        clip_image_encoder_destroy(e);
        clip_model_close(m);
        free(rows);
    }
}

static void integers_of_8_bits_run_where_they_are_fast(void **state)
{
    clip_model *m = open_model(made_model("vit_quick_f32")), *other = open_model(made_model("lite0_mlp_f16"));
    clip_image_encoder *e;
    bool fast = clip_int8_is_fast() || clip_dnn_has_vnni();
    clip_precision wide = clip_int16_is_fast() ? CLIP_INT16 : CLIP_F32;
    assert_int_equal(clip_image_encoder_create(m, &(clip_encoder_options){.precision = CLIP_INT8}, &e, NULL), CLIP_OK);
    assert_int_equal(clip_image_encoder_precision(e), fast ? CLIP_INT8 : wide);
    assert_int_equal(clip_precision_here(m, CLIP_INT8), fast ? CLIP_INT8 : wide);
    assert_int_equal(clip_precision_here(other, CLIP_INT8), wide);
    assert_int_equal(clip_precision_here(other, CLIP_F32), CLIP_F32);
    assert_true(clip_precision_here(m, CLIP_AUTO) != CLIP_INT8); /* not without a trial */
    assert_true(clip_precision_to_try(m) == CLIP_AUTO || fast);
    assert_int_equal(clip_precision_to_try(other), CLIP_AUTO);
    clip_image_encoder_destroy(e);
    clip_model_close(m), clip_model_close(other);
}

/* Of each tensor whose name ends so, each number `every` places from the last becomes `value`. */
static void overwrite(const char *dir, const char *end, unsigned long every, float value)
{
    char path[256], *header = NULL;
    uint64_t length;
    snprintf(path, sizeof path, "%s/open_clip_model.safetensors", dir);
    FILE *f = fopen(path, "r+b");
    assert_true(f && fread(&length, 8, 1, f) == 1 && (header = calloc(1, length + 1)) && fread(header, 1, length, f) == length);
    for (char *at = header; (at = strstr(at, end)); at++) {
        unsigned long first, last;
        assert_int_equal(sscanf(strstr(at, "data_offsets"), "data_offsets\":[%lu,%lu]", &first, &last), 2);
        for (unsigned long i = first; i < last; i += every * sizeof(float)) {
            fseek(f, (long)(8 + length + i), SEEK_SET);
            fwrite(&value, sizeof value, 1, f);
        }
    }
    free(header);
    fclose(f);
}

static clip_trial try_8_bits(const char *dir, float *out /* [MADE_IMAGES * DIM] */, clip_precision *left)
{
    clip_model *m = open_model(dir);
    clip_image_encoder *e;
    clip_trial t;
    float again[MADE_IMAGES * DIM];
    size_t n = (size_t)MADE_IMAGES * (size_t)clip_model_describe(m)->dim;
    uint8_t *rows = made_images(clip_model_describe(m)->image_size);
    assert_int_equal(clip_image_encoder_create(m, &(clip_encoder_options){.precision = CLIP_F32}, &e, NULL), CLIP_OK);
    assert_int_equal(clip_image_encoder_try(e, CLIP_INT8, rows, MADE_IMAGES, out, &t, NULL), CLIP_OK);
    *left = clip_image_encoder_precision(e);
    assert_int_equal(clip_image_encode(e, rows, MADE_IMAGES, again, NULL), CLIP_OK);
    assert_memory_equal(again, out, n * sizeof *again); /* the vectors of what is left running */
    assert_true(t.photos == MADE_IMAGES && t.tried == CLIP_INT8 && t.against == CLIP_F32);
    clip_image_encoder_destroy(e);
    clip_model_close(m);
    free(rows);
    return t;
}

static void narrow_arithmetic_must_prove_itself(void **state)
{
    float out[MADE_IMAGES * DIM];
    clip_precision left;
    const char *calm = made_model_copy("vit_quick_f32", "calm"), *giants = made_model_copy("vit_quick_f32", "giants");
    overwrite(calm, "ln_2.weight", 1, 0.125f);
    clip_trial t = try_8_bits(calm, out, &left);
    if (!t.kept || left != CLIP_INT8) fail_msg("not kept at %.6f, %.6f", t.mean, t.least);
    assert_true(t.mean >= CLIP_TRIAL_MEAN && t.least >= CLIP_TRIAL_LEAST && t.mean < 1 && t.least <= t.mean);
    overwrite(giants, "ln_1.weight", 17, 1000); /* as in the channels that trained transformers are known for */
    overwrite(giants, "ln_2.weight", 17, 1000);
    t = try_8_bits(giants, out, &left);
    if (t.kept || left != CLIP_F32) fail_msg("kept at %.6f, %.6f", t.mean, t.least);
    assert_true(t.mean < CLIP_TRIAL_MEAN);
}

static void a_row_that_is_not_finite_leaves_the_encoder_as_it_was(void **state)
{
    const char *dir = made_model_copy("vit_quick_f32", "not_finite");
    overwrite(dir, "ln_post.weight", 29, INFINITY);
    clip_model *m = open_model(dir);
    clip_image_encoder *e;
    clip_trial t;
    float out[MADE_IMAGES * DIM];
    uint8_t *rows = made_images(clip_model_describe(m)->image_size);
    assert_int_equal(clip_image_encoder_create(m, NULL, &e, NULL), CLIP_OK);
    clip_precision before = clip_image_encoder_precision(e);
    assert_int_equal(clip_image_encoder_try(e, CLIP_INT8, rows, MADE_IMAGES, out, &t, NULL), CLIP_E_INTERNAL);
    assert_int_equal(clip_image_encoder_precision(e), before);
    assert_int_equal(clip_image_encode(e, rows, 1, out, NULL), CLIP_E_INTERNAL); /* it still runs */
    clip_image_encoder_destroy(e);
    clip_model_close(m);
    free(rows);
}

static void the_machine_is_described(void **state)
{
    assert_true(strlen(clip_cpu_describe()) > 0);
    assert_true(clip_cpu_problem() == NULL); /* or these tests would not run */
}

#define MODEL(test, name) {#test " " name, test, NULL, NULL, (void *)(uintptr_t)name}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_the_references),
        cmocka_unit_test(batches_and_threads_change_nothing),
        MODEL(many_texts_are_the_same_as_each, "vit_gelu_f16"),
        MODEL(many_texts_are_the_same_as_each, "hf_siglip_f32"),
        cmocka_unit_test(nothing_behind_the_end_token_counts),
        cmocka_unit_test(a_text_that_is_too_long_is_cut),
        cmocka_unit_test(a_vector_that_is_not_finite_is_an_error),
        cmocka_unit_test(narrow_arithmetic_stays_close_to_f32),
        cmocka_unit_test(no_layer_runs_on_reference_code),
        cmocka_unit_test(integers_of_8_bits_run_where_they_are_fast),
        cmocka_unit_test(narrow_arithmetic_must_prove_itself),
        cmocka_unit_test(a_row_that_is_not_finite_leaves_the_encoder_as_it_was),
        cmocka_unit_test(the_machine_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
