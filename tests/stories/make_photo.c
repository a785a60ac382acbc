/* make_photo.c: a photo of its own for every story. What it shows is decided by a seed (a few soft coloured shapes), so
 * that two seeds never look alike and one seed always looks the same.
 *
 *     make_photo FILE SEED [WIDTH HEIGHT] [--orientation N] [--taken "2023:07:14 18:30:00"] [--camera NAME]
 *                [--gps LAT,LON] [--png]
 *
 * JPEG by libjpeg with a hand-made EXIF segment (little-endian TIFF: IFD0 -> Exif IFD, GPS IFD), or PNG by libpng. */
#include <png.h>

#include <jpeglib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct facts {
    int orientation;
    const char *taken, *camera;
    int has_gps;
    double latitude, longitude;
} facts;

/* ---- pixels ---- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static uint8_t *paint(uint32_t seed, int width, int height)
{
    enum { SHAPES = 7 };
    double x[SHAPES], y[SHAPES], radius[SHAPES], colour[SHAPES + 1][3];
    uint32_t state = seed * 2654435761u + 12345u;
    for (int s = 0; s <= SHAPES; s++)
        for (int c = 0; c < 3; c++) colour[s][c] = next_random(&state) % 256;
    for (int s = 0; s < SHAPES; s++) {
        x[s] = next_random(&state) % 1000 / 1000.0, y[s] = next_random(&state) % 1000 / 1000.0;
        radius[s] = 0.05 + next_random(&state) % 1000 / 3500.0;
    }
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3), *p = rgb;
    for (int j = 0; rgb && j < height; j++)
        for (int i = 0; i < width; i++, p += 3) {
            int top = SHAPES;
            for (int s = 0; s < SHAPES; s++)
                if (hypot((i + .5) / width - x[s], (j + .5) / height - y[s]) < radius[s]) top = s;
            for (int c = 0; c < 3; c++) p[c] = (uint8_t)(0.8 * colour[top][c] + 50.0 * j / height);
        }
    return rgb;
}

/* ---- EXIF ---- */

typedef struct tiff { uint8_t bytes[1024]; size_t used; } tiff;

static void put(tiff *t, size_t at, uint32_t value, int size)
{
    for (int i = 0; i < size; i++) t->bytes[at + (size_t)i] = (uint8_t)(value >> 8 * i);
}

static size_t put_data(tiff *t, const void *data, size_t n)
{
    size_t at = t->used;
    memcpy(t->bytes + at, data, n);
    t->used += n + n % 2;
    return at;
}

/* A directory with room for `room` entries; entries are added with put_entry. */
static size_t begin_ifd(tiff *t, int room)
{
    size_t at = t->used;
    t->used += 2 + 12 * (size_t)room + 4;
    return at;
}

static void put_entry(tiff *t, size_t ifd, uint16_t tag, uint16_t type, uint32_t count, uint32_t value)
{
    uint32_t n = t->bytes[ifd];
    size_t at = ifd + 2 + 12 * n;
    put(t, at, tag, 2), put(t, at + 2, type, 2), put(t, at + 4, count, 4), put(t, at + 8, value, 4);
    put(t, ifd, n + 1, 2);
}

static void put_text(tiff *t, size_t ifd, uint16_t tag, const char *text)
{
    size_t n = strlen(text) + 1, at = put_data(t, text, n);
    put_entry(t, ifd, tag, 2, (uint32_t)n, (uint32_t)at);
}

static void put_degrees(tiff *t, size_t ifd, uint16_t tag, double degrees, const char *hemispheres)
{
    double left = fabs(degrees);
    uint32_t d = (uint32_t)left, m = (uint32_t)((left - d) * 60), s = (uint32_t)(((left - d) * 60 - m) * 60 * 1000 + .5);
    uint8_t numbers[24];
    const uint32_t parts[6] = {d, 1, m, 1, s, 1000};
    for (int i = 0; i < 24; i++) numbers[i] = (uint8_t)(parts[i / 4] >> 8 * (i % 4));
    put_entry(t, ifd, tag, 2, 2, (uint32_t)(uint8_t)hemispheres[degrees < 0]);
    put_entry(t, ifd, (uint16_t)(tag + 1), 5, 3, (uint32_t)put_data(t, numbers, 24));
}

static void make_exif(tiff *t, const facts *f)
{
    memcpy(t->bytes, "II*\0\10\0\0\0", 8);
    t->used = 8;
    size_t ifd0 = begin_ifd(t, 4);
    if (f->camera) put_text(t, ifd0, 0x0110, f->camera);
    put_entry(t, ifd0, 0x0112, 3, 1, (uint32_t)f->orientation);
    if (f->taken) {
        size_t exif = begin_ifd(t, 1);
        put_entry(t, ifd0, 0x8769, 4, 1, (uint32_t)exif);
        put_text(t, exif, 0x9003, f->taken);
    }
    if (f->has_gps) {
        size_t gps = begin_ifd(t, 4);
        put_entry(t, ifd0, 0x8825, 4, 1, (uint32_t)gps);
        put_degrees(t, gps, 1, f->latitude, "NS");
        put_degrees(t, gps, 3, f->longitude, "EW");
    }
}

/* ---- files ---- */

static void write_jpeg(FILE *file, uint8_t *rgb, int width, int height, const facts *f)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    tiff t = {0};
    uint8_t marker[6 + sizeof t.bytes] = "Exif\0";
    make_exif(&t, f);
    memcpy(marker + 6, t.bytes, t.used);
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, file);
    c.image_width = (JDIMENSION)width, c.image_height = (JDIMENSION)height;
    c.input_components = 3, c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 90, TRUE);
    jpeg_start_compress(&c, TRUE);
    jpeg_write_marker(&c, JPEG_APP0 + 1, marker, (unsigned)(6 + t.used));
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = rgb + (size_t)c.next_scanline * (size_t)width * 3;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
}

static int write_png(FILE *file, const uint8_t *rgb, int width, int height)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    image.width = (png_uint_32)width, image.height = (png_uint_32)height;
    return png_image_write_to_stdio(&image, file, 0, rgb, 0, NULL);
}

static int usage(void)
{
    fputs("usage: make_photo FILE SEED [WIDTH HEIGHT] [--orientation N] [--taken T] [--camera C] [--gps LAT,LON] [--png]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    facts f = {.orientation = 1};
    int png = 0, size[2] = {160, 120}, sizes = 0, ok = 1;
    if (argc < 3) return usage();
    for (int i = 3; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--png") == 0) png = 1;
        else if (strcmp(argv[i], "--orientation") == 0) f.orientation = atoi(value), i++;
        else if (strcmp(argv[i], "--taken") == 0) f.taken = value, i++;
        else if (strcmp(argv[i], "--camera") == 0) f.camera = value, i++;
        else if (strcmp(argv[i], "--gps") == 0) f.has_gps = sscanf(value, "%lf,%lf", &f.latitude, &f.longitude) == 2, i++;
        else if (argv[i][0] != '-' && sizes < 2) size[sizes++] = atoi(argv[i]);
        else return usage();
    }
    if (size[0] < 1 || size[1] < 1 || size[0] > 20000 || size[1] > 20000) return usage();
    uint8_t *rgb = paint((uint32_t)atoi(argv[2]), size[0], size[1]);
    FILE *file = fopen(argv[1], "wb");
    if (!rgb || !file) return perror(argv[1]), 2;
    if (png) ok = write_png(file, rgb, size[0], size[1]);
    else write_jpeg(file, rgb, size[0], size[1], &f);
    free(rgb);
    return fclose(file) == 0 && ok ? 0 : 2;
}
