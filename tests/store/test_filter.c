/* Filters: each condition lets through what it says, alone and together with others. */
#include "library_fixture.h"

typedef struct spec { const char *path, *taken, *camera, *format; int width, height; double lat, lon; } spec;

static const spec photos[] = {
    {"trip/paris/1.jpg", "2023-07-14 18:30:00", "Canon EOS 80D", "jpeg", 6000, 4000, 48.8584, 2.2945},
    {"trip/paris/2.jpg", "2023-07-15 09:00:00", "Canon EOS 80D", "jpeg", 4000, 6000, 48.8606, 2.3376},
    {"trip/fiji/3.heic", "2022-12-31 23:59:59", "Apple iPhone 13", "heic", 4032, 3024, -17.7134, 179.99},
    {"trip/fiji/4.heic", "2023-01-01 00:00:00", "Apple iPhone 13", "heic", 3024, 3024, -17.7134, -179.99},
    {"trip5/5.png", NULL, NULL, "png", 800, 600, 0, 0},
    {"6.jpg", "2021-02-03 04:05:06", "NIKON D750", "jpeg", 100, 100, 89.9, 10},
};
enum { N = sizeof photos / sizeof *photos };

static void start(fixture *f)
{
    setenv("TZ", "UTC", 1);
    fixture_start(f, 8);
    OK(f, store_batch_begin(f->s, &f->err));
    for (uint64_t i = 0; i < N; i++) {
        const spec *s = &photos[i];
        store_photo p = {.root_id = f->root, .path = (char *)s->path, .size = 1, .mtime_ns = 1609459200000000000, /* 2021-01-01 */
                         .width = s->width, .height = s->height, .format = (char *)s->format, .taken = (char *)s->taken,
                         .camera = (char *)s->camera, .has_gps = s->lat != 0, .latitude = s->lat, .longitude = s->lon};
        int64_t id;
        float v[8];
        OK(f, store_photo_save(f->s, &p, &id, &f->err));
        assert_int_equal(id, i + 1);
        make_vector(i, v, 8);
        OK(f, store_vector_save(f->s, id, f->model, v, &f->err));
    }
    OK(f, db_exec(f->s->db, "INSERT INTO tags VALUES(1, 'Holiday'), (1, 'tower'), (2, 'holiday'), (5, 'x')", &f->err));
    OK(f, store_batch_commit(f->s, &f->err));
}

/* The ids that pass, as digits in order. */
static void expect(fixture *f, const store_filter *c, const char *ids)
{
    store_hit hits[N];
    size_t n;
    float q[8];
    char found[N + 1] = "";
    make_vector(99, q, 8);
    OK(f, store_search(f->s, f->model, q, N, c, hits, &n, &f->err));
    for (int64_t id = 1; id <= N; id++)
        for (size_t i = 0; i < n; i++)
            if (hits[i].photo_id == id) sprintf(found + strlen(found), "%d", (int)id);
    assert_int_equal(strlen(found), n);
    assert_string_equal(found, ids);
}

#define EXPECT(ids, ...) expect(&f, &(store_filter){__VA_ARGS__}, ids)

static void folders(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    expect(&f, NULL, "123456");
    const char *trip = "/photos/trip", *two[] = {"/photos/trip/fiji/", "/photos/6.jpg"}, *all[] = {"/"}, *up[] = {"/pho"},
               *relative = "trip";
    EXPECT("1234", .under = &trip, .n_under = 1);
    EXPECT("346", .under = two, .n_under = 2);
    EXPECT("123456", .under = all, .n_under = 1);
    EXPECT("", .under = up, .n_under = 1);
    store_hit hit;
    size_t n;
    float q[8] = {1};
    FAILS(&f, STORE_E_ARGUMENT, store_search(f.s, f.model, q, 1, &(store_filter){.under = &relative, .n_under = 1}, &hit, &n, &f.err));
    const char *many[400];
    for (int i = 0; i < 400; i++) many[i] = i ? "/photos/trip" : "/photos/trip/fiji";
    EXPECT("1234", .under = many, .n_under = 400);
    FAILS(&f, STORE_E_ARGUMENT, store_search(f.s, f.model, q, 1, &(store_filter){.under = many, .n_under = 401}, &hit, &n, &f.err));
    fixture_end(&f);
}

static void dates(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    EXPECT("124", .after = "2023");
    EXPECT("356", .before = "2023");
    EXPECT("4", .after = "2023-01", .before = "2023-02");
    EXPECT("3", .after = "2022-12-31", .before = "2023-01-01");
    EXPECT("2", .after = "2023-07-14 18:30:01");
    EXPECT("12", .after = "2023-07-14 18:30:00");
    EXPECT("5", .after = "2021-01-01", .before = "2021-01-02"); /* no camera's date: the file's */
    static const char *const bad[] = {"", "yesterday", "23", "2023-7", "2023-07-14T18:30:00", "2023-07-14 18:30", "2023-07-1x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        store_hit hit;
        size_t n;
        float q[8] = {1};
        FAILS(&f, STORE_E_ARGUMENT, store_search(f.s, f.model, q, 1, &(store_filter){.before = bad[i]}, &hit, &n, &f.err));
        assert_non_null(strstr(f.err.text, "YYYY"));
    }
    fixture_end(&f);
}

static void places(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    EXPECT("12", .near = true, .latitude = 48.8566, .longitude = 2.3522, .km = 10);
    EXPECT("1", .near = true, .latitude = 48.8584, .longitude = 2.2945, .km = 0.1);
    EXPECT("34", .near = true, .latitude = -17.7, .longitude = 180, .km = 5); /* both sides of the date line */
    EXPECT("6", .near = true, .latitude = 89.95, .longitude = -170, .km = 20); /* across the pole: 16.7 km */
    EXPECT("12346", .near = true, .km = 30000);
    EXPECT("1", .near = true, .latitude = 48.8584, .longitude = 2.2945, .km = 3.16); /* 2 is 3.165 km away */
    EXPECT("12", .near = true, .latitude = 48.8584, .longitude = 2.2945, .km = 3.17);
    store_hit hit;
    size_t n;
    float q[8] = {1};
    FAILS(&f, STORE_E_ARGUMENT, store_search(f.s, f.model, q, 1, &(store_filter){.near = true, .latitude = 91, .km = 1}, &hit, &n, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_search(f.s, f.model, q, 1, &(store_filter){.near = true, .km = NAN}, &hit, &n, &f.err));
    fixture_end(&f);
}

static void kinds_of_pictures(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    EXPECT("12", .camera = "canon");
    EXPECT("6", .camera = "nikon d7");
    EXPECT("", .camera = "%");
    EXPECT("126", .format = "jpeg");
    EXPECT("2", .shape = STORE_PORTRAIT);
    EXPECT("135", .shape = STORE_LANDSCAPE);
    EXPECT("46", .shape = STORE_SQUARE);
    EXPECT("123", .min_side = 4032);
    EXPECT("23456", .not_photo = 1);
    fixture_end(&f);
}

static void tags_and_conditions_together(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    const char *holiday = "holiday", *both[] = {"HOLIDAY", "tower"}, *trip = "/photos/trip";
    EXPECT("12", .tags = &holiday, .n_tags = 1);
    EXPECT("1", .tags = both, .n_tags = 2);
    EXPECT("2", .tags = &holiday, .n_tags = 1, .not_photo = 1);
    EXPECT("1", .under = &trip, .n_under = 1, .after = "2023", .camera = "Canon", .shape = STORE_LANDSCAPE, .min_side = 5000, .near = true,
           .latitude = 48.86, .longitude = 2.3, .km = 50, .format = "jpeg", .tags = &holiday, .n_tags = 1);
    fixture_end(&f);
}

static void missing_and_failed_photos_are_never_found(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    OK(&f, store_batch_begin(f.s, &f.err));
    OK(&f, store_photo_set_state(f.s, 1, STORE_MISSING, &f.err));
    OK(&f, store_photo_set_state(f.s, 2, STORE_FAILED, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    expect(&f, NULL, "3456");
    EXPECT("", .camera = "canon");
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders),
        cmocka_unit_test(dates),
        cmocka_unit_test(places),
        cmocka_unit_test(kinds_of_pictures),
        cmocka_unit_test(tags_and_conditions_together),
        cmocka_unit_test(missing_and_failed_photos_are_never_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
