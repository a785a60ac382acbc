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

/* Counts kept by triggers are compared with counts made now. */
static void counts_agree(fixture *f)
{
    int64_t problems;
    OK(f, store_check(f->s, false, NULL, NULL, &problems, &f->err));
    assert_int_equal(problems, 0);
}

static void saving_again_replaces_in_place(void **state)
{
    (void)state;
    fixture f;
    float v[16];
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    int64_t id = save_with_vector(&f, "a.jpg", 1), other = save_with_vector(&f, "b.jpg", 2);
    assert_int_equal(save_photo(&f, "a.jpg", 1), id); /* the same content: the vector stays */
    OK(&f, store_vector_get(f.s, id, f.model, v, &f.err));
    store_photo p;
    OK(&f, store_photo_get(f.s, id, &p, &f.err));
    p.hash[3] ^= 1; /* another content: it goes */
    int64_t again;
    OK(&f, store_photo_save(f.s, &p, &again, &f.err));
    assert_int_equal(again, id);
    FAILS(&f, STORE_E_NOT_FOUND, store_vector_get(f.s, id, f.model, v, &f.err));
    assert_string_equal(f.err.text, "");
    OK(&f, store_vector_get(f.s, other, f.model, v, &f.err));
    p.id = 99;
    FAILS(&f, STORE_E_NOT_FOUND, store_photo_save(f.s, &p, &again, &f.err));
    p.id = 0;
    free(p.path);
    p.path = strdup("/absolute.jpg");
    FAILS(&f, STORE_E_ARGUMENT, store_photo_save(f.s, &p, &again, &f.err));
    store_photo_finish(&p);
    OK(&f, store_batch_commit(f.s, &f.err));
    counts_agree(&f);
    fixture_end(&f);
}

static void names_that_are_not_text_work_like_others(void **state)
{
    (void)state;
    static const char *const names[] = {"\xff\xfe/\xe9t\xe9.jpg", "caf\xc3\xa9.jpg", "line\nbreak \t.jpg", "a'b\"c.jpg", "%s?*.jpg", "\xc3(.jpg",
                                        "\xed\xa0\x80.jpg", "sub/\xf5.jpg", "\xf0\x9f\x93\xb7.jpg"};
    enum { N = sizeof names / sizeof *names };
    fixture f;
    int64_t id[N];
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    for (int i = 0; i < N; i++) id[i] = save_with_vector(&f, names[i], (uint64_t)i + 1);
    OK(&f, store_batch_commit(f.s, &f.err));
    for (int i = 0; i < N; i++) {
        store_photo p;
        bool has;
        char absolute[100], *where;
        OK(&f, store_photo_at(f.s, f.root, names[i], f.model, &p, &has, &f.err));
        assert_int_equal(p.id, id[i]);
        assert_true(has);
        assert_string_equal(p.path, names[i]);
        OK(&f, store_photo_where(f.s, &p, &where, &f.err));
        snprintf(absolute, sizeof absolute, "/photos/%s", names[i]);
        assert_string_equal(where, absolute);
        store_photo_finish(&p);
        OK(&f, store_photo_by_absolute(f.s, where, &p, &f.err));
        assert_int_equal(p.id, id[i]);
        store_photo_finish(&p);
        free(where);
        float q[16];
        store_hit hit;
        size_t n;
        const char *under = absolute;
        make_vector(50, q, 16);
        OK(&f, store_search(f.s, f.model, q, 1, &(store_filter){.under = &under, .n_under = 1}, &hit, &n, &f.err));
        assert_int_equal(n, 1);
        assert_int_equal(hit.photo_id, id[i]);
    }
    int64_t text = 0; /* a person can read the names that are text */
    OK(&f, db_run_int(db_prepare_once(f.s->db, "SELECT count(*) FROM photos WHERE typeof(path) = 'text'"), &text, &f.err));
    assert_int_equal(text, 5);
    fixture_end(&f);
}

static void a_renamed_file_is_recognised(void **state)
{
    (void)state;
    fixture f;
    store_photo p;
    bool has;
    float v[16];
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    int64_t id = save_with_vector(&f, "old/a.jpg", 7), victim = save_with_vector(&f, "new/b.jpg", 8);
    OK(&f, store_photo_set_state(f.s, id, STORE_MISSING, &f.err));
    OK(&f, store_photo_like(f.s, 1007, 1700000000000000000 + 7000000000, 8, f.model, &p, &has, &f.err));
    assert_int_equal(p.id, id);
    assert_int_equal(p.state, STORE_MISSING);
    assert_true(has);
    store_photo_finish(&p);
    FAILS(&f, STORE_E_NOT_FOUND, store_photo_like(f.s, 1007, 5, 8, f.model, &p, &has, &f.err));
    assert_string_equal(f.err.text, "");
    OK(&f, store_photo_relocate(f.s, id, f.root, "new/b.jpg", 1007, 1800000000000000000, 9, &f.err));
    OK(&f, store_photo_get(f.s, id, &p, &f.err));
    assert_string_equal(p.path, "new/b.jpg");
    assert_int_equal(p.state, STORE_PRESENT);
    assert_int_equal(p.inode, 9);
    store_photo_finish(&p);
    FAILS(&f, STORE_E_NOT_FOUND, store_photo_get(f.s, victim, &p, &f.err)); /* it was written over */
    OK(&f, store_vector_get(f.s, id, f.model, v, &f.err));
    FAILS(&f, STORE_E_NOT_FOUND, store_photo_relocate(f.s, 99, f.root, "x", 1, 1, 1, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    counts_agree(&f);
    fixture_end(&f);
}

static void a_copy_is_recognised_by_its_content(void **state)
{
    (void)state;
    fixture f;
    store_photo p;
    bool has;
    uint8_t hash[16] = {0};
    float a[16], b[16];
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    save_photo(&f, "x.jpg", 5);
    int64_t id = save_with_vector(&f, "a.jpg", 5), copy = save_photo(&f, "b.jpg", 5);
    memcpy(hash, &(uint64_t){5}, 8);
    hash[15] = 1;
    OK(&f, store_photo_with_hash(f.s, hash, f.model, &p, &has, &f.err));
    assert_int_equal(p.id, id); /* the one with a vector */
    assert_true(has);
    store_photo_finish(&p);
    OK(&f, store_photo_with_hash(f.s, hash, f.model + 1, &p, &has, &f.err));
    assert_false(has);
    store_photo_finish(&p);
    hash[4] = 9;
    FAILS(&f, STORE_E_NOT_FOUND, store_photo_with_hash(f.s, hash, f.model, &p, &has, &f.err));
    OK(&f, store_vectors_copy(f.s, id, copy, &f.err));
    OK(&f, store_vectors_copy(f.s, id, copy, &f.err));
    OK(&f, store_vectors_copy(f.s, id, id, &f.err));
    OK(&f, store_vector_get(f.s, id, f.model, a, &f.err));
    OK(&f, store_vector_get(f.s, copy, f.model, b, &f.err));
    assert_memory_equal(a, b, sizeof a);
    FAILS(&f, STORE_E_NOT_FOUND, store_vectors_copy(f.s, id, 99, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    counts_agree(&f);
    fixture_end(&f);
}

static void vectors_that_are_none_are_refused(void **state)
{
    (void)state;
    fixture f;
    float v[16] = {0};
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    int64_t id = save_photo(&f, "a.jpg", 1);
    static const float first[] = {0, 0.5f, 1.5f, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        v[0] = first[i];
        FAILS(&f, STORE_E_ARGUMENT, store_vector_save(f.s, id, f.model, v, &f.err));
    }
    v[0] = 1;
    FAILS(&f, STORE_E_NOT_FOUND, store_vector_save(f.s, id, 99, v, &f.err));
    FAILS(&f, STORE_E_NOT_FOUND, store_vector_save(f.s, 99, f.model, v, &f.err));
    FAILS(&f, STORE_E_NOT_FOUND, store_vector_get(f.s, id, f.model, v, &f.err));
    v[0] = 1;
    OK(&f, store_vector_save(f.s, id, f.model, v, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    store_hit hit;
    size_t n;
    v[1] = NAN;
    FAILS(&f, STORE_E_ARGUMENT, store_search(f.s, f.model, v, 1, NULL, &hit, &n, &f.err));
    FAILS(&f, STORE_E_NOT_FOUND, store_search(f.s, 99, v, 1, NULL, &hit, &n, &f.err));
    fixture_end(&f);
}

/* ---- roots ------------------------------------------------------------------------------------------------------- */

static int64_t place(fixture *f, const char *path, const char *expected_prefix)
{
    int64_t id;
    char *prefix;
    OK(f, store_root_place(f->s, path, &id, &prefix, &f->err));
    assert_string_equal(prefix, expected_prefix);
    free(prefix);
    return id;
}

static void overlapping_roots_hold_a_photo_once(void **state)
{
    (void)state;
    fixture f;
    store_root *roots;
    size_t n;
    store_photo p;
    float v[16];
    fixture_start(&f, 16);
    save_many(&f, 0, 3); /* /photos/a/000000.jpg ... */
    assert_int_equal(place(&f, "/photos", ""), f.root);
    assert_int_equal(place(&f, "/photos/", ""), f.root);
    assert_int_equal(place(&f, "/photos/a/b", "a/b"), f.root);
    int64_t near = place(&f, "/photos2", "");
    assert_int_not_equal(near, f.root);
    f.root = near;
    OK(&f, store_batch_begin(f.s, &f.err));
    int64_t raw = save_with_vector(&f, "\xff.jpg", 77);
    OK(&f, store_batch_commit(f.s, &f.err));
    int64_t all = place(&f, "/", "");
    OK(&f, store_roots(f.s, &roots, &n, &f.err));
    assert_int_equal(n, 1);
    assert_int_equal(roots[0].id, all);
    assert_string_equal(roots[0].path, "/");
    assert_int_equal(roots[0].photos, 4);
    store_roots_free(roots, n);
    OK(&f, store_photo_by_absolute(f.s, "/photos/a/000001.jpg", &p, &f.err));
    assert_string_equal(p.path, "photos/a/000001.jpg");
    assert_int_equal(p.root_id, all);
    OK(&f, store_vector_get(f.s, p.id, f.model, v, &f.err));
    store_photo_finish(&p);
    OK(&f, store_photo_get(f.s, raw, &p, &f.err));
    assert_string_equal(p.path, "photos2/\xff.jpg");
    char *where;
    OK(&f, store_photo_where(f.s, &p, &where, &f.err));
    assert_string_equal(where, "/photos2/\xff.jpg");
    free(where);
    store_photo_finish(&p);
    counts_agree(&f);
    FAILS(&f, STORE_E_ARGUMENT, store_root_place(f.s, "relative", &all, &where, &f.err));
    fixture_end(&f);
}

static void a_root_found_elsewhere_keeps_its_photos(void **state)
{
    (void)state;
    fixture f;
    store_photo p;
    fixture_start(&f, 16);
    save_many(&f, 0, 3);
    int64_t other = place(&f, "/mnt/card", "");
    OK(&f, store_root_move(f.s, f.root, "/media/me/drive", &f.err));
    OK(&f, store_photo_by_absolute(f.s, "/media/me/drive/a/000002.jpg", &p, &f.err));
    assert_int_equal(p.root_id, f.root);
    store_photo_finish(&p);
    FAILS(&f, STORE_E_NOT_FOUND, store_photo_by_absolute(f.s, "/photos/a/000002.jpg", &p, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_root_move(f.s, f.root, "/mnt/card/sub", &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_root_move(f.s, f.root, "/mnt", &f.err));
    assert_non_null(strstr(f.err.text, "/mnt/card"));
    FAILS(&f, STORE_E_NOT_FOUND, store_root_move(f.s, 99, "/else", &f.err));
    OK(&f, store_root_move(f.s, other, "/mnt/card/sub", &f.err)); /* into itself is fine */
    fixture_end(&f);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

typedef struct seen { int n, with_vector, stop_at; int64_t last; char paths[20][64]; } seen;

static bool see(const store_brief *b, void *ctx)
{
    seen *s = ctx;
    assert_true(b->id > s->last);
    s->last = b->id;
    s->with_vector += b->has_vector;
    snprintf(s->paths[s->n], 64, "%s", b->path);
    return ++s->n != s->stop_at;
}

static void photos_below_a_folder_are_those_and_no_others(void **state)
{
    (void)state;
    static const char *const names[] = {"z/1.jpg", "a/1.jpg", "a/b/2.jpg", "a.jpg", "ab/3.jpg", "a0", "a/\xff.jpg", "a!/x.jpg"};
    fixture f;
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    for (uint64_t i = 0; i < 8; i++) {
        if (i % 2) save_photo(&f, names[i], i);
        else save_with_vector(&f, names[i], i);
    }
    OK(&f, store_batch_commit(f.s, &f.err));
    seen s = {0}, t = {0}, u = {.stop_at = 3}, v = {0};
    OK(&f, store_photos_below(f.s, f.root, "", f.model, see, &s, &f.err));
    assert_int_equal(s.n, 8);
    assert_int_equal(s.with_vector, 4);
    OK(&f, store_photos_below(f.s, f.root, "a", f.model, see, &t, &f.err));
    assert_int_equal(t.n, 3);
    assert_string_equal(t.paths[0], "a/1.jpg");
    assert_string_equal(t.paths[1], "a/b/2.jpg");
    assert_string_equal(t.paths[2], "a/\xff.jpg");
    OK(&f, store_photos_below(f.s, f.root, "", f.model, see, &u, &f.err));
    assert_int_equal(u.n, 3);
    OK(&f, store_photos_below(f.s, f.root + 1, "", f.model, see, &v, &f.err));
    assert_int_equal(v.n, 0);
    fixture_end(&f);
}

typedef struct listed { int n; char last[100]; } listed;

static bool list(const store_photo *p, const char *absolute, void *ctx)
{
    listed *l = ctx;
    assert_non_null(strstr(absolute, p->path));
    assert_true(strcmp(absolute, l->last) > 0);
    snprintf(l->last, sizeof l->last, "%s", absolute);
    return ++l->n < 100;
}

static void all_photos_come_in_order_of_path(void **state)
{
    (void)state;
    static const char *const roots[] = {"/photos", "/photos-old", "/phot", "/photos0", "/\xff"};
    fixture f;
    fixture_start(&f, 16);
    for (uint64_t i = 0; i < 5; i++) {
        f.root = place(&f, roots[i], "");
        OK(&f, store_batch_begin(f.s, &f.err));
        save_photo(&f, "b/\xfe.jpg", 10 * i);
        save_photo(&f, "b.jpg", 10 * i + 1);
        save_photo(&f, "b/a.jpg", 10 * i + 2);
        int64_t id = save_photo(&f, "\xc3\xa9.jpg", 10 * i + 3);
        OK(&f, store_photo_set_state(f.s, id, i % 2 ? STORE_MISSING : STORE_FAILED, &f.err));
        OK(&f, store_batch_commit(f.s, &f.err));
    }
    listed all = {0}, missing = {0}, present = {0};
    store_state m = STORE_MISSING, p = STORE_PRESENT;
    OK(&f, store_photos_each(f.s, NULL, list, &all, &f.err));
    assert_int_equal(all.n, 20);
    OK(&f, store_photos_each(f.s, &m, list, &missing, &f.err));
    assert_int_equal(missing.n, 2);
    OK(&f, store_photos_each(f.s, &p, list, &present, &f.err));
    assert_int_equal(present.n, 15);
    store_counts n;
    OK(&f, store_count(f.s, &n, &f.err));
    assert_int_equal(n.photos, 20);
    assert_int_equal(n.present, 15);
    assert_int_equal(n.missing, 2);
    assert_int_equal(n.failed, 3);
    assert_true(n.database_bytes > 4096);
    counts_agree(&f);
    fixture_end(&f);
}

static void forgetting_takes_what_lies_below_and_no_more(void **state)
{
    (void)state;
    static const char *const names[] = {"a/1.jpg", "a/b/2.jpg", "ab/3.jpg", "c.jpg"};
    fixture f;
    int64_t gone, id[4];
    store_root *roots;
    size_t n;
    store_model m;
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    for (uint64_t i = 0; i < 4; i++) id[i] = save_with_vector(&f, names[i], i);
    OK(&f, store_batch_commit(f.s, &f.err));
    OK(&f, store_forget_below(f.s, "/elsewhere", &gone, &f.err));
    assert_int_equal(gone, 0);
    OK(&f, store_forget_below(f.s, "/photos/a", &gone, &f.err));
    assert_int_equal(gone, 2);
    OK(&f, store_forget_below(f.s, "/photos/c.jpg", &gone, &f.err));
    assert_int_equal(gone, 1);
    OK(&f, store_model_current(f.s, &m, &f.err));
    assert_int_equal(m.vectors, 1);
    counts_agree(&f);
    OK(&f, store_batch_begin(f.s, &f.err));
    OK(&f, store_photo_forget(f.s, id[2], &f.err));
    FAILS(&f, STORE_E_NOT_FOUND, store_photo_forget(f.s, id[2], &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    OK(&f, store_forget_below(f.s, "/", &gone, &f.err));
    OK(&f, store_roots(f.s, &roots, &n, &f.err));
    assert_int_equal(n, 0);
    store_roots_free(roots, n);
    counts_agree(&f);
    fixture_end(&f);
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

static void several_models_lie_side_by_side(void **state)
{
    (void)state;
    fixture f;
    store_model m = {.name = "big", .dir = "/models/big", .fingerprint = "ffff", .precision = "bf16", .dim = 32}, *all, c;
    int64_t big, again;
    size_t n;
    float v[32];
    fixture_start(&f, 16);
    OK(&f, store_model_current(f.s, &c, &f.err)); /* the only one */
    assert_int_equal(c.id, f.model);
    OK(&f, store_model_put(f.s, &m, &big, &f.err));
    strcpy(m.name, "renamed");
    OK(&f, store_model_put(f.s, &m, &again, &f.err));
    assert_int_equal(again, big);
    m.dim = 31;
    FAILS(&f, STORE_E_ARGUMENT, store_model_put(f.s, &m, &again, &f.err));
    FAILS(&f, STORE_E_NOT_FOUND, store_model_current(f.s, &c, &f.err));
    assert_non_null(strstr(f.err.text, "model use"));
    OK(&f, store_batch_begin(f.s, &f.err));
    int64_t id = save_with_vector(&f, "a.jpg", 1);
    make_vector(2, v, 32);
    OK(&f, store_vector_save(f.s, id, big, v, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    OK(&f, store_model_use(f.s, big, &f.err));
    OK(&f, store_model_current(f.s, &c, &f.err));
    assert_int_equal(c.id, big);
    assert_string_equal(c.name, "renamed");
    assert_string_equal(c.precision, "bf16");
    assert_int_equal(c.dim, 32);
    FAILS(&f, STORE_E_NOT_FOUND, store_model_use(f.s, 99, &f.err));
    OK(&f, store_models(f.s, &all, &n, &f.err));
    assert_int_equal(n, 2);
    assert_int_equal(all[0].vectors, 1);
    assert_int_equal(all[1].vectors, 1);
    free(all);
    OK(&f, store_batch_begin(f.s, &f.err));
    OK(&f, store_photo_set_state(f.s, id, STORE_MISSING, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    OK(&f, store_models(f.s, &all, &n, &f.err));
    assert_int_equal(all[0].vectors + all[1].vectors, 0);
    free(all);
    counts_agree(&f);
    fixture_end(&f);
}

static void folder_notes_are_kept(void **state)
{
    (void)state;
    fixture f;
    uint8_t a[16] = {1, 2}, b[16];
    fixture_start(&f, 16);
    FAILS(&f, STORE_E_NOT_FOUND, store_folder_recall(f.s, f.root, "x", b, &f.err));
    OK(&f, store_batch_begin(f.s, &f.err));
    OK(&f, store_folder_remember(f.s, f.root, "x", b, &f.err));
    OK(&f, store_folder_remember(f.s, f.root, "x", a, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    OK(&f, store_folder_recall(f.s, f.root, "x", b, &f.err));
    assert_memory_equal(a, b, 16);
    fixture_end(&f);
}

typedef struct blocks { int64_t n, last; } blocks;

static bool count_block(const int64_t *ids, const float *v, size_t n, void *ctx)
{
    blocks *b = ctx;
    float expected[16];
    for (size_t i = 0; i < n; i++) {
        assert_true(ids[i] > b->last);
        b->last = ids[i];
        make_vector((uint64_t)ids[i] - 1, expected, 16);
        for (int j = 0; j < 16; j++) assert_true(fabsf(expected[j] - v[i * 16 + (size_t)j]) < 1e-3f);
    }
    b->n += (int64_t)n;
    return b->n < 9000;
}

static void all_vectors_come_in_order_of_id(void **state)
{
    (void)state;
    fixture f;
    fixture_start(&f, 16);
    save_many(&f, 0, 20000);
    OK(&f, store_batch_begin(f.s, &f.err));
    OK(&f, store_photo_set_state(f.s, 17, STORE_MISSING, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    blocks b = {0}, c = {0};
    const char *under = "/photos/a/000005.jpg";
    OK(&f, store_vectors_each(f.s, f.model, NULL, count_block, &b, &f.err));
    assert_true(b.n >= 9000 && b.n < 20000); /* stopped after a block */
    OK(&f, store_vectors_each(f.s, f.model, &(store_filter){.under = &under, .n_under = 1}, count_block, &c, &f.err));
    assert_int_equal(c.n, 1);
    assert_int_equal(c.last, 6);
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
        cmocka_unit_test(saving_again_replaces_in_place),
        cmocka_unit_test(names_that_are_not_text_work_like_others),
        cmocka_unit_test(a_renamed_file_is_recognised),
        cmocka_unit_test(a_copy_is_recognised_by_its_content),
        cmocka_unit_test(vectors_that_are_none_are_refused),
        cmocka_unit_test(overlapping_roots_hold_a_photo_once),
        cmocka_unit_test(a_root_found_elsewhere_keeps_its_photos),
        cmocka_unit_test(photos_below_a_folder_are_those_and_no_others),
        cmocka_unit_test(all_photos_come_in_order_of_path),
        cmocka_unit_test(forgetting_takes_what_lies_below_and_no_more),
        cmocka_unit_test(several_models_lie_side_by_side),
        cmocka_unit_test(folder_notes_are_kept),
        cmocka_unit_test(all_vectors_come_in_order_of_id),
        cmocka_unit_test(a_search_finds_the_nearest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
