/* gif.c: the first frame of a GIF by giflib, line by line. The frame itself is the photo, without the canvas around it;
 * a transparent colour keeps its palette entry, as dropping alpha does elsewhere. Interlaced lines come in four passes and
 * need the whole frame, one byte a pixel. */
#include "engine/image/decode.h"
#include "engine/lazy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#define SYMBOLS(X) \
    X(DGifOpen) X(DGifCloseFile) X(DGifGetRecordType) X(DGifGetImageDesc) X(DGifGetLine) X(DGifGetExtension) \
    X(DGifGetExtensionNext) X(GifErrorString)
static struct { SYMBOLS(CLIP_LAZY_MEMBER) } gif;
#define LIB gif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

static void load(void)
{
    static const clip_lazy_symbol symbols[] = {SYMBOLS(CLIP_LAZY_SYMBOL)};
    loaded = clip_lazy_load(CLIP_SONAME_GIF, symbols, sizeof symbols / sizeof *symbols);
}

typedef struct gif_source {
    const uint8_t *next;
    size_t left;
    bool ended;
} gif_source;

static int read_bytes(GifFileType *file, GifByteType *to, int n)
{
    gif_source *s = file->UserData;
    if (n < 0) return 0;
    size_t take = (size_t)n < s->left ? (size_t)n : s->left;
    if (take < (size_t)n) s->ended = true;
    memcpy(to, s->next, take);
    s->next += take;
    s->left -= take;
    return (int)take;
}

static clip_status broken(clip_job *job, const GifFileType *file)
{
    const char *why = gif.GifErrorString(file->Error);
    return clip_fail(job->err, CLIP_E_FORMAT, "%s", why ? why : "broken GIF");
}

/* Goes to the first frame, over extensions. */
static clip_status find_frame(clip_job *job, GifFileType *file)
{
    GifRecordType type;
    GifByteType *block;
    int code;
    for (;;) {
        if (gif.DGifGetRecordType(file, &type) == GIF_ERROR) return broken(job, file);
        if (type == IMAGE_DESC_RECORD_TYPE)
            return gif.DGifGetImageDesc(file) == GIF_ERROR ? broken(job, file) : CLIP_OK;
        if (type == TERMINATE_RECORD_TYPE) return clip_fail(job->err, CLIP_E_FORMAT, "a GIF without a picture");
        if (type != EXTENSION_RECORD_TYPE) continue;
        if (gif.DGifGetExtension(file, &code, &block) == GIF_ERROR) return broken(job, file);
        while (block)
            if (gif.DGifGetExtensionNext(file, &block) == GIF_ERROR) return broken(job, file);
    }
}

static void push_row(clip_job *job, const ColorMapObject *map, const uint8_t *line)
{
    if (clip_resizer_complete(job->resizer)) return;
    uint8_t *to = clip_resizer_row(job->resizer);
    for (int x = 0; x < job->stored_w; x++) {
        GifColorType c = line[x] < map->ColorCount ? map->Colors[line[x]] : (GifColorType){0};
        *to++ = c.Red, *to++ = c.Green, *to++ = c.Blue;
    }
    clip_resizer_push(job->resizer);
}

/* All lines of an interlaced frame, which stay 0 where they are missing. Returns how many came. */
static int read_interlaced(const clip_job *job, GifFileType *file, uint8_t *frame, int height)
{
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    int came = 0;
    for (int pass = 0; pass < 4; pass++)
        for (int y = first[pass]; y < height; y += step[pass], came++)
            if (gif.DGifGetLine(file, frame + (size_t)y * (size_t)job->stored_w, job->stored_w) == GIF_ERROR) return came;
    return came;
}

static clip_status read_lines(clip_job *job, GifFileType *file)
{
    const ColorMapObject *map = file->Image.ColorMap ? file->Image.ColorMap : file->SColorMap;
    bool interlaced = file->Image.Interlace;
    int height = file->Image.Height, rows = 0;
    if (!map) return clip_fail(job->err, CLIP_E_FORMAT, "a GIF without colours");
    clip_status s = clip_job_memory(job, job->stored_w, interlaced ? height : 1, 1);
    if (s) return s;
    uint8_t *frame = calloc(interlaced ? (size_t)height : 1, (size_t)job->stored_w);
    if (!frame) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for a GIF of this size");
    s = clip_job_start(job, job->stored_w, job->stored_h, 1);
    if (!s && interlaced) {
        rows = read_interlaced(job, file, frame, height);
        for (int y = 0; y < job->stored_h; y++) push_row(job, map, frame + (size_t)y * (size_t)job->stored_w);
    }
    for (; !s && !interlaced && rows < height && gif.DGifGetLine(file, frame, job->stored_w) != GIF_ERROR; rows++)
        push_row(job, map, frame);
    free(frame);
    if (s) return s;
    if (rows < height && !((gif_source *)file->UserData)->ended) return broken(job, file);
    if (rows == 0) return clip_fail(job->err, CLIP_E_FORMAT, "truncated before the first row of pixels");
    if (rows < height) job->photo.truncated = true;
    if (rows < job->stored_h && !interlaced) job->rows_missing_from = rows;
    return CLIP_OK;
}

clip_status clip_gif_decode(clip_job *job)
{
    pthread_once(&once, load);
    if (!loaded) return clip_fail(job->err, CLIP_E_UNSUPPORTED, "reading GIF needs %s: install it", CLIP_SONAME_GIF);
    gif_source source = {job->bytes, job->n, false};
    int code = 0;
    GifFileType *file = gif.DGifOpen(&source, read_bytes, &code);
    if (!file) return clip_fail(job->err, CLIP_E_FORMAT, "%s", gif.GifErrorString(code));
    clip_status s = find_frame(job, file);
    if (!s) s = clip_job_header(job, file->Image.Width, file->Image.Height);
    if (!s && job->kind != CLIP_JOB_PROBE) s = read_lines(job, file);
    gif.DGifCloseFile(file, &code);
    return s;
}
