/* Opening, locking, transactions, kills, full disks, media that cannot be written. */
#include "library_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

static bool mentions(const fixture *f, const char *words)
{
    if (!strstr(f->err.text, words)) fail_msg("\"%s\" does not say \"%s\"", f->err.text, words);
    return true;
}

static void put_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static int run(const char *format, const char *a)
{
    char command[900];
    snprintf(command, sizeof command, format, a, a);
    return system(command);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void an_absent_library_says_what_to_type(void **state)
{
    (void)state;
    fixture f = {0};
    FAILS(&f, STORE_E_NOT_FOUND, store_open("/nonexistent/photos.db", STORE_READ, &f.s, &f.err));
    mentions(&f, "/nonexistent/photos.db");
    mentions(&f, "clipsearch index");
    assert_null(f.s);
    FAILS(&f, STORE_E_NOT_FOUND, store_open("/nonexistent/photos.db", STORE_WRITE, &f.s, &f.err));
    store_close(NULL);
}

static void what_is_no_library_is_refused(void **state)
{
    (void)state;
    fixture f;
    char path[400];
    fixture_start(&f, 8);
    store *s;
    snprintf(path, sizeof path, "%s/other.db", f.folder);
    put_file(path, "This is a letter, not a database. It is longer than a hundred bytes, so that nobody takes it for an empty "
             "file or for a header that was cut.", 130);
    FAILS(&f, STORE_E_CORRUPT, store_open(path, STORE_READ, &s, &f.err));
    mentions(&f, "not a clipsearch library");
    FAILS(&f, STORE_E_CORRUPT, store_open(path, STORE_CREATE, &s, &f.err));
    put_file(path, "", 0);
    FAILS(&f, STORE_E_NOT_FOUND, store_open(path, STORE_READ, &s, &f.err));
    mentions(&f, "empty");
    OK(&f, store_open(path, STORE_CREATE, &s, &f.err)); /* an empty file is as good as none */
    OK(&f, db_exec(s->db, "PRAGMA application_id = 7", &f.err));
    store_close(s);
    FAILS(&f, STORE_E_CORRUPT, store_open(path, STORE_READ, &s, &f.err));
    mentions(&f, "another program");
    snprintf(path, sizeof path, "%s", f.folder);
    assert_int_not_equal(store_open(path, STORE_READ, &s, &f.err), STORE_OK);
    fixture_end(&f);
}

static void a_library_from_the_future_is_refused(void **state)
{
    (void)state;
    fixture f;
    fixture_start(&f, 8);
    OK(&f, db_exec(f.s->db, "PRAGMA user_version = 99", &f.err));
    store_close(f.s);
    for (store_mode m = STORE_READ; m <= STORE_CREATE; m++) {
        FAILS(&f, STORE_E_VERSION, store_open(f.db, m, &f.s, &f.err));
        mentions(&f, "newer clipsearch");
    }
    f.s = NULL;
    fixture_end(&f);
}

/* The mechanism, with steps of its own: each is one transaction, a failing one leaves the version before it. */
static void an_old_library_is_brought_up_to_date_step_by_step(void **state)
{
    (void)state;
    static const char *const steps[] = {"CREATE TABLE a(x); INSERT INTO a VALUES(1); PRAGMA application_id = 1129072976;",
                                        "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;",
                                        "CREATE TABLE b(x); INSERT INTO missing VALUES(1);"};
    fixture f;
    char path[400];
    db *d;
    int64_t v;
    fixture_start(&f, 8);
    snprintf(path, sizeof path, "%s/old.db", f.folder);
    OK(&f, db_open(path, DB_WRITER, 100, &d, &f.err));
    OK(&f, schema_upgrade(d, steps, 1, true, &f.err));
    FAILS(&f, STORE_E_VERSION, schema_upgrade(d, steps, 2, false, &f.err));
    mentions(&f, "older clipsearch");
    OK(&f, schema_upgrade(d, steps, 2, true, &f.err));
    OK(&f, db_run_int(db_prepare_once(d, "SELECT y FROM a"), &v, &f.err));
    assert_int_equal(v, 2);
    FAILS(&f, STORE_E_INTERNAL, schema_upgrade(d, steps, 3, true, &f.err));
    OK(&f, db_run_int(db_prepare_once(d, "PRAGMA user_version"), &v, &f.err));
    assert_int_equal(v, 2);
    OK(&f, db_run_int(db_prepare_once(d, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), &v, &f.err));
    assert_int_equal(v, 0);
    OK(&f, schema_upgrade(d, steps, 2, false, &f.err));
    db_close(d);
    fixture_end(&f);
}

static void folders_are_made_and_odd_names_work(void **state)
{
    (void)state;
    fixture f;
    char path[400];
    store *s;
    fixture_start(&f, 8);
    static const char *const names[] = {"new/deep/er/p.db", "sp ace/100%25?#&.db", "\xff\xfe/\xe9.db"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", f.folder, names[i]);
        OK(&f, store_open(path, STORE_CREATE, &s, &f.err));
        store_close(s);
        OK(&f, store_open(path, STORE_READ, &s, &f.err));
        store_close(s);
        assert_int_equal(access(path, R_OK), 0);
    }
    fixture_end(&f);
}

/* ---- one writer, many readers ------------------------------------------------------------------------------------- */

static void waiting(const char *line, void *ctx)
{
    assert_non_null(strstr(line, "writing"));
    ++*(int *)ctx;
}

static void a_second_writer_is_told_who_is_writing(void **state)
{
    (void)state;
    fixture f;
    store *s;
    char who[64];
    int told = 0;
    fixture_start(&f, 8);
    FAILS(&f, STORE_E_BUSY, store_open(f.db, STORE_WRITE, &s, &f.err));
    snprintf(who, sizeof who, "process %ld, since 20", (long)getpid());
    mentions(&f, who);
    FAILS(&f, STORE_E_BUSY, store_open_wait(f.db, STORE_CREATE, 0.15, waiting, &told, &s, &f.err));
    assert_int_equal(told, 1);
    OK(&f, store_open(f.db, STORE_READ, &s, &f.err)); /* a reader does not care */
    store_close(s);
    store_close(f.s);
    fixture_open(&f, STORE_WRITE);
    fixture_end(&f);
}

static void a_waiting_writer_goes_on_when_the_other_is_done_or_killed(void **state)
{
    (void)state;
    fixture f;
    int told = 0;
    fixture_start(&f, 8);
    store_close(f.s);
    for (int killed = 0; killed < 2; killed++) {
        int ready[2];
        char c;
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (!child) {
            store *s;
            if (store_open(f.db, STORE_WRITE, &s, NULL) || write(ready[1], "x", 1) != 1) _exit(1);
            usleep(200000);
            if (killed) kill(getpid(), SIGKILL);
            store_close(s);
            _exit(0);
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        told = 0;
        OK(&f, store_open_wait(f.db, STORE_WRITE, -1, waiting, &told, &f.s, &f.err));
        assert_int_equal(told, 1);
        store_close(f.s);
        waitpid(child, NULL, 0);
        close(ready[0]);
        close(ready[1]);
    }
    f.s = NULL;
    fixture_end(&f);
}

static void readers_see_whole_batches_while_one_writes(void **state)
{
    (void)state;
    fixture f;
    float q[8];
    fixture_start(&f, 8);
    save_many(&f, 0, 10);
    store_close(f.s);
    pid_t child = fork();
    if (!child) {
        fixture w = f;
        if (store_open(w.db, STORE_WRITE, &w.s, &w.err)) _exit(1);
        for (uint64_t i = 1; i < 40; i++) save_many(&w, 10 * i, 10);
        store_close(w.s);
        _exit(0);
    }
    int status = 0;
    int64_t last = 0;
    while (!waitpid(child, &status, WNOHANG)) {
        store_counts n;
        store_hit hits[500];
        size_t found;
        fixture_open(&f, STORE_READ);
        OK(&f, store_count(f.s, &n, &f.err));
        assert_int_equal(n.photos % 10, 0);
        assert_true(n.photos >= last);
        last = n.photos;
        make_vector(3, q, 8);
        OK(&f, store_search(f.s, f.model, q, 500, NULL, hits, &found, &f.err));
        assert_true(found >= (size_t)last && found % 10 == 0);
        store_close(f.s);
    }
    assert_int_equal(status, 0);
    fixture_open(&f, STORE_READ);
    store_counts n;
    OK(&f, store_count(f.s, &n, &f.err));
    assert_int_equal(n.photos, 400);
    fixture_end(&f);
}

static void a_reader_that_stays_keeps_up(void **state)
{
    (void)state;
    fixture f, r;
    store_counts n;
    fixture_start(&f, 8);
    r = f;
    fixture_open(&r, STORE_READ);
    for (uint64_t i = 0; i < 5; i++) {
        save_many(&f, 5 * i, 5);
        OK(&r, store_count(r.s, &n, &r.err));
        assert_int_equal(n.photos, 5 * (i + 1));
    }
    FAILS(&r, STORE_E_READONLY, store_batch_begin(r.s, &r.err));
    FAILS(&r, STORE_E_READONLY, store_setting_set(r.s, "a", "b", &r.err));
    FAILS(&r, STORE_E_READONLY, store_cache_update(r.s, 1, true, NULL, NULL, &r.err));
    store_close(r.s);
    fixture_end(&f);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static void a_batch_is_kept_whole_or_not_at_all(void **state)
{
    (void)state;
    fixture f;
    store_counts n;
    fixture_start(&f, 8);
    OK(&f, store_batch_begin(f.s, &f.err));
    save_with_vector(&f, "a.jpg", 1);
    store_batch_abandon(f.s);
    OK(&f, store_batch_begin(f.s, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_batch_begin(f.s, &f.err));
    save_with_vector(&f, "b.jpg", 2);
    store_close(f.s); /* without a commit */
    fixture_open(&f, STORE_WRITE);
    OK(&f, store_count(f.s, &n, &f.err));
    assert_int_equal(n.photos, 0);
    assert_string_equal(n.last_indexed, "");
    FAILS(&f, STORE_E_ARGUMENT, store_batch_commit(f.s, &f.err));
    save_many(&f, 0, 1);
    OK(&f, store_count(f.s, &n, &f.err));
    assert_int_equal(n.photos, 1);
    assert_int_equal(strlen(n.last_indexed), 19);
    store_batch_abandon(f.s);
    fixture_end(&f);
}

static void writing_without_a_batch_is_an_error(void **state)
{
    (void)state;
    fixture f;
    float v[8] = {1};
    int64_t id;
    uint8_t digest[16] = {0};
    store_photo p = {.root_id = 1, .path = "x"};
    fixture_start(&f, 8);
    FAILS(&f, STORE_E_ARGUMENT, store_photo_save(f.s, &p, &id, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_photo_set_state(f.s, 1, STORE_MISSING, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_photo_relocate(f.s, 1, 1, "x", 1, 1, 1, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_vector_save(f.s, 1, 1, v, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_vectors_copy(f.s, 1, 2, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_photo_forget(f.s, 1, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_folder_remember(f.s, 1, "x", digest, &f.err));
    fixture_end(&f);
}

/* The child commits batches of 7 and says so; it is killed somewhere. What it said is there, and at most one batch more. */
static void a_kill_loses_at_most_one_batch(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (int round = 0; round < 12; round++) {
        fixture f;
        int said[2];
        fixture_start(&f, 8);
        store_close(f.s);
        assert_int_equal(pipe(said), 0);
        pid_t child = fork();
        if (!child) {
            fixture w = f;
            if (store_open(w.db, STORE_WRITE, &w.s, &w.err)) _exit(1);
            for (uint64_t i = 0;; i++) {
                save_many(&w, 7 * i, 7);
                if (write(said[1], "x", 1) != 1) _exit(1);
            }
        }
        close(said[1]);
        usleep(2000 + (useconds_t)(made_bits(&seed) % 60000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        char c;
        int64_t batches = 0, problems;
        while (read(said[0], &c, 1) == 1) batches++;
        close(said[0]);
        store_counts n;
        fixture_open(&f, round % 2 ? STORE_READ : STORE_WRITE);
        OK(&f, store_count(f.s, &n, &f.err));
        assert_int_equal(n.photos % 7, 0);
        assert_true(n.photos / 7 >= batches && n.photos / 7 <= batches + 1);
        OK(&f, store_check(f.s, false, NULL, NULL, &problems, &f.err));
        assert_int_equal(problems, 0);
        store_model m;
        OK(&f, store_model_current(f.s, &m, &f.err));
        assert_int_equal(m.vectors, n.photos);
        fixture_end(&f);
    }
}

static void a_kill_while_the_search_index_is_made_leaves_a_sound_library(void **state)
{
    (void)state;
    fixture f;
    uint64_t seed = 5;
    fixture_start(&f, 64);
    save_many(&f, 0, 3000);
    store_close(f.s);
    for (int round = 0; round < 10; round++) {
        pid_t child = fork();
        if (!child) {
            store *s;
            if (store_open(f.db, STORE_WRITE, &s, NULL)) _exit(1);
            for (;;)
                if (store_cache_update(s, f.model, true, NULL, NULL, NULL)) _exit(1);
        }
        usleep(2000 + (useconds_t)(made_bits(&seed) % 150000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        int64_t problems;
        fixture_open(&f, STORE_READ);
        OK(&f, store_check(f.s, false, NULL, NULL, &problems, &f.err));
        assert_int_equal(problems, 0);
        store_close(f.s);
    }
    fixture_open(&f, STORE_WRITE);
    OK(&f, store_cache_update(f.s, f.model, true, NULL, NULL, &f.err));
    store_close(f.s);
    f.s = NULL;
    assert_int_equal(run("test \"$(ls '%s.cache')\" = \"$(cd '%s.cache' && ls vectors-1-*.faiss | tail -n 1)\"", f.db), 0);
    fixture_end(&f);
}

/* ---- media ------------------------------------------------------------------------------------------------------- */

/* The test as somebody else: true in a child that has lost the right to write everywhere. */
static bool as_nobody(fixture *f, pid_t *child)
{
    run("chmod -R a+rX '%s'", f->folder);
    *child = fork();
    if (*child) return false;
    if (!getuid() && (setgid(65534) || setuid(65534))) _exit(77);
    return true;
}

static void expect_child(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) print_message("skipped: rights cannot be given up here\n");
    else assert_int_equal(status, 0);
}

#define CHILD_CHECK(x) do { if (!(x)) { fprintf(stderr, "child: %s: %s\n", #x, f.err.text); _exit(1); } } while (0)

static void a_library_that_cannot_be_written_can_be_searched(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        fixture f;
        float q[8];
        pid_t child;
        fixture_start(&f, 8);
        save_many(&f, 0, 20);
        if (how == 0) {
            store_close(f.s); /* folded back: no log */
            f.s = NULL;
        } else if (how == 2) { /* a log without a shared index beside it, as on a medium that was pulled out */
            assert_int_equal(run("cp '%s' '%s.copy'", f.db), 0);
            assert_int_equal(run("cp '%s-wal' '%s.copy-wal'", f.db), 0);
            strcat(f.db, ".copy");
        }
        chmod(f.folder, 0555);
        if (as_nobody(&f, &child)) {
            store *s;
            store_hit hits[30];
            store_counts count;
            size_t n;
            CHILD_CHECK(!store_open(f.db, STORE_READ, &s, &f.err));
            make_vector(4, q, 8);
            CHILD_CHECK(!store_search(s, f.model, q, 30, NULL, hits, &n, &f.err) && n == 20 && hits[0].photo_id == 5);
            CHILD_CHECK(!store_count(s, &count, &f.err) && count.photos == 20);
            store_query_remember(s, "m", "text", q, 8); /* does nothing, harmlessly */
            CHILD_CHECK(!store_query_recall(s, "m", "text", q, 8));
            store_close(s);
            CHILD_CHECK(store_open(f.db, STORE_WRITE, &s, &f.err) == STORE_E_READONLY && strstr(f.err.text, "cannot be written"));
            f.err.text[0] = 0;
            CHILD_CHECK(store_open("/proc/new/x.db", STORE_CREATE, &s, &f.err) != STORE_OK);
            _exit(0);
        }
        expect_child(child);
        chmod(f.folder, 0755);
        fixture_end(&f);
    }
}

static void on_a_network_file_system_one_process_at_a_time(void **state)
{
    (void)state;
    fixture f;
    store *s;
    float q[8];
    store_hit hits[30];
    size_t n;
    assert_string_equal(medium_network_name(0x6969), "NFS");
    assert_string_equal(medium_network_name((long)0xff534d42), "CIFS");
    assert_null(medium_network_name(0xef53));
    assert_string_equal(medium_fuse_name("fuse.sshfs"), "FUSE");
    assert_string_equal(medium_fuse_name(""), "FUSE");
    assert_null(medium_fuse_name("fuseblk"));
    fixture_start(&f, 8);
    save_many(&f, 0, 20);
    store_close(f.s);
    medium_pretend = "NFS";
    fixture_open(&f, STORE_WRITE);
    save_many(&f, 20, 20);
    FAILS(&f, STORE_E_BUSY, store_open(f.db, STORE_READ, &s, &f.err));
    mentions(&f, "network file system");
    store_close(f.s);
    assert_int_not_equal(run("test -e '%s-shm'", f.db), 0); /* no shared memory was used */
    fixture_open(&f, STORE_READ);
    make_vector(24, q, 8);
    OK(&f, store_search(f.s, f.model, q, 30, NULL, hits, &n, &f.err));
    assert_int_equal(hits[0].photo_id, 25);
    OK(&f, store_open(f.db, STORE_READ, &s, &f.err)); /* readers do not exclude each other */
    store_close(s);
    store_close(f.s);
    f.s = NULL;
    medium_pretend = NULL;
    fixture_end(&f);
}

/* In a mount namespace of its own, so that nothing of it outlives the test. */
static void fill_small_disk(const char *folder)
{
    fixture f = {.dim = 512};
    char filler[300];
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", folder, "tmpfs", 0, "size=3m"))
        _exit(77);
    snprintf(f.db, sizeof f.db, "%s/photos.db", folder);
    CHILD_CHECK(!store_open(f.db, STORE_CREATE, &f.s, &f.err));
    char *prefix;
    store_model m = {.name = "tiny", .dir = "/m", .fingerprint = "f", .precision = "f32", .dim = 512};
    CHILD_CHECK(!store_root_place(f.s, "/photos", &f.root, &prefix, &f.err));
    CHILD_CHECK(!store_model_put(f.s, &m, &f.model, &f.err));
    store_status st = STORE_OK;
    uint64_t kept = 0;
    for (uint64_t i = 0; !st && i < 100000; i++) {
        st = store_batch_begin(f.s, &f.err);
        for (uint64_t j = 0; !st && j < 16; j++) {
            char path[32];
            float v[512];
            int64_t id;
            snprintf(path, sizeof path, "%llu.jpg", (unsigned long long)(16 * i + j));
            store_photo p = {.root_id = f.root, .path = path, .size = 1};
            st = store_photo_save(f.s, &p, &id, &f.err);
            make_vector(16 * i + j, v, 512);
            if (!st) st = store_vector_save(f.s, id, f.model, v, &f.err);
        }
        if (!st) st = store_batch_commit(f.s, &f.err);
        else store_batch_abandon(f.s);
        if (!st) kept += 16;
    }
    CHILD_CHECK(st == STORE_E_FULL && kept > 100);
    CHILD_CHECK(strstr(f.err.text, "no space left") && strstr(f.err.text, f.db));
    f.err.text[0] = 0;
    st = store_cache_update(f.s, f.model, true, NULL, NULL, &f.err);
    CHILD_CHECK(st == STORE_E_FULL && strstr(f.err.text, "no space left"));
    store_close(f.s);
    f.err.text[0] = 0;
    CHILD_CHECK(!store_open(f.db, STORE_READ, &f.s, &f.err));
    store_counts n;
    int64_t problems = 1;
    CHILD_CHECK(!store_count(f.s, &n, &f.err) && (uint64_t)n.photos == kept);
    CHILD_CHECK(!store_check(f.s, false, NULL, NULL, &problems, &f.err) && !problems);
    store_close(f.s);
    (void)filler;
    _exit(0);
}

static void a_full_disk_is_said_and_loses_nothing(void **state)
{
    (void)state;
    char folder[] = "/tmp/store-full-XXXXXX";
    assert_non_null(mkdtemp(folder));
    pid_t child = fork();
    if (!child) fill_small_disk(folder);
    int status;
    waitpid(child, &status, 0);
    rmdir(folder);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) print_message("skipped: a small disk cannot be mounted here\n");
    else assert_int_equal(status, 0);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

static void a_question_is_remembered_by_model_and_text(void **state)
{
    (void)state;
    fixture f;
    float v[8] = {1, 2, 3, 0.1f}, w[8];
    char text[2000];
    fixture_start(&f, 8);
    assert_false(store_query_recall(f.s, "m", "a dog", w, 8));
    store_query_remember(f.s, "m", "a dog", v, 8);
    assert_true(store_query_recall(f.s, "m", "a dog", w, 8));
    assert_memory_equal(v, w, sizeof v);
    assert_false(store_query_recall(f.s, "m", "a cat", w, 8));
    assert_false(store_query_recall(f.s, "n", "a dog", w, 8));
    assert_false(store_query_recall(f.s, "m", "a dog", w, 4));
    store *r;
    OK(&f, store_open(f.db, STORE_READ, &r, &f.err)); /* another process, while this one is in a batch */
    OK(&f, store_batch_begin(f.s, &f.err));
    save_photo(&f, "x.jpg", 1);
    v[0] = 5;
    store_query_remember(r, "m", "a cat", v, 8);
    assert_true(store_query_recall(r, "m", "a cat", w, 8) && w[0] == 5);
    store_close(r);
    OK(&f, store_batch_commit(f.s, &f.err));
    for (int i = 0; i < 10010; i++) {
        snprintf(text, sizeof text, "question %d", i);
        store_query_remember(f.s, "m", text, v, 8);
    }
    assert_false(store_query_recall(f.s, "m", "question 5", w, 8)); /* the oldest go */
    assert_true(store_query_recall(f.s, "m", "question 500", w, 8));
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    store_query_remember(f.s, "m", text, v, 8);
    assert_false(store_query_recall(f.s, "m", text, w, 8));
    fixture_end(&f);
}

static void settings_are_kept(void **state)
{
    (void)state;
    fixture f;
    char *v;
    fixture_start(&f, 8);
    FAILS(&f, STORE_E_NOT_FOUND, store_setting_get(f.s, "a", &v, &f.err));
    OK(&f, store_setting_set(f.s, "a", "1", &f.err));
    OK(&f, store_setting_set(f.s, "a", "two", &f.err));
    store_close(f.s);
    fixture_open(&f, STORE_READ);
    OK(&f, store_setting_get(f.s, "a", &v, &f.err));
    assert_string_equal(v, "two");
    free(v);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_library_says_what_to_type),
        cmocka_unit_test(what_is_no_library_is_refused),
        cmocka_unit_test(a_library_from_the_future_is_refused),
        cmocka_unit_test(an_old_library_is_brought_up_to_date_step_by_step),
        cmocka_unit_test(folders_are_made_and_odd_names_work),
        cmocka_unit_test(a_second_writer_is_told_who_is_writing),
        cmocka_unit_test(a_waiting_writer_goes_on_when_the_other_is_done_or_killed),
        cmocka_unit_test(readers_see_whole_batches_while_one_writes),
        cmocka_unit_test(a_reader_that_stays_keeps_up),
        cmocka_unit_test(a_batch_is_kept_whole_or_not_at_all),
        cmocka_unit_test(writing_without_a_batch_is_an_error),
        cmocka_unit_test(a_kill_loses_at_most_one_batch),
        cmocka_unit_test(a_kill_while_the_search_index_is_made_leaves_a_sound_library),
        cmocka_unit_test(a_library_that_cannot_be_written_can_be_searched),
        cmocka_unit_test(on_a_network_file_system_one_process_at_a_time),
        cmocka_unit_test(a_full_disk_is_said_and_loses_nothing),
        cmocka_unit_test(a_question_is_remembered_by_model_and_text),
        cmocka_unit_test(settings_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
