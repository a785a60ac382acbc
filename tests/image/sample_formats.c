/* sample_formats.c: photos in the formats that a build may lack, through the format's own library. */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

/* The HEVC encoder and libheif's AV1 decoder leak a little for each picture; the leak sanitizer is told that we know. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libx265\nleak:libdav1d\n"; }

#ifdef CLIP_HAVE_WEBP
#include <webp/encode.h>

sample_file sample_webp_make(const uint8_t *pixels, int w, int h, bool lossless)
{
    uint8_t *bytes = NULL;
    size_t n = lossless ? WebPEncodeLosslessRGB(pixels, w, h, w * 3, &bytes) : WebPEncodeRGB(pixels, w, h, w * 3, 95, &bytes);
    sample_file f = {n ? malloc(n) : NULL, n};
    if (f.bytes) memcpy(f.bytes, bytes, n);
    WebPFree(bytes);
    return f;
}
#else
sample_file sample_webp_make(const uint8_t *pixels, int w, int h, bool lossless) { return (sample_file){0}; }
#endif

#ifdef CLIP_HAVE_HEIF
#include <libheif/heif.h>

static struct heif_error heif_append(struct heif_context *c, const void *data, size_t n, void *user)
{
    sample_file *f = user;
    f->bytes = realloc(f->bytes, f->n + n);
    if (!f->bytes) abort();
    memcpy(f->bytes + f->n, data, n);
    f->n += n;
    return (struct heif_error){heif_error_Ok, heif_suberror_Unspecified, "ok"};
}

static struct heif_image *heif_pixels(const uint8_t *pixels, int w, int h)
{
    struct heif_image *image = NULL;
    int stride;
    if (heif_image_create(w, h, heif_colorspace_RGB, heif_chroma_interleaved_RGB, &image).code) abort();
    if (heif_image_add_plane(image, heif_channel_interleaved, w, h, 8).code) abort();
    uint8_t *to = heif_image_get_plane(image, heif_channel_interleaved, &stride);
    for (int y = 0; y < h; y++) memcpy(to + (size_t)y * (size_t)stride, pixels + (size_t)y * (size_t)w * 3, (size_t)w * 3);
    return image;
}

sample_file sample_heif_make(const uint8_t *pixels, int w, int h, bool avif, int orientation)
{
    sample_file f = {0};
    struct heif_context *c = heif_context_alloc();
    struct heif_encoder *encoder = NULL;
    struct heif_writer writer = {1, heif_append};
    if (heif_context_get_encoder_for_format(c, avif ? heif_compression_AV1 : heif_compression_HEVC, &encoder).code == 0) {
        struct heif_image *image = heif_pixels(pixels, w, h);
        struct heif_encoding_options *o = heif_encoding_options_alloc();
        o->image_orientation = (enum heif_orientation)orientation; /* libheif's numbers are EXIF's */
        heif_encoder_set_lossy_quality(encoder, 95);
        if (heif_context_encode_image(c, image, encoder, o, NULL).code == 0) heif_context_write(c, &writer, &f);
        heif_encoding_options_free(o);
        heif_image_release(image);
        heif_encoder_release(encoder);
    }
    heif_context_free(c);
    return f;
}
#else
sample_file sample_heif_make(const uint8_t *pixels, int w, int h, bool avif, int orientation) { return (sample_file){0}; }
#endif

#ifdef CLIP_HAVE_GIF
#include <gif_lib.h>

static int gif_append(GifFileType *g, const GifByteType *bytes, int n)
{
    sample_file *f = g->UserData;
    f->bytes = realloc(f->bytes, f->n + (size_t)n);
    if (!f->bytes) abort();
    memcpy(f->bytes + f->n, bytes, (size_t)n);
    f->n += (size_t)n;
    return n;
}

sample_file sample_gif_make(const uint8_t *pixels, int w, int h, bool interlaced)
{
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    sample_file f = {0};
    int code;
    GifFileType *g = EGifOpen(&f, gif_append, &code);
    ColorMapObject *gray = GifMakeMapObject(256, NULL);
    if (!g || !gray) abort();
    for (int i = 0; i < 256; i++) gray->Colors[i] = (GifColorType){(GifByteType)i, (GifByteType)i, (GifByteType)i};
    EGifPutScreenDesc(g, w, h, 8, 0, gray);
    EGifPutImageDesc(g, 0, 0, w, h, interlaced, NULL);
    for (int pass = 0; pass < (interlaced ? 4 : 1); pass++)
        for (int y = interlaced ? first[pass] : 0; y < h; y += interlaced ? step[pass] : 1)
            EGifPutLine(g, (GifPixelType *)pixels + (size_t)y * (size_t)w, w);
    EGifCloseFile(g, &code);
    GifFreeMapObject(gray);
    return f;
}
#else
sample_file sample_gif_make(const uint8_t *pixels, int w, int h, bool interlaced) { return (sample_file){0}; }
#endif

#ifdef CLIP_HAVE_TIFF
#include <sys/mman.h>
#include <tiffio.h>
#include <unistd.h>

static void tiff_tiles(TIFF *t, const uint8_t *pixels, int w, int h)
{
    uint8_t tile[16 * 16 * 3];
    for (int ty = 0; ty < h; ty += 16)
        for (int tx = 0; tx < w; tx += 16) {
            memset(tile, 0, sizeof tile);
            for (int y = 0; y < 16 && ty + y < h; y++) {
                int n = w - tx < 16 ? w - tx : 16;
                memcpy(tile + y * 16 * 3, pixels + ((size_t)(ty + y) * (size_t)w + (size_t)tx) * 3, (size_t)n * 3);
            }
            TIFFWriteTile(t, tile, (uint32_t)tx, (uint32_t)ty, 0, 0);
        }
}

sample_file sample_tiff_make(const uint8_t *pixels, int w, int h, const sample_tiff *o)
{
    int fd = memfd_create("sample", 0), bytes = o->gray16 ? 2 : o->alpha ? 4 : 3;
    TIFF *t = TIFFFdOpen(dup(fd), "sample", "w");
    if (!t) abort();
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, w);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, h);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, o->gray16 ? 1 : bytes);
    if (o->alpha) TIFFSetField(t, TIFFTAG_EXTRASAMPLES, 1, (uint16_t[]){EXTRASAMPLE_UNASSALPHA});
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, o->gray16 ? 16 : 8);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, o->gray16 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
    TIFFSetField(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(t, TIFFTAG_COMPRESSION, o->compression ? o->compression : COMPRESSION_NONE);
    if (o->orientation) TIFFSetField(t, TIFFTAG_ORIENTATION, o->orientation);
    if (o->tiled) {
        TIFFSetField(t, TIFFTAG_TILEWIDTH, 16);
        TIFFSetField(t, TIFFTAG_TILELENGTH, 16);
        tiff_tiles(t, pixels, w, h);
    } else {
        TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, o->rows_per_strip ? o->rows_per_strip : h);
        for (int y = 0; y < h; y++)
            TIFFWriteScanline(t, (void *)(pixels + (size_t)y * (size_t)w * (size_t)bytes), (uint32_t)y, 0);
    }
    TIFFClose(t);
    off_t n = lseek(fd, 0, SEEK_END);
    sample_file f = {malloc((size_t)n), (size_t)n};
    if (!f.bytes || pread(fd, f.bytes, f.n, 0) != n) abort();
    close(fd);
    return f;
}
#else
sample_file sample_tiff_make(const uint8_t *pixels, int w, int h, const sample_tiff *o) { return (sample_file){0}; }
#endif
