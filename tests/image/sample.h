/* sample.h: photos that the image tests make for themselves. */
#ifndef IMAGE_SAMPLE_H
#define IMAGE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Something like a photo: gradients under noise, the same for the same seed on every machine and in make_resize_reference.py.
 * The caller frees it. [h][w][3] */
uint8_t *sample_pixels(int w, int h, uint32_t seed);

/* `pixels` [h][w][3] turned as EXIF orientation 1..8 asks: what a viewer shows. Written by its definition, pixel by pixel.
 * The caller frees it. */
uint8_t *sample_turn(const uint8_t *pixels, int w, int h, int orientation, int *out_w, int *out_h);

/* The stored pixels that come out as `turned` [h][w][3] when they are turned. */
uint8_t *sample_unturn(const uint8_t *turned, int w, int h, int orientation, int *out_w, int *out_h);

typedef struct sample_file {
    uint8_t *bytes;
    size_t n;
} sample_file;

typedef struct sample_exif {
    int orientation;          /* 0: none */
    const char *make, *model, *date, *date_original, *date_digitized;
    const char *lat_ref, *lon_ref; /* NULL: no GPS */
    uint32_t lat[6], lon[6];  /* three fractions each */
    bool big_endian;
} sample_exif;

/* A TIFF header and its directories. The caller frees bytes, here and below. */
sample_file sample_exif_make(const sample_exif *e);

typedef enum sample_colour { SAMPLE_RGB, SAMPLE_GRAY, SAMPLE_CMYK, SAMPLE_YCCK, SAMPLE_STORED_RGB } sample_colour;

typedef struct sample_jpeg {
    sample_colour colour;     /* CMYK and YCCK take pixels of 4 bytes */
    int quality;              /* 0: 92 */
    bool progressive, arithmetic;
    int restart_rows;         /* restart markers every so many rows of blocks */
    int h, v;                 /* luma sampling; 0: 2 x 2 */
    const sample_file *exif;
} sample_jpeg;

sample_file sample_jpeg_make(const uint8_t *pixels, int w, int h, const sample_jpeg *o);

typedef struct sample_png {
    int colour_type, bits;    /* libpng's; samples come in `pixels` as libpng wants them after png_set_packing */
    bool interlaced;
    int level;                /* of compression; 0: 6 */
    const uint8_t *palette;   /* [colours][3] */
    int colours;
    bool transparent;         /* a tRNS chunk that makes the first colour, or gray 0 or black, transparent */
    const sample_file *exif;
    bool exif_last;           /* behind the pixels */
} sample_png;

sample_file sample_png_make(const void *pixels, int w, int h, const sample_png *o);

/* A raw photo as cameras write them: a TIFF whose first directory has a small preview, whose second the large one, and a
 * third the sensor's data (here nothing). */
sample_file sample_raw_make(const sample_file *small, const sample_file *large, int orientation, bool big_endian);

/* Fuji's form: a header that points at one JPEG. */
sample_file sample_raf_make(const sample_file *jpeg);

/* The formats beyond JPEG and PNG, each there when the build has it; bytes is NULL where this machine cannot write it. */
sample_file sample_webp_make(const uint8_t *pixels, int w, int h, bool lossless);
sample_file sample_heif_make(const uint8_t *pixels, int w, int h, bool avif, int orientation);
sample_file sample_gif_make(const uint8_t *pixels, int w, int h, bool interlaced); /* pixels: 0..255 gray, [h][w] */

typedef struct sample_tiff {
    int orientation, compression, rows_per_strip; /* 0: upright, none, all */
    bool tiled, gray16, alpha; /* gray16 takes pixels of 2 bytes, alpha of 4, without tiles both */
} sample_tiff;

sample_file sample_tiff_make(const uint8_t *pixels, int w, int h, const sample_tiff *o);

void sample_file_free(sample_file *f);

#endif
