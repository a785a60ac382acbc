/* test_png.c: every kind of PNG becomes 8-bit RGB without alpha; truncated ones give their rows, wrong ones are refused. */
#include "confined.h"
#include "sample.h"

#include "engine/image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include <cmocka.h>

enum { W = 37, H = 29, SIZE = 16 };

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

/* What libpng is given of one kind, and what must come out. */
typedef struct kind {
    int type, bits, channels;
} kind;

static const uint8_t palette[256 * 3] = {9, 8, 7, 200, 100, 50, 0, 255, 0, 1, 2, 3, 77, 66, 55};

static uint16_t sample_at(const kind *k, int x, int y, int c)
{
    uint32_t v = (uint32_t)(x * 1987 + y * 7919 + c * 104729) * 2654435761u >> 16;
    if (k->type == PNG_COLOR_TYPE_PALETTE) return (uint16_t)(v % (k->bits == 1 ? 2 : k->bits == 2 ? 4 : 5));
    return (uint16_t)(v & ((1u << k->bits) - 1));
}

static uint8_t wanted_at(const kind *k, int x, int y, int c)
{
    if (k->type == PNG_COLOR_TYPE_PALETTE) return palette[3 * sample_at(k, x, y, 0) + c];
    uint32_t v = sample_at(k, x, y, k->channels < 3 ? 0 : c), most = (1u << k->bits) - 1;
    return (uint8_t)((v * 255 + most / 2) / most); /* scaled, never clipped */
}

static sample_file make(const kind *k, bool interlaced, bool transparent)
{
    uint8_t samples[W * H * 4 * 2], *to = samples;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < k->channels; c++) {
                uint16_t v = sample_at(k, x, y, c);
                if (k->bits == 16) *to++ = (uint8_t)(v >> 8);
                *to++ = (uint8_t)v;
            }
    sample_png o = {.colour_type = k->type, .bits = k->bits, .interlaced = interlaced, .transparent = transparent};
    if (k->type == PNG_COLOR_TYPE_PALETTE) o.palette = palette, o.colours = k->bits == 1 ? 2 : k->bits == 2 ? 4 : 5;
    return sample_png_make(samples, W, H, &o);
}

static void every_kind_becomes_rgb(void **state)
{
    static const kind kinds[] = {
        {PNG_COLOR_TYPE_GRAY, 1, 1}, {PNG_COLOR_TYPE_GRAY, 2, 1}, {PNG_COLOR_TYPE_GRAY, 4, 1}, {PNG_COLOR_TYPE_GRAY, 8, 1},
        {PNG_COLOR_TYPE_GRAY, 16, 1}, {PNG_COLOR_TYPE_RGB, 8, 3}, {PNG_COLOR_TYPE_RGB, 16, 3},
        {PNG_COLOR_TYPE_PALETTE, 1, 1}, {PNG_COLOR_TYPE_PALETTE, 2, 1}, {PNG_COLOR_TYPE_PALETTE, 4, 1},
        {PNG_COLOR_TYPE_PALETTE, 8, 1}, {PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2}, {PNG_COLOR_TYPE_GRAY_ALPHA, 16, 2},
        {PNG_COLOR_TYPE_RGB_ALPHA, 8, 4}, {PNG_COLOR_TYPE_RGB_ALPHA, 16, 4}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int variant = 0; variant < 4; variant++) {
            const kind *k = &kinds[i];
            bool transparent = variant & 2 && !(k->type & PNG_COLOR_MASK_ALPHA);
            sample_file f = make(k, variant & 1, transparent);
            clip_photo info;
            clip_picture p = decode(&f, &info);
            assert_false(info.truncated);
            assert_int_equal(p.width, W);
            assert_int_equal(p.height, H);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++)
                    for (int c = 0; c < 3; c++) assert_int_equal(p.rgb[(y * W + x) * 3 + c], wanted_at(k, x, y, c));
            clip_picture_finish(&p);
            sample_file_free(&f);
        }
}

static void tiny_interlaced_ones_have_empty_passes(void **state)
{
    uint8_t *pixels = sample_pixels(9, 9, 2);
    for (int w = 1; w <= 9; w++)
        for (int h = 1; h <= 9; h++) {
            sample_file f = sample_png_make(pixels, w, h, &(sample_png){.colour_type = 2, .bits = 8, .interlaced = true});
            clip_photo info;
            clip_picture p = decode(&f, &info);
            assert_false(info.truncated);
            assert_memory_equal(p.rgb, pixels, (size_t)(w * h * 3));
            clip_picture_finish(&p);
            sample_file_free(&f);
        }
    free(pixels);
}

static void all_orientations_give_the_same_bytes(void **state)
{
    int w = 51, h = 40, sw, sh;
    uint8_t *pixels = sample_pixels(w, h, 4), upright[SIZE * SIZE * 3], row[SIZE * SIZE * 3];
    for (int o = 1; o <= 8; o++) {
        uint8_t *stored = sample_unturn(pixels, w, h, o, &sw, &sh);
        sample_file exif = sample_exif_make(&(sample_exif){.orientation = o});
        sample_file f = sample_png_make(stored, sw, sh, &(sample_png){.colour_type = 2, .bits = 8, .exif = &exif});
        clip_photo info;
        uint8_t *to = o == 1 ? upright : row;
        assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, NULL, to, &info, NULL), CLIP_OK);
        assert_memory_equal(to, upright, sizeof row);
        assert_int_equal(info.width, w);
        sample_file_free(&f);
        sample_file_free(&exif);
        free(stored);
    }
    free(pixels);
}

/* ---- damage ---------------------------------------------------------------------------------------------------- */

static void a_truncated_one_is_the_rows_that_exist(void **state)
{
    int w = 120, h = 90;
    uint8_t *pixels = sample_pixels(w, h, 8);
    sample_file f = sample_png_make(pixels, w, h, &(sample_png){.colour_type = 2, .bits = 8});
    for (size_t percent = 10; percent < 100; percent += 20) {
        sample_file cut = {f.bytes, f.n * percent / 100};
        clip_photo info;
        clip_picture p = decode(&cut, &info);
        assert_true(info.truncated);
        assert_int_equal(info.height, h);
        assert_in_range(p.height, (int)percent * h / 100 - 9, (int)percent * h / 100 + 9);
        assert_memory_equal(p.rgb, pixels, (size_t)(p.width * p.height * 3));
        clip_picture_finish(&p);
    }
    sample_file_free(&f);
    free(pixels);
}

static void a_truncated_interlaced_one_is_whole_but_coarse(void **state)
{
    int w = 120, h = 90;
    uint8_t *pixels = sample_pixels(w, h, 8);
    sample_file f = sample_png_make(pixels, w, h, &(sample_png){.colour_type = 2, .bits = 8, .interlaced = true});
    sample_file cut = {f.bytes, f.n / 2};
    clip_photo info;
    clip_picture p = decode(&cut, &info);
    double sum = 0;
    assert_true(info.truncated);
    assert_int_equal(p.height, h);
    for (int i = 0; i < w * h * 3; i++) sum += abs(p.rgb[i] - pixels[i]);
    assert_true(sum / (w * h * 3) < 35);
    clip_picture_finish(&p);
    cut.n = f.n / 100; /* in the first of the seven passes */
    p = decode(&cut, &info);
    assert_true(info.truncated);
    assert_in_range(p.height, 1, h - 1);
    clip_picture_finish(&p);
    sample_file_free(&f);
    free(pixels);
}

static void a_wrong_checksum_or_stream_is_refused(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 8), row[SIZE * SIZE * 3];
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        sample_file f = sample_png_make(pixels, W, H, &(sample_png){.colour_type = 2, .bits = 8, .interlaced = interlaced});
        static const size_t places[] = {18, 30, 50, 500, 1000};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            clip_error e = {0};
            f.bytes[places[i]] ^= 0x10;
            assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, NULL, row, NULL, &e), CLIP_E_FORMAT);
            assert_true(e.text[0]);
            f.bytes[places[i]] ^= 0x10;
        }
        assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, NULL, row, NULL, NULL), CLIP_OK);
        sample_file_free(&f);
    }
    free(pixels);
}

static void without_a_row_of_pixels_there_is_no_photo(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 8), row[SIZE * SIZE * 3];
    sample_file f = sample_png_make(pixels, W, H, &(sample_png){.colour_type = 2, .bits = 8});
    for (size_t n = 0; n < 60; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        assert_non_null(cut);
        memcpy(cut, f.bytes, n);
        clip_status s = clip_image_to_row(&spec, cut, n, NULL, row, NULL, NULL);
        assert_true(s == CLIP_E_FORMAT || (s == CLIP_E_UNSUPPORTED && n < 8));
        free(cut);
    }
    sample_file_free(&f);
    free(pixels);
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

/* A header without a picture; its checksum is made by libpng's own header, patched before. */
static sample_file header_only(uint32_t w, uint32_t h)
{
    uint8_t *row = calloc(w, 3);
    sample_file f = {0};
    assert_non_null(row);
    f = sample_png_make(row, (int)w, 1, &(sample_png){.colour_type = 2, .bits = 8});
    free(row);
    for (int i = 0; i < 4; i++) f.bytes[20 + i] = (uint8_t)(h >> (24 - 8 * i));
    uint32_t crc = 0xffffffffu;
    for (int i = 12; i < 29; i++) {
        crc ^= f.bytes[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    for (int i = 0; i < 4; i++) f.bytes[29 + i] = (uint8_t)(~crc >> (24 - 8 * i));
    return f;
}

static void more_pixels_than_the_limit_are_refused_by_the_header(void **state)
{
    static const struct { uint32_t w, h; clip_status s; } cases[] = {
        {100000, 100000, CLIP_E_LIMIT}, {10, 1000001, CLIP_E_LIMIT}, {1, 0x7fffffff, CLIP_E_LIMIT}, {10, 0, CLIP_E_FORMAT},
        {300, 1000000, CLIP_E_LIMIT}, {200, 1000000, CLIP_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sample_file f = header_only(cases[i].w, cases[i].h);
        uint8_t row[SIZE * SIZE * 3];
        assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, NULL, row, NULL, NULL), cases[i].s);
        sample_file_free(&f);
    }
}

static int status_in_a_child(const void *file)
{
    const sample_file *f = file;
    uint8_t row[SIZE * SIZE * 3];
    return clip_image_to_row(&spec, f->bytes, f->n, NULL, row, NULL, NULL);
}

static void large_photos_are_decoded_or_refused_in_little_memory(void **state)
{
    if (!CONFINED_POSSIBLE) {
        print_message("# skipped: sanitizers need the address space\n");
        return;
    }
    uint8_t *pixels = calloc(3000 * 3000, 3), row[SIZE * SIZE * 3];
    assert_non_null(pixels);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        sample_png o = {.colour_type = 2, .bits = 8, .interlaced = interlaced, .level = 1};
        sample_file f = sample_png_make(pixels, 3000, 3000, &o); /* 27 MB of pixels in 120 KB */
        assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, &(clip_limits){.max_memory = 25 << 20}, row, NULL, NULL),
                         interlaced ? CLIP_E_LIMIT : CLIP_OK);
        assert_int_equal(confined_run(status_in_a_child, &f, 4 << 20), interlaced ? CLIP_E_MEMORY : CLIP_OK);
        sample_file_free(&f);
    }
    free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_becomes_rgb),
        cmocka_unit_test(tiny_interlaced_ones_have_empty_passes),
        cmocka_unit_test(all_orientations_give_the_same_bytes),
        cmocka_unit_test(a_truncated_one_is_the_rows_that_exist),
        cmocka_unit_test(a_truncated_interlaced_one_is_whole_but_coarse),
        cmocka_unit_test(a_wrong_checksum_or_stream_is_refused),
        cmocka_unit_test(without_a_row_of_pixels_there_is_no_photo),
        cmocka_unit_test(more_pixels_than_the_limit_are_refused_by_the_header),
        cmocka_unit_test(large_photos_are_decoded_or_refused_in_little_memory),
    };
    return cmocka_run_group_tests_name("png", tests, NULL, NULL);
}
