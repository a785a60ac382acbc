/* Photos, roots and models: what is saved is found again, whatever its name. */
#include "library_fixture.h"

static void a_saved_photo_comes_back_whole(void **state)
{
    (void)state;
    fixture f;
    fixture_start(&f, 16);
    store_photo p = {.root_id = f.root, .path = "2023/a b.jpg", .size = 5, .mtime_ns = -1, .inode = UINT64_MAX, .width = 3,
                     .height = 4, .format = "jpeg", .taken = "2023-07-14 18:30:00", .camera = "X 1", .has_gps = true,
                     .latitude = -12.5, .longitude = 179.25, .state = STORE_FAILED, .truncated = true, .reason = "why"};
    memset(p.hash, 7, 16);
    int64_t id;
    OK(&f, store_batch_begin(f.s, &f.err));
    OK(&f, store_photo_save(f.s, &p, &id, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    store_close(f.s);
    fixture_open(&f, STORE_READ);
    store_photo g;
    OK(&f, store_photo_get(f.s, id, &g, &f.err));
    assert_int_equal(g.id, id);
    assert_int_equal(g.root_id, f.root);
    assert_string_equal(g.path, p.path);
    assert_int_equal(g.size, 5);
    assert_int_equal(g.mtime_ns, -1);
    assert_true(g.inode == UINT64_MAX);
    assert_memory_equal(g.hash, p.hash, 16);
    assert_int_equal(g.width, 3);
    assert_int_equal(g.height, 4);
    assert_string_equal(g.format, "jpeg");
    assert_string_equal(g.taken, p.taken);
    assert_string_equal(g.camera, "X 1");
    assert_true(g.has_gps);
    assert_true(g.latitude == -12.5 && g.longitude == 179.25);
    assert_int_equal(g.state, STORE_FAILED);
    assert_true(g.truncated);
    assert_string_equal(g.reason, "why");
    char *where;
    OK(&f, store_photo_where(f.s, &g, &where, &f.err));
    assert_string_equal(where, "/photos/2023/a b.jpg");
    free(where);
    store_photo_finish(&g);
    fixture_end(&f);
}

static void a_search_finds_the_nearest_first(void **state)
{
    (void)state;
    fixture f;
    fixture_start(&f, 48);
    save_many(&f, 0, 500);
    store_close(f.s);
    fixture_open(&f, STORE_READ);
    store_model m;
    OK(&f, store_model_current(f.s, &m, &f.err));
    assert_int_equal(m.vectors, 500);
    float q[48];
    for (uint64_t i = 0; i < 500; i += 50) {
        store_hit hits[10];
        size_t n;
        make_vector(i, q, 48);
        OK(&f, store_search(f.s, m.id, q, 10, NULL, hits, &n, &f.err));
        assert_int_equal(n, 10);
        assert_int_equal(hits[0].photo_id, i + 1);
        assert_true(fabsf(hits[0].score - 1) < 1e-3f);
        for (int j = 1; j < 10; j++) assert_true(hits[j].score <= hits[j - 1].score);
    }
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_photo_comes_back_whole),
        cmocka_unit_test(a_search_finds_the_nearest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
