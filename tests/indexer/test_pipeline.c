/* test_pipeline.c: what goes in comes out once, whatever the files, the engine and the owner do.
 *
 * The engine here is a stubborn one: a "photo" is JPEG's first bytes and then a number; its row holds the number, its
 * vector too. Some numbers cannot be decoded, some cannot be encoded. */
#include "indexer/pipeline.h"
#include "indexer/walk.h"
#include "scratch.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <xxhash.h>

enum { BROKEN = 1000000, NOT_FINITE = 2000000, ENGINE_DIES = 3000000, ROW = 64, DIM = 4, MOST = 600 };

typedef struct world {
    int fd;
    char names[MOST][32];
    int64_t sizes[MOST], mtimes[MOST];
    size_t n, next;
    indexer_outcome outcome[MOST]; int times[MOST]; char reason[MOST][512];
    float value[MOST];
    size_t written, writes, stop_at, fail_write_at;
    int known_number;            /* whose content is known; 0 none */
    bool promise_broken;         /* `write` finds no vector for what was known */
    atomic_int decoding, most_decoding, decodes;
    int slow_ms;
} world;

static void nap(int ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL); }

static void photo(world *w, int number) {
    struct stat st;
    char bytes[64] = "\xff\xd8\xff\xe0", path[64];
    memcpy(bytes + 32, &number, sizeof number);
    snprintf(w->names[w->n], sizeof w->names[0], "%zu.jpg", w->n);
    put(w->names[w->n], bytes, sizeof bytes);
    snprintf(path, sizeof path, "%s", w->names[w->n]);
    assert_int_equal(stat(at(path), &st), 0);
    w->sizes[w->n] = st.st_size;
    w->mtimes[w->n++] = indexer_mtime_ns(&st);
}

static clip_status to_row(void *ctx, const uint8_t *bytes, size_t n, const clip_limits *l, uint8_t *row, clip_photo *info, clip_error *err) {
    world *w = ctx;
    int number, now = atomic_fetch_add(&w->decoding, 1) + 1, most = atomic_load(&w->most_decoding);
    while (now > most && !atomic_compare_exchange_weak(&w->most_decoding, &most, now)) {}
    if (w->slow_ms) nap(w->slow_ms);
    atomic_fetch_sub(&w->decoding, 1);
    atomic_fetch_add(&w->decodes, 1);
    memcpy(&number, bytes + 32, sizeof number);
    if (number == BROKEN) { snprintf(err->text, sizeof err->text, "broken on purpose"); return CLIP_E_FORMAT; }
    memset(row, 0, ROW);
    memcpy(row, &number, sizeof number);
    info->format = CLIP_FORMAT_JPEG;
    return CLIP_OK;
}

static clip_status encode(void *ctx, const uint8_t *rows, size_t n, float *out, clip_error *err) {
    for (size_t i = 0; i < n; i++) {
        int number;
        memcpy(&number, rows + i * ROW, sizeof number);
        if (number == ENGINE_DIES) { snprintf(err->text, sizeof err->text, "the engine died"); return CLIP_E_MEMORY; }
        if (number == NOT_FINITE) { snprintf(err->text, sizeof err->text, "not finite"); return CLIP_E_INTERNAL; }
        for (int d = 0; d < DIM; d++) out[i * DIM + (size_t)d] = (float)number;
    }
    return CLIP_OK;
}

static bool next(indexer_job *j, void *ctx) {
    world *w = ctx;
    if (w->next == w->n) return false;
    *j = (indexer_job){.root_fd = w->fd, .path = w->names[w->next], .size = w->sizes[w->next], .mtime_ns = w->mtimes[w->next], .tag = w->next};
    w->next++;
    return true;
}

static bool known(const uint8_t hash[16], void *ctx) {
    const world *w = ctx;
    char bytes[64] = "\xff\xd8\xff\xe0";
    XXH128_canonical_t c;
    memcpy(bytes + 32, &w->known_number, sizeof w->known_number);
    XXH128_canonicalFromHash(&c, XXH3_128bits(bytes, sizeof bytes));
    return w->known_number && !memcmp(hash, c.digest, 16);
}

static int write_results(indexer_result *r, size_t n, void *ctx) {
    world *w = ctx;
    w->writes++;
    if (w->fail_write_at && w->writes == w->fail_write_at) return -1;
    for (size_t i = 0; i < n; i++) {
        size_t t = r[i].job.tag;
        if (r[i].outcome == INDEXER_KNOWN && w->promise_broken) { r[i].again = true; continue; }
        w->outcome[t] = r[i].outcome;
        w->times[t]++;
        w->written++;
        snprintf(w->reason[t], sizeof w->reason[t], "%s", r[i].reason);
        if (r[i].outcome == INDEXER_ENCODED) w->value[t] = r[i].vector[DIM - 1];
    }
    return 0;
}

static bool tick(void *ctx) {
    const world *w = ctx;
    return w->stop_at && w->written >= w->stop_at;
}

static indexer_pipeline_end go(world *w, indexer_pipeline p, clip_error *err) {
    indexer_coder c = {.row_bytes = ROW, .dim = DIM, .max_batch = 8, .to_row = to_row, .encode = encode, .ctx = w};
    p.coder = &c;
    if (!p.decoders) p.decoders = 3;
    if (!p.memory) p.memory = 1 << 20;
    if (p.flush_seconds == 0) p.flush_seconds = 5;
    p.next = next; p.known = known; p.write = write_results; p.tick = tick; p.ctx = w;
    return indexer_pipeline_run(&p, err);
}

static int make(void **state) {
    world *w = calloc(1, sizeof *w);
    if (scratch_make(state) || !w) return -1;
    w->fd = open(scratch, O_RDONLY | O_DIRECTORY);
    *state = w;
    return 0;
}

static int unmake(void **state) {
    close(((world *)*state)->fd);
    free(*state);
    return scratch_remove(state);
}

static void every_photo_comes_out_once_with_its_own_vector(void **state) {
    world *w = *state;
    for (int i = 0; i < MOST; i++) photo(w, i + 1);
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(w->times[i], 1);
        assert_int_equal(w->outcome[i], INDEXER_ENCODED);
        assert_true(w->value[i] == (float)(i + 1));
    }
}

static void nothing_to_do_is_done_at_once(void **state) {
    assert_int_equal(go(*state, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    assert_int_equal(((world *)*state)->writes, 0);
}

static void a_broken_photo_stops_nobody(void **state) {
    world *w = *state;
    for (int i = 0; i < 100; i++) photo(w, i % 3 ? i + 1 : BROKEN);
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(w->times[i], 1);
        assert_int_equal(w->outcome[i], i % 3 ? INDEXER_ENCODED : INDEXER_BROKEN);
        if (i % 3 == 0) assert_string_equal(w->reason[i], "broken on purpose");
        else assert_true(w->value[i] == (float)(i + 1));
    }
}

static void a_vector_that_is_not_finite_spoils_only_its_own_photo(void **state) {
    world *w = *state;
    for (int i = 0; i < 40; i++) photo(w, i == 17 ? NOT_FINITE : i + 1);
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    for (int i = 0; i < 40; i++) assert_int_equal(w->outcome[i], i == 17 ? INDEXER_BROKEN : INDEXER_ENCODED);
    for (int i = 0; i < 40; i++) if (i != 17) assert_true(w->value[i] == (float)(i + 1));
}

static void known_content_is_not_decoded(void **state) {
    world *w = *state;
    for (int i = 0; i < 50; i++) photo(w, i < 25 ? 7 : 100 + i);
    w->known_number = 7;
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    for (int i = 0; i < 50; i++) assert_int_equal(w->outcome[i], i < 25 ? INDEXER_KNOWN : INDEXER_ENCODED);
    assert_int_equal(w->decodes, 25);
}

static void a_vector_that_went_away_is_made_after_all(void **state) {
    world *w = *state;
    for (int i = 0; i < 50; i++) photo(w, i < 25 ? 7 : 100 + i);
    w->known_number = 7;
    w->promise_broken = true;
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(w->times[i], 1);
        assert_int_equal(w->outcome[i], INDEXER_ENCODED);
        assert_true(w->value[i] == (float)(i < 25 ? 7 : 100 + i));
    }
}

static void what_is_no_picture_is_told_in_plain_words(void **state) {
    world *w = *state;
    struct stat st;
    for (int i = 0; i < 2; i++) photo(w, 1);
    put_text("0.jpg", "<html>not found</html>");
    put_text("1.jpg", "");
    for (int i = 0; i < 2; i++) {
        stat(at(w->names[i]), &st);
        w->sizes[i] = st.st_size;
        w->mtimes[i] = indexer_mtime_ns(&st);
    }
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    assert_int_equal(w->outcome[0], INDEXER_BROKEN);
    assert_non_null(strstr(w->reason[0], "no picture"));
    assert_int_equal(w->outcome[1], INDEXER_BROKEN);
    assert_non_null(strstr(w->reason[1], "empty"));
    assert_int_equal(w->decodes, 0);
}

/* Between the walk and the reading anything may happen to a file. */
static void what_changed_since_the_walk_is_left_for_the_next_run(void **state) {
    world *w = *state;
    for (int i = 0; i < 6; i++) photo(w, i + 1);
    put_text("0.jpg", "longer or shorter");
    unlink(at("1.jpg"));
    unlink(at("2.jpg")); assert_int_equal(mkfifo(at("2.jpg"), 0600), 0);
    unlink(at("3.jpg")); assert_int_equal(symlink("5.jpg", at("3.jpg")), 0);
    unlink(at("4.jpg")); assert_int_equal(mkdir(at("4.jpg"), 0700), 0);
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_DONE);
    for (int i = 0; i < 5; i++) assert_int_equal(w->outcome[i], i == 1 ? INDEXER_VANISHED : INDEXER_UNREAD);
    for (int i = 0; i < 5; i++) assert_true(w->reason[i][0]);
    assert_int_equal(w->outcome[5], INDEXER_ENCODED);
}

static void a_stop_finishes_what_was_read(void **state) {
    world *w = *state;
    for (int i = 0; i < MOST; i++) photo(w, i + 1);
    w->stop_at = 20; w->slow_ms = 1;
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_STOPPED);
    assert_true(w->written >= 20 && w->written < MOST);
    assert_int_equal(w->written, w->next); /* nothing that was taken is lost */
}

static void a_write_that_fails_ends_the_run(void **state) {
    world *w = *state;
    for (int i = 0; i < 200; i++) photo(w, i + 1);
    w->fail_write_at = 3;
    assert_int_equal(go(w, (indexer_pipeline){0}, NULL), INDEXER_PIPELINE_FAILED);
    assert_int_equal(w->writes, 3);
}

static void an_engine_that_fails_ends_the_run_with_its_words(void **state) {
    world *w = *state;
    clip_error e = {0};
    for (int i = 0; i < 200; i++) photo(w, i == 100 ? ENGINE_DIES : i + 1);
    assert_int_equal(go(w, (indexer_pipeline){0}, &e), INDEXER_PIPELINE_FAILED);
    assert_string_equal(e.text, "the engine died");
    assert_true(w->written < 200);
}

static void slow_reading_holds_no_batch_back(void **state) {
    world *w = *state;
    for (int i = 0; i < 6; i++) photo(w, i + 1);
    w->slow_ms = 60;
    assert_int_equal(go(w, (indexer_pipeline){.decoders = 1, .flush_seconds = 0.02}, NULL), INDEXER_PIPELINE_DONE);
    assert_true(w->writes >= 4); /* a batch holds eight */
    assert_int_equal(w->written, 6);
}

static void photos_beyond_the_memory_budget_go_one_by_one(void **state) {
    world *w = *state;
    for (int i = 0; i < 30; i++) photo(w, i + 1);
    w->slow_ms = 1;
    assert_int_equal(go(w, (indexer_pipeline){.decoders = 4, .memory = 1}, NULL), INDEXER_PIPELINE_DONE);
    assert_int_equal(w->most_decoding, 1);
    assert_int_equal(w->written, 30);
}

static void a_file_above_the_limit_is_refused_unread(void **state) {
    world *w = *state;
    photo(w, 1); photo(w, 2);
    assert_int_equal(truncate(at("0.jpg"), (off_t)1 << 40), 0);
    struct stat st;
    stat(at("0.jpg"), &st);
    w->sizes[0] = st.st_size;
    w->mtimes[0] = indexer_mtime_ns(&st);
    assert_int_equal(go(w, (indexer_pipeline){.limits = {.max_bytes = 1000}}, NULL), INDEXER_PIPELINE_DONE);
    assert_int_equal(w->outcome[0], INDEXER_BROKEN);
    assert_null(strstr(w->reason[0], "0.jpg")); /* its name is told with the reason, and need not be UTF-8 as a reason must */
    assert_int_equal(w->outcome[1], INDEXER_ENCODED);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
    const struct CMUnitTest tests[] = {
        T(every_photo_comes_out_once_with_its_own_vector), T(nothing_to_do_is_done_at_once), T(a_broken_photo_stops_nobody),
        T(a_vector_that_is_not_finite_spoils_only_its_own_photo), T(known_content_is_not_decoded),
        T(a_vector_that_went_away_is_made_after_all), T(what_is_no_picture_is_told_in_plain_words),
        T(what_changed_since_the_walk_is_left_for_the_next_run), T(a_stop_finishes_what_was_read), T(a_write_that_fails_ends_the_run),
        T(an_engine_that_fails_ends_the_run_with_its_words), T(slow_reading_holds_no_batch_back),
        T(photos_beyond_the_memory_budget_go_one_by_one), T(a_file_above_the_limit_is_refused_unread),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
