/* webp.c: WebP by libwebp, incrementally, so that a truncated photo gives the rows it has. Of an animation the first
 * frame is the photo. Alpha is dropped by asking for RGB. */
#include "engine/image/decode.h"
#include "engine/lazy.h"

#include <pthread.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#define DECODE_SYMBOLS(X) X(WebPINewRGB) X(WebPIUpdate) X(WebPIDecGetRGB) X(WebPIDelete)
#define DEMUX_SYMBOLS(X) \
    X(WebPDemuxInternal) X(WebPDemuxDelete) X(WebPDemuxGetFrame) X(WebPDemuxReleaseIterator) X(WebPDemuxGetChunk) \
    X(WebPDemuxReleaseChunkIterator)
static struct { DECODE_SYMBOLS(CLIP_LAZY_MEMBER) DEMUX_SYMBOLS(CLIP_LAZY_MEMBER) } webp;
#define LIB webp

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

static void load(void)
{
    static const clip_lazy_symbol decode_symbols[] = {DECODE_SYMBOLS(CLIP_LAZY_SYMBOL)};
    static const clip_lazy_symbol demux_symbols[] = {DEMUX_SYMBOLS(CLIP_LAZY_SYMBOL)};
    loaded = clip_lazy_load(CLIP_SONAME_WEBP, decode_symbols, sizeof decode_symbols / sizeof *decode_symbols) &&
             clip_lazy_load(CLIP_SONAME_WEBPDEMUX, demux_symbols, sizeof demux_symbols / sizeof *demux_symbols);
}

static void read_exif(WebPDemuxer *demux, clip_photo *photo)
{
    WebPChunkIterator it;
    if (!webp.WebPDemuxGetChunk(demux, "EXIF", 1, &it)) return;
    const uint8_t *p = it.chunk.bytes;
    size_t n = it.chunk.size;
    if (n >= 6 && memcmp(p, "Exif\0", 5) == 0) p += 6, n -= 6; /* some writers keep JPEG's prefix */
    clip_exif_read(p, n, photo);
    webp.WebPDemuxReleaseChunkIterator(&it);
}

static clip_status push_rows(clip_job *job, WebPIDecoder *decoder, bool whole)
{
    int rows = 0, width = 0, height = 0, stride = 0;
    const uint8_t *rgb = webp.WebPIDecGetRGB(decoder, &rows, &width, &height, &stride);
    if (!rgb || rows < 1) return clip_fail(job->err, CLIP_E_FORMAT, "truncated before the first row of pixels");
    if (width != job->stored_w) return clip_fail(job->err, CLIP_E_FORMAT, "a WebP of two widths");
    if (!whole) job->photo.truncated = true;
    if (rows < job->stored_h) {
        job->rows_missing_from = rows;
        return CLIP_OK;
    }
    clip_status s = clip_job_start(job, job->stored_w, job->stored_h, 1);
    for (int y = 0; !s && y < rows && !clip_resizer_complete(job->resizer); y++) {
        memcpy(clip_resizer_row(job->resizer), rgb + (size_t)y * (size_t)stride, (size_t)width * 3);
        clip_resizer_push(job->resizer);
    }
    return s;
}

/* The RGB that libwebp makes, and where a file is lossless its own four bytes a pixel beside it. */
static clip_status check_memory(clip_job *job, const WebPIterator *frame)
{
    bool lossless = frame->fragment.size >= 4 && memcmp(frame->fragment.bytes, "VP8L", 4) == 0;
    return clip_job_memory(job, frame->width, frame->height, lossless ? 7 : 4);
}

static clip_status decode_frame(clip_job *job, const WebPIterator *frame)
{
    WebPIDecoder *decoder = webp.WebPINewRGB(MODE_RGB, NULL, 0, 0);
    if (!decoder) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for a decoder");
    VP8StatusCode code = webp.WebPIUpdate(decoder, frame->fragment.bytes, frame->fragment.size);
    clip_status s;
    if (code == VP8_STATUS_OUT_OF_MEMORY) s = clip_fail(job->err, CLIP_E_MEMORY, "no memory for a WebP of this size");
    else if (code == VP8_STATUS_OK || code == VP8_STATUS_SUSPENDED) s = push_rows(job, decoder, code == VP8_STATUS_OK);
    else s = clip_fail(job->err, CLIP_E_FORMAT, "broken WebP data (libwebp's status %d)", (int)code);
    webp.WebPIDelete(decoder);
    return s;
}

clip_status clip_webp_decode(clip_job *job)
{
    pthread_once(&once, load);
    if (!loaded)
        return clip_fail(job->err, CLIP_E_UNSUPPORTED, "reading WebP needs %s and %s: install them", CLIP_SONAME_WEBP,
                         CLIP_SONAME_WEBPDEMUX);
    WebPData data = {job->bytes, job->n};
    WebPDemuxState state;
    WebPDemuxer *demux = webp.WebPDemuxInternal(&data, 1, &state, WEBP_DEMUX_ABI_VERSION);
    WebPIterator frame = {0};
    clip_status s;
    if (!demux || !webp.WebPDemuxGetFrame(demux, 1, &frame)) {
        s = clip_fail(job->err, CLIP_E_FORMAT, "not a whole WebP header");
    } else {
        read_exif(demux, &job->photo);
        s = clip_job_header(job, frame.width, frame.height);
        bool pixels = !s && job->kind != CLIP_JOB_PROBE;
        if (pixels) s = check_memory(job, &frame);
        if (pixels && !s) s = decode_frame(job, &frame);
        webp.WebPDemuxReleaseIterator(&frame);
    }
    if (demux) webp.WebPDemuxDelete(demux);
    return s;
}
