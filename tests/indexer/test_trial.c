/* test_trial.c: which arithmetic a run takes: what was asked for, what the library has, or what proves itself, once.
 *
 * The engine is played: a CPU whose usual precision is int16, where int8 is worth a trial; how close it comes is up to the test. */
#include "indexer/run.h"
#include "scratch.h"

#include <stdio.h>
#include <string.h>

enum { DIM = 4, BATCH = 16 };

static clip_model_info model = {.dir = "/nowhere/model", .name = "model", .dim = DIM, .image_size = 1, .has_image = true,
                                .fingerprint = "00000000000000000000000000000001"};
static clip_precision worth_trying;
static bool close_enough, spoilt;
static int trials;

const clip_model_info *clip_model_describe(const clip_model *m) { return &model; }
const char *clip_precision_name(clip_precision p) { return (const char *const[]){"f32", "bf16", "int16", "int8", "auto"}[p]; }
clip_precision clip_precision_to_try(const clip_model *m) { return worth_trying; }
clip_precision clip_precision_here(const clip_model *m, clip_precision asked) {
    return asked == CLIP_AUTO ? CLIP_INT16 : asked == CLIP_BF16 ? CLIP_F32 : asked;
}
clip_status clip_image_encode(clip_image_encoder *e, const uint8_t *rows, size_t n, float *out, clip_error *err) {
    out[0] = 16;
    return CLIP_OK;
}
clip_status clip_image_encoder_try(clip_image_encoder *e, clip_precision tried, const uint8_t *rows, size_t n, float *out,
                                   clip_trial *t, clip_error *err) {
    trials++;
    if (spoilt) return CLIP_E_INTERNAL;
    *t = (clip_trial){tried, CLIP_INT16, n, close_enough ? 0.9999 : 0.99, close_enough ? 0.9995 : 0.9, close_enough};
    out[0] = close_enough ? 8 : 16;
    return CLIP_OK;
}

/* The rest of what the indexer links with. */
clip_status clip_image_encoder_create(const clip_model *m, const clip_encoder_options *o, clip_image_encoder **out, clip_error *err) { return CLIP_E_INTERNAL; }
void clip_image_encoder_destroy(clip_image_encoder *e) {}
clip_precision clip_image_encoder_precision(const clip_image_encoder *e) { return CLIP_F32; }
clip_status clip_photo_to_row(const clip_model *m, const uint8_t *bytes, size_t n, const clip_limits *l, uint8_t *row, clip_photo *info,
                              clip_error *err) { return CLIP_E_INTERNAL; }

/* ---- the stage --------------------------------------------------------------------------------------------------- */

static store *lib;

static int make(void **state) {
    store_error e = {0};
    worth_trying = CLIP_INT8;
    close_enough = true;
    spoilt = false;
    trials = 0;
    return scratch_make(state) || store_open(at("library.db"), STORE_CREATE, &lib, &e);
}

static int unmake(void **state) {
    store_close(lib);
    return scratch_remove(state);
}

/* A run's beginning, over a library that has `vectors` in `precision`: what the encoder is asked for, and what is in stock after its
 * first batches. */
typedef struct outcome { clip_precision asked; float vector; indexer_report report; char kept[16]; } outcome;

static outcome index_some(clip_precision wanted, size_t jobs, int64_t vectors, const char *precision, size_t batch) {
    indexer_options o = {.precision = wanted};
    indexer_events quiet = {0};
    outcome x = {0};
    clip_error err = {0};
    store_error e = {0};
    float out[DIM];
    run r = {.s = lib, .o = &o, .ev = &quiet, .report = &x.report, .err = &err, .n_jobs = jobs, .to_try = CLIP_AUTO,
             .store_lock = PTHREAD_MUTEX_INITIALIZER};
    if (vectors >= 0) assert_int_equal(run_put_model(&r, precision), 0);
    r.known = (store_model){.vectors = vectors > 0 ? vectors : 0};
    if (vectors >= 0) snprintf(r.known.precision, sizeof r.known.precision, "%s", precision);
    assert_int_equal(run_choose_precision(&r, &x.asked), 0);
    assert_int_equal(run_put_model(&r, clip_precision_name(clip_precision_here(NULL, x.asked))), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(run_encode(&r, NULL, NULL, batch, out, &err), CLIP_OK);
    x.vector = out[0];
    store_model *all;
    size_t n;
    assert_int_equal(store_models(lib, &all, &n, &e), STORE_OK);
    snprintf(x.kept, sizeof x.kept, "%s", all[0].precision);
    free(all);
    return x;
}

static bool has_record(store_trial *t) {
    store_error e = {0};
    return store_trial_get(lib, 1, t, &e) == STORE_OK;
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void what_keeps_the_vectors_is_taken_and_recorded(void **state) {
    store_trial t;
    outcome x = index_some(CLIP_AUTO, 100, -1, "", BATCH);
    assert_int_equal(x.asked, CLIP_INT16);
    assert_int_equal(trials, 1);
    assert_string_equal(x.kept, "int8");
    assert_int_equal(x.report.trial.photos, BATCH);
    assert_true(has_record(&t) && t.kept && t.photos == BATCH);
    assert_string_equal(t.tried, "int8");
    assert_string_equal(t.against, "int16");
    assert_float_equal(t.mean, 0.9999, 1e-6);
    assert_float_equal(t.least, 0.9995, 1e-6);
    x = index_some(CLIP_AUTO, 100, 100, "int8", BATCH); /* the next run goes on in it */
    assert_int_equal(x.asked, CLIP_INT8);
    assert_int_equal(trials, 1);
}

static void what_would_change_them_is_left_and_not_tried_again(void **state) {
    store_trial t;
    close_enough = false;
    outcome x = index_some(CLIP_AUTO, 1000, -1, "", BATCH);
    assert_string_equal(x.kept, "int16");
    assert_true(x.vector == 16 && has_record(&t) && !t.kept);
    x = index_some(CLIP_AUTO, 1000, 50, "int16", BATCH); /* few vectors: say, most photos were forgotten */
    assert_int_equal(x.asked, CLIP_INT16);
    assert_int_equal(x.report.trial.photos, 0);
    assert_int_equal(trials, 1);
}

static void a_run_that_is_not_worth_it_tries_nothing(void **state) {
    assert_string_equal(index_some(CLIP_AUTO, 99, -1, "", BATCH).kept, "int16");
    assert_string_equal(index_some(CLIP_AUTO, 1000, 99, "int16", BATCH - 1).kept, "int16"); /* no batch is large enough */
    assert_int_equal(trials, 0);
    assert_string_equal(index_some(CLIP_AUTO, 1000, 99, "int16", BATCH).kept, "int8"); /* a small library that grows */
    assert_int_equal(trials, 1);
}

static void a_library_stays_in_what_it_has(void **state) {
    assert_int_equal(index_some(CLIP_AUTO, 5000, 100, "int16", BATCH).asked, CLIP_INT16);
    assert_int_equal(index_some(CLIP_AUTO, 5000, 1, "f32", BATCH).asked, CLIP_F32);
    assert_int_equal(index_some(CLIP_AUTO, 5000, 100, "bf16", BATCH).asked, CLIP_INT16); /* this CPU lacks it */
    assert_int_equal(trials, 0);
}

static void what_is_asked_for_is_done(void **state) {
    assert_int_equal(index_some(CLIP_F32, 5000, -1, "", BATCH).asked, CLIP_F32);
    assert_int_equal(index_some(CLIP_INT16, 5000, 100, "int8", BATCH).asked, CLIP_INT16);
    worth_trying = CLIP_AUTO;
    assert_string_equal(index_some(CLIP_AUTO, 5000, 0, "int16", BATCH).kept, "int16");
    assert_int_equal(trials, 0);
}

static void a_spoilt_batch_leaves_the_trial_to_the_next(void **state) {
    indexer_options o = {.precision = CLIP_AUTO};
    indexer_events quiet = {0};
    indexer_report report = {0};
    clip_error err = {0};
    clip_precision asked;
    float out[DIM];
    run r = {.s = lib, .o = &o, .ev = &quiet, .report = &report, .err = &err, .n_jobs = 100, .to_try = CLIP_AUTO,
             .store_lock = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(run_choose_precision(&r, &asked), 0);
    assert_int_equal(run_put_model(&r, "int16"), 0);
    spoilt = true;
    assert_int_equal(run_encode(&r, NULL, NULL, BATCH, out, &err), CLIP_E_INTERNAL);
    spoilt = false;
    assert_int_equal(run_encode(&r, NULL, NULL, BATCH, out, &err), CLIP_OK);
    assert_true(report.trial.kept && out[0] == 8);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(what_keeps_the_vectors_is_taken_and_recorded), T(what_would_change_them_is_left_and_not_tried_again),
        T(a_run_that_is_not_worth_it_tries_nothing), T(a_library_stays_in_what_it_has), T(what_is_asked_for_is_done),
        T(a_spoilt_batch_leaves_the_trial_to_the_next),
    };
    return cmocka_run_group_tests_name("trial", tests, NULL, NULL);
}
