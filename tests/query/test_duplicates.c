/* test_duplicates.c: a copy is known by its pixels, what only resembles it is not; groups and their best. */
#include "query/copies.h"
#include "query/near_pairs.h"
#include "query/parallel.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A landscape of waves: detail at several scales, colour, no symmetry. (u, v) from 0 to 1. */
static void colour_at(double u, double v, int seed, uint8_t rgb[3])
{
    double s = seed * 1.7;
    rgb[0] = (uint8_t)(128 + 60 * sin(7 * u + 3 * v + s) + 50 * sin(19 * v * u + 2 * s));
    rgb[1] = (uint8_t)(128 + 70 * sin(5 * v - 2 * u + s) + 40 * cos(23 * u + s));
    rgb[2] = (uint8_t)(128 + 80 * cos(4 * u * v + 9 * v + s) + 30 * sin(17 * v));
}

static query_pixels look(int width, int height, int seed, double shift, int what)
{
    clip_picture p = {malloc((size_t)width * (size_t)height * 3), width, height};
    query_pixels out;
    assert_non_null(p.rgb);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *rgb = p.rgb + ((size_t)y * (size_t)width + (size_t)x) * 3;
            double u = (x + 0.5) / width + shift, v = (y + 0.5) / height;
            colour_at(what == 'f' ? 1 - u : u, v, seed, rgb);
            if (what == 'g') rgb[0] = rgb[1] = rgb[2] = (uint8_t)(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]);
            if (what == 's' && hypot(u - 0.5, v - 0.5) < 0.06) rgb[0] = 250, rgb[1] = 10, rgb[2] = 10;
            if (what == 'n') rgb[0] = (uint8_t)(rgb[0] ^ ((x * 7 + y * 13) & 3));
        }
    query_pixels_of(&p, &out);
    free(p.rgb);
    return out;
}

static void the_same_picture_in_another_size_or_quality_is_the_same(void **state)
{
    query_pixels whole = look(640, 480, 1, 0, 0);
    const int sizes[][2] = {{640, 480}, {320, 240}, {213, 160}, {160, 120}, {1000, 750}};
    for (int i = 0; i < 5; i++) {
        query_pixels other = look(sizes[i][0], sizes[i][1], 1, 0, 0);
        assert_true(query_pixels_same(&whole, &other));
        assert_true(query_pixels_distance(&whole, &other) <= 4);
    }
    query_pixels noisy = look(640, 480, 1, 0, 'n');
    assert_true(query_pixels_same(&whole, &noisy));
}

static void what_only_resembles_is_not_the_same(void **state)
{
    query_pixels whole = look(640, 480, 1, 0, 0);
    const query_pixels others[] = {look(640, 480, 2, 0, 0), look(640, 480, 1, 0.03, 0), look(640, 480, 1, 0, 'g'),
                                   look(640, 480, 1, 0, 's'), look(640, 480, 1, 0, 'f'), look(640, 400, 1, 0, 0)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(query_pixels_same(&whole, &others[i]));
}

static void the_smallest_picture_has_a_look(void **state)
{
    query_pixels one = look(1, 1, 1, 0, 0), line = look(3000, 1, 1, 0, 0);
    assert_true(query_pixels_same(&one, &one));
    assert_false(query_pixels_same(&one, &line));
}

/* ---- groups ---- */

static const uint8_t hash_a[16] = {1}, hash_b[16] = {2};

static void the_best_has_most_pixels_then_bytes_then_is_oldest(void **state)
{
    const query_copy_photo base = {.pixels = 100, .bytes = 10, .modified = 5, .taken = "", .path = "/m"};
    query_copy_photo other = base;
    other.pixels = 99, other.bytes = 1000;
    assert_true(query_copy_better(&base, &other));
    other = base, other.bytes = 9, other.modified = 1;
    assert_true(query_copy_better(&base, &other));
    other = base, other.modified = 6;
    assert_true(query_copy_better(&base, &other));
    other = base, other.path = "/n";
    assert_true(query_copy_better(&base, &other));
    query_copy_photo old = base, young = base;
    old.taken = "2020-01-01 00:00:00", old.modified = 9, young.taken = "2021-01-01 00:00:00";
    assert_true(query_copy_better(&old, &young));
    assert_false(query_copy_better(&young, &old));
}

static void copies_are_grouped_and_the_best_is_marked(void **state)
{
    query_pixels one = look(640, 480, 1, 0, 0), half = look(320, 240, 1, 0, 0), other = look(640, 480, 2, 0, 0);
    query_copy_photo photos[] = {
        {.hash = hash_b, .pixels = 100, .taken = "", .path = "/half", .look = &half},
        {.hash = hash_a, .pixels = 400, .taken = "", .path = "/z", .look = &one},
        {.hash = hash_a, .pixels = 400, .taken = "", .path = "/y", .look = &one},
        {.hash = NULL, .pixels = 400, .taken = "", .path = "/other", .look = &other},
        {.hash = NULL, .pixels = 400, .taken = "", .path = "/unseen"}};
    const query_pair pairs[] = {{0, 1}, {1, 2}, {3, 0}, {4, 1}};
    size_t groups = 0;
    assert_true(query_copies_group(photos, 5, pairs, 4, &groups));
    assert_int_equal(groups, 1);
    assert_int_equal(photos[0].kind, QUERY_COPY_NEAR);
    assert_int_equal(photos[1].kind, QUERY_COPY_EXACT);
    assert_int_equal(photos[2].kind, QUERY_COPY_BEST);
    assert_int_equal(photos[3].kind, QUERY_COPY_NONE);
    assert_int_equal(photos[4].kind, QUERY_COPY_NONE);
}

/* Each frame is nearly the one before it; the first and the last are not alike. */
static void a_slow_drift_does_not_make_one_group(void **state)
{
    enum { FRAMES = 12 };
    query_pixels looks[FRAMES];
    query_copy_photo photos[FRAMES];
    query_pair pairs[FRAMES];
    static const char *const names[FRAMES] = {"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j", "/k", "/l"};
    size_t groups = 0;
    for (int i = 0; i < FRAMES; i++) {
        looks[i] = look(256, 192, 1, 0.004 * i, 0);
        photos[i] = (query_copy_photo){.pixels = 1, .taken = "", .path = names[i], .look = &looks[i]};
        pairs[i] = (query_pair){(uint32_t)i, (uint32_t)(i ? i - 1 : 0)};
        if (i) assert_true(query_pixels_same(&looks[i], &looks[i - 1]));
    }
    assert_false(query_pixels_same(&looks[0], &looks[FRAMES - 1]));
    assert_true(query_copies_group(photos, FRAMES, pairs, FRAMES, &groups));
    assert_true(groups > 1);
    for (int i = 0; i < FRAMES; i++)
        for (int k = 0; k < FRAMES; k++)
            if (photos[k].kind == QUERY_COPY_BEST && photos[i].kind != QUERY_COPY_NONE && photos[i].group == photos[k].group)
                assert_true(query_pixels_same(&looks[i], &looks[k]));
}

static void groups_are_numbered_by_the_path_of_their_best(void **state)
{
    query_copy_photo photos[] = {{.hash = hash_a, .taken = "", .path = "/z1"}, {.hash = hash_b, .taken = "", .path = "/a1"},
                                 {.hash = hash_a, .taken = "", .path = "/z2"}, {.hash = hash_b, .taken = "", .path = "/a2"}};
    const query_pair pairs[] = {{0, 2}, {1, 3}};
    size_t groups = 0;
    assert_true(query_copies_group(photos, 4, pairs, 2, &groups));
    assert_int_equal(groups, 2);
    assert_int_equal(photos[0].group, 1);
    assert_int_equal(photos[2].group, 1);
    assert_int_equal(photos[1].group, 0);
    assert_int_equal(photos[3].group, 0);
}

/* ---- threads ---- */

static bool count_job(size_t i, int worker, void *ctx)
{
    ((uint8_t *)ctx)[i]++;
    return worker < 4;
}

static bool fail_at_ten(size_t i, int worker, void *ctx)
{
    return i != 10;
}

static void every_job_is_done_once_and_a_failure_is_told(void **state)
{
    static uint8_t done[1000];
    assert_true(query_parallel(4, 1000, count_job, done, NULL, NULL));
    for (int i = 0; i < 1000; i++) assert_int_equal(done[i], 1);
    assert_false(query_parallel(4, 1000, fail_at_ten, NULL, NULL, NULL));
    assert_int_equal(query_threads(8, 3), 3);
    assert_int_equal(query_threads(0, 0), 1);
}

/* ---- all pairs ---- */

enum { VECTORS = 301, WIDTH = 24 };
typedef struct seen { uint8_t pair[VECTORS][VECTORS]; } seen;

static void mark(size_t a, size_t b, void *ctx)
{
    ((seen *)ctx)->pair[a][b]++;
}

static void every_near_pair_is_found_once_and_no_other(void **state)
{
    float *v = aligned_alloc(32, VECTORS * WIDTH * sizeof *v); /* [VECTORS][WIDTH] */
    seen *s = calloc(1, sizeof *s);
    uint32_t random = 7;
    assert_true(v && s);
    for (int i = 0; i < VECTORS * WIDTH; i++) random = random * 1664525u + 1013904223u, v[i] = (float)(random >> 16) / 32768 - 1;
    assert_true(query_near_pairs(v, VECTORS, WIDTH, 1.5f, 3, mark, s, NULL, NULL));
    int found = 0;
    for (int a = 0; a < VECTORS; a++)
        for (int b = 0; b < VECTORS; b++) {
            double sum = 0;
            for (int k = 0; k < WIDTH; k++) sum += (double)v[a * WIDTH + k] * (double)v[b * WIDTH + k];
            if (fabs(sum - 1.5) > 1e-4) assert_int_equal(s->pair[a][b], a < b && sum > 1.5);
            found += s->pair[a][b];
        }
    assert_true(found > 1000);
    assert_true(query_near_pairs(v, 0, WIDTH, 0, 3, mark, s, NULL, NULL));
    free(v);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_picture_in_another_size_or_quality_is_the_same),
        cmocka_unit_test(what_only_resembles_is_not_the_same),
        cmocka_unit_test(the_smallest_picture_has_a_look),
        cmocka_unit_test(the_best_has_most_pixels_then_bytes_then_is_oldest),
        cmocka_unit_test(copies_are_grouped_and_the_best_is_marked),
        cmocka_unit_test(a_slow_drift_does_not_make_one_group),
        cmocka_unit_test(groups_are_numbered_by_the_path_of_their_best),
        cmocka_unit_test(every_near_pair_is_found_once_and_no_other),
        cmocka_unit_test(every_job_is_done_once_and_a_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
