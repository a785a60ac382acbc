/* store_check finds each kind of damage, and with repair mends what can be made again. */
#include "library_fixture.h"

#include "store/cache.h"

#include <fcntl.h>

typedef struct findings { int n, mended; char text[4000]; } findings;

static void finding(const char *line, bool mended, void *ctx)
{
    findings *f = ctx;
    f->n++;
    f->mended += mended;
    assert_null(strchr(line, '\n'));
    strncat(f->text, line, sizeof f->text - strlen(f->text) - 2);
    strcat(f->text, "\n");
}

static findings run(fixture *f, bool repair)
{
    findings g = {0};
    int64_t problems = -1;
    OK(f, store_check(f->s, repair, finding, &g, &problems, &f->err));
    assert_int_equal(problems, g.n);
    return g;
}

static void start(fixture *f)
{
    cache_rule.loose_max = 10;
    fixture_start(f, 16);
    save_many(f, 0, 50);
    OK(f, store_cache_update(f->s, f->model, false, NULL, NULL, &f->err));
    float numbers[2 * 16 * 4] = {1, 2, 3};
    const store_concept c = {.name = "a", .fingerprint = "0123456789abcdef", .weights = numbers, .dim = 16};
    const store_adapter a = {.fingerprint = "0123456789abcdef", .maps = numbers, .dim = 16, .rank = 4};
    OK(f, store_concept_put(f->s, &c, &f->err));
    OK(f, store_adapter_put(f->s, &a, &f->err));
}

static void a_sound_library_has_no_findings(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    float v[16] = {1};
    store_query_remember(f.s, "x", "a dog", v, 16);
    assert_int_equal(run(&f, false).n, 0);
    assert_int_equal(run(&f, true).n, 0);
    fixture_end(&f);
}

static void each_contradiction_is_found_and_mended(void **state)
{
    (void)state;
    static const struct { const char *sql, *words; } damage[] = {
        {"UPDATE photos SET root_id = 77 WHERE id = 5", "no root"},
        {"UPDATE photos SET path = '../../etc/passwd' WHERE id = 5", "lead out of their root"},
        {"UPDATE photos SET path = x'2f6574632fff' WHERE id = 5", "lead out of their root"},
        {"INSERT INTO vectors(key, seq, vector) SELECT key + 5000, 2, vector FROM vectors LIMIT 1", "vectors belong to no photo"},
        {"INSERT INTO vectors(key, seq, vector) SELECT 9 << 40 | 5, 2, vector FROM vectors LIMIT 1", "vectors belong to no model"},
        {"UPDATE vectors SET vector = x'0102' WHERE photo_id = 5", "wrong size"},
        {"UPDATE vectors SET vector = 'text' WHERE photo_id = 5", "wrong size"},
        {"UPDATE vectors SET vector = zeroblob(32) WHERE photo_id = 5", "are damaged, the first is that of /photos/a/000004.jpg"},
        {"UPDATE vectors SET vector = CAST(x'007c000000000000000000000000000000000000000000000000000000000000' AS BLOB) "
         "WHERE photo_id = 5", "are damaged"},
        {"INSERT INTO tags VALUES(5000, 'cat')", "tags belong to no photo"},
        {"UPDATE concepts SET weights = x'0000c07f'", "concepts are damaged"},
        {"UPDATE concepts SET weights = x'01'", "concepts are damaged"},
        {"UPDATE concepts SET weights = x''", "concepts are damaged"},
        {"UPDATE concepts SET weights = zeroblob(68)", "concepts are damaged"},
        {"UPDATE concepts SET weights = zeroblob(40000), fingerprint = 'another'", "concepts are damaged"},
        {"UPDATE concepts SET weights = 1", "concepts are damaged"},
        {"UPDATE concepts SET bias = 9e999", "concepts are damaged"},
        {"UPDATE adapters SET maps = x''", "corrections that captions taught are damaged"},
        {"UPDATE adapters SET maps = x'00'", "corrections that captions taught are damaged"},
        {"UPDATE adapters SET maps = 'text'", "corrections that captions taught are damaged"},
        {"UPDATE adapters SET maps = zeroblob(508) || x'0000c07f'", "corrections that captions taught are damaged"},
        {"UPDATE adapters SET rank = 3", "corrections that captions taught are damaged"},
        {"UPDATE adapters SET rank = 0", "corrections that captions taught are damaged"},
        {"UPDATE adapters SET rank = 1 << 40", "corrections that captions taught are damaged"},
        {"UPDATE adapters SET maps = zeroblob(36), fingerprint = 'another'", "corrections that captions taught are damaged"},
        {"UPDATE models SET seq = 3", "lost count"},
        {"UPDATE caches SET seq = 1000", "newer than the library"},
        {"UPDATE models SET vectors = 3", "wrong count of vectors"},
        {"UPDATE tallies SET n = n + 1", "counts of photos are wrong"},
        {"DELETE FROM tallies", "counts of photos are wrong"},
        {"UPDATE caches SET bytes = bytes + 1", "length is not what the library says"},
        {"UPDATE caches SET hash = zeroblob(16)", "contents are not what the library says"},
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        fixture f;
        start(&f);
        OK(&f, db_exec(f.s->db, damage[i].sql, &f.err));
        findings g = run(&f, false);
        if (!strstr(g.text, damage[i].words)) fail_msg("%s: %s", damage[i].sql, g.text);
        assert_int_equal(g.mended, 0);
        store_close(f.s);
        fixture_open(&f, STORE_READ);
        assert_int_equal(run(&f, false).n, g.n);
        store_close(f.s);
        fixture_open(&f, STORE_WRITE);
        g = run(&f, true);
        assert_true(g.n > 0 && g.mended == g.n);
        g = run(&f, false);
        if (g.n) fail_msg("%s: still %s", damage[i].sql, g.text);
        store_hit hits[60];
        size_t n;
        float q[16];
        make_vector(20, q, 16);
        OK(&f, store_search(f.s, f.model, q, 60, NULL, hits, &n, &f.err));
        assert_int_equal(hits[0].photo_id, 21);
        assert_true(n >= 49);
        fixture_end(&f);
    }
}

static void flip(const char *path, off_t at)
{
    uint8_t b;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 0x10;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void a_flipped_bit_anywhere_in_the_search_index_is_found(void **state)
{
    (void)state;
    fixture f;
    char path[400];
    start(&f);
    store_cache_info c;
    OK(&f, store_cache_describe(f.s, f.model, &c, &f.err));
    snprintf(path, sizeof path, "%s.cache/vectors-1-1.faiss", f.db);
    for (off_t at = 0; at < c.bytes; at += 61) {
        flip(path, at);
        store_close(f.s);
        fixture_open(&f, STORE_READ);
        assert_int_equal(run(&f, false).n, 1);
        flip(path, at);
    }
    assert_int_equal(run(&f, false).n, 0);
    fixture_end(&f);
}

static void damaged_questions_go(void **state)
{
    (void)state;
    fixture f;
    char command[400];
    float v[16] = {1};
    start(&f);
    store_query_remember(f.s, "x", "a dog", v, 16);
    snprintf(command, sizeof command, "head -c 3000 /dev/urandom >'%s.cache/queries.db'", f.db);
    store_close(f.s);
    assert_int_equal(system(command), 0);
    fixture_open(&f, STORE_WRITE);
    assert_false(store_query_recall(f.s, "x", "a dog", v, 16));
    assert_int_equal(run(&f, false).n, 1);
    findings g = run(&f, true);
    assert_int_equal(g.n, 1);
    assert_int_equal(g.mended, 1);
    assert_int_equal(run(&f, false).n, 0);
    fixture_end(&f);
}

/* Bytes of the database itself: whatever happens, there is an answer and no crash. */
static void a_database_with_broken_pages_is_reported(void **state)
{
    (void)state;
    fixture f;
    struct stat st;
    int found = 0, tried = 0;
    start(&f);
    store_close(f.s);
    f.s = NULL;
    assert_int_equal(stat(f.db, &st), 0);
    for (off_t at = 100; at < st.st_size; at += 1511, tried++) {
        flip(f.db, at);
        flip(f.db, at + 1);
        f.err.text[0] = 0;
        if (store_open(f.db, STORE_READ, &f.s, &f.err)) {
            assert_true(f.err.text[0]);
            found++;
        } else {
            findings g = {0};
            int64_t problems = 0;
            store_status rc = store_check(f.s, false, finding, &g, &problems, &f.err);
            found += rc || problems;
            float q[16];
            store_hit hits[5];
            size_t n;
            make_vector(1, q, 16);
            (void)!store_search(f.s, 1, q, 5, NULL, hits, &n, &f.err);
        }
        store_close(f.s);
        f.s = NULL;
        flip(f.db, at);
        flip(f.db, at + 1);
    }
    assert_true(found > 0 && tried > found / 2);
    fixture_open(&f, STORE_READ);
    assert_int_equal(run(&f, false).n, 0);
    fixture_end(&f);
}

/* A date stands in the photo's row and in the index of dates: wherever it is changed, the two no longer agree. */
static void an_index_that_disagrees_with_its_table_is_made_again(void **state)
{
    (void)state;
    fixture f;
    struct stat st;
    int mended = 0;
    start(&f);
    OK(&f, store_batch_begin(f.s, &f.err));
    store_photo p = {.root_id = f.root, .path = "x.jpg", .taken = "1987-06-05 04:03:02"};
    int64_t id;
    OK(&f, store_photo_save(f.s, &p, &id, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    store_close(f.s);
    f.s = NULL;
    assert_int_equal(stat(f.db, &st), 0);
    char *all = malloc((size_t)st.st_size);
    int fd = open(f.db, O_RDONLY);
    assert_int_equal(pread(fd, all, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    for (off_t at = 0; at + 19 < st.st_size; at++) {
        if (memcmp(all + at, p.taken, 19)) continue;
        flip(f.db, at + 8); /* 0 becomes a space */
        fixture_open(&f, STORE_WRITE);
        findings g = run(&f, true);
        if (g.n) {
            assert_int_equal(g.mended, g.n);
            mended++;
        }
        assert_int_equal(run(&f, false).n, 0);
        store_close(f.s);
        f.s = NULL;
    }
    assert_true(mended > 0);
    free(all);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_library_has_no_findings),
        cmocka_unit_test(each_contradiction_is_found_and_mended),
        cmocka_unit_test(a_flipped_bit_anywhere_in_the_search_index_is_found),
        cmocka_unit_test(damaged_questions_go),
        cmocka_unit_test(a_database_with_broken_pages_is_reported),
        cmocka_unit_test(an_index_that_disagrees_with_its_table_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
