/* test_resize.c: the resizer gives Pillow's bytes, whatever the photo's shape and however it must be turned. */
#include "sample.h"

#include "engine/image/resize.h"
#include "engine/math/resample_avx2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t *resize_with(const clip_resample_kernels *k, const clip_frame *f, const clip_stored *s, const uint8_t *pixels)
{
    uint8_t *out = malloc((size_t)f->out_w * (size_t)f->out_h * 3);
    assert_non_null(out);
    clip_resizer *r = clip_resizer_create(f, s, k, out);
    assert_non_null(r);
    size_t stride = (size_t)s->width * 3;
    for (int y = 0; y < s->height; y++) {
        memcpy(clip_resizer_row(r), pixels + (size_t)y * stride, stride);
        clip_resizer_push(r);
    }
    assert_true(clip_resizer_complete(r));
    clip_resizer_destroy(r);
    return out;
}

static uint8_t *resize(const clip_frame *f, const clip_stored *s, const uint8_t *pixels)
{
    return resize_with(clip_resample_pick(), f, s, pixels);
}

static clip_stored upright(int w, int h)
{
    return (clip_stored){.width = w, .height = h, .true_w = w, .true_h = h, .orientation = 1};
}

/* ---- Pillow ---------------------------------------------------------------------------------------------------- */

typedef struct reference {
    int32_t width, height, seed, mode, filter, rounding, size, resize_to, resized_w, resized_h, true_w8, true_h8;
} reference;

static void check_reference(const reference *c, const uint8_t *wanted, size_t n, const clip_resample_kernels *k)
{
    clip_frame f = {.filter = (clip_resize_filter)c->filter, .resized_w = c->resized_w, .resized_h = c->resized_h,
                    .out_w = c->size, .out_h = c->size};
    if (c->mode >= 0) {
        clip_resize_spec spec = {.mode = (clip_resize_mode)c->mode, .filter = (clip_resize_filter)c->filter,
                                 .rounding = (clip_crop_rounding)c->rounding, .size = c->size, .resize_to = c->resize_to};
        f = clip_frame_of_spec(&spec, c->width, c->height);
        assert_int_equal(f.resized_w, c->resized_w);
        assert_int_equal(f.resized_h, c->resized_h);
    }
    clip_stored s = {.width = c->width, .height = c->height, .true_w = c->true_w8 / 8.0, .true_h = c->true_h8 / 8.0,
                     .orientation = 1};
    uint8_t *pixels = sample_pixels(c->width, c->height, (uint32_t)c->seed), *got = resize_with(k, &f, &s, pixels);
    if (memcmp(got, wanted, n) != 0) print_message("%d x %d, mode %d, size %d\n", c->width, c->height, c->mode, c->size);
    assert_memory_equal(got, wanted, n);
    free(got);
    free(pixels);
}

static int check_references(const clip_resample_kernels *k)
{
    FILE *file = fopen(RESIZE_REFERENCE, "rb");
    assert_non_null(file);
    char magic[4];
    assert_int_equal(fread(magic, 1, 4, file), 4);
    assert_memory_equal(magic, "RSZ1", 4);
    reference c;
    int cases = 0;
    for (; fread(&c, sizeof c, 1, file) == 1; cases++) {
        size_t n = (size_t)c.size * (size_t)c.size * 3;
        uint8_t *wanted = malloc(n);
        assert_non_null(wanted);
        assert_int_equal(fread(wanted, 1, n, file), n);
        check_reference(&c, wanted, n, k);
        free(wanted);
    }
    fclose(file);
    return cases;
}

static void equals_pillow(void **state) { assert_int_equal(check_references(&clip_resample_c), 76); }

static void fast_kernels_equal_pillow(void **state)
{
    const clip_resample_kernels *k = clip_resample_pick();
    if (k == &clip_resample_c) {
        print_message("# skipped: this CPU has only the plain kernels\n"); /* skip() counts as a failure in TAP */
        return;
    }
    assert_int_equal(check_references(k), 76);
}

/* ---- turning --------------------------------------------------------------------------------------------------- */

static void turning_on_the_way_equals_turning_first(void **state)
{
    static const int sizes[][2] = {{61, 47}, {40, 93}, {7, 120}, {1, 9}, {33, 33}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int o = 1; o <= 8; o++)
            for (int mode = CLIP_RESIZE_SHORTEST; mode <= CLIP_RESIZE_LONGEST; mode++) {
                int w = sizes[i][0], h = sizes[i][1], tw, th;
                uint8_t *pixels = sample_pixels(w, h, (uint32_t)(i * 10)), *turned = sample_turn(pixels, w, h, o, &tw, &th);
                clip_resize_spec spec = {.mode = (clip_resize_mode)mode, .size = 24, .resize_to = mode ? 0 : 27};
                clip_frame f = clip_frame_of_spec(&spec, tw, th);
                clip_stored stored = upright(w, h), first = upright(tw, th);
                stored.orientation = o;
                uint8_t *a = resize(&f, &stored, pixels), *b = resize(&f, &first, turned);
                assert_memory_equal(a, b, 24 * 24 * 3);
                free(a);
                free(b);
                free(turned);
                free(pixels);
            }
}

/* After scaled decoding the last column and row are only partly the photo's: where they lie depends on the turn. */
static void turning_keeps_a_fractional_edge_at_its_side(void **state)
{
    int w = 50, h = 40, tw, th;
    uint8_t *pixels = sample_pixels(w, h, 5);
    for (int o = 2; o <= 8; o++) {
        clip_frame f = {.resized_w = 20, .resized_h = 20, .out_w = 20, .out_h = 20};
        clip_stored stored = {.width = w, .height = h, .true_w = 49.25, .true_h = 39.5, .orientation = o}, up = stored;
        up.orientation = 1;
        uint8_t *a = resize(&f, &stored, pixels), *b = resize(&f, &up, pixels), *c = sample_turn(b, 20, 20, o, &tw, &th);
        for (int i = 0; i < 20 * 20 * 3; i++) assert_true(abs(a[i] - c[i]) <= 2); /* the order of the passes differs */
        free(a);
        free(b);
        free(c);
    }
    free(pixels);
}

static void full_size_pictures_are_only_turned(void **state)
{
    int w = 31, h = 22, tw, th;
    uint8_t *pixels = sample_pixels(w, h, 77);
    for (int o = 1; o <= 8; o++) {
        uint8_t *turned = sample_turn(pixels, w, h, o, &tw, &th);
        clip_frame f = clip_frame_to_fit(0, tw, th);
        clip_stored stored = upright(w, h);
        stored.orientation = o;
        uint8_t *got = resize(&f, &stored, pixels);
        assert_memory_equal(got, turned, (size_t)w * (size_t)h * 3);
        free(got);
        free(turned);
    }
    free(pixels);
}

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

static void a_crop_equals_the_part_of_the_whole(void **state)
{
    int w = 90, h = 70;
    uint8_t *pixels = sample_pixels(w, h, 3);
    clip_frame whole = {.resized_w = 45, .resized_h = 35, .out_w = 45, .out_h = 35}, part = whole;
    part.x = 11, part.y = 8, part.out_w = 20, part.out_h = 13;
    clip_stored s = upright(w, h);
    uint8_t *a = resize(&whole, &s, pixels), *b = resize(&part, &s, pixels);
    for (int y = 0; y < 13; y++) assert_memory_equal(b + y * 20 * 3, a + ((y + 8) * 45 + 11) * 3, 20 * 3);
    free(a);
    free(b);
    free(pixels);
}

static void a_million_pixels_in_one_row_fit_into_little_memory(void **state)
{
    int w = CLIP_MAX_SIDE;
    for (int o = 1; o <= 6; o += 5) {
        clip_resize_spec spec = {.size = 224};
        clip_frame f = clip_frame_of_spec(&spec, o == 1 ? w : 1, o == 1 ? 1 : w);
        clip_stored s = upright(w, 1);
        s.orientation = o;
        uint8_t *pixels = calloc((size_t)w, 3), *got;
        assert_non_null(pixels);
        memset(pixels, 90, (size_t)w * 3);
        got = resize(&f, &s, pixels);
        for (int i = 0; i < 224 * 224 * 3; i++) assert_int_equal(got[i], 90);
        free(got);
        free(pixels);
    }
}

static void pictures_for_looking_at_keep_their_ratio(void **state)
{
    clip_frame f = clip_frame_to_fit(100, 4000, 3000);
    assert_int_equal(f.out_w, 100);
    assert_int_equal(f.out_h, 75);
    f = clip_frame_to_fit(100, 3, 30000);
    assert_int_equal(f.out_w, 1);
    assert_int_equal(f.out_h, 100);
    f = clip_frame_to_fit(100, 50, 20);
    assert_int_equal(f.out_w, 50);
    assert_int_equal(f.out_h, 20);
}

/* ---- kernels --------------------------------------------------------------------------------------------------- */

static void fast_kernels_equal_the_plain_ones(void **state)
{
    const clip_resample_kernels *k = clip_resample_pick();
    if (k == &clip_resample_c) {
        print_message("# skipped: this CPU has only the plain kernels\n"); /* skip() counts as a failure in TAP */
        return;
    }
    for (int w = 1; w <= 70; w++) {
        int h = 1 + w * 7 % 41;
        uint8_t *pixels = sample_pixels(w, h, (uint32_t)w);
        for (int i = 0; i < w * h * 3; i++) pixels[i] = pixels[i] & 4 ? 255 : 0; /* the extremes overshoot most */
        for (int o = 1; o <= 6; o += 5) {
            clip_resize_spec spec = {.mode = CLIP_RESIZE_SQUASH, .filter = w % 2, .size = 1 + w * 5 % 37};
            clip_frame f = clip_frame_of_spec(&spec, w, h);
            clip_stored s = upright(w, h);
            s.orientation = o;
            uint8_t *a = resize_with(&clip_resample_c, &f, &s, pixels), *b = resize_with(k, &f, &s, pixels);
            assert_memory_equal(a, b, (size_t)f.out_w * (size_t)f.out_h * 3);
            free(a);
            free(b);
        }
        free(pixels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow),
        cmocka_unit_test(fast_kernels_equal_pillow),
        cmocka_unit_test(turning_on_the_way_equals_turning_first),
        cmocka_unit_test(turning_keeps_a_fractional_edge_at_its_side),
        cmocka_unit_test(full_size_pictures_are_only_turned),
        cmocka_unit_test(a_crop_equals_the_part_of_the_whole),
        cmocka_unit_test(a_million_pixels_in_one_row_fit_into_little_memory),
        cmocka_unit_test(pictures_for_looking_at_keep_their_ratio),
        cmocka_unit_test(fast_kernels_equal_the_plain_ones),
    };
    return cmocka_run_group_tests_name("resize", tests, NULL, NULL);
}
