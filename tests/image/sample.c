/* sample.c: photos that the image tests make for themselves, through the format's own library. */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

static void *must(void *p)
{
    if (!p) abort();
    return p;
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

static uint32_t hash(uint32_t x)
{
    x *= 0x9e3779b1u;
    x ^= x >> 15;
    x *= 0x85ebca77u;
    x ^= x >> 13;
    x *= 0xc2b2ae3du;
    return x ^ x >> 16;
}

uint8_t *sample_pixels(int w, int h, uint32_t seed)
{
    uint8_t *p = must(malloc((size_t)w * (size_t)h * 3));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint32_t slope[3] = {(uint32_t)(x * 255 / w), (uint32_t)(y * 255 / h), (uint32_t)(x + 2 * y) & 255};
            for (int c = 0; c < 3; c++) {
                uint32_t i = ((uint32_t)y * (uint32_t)w + (uint32_t)x) * 3 + (uint32_t)c;
                p[i] = (uint8_t)((slope[c] * 5 + (hash(i + seed) & 255) * 3) / 8);
            }
        }
    return p;
}

/* Where the turned photo's pixel (x, y) lies in a stored one of w x h. */
static size_t stored_index(int x, int y, int w, int h, int orientation)
{
    int sx = x, sy = y;
    switch (orientation) {
    case 2: sx = w - 1 - x; break;
    case 3: sx = w - 1 - x, sy = h - 1 - y; break;
    case 4: sy = h - 1 - y; break;
    case 5: sx = y, sy = x; break;
    case 6: sx = y, sy = h - 1 - x; break;
    case 7: sx = w - 1 - y, sy = h - 1 - x; break;
    case 8: sx = w - 1 - y, sy = x; break;
    default: break;
    }
    return ((size_t)sy * (size_t)w + (size_t)sx) * 3;
}

uint8_t *sample_turn(const uint8_t *pixels, int w, int h, int orientation, int *out_w, int *out_h)
{
    *out_w = orientation >= 5 ? h : w;
    *out_h = orientation >= 5 ? w : h;
    uint8_t *out = must(malloc((size_t)w * (size_t)h * 3)), *to = out;
    for (int y = 0; y < *out_h; y++)
        for (int x = 0; x < *out_w; x++, to += 3) memcpy(to, pixels + stored_index(x, y, w, h, orientation), 3);
    return out;
}

uint8_t *sample_unturn(const uint8_t *turned, int w, int h, int orientation, int *out_w, int *out_h)
{
    *out_w = orientation >= 5 ? h : w;
    *out_h = orientation >= 5 ? w : h;
    uint8_t *out = must(malloc((size_t)w * (size_t)h * 3));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, turned += 3) memcpy(out + stored_index(x, y, *out_w, *out_h, orientation), turned, 3);
    return out;
}

void sample_file_free(sample_file *f)
{
    free(f->bytes);
    *f = (sample_file){0};
}

/* ---- EXIF ------------------------------------------------------------------------------------------------------ */

typedef struct tiff {
    uint8_t bytes[2048];
    size_t entry, data; /* where the next directory entry and the next value go */
    bool big;
} tiff;

static void put(tiff *t, size_t at, uint32_t v, int size)
{
    for (int i = 0; i < size; i++) t->bytes[at + (size_t)i] = (uint8_t)(v >> 8 * (t->big ? size - 1 - i : i));
}

static void tiff_entry(tiff *t, int tag, int type, uint32_t count)
{
    put(t, t->entry, (uint32_t)tag, 2);
    put(t, t->entry + 2, (uint32_t)type, 2);
    put(t, t->entry + 4, count, 4);
    t->entry += 12;
}

static void tiff_number(tiff *t, int tag, int type, uint32_t v)
{
    tiff_entry(t, tag, type, 1);
    put(t, t->entry - 4, v, type == 3 ? 2 : 4);
}

static void tiff_text(tiff *t, int tag, const char *s)
{
    if (!s) return;
    size_t n = strlen(s) + 1;
    tiff_entry(t, tag, 2, (uint32_t)n);
    if (n <= 4) {
        memcpy(t->bytes + t->entry - 4, s, n);
        return;
    }
    put(t, t->entry - 4, (uint32_t)t->data, 4);
    memcpy(t->bytes + t->data, s, n);
    t->data += n + (n & 1);
}

static void tiff_fractions(tiff *t, int tag, const uint32_t v[6])
{
    tiff_entry(t, tag, 5, 3);
    put(t, t->entry - 4, (uint32_t)t->data, 4);
    for (int i = 0; i < 6; i++, t->data += 4) put(t, t->data, v[i], 4);
}

/* Opens a directory with room for 8 entries at the next free place, and says where. */
static uint32_t tiff_directory(tiff *t)
{
    uint32_t at = (uint32_t)t->data;
    t->entry = at + 2;
    t->data = at + 2 + 8 * 12 + 4;
    return at;
}

static void tiff_close(tiff *t, uint32_t directory)
{
    put(t, directory, (uint32_t)(t->entry - directory - 2) / 12, 2);
}

sample_file sample_exif_make(const sample_exif *e)
{
    tiff t = {.data = 8, .big = e->big_endian};
    memcpy(t.bytes, e->big_endian ? "MM" : "II", 2);
    put(&t, 2, 42, 2);
    put(&t, 4, 8, 4);
    uint32_t main = tiff_directory(&t);
    tiff_text(&t, 0x10f, e->make);
    tiff_text(&t, 0x110, e->model);
    if (e->orientation) tiff_number(&t, 0x112, 3, (uint32_t)e->orientation);
    tiff_text(&t, 0x132, e->date);
    size_t exif_entry = t.entry;
    tiff_number(&t, 0x8769, 4, 0);
    size_t gps_entry = t.entry;
    if (e->lat_ref) tiff_number(&t, 0x8825, 4, 0);
    tiff_close(&t, main);

    uint32_t exif = tiff_directory(&t);
    put(&t, exif_entry + 8, exif, 4);
    tiff_text(&t, 0x9003, e->date_original);
    tiff_text(&t, 0x9004, e->date_digitized);
    tiff_close(&t, exif);
    if (e->lat_ref) {
        uint32_t gps = tiff_directory(&t);
        put(&t, gps_entry + 8, gps, 4);
        tiff_text(&t, 1, e->lat_ref);
        tiff_fractions(&t, 2, e->lat);
        tiff_text(&t, 3, e->lon_ref);
        tiff_fractions(&t, 4, e->lon);
        tiff_close(&t, gps);
    }
    sample_file f = {must(malloc(t.data)), t.data};
    memcpy(f.bytes, t.bytes, t.data);
    return f;
}

/* ---- raw ------------------------------------------------------------------------------------------------------- */

sample_file sample_raw_make(const sample_file *small, const sample_file *large, int orientation, bool big_endian)
{
    tiff t = {.data = 8, .big = big_endian};
    memcpy(t.bytes, big_endian ? "MM" : "II", 2);
    put(&t, 2, 42, 2);
    put(&t, 4, 8, 4);
    uint32_t first = tiff_directory(&t);
    tiff_text(&t, 0x10f, "Canon");
    tiff_text(&t, 0x110, "Canon EOS R5");
    tiff_number(&t, 0x112, 3, (uint32_t)orientation);
    tiff_entry(&t, 0x14a, 4, 2); /* two sub-directories */
    size_t sub_entry = t.entry - 4;
    tiff_number(&t, 0x201, 4, 0);
    size_t small_entry = t.entry - 4;
    tiff_number(&t, 0x202, 4, (uint32_t)small->n);
    tiff_close(&t, first);
    uint32_t list = (uint32_t)t.data;
    put(&t, sub_entry, list, 4);
    t.data += 8;

    uint32_t second = tiff_directory(&t);
    tiff_number(&t, 0x103, 3, 6);
    tiff_number(&t, 0x111, 4, 0);
    size_t large_entry = t.entry - 4;
    tiff_number(&t, 0x117, 4, (uint32_t)large->n);
    tiff_close(&t, second);
    uint32_t third = tiff_directory(&t);
    tiff_number(&t, 0x103, 3, 1);
    tiff_number(&t, 0x106, 3, 32803);
    tiff_close(&t, third);
    put(&t, list, second, 4);
    put(&t, list + 4, third, 4);
    put(&t, small_entry, (uint32_t)t.data, 4);
    put(&t, large_entry, (uint32_t)(t.data + small->n), 4);

    sample_file f = {must(malloc(t.data + small->n + large->n)), t.data + small->n + large->n};
    memcpy(f.bytes, t.bytes, t.data);
    memcpy(f.bytes + t.data, small->bytes, small->n);
    memcpy(f.bytes + t.data + small->n, large->bytes, large->n);
    return f;
}

sample_file sample_raf_make(const sample_file *jpeg)
{
    tiff t = {.big = true};
    memcpy(t.bytes, "FUJIFILMCCD-RAW 0201", 20);
    put(&t, 84, 148, 4);
    put(&t, 88, (uint32_t)jpeg->n, 4);
    sample_file f = {must(malloc(148 + jpeg->n)), 148 + jpeg->n};
    memcpy(f.bytes, t.bytes, 148);
    memcpy(f.bytes + 148, jpeg->bytes, jpeg->n);
    return f;
}

/* ---- JPEG ------------------------------------------------------------------------------------------------------ */

static void jpeg_colour(struct jpeg_compress_struct *c, sample_colour colour)
{
    bool four = colour == SAMPLE_CMYK || colour == SAMPLE_YCCK;
    c->input_components = four ? 4 : 3;
    c->in_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(c);
    if (colour == SAMPLE_GRAY) jpeg_set_colorspace(c, JCS_GRAYSCALE);
    if (colour == SAMPLE_YCCK) jpeg_set_colorspace(c, JCS_YCCK);
    if (colour == SAMPLE_STORED_RGB) jpeg_set_colorspace(c, JCS_RGB);
}

static void jpeg_exif(struct jpeg_compress_struct *c, const sample_file *exif)
{
    uint8_t *payload = must(malloc(exif->n + 6));
    memcpy(payload, "Exif\0\0", 6);
    memcpy(payload + 6, exif->bytes, exif->n);
    jpeg_write_marker(c, JPEG_APP0 + 1, payload, (unsigned)exif->n + 6);
    free(payload);
}

sample_file sample_jpeg_make(const uint8_t *pixels, int w, int h, const sample_jpeg *o)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &n);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    jpeg_colour(&c, o->colour);
    jpeg_set_quality(&c, o->quality ? o->quality : 92, TRUE);
    if (o->h && c.num_components >= 3) {
        c.comp_info[0].h_samp_factor = o->h;
        c.comp_info[0].v_samp_factor = o->v;
    }
    if (o->progressive) jpeg_simple_progression(&c);
    c.arith_code = o->arithmetic;
    c.restart_in_rows = o->restart_rows;
    jpeg_start_compress(&c, TRUE);
    if (o->exif) jpeg_exif(&c, o->exif);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = (JSAMPROW)pixels + (size_t)c.next_scanline * (size_t)w * (size_t)c.input_components;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return (sample_file){bytes, n};
}

/* ---- PNG ------------------------------------------------------------------------------------------------------- */

static void png_write(png_structp png, png_bytep bytes, size_t n)
{
    sample_file *f = png_get_io_ptr(png);
    f->bytes = must(realloc(f->bytes, f->n + n));
    memcpy(f->bytes + f->n, bytes, n);
    f->n += n;
}

static void png_flush_nothing(png_structp png) { (void)png; }

static void png_colours(png_structp png, png_infop info, const sample_png *o)
{
    if (o->palette) {
        png_color colours[256];
        for (int i = 0; i < o->colours; i++)
            colours[i] = (png_color){o->palette[3 * i], o->palette[3 * i + 1], o->palette[3 * i + 2]};
        png_set_PLTE(png, info, colours, o->colours);
    }
    png_byte clear[1] = {0};
    png_color_16 black = {0};
    if (o->transparent) png_set_tRNS(png, info, clear, 1, &black);
}

sample_file sample_png_make(const void *pixels, int w, int h, const sample_png *o)
{
    sample_file f = {0};
    png_structp png = must(png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL));
    png_infop info = must(png_create_info_struct(png)), end = must(png_create_info_struct(png));
    png_set_write_fn(png, &f, png_write, png_flush_nothing);
    png_set_compression_level(png, o->level ? o->level : 6);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, o->bits, o->colour_type,
                 o->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_colours(png, info, o);
    if (o->exif) png_set_eXIf_1(png, o->exif_last ? end : info, (png_uint_32)o->exif->n, o->exif->bytes);
    png_write_info(png, info);
    png_set_packing(png); /* samples of 1, 2 and 4 bits come a byte each */
    size_t stride = (size_t)w * png_get_channels(png, info) * (o->bits == 16 ? 2 : 1);
    int passes = o->interlaced ? png_set_interlace_handling(png) : 1;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < h; y++) png_write_row(png, (png_bytep)pixels + (size_t)y * stride);
    png_write_end(png, end);
    png_destroy_info_struct(png, &end);
    png_destroy_write_struct(&png, &info);
    return f;
}
