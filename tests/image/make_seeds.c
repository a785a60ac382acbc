/* make_seeds.c FOLDER: writes the seeds of the image fuzz targets into FOLDER/jpeg, FOLDER/png, FOLDER/exif, ...: one small
 * file of every kind whose code differs. Run once, its results are in tests/fuzz/corpus. */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *folder;

static void save(const char *target, const char *name, sample_file f)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *out = f.bytes ? fopen(path, "wb") : NULL;
    if (!out || fwrite(f.bytes, 1, f.n, out) != f.n || fclose(out)) {
        perror(path);
        exit(1);
    }
    sample_file_free(&f);
}

static void save_jpeg(const char *name, sample_jpeg o)
{
    uint8_t *pixels = sample_pixels(40, 33, 1); /* enough for 4 bytes a pixel of the part that is used */
    save("jpeg", name, sample_jpeg_make(pixels, 29, 23, &o));
    free(pixels);
}

static void save_png(const char *name, sample_png o)
{
    uint8_t *pixels = sample_pixels(40, 40, 1), palette[16 * 3] = {1, 2, 3, 200, 100, 0};
    if (o.colour_type == 3) o.palette = palette, o.colours = 16;
    for (int i = 0; i < 40 * 40 * 3 && o.bits < 8; i++) pixels[i] &= (uint8_t)((1 << o.bits) - 1);
    save("png", name, sample_png_make(pixels, 19, 17, &o));
    free(pixels);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    folder = argv[1];
    /* Half of the file's kinds are made by libraries that a machine may lack: run it where all of them are. */
    sample_exif full = {.orientation = 6, .make = "Canon", .model = "Canon EOS 5D", .date = "2023:07:14 18:30:00",
                        .date_original = "2023:07:14 18:30:00", .lat_ref = "N", .lat = {47, 1, 30, 1, 0, 1},
                        .lon_ref = "E", .lon = {8, 1, 15, 1, 0, 1}};
    sample_file exif = sample_exif_make(&full);
    full.big_endian = true;
    save("exif", "little.tif", sample_exif_make(&(sample_exif){.orientation = 6, .make = "Canon", .model = "Canon EOS 5D"}));
    save("exif", "big.tif", sample_exif_make(&full));

    save_jpeg("baseline.jpg", (sample_jpeg){.exif = &exif});
    save_jpeg("gray.jpg", (sample_jpeg){.colour = SAMPLE_GRAY});
    save_jpeg("cmyk.jpg", (sample_jpeg){.colour = SAMPLE_CMYK});
    save_jpeg("ycck.jpg", (sample_jpeg){.colour = SAMPLE_YCCK});
    save_jpeg("progressive.jpg", (sample_jpeg){.progressive = true});
    save_jpeg("arithmetic.jpg", (sample_jpeg){.arithmetic = true});
    save_jpeg("arithmetic-progressive.jpg", (sample_jpeg){.arithmetic = true, .progressive = true});
    save_jpeg("restart.jpg", (sample_jpeg){.restart_rows = 1});
    save_jpeg("sampling-4x2.jpg", (sample_jpeg){.h = 4, .v = 2});

    save_png("rgb.png", (sample_png){.colour_type = 2, .bits = 8, .exif = &exif});
    save_png("rgb-interlaced.png", (sample_png){.colour_type = 2, .bits = 8, .interlaced = true});
    save_png("rgb16.png", (sample_png){.colour_type = 2, .bits = 16});
    save_png("rgba.png", (sample_png){.colour_type = 6, .bits = 8, .exif = &exif, .exif_last = true});
    save_png("gray1-interlaced.png", (sample_png){.colour_type = 0, .bits = 1, .interlaced = true, .transparent = true});
    save_png("palette4.png", (sample_png){.colour_type = 3, .bits = 4, .transparent = true});

    uint8_t *pixels = sample_pixels(64, 64, 1);
    save("webp", "lossy.webp", sample_webp_make(pixels, 24, 20, false));
    save("webp", "lossless.webp", sample_webp_make(pixels, 24, 20, true));
    save("heif", "turned.heic", sample_heif_make(pixels, 64, 64, false, 6)); /* smaller than 64 HEVC cannot */
    save("heif", "upright.avif", sample_heif_make(pixels, 16, 16, true, 1));
    save("gif", "plain.gif", sample_gif_make(pixels, 24, 20, false));
    save("gif", "interlaced.gif", sample_gif_make(pixels, 24, 20, true));
    save("tiff", "plain.tif", sample_tiff_make(pixels, 24, 20, &(sample_tiff){.orientation = 6, .rows_per_strip = 5}));
    save("tiff", "lzw-tiled.tif", sample_tiff_make(pixels, 24, 20, &(sample_tiff){.compression = 5, .tiled = true}));
    save("tiff", "gray16-deflate.tif", sample_tiff_make(pixels, 24, 20, &(sample_tiff){.compression = 8, .gray16 = true}));
    sample_file small = sample_jpeg_make(pixels, 8, 8, &(sample_jpeg){0}), large = sample_jpeg_make(pixels, 24, 20, &(sample_jpeg){0});
    save("raw", "little.dng", sample_raw_make(&small, &large, 6, false));
    save("raw", "big.nef", sample_raw_make(&large, &small, 3, true));
    save("raw", "fuji.raf", sample_raf_make(&small));
    sample_file_free(&small);
    sample_file_free(&large);
    sample_file_free(&exif);
    free(pixels);
    return 0;
}
