/* The FAISS file: made at its thresholds, always current, never believed when it is wrong. */
#include "library_fixture.h"

#include "store/cache.h"

#include <fcntl.h>
#include <sys/wait.h>

enum { DIM = 24 };

static void small_rules(void)
{
    cache_rule = (cache_rules){.loose_max = 20, .exact_max = 400, .portions = 4, .sample_bytes = 1 << 20};
}

/* ---- the truth: every vector read and sorted ---------------------------------------------------------------------- */

typedef struct ranked { store_hit hit; char *path; } ranked;
typedef struct reading { fixture *f; const float *q; ranked *all; size_t n; } reading;

static bool note(const int64_t *ids, const float *v, size_t n, void *ctx)
{
    reading *r = ctx;
    r->all = realloc(r->all, (r->n + n) * sizeof *r->all);
    for (size_t i = 0; i < n; i++) {
        float s = 0;
        for (int j = 0; j < DIM; j++) s += v[i * DIM + (size_t)j] * r->q[j];
        r->all[r->n++] = (ranked){{ids[i], s}, NULL};
    }
    return true;
}

static int better(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (fabsf(x->hit.score - y->hit.score) > 2e-6f) return x->hit.score < y->hit.score ? 1 : -1;
    return strcmp(x->path, y->path);
}

static reading read_truth(fixture *f, const float *q, const store_filter *filter)
{
    reading r = {.f = f, .q = q};
    OK(f, store_vectors_each(f->s, f->model, filter, note, &r, &f->err));
    for (size_t i = 0; i < r.n; i++) OK(f, photo_absolute(f->s, r.all[i].hit.photo_id, &r.all[i].path, &f->err));
    if (r.n) qsort(r.all, r.n, sizeof *r.all, better);
    return r;
}

static void free_truth(reading *r)
{
    for (size_t i = 0; i < r->n; i++) free(r->all[i].path);
    free(r->all);
}

/* The share of the true k best that a search finds; the number of hits must be right in any case. */
static double recall(fixture *f, const float *q, size_t k, const store_filter *filter)
{
    store_hit hits[512];
    size_t n, same = 0;
    reading r = read_truth(f, q, filter);
    OK(f, store_search(f->s, f->model, q, k, filter, hits, &n, &f->err));
    size_t expected = r.n < k ? r.n : k;
    assert_int_equal(n, expected);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < expected; j++) same += hits[i].photo_id == r.all[j].hit.photo_id;
    for (size_t i = 1; i < n; i++) assert_true(hits[i].score <= hits[i - 1].score);
    free_truth(&r);
    return expected ? (double)same / (double)expected : 1;
}

/* The search gives the true hits in the true order. */
static void assert_exact(fixture *f, const float *q, size_t k, const store_filter *filter)
{
    store_hit hits[512];
    size_t n;
    reading r = read_truth(f, q, filter);
    OK(f, store_search(f->s, f->model, q, k, filter, hits, &n, &f->err));
    assert_int_equal(n, r.n < k ? r.n : k);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(hits[i].photo_id, r.all[i].hit.photo_id);
        assert_true(fabsf(hits[i].score - r.all[i].hit.score) < 1e-5f);
    }
    free_truth(&r);
}

static void question(uint64_t number, float *q) { make_vector(1000000 + number, q, DIM); }

static void any_direction(uint64_t number, float *q)
{
    uint64_t seed = number + 77;
    for (int i = 0; i < DIM; i++) q[i] = random_normal(&seed);
    normalise(q, DIM);
}

static store_cache_info info(fixture *f)
{
    store_cache_info c;
    OK(f, store_cache_describe(f->s, f->model, &c, &f->err));
    return c;
}

static void update(fixture *f, bool force) { OK(f, store_cache_update(f->s, f->model, force, NULL, NULL, &f->err)); }

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void a_small_library_has_no_file(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    fixture_start(&f, DIM);
    save_many(&f, 0, 20);
    update(&f, false);
    store_cache_info c = info(&f);
    assert_false(c.exists);
    assert_true(c.exact);
    assert_int_equal(c.delta, 20);
    question(1, q);
    assert_exact(&f, q, 10, NULL);
    fixture_end(&f);
}

static void a_larger_one_has_an_exact_file(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    fixture_start(&f, DIM);
    save_many(&f, 0, 300);
    update(&f, false);
    store_cache_info c = info(&f);
    assert_true(c.exists && c.exact && c.current);
    assert_string_equal(c.kind, "IVF4,SQfp16");
    assert_int_equal(c.base, 300);
    for (uint64_t i = 0; i < 20; i++) {
        question(i, q);
        assert_exact(&f, q, 1 + (size_t)i, NULL);
        any_direction(i, q);
        assert_exact(&f, q, 10, NULL);
    }
    fixture_end(&f);
}

static void a_large_one_reads_some_lists_and_finds_99_of_100(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    double photo = 0, any = 0;
    fixture_start(&f, DIM);
    save_many(&f, 0, 6000);
    update(&f, false);
    store_cache_info c = info(&f);
    assert_true(c.exists && !c.exact && c.current);
    assert_string_equal(c.kind, "IVF256,SQ8");
    for (uint64_t i = 0; i < 40; i++) {
        question(i, q);
        photo += recall(&f, q, 10, NULL) / 40;
        any_direction(i, q);
        any += recall(&f, q, 10, NULL) / 40;
    }
    assert_true(photo >= 0.99);
    assert_true(any >= 0.99);
    fixture_end(&f);
}

/* Everything that can happen to a photo after the file was made. */
static void change_things(fixture *f)
{
    float v[DIM];
    save_many(f, 100000, 10);
    OK(f, store_batch_begin(f->s, &f->err));
    question(1, v); /* photo 5 becomes the best answer to question 1, photo 6 is gone, 7 missing, 8 failed */
    OK(f, store_vector_save(f->s, 5, f->model, v, &f->err));
    OK(f, store_photo_forget(f->s, 6, &f->err));
    OK(f, store_photo_set_state(f->s, 7, STORE_MISSING, &f->err));
    OK(f, store_photo_set_state(f->s, 8, STORE_FAILED, &f->err));
    OK(f, store_batch_commit(f->s, &f->err));
}

static void check_things(fixture *f, bool exact)
{
    store_hit hits[1];
    size_t n;
    float q[DIM];
    question(1, q);
    OK(f, store_search(f->s, f->model, q, 1, NULL, hits, &n, &f->err));
    assert_int_equal(hits[0].photo_id, 5);
    for (int64_t id = 6; id <= 8; id++) {
        make_vector((uint64_t)id - 1, q, DIM); /* ids begin at 1, numbers at 0 */
        OK(f, store_search(f->s, f->model, q, 1, NULL, hits, &n, &f->err));
        assert_int_equal(n, 1);
        assert_true(hits[0].photo_id != id);
        if (exact) assert_exact(f, q, 20, NULL);
    }
    make_vector(100003, q, DIM);
    OK(f, store_search(f->s, f->model, q, 1, NULL, hits, &n, &f->err));
    assert_true(hits[0].score > 0.999f);
    store_cache_info c = info(f);
    assert_int_equal(c.delta, 11);
    assert_int_equal(c.dead, 4);
    assert_false(c.current);
}

static void results_are_current(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) {
        small_rules();
        fixture f;
        fixture_start(&f, DIM);
        save_many(&f, 0, large ? 1000 : 200);
        update(&f, false);
        assert_int_equal(info(&f).exact, !large);
        change_things(&f);
        check_things(&f, !large);
        store_close(f.s); /* and for another process */
        fixture_open(&f, STORE_READ);
        check_things(&f, !large);
        store_close(f.s);
        fixture_open(&f, STORE_WRITE);
        OK(&f, store_batch_begin(f.s, &f.err)); /* a photo that returns needs no new vector */
        OK(&f, store_photo_set_state(f.s, 7, STORE_PRESENT, &f.err));
        OK(&f, store_batch_commit(f.s, &f.err));
        float q[DIM];
        store_hit hit;
        size_t n;
        make_vector(6, q, DIM);
        OK(&f, store_search(f.s, f.model, q, 1, NULL, &hit, &n, &f.err));
        assert_int_equal(hit.photo_id, 7);
        fixture_end(&f);
    }
}

static void a_few_more_photos_rewrite_nothing(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    fixture_start(&f, DIM);
    save_many(&f, 0, 1000);
    update(&f, false);
    int64_t generation = info(&f).generation;
    save_many(&f, 1000, 20);
    update(&f, false);
    assert_int_equal(info(&f).generation, generation);
    assert_int_equal(info(&f).delta, 20);
    save_many(&f, 1020, 1);
    update(&f, false);
    store_cache_info c = info(&f);
    assert_int_equal(c.generation, generation + 1);
    assert_int_equal(c.base, 1021);
    assert_true(c.current);
    float q[DIM];
    double sum = 0;
    for (uint64_t i = 0; i < 30; i++) {
        question(i, q);
        sum += recall(&f, q, 10, NULL) / 30;
    }
    assert_true(sum >= 0.99);
    fixture_end(&f);
}

static void growth_and_shrinking_change_the_kind(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    fixture_start(&f, DIM);
    save_many(&f, 0, 390);
    update(&f, false);
    assert_true(info(&f).exact);
    save_many(&f, 390, 30);
    update(&f, false);
    assert_false(info(&f).exact);
    int64_t gone;
    OK(&f, store_forget_below(f.s, "/photos/a/000100.jpg", &gone, &f.err));
    assert_int_equal(gone, 1);
    OK(&f, store_batch_begin(f.s, &f.err));
    for (int64_t id = 200; id < 420; id++) OK(&f, store_photo_forget(f.s, id, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    update(&f, false);
    assert_true(info(&f).exact);
    assert_int_equal(info(&f).base, 199);
    OK(&f, store_forget_below(f.s, "/photos", &gone, &f.err));
    assert_int_equal(gone, 199);
    update(&f, true);
    assert_false(info(&f).exists);
    fixture_end(&f);
}

static void filters_give_k_hits_whenever_k_exist(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) {
        small_rules();
        fixture f;
        char path[64];
        fixture_start(&f, DIM);
        OK(&f, store_batch_begin(f.s, &f.err));
        for (uint64_t i = 0; i < (large ? 3000u : 300u); i++) {
            /* one in 2, one in 10, one in 100, the rest */
            const char *folder = i % 100 == 7 ? "hundredth" : i % 10 == 3 ? "tenth" : i % 2 ? "half" : "rest";
            snprintf(path, sizeof path, "%s/%05llu.jpg", folder, (unsigned long long)i);
            save_with_vector(&f, path, i);
        }
        OK(&f, store_batch_commit(f.s, &f.err));
        update(&f, false);
        const char *folders[] = {"/photos/half", "/photos/tenth", "/photos/hundredth", "/photos/none"};
        for (int j = 0; j < 4; j++) {
            store_filter filter = {.under = &folders[j], .n_under = 1};
            float q[DIM];
            for (uint64_t i = 0; i < 10; i++) {
                question(i, q);
                double r = recall(&f, q, i % 2 ? 10 : 3, &filter); /* asserts the number of hits */
                assert_true(large ? r >= 0.6 : r == 1);
                if (j == 2) assert_exact(&f, q, 10, &filter); /* a narrow filter is always exact */
            }
        }
        fixture_end(&f);
    }
}

static void copies_tie_by_path_wherever_their_vectors_lie(void **state)
{
    (void)state;
    for (int copies = 30; copies <= 300; copies *= 10) {
        small_rules();
        fixture f;
        char path[64];
        float v[DIM];
        fixture_start(&f, DIM);
        save_many(&f, 0, 1000);
        make_vector(5, v, DIM);
        for (int part = 0; part < 2; part++) { /* half of the copies in the file, a few after it; names run backwards */
            OK(&f, store_batch_begin(f.s, &f.err));
            for (int i = part ? copies : 0; i < (part ? copies + 15 : copies); i++) {
                snprintf(path, sizeof path, "z/%05d.jpg", 90000 - i * 7);
                int64_t id = save_photo(&f, path, 5000 + (uint64_t)i);
                OK(&f, store_vector_save(f.s, id, f.model, v, &f.err));
            }
            OK(&f, store_batch_commit(f.s, &f.err));
            if (!part) update(&f, false);
        }
        assert_int_equal(info(&f).delta, 15);
        assert_exact(&f, v, 10, NULL);
        assert_exact(&f, v, (size_t)copies / 2, NULL);
        fixture_end(&f);
    }
}

static void more_hits_than_photos_give_all_photos(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    fixture_start(&f, DIM);
    save_many(&f, 0, 450);
    update(&f, false);
    question(3, q);
    assert_exact(&f, q, 500, NULL);
    store_hit none;
    size_t n = 5;
    OK(&f, store_search(f.s, f.model, q, 0, NULL, &none, &n, &f.err));
    assert_int_equal(n, 0);
    fixture_end(&f);
}

static void a_reader_follows_a_file_that_is_replaced(void **state)
{
    (void)state;
    small_rules();
    fixture f, r;
    float q[DIM];
    fixture_start(&f, DIM);
    save_many(&f, 0, 300);
    update(&f, false);
    r = f;
    fixture_open(&r, STORE_READ);
    question(1, q);
    assert_exact(&r, q, 10, NULL);
    for (int i = 0; i < 3; i++) {
        save_many(&f, 300 + 30 * (uint64_t)i, 30);
        update(&f, true);
        assert_exact(&r, q, 10, NULL);
        assert_int_equal(info(&r).generation, info(&f).generation);
    }
    store_close(r.s);
    fixture_end(&f);
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static char *file_path(fixture *f)
{
    store_model m;
    cache_row row;
    OK(f, model_get(f->s, f->model, &m, &f->err));
    OK(f, cache_row_get(f->s, &m, &row, &f->err));
    return cache_file_path(f->s, f->model, row.generation);
}

static int64_t head_bytes(fixture *f)
{
    store_model m;
    cache_row row;
    OK(f, model_get(f->s, f->model, &m, &f->err));
    OK(f, cache_row_get(f->s, &m, &row, &f->err));
    return row.head_bytes;
}

static void flip(const char *path, off_t at, uint8_t with)
{
    uint8_t b;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= with;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void reopen(fixture *f)
{
    store_close(f->s);
    fixture_open(f, STORE_READ);
}

/* In the head it is noticed at once; in the lists it can hide a photo until store_check reads them all, no more. */
static void a_changed_byte_is_noticed_or_harmless(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) {
        small_rules();
        fixture f;
        float q[DIM];
        fixture_start(&f, DIM);
        save_many(&f, 0, large ? 500 : 100);
        update(&f, false);
        question(1, q);
        char *path = file_path(&f);
        int64_t head = head_bytes(&f);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        for (off_t at = 0; at < st.st_size; at += at < head ? (large ? 97 : 7) : (large ? 997 : 211)) {
            flip(path, at, 0x41);
            reopen(&f);
            if (at < head) assert_false(info(&f).exists);
            if (at < head) assert_exact(&f, q, 10, NULL);
            else assert_true(recall(&f, q, 10, NULL) >= 0.9);
            flip(path, at, 0x41);
        }
        reopen(&f);
        assert_true(info(&f).exists);
        free(path);
        fixture_end(&f);
    }
}

/* The row's checksum is made to agree with the damage, as somebody could who sends us a library. */
static void forge(fixture *f, const char *path, const char *what)
{
    uint8_t hash[16];
    char *head = malloc((size_t)head_bytes(f)), sql[200];
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, head, (size_t)head_bytes(f), 0), head_bytes(f));
    close(fd);
    cache_hash(head, (size_t)head_bytes(f), hash);
    free(head);
    char *p = sql + sprintf(sql, "UPDATE caches SET %s head_hash = x'", what);
    for (int i = 0; i < 16; i++) p += sprintf(p, "%02x", hash[i]);
    strcpy(p, "'");
    OK(f, db_exec(f->s->db, sql, &f->err));
}

static void a_forged_head_is_refused_or_harmless(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    fixture_start(&f, DIM);
    save_many(&f, 0, 60);
    update(&f, false);
    question(1, q);
    char *path = file_path(&f);
    int64_t head = head_bytes(&f);
    for (off_t at = 0; at < head; at++) {
        flip(path, at, at % 2 ? 0xff : 0x04);
        forge(&f, path, "");
        store_close(f.s);
        fixture_open(&f, STORE_WRITE);
        assert_exact(&f, q, 10, NULL);
        flip(path, at, at % 2 ? 0xff : 0x04);
    }
    const char *figures[] = {"lists = 1000000,", "lists = -1,", "bytes = 10,", "bytes = 1 << 60,", "count = 1 << 50,",
                             "head_bytes = 1 << 40,", "head_bytes = 81,", "bits = 8,", "probes = 0,", "seq = -1,", "count = 59,"};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        OK(&f, store_cache_update(f.s, f.model, true, NULL, NULL, &f.err));
        free(path);
        path = file_path(&f);
        forge(&f, path, figures[i]);
        store_close(f.s);
        fixture_open(&f, STORE_WRITE);
        assert_exact(&f, q, 10, NULL);
    }
    free(path);
    fixture_end(&f);
}

static void a_file_that_is_none_is_passed_over(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    char command[900];
    fixture_start(&f, DIM);
    save_many(&f, 0, 60);
    update(&f, false);
    question(1, q);
    char *path = file_path(&f);
    const char *how[] = {"truncate -s -1 '%s'", "truncate -s +2 '%s'", "truncate -s 0 '%s'", "rm '%s' && mkdir '%s'",
                         "rmdir '%s' && mkfifo '%s'", "rm '%s' && ln -s /dev/zero '%s'", "rm '%s'"};
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        snprintf(command, sizeof command, how[i], path, path);
        assert_int_equal(system(command), 0);
        reopen(&f);
        assert_false(info(&f).exists);
        assert_exact(&f, q, 10, NULL);
    }
    store_close(f.s);
    fixture_open(&f, STORE_WRITE);
    update(&f, false); /* and is made again */
    assert_true(info(&f).current);
    assert_exact(&f, q, 10, NULL);
    free(path);
    fixture_end(&f);
}

static void a_folder_that_cannot_be_made_costs_speed_only(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    char command[400];
    fixture_start(&f, DIM);
    save_many(&f, 0, 60);
    snprintf(command, sizeof command, "touch '%s.cache'", f.db);
    assert_int_equal(system(command), 0);
    f.err.text[0] = 0;
    assert_int_not_equal(store_cache_update(f.s, f.model, false, NULL, NULL, &f.err), STORE_OK);
    assert_non_null(strstr(f.err.text, ".cache"));
    question(1, q);
    assert_exact(&f, q, 10, NULL);
    fixture_end(&f);
}

static void progress(int64_t done, int64_t total, void *ctx)
{
    int64_t *last = ctx;
    assert_true(done >= last[0] && done <= total);
    last[0] = done;
    last[1] = total;
}

static void progress_ends_at_its_total(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    fixture_start(&f, DIM);
    save_many(&f, 0, 500);
    int64_t last[2] = {0, -1};
    OK(&f, store_cache_update(f.s, f.model, true, progress, last, &f.err));
    assert_int_equal(last[0], last[1]);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_library_has_no_file),
        cmocka_unit_test(a_larger_one_has_an_exact_file),
        cmocka_unit_test(a_large_one_reads_some_lists_and_finds_99_of_100),
        cmocka_unit_test(results_are_current),
        cmocka_unit_test(a_few_more_photos_rewrite_nothing),
        cmocka_unit_test(growth_and_shrinking_change_the_kind),
        cmocka_unit_test(filters_give_k_hits_whenever_k_exist),
        cmocka_unit_test(copies_tie_by_path_wherever_their_vectors_lie),
        cmocka_unit_test(more_hits_than_photos_give_all_photos),
        cmocka_unit_test(a_reader_follows_a_file_that_is_replaced),
        cmocka_unit_test(a_changed_byte_is_noticed_or_harmless),
        cmocka_unit_test(a_forged_head_is_refused_or_harmless),
        cmocka_unit_test(a_file_that_is_none_is_passed_over),
        cmocka_unit_test(a_folder_that_cannot_be_made_costs_speed_only),
        cmocka_unit_test(progress_ends_at_its_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
