/* test_formats.c: WebP, HEIC, AVIF, TIFF, GIF and the previews of raw photos. A format that this build cannot read, or
 * this machine cannot write, is skipped. */
#include "sample.h"

#include "engine/image/image.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { W = 83, H = 58, SIZE = 16 };

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

/* A photo comes out as `wanted` [h][w][3], nearly or exactly, and every cut of its file does no harm. */
static void check(sample_file *f, clip_format format, const uint8_t *wanted, int w, int h, double most)
{
    clip_photo info;
    clip_picture p = decode(f, &info);
    assert_int_equal(info.format, format);
    assert_false(info.truncated);
    assert_int_equal(p.width, w);
    assert_int_equal(p.height, h);
    assert_int_equal(info.width, w);
    assert_true(mean_difference(p.rgb, wanted, (size_t)w * (size_t)h * 3) <= most);
    clip_picture_finish(&p);
    for (size_t part = 0; part < 20; part++) {
        uint8_t row[SIZE * SIZE * 3], *cut = malloc(f->n * part / 20 + 1);
        assert_non_null(cut);
        memcpy(cut, f->bytes, f->n * part / 20);
        clip_error e = {0};
        clip_status s = clip_image_to_row(&spec, cut, f->n * part / 20, NULL, row, &info, &e);
        if (s) assert_true(e.text[0]);
        else assert_true(info.truncated || part > 16); /* the last bytes may be no pixels */
        free(cut);
    }
    assert_int_equal(clip_photo_probe(f->bytes, f->n, &(clip_limits){.max_pixels = (uint64_t)(w * h - 1)}, &info, NULL),
                     CLIP_E_LIMIT);
    sample_file_free(f);
}

static clip_status status_within(const sample_file *f, uint64_t max_memory)
{
    uint8_t row[SIZE * SIZE * 3];
    return clip_image_to_row(&spec, f->bytes, f->n, &(clip_limits){.max_memory = max_memory}, row, NULL, NULL);
}

/* cmocka's skip() counts as a failure in TAP. */
static bool lacks(clip_format f)
{
    if (!clip_format_supported(f)) print_message("# skipped: this build cannot read %s\n", clip_format_name(f));
    return !clip_format_supported(f);
}

static void webp_is_read_and_truncated_gives_its_rows(void **state)
{
    if (lacks(CLIP_FORMAT_WEBP)) return;
    uint8_t *pixels = sample_pixels(W, H, 1);
    sample_file f = sample_webp_make(pixels, W, H, true);
    sample_file cut = {f.bytes, f.n * 6 / 10};
    clip_photo info;
    clip_picture p = decode(&cut, &info);
    assert_true(info.truncated);
    assert_int_equal(info.height, H);
    assert_in_range(p.height, 5, H - 5);
    assert_memory_equal(p.rgb, pixels, (size_t)p.height * W * 3);
    clip_picture_finish(&p);
    check(&f, CLIP_FORMAT_WEBP, pixels, W, H, 0);
    f = sample_webp_make(pixels, W, H, false);
    check(&f, CLIP_FORMAT_WEBP, pixels, W, H, 25); /* the noise of its chroma is lost */
    free(pixels);
}

/* Slopes without noise, which no chroma subsampling hurts. */
static uint8_t *smooth(int w, int h)
{
    uint8_t *p = malloc((size_t)w * (size_t)h * 3), *to = p;
    assert_non_null(p);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) *to++ = (uint8_t)(x * 255 / w), *to++ = (uint8_t)(y * 255 / h), *to++ = 90;
    return p;
}

static void heic_and_avif_are_read_as_the_file_turns_them(void **state)
{
    if (lacks(CLIP_FORMAT_HEIC)) return;
    uint8_t *pixels = smooth(W + 1, H); /* even sides: no codec pads them */
    int written = 0, tw, th;
    for (int avif = 0; avif < 2; avif++)
        for (int o = 1; o <= 8; o++) {
            sample_file f = sample_heif_make(pixels, W + 1, H, avif, o);
            if (!f.bytes) continue;
            uint8_t *turned = sample_turn(pixels, W + 1, H, o, &tw, &th);
            clip_photo info;
            clip_picture p = decode(&f, &info);
            assert_int_equal(info.orientation, 1);
            clip_picture_finish(&p);
            check(&f, avif ? CLIP_FORMAT_AVIF : CLIP_FORMAT_HEIC, turned, tw, th, 3);
            free(turned);
            written++;
        }
    free(pixels);
    if (!written) print_message("# skipped: libheif has no encoder here\n");
}

static void gif_is_read_interlaced_or_not(void **state)
{
    if (lacks(CLIP_FORMAT_GIF)) return;
    uint8_t gray[W * H], rgb[W * H * 3];
    for (int i = 0; i < W * H; i++) gray[i] = (uint8_t)(i * 7 / 5), memset(rgb + 3 * i, gray[i], 3);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        sample_file f = sample_gif_make(gray, W, H, interlaced), cut = {f.bytes, f.n * 6 / 10};
        clip_photo info;
        clip_picture p = decode(&cut, &info);
        assert_true(info.truncated);
        if (!interlaced) assert_memory_equal(p.rgb, rgb, (size_t)p.height * W * 3);
        clip_picture_finish(&p);
        check(&f, CLIP_FORMAT_GIF, rgb, W, H, 0);
    }
}

static void tiff_is_read_in_strips_tiles_and_all_orientations(void **state)
{
    if (lacks(CLIP_FORMAT_TIFF)) return;
    uint8_t *pixels = sample_pixels(W, H, 3);
    static const sample_tiff kinds[] = {{0}, {.rows_per_strip = 7}, {.tiled = true}, {.compression = 5, .rows_per_strip = 1},
                                        {.compression = 8}, {.compression = 32773, .rows_per_strip = 16}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        sample_file f = sample_tiff_make(pixels, W, H, &kinds[i]);
        check(&f, CLIP_FORMAT_TIFF, pixels, W, H, 0);
    }
    for (int o = 1; o <= 8; o++) {
        int sw, sh;
        uint8_t *stored = sample_unturn(pixels, W, H, o, &sw, &sh);
        sample_file f = sample_tiff_make(stored, sw, sh, &(sample_tiff){.orientation = o, .rows_per_strip = 9});
        clip_photo info;
        assert_int_equal(clip_photo_probe(f.bytes, f.n, NULL, &info, NULL), CLIP_OK);
        assert_int_equal(info.orientation, o);
        check(&f, CLIP_FORMAT_TIFF, pixels, W, H, 0);
        free(stored);
    }
    free(pixels);
}

static void sixteen_bits_of_tiff_are_scaled(void **state)
{
    if (lacks(CLIP_FORMAT_TIFF)) return;
    uint16_t gray[W * H];
    uint8_t rgb[W * H * 3];
    for (int i = 0; i < W * H; i++) gray[i] = (uint16_t)(i * 13), memset(rgb + 3 * i, gray[i] / 257, 3);
    sample_file f = sample_tiff_make((uint8_t *)gray, W, H, &(sample_tiff){.gray16 = true});
    check(&f, CLIP_FORMAT_TIFF, rgb, W, H, 1);
}

/* As in the other formats, what is transparent keeps its colour. */
static void alpha_of_tiff_is_dropped(void **state)
{
    if (lacks(CLIP_FORMAT_TIFF)) return;
    uint8_t *pixels = smooth(W, H), four[W * H * 4];
    for (int i = 0; i < W * H; i++) memcpy(four + 4 * i, pixels + 3 * i, 3), four[4 * i + 3] = (uint8_t)(i * 7);
    sample_file f = sample_tiff_make(four, W, H, &(sample_tiff){.alpha = true, .rows_per_strip = 7});
    check(&f, CLIP_FORMAT_TIFF, pixels, W, H, 0);
    free(pixels);
}

static void a_raw_photo_is_its_largest_preview(void **state)
{
    uint8_t *pixels = smooth(W, H), *tiny = smooth(20, 15);
    sample_file liar = sample_exif_make(&(sample_exif){.orientation = 3, .make = "liar"});
    sample_file small = sample_jpeg_make(tiny, 20, 15, &(sample_jpeg){0});
    sample_file large = sample_jpeg_make(pixels, W, H, &(sample_jpeg){.exif = &liar, .quality = 98});
    for (int big = 0; big < 2; big++) {
        sample_file f = sample_raw_make(&small, &large, 6, big);
        clip_photo info;
        clip_picture p = decode(&f, &info);
        int tw, th;
        uint8_t *turned = sample_turn(pixels, W, H, 6, &tw, &th);
        assert_string_equal(info.camera, "Canon EOS R5");
        assert_int_equal(info.orientation, 6); /* the outer file's word counts */
        clip_picture_finish(&p);
        check(&f, CLIP_FORMAT_RAW, turned, tw, th, 1.5);
        free(turned);
    }
    sample_file raf = sample_raf_make(&large);
    clip_photo info;
    clip_picture p = decode(&raf, &info);
    assert_int_equal(info.format, CLIP_FORMAT_RAW);
    assert_int_equal(info.orientation, 3);
    clip_picture_finish(&p);
    sample_file_free(&raf);
    sample_file_free(&small);
    sample_file_free(&large);
    sample_file_free(&liar);
    free(pixels);
    free(tiny);
}

static void a_raw_photo_without_a_preview_says_so(void **state)
{
    sample_file nothing = {(uint8_t *)"12345678", 8}, f = sample_raw_make(&nothing, &nothing, 1, false);
    uint8_t row[SIZE * SIZE * 3];
    clip_error e = {0};
    clip_photo info;
    assert_int_equal(clip_image_to_row(&spec, f.bytes, f.n, NULL, row, &info, &e), CLIP_E_UNSUPPORTED);
    assert_string_equal(e.text, "a raw photo without a preview");
    assert_int_equal(info.format, CLIP_FORMAT_RAW);
    sample_file_free(&f);
}

/* The first frame of a JPEG is looked for segment by segment, and many entries may name the same JPEG. */
static void previews_of_endless_segments_are_given_up(void **state)
{
    enum { SEGMENTS = 70000 };
    uint8_t *pixels = sample_pixels(W, H, 4);
    sample_file small = sample_jpeg_make(pixels, W / 2, H / 2, &(sample_jpeg){0}), large = sample_jpeg_make(pixels, W, H, &(sample_jpeg){0});
    sample_file endless = {malloc(large.n + 4 * SEGMENTS), large.n + 4 * SEGMENTS};
    assert_non_null(endless.bytes);
    memcpy(endless.bytes, large.bytes, 2);
    for (size_t i = 0; i < SEGMENTS; i++) memcpy(endless.bytes + 2 + 4 * i, "\xff\xe1\0\2", 4);
    memcpy(endless.bytes + 2 + 4 * SEGMENTS, large.bytes + 2, large.n - 2);
    sample_file f = sample_raw_make(&small, &endless, 1, false);
    clip_photo info;
    clip_picture p = decode(&f, &info);
    assert_int_equal(p.width, W / 2);
    clip_picture_finish(&p);
    sample_file_free(&f), sample_file_free(&small), sample_file_free(&large), sample_file_free(&endless);
    free(pixels);
}

static void what_must_be_held_whole_counts_against_the_memory_limit(void **state)
{
    uint8_t *pixels = sample_pixels(W, H, 3);
    sample_file strips = sample_tiff_make(pixels, W, H, &(sample_tiff){.rows_per_strip = 2});
    sample_file one = sample_tiff_make(pixels, W, H, &(sample_tiff){0});
    sample_file gif = sample_gif_make(pixels, W, H, false), interlaced = sample_gif_make(pixels, W, H, true);
    sample_file webp = sample_webp_make(pixels, W, H, true), lossy = sample_webp_make(pixels, W, H, false);
    sample_file avif = sample_heif_make(pixels, W - 1, H, true, 1);
    if (avif.bytes) assert_int_equal(status_within(&avif, (W - 1) * H * 6 - 1), CLIP_E_LIMIT);
    if (avif.bytes) assert_int_equal(status_within(&avif, (W - 1) * H * 6), CLIP_OK);
    if (one.bytes) assert_int_equal(status_within(&one, W * H * 4), CLIP_E_LIMIT);
    if (strips.bytes) assert_int_equal(status_within(&strips, W * H * 4), CLIP_OK);
    if (interlaced.bytes) assert_int_equal(status_within(&interlaced, W * H - 1), CLIP_E_LIMIT);
    if (gif.bytes) assert_int_equal(status_within(&gif, W * H - 1), CLIP_OK);
    if (webp.bytes) assert_int_equal(status_within(&webp, W * H * 6), CLIP_E_LIMIT);
    if (webp.bytes) assert_int_equal(status_within(&webp, W * H * 7), CLIP_OK);
    if (lossy.bytes) assert_int_equal(status_within(&lossy, W * H * 3), CLIP_E_LIMIT);
    if (lossy.bytes) assert_int_equal(status_within(&lossy, W * H * 4), CLIP_OK);
    sample_file_free(&strips);
    sample_file_free(&one);
    sample_file_free(&gif);
    sample_file_free(&interlaced);
    sample_file_free(&webp);
    sample_file_free(&lossy);
    sample_file_free(&avif);
    free(pixels);
}

/* ---- threads --------------------------------------------------------------------------------------------------- */

typedef struct worker {
    pthread_t thread;
    const sample_file *files;
    size_t n;
    uint8_t rows[8][SIZE * SIZE * 3];
    int failed;
} worker;

static void *work(void *argument)
{
    worker *w = argument;
    for (size_t i = 0; i < w->n; i++)
        if (w->files[i].bytes && clip_image_to_row(&spec, w->files[i].bytes, w->files[i].n, NULL, w->rows[i], NULL, NULL))
            w->failed++;
    return NULL;
}

static void many_threads_decode_at_once(void **state)
{
    enum { THREADS = 4 };
    static worker workers[THREADS];
    uint8_t *pixels = sample_pixels(W, H, 5);
    sample_file files[] = {sample_jpeg_make(pixels, W, H, &(sample_jpeg){0}),
                           sample_png_make(pixels, W, H, &(sample_png){.colour_type = 2, .bits = 8}),
                           sample_webp_make(pixels, W, H, true), sample_heif_make(pixels, W - 1, H, true, 1),
                           sample_tiff_make(pixels, W, H, &(sample_tiff){0}), sample_gif_make(pixels, W, H, false)};
    size_t n = sizeof files / sizeof *files;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.files = files, .n = n};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failed, 0);
        assert_memory_equal(workers[i].rows, workers[0].rows, sizeof workers[0].rows);
    }
    for (size_t i = 0; i < n; i++) sample_file_free(&files[i]);
    free(pixels);
}

/* Directories that point at each other, at themselves, and beyond the file. */
static void loops_of_directories_end(void **state)
{
    static const uint8_t loop[] = {'I', 'I', 42, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                   2, 0, 0x4a, 1, 4, 0, 1, 0, 0, 0, 16, 0, 0, 0, /* sub-directory: itself */
                                   0x4a, 1, 4, 0, 0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0, /* four thousand million of them */
                                   16, 0, 0, 0}; /* next: itself */
    uint8_t row[SIZE * SIZE * 3];
    for (size_t n = 0; n <= sizeof loop; n++) {
        uint8_t *cut = malloc(n + 1);
        assert_non_null(cut);
        memcpy(cut, loop, n);
        assert_int_not_equal(clip_image_to_row(&spec, cut, n, NULL, row, NULL, NULL), CLIP_OK);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webp_is_read_and_truncated_gives_its_rows),
        cmocka_unit_test(heic_and_avif_are_read_as_the_file_turns_them),
        cmocka_unit_test(gif_is_read_interlaced_or_not),
        cmocka_unit_test(tiff_is_read_in_strips_tiles_and_all_orientations),
        cmocka_unit_test(sixteen_bits_of_tiff_are_scaled),
        cmocka_unit_test(alpha_of_tiff_is_dropped),
        cmocka_unit_test(a_raw_photo_is_its_largest_preview),
        cmocka_unit_test(a_raw_photo_without_a_preview_says_so),
        cmocka_unit_test(loops_of_directories_end),
        cmocka_unit_test(previews_of_endless_segments_are_given_up),
        cmocka_unit_test(what_must_be_held_whole_counts_against_the_memory_limit),
        cmocka_unit_test(many_threads_decode_at_once),
    };
    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
