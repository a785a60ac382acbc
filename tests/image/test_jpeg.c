/* test_jpeg.c: every kind of JPEG becomes RGB; a broken one costs no more than its limits and is flagged. */
#include "confined.h"
#include "sample.h"

#include "engine/image/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { W = 203, H = 155, SIZE = 32 };

static const clip_resize_spec spec = {.size = SIZE};

static clip_picture decode(const sample_file *f, clip_photo *info)
{
    clip_picture p;
    clip_error e = {0};
    clip_status s = clip_picture_decode(f->bytes, f->n, NULL, 0, &p, info, &e);
    if (s) print_message("%s\n", e.text);
    assert_int_equal(s, CLIP_OK);
    return p;
}

static double mean_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += abs(a[i] - b[i]);
    return sum / (double)n;
}

/* Something that JPEG keeps well: no noise, nothing sharp. */
static uint8_t *smooth(int w, int h, int channels)
{
    uint8_t *p = malloc((size_t)w * (size_t)h * (size_t)channels), *to = p;
    assert_non_null(p);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < channels; c++)
                *to++ = (uint8_t)(c == 0 ? x * 255 / w : c == 1 ? y * 255 / h : c == 2 ? 90 : 255 - x * 200 / w);
    return p;
}

/* ---- kinds ----------------------------------------------------------------------------------------------------- */

static void every_sampling_and_coding_is_read(void **state)
{
    static const sample_jpeg kinds[] = {
        {.h = 1, .v = 1}, {.h = 2, .v = 1}, {.h = 1, .v = 2}, {.h = 2, .v = 2}, {.h = 4, .v = 1}, {.h = 4, .v = 2},
        {.h = 3, .v = 1}, {.progressive = true}, {.arithmetic = true}, {.arithmetic = true, .progressive = true},
        {.restart_rows = 1}, {.colour = SAMPLE_STORED_RGB, .h = 1, .v = 1}};
    uint8_t *pixels = smooth(W, H, 3);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        sample_file f = sample_jpeg_make(pixels, W, H, &kinds[i]);
        clip_photo info;
        clip_picture p = decode(&f, &info);
        assert_int_equal(p.width, W);
        assert_int_equal(p.height, H);
        assert_false(info.truncated);
        assert_true(mean_difference(p.rgb, pixels, (size_t)W * H * 3) < 1.5);
        clip_picture_finish(&p);
        sample_file_free(&f);
    }
    free(pixels);
}

static void gray_becomes_three_equal_channels(void **state)
{
    uint8_t *pixels = smooth(W, H, 3);
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){.colour = SAMPLE_GRAY});
    clip_picture p = decode(&f, NULL);
    for (size_t i = 0; i < (size_t)W * H; i++) {
        uint8_t *a = p.rgb + 3 * i, *b = pixels + 3 * i;
        assert_true(a[0] == a[1] && a[1] == a[2]);
        assert_true(abs(a[0] - (299 * b[0] + 587 * b[1] + 114 * b[2]) / 1000) <= 4);
    }
    clip_picture_finish(&p);
    sample_file_free(&f);
    free(pixels);
}

/* Adobe stores ink inverted, and so does everybody: what remains of the light is c * k. */
static void cmyk_and_ycck_become_rgb(void **state)
{
    uint8_t *ink = smooth(W, H, 4), *rgb = malloc((size_t)W * H * 3);
    assert_non_null(rgb);
    for (size_t i = 0; i < (size_t)W * H; i++)
        for (int c = 0; c < 3; c++) rgb[3 * i + (size_t)c] = (uint8_t)((ink[4 * i + (size_t)c] * ink[4 * i + 3] + 127) / 255);
    for (int colour = SAMPLE_CMYK; colour <= SAMPLE_YCCK; colour++) {
        sample_file f = sample_jpeg_make(ink, W, H, &(sample_jpeg){.colour = (sample_colour)colour, .h = 1, .v = 1});
        clip_picture p = decode(&f, NULL);
        assert_true(mean_difference(p.rgb, rgb, (size_t)W * H * 3) < 1.5);
        clip_picture_finish(&p);
        sample_file_free(&f);
    }
    free(ink);
    free(rgb);
}

/* The byte behind the frame header's length, which says how many bits a sample has. */
static uint8_t *frame_header(const sample_file *f)
{
    for (size_t i = 2; i + 9 < f->n; i++)
        if (f->bytes[i] == 0xff && (f->bytes[i + 1] == 0xc0 || f->bytes[i + 1] == 0xc2)) return f->bytes + i + 4;
    fail();
    return NULL;
}

static void twelve_bits_are_refused_with_the_reason(void **state)
{
    uint8_t *pixels = smooth(W, H, 3);
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){0});
    *frame_header(&f) = 12;
    clip_error e = {0};
    clip_photo info;
    assert_int_equal(clip_photo_probe(f.bytes, f.n, NULL, &info, &e), CLIP_E_UNSUPPORTED);
    assert_string_equal(e.text, "a JPEG of 12 bits a sample; only 8 are supported");
    assert_int_equal(info.format, CLIP_FORMAT_JPEG);
    sample_file_free(&f);
    free(pixels);
}

/* ---- scale and turn -------------------------------------------------------------------------------------------- */

static void scaled_decoding_keeps_nearly_three_times_the_wanted_size(void **state)
{
    static const struct { int w, h, mode, orientation, scale; } cases[] = {
        {4000, 3000, CLIP_RESIZE_SHORTEST, 1, 4}, {3000, 4000, CLIP_RESIZE_SHORTEST, 1, 4},
        {5196, 5196, CLIP_RESIZE_SHORTEST, 1, 4}, {5197, 5197, CLIP_RESIZE_SHORTEST, 1, 8},
        {80000, 3000, CLIP_RESIZE_SHORTEST, 1, 4}, {1299, 3000, CLIP_RESIZE_SHORTEST, 6, 1},
        {9000, 1350, CLIP_RESIZE_SQUASH, 1, 2}, {1350, 9000, CLIP_RESIZE_SQUASH, 1, 2},
        {300, 300, CLIP_RESIZE_SHORTEST, 1, 1}, {6000, 1500, CLIP_RESIZE_LONGEST, 8, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clip_resize_spec s = {.mode = (clip_resize_mode)cases[i].mode, .size = 224};
        clip_job job = {.kind = CLIP_JOB_ROW, .spec = &s, .limits = clip_limits_resolve(NULL),
                        .photo.orientation = cases[i].orientation};
        assert_int_equal(clip_job_header(&job, cases[i].w, cases[i].h), CLIP_OK);
        assert_int_equal(clip_job_scale(&job, 8), cases[i].scale);
        job.limits.exact_decode = true;
        assert_int_equal(clip_job_scale(&job, 8), 1);
    }
}

static void row_of(const sample_file *f, bool exact, uint8_t *row, clip_photo *info)
{
    assert_int_equal(clip_image_to_row(&spec, f->bytes, f->n, &(clip_limits){.exact_decode = exact}, row, info, NULL), 0);
}

static void scaled_decoding_changes_little(void **state)
{
    static const int widths[] = {512, 515, 600, 777};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        uint8_t *pixels = sample_pixels(widths[i], 531, 9), exact[SIZE * SIZE * 3], scaled[SIZE * SIZE * 3];
        sample_file f = sample_jpeg_make(pixels, widths[i], 531, &(sample_jpeg){0});
        row_of(&f, true, exact, NULL);
        row_of(&f, false, scaled, NULL);
        assert_true(mean_difference(exact, scaled, sizeof exact) < 1.5);
        assert_memory_not_equal(exact, scaled, sizeof exact);
        sample_file_free(&f);
        free(pixels);
    }
}

static void all_orientations_show_one_picture(void **state)
{
    int w = 333, h = 251, sw, sh;
    uint8_t *pixels = sample_pixels(w, h, 4), upright[SIZE * SIZE * 3], row[SIZE * SIZE * 3];
    for (int o = 1; o <= 8; o++) {
        uint8_t *stored = sample_unturn(pixels, w, h, o, &sw, &sh);
        sample_file exif = sample_exif_make(&(sample_exif){.orientation = o, .big_endian = o & 1});
        sample_file f = sample_jpeg_make(stored, sw, sh, &(sample_jpeg){.exif = &exif, .h = 1, .v = 1, .quality = 100});
        clip_photo info;
        row_of(&f, o % 2, o == 1 ? upright : row, &info);
        if (o > 1) assert_true(mean_difference(row, upright, sizeof row) < 1.5);
        assert_int_equal(info.orientation, o);
        assert_int_equal(info.width, w);
        assert_int_equal(info.height, h);
        sample_file_free(&f);
        sample_file_free(&exif);
        free(stored);
    }
    free(pixels);
}

/* ---- damage ---------------------------------------------------------------------------------------------------- */

static void a_truncated_photo_is_the_rows_that_exist(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 6);
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){0});
    clip_photo info;
    clip_picture whole = decode(&f, &info);
    assert_false(info.truncated);
    for (int percent = 30; percent < 100; percent += 20) {
        sample_file cut = {f.bytes, f.n * (size_t)percent / 100};
        clip_picture part = decode(&cut, &info);
        assert_true(info.truncated);
        assert_int_equal(info.height, H); /* what the header says */
        assert_in_range(part.height, 16, H * percent / 100 + 16);
        assert_int_equal(part.width, W);
        /* the last row's chroma is smoothed with what is not there */
        assert_memory_equal(part.rgb, whole.rgb, (size_t)(part.height - 1) * W * 3);
        clip_picture_finish(&part);
    }
    clip_picture_finish(&whole);
    sample_file_free(&f);
    free(pixels);
}

static void a_truncated_end_that_the_crop_leaves_out_is_still_noticed(void **state)
{
    uint8_t *pixels = sample_pixels(100, 300, 6), row[SIZE * SIZE * 3];
    sample_file f = sample_jpeg_make(pixels, 100, 300, &(sample_jpeg){0}), cut = {f.bytes, f.n * 95 / 100};
    clip_photo info;
    row_of(&f, false, row, &info);
    assert_false(info.truncated);
    row_of(&cut, false, row, &info);
    assert_true(info.truncated);
    sample_file_free(&f);
    free(pixels);
}

static void a_truncated_progressive_photo_is_whole_but_coarse(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 6);
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){.progressive = true}), cut = {f.bytes, f.n * 60 / 100};
    clip_photo info;
    clip_picture p = decode(&cut, &info);
    assert_true(info.truncated);
    assert_int_equal(p.height, H);
    assert_true(mean_difference(p.rgb, pixels, (size_t)W * H * 3) < 40);
    clip_picture_finish(&p);
    sample_file_free(&f);
    free(pixels);
}

static void a_missing_or_early_end_marker_is_told_apart(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 6);
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){0}), cut = {f.bytes, f.n - 2};
    clip_photo info;
    clip_picture p = decode(&cut, &info); /* only the end marker is gone: no pixel is missing */
    assert_false(info.truncated);
    clip_picture_finish(&p);
    cut.n = f.n / 2; /* half a photo that was closed properly by some tool */
    memcpy(f.bytes + cut.n - 2, "\xff\xd9", 2);
    p = decode(&cut, &info);
    assert_true(info.truncated);
    assert_in_range(p.height, 16, H - 16);
    clip_picture_finish(&p);
    sample_file_free(&f);
    free(pixels);
}

static void a_damaged_photo_is_used_and_flagged(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 6);
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){.restart_rows = 1});
    size_t at = f.n / 2 - 1000, gone = 1000; /* half of a row of blocks */
    memmove(f.bytes + at, f.bytes + at + gone, f.n - at - gone);
    f.n -= gone;
    clip_photo info;
    clip_picture p = decode(&f, &info);
    assert_true(info.truncated);
    assert_int_equal(p.height, H);
    clip_picture_finish(&p);
    sample_file_free(&f);
    free(pixels);
}

static void without_a_row_of_pixels_there_is_no_photo(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 6), row[SIZE * SIZE * 3];
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){0});
    size_t scan = 0;
    for (size_t i = 2; i + 1 < f.n && !scan; i++)
        if (f.bytes[i] == 0xff && f.bytes[i + 1] == 0xda) scan = i + 14;
    for (size_t n = 0; n < scan + 20; n++) {
        clip_error e = {0};
        uint8_t *cut = malloc(n ? n : 1);
        assert_non_null(cut);
        memcpy(cut, f.bytes, n);
        clip_status s = clip_image_to_row(&spec, cut, n, NULL, row, NULL, &e);
        assert_true(s == CLIP_E_FORMAT || (s == CLIP_E_UNSUPPORTED && n < 3));
        assert_true(e.text[0]);
        free(cut);
    }
    sample_file_free(&f);
    free(pixels);
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

static void dimensions_set(const sample_file *f, int w, int h)
{
    uint8_t *p = frame_header(f);
    p[1] = (uint8_t)(h >> 8), p[2] = (uint8_t)h, p[3] = (uint8_t)(w >> 8), p[4] = (uint8_t)w;
}

static void more_pixels_than_the_limit_are_refused_by_the_header(void **state)
{
    uint8_t *pixels = smooth(W, H, 3), row[SIZE * SIZE * 3];
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){0});
    clip_limits limits = {.max_pixels = W * H - 1};
    clip_photo info;
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, &limits, row, NULL, NULL), CLIP_E_LIMIT);
    assert_int_equal(clip_photo_probe(f.bytes, f.n, &limits, &info, NULL), CLIP_E_LIMIT);
    limits.max_pixels++;
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, &limits, row, NULL, NULL), CLIP_OK);
    limits.max_bytes = f.n - 1;
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, &limits, row, NULL, NULL), CLIP_E_LIMIT);
    dimensions_set(&f, 65500, 65500);
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, NULL, row, NULL, NULL), CLIP_E_LIMIT);
    sample_file_free(&f);
    free(pixels);
}

/* A baseline photo is read in bands, whatever its size; a progressive one is held whole. */
static void more_memory_than_the_limit_is_not_taken(void **state)
{
    enum { BIG = 1500 };
    uint8_t *pixels = smooth(BIG, BIG, 3), row[SIZE * SIZE * 3];
    for (int progressive = 0; progressive < 2; progressive++) {
        sample_file f = sample_jpeg_make(pixels, BIG, BIG, &(sample_jpeg){.progressive = progressive});
        clip_error e = {0};
        clip_status s = clip_image_to_row(&spec, f.bytes, f.n, &(clip_limits){.max_memory = 2 << 20}, row, NULL, &e);
        assert_int_equal(s, progressive ? CLIP_E_LIMIT : CLIP_OK);
        if (progressive) assert_string_equal(e.text, "decoding this JPEG needs more than 2 MiB of memory");
        sample_file_free(&f);
    }
    free(pixels);
}

static void scans_are_counted(void **state)
{
    uint8_t *pixels = smooth(W, H, 3), row[SIZE * SIZE * 3];
    sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){.progressive = true});
    clip_error e = {0};
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, &(clip_limits){.max_scans = 9}, row, NULL, &e), CLIP_E_LIMIT);
    assert_string_equal(e.text, "more than 9 scans");
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, &(clip_limits){.max_scans = 10}, row, NULL, NULL), CLIP_OK);

    size_t last = 0; /* the last scan again and again: a bomb */
    for (size_t i = 2; i + 1 < f.n; i++)
        if (f.bytes[i] == 0xff && f.bytes[i + 1] == 0xda) last = i;
    size_t length = f.n - 2 - last;
    f.bytes = realloc(f.bytes, f.n + 5000 * length);
    assert_non_null(f.bytes);
    for (int i = 0; i < 5000; i++, f.n += length) memmove(f.bytes + f.n - 2, f.bytes + last, length);
    memcpy(f.bytes + f.n - 2, "\xff\xd9", 2);
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, NULL, row, NULL, NULL), CLIP_E_LIMIT);
    sample_file_free(&f);
    free(pixels);
}

static int status_in_a_child(const void *file)
{
    const sample_file *f = file;
    uint8_t row[SIZE * SIZE * 3];
    return clip_image_to_row(&spec, f->bytes, f->n, NULL, row, NULL, NULL);
}

/* 16000 x 16000 are within the default limit. A baseline file needs a few rows for them; a progressive one would need
 * 768 MB of coefficients, and where they do not exist it is told so. */
static void large_photos_are_decoded_or_refused_in_little_memory(void **state)
{
    if (!CONFINED_POSSIBLE) {
        print_message("# skipped: sanitizers need the address space\n");
        return;
    }
    uint8_t *pixels = smooth(W, H, 3);
    for (int progressive = 0; progressive < 2; progressive++) {
        sample_file f = sample_jpeg_make(pixels, W, H, &(sample_jpeg){.progressive = progressive});
        dimensions_set(&f, 16000, 16000); /* the data end after the first rows */
        int s = confined_run(status_in_a_child, &f, 64 << 20);
        assert_int_equal(s, progressive ? CLIP_E_MEMORY : CLIP_E_FORMAT);
        sample_file_free(&f);
    }
    free(pixels);
    pixels = smooth(6000, 4000, 3);
    sample_file f = sample_jpeg_make(pixels, 6000, 4000, &(sample_jpeg){0});
    free(pixels);
    assert_int_equal(confined_run(status_in_a_child, &f, 8 << 20), CLIP_OK);
    sample_file_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sampling_and_coding_is_read),
        cmocka_unit_test(gray_becomes_three_equal_channels),
        cmocka_unit_test(cmyk_and_ycck_become_rgb),
        cmocka_unit_test(twelve_bits_are_refused_with_the_reason),
        cmocka_unit_test(scaled_decoding_keeps_nearly_three_times_the_wanted_size),
        cmocka_unit_test(scaled_decoding_changes_little),
        cmocka_unit_test(all_orientations_show_one_picture),
        cmocka_unit_test(a_truncated_photo_is_the_rows_that_exist),
        cmocka_unit_test(a_truncated_end_that_the_crop_leaves_out_is_still_noticed),
        cmocka_unit_test(a_truncated_progressive_photo_is_whole_but_coarse),
        cmocka_unit_test(a_missing_or_early_end_marker_is_told_apart),
        cmocka_unit_test(a_damaged_photo_is_used_and_flagged),
        cmocka_unit_test(without_a_row_of_pixels_there_is_no_photo),
        cmocka_unit_test(more_pixels_than_the_limit_are_refused_by_the_header),
        cmocka_unit_test(more_memory_than_the_limit_is_not_taken),
        cmocka_unit_test(scans_are_counted),
        cmocka_unit_test(large_photos_are_decoded_or_refused_in_little_memory),
    };
    return cmocka_run_group_tests_name("jpeg", tests, NULL, NULL);
}
