/* test_exif.c: what a photo says of itself is read, from JPEG and PNG alike; nonsense counts as absent. */
#include "sample.h"

#include "engine/image/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const sample_exif full = {
    .orientation = 6, .make = "NIKON CORPORATION", .model = "NIKON D90", .date = "2020:01:01 00:00:00",
    .date_original = "2023:07:14 18:30:00", .date_digitized = "2021:01:01 00:00:00",
    .lat_ref = "N", .lat = {47, 1, 30, 1, 0, 1}, .lon_ref = "W", .lon = {8, 1, 15, 1, 36, 1}};

static clip_photo read_block(const sample_exif *e)
{
    sample_file f = sample_exif_make(e);
    clip_photo p = {.orientation = 1};
    clip_exif_read(f.bytes, f.n, &p);
    sample_file_free(&f);
    return p;
}

static void check_full(const clip_photo *p)
{
    assert_int_equal(p->orientation, 6);
    assert_string_equal(p->camera, "NIKON D90");
    assert_string_equal(p->taken, "2023-07-14 18:30:00");
    assert_true(p->has_gps);
    assert_float_equal(p->latitude, 47.5, 1e-9);
    assert_float_equal(p->longitude, -8.26, 1e-9);
}

static void either_byte_order_is_read(void **state)
{
    sample_exif e = full;
    clip_photo p = read_block(&e);
    check_full(&p);
    e.big_endian = true;
    p = read_block(&e);
    check_full(&p);
}

static void jpeg_and_png_carry_it_wherever_it_stands(void **state)
{
    uint8_t *pixels = sample_pixels(20, 10, 1);
    sample_file exif = sample_exif_make(&full);
    sample_file files[] = {sample_jpeg_make(pixels, 20, 10, &(sample_jpeg){.exif = &exif}),
                           sample_png_make(pixels, 20, 10, &(sample_png){.colour_type = 2, .bits = 8, .exif = &exif}),
                           sample_png_make(pixels, 20, 10, &(sample_png){.colour_type = 2, .bits = 8, .exif = &exif,
                                                                         .exif_last = true})};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        clip_photo p;
        assert_int_equal(clip_photo_probe(files[i].bytes, files[i].n, NULL, &p, NULL), CLIP_OK);
        check_full(&p);
        assert_int_equal(p.width, 10);
        assert_int_equal(p.height, 20);
        sample_file_free(&files[i]);
    }
    sample_file_free(&exif);
    free(pixels);
}

static void the_make_is_not_repeated(void **state)
{
    static const char *const cases[][3] = {{"Canon", "Canon EOS 5D", "Canon EOS 5D"},
                                           {"Apple", "iPhone 12", "Apple iPhone 12"},
                                           {"LG", "LGE-900", "LG LGE-900"},
                                           {"  SONY ", "ILCE-7 ", "SONY ILCE-7"},
                                           {NULL, "X100", "X100"},
                                           {"FUJIFILM", NULL, "FUJIFILM"},
                                           {NULL, NULL, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clip_photo p = read_block(&(sample_exif){.make = cases[i][0], .model = cases[i][1]});
        assert_string_equal(p.camera, cases[i][2]);
    }
}

static void a_camera_name_is_one_line_of_utf8(void **state)
{
    clip_photo p = read_block(&(sample_exif){.make = "Z\xc3\xbcrich\x1b[31m", .model = "caf\xe9\n\xed\xa0\x80"});
    assert_string_equal(p.camera, "Z\xc3\xbcrich [31m caf? ???");
    char make[400], model[400];
    memset(make, 'a', sizeof make - 1);
    memset(model, 'b', sizeof model - 1);
    make[399] = model[399] = 0;
    p = read_block(&(sample_exif){.make = make, .model = model});
    assert_int_equal(strlen(p.camera), 39 + 1 + 53);
}

static void the_best_date_that_makes_sense_is_taken(void **state)
{
    static const char *const cases[][4] = {
        {"2001:01:01 01:01:01", "2002:02:02 02:02:02", "2003:03:03 03:03:03", "2003-03-03 03:03:03"},
        {"2001:01:01 01:01:01", "2002:02:02 02:02:02", "0000:00:00 00:00:00", "2002-02-02 02:02:02"},
        {"2001:01:01 01:01:01", NULL, "    :  :     :  :  ", "2001-01-01 01:01:01"},
        {"2001-01-01T01:01:01Z", "2002:13:02 02:02:02", "2003:03:03 24:03:03", "2001-01-01 01:01:01"},
        {"yesterday", "2002:02", "", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clip_photo p = read_block(&(sample_exif){.date = cases[i][0], .date_digitized = cases[i][1],
                                                 .date_original = cases[i][2]});
        assert_string_equal(p.taken, cases[i][3]);
    }
}

static void a_place_that_cannot_be_is_no_place(void **state)
{
    const sample_exif cases[] = {
        {.lat_ref = "N", .lon_ref = "E", .lat = {91, 1, 0, 1, 0, 1}, .lon = {8, 1, 0, 1, 0, 1}},
        {.lat_ref = "N", .lon_ref = "E", .lat = {47, 1, 0, 1, 0, 1}, .lon = {181, 1, 0, 1, 0, 1}},
        {.lat_ref = "N", .lon_ref = "E", .lat = {47, 0, 0, 1, 0, 1}, .lon = {8, 1, 0, 1, 0, 1}},
        {.lat_ref = "N", .lon_ref = "E", .lat = {0, 0, 0, 0, 0, 0}, .lon = {0, 0, 0, 0, 0, 0}},
        {.lat_ref = "N", .lon_ref = "E", .lat = {0, 1, 0, 1, 0, 1}, .lon = {0, 1, 0, 1, 0, 1}},
        {.lat_ref = "X", .lon_ref = "E", .lat = {47, 1, 0, 1, 0, 1}, .lon = {8, 1, 0, 1, 0, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_false(read_block(&cases[i]).has_gps);
    clip_photo south = read_block(&(sample_exif){.lat_ref = "S", .lon_ref = "E", .lat = {33, 1, 51, 1, 0, 0},
                                                 .lon = {151, 1, 0, 1, 0, 1}});
    assert_true(south.has_gps);
    assert_float_equal(south.latitude, -33.85, 1e-9);
}

static void an_orientation_that_is_none_means_upright(void **state)
{
    assert_int_equal(read_block(&(sample_exif){.orientation = 9}).orientation, 1);
    assert_int_equal(read_block(&(sample_exif){.orientation = 0}).orientation, 1);
    assert_int_equal(read_block(&(sample_exif){.orientation = 8}).orientation, 8);
}

static void cut_and_changed_blocks_do_no_harm(void **state)
{
    sample_file f = sample_exif_make(&full);
    for (size_t n = 0; n <= f.n; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* exactly as long: a sanitizer sees the first byte beyond */
        assert_non_null(cut);
        memcpy(cut, f.bytes, n);
        clip_photo p = {.orientation = 1};
        clip_exif_read(cut, n, &p);
        assert_in_range(p.orientation, 1, 8);
        free(cut);
    }
    for (size_t i = 0; i < f.n * 3; i++) {
        uint8_t *changed = malloc(f.n), *at = changed + i / 3;
        assert_non_null(changed);
        memcpy(changed, f.bytes, f.n);
        *at = i % 3 == 0 ? 0xff : i % 3 == 1 ? 0 : *at ^ 0x80;
        clip_photo p = {.orientation = 1};
        clip_exif_read(changed, f.n, &p);
        assert_in_range(p.orientation, 1, 8);
        free(changed);
    }
    sample_file_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_byte_order_is_read),
        cmocka_unit_test(jpeg_and_png_carry_it_wherever_it_stands),
        cmocka_unit_test(the_make_is_not_repeated),
        cmocka_unit_test(a_camera_name_is_one_line_of_utf8),
        cmocka_unit_test(the_best_date_that_makes_sense_is_taken),
        cmocka_unit_test(a_place_that_cannot_be_is_no_place),
        cmocka_unit_test(an_orientation_that_is_none_means_upright),
        cmocka_unit_test(cut_and_changed_blocks_do_no_harm),
    };
    return cmocka_run_group_tests_name("exif", tests, NULL, NULL);
}
