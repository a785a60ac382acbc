/* format.c: a photo's format by its first bytes. Names lie: cameras, messengers and people rename files. */
#include "engine/image/decode.h"

#include <string.h>

const char *clip_format_name(clip_format f)
{
    switch (f) {
    case CLIP_FORMAT_JPEG: return "jpeg";
    case CLIP_FORMAT_PNG: return "png";
    case CLIP_FORMAT_WEBP: return "webp";
    case CLIP_FORMAT_HEIC: return "heic";
    case CLIP_FORMAT_AVIF: return "avif";
    case CLIP_FORMAT_TIFF: return "tiff";
    case CLIP_FORMAT_GIF: return "gif";
    case CLIP_FORMAT_RAW: return "raw";
    case CLIP_FORMAT_UNKNOWN: break;
    }
    return "unknown";
}

static bool begins(const uint8_t *bytes, size_t n, const char *magic, size_t length)
{
    return n >= length && memcmp(bytes, magic, length) == 0;
}

/* ISO base media: an `ftyp` box whose major brand says what follows. mif1 and msf1 name only the container; then the
 * first compatible brand (bytes 16..19) decides. */
static clip_format sniff_iso_media(const uint8_t *bytes, size_t n)
{
    static const char heic[][5] = {"heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs"};
    if (n < 12 || memcmp(bytes + 4, "ftyp", 4) != 0) return CLIP_FORMAT_UNKNOWN;
    const uint8_t *brand = bytes + 8;
    bool container = !memcmp(brand, "mif1", 4) || !memcmp(brand, "msf1", 4);
    for (size_t at = 16; container && at + 4 <= n && at < 32; at += 4) {
        brand = bytes + at;
        container = !memcmp(brand, "mif1", 4) || !memcmp(brand, "msf1", 4) || !memcmp(brand, "miaf", 4);
    }
    if (!memcmp(brand, "avif", 4) || !memcmp(brand, "avis", 4)) return CLIP_FORMAT_AVIF;
    for (size_t i = 0; i < sizeof heic / sizeof *heic; i++)
        if (!memcmp(brand, heic[i], 4)) return CLIP_FORMAT_HEIC;
    return container ? CLIP_FORMAT_HEIC : CLIP_FORMAT_UNKNOWN;
}

/* A raw photo is most often a TIFF inside; those that say so in their first bytes are told here, the others when their
 * directory is read. */
static clip_format sniff_tiff(const uint8_t *bytes, size_t n)
{
    static const char other[][5] = {"IIU\0", "IIRO", "IIRS", "MMOR"}; /* Panasonic's, Olympus's */
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (begins(bytes, n, other[i], 4)) return CLIP_FORMAT_RAW;
    if (!begins(bytes, n, "II*\0", 4) && !begins(bytes, n, "MM\0*", 4)) return CLIP_FORMAT_UNKNOWN;
    return n >= 10 && bytes[8] == 'C' && bytes[9] == 'R' ? CLIP_FORMAT_RAW : CLIP_FORMAT_TIFF;
}

clip_format clip_format_sniff(const uint8_t *bytes, size_t n)
{
    if (begins(bytes, n, "\xff\xd8\xff", 3)) return CLIP_FORMAT_JPEG;
    if (begins(bytes, n, "\x89PNG\r\n\x1a\n", 8)) return CLIP_FORMAT_PNG;
    if (begins(bytes, n, "RIFF", 4) && n >= 12 && !memcmp(bytes + 8, "WEBP", 4)) return CLIP_FORMAT_WEBP;
    if (begins(bytes, n, "FUJIFILMCCD-RAW ", 16)) return CLIP_FORMAT_RAW;
    if (begins(bytes, n, "GIF87a", 6) || begins(bytes, n, "GIF89a", 6)) return CLIP_FORMAT_GIF;
    clip_format f = sniff_tiff(bytes, n);
    return f ? f : sniff_iso_media(bytes, n);
}

clip_status (*clip_decoder_of(clip_format f))(clip_job *job)
{
    switch (f) {
    case CLIP_FORMAT_JPEG: return clip_jpeg_decode;
    case CLIP_FORMAT_PNG: return clip_png_decode;
    case CLIP_FORMAT_RAW: return clip_raw_decode;
#ifdef CLIP_HAVE_WEBP
    case CLIP_FORMAT_WEBP: return clip_webp_decode;
#endif
#ifdef CLIP_HAVE_HEIF
    case CLIP_FORMAT_HEIC:
    case CLIP_FORMAT_AVIF: return clip_heif_decode;
#endif
#ifdef CLIP_HAVE_TIFF
    case CLIP_FORMAT_TIFF: return clip_tiff_decode;
#endif
#ifdef CLIP_HAVE_GIF
    case CLIP_FORMAT_GIF: return clip_gif_decode;
#endif
    default: return NULL;
    }
}

bool clip_format_supported(clip_format f) { return clip_decoder_of(f) != NULL; }
