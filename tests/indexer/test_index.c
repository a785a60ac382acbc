/* test_index.c: whole runs over real folders and a real library.
 *
 * Only the towers are played: a "photo" is JPEG's first bytes and a word, its vector is made from the word, and every
 * decoding is counted, so that a test can say "and nothing was decoded". The real engine is met in the stories. */
#include "indexer/indexer.h"
#include "scratch.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <xxhash.h>

enum { DIM = 16, SIZE = 4, WORD = 40 };

/* ---- the engine -------------------------------------------------------------------------------------------------- */

static atomic_int decodes, encodes;
static int stop_at; /* photos; 0: never */
static clip_model_info model = {.dir = "/nowhere/model", .name = "model", .dim = DIM, .image_size = SIZE, .has_image = true,
                                .fingerprint = "00000000000000000000000000000001"};

const clip_model_info *clip_model_describe(const clip_model *m) { return &model; }

clip_status clip_image_encoder_create(const clip_model *m, const clip_encoder_options *o, clip_image_encoder **out, clip_error *err) {
    *out = NULL;
    return CLIP_OK;
}
void clip_image_encoder_destroy(clip_image_encoder *e) {}
int clip_image_encoder_max_batch(const clip_image_encoder *e) { return 4; }
clip_precision clip_image_encoder_precision(const clip_image_encoder *e) { return CLIP_F32; }
const char *clip_precision_name(clip_precision p) { return "f32"; }
clip_precision clip_precision_here(const clip_model *m, clip_precision asked) { return CLIP_F32; }
clip_precision clip_precision_to_try(const clip_model *m) { return CLIP_AUTO; }
clip_status clip_image_encoder_try(clip_image_encoder *e, clip_precision tried, const uint8_t *rows, size_t n, float *out,
                                   clip_trial *t, clip_error *err) { return CLIP_E_INTERNAL; }

static void vector_of(const char *word, float *v) {
    uint64_t x = XXH3_64bits(word, strlen(word)) | 1;
    double sum = 0;
    for (int i = 0; i < DIM; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)((double)(x >> 33) / (1u << 30) - 1);
        sum += (double)v[i] * v[i];
    }
    for (int i = 0; i < DIM; i++) v[i] = (float)(v[i] / sqrt(sum));
}

clip_status clip_photo_to_row(const clip_model *m, const uint8_t *bytes, size_t n, const clip_limits *l, uint8_t *row,
                              clip_photo *info, clip_error *err) {
    atomic_fetch_add(&decodes, 1);
    if (stop_at) nanosleep(&(struct timespec){0, 5000000}, NULL); /* so that there is something left to stop */
    memset(row, 0, SIZE * SIZE * 3);
    memcpy(row, bytes + 4, n - 4 < WORD ? n - 4 : WORD);
    if (!memcmp(row, "broken", 6)) { snprintf(err->text, sizeof err->text, "broken on purpose"); return CLIP_E_FORMAT; }
    *info = (clip_photo){.format = CLIP_FORMAT_JPEG, .width = 3, .height = 2, .orientation = 1, .camera = "Box",
                         .truncated = !memcmp(row, "short", 5)};
    return CLIP_OK;
}

clip_status clip_image_encode(clip_image_encoder *e, const uint8_t *rows, size_t n, float *out, clip_error *err) {
    atomic_fetch_add(&encodes, (int)n);
    for (size_t i = 0; i < n; i++) vector_of((const char *)rows + i * SIZE * SIZE * 3, out + i * DIM);
    return CLIP_OK;
}

/* ---- the stage --------------------------------------------------------------------------------------------------- */

static store *lib;
static indexer_report report;
static char fates[1 << 16], remarks[1 << 14];

static void on_fate(indexer_fate f, const char *absolute, const char *reason, void *ctx) {
    static const char letters[] = "NCSMGRFE";
    snprintf(fates + strlen(fates), sizeof fates - strlen(fates), "%c:%s ", letters[f], absolute + strlen(scratch) + 1);
}
static void on_remark(const char *line, void *ctx) { snprintf(remarks + strlen(remarks), sizeof remarks - strlen(remarks), "%s\n", line); }
static bool on_stop(void *ctx) { return stop_at && report.count[INDEXER_NEW] >= stop_at; }

static const char *vanishing; /* a file that goes away right after the walk */
static void on_progress(const indexer_report *so_far, int64_t done, int64_t total, void *ctx) { if (vanishing) unlink(at(vanishing)); }

static int try_index(indexer_options o, clip_error *err) {
    indexer_events ev = {.fate = on_fate, .remark = on_remark, .stop = on_stop, .progress = on_progress};
    fates[0] = remarks[0] = 0;
    decodes = encodes = 0;
    if (!o.threads) o.threads = 2;
    return indexer_run(lib, NULL, &o, &ev, &report, err);
}

static void index_with(indexer_options o) {
    clip_error e = {0};
    if (try_index(o, &e)) fail_msg("%s", e.text);
}

static void index_folder(const char *relative) {
    char folder[5000];
    snprintf(folder, sizeof folder, "%s", at(relative));
    index_with((indexer_options){.folders = &(const char *){folder}, .n_folders = 1});
}

static void refresh(void) { index_with((indexer_options){0}); }

/* new, changed, unchanged, moved, missing, returned, failed, reembedded */
static void expect(int n, int c, int s, int m, int g, int r, int f, int e) {
    const int want[INDEXER_FATES] = {n, c, s, m, g, r, f, e};
    for (int i = 0; i < INDEXER_FATES; i++)
        if (report.count[i] != want[i])
            fail_msg("new %d changed %d same %d moved %d gone %d returned %d failed %d reembedded %d; %s%s", (int)report.count[0],
                (int)report.count[1], (int)report.count[2], (int)report.count[3], (int)report.count[4], (int)report.count[5],
                (int)report.count[6], (int)report.count[7], fates, remarks);
}

static void picture(const char *relative, const char *word) {
    char bytes[128];
    int n = snprintf(bytes, sizeof bytes, "\xff\xd8\xff\xe0%s", word);
    put(relative, bytes, (size_t)n);
}

static void set_time(const char *relative, time_t t) {
    struct timespec both[2] = {{t, 1}, {t, 1}};
    assert_int_equal(utimensat(AT_FDCWD, at(relative), both, 0), 0);
}

static store_photo row(const char *relative) {
    store_photo p;
    store_error e = {0};
    if (store_photo_by_absolute(lib, at(relative), &p, &e)) fail_msg("no row for %s", relative);
    return p;
}

static int64_t id_of(const char *relative) {
    store_photo p = row(relative);
    int64_t id = p.id;
    store_photo_finish(&p);
    return id;
}

static store_state state_of(const char *relative) {
    store_photo p = row(relative);
    store_state s = p.state;
    store_photo_finish(&p);
    return s;
}

static bool is_stored(const char *relative) {
    store_photo p;
    store_error e = {0};
    store_status s = store_photo_by_absolute(lib, at(relative), &p, &e);
    if (!s) store_photo_finish(&p);
    return !s;
}

/* The stored vector is the one of this word. */
static void expect_vector(const char *relative, const char *word) {
    float v[DIM], want[DIM], dot = 0;
    store_model m;
    store_error e = {0};
    assert_int_equal(store_model_current(lib, &m, &e), STORE_OK);
    assert_int_equal(store_vector_get(lib, id_of(relative), m.id, v, &e), STORE_OK);
    vector_of(word, want);
    for (int i = 0; i < DIM; i++) dot += v[i] * want[i];
    if (!(dot > 0.999f)) fail_msg("%s has not the vector of \"%s\": %f", relative, word, (double)dot);
}

static void open_library(void) {
    store_error e = {0};
    if (store_open(at("library.db"), STORE_CREATE, &lib, &e)) fail_msg("%s", e.text);
}

static int make(void **state) {
    if (scratch_make(state)) return -1;
    stop_at = 0;
    vanishing = NULL;
    model.fingerprint[31] = '1';
    open_library();
    return 0;
}

static int unmake(void **state) {
    store_close(lib);
    lib = NULL;
    return scratch_remove(state);
}

static void three_photos(void) {
    picture("p/a.jpg", "apple"); picture("p/b.jpg", "bear"); picture("p/sub/c.jpg", "cat");
    index_folder("p");
    expect(3, 0, 0, 0, 0, 0, 0, 0);
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void a_first_run_stores_every_photo(void **state) {
    three_photos();
    expect_vector("p/a.jpg", "apple"); expect_vector("p/sub/c.jpg", "cat");
    store_photo p = row("p/a.jpg");
    assert_string_equal(p.path, "a.jpg");
    assert_string_equal(p.format, "jpeg");
    assert_string_equal(p.camera, "Box");
    assert_int_equal(p.width, 3);
    assert_int_equal(p.state, STORE_PRESENT);
    store_photo_finish(&p);
    assert_int_equal(report.encoded, 3);
}

static void an_unchanged_run_opens_nothing(void **state) {
    three_photos();
    refresh();
    expect(0, 0, 3, 0, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
}

static void a_renamed_photo_keeps_its_row_and_is_not_opened(void **state) {
    three_photos();
    int64_t id = id_of("p/a.jpg");
    assert_int_equal(rename(at("p/a.jpg"), at("p/sub/z.jpg")), 0);
    assert_int_equal(chmod(at("p/sub/z.jpg"), 0), 0);
    refresh();
    expect(0, 0, 2, 1, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
    assert_int_equal(id_of("p/sub/z.jpg"), id);
    assert_false(is_stored("p/a.jpg"));
}

static void a_moved_folder_moves_its_photos(void **state) {
    three_photos();
    assert_int_equal(rename(at("p/sub"), at("p/other")), 0);
    refresh();
    expect(0, 0, 2, 1, 0, 0, 0, 0);
    expect_vector("p/other/c.jpg", "cat");
}

static void a_photo_moved_to_another_drive_is_known_by_its_content(void **state) {
    three_photos();
    int64_t id = id_of("p/a.jpg");
    picture("p/sub/far.jpg", "apple");
    set_time("p/sub/far.jpg", 1000);
    unlink(at("p/a.jpg"));
    refresh();
    expect(0, 0, 2, 1, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
    assert_int_equal(id_of("p/sub/far.jpg"), id);
}

static void a_copy_takes_the_vector_and_both_stay(void **state) {
    three_photos();
    picture("p/copy.jpg", "apple");
    refresh();
    expect(1, 0, 3, 0, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
    assert_true(id_of("p/copy.jpg") != id_of("p/a.jpg"));
    expect_vector("p/copy.jpg", "apple");
    refresh();
    expect(0, 0, 4, 0, 0, 0, 0, 0);
}

static void a_changed_photo_gets_a_new_vector(void **state) {
    three_photos();
    picture("p/a.jpg", "avocado");
    refresh();
    expect(0, 1, 2, 0, 0, 0, 0, 0);
    expect_vector("p/a.jpg", "avocado");
}

static void a_touched_photo_is_read_once_and_not_decoded(void **state) {
    three_photos();
    set_time("p/a.jpg", 1000);
    refresh();
    expect(0, 0, 3, 0, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
    store_photo p = row("p/a.jpg");
    assert_int_equal(p.mtime_ns, 1000000000001);
    store_photo_finish(&p);
    expect_vector("p/a.jpg", "apple");
}

static void a_deleted_photo_is_missing_and_returns_unread(void **state) {
    three_photos();
    int64_t id = id_of("p/a.jpg");
    assert_int_equal(rename(at("p/a.jpg"), at("away.jpg")), 0);
    refresh();
    expect(0, 0, 2, 0, 1, 0, 0, 0);
    assert_int_equal(state_of("p/a.jpg"), STORE_MISSING);
    refresh();
    expect(0, 0, 2, 0, 0, 0, 0, 0); /* told once */
    assert_int_equal(rename(at("away.jpg"), at("p/a.jpg")), 0);
    refresh();
    expect(0, 0, 2, 0, 0, 1, 0, 0);
    assert_int_equal(decodes, 0);
    assert_int_equal(state_of("p/a.jpg"), STORE_PRESENT);
    assert_int_equal(id_of("p/a.jpg"), id);
}

static void a_missing_photo_that_returns_elsewhere_is_moved(void **state) {
    three_photos();
    int64_t id = id_of("p/a.jpg");
    assert_int_equal(rename(at("p/a.jpg"), at("away.jpg")), 0);
    refresh();
    assert_int_equal(rename(at("away.jpg"), at("p/sub/new.jpg")), 0);
    refresh();
    expect(0, 0, 2, 1, 0, 0, 0, 0);
    assert_int_equal(id_of("p/sub/new.jpg"), id);
    assert_int_equal(state_of("p/sub/new.jpg"), STORE_PRESENT);
}

static void two_photos_that_swap_names_swap_vectors(void **state) {
    three_photos();
    rename(at("p/a.jpg"), at("t")); rename(at("p/b.jpg"), at("p/a.jpg")); rename(at("t"), at("p/b.jpg"));
    refresh();
    expect_vector("p/a.jpg", "bear"); expect_vector("p/b.jpg", "apple");
    expect(0, 2, 1, 0, 0, 0, 0, 0);
    refresh();
    expect(0, 0, 3, 0, 0, 0, 0, 0);
}

static void a_chain_of_renames_ends_right(void **state) {
    three_photos();
    rename(at("p/b.jpg"), at("p/c.jpg")); rename(at("p/a.jpg"), at("p/b.jpg"));
    refresh();
    expect_vector("p/b.jpg", "apple"); expect_vector("p/c.jpg", "bear");
    assert_true(!is_stored("p/a.jpg") || state_of("p/a.jpg") == STORE_MISSING);
    refresh();
    expect(0, 0, 3, 0, 0, 0, 0, 0);
}

static void a_hard_link_is_a_copy_not_a_move(void **state) {
    three_photos();
    assert_int_equal(link(at("p/a.jpg"), at("p/l.jpg")), 0);
    refresh();
    expect(1, 0, 3, 0, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
}

static void two_new_names_for_one_lost_photo_are_a_move_and_a_copy(void **state) {
    three_photos();
    rename(at("p/a.jpg"), at("p/x.jpg"));
    assert_int_equal(link(at("p/x.jpg"), at("p/y.jpg")), 0);
    refresh();
    expect(1, 0, 2, 1, 0, 0, 0, 0);
    expect_vector("p/x.jpg", "apple"); expect_vector("p/y.jpg", "apple");
}

static void an_absent_root_marks_nothing(void **state) {
    three_photos();
    assert_int_equal(rename(at("p"), at("unplugged")), 0);
    refresh();
    expect(0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(report.roots_absent, 1);
    assert_non_null(strstr(remarks, "not there"));
    index_folder("p"); /* named, though it is not there */
    assert_int_equal(report.roots_absent, 1);
    assert_int_equal(mkdir(at("p"), 0700), 0); /* a mount point */
    refresh();
    expect(0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(report.roots_absent, 1);
    assert_non_null(strstr(remarks, "empty"));
    assert_int_equal(state_of("p/a.jpg"), STORE_PRESENT);
    rmdir(at("p")); rename(at("unplugged"), at("p"));
    refresh();
    expect(0, 0, 3, 0, 0, 0, 0, 0);
}

static void a_drive_mounted_elsewhere_is_recognised(void **state) {
    three_photos();
    int64_t id = id_of("p/a.jpg");
    assert_int_equal(rename(at("p"), at("q")), 0);
    index_folder("q");
    expect(0, 0, 3, 0, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
    assert_non_null(strstr(remarks, "known"));
    assert_int_equal(id_of("q/a.jpg"), id);
}

static void another_folder_is_not_taken_for_an_absent_root(void **state) {
    three_photos();
    assert_int_equal(rename(at("p"), at("unplugged")), 0);
    picture("q/a.jpg", "ant"); picture("q/b.jpg", "bee");
    index_folder("q");
    expect(2, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(state_of("p/a.jpg"), STORE_PRESENT);
}

static void a_copy_of_an_unplugged_photo_does_not_take_it_away(void **state) {
    three_photos();
    picture("q/x.jpg", "other"); index_folder("q");
    assert_int_equal(rename(at("p"), at("unplugged")), 0);
    picture("q/a.jpg", "apple");
    index_folder("q");
    expect(1, 0, 1, 0, 0, 0, 0, 0);
    assert_int_equal(decodes, 0);
    assert_int_equal(state_of("p/a.jpg"), STORE_PRESENT);
}

static void an_unreadable_folder_marks_nothing(void **state) {
    three_photos();
    bool root = !geteuid();
    if (root) assert_int_equal(chown(scratch, 65534, 65534) || chown(at("p"), 65534, 65534) || chown(at("p/sub"), 65534, 65534), 0);
    assert_int_equal(chmod(at("p/sub"), 0), 0);
    chmod(scratch, 0777);
    if (root) assert_int_equal(seteuid(65534), 0);
    refresh();
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(at("p/sub"), 0700), 0);
    expect(0, 0, 2, 0, 0, 0, 0, 0);
    assert_int_equal(report.unreadable_folders, 1);
    assert_int_equal(state_of("p/sub/c.jpg"), STORE_PRESENT);
}

static void leaving_a_folder_out_later_forgets_nothing(void **state) {
    three_photos();
    put_text("p/.ignore", "sub/\n");
    index_with((indexer_options){.excludes = &(const char *){"b.jpg"}, .n_excludes = 1});
    expect(0, 0, 1, 0, 0, 0, 0, 0);
    assert_int_equal(state_of("p/b.jpg"), STORE_PRESENT);
    unlink(at("p/sub/c.jpg"));
    refresh();
    expect(0, 0, 2, 0, 1, 0, 0, 0); /* but what is gone is gone */
}

static void an_absolute_exclude_means_the_same_place(void **state) {
    char glob[256];
    picture("p/a.jpg", "apple"); picture("p/sub/a.jpg", "ant");
    snprintf(glob, sizeof glob, "%s/p/a.jpg", scratch);
    index_with((indexer_options){.folders = &(const char *){at("p")}, .n_folders = 1, .excludes = &(const char *){glob}, .n_excludes = 1});
    assert_string_equal(fates, "N:p/sub/a.jpg ");
}

static void a_broken_file_is_told_once_and_tried_again_when_it_changes(void **state) {
    picture("p/a.jpg", "apple"); picture("p/bad.jpg", "broken"); put_text("p/text.jpg", "no picture"); put_text("p/empty.jpg", "");
    index_folder("p");
    expect(1, 0, 0, 0, 0, 0, 3, 0);
    store_photo p = row("p/bad.jpg");
    assert_int_equal(p.state, STORE_FAILED);
    assert_string_equal(p.reason, "broken on purpose");
    store_photo_finish(&p);
    refresh();
    expect(0, 0, 1, 0, 0, 0, 0, 0);
    assert_int_equal(report.still_failed, 3);
    assert_int_equal(decodes, 0);
    picture("p/bad.jpg", "banana");
    refresh();
    expect(0, 1, 1, 0, 0, 0, 0, 0);
    expect_vector("p/bad.jpg", "banana");
}

static void a_failed_file_is_tried_again_when_asked(void **state) {
    picture("p/bad.jpg", "broken");
    index_folder("p");
    index_with((indexer_options){.retry = true});
    expect(0, 0, 0, 0, 0, 0, 1, 0);
    assert_int_equal(decodes, 1);
}

/* As when a decoder is installed after the photos were met without it. */
static void a_failed_file_is_tried_again_when_its_format_becomes_readable(void **state) {
    store_error e = {0};
    picture("p/bad.jpg", "broken");
    index_folder("p");
    refresh();
    assert_int_equal(decodes, 0);
    assert_int_equal(store_setting_set(lib, "indexer.formats", " png ", &e), STORE_OK);
    refresh();
    assert_int_equal(decodes, 1);
    refresh();
    assert_int_equal(decodes, 0);
}

static void a_photo_that_broke_loses_its_vector(void **state) {
    three_photos();
    picture("p/a.jpg", "broken");
    refresh();
    expect(0, 0, 2, 0, 0, 0, 1, 0);
    float v[DIM];
    store_error e = {0};
    assert_int_equal(store_vector_get(lib, id_of("p/a.jpg"), 1, v, &e), STORE_E_NOT_FOUND);
}

static void a_truncated_photo_is_stored_and_flagged(void **state) {
    picture("p/a.jpg", "short");
    index_folder("p");
    expect(1, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(report.truncated, 1);
    store_photo p = row("p/a.jpg");
    assert_true(p.truncated);
    store_photo_finish(&p);
}

static void a_file_that_vanishes_during_the_run_is_no_failure(void **state) {
    three_photos();
    picture("p/n.jpg", "new"); picture("p/b.jpg", "bull");
    vanishing = "p/n.jpg";
    refresh();
    expect(0, 1, 2, 0, 0, 0, 0, 0);
    assert_false(is_stored("p/n.jpg"));
    picture("p/a.jpg", "avocado");
    vanishing = "p/a.jpg";
    refresh();
    expect(0, 0, 2, 0, 0, 0, 0, 0);
    vanishing = NULL;
    refresh();
    expect(0, 0, 2, 0, 1, 0, 0, 0);
}

static void a_file_without_permission_is_tried_at_every_run(void **state) {
    bool root = !geteuid();
    picture("p/a.jpg", "apple"); picture("p/shut.jpg", "secret");
    chmod(at("p/shut.jpg"), 0);
    chmod(scratch, 0777);
    if (root) assert_int_equal(seteuid(65534), 0);
    index_folder("p");
    if (root) assert_int_equal(seteuid(0), 0);
    expect(1, 0, 0, 0, 0, 0, 1, 0);
    assert_int_equal(state_of("p/shut.jpg"), STORE_FAILED);
    chmod(at("p/shut.jpg"), 0600);
    refresh();
    expect(1, 0, 1, 0, 0, 0, 0, 0);
    expect_vector("p/shut.jpg", "secret");
}

static void a_photo_is_a_photo_whatever_its_name(void **state) {
    picture("p/scan", "apple"); picture("p/movie.mp4", "bear"); put_text("p/notes.txt", "words"); put_text("p/README", "");
    index_folder("p");
    expect(2, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(report.not_photos, 2);
    expect_vector("p/scan", "apple");
    assert_false(is_stored("p/notes.txt"));
}

/* What was looked at once is not opened again: a file that turned into a photo behind an unchanged size and time goes
 * unseen, and with a change of its own, or of a neighbour, it is seen. */
static void files_that_are_no_photos_are_opened_once(void **state) {
    picture("p/a.jpg", "apple"); put_text("p/one.txt", "12345678");
    set_time("p/one.txt", 1000);
    index_folder("p");
    picture("p/one.txt", "ant!");
    set_time("p/one.txt", 1000);
    refresh();
    expect(0, 0, 1, 0, 0, 0, 0, 0);
    assert_int_equal(report.not_photos, 1);
    put_text("p/two.txt", "new");
    refresh();
    expect(1, 0, 1, 0, 0, 0, 0, 0);
    expect_vector("p/one.txt", "ant!");
}

static void overlapping_folders_hold_a_photo_once(void **state) {
    three_photos();
    const char *both[] = {strdup(at("p/sub")), strdup(at("p")), strdup(at("p/sub"))};
    index_with((indexer_options){.folders = both, .n_folders = 3});
    expect(0, 0, 3, 0, 0, 0, 0, 0);
    for (int i = 0; i < 3; i++) free((char *)both[i]);
}

static void a_wider_folder_takes_over_and_reads_nothing_again(void **state) {
    picture("p/sub/c.jpg", "cat"); picture("p/x/d.jpg", "dog"); picture("p/a.jpg", "apple");
    index_folder("p/sub");
    index_folder("p/x");
    int64_t id = id_of("p/sub/c.jpg");
    index_folder("p");
    expect(1, 0, 2, 0, 0, 0, 0, 0);
    assert_int_equal(decodes, 1);
    assert_int_equal(id_of("p/sub/c.jpg"), id);
    index_folder("p/sub");
    expect(0, 0, 1, 0, 0, 0, 0, 0);
}

static void a_part_of_a_root_marks_only_its_own(void **state) {
    three_photos();
    unlink(at("p/a.jpg")); unlink(at("p/sub/c.jpg"));
    picture("p/sub/n.jpg", "new");
    index_folder("p/sub");
    expect(1, 0, 0, 0, 1, 0, 0, 0);
    assert_int_equal(state_of("p/a.jpg"), STORE_PRESENT);
}

static void a_folder_that_is_not_there_is_an_error(void **state) {
    clip_error e = {0};
    assert_int_equal(try_index((indexer_options){.folders = &(const char *){at("nowhere")}, .n_folders = 1}, &e), -1);
    assert_non_null(strstr(e.text, "nowhere"));
    picture("a.jpg", "apple");
    e.text[0] = 0;
    assert_int_equal(try_index((indexer_options){.folders = &(const char *){at("a.jpg")}, .n_folders = 1}, &e), -1);
    assert_non_null(strstr(e.text, "a.jpg"));
    e.text[0] = 0;
    assert_int_equal(try_index((indexer_options){0}, &e), -1);
    assert_non_null(strstr(e.text, "clipsearch index"));
}

static void a_dry_run_says_and_does_nothing(void **state) {
    three_photos();
    picture("p/a.jpg", "avocado"); picture("p/new.jpg", "new"); unlink(at("p/b.jpg")); rename(at("p/sub/c.jpg"), at("p/c2.jpg"));
    index_with((indexer_options){.dry_run = true});
    expect(1, 1, 0, 1, 1, 0, 0, 0);
    assert_int_equal(decodes, 0);
    assert_int_equal(state_of("p/b.jpg"), STORE_PRESENT);
    assert_true(is_stored("p/sub/c.jpg"));
    assert_false(is_stored("p/new.jpg"));
    refresh();
    expect(1, 1, 0, 1, 1, 0, 0, 0);
}

static void a_dry_run_around_roots_knows_their_photos(void **state) {
    three_photos();
    picture("other.jpg", "other"); unlink(at("p/a.jpg"));
    index_with((indexer_options){.folders = &(const char *){scratch}, .n_folders = 1, .dry_run = true});
    expect(1, 0, 2, 0, 1, 0, 0, 0);
    store_root *roots;
    size_t n;
    store_error e = {0};
    assert_int_equal(store_roots(lib, &roots, &n, &e), STORE_OK);
    store_roots_free(roots, n);
    assert_int_equal(n, 1);
}

static void a_dry_run_needs_no_library(void **state) {
    picture("p/a.jpg", "apple");
    store_close(lib);
    lib = NULL;
    index_with((indexer_options){.folders = &(const char *){at("p")}, .n_folders = 1, .dry_run = true});
    expect(1, 0, 0, 0, 0, 0, 0, 0);
}

static void another_model_embeds_what_is_known(void **state) {
    three_photos();
    model.fingerprint[31] = '2';
    refresh();
    expect(0, 0, 0, 0, 0, 0, 0, 3);
    assert_int_equal(encodes, 3);
    refresh();
    expect(0, 0, 3, 0, 0, 0, 0, 0);
    model.fingerprint[31] = '1';
    refresh();
    expect(0, 0, 3, 0, 0, 0, 0, 0); /* both live side by side */
}

static void an_interrupted_run_keeps_what_it_read_and_goes_on(void **state) {
    char name[64], word[32];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "p/%02d.jpg", i);
        snprintf(word, sizeof word, "word %d", i);
        picture(name, word);
    }
    stop_at = 8;
    index_folder("p");
    int first = (int)report.count[INDEXER_NEW];
    assert_true(report.interrupted);
    assert_true(first >= 8 && first < 60);
    stop_at = 0;
    refresh();
    expect(60 - first, 0, first, 0, 0, 0, 0, 0);
    expect_vector("p/59.jpg", "word 59");
}

static void odd_names_are_stored_as_they_are(void **state) {
    picture("p/new\nline.jpg", "one"); picture("p/\xff\xfe.jpg", "two"); picture("p/ space .jpg", "three"); picture("p/'\"%s.jpg", "four");
    index_folder("p");
    expect(4, 0, 0, 0, 0, 0, 0, 0);
    expect_vector("p/new\nline.jpg", "one"); expect_vector("p/\xff\xfe.jpg", "two"); expect_vector("p/'\"%s.jpg", "four");
    refresh();
    expect(0, 0, 4, 0, 0, 0, 0, 0);
}

static void followed_links_are_photos_of_their_own(void **state) {
    picture("p/a.jpg", "apple"); picture("far/b.jpg", "bear");
    assert_int_equal(symlink("../far", at("p/link")) || symlink("../far/b.jpg", at("p/l.jpg")), 0);
    index_with((indexer_options){.folders = &(const char *){at("p")}, .n_folders = 1, .follow_symlinks = true});
    expect(3, 0, 0, 0, 0, 0, 0, 0);
    expect_vector("p/link/b.jpg", "bear"); expect_vector("p/l.jpg", "bear");
    index_with((indexer_options){.follow_symlinks = true});
    expect(0, 0, 3, 0, 0, 0, 0, 0);
    refresh(); /* without following: they are still there */
    expect(0, 0, 1, 0, 0, 0, 0, 0);
    unlink(at("far/b.jpg"));
    refresh();
    expect(0, 0, 1, 0, 2, 0, 0, 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
    const struct CMUnitTest tests[] = {
        T(a_first_run_stores_every_photo), T(an_unchanged_run_opens_nothing), T(a_renamed_photo_keeps_its_row_and_is_not_opened),
        T(a_moved_folder_moves_its_photos), T(a_photo_moved_to_another_drive_is_known_by_its_content),
        T(a_copy_takes_the_vector_and_both_stay), T(a_changed_photo_gets_a_new_vector), T(a_touched_photo_is_read_once_and_not_decoded),
        T(a_deleted_photo_is_missing_and_returns_unread), T(a_missing_photo_that_returns_elsewhere_is_moved),
        T(two_photos_that_swap_names_swap_vectors), T(a_chain_of_renames_ends_right), T(a_hard_link_is_a_copy_not_a_move),
        T(two_new_names_for_one_lost_photo_are_a_move_and_a_copy), T(an_absent_root_marks_nothing),
        T(a_drive_mounted_elsewhere_is_recognised), T(another_folder_is_not_taken_for_an_absent_root),
        T(a_copy_of_an_unplugged_photo_does_not_take_it_away), T(an_unreadable_folder_marks_nothing),
        T(leaving_a_folder_out_later_forgets_nothing), T(an_absolute_exclude_means_the_same_place),
        T(a_broken_file_is_told_once_and_tried_again_when_it_changes), T(a_failed_file_is_tried_again_when_asked),
        T(a_failed_file_is_tried_again_when_its_format_becomes_readable),
        T(a_photo_that_broke_loses_its_vector), T(a_truncated_photo_is_stored_and_flagged),
        T(a_file_that_vanishes_during_the_run_is_no_failure),
        T(a_file_without_permission_is_tried_at_every_run), T(a_photo_is_a_photo_whatever_its_name),
        T(files_that_are_no_photos_are_opened_once), T(overlapping_folders_hold_a_photo_once),
        T(a_wider_folder_takes_over_and_reads_nothing_again), T(a_part_of_a_root_marks_only_its_own),
        T(a_folder_that_is_not_there_is_an_error), T(a_dry_run_says_and_does_nothing), T(a_dry_run_around_roots_knows_their_photos),
        T(a_dry_run_needs_no_library), T(another_model_embeds_what_is_known), T(an_interrupted_run_keeps_what_it_read_and_goes_on),
        T(odd_names_are_stored_as_they_are), T(followed_links_are_photos_of_their_own),
    };
    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
