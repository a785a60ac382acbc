/* test_concepts.c: what was learned is kept, found by its name and model, and never trusted. */
#include "library_fixture.h"

static store_concept concept(const char *name, const char *fingerprint, float *weights, int dim)
{
    store_concept c = {.name = (char *)name, .weights = weights, .dim = dim, .bias = -1.5, .yes = 5, .no = 2, .unlabelled = 90};
    snprintf(c.fingerprint, sizeof c.fingerprint, "%s", fingerprint);
    return c;
}

static void a_concept_is_kept_by_name_and_model(void **state)
{
    (void)state;
    fixture f;
    store_concept got, *all;
    size_t n;
    int64_t forgotten;
    float w[16] = {1, 2, 3}, other[16] = {4};
    fixture_start(&f, 16);
    store_concept c = concept("Snow", "aa", w, 16), d = concept("snow", "bb", other, 16);
    c.words = (char *)"deep snow";
    OK(&f, store_concept_put(f.s, &c, &f.err));
    OK(&f, store_concept_put(f.s, &d, &f.err));
    store_close(f.s);
    fixture_open(&f, STORE_READ);
    OK(&f, store_concept_get(f.s, "SNOW", "aa", &got, &f.err));
    assert_string_equal(got.name, "Snow");
    assert_string_equal(got.words, "deep snow");
    assert_int_equal(got.dim, 16);
    assert_memory_equal(got.weights, w, sizeof w);
    assert_true(got.bias == -1.5 && got.yes == 5 && got.no == 2 && got.unlabelled == 90 && got.learned[4] == '-');
    store_concept_finish(&got);
    FAILS(&f, STORE_E_NOT_FOUND, store_concept_get(f.s, "snow", "cc", &got, &f.err));
    OK(&f, store_concepts(f.s, &all, &n, &f.err));
    assert_int_equal(n, 2);
    assert_null(all[1].words);
    store_concepts_free(all, n);
    FAILS(&f, STORE_E_READONLY, store_concept_put(f.s, &c, &f.err));
    store_close(f.s);
    fixture_open(&f, STORE_WRITE);
    c.bias = 7;
    OK(&f, store_concept_put(f.s, &c, &f.err)); /* again: in its place */
    OK(&f, store_concepts(f.s, &all, &n, &f.err));
    assert_int_equal(n, 2);
    store_concepts_free(all, n);
    OK(&f, store_concept_forget(f.s, "snow", &forgotten, &f.err));
    assert_int_equal(forgotten, 2);
    OK(&f, store_concept_forget(f.s, "snow", &forgotten, &f.err));
    assert_int_equal(forgotten, 0);
    fixture_end(&f);
}

static void what_is_no_concept_is_refused(void **state)
{
    (void)state;
    fixture f;
    float w[16] = {1};
    fixture_start(&f, 16);
    store_concept c = concept("", "aa", w, 16);
    FAILS(&f, STORE_E_ARGUMENT, store_concept_put(f.s, &c, &f.err));
    c = concept("a", "aa", w, 0);
    FAILS(&f, STORE_E_ARGUMENT, store_concept_put(f.s, &c, &f.err));
    c = concept("a", "aa", w, STORE_MAX_DIM + 1);
    FAILS(&f, STORE_E_ARGUMENT, store_concept_put(f.s, &c, &f.err));
    c = concept("a", "aa", w, 16);
    w[3] = NAN;
    FAILS(&f, STORE_E_ARGUMENT, store_concept_put(f.s, &c, &f.err));
    fixture_end(&f);
}

static void a_damaged_concept_is_refused(void **state)
{
    (void)state;
    static const char *const damage[] = {"x'0000c07f'", "x'01'", "x''", "zeroblob(40000)", "1"};
    fixture f;
    store_concept got;
    float w[16] = {1};
    fixture_start(&f, 16);
    store_concept c = concept("a", "0123456789abcdef", w, 16);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char sql[100];
        OK(&f, store_concept_put(f.s, &c, &f.err));
        snprintf(sql, sizeof sql, "UPDATE concepts SET weights = %s", damage[i]);
        OK(&f, db_exec(f.s->db, sql, &f.err));
        FAILS(&f, STORE_E_CORRUPT, store_concept_get(f.s, "a", c.fingerprint, &got, &f.err));
        assert_null(got.weights);
    }
    fixture_end(&f);
}

/* A library of version 1, as it was: version 2 without its tables. */
static void a_library_without_concepts_gets_them(void **state)
{
    (void)state;
    fixture f;
    store_concept *all;
    size_t n;
    int64_t version;
    fixture_start(&f, 16);
    save_many(&f, 0, 3);
    OK(&f, db_exec(f.s->db, "DROP TABLE concepts; DROP TABLE adapters; PRAGMA user_version = 1", &f.err));
    store_close(f.s);
    FAILS(&f, STORE_E_VERSION, store_open(f.db, STORE_READ, &f.s, &f.err));
    fixture_open(&f, STORE_WRITE);
    OK(&f, db_run_int(db_prepare_once(f.s->db, "PRAGMA user_version"), &version, &f.err));
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    OK(&f, store_concepts(f.s, &all, &n, &f.err));
    assert_int_equal(n, 0);
    store_counts counts;
    OK(&f, store_count(f.s, &counts, &f.err));
    assert_int_equal(counts.photos, 3);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_concept_is_kept_by_name_and_model),
        cmocka_unit_test(what_is_no_concept_is_refused),
        cmocka_unit_test(a_damaged_concept_is_refused),
        cmocka_unit_test(a_library_without_concepts_gets_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
