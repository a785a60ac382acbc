/* raw.c: raw photos by the JPEG preview that every camera embeds; the sensor's data are not developed. The preview is
 * what the camera's own screen shows, most often in full size.
 *
 *   DNG, CR2, NEF, ARW, PEF, ...  a TIFF: chains of directories, with sub-directories; any may point at a JPEG
 *   ORF, RW2                      a TIFF with another magic number; RW2 has its JPEG in a tag of its own
 *   RAF                           a header of Fuji's own that points at a JPEG
 *
 * The largest JPEG that libjpeg can read (lossless JPEG holds sensor data) is decoded as if it were the photo; date,
 * camera, place and orientation come from the outer file, for the preview has often none. Every offset is checked against
 * the file before it is followed; directories and segments are counted, so that a loop ends. */
#include "engine/image/decode.h"

#include <string.h>

enum { MAX_DIRECTORIES = 48, MAX_ENTRIES = 512, MAX_EXIF = 1 << 16, MAX_SEGMENTS = 1 << 16 };
enum { TAG_COMPRESSION = 0x103, TAG_PHOTOMETRIC = 0x106, TAG_STRIP_OFFSETS = 0x111, TAG_ORIENTATION = 0x112,
       TAG_STRIP_BYTES = 0x117, TAG_SUB_DIRECTORIES = 0x14a, TAG_JPEG_OFFSET = 0x201, TAG_JPEG_BYTES = 0x202,
       TAG_PANASONIC_JPEG = 0x2e, TAG_DNG_VERSION = 0xc612 };
enum { PHOTOMETRIC_CFA = 32803, PHOTOMETRIC_LINEAR = 34892, COMPRESSION_ARW = 32767, COMPRESSION_NEF = 34713 };

typedef struct span {
    size_t at, n;
} span;

typedef struct raw_reader {
    const uint8_t *bytes;
    size_t n;
    bool big;                    /* byte order */
    size_t todo[MAX_DIRECTORIES]; /* directories found, in order; the first `done` have been read */
    int found, done;
    bool is_raw;                 /* something in it is sensor data */
    bool cut;                    /* a preview goes beyond the end of the file */
    int orientation;
    int segments;                /* of JPEGs that were looked at; thousands of entries may name one JPEG of millions */
    span best;                   /* the largest preview so far */
    int64_t best_pixels;
} raw_reader;

static uint32_t number(const raw_reader *r, size_t at, int size)
{
    uint32_t v = 0;
    for (int i = 0; i < size; i++) v |= (uint32_t)r->bytes[at + (size_t)i] << 8 * (r->big ? size - 1 - i : i);
    return v;
}

static bool within(const raw_reader *r, size_t at, size_t n) { return at <= r->n && n <= r->n - at; }

/* ---- previews -------------------------------------------------------------------------------------------------- */

/* Pixels of a JPEG that libjpeg can decode; 0 for any other, above all for lossless JPEG. */
static int64_t jpeg_pixels(raw_reader *r, const uint8_t *p, size_t n)
{
    if (n < 4 || p[0] != 0xff || p[1] != 0xd8) return 0;
    for (size_t at = 2; at + 9 <= n && r->segments++ < MAX_SEGMENTS;) {
        if (p[at] != 0xff) return 0;
        int marker = p[at + 1];
        size_t length = (size_t)p[at + 2] << 8 | p[at + 3];
        if (marker >= 0xc0 && marker <= 0xc2) {
            int64_t h = p[at + 5] << 8 | p[at + 6], w = p[at + 7] << 8 | p[at + 8];
            return p[at + 4] == 8 ? w * h : 0;
        }
        bool other_frame = marker >= 0xc3 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (other_frame || marker == 0xda || length < 2) return 0;
        at += 2 + length;
    }
    return 0;
}

static void consider(raw_reader *r, size_t at, size_t n)
{
    if (!within(r, at, n)) r->cut = true;
    if (!within(r, at, 4)) return;
    if (n > r->n - at) n = r->n - at; /* a truncated file still has the beginning of its preview */
    int64_t pixels = jpeg_pixels(r, r->bytes + at, n);
    if (pixels <= r->best_pixels) return;
    r->best = (span){at, n};
    r->best_pixels = pixels;
}

/* ---- directories ----------------------------------------------------------------------------------------------- */

static void later(raw_reader *r, size_t directory)
{
    if (directory < 8 || !within(r, directory, 2) || r->found == MAX_DIRECTORIES) return;
    for (int i = 0; i < r->found; i++)
        if (r->todo[i] == directory) return;
    r->todo[r->found++] = directory;
}

typedef struct directory {
    uint32_t compression, photometric, strip, strip_bytes, strips, jpeg, jpeg_bytes;
} directory;

static void read_entry(raw_reader *r, size_t at, directory *d)
{
    int tag = (int)number(r, at, 2), type = (int)number(r, at + 2, 2);
    uint32_t count = number(r, at + 4, 4), value = number(r, at + 8, type == 3 ? 2 : 4);
    switch (tag) {
    case TAG_COMPRESSION: d->compression = value; break;
    case TAG_PHOTOMETRIC: d->photometric = value; break;
    case TAG_STRIP_OFFSETS: d->strip = value, d->strips = count; break;
    case TAG_STRIP_BYTES: d->strip_bytes = value; break;
    case TAG_JPEG_OFFSET: d->jpeg = value; break;
    case TAG_JPEG_BYTES: d->jpeg_bytes = value; break;
    case TAG_PANASONIC_JPEG: consider(r, value, count); break;
    case TAG_DNG_VERSION: r->is_raw = true; break;
    case TAG_ORIENTATION:
        if (r->done == 1 && value >= 1 && value <= 8) r->orientation = (int)value;
        break;
    case TAG_SUB_DIRECTORIES:
        if (count == 1) later(r, value);
        else if (count <= MAX_DIRECTORIES && within(r, value, (size_t)count * 4))
            for (uint32_t i = 0; i < count; i++) later(r, number(r, value + 4 * i, 4));
        break;
    default: break;
    }
}

static void read_directory(raw_reader *r, size_t at)
{
    directory d = {0};
    size_t entries = number(r, at, 2);
    if (entries > MAX_ENTRIES || !within(r, at + 2, entries * 12)) return;
    for (size_t i = 0; i < entries; i++) read_entry(r, at + 2 + i * 12, &d);
    if (within(r, at + 2 + entries * 12, 4)) later(r, number(r, at + 2 + entries * 12, 4));
    if (d.jpeg && d.jpeg_bytes) consider(r, d.jpeg, d.jpeg_bytes);
    if (d.strip && d.strips == 1 && (d.compression == 6 || d.compression == 7)) consider(r, d.strip, d.strip_bytes);
    if (d.photometric == PHOTOMETRIC_CFA || d.photometric == PHOTOMETRIC_LINEAR || d.compression == COMPRESSION_ARW ||
        d.compression == COMPRESSION_NEF)
        r->is_raw = true;
}

static raw_reader read_directories(const uint8_t *bytes, size_t n)
{
    raw_reader r = {.bytes = bytes, .n = n, .big = n && bytes[0] == 'M', .orientation = 1};
    if (n < 16) return r;
    later(&r, number(&r, 4, 4));
    while (r.done < r.found) read_directory(&r, r.todo[r.done++]);
    return r;
}

bool clip_raw_is(const uint8_t *bytes, size_t n) { return read_directories(bytes, n).is_raw; }

/* ---- decoding -------------------------------------------------------------------------------------------------- */

static clip_status decode_preview(clip_job *job, span preview, bool facts_known)
{
    const uint8_t *bytes = job->bytes;
    size_t n = job->n;
    job->facts_known = facts_known;
    job->bytes += preview.at;
    job->n = preview.n;
    clip_status s = clip_jpeg_decode(job);
    job->bytes = bytes;
    job->n = n;
    return s;
}

static clip_status decode_raf(clip_job *job)
{
    raw_reader r = {.bytes = job->bytes, .n = job->n, .big = true};
    if (job->n >= 92) consider(&r, number(&r, 84, 4), number(&r, 88, 4));
    if (!r.best_pixels) return clip_fail(job->err, CLIP_E_UNSUPPORTED, "a raw photo without a preview");
    return decode_preview(job, r.best, false); /* this one is a whole JPEG with all its facts */
}

clip_status clip_raw_decode(clip_job *job)
{
    if (job->n >= 4 && memcmp(job->bytes, "FUJI", 4) == 0) return decode_raf(job);
    raw_reader r = read_directories(job->bytes, job->n);
    if (!r.best_pixels) return clip_fail(job->err, CLIP_E_UNSUPPORTED, "a raw photo without a preview");
    clip_exif_read(job->bytes, job->n < MAX_EXIF ? job->n : MAX_EXIF, &job->photo);
    job->photo.orientation = r.orientation;
    job->photo.truncated |= r.cut;
    return decode_preview(job, r.best, true);
}
