/* test_adapters.c: corrections of text vectors are kept one a model, and never trusted. */
#include "library_fixture.h"

static store_adapter adapter(float *maps)
{
    return (store_adapter){.fingerprint = "0123456789abcdef", .dim = 16, .rank = 4, .maps = maps, .photos = 100, .captions = 300, .gain = 0.02};
}

static void a_correction_is_kept_replaced_and_forgotten(void **state)
{
    (void)state;
    fixture f;
    store_adapter got;
    int64_t forgotten;
    float maps[2 * 16 * 4] = {1, 2, 3};
    fixture_start(&f, 16);
    store_adapter a = adapter(maps);
    FAILS(&f, STORE_E_NOT_FOUND, store_adapter_get(f.s, a.fingerprint, 16, &got, &f.err));
    OK(&f, store_adapter_put(f.s, &a, &f.err));
    a.captions = 301;
    OK(&f, store_adapter_put(f.s, &a, &f.err));
    OK(&f, store_adapter_get(f.s, a.fingerprint, 16, &got, &f.err));
    assert_memory_equal(got.maps, maps, sizeof maps);
    assert_true(got.rank == 4 && got.photos == 100 && got.captions == 301 && got.gain == 0.02 && got.learned[4] == '-');
    store_adapter_finish(&got);
    OK(&f, store_adapter_forget(f.s, a.fingerprint, &forgotten, &f.err));
    assert_int_equal(forgotten, 1);
    FAILS(&f, STORE_E_NOT_FOUND, store_adapter_get(f.s, a.fingerprint, 16, &got, &f.err));
    fixture_end(&f);
}

static void damage_is_refused(void **state)
{
    (void)state;
    static const char *const damage[] = {"maps = x''", "maps = x'00'", "rank = 0", "rank = -1", "rank = 1 << 40", "maps = 'text'",
                                         "rank = 1, maps = zeroblob(124) || x'0000c07f'"};
    fixture f;
    store_adapter got;
    float maps[2 * 16 * 4] = {1};
    fixture_start(&f, 16);
    store_adapter a = adapter(maps);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char sql[200];
        OK(&f, store_adapter_put(f.s, &a, &f.err));
        snprintf(sql, sizeof sql, "UPDATE adapters SET %s", damage[i]);
        OK(&f, db_exec(f.s->db, sql, &f.err));
        FAILS(&f, STORE_E_CORRUPT, store_adapter_get(f.s, a.fingerprint, 16, &got, &f.err));
        assert_null(got.maps);
    }
    maps[5] = INFINITY;
    FAILS(&f, STORE_E_ARGUMENT, store_adapter_put(f.s, &a, &f.err));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_correction_is_kept_replaced_and_forgotten), cmocka_unit_test(damage_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
