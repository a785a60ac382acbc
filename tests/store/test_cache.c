/* The FAISS file: made at its thresholds, always current, never believed when it is wrong. */
#include "library_fixture.h"

#include "store/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { DIM = 24 };

/* Parts of 200: a file of 1000 has five. Chunks of one block. */
static void small_rules(void) { cache_rule = (cache_rules){.loose_max = 20, .part_min = 200}; }

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

static void a_larger_one_has_a_file_and_the_same_answers(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {21, 150, 399, 400, 1000, 1777, 4000};
    for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) { /* one part, two, five, eight; full blocks of codes and not */
        small_rules();
        fixture f;
        float q[DIM];
        fixture_start(&f, DIM);
        save_many(&f, 0, sizes[j]);
        update(&f, false);
        store_cache_info c = info(&f);
        assert_true(c.exists && c.current && !c.exact);
        assert_string_equal(c.kind, "PQ24x4fs");
        assert_int_equal(c.base, sizes[j]);
        for (uint64_t i = 0; i < 20; i++) {
            question(i, q);
            assert_exact(&f, q, 1 + (size_t)i, NULL);
            any_direction(i, q);
            assert_exact(&f, q, 10, NULL);
        }
        fixture_end(&f);
    }
}

static void any_dimension_and_any_length_of_query_will_do(void **state)
{
    (void)state;
    static const int dims[] = {1, 2, 3, 7, 24, 33, 100};
    for (size_t j = 0; j < sizeof dims / sizeof *dims; j++) {
        small_rules();
        fixture f;
        float q[128];
        store_hit hits[30], exact[30];
        size_t n, m;
        fixture_start(&f, dims[j]);
        save_many(&f, 0, 300);
        for (int length = 0; length < 3; length++) {
            make_vector(1000, q, dims[j]);
            for (int i = 0; i < dims[j]; i++) q[i] *= length == 0 ? 1 : length == 1 ? 1e-6f : 1e4f;
            OK(&f, db_exec(f.s->db, "DELETE FROM caches", &f.err));
            OK(&f, store_search(f.s, f.model, q, 30, NULL, exact, &m, &f.err));
            update(&f, true);
            assert_true(info(&f).exists);
            OK(&f, store_search(f.s, f.model, q, 30, NULL, hits, &n, &f.err));
            assert_int_equal(n, m);
            for (size_t i = 0; i < n; i++) assert_int_equal(hits[i].photo_id, exact[i].photo_id);
        }
        fixture_end(&f);
    }
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

static void check_things(fixture *f)
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
        assert_exact(f, q, 20, NULL);
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
        change_things(&f);
        check_things(&f);
        store_close(f.s); /* and for another process */
        fixture_open(&f, STORE_READ);
        check_things(&f);
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
    assert_false(info(&f).due);
    save_many(&f, 1020, 1);
    assert_true(info(&f).due);
    update(&f, false);
    store_cache_info c = info(&f);
    assert_int_equal(c.generation, generation + 1);
    assert_int_equal(c.base, 1021);
    assert_true(c.current);
    float q[DIM];
    for (uint64_t i = 0; i < 30; i++) {
        question(i, q);
        assert_exact(&f, q, 10, NULL);
    }
    fixture_end(&f);
}

static void a_library_that_shrinks_is_tidied(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    int64_t gone;
    fixture_start(&f, DIM);
    save_many(&f, 0, 420);
    update(&f, false);
    OK(&f, store_batch_begin(f.s, &f.err));
    for (int64_t id = 200; id < 420; id++) OK(&f, store_photo_forget(f.s, id, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    assert_int_equal(info(&f).dead, 220);
    update(&f, false);
    assert_int_equal(info(&f).base, 200);
    OK(&f, store_forget_below(f.s, "/photos", &gone, &f.err));
    assert_int_equal(gone, 200);
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
                assert_exact(&f, q, i % 2 ? 10 : 3, &filter);
                any_direction(i, q);
                assert_exact(&f, q, 20, &filter);
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

static char *file_path(fixture *f);
static void flip(const char *path, off_t at, uint8_t with);

/* Chunks of 4 blocks, of 18 and whole parts give the same; nothing but the file itself is needed, and not its name. */
static void chunks_of_any_size_give_the_same(void **state)
{
    (void)state;
    fixture f;
    float q[DIM];
    cache_rule = (cache_rules){.loose_max = 20, .part_min = 8000};
    fixture_start(&f, DIM);
    save_many(&f, 0, 16001);
    update(&f, false);
    char *path = file_path(&f);
    question(1, q);
    static const size_t sizes[] = {1600, 7000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cache_rule.chunk_bytes = sizes[i];
        assert_exact(&f, q, 10, NULL);
        assert_exact(&f, q, 25, NULL);
    }
    assert_int_equal(unlink(path), 0); /* as a writer does that replaces it */
    assert_exact(&f, q, 10, NULL);
    free(path);
    fixture_end(&f);
}

/* A file that another program damages or cuts while this process uses it: exact hits, and nobody dies. */
static void a_file_that_changes_while_it_is_used_is_noticed(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    fixture_start(&f, DIM);
    save_many(&f, 0, 1000);
    update(&f, false);
    char *path = file_path(&f);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    question(1, q);
    assert_exact(&f, q, 10, NULL);
    cache *c = f.s->cache;
    assert_non_null(c);
    for (int i = 0; i < 3; i++) { /* a changed byte, half a file, none */
        candidate best[20];
        size_t found = 1;
        bool sound = true;
        cache_doubt doubt = {{0}, false};
        if (i) assert_int_equal(truncate(path, i == 1 ? st.st_size / 2 : 0), 0);
        else flip(path, st.st_size - 5, 0x10);
        OK(&f, cache_find(c, q, 20, best, &found, &sound, &doubt, &f.err));
        assert_false(sound);
        assert_int_equal(found, 0);
        assert_non_null(strstr(doubt.why, path));
        assert_exact(&f, q, 10, NULL);
        if (!i) {
            flip(path, st.st_size - 5, 0x10);
            OK(&f, cache_find(c, q, 20, best, &found, &sound, &doubt, &f.err));
            assert_true(sound && found == 20);
        }
    }
    assert_false(info(&f).exists);
    free(path);
    fixture_end(&f);
}

/* Dies when `done` vectors of the new file are written, or with -1 when all are; the file is then finished or replaced. */
static void die_at(int64_t done, int64_t total, void *ctx)
{
    int64_t at = *(int64_t *)ctx;
    if (done >= (at < 0 ? total : at)) kill(getpid(), SIGKILL);
}

static int files_in_cache(fixture *f)
{
    int n = 0;
    char *folder = store_path_beside(f->s, ".cache");
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    free(folder);
    return n;
}

static void a_kill_while_the_file_is_made_costs_time_only(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    fixture_start(&f, DIM);
    save_many(&f, 0, 2500);
    question(1, q);
    for (int round = 0; round < 2; round++) { /* without a file yet, and with an older one */
        int64_t generation = info(&f).generation;
        static const int64_t instants[] = {1, 1024, 2048, -1};
        for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
            int64_t at = instants[i];
            store_close(f.s);
            pid_t child = fork();
            if (!child) {
                fixture_open(&f, STORE_WRITE);
                (void)!store_cache_update(f.s, f.model, true, die_at, &at, NULL);
                _exit(1); /* was not killed */
            }
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFSIGNALED(status));
            fixture_open(&f, STORE_WRITE);
            assert_int_equal(info(&f).generation, generation);
            assert_int_equal(info(&f).exists, round);
            assert_exact(&f, q, 10, NULL);
        }
        assert_true(files_in_cache(&f) > round); /* what the killed ones left */
        update(&f, true);
        assert_true(info(&f).current && info(&f).generation == generation + 1);
        assert_int_equal(files_in_cache(&f), 1);
        assert_exact(&f, q, 10, NULL);
    }
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

static void a_changed_byte_is_noticed(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) {
        small_rules();
        fixture f;
        float q[DIM];
        fixture_start(&f, DIM);
        save_many(&f, 0, large ? 500 : 60);
        update(&f, false);
        question(1, q);
        char *path = file_path(&f);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        for (off_t at = 0; at < st.st_size; at += large ? 97 : 7) {
            flip(path, at, 0x41);
            reopen(&f);
            assert_false(info(&f).exists);
            assert_exact(&f, q, 10, NULL);
            flip(path, at, 0x41);
        }
        reopen(&f);
        assert_true(info(&f).exists);
        free(path);
        fixture_end(&f);
    }
}

/* The row is made to agree with the damage, as somebody could who sends us a library. */
static void forge(fixture *f, const char *path, const char *what)
{
    store_model m;
    cache_row row;
    uint8_t hash[16];
    char sql[300];
    OK(f, model_get(f->s, f->model, &m, &f->err));
    OK(f, cache_row_get(f->s, &m, &row, &f->err));
    int fd = open(path, O_RDONLY);
    assert_true(cache_file_hash(fd, DIM, &row, hash));
    close(fd);
    char *p = sql + sprintf(sql, "UPDATE caches SET %s hash = x'", what);
    for (int i = 0; i < 16; i++) p += sprintf(p, "%02x", hash[i]);
    strcpy(p, "'");
    OK(f, db_exec(f->s->db, sql, &f->err));
}

static void forged_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    small_rules();
    fixture f;
    float q[DIM];
    store_hit hits[10];
    size_t n;
    int refused = 0, read = 0;
    fixture_start(&f, DIM);
    save_many(&f, 0, 60);
    update(&f, false);
    question(1, q);
    char *path = file_path(&f);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    off_t part = (off_t)cache_part_at(60, DIM, 1, 0), head = part + (off_t)vec_head_bytes(DIM); /* zeros up to the part */
    for (off_t at = 0; at < st.st_size; at += at < 80 || (at >= part && at < part + 100) || at > head - 40 ? 1 : 13) {
        flip(path, at, at % 2 ? 0xff : 0x04);
        forge(&f, path, "");
        cache_close(f.s->cache);
        f.s->cache = NULL;
        if (info(&f).exists) read++; else refused++;
        OK(&f, store_search(f.s, f.model, q, 10, NULL, hits, &n, &f.err));
        flip(path, at, at % 2 ? 0xff : 0x04);
    }
    assert_true(read > 0 && refused > 100);
    const char *figures[] = {"bytes = 10,", "bytes = 1 << 60,", "count = 1 << 50,", "count = 0,", "count = -1,", "seq = -1,", "count = 59,",
                             "generation = -7,", "count = 'x',", "bytes = 'z',"};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        update(&f, true);
        free(path);
        path = file_path(&f);
        forge(&f, path, figures[i]);
        reopen(&f);
        assert_exact(&f, q, 10, NULL);
        store_close(f.s);
        fixture_open(&f, STORE_WRITE);
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
        cmocka_unit_test(a_larger_one_has_a_file_and_the_same_answers),
        cmocka_unit_test(any_dimension_and_any_length_of_query_will_do),
        cmocka_unit_test(results_are_current),
        cmocka_unit_test(a_few_more_photos_rewrite_nothing),
        cmocka_unit_test(a_library_that_shrinks_is_tidied),
        cmocka_unit_test(filters_give_k_hits_whenever_k_exist),
        cmocka_unit_test(copies_tie_by_path_wherever_their_vectors_lie),
        cmocka_unit_test(more_hits_than_photos_give_all_photos),
        cmocka_unit_test(a_reader_follows_a_file_that_is_replaced),
        cmocka_unit_test(chunks_of_any_size_give_the_same),
        cmocka_unit_test(a_file_that_changes_while_it_is_used_is_noticed),
        cmocka_unit_test(a_kill_while_the_file_is_made_costs_time_only),
        cmocka_unit_test(a_changed_byte_is_noticed),
        cmocka_unit_test(forged_bytes_are_refused_or_harmless),
        cmocka_unit_test(a_file_that_is_none_is_passed_over),
        cmocka_unit_test(a_folder_that_cannot_be_made_costs_speed_only),
        cmocka_unit_test(progress_ends_at_its_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
