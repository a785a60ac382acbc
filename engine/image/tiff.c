/* tiff.c: TIFF by libtiff's RGBA reader, which knows every compression and colour space; in bands of one strip or tile
 * row, so that only a single-strip file costs its whole size. Its own turning is switched off: orientation is ours. */
#include "engine/image/decode.h"
#include "engine/lazy.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#define SYMBOLS(X) \
    X(TIFFOpenOptionsAlloc) X(TIFFOpenOptionsFree) X(TIFFOpenOptionsSetMaxSingleMemAlloc) \
    X(TIFFOpenOptionsSetErrorHandlerExtR) X(TIFFOpenOptionsSetWarningHandlerExtR) X(TIFFClientOpenExt) X(TIFFClose) \
    X(TIFFGetField) X(TIFFGetFieldDefaulted) X(TIFFSetField) X(TIFFRGBAImageOK) X(TIFFRGBAImageBegin) \
    X(TIFFRGBAImageGet) X(TIFFRGBAImageEnd) X(TIFFIsTiled)
static struct { SYMBOLS(CLIP_LAZY_MEMBER) } tiff;
#define LIB tiff

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

static void load(void)
{
    static const clip_lazy_symbol symbols[] = {SYMBOLS(CLIP_LAZY_SYMBOL)};
    loaded = clip_lazy_load(CLIP_SONAME_TIFF, symbols, sizeof symbols / sizeof *symbols);
}

/* ---- libtiff's callbacks --------------------------------------------------------------------------------------- */

typedef struct tiff_source {
    const uint8_t *bytes;
    size_t n;
    uint64_t at;
    char why[256]; /* the last error */
} tiff_source;

static tmsize_t source_read(thandle_t h, void *to, tmsize_t n)
{
    tiff_source *s = h;
    if (s->at >= s->n || n <= 0) return 0;
    size_t take = (size_t)n < s->n - s->at ? (size_t)n : s->n - (size_t)s->at;
    memcpy(to, s->bytes + s->at, take);
    s->at += take;
    return (tmsize_t)take;
}

static tmsize_t source_write(thandle_t h, void *from, tmsize_t n)
{
    (void)h, (void)from, (void)n;
    return -1;
}

static toff_t source_seek(thandle_t h, toff_t at, int whence)
{
    tiff_source *s = h;
    s->at = whence == SEEK_CUR ? s->at + at : whence == SEEK_END ? s->n + at : at;
    return s->at;
}

static int source_close(thandle_t h)
{
    (void)h;
    return 0;
}

static toff_t source_size(thandle_t h) { return ((tiff_source *)h)->n; }

/* The bytes are handed out in place: nothing is copied, and Debian 12's libtiff (4.5.0) refuses uncompressed tiles that it
 * has to read into a buffer of its own. */
static int source_map(thandle_t h, void **base, toff_t *n)
{
    tiff_source *s = h;
    *base = (void *)s->bytes;
    *n = s->n;
    return 1;
}

static void source_unmap(thandle_t h, void *base, toff_t n) { (void)h, (void)base, (void)n; }

static int on_error(TIFF *t, void *source, const char *module, const char *format, va_list ap)
{
    (void)t, (void)module;
    vsnprintf(((tiff_source *)source)->why, sizeof ((tiff_source *)source)->why, format, ap);
    return 1;
}

static int on_warning(TIFF *t, void *source, const char *module, const char *format, va_list ap)
{
    (void)t, (void)source, (void)module, (void)format, (void)ap;
    return 1;
}

static TIFF *open_memory(tiff_source *s, uint64_t max_memory)
{
    TIFFOpenOptions *o = tiff.TIFFOpenOptionsAlloc();
    if (!o) return NULL;
    tiff.TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)max_memory);
    tiff.TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, s);
    tiff.TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, s);
    TIFF *t = tiff.TIFFClientOpenExt("photo", "r", s, source_read, source_write, source_seek, source_close, source_size,
                                     source_map, source_unmap, o);
    tiff.TIFFOpenOptionsFree(o);
    return t;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static clip_status broken(clip_job *job, const tiff_source *s, clip_status status)
{
    return clip_fail(job->err, status, "%s", s->why[0] ? s->why : "broken TIFF");
}

static clip_status read_header(clip_job *job, TIFF *t, const tiff_source *s)
{
    uint32_t width = 0, height = 0;
    uint16_t orientation = 1;
    clip_exif_read(job->bytes, job->n < 1 << 20 ? job->n : 1 << 20, &job->photo);
    if (tiff.TIFFGetField(t, TIFFTAG_ORIENTATION, &orientation) && orientation >= 1 && orientation <= 8)
        job->photo.orientation = orientation;
    if (!tiff.TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &width) || !tiff.TIFFGetField(t, TIFFTAG_IMAGELENGTH, &height))
        return broken(job, s, CLIP_E_FORMAT);
    if (width > CLIP_MAX_SIDE || height > CLIP_MAX_SIDE)
        return clip_fail(job->err, CLIP_E_LIMIT, "%u x %u pixels: a side may have %d at most", width, height, CLIP_MAX_SIDE);
    return clip_job_header(job, (int)width, (int)height);
}

/* The rows that libtiff decodes at once anyway. */
static uint32_t band_height(TIFF *t, uint32_t height)
{
    uint32_t rows = 0;
    if (tiff.TIFFIsTiled(t)) tiff.TIFFGetField(t, TIFFTAG_TILELENGTH, &rows);
    else tiff.TIFFGetFieldDefaulted(t, TIFFTAG_ROWSPERSTRIP, &rows);
    return rows == 0 || rows > height ? height : rows;
}

static void push_band(clip_job *job, const uint32_t *raster, uint32_t rows)
{
    for (uint32_t y = 0; y < rows && !clip_resizer_complete(job->resizer); y++) {
        uint8_t *to = clip_resizer_row(job->resizer);
        for (int x = 0; x < job->stored_w; x++, raster++) {
            *to++ = (uint8_t)TIFFGetR(*raster);
            *to++ = (uint8_t)TIFFGetG(*raster);
            *to++ = (uint8_t)TIFFGetB(*raster);
        }
        clip_resizer_push(job->resizer);
    }
}

static clip_status read_bands(clip_job *job, TIFFRGBAImage *image, uint32_t band, const tiff_source *s)
{
    clip_status status = clip_job_memory(job, job->stored_w, (int)band, 8); /* the raster's, and the samples it is made of */
    if (status) return status;
    uint32_t *raster = malloc((size_t)job->stored_w * band * sizeof *raster);
    if (!raster) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for a TIFF of this size");
    status = clip_job_start(job, job->stored_w, job->stored_h, 1);
    uint32_t height = image->height, y = 0;
    while (!status && y < height && !clip_resizer_complete(job->resizer)) {
        uint32_t rows = height - y < band ? height - y : band;
        image->row_offset = (int)y;
        image->col_offset = 0;
        if (!tiff.TIFFRGBAImageGet(image, raster, image->width, rows)) break;
        push_band(job, raster, rows);
        y += rows;
    }
    free(raster);
    if (status || clip_resizer_complete(job->resizer)) return status;
    if (y == 0) return broken(job, s, CLIP_E_FORMAT);
    job->photo.truncated = true;
    job->rows_missing_from = (int)y;
    return CLIP_OK;
}

/* Alpha is dropped, as in the other formats. libtiff multiplies the colours by it, unless they are said to be so already. */
static void keep_colours(TIFF *t)
{
    uint16_t n = 0, *kinds = NULL, multiplied = EXTRASAMPLE_ASSOCALPHA;
    bool has = tiff.TIFFGetField(t, TIFFTAG_EXTRASAMPLES, &n, &kinds) && n == 1 && kinds[0] == EXTRASAMPLE_UNASSALPHA;
    if (has) tiff.TIFFSetField(t, TIFFTAG_EXTRASAMPLES, 1, &multiplied);
}

static clip_status read_pixels(clip_job *job, TIFF *t, tiff_source *s)
{
    char why[1024] = "";
    TIFFRGBAImage image;
    keep_colours(t);
    if (!tiff.TIFFRGBAImageOK(t, why) || !tiff.TIFFRGBAImageBegin(&image, t, 1, why))
        return clip_fail(job->err, CLIP_E_UNSUPPORTED, "%s", why[0] ? why : "a TIFF of an unknown kind");
    image.req_orientation = image.orientation; /* as stored */
    clip_status status = read_bands(job, &image, band_height(t, image.height), s);
    tiff.TIFFRGBAImageEnd(&image);
    return status;
}

clip_status clip_tiff_decode(clip_job *job)
{
    pthread_once(&once, load);
    if (!loaded) return clip_fail(job->err, CLIP_E_UNSUPPORTED, "reading TIFF needs %s: install it", CLIP_SONAME_TIFF);
    tiff_source source = {.bytes = job->bytes, .n = job->n};
    TIFF *t = open_memory(&source, job->limits.max_memory);
    if (!t) return broken(job, &source, CLIP_E_FORMAT);
    clip_status s = read_header(job, t, &source);
    if (!s && job->kind != CLIP_JOB_PROBE) s = read_pixels(job, t, &source);
    tiff.TIFFClose(t);
    return s;
}
