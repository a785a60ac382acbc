/* exif.c: what a photo says of itself. libexif walks the block; every value is then taken with its format and size
 * checked here, since libexif hands out whatever the file declared.
 *
 * Nothing in EXIF is worth refusing a photo for: what is broken or absurd counts as absent. The photo is not corrected
 * to the specification (that costs as much as reading it, and would invent values). */
#include "engine/image/decode.h"
#include "engine/utf8.h"

#include <ctype.h>
#include <libexif/exif-data.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BLOCK (1u << 20) /* a JPEG holds 64 KiB at most; other containers set no bound */

static ExifEntry *entry_find(ExifData *d, ExifIfd ifd, int tag, ExifFormat format)
{
    ExifEntry *e = exif_content_get_entry(d->ifd[ifd], (ExifTag)tag);
    if (!e || !e->data || e->format != format) return NULL;
    uint64_t need = (uint64_t)e->components * exif_format_get_size(format);
    return need && need <= e->size ? e : NULL;
}

/* ---- orientation ----------------------------------------------------------------------------------------------- */

static int orientation_read(ExifData *d, ExifByteOrder order)
{
    ExifEntry *e = entry_find(d, EXIF_IFD_0, EXIF_TAG_ORIENTATION, EXIF_FORMAT_SHORT);
    uint32_t value = e ? exif_get_short(e->data, order) : 1;
    if (!e && (e = entry_find(d, EXIF_IFD_0, EXIF_TAG_ORIENTATION, EXIF_FORMAT_LONG))) value = exif_get_long(e->data, order);
    return value >= 1 && value <= 8 ? (int)value : 1;
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

/* Copies up to the first zero as UTF-8: control characters become spaces, foreign bytes '?', the ends are trimmed. */
static void text_copy(char *out, size_t room, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n, *zero = memchr(p, 0, n);
    size_t used = 0;
    if (zero) end = zero;
    while (p < end && isspace(*p)) p++;
    while (p < end) {
        size_t length = clip_utf8_length(p, end), take = length ? length : 1;
        bool control = *p < 0x20 || *p == 0x7f || (*p == 0xc2 && length == 2 && p[1] < 0xa0);
        if (used + take >= room) break;
        if (control) out[used++] = ' ';
        else if (!length) out[used++] = '?';
        else {
            memcpy(out + used, p, length);
            used += length;
        }
        p += take;
    }
    while (used && out[used - 1] == ' ') used--;
    out[used] = 0;
}

static void text_read(ExifData *d, ExifIfd ifd, int tag, char *out, size_t room)
{
    ExifEntry *e = entry_find(d, ifd, tag, EXIF_FORMAT_ASCII);
    *out = 0;
    if (e) text_copy(out, room, e->data, e->components);
}

/* ---- camera ---------------------------------------------------------------------------------------------------- */

/* "Canon" + "Canon EOS 5D" and "NIKON CORPORATION" + "NIKON D90" repeat the make's first word. */
static void camera_read(ExifData *d, char out[96])
{
    char make[40], model[54];
    text_read(d, EXIF_IFD_0, EXIF_TAG_MAKE, make, sizeof make);
    text_read(d, EXIF_IFD_0, EXIF_TAG_MODEL, model, sizeof model);
    size_t word = strcspn(make, " ");
    bool repeated = word && strncasecmp(make, model, word) == 0 && !isalnum((unsigned char)model[word]);
    if (!*make || !*model || repeated) snprintf(out, 96, "%s", *model ? model : make);
    else snprintf(out, 96, "%s %s", make, model);
}

/* ---- date ------------------------------------------------------------------------------------------------------ */

/* "2023:07:14 18:30:00", where some programs write other separators. */
static bool date_parse(const char *s, char out[20])
{
    static const char shape[] = "dddd-dd-dd dd:dd:dd";
    static const int low[6] = {1, 1, 1, 0, 0, 0}, high[6] = {9999, 12, 31, 23, 59, 60};
    int v[6] = {0}, field = 0;
    for (int i = 0; shape[i]; i++) {
        bool digit = s[i] >= '0' && s[i] <= '9';
        if (digit != (shape[i] == 'd') || !s[i]) return false;
        if (digit) v[field] = v[field] * 10 + (s[i] - '0');
        else field++;
    }
    for (int i = 0; i < 6; i++)
        if (v[i] < low[i] || v[i] > high[i]) return false;
    for (int i = 0; i < 20; i++) out[i] = shape[i] == 'd' ? s[i] : shape[i];
    return true;
}

static void date_read(ExifData *d, char out[20])
{
    static const struct { ExifIfd ifd; int tag; } where[] = {{EXIF_IFD_EXIF, EXIF_TAG_DATE_TIME_ORIGINAL},
                                                             {EXIF_IFD_EXIF, EXIF_TAG_DATE_TIME_DIGITIZED},
                                                             {EXIF_IFD_0, EXIF_TAG_DATE_TIME}};
    char text[24];
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        text_read(d, where[i].ifd, where[i].tag, text, sizeof text);
        if (date_parse(text, out)) return;
    }
    *out = 0;
}

/* ---- place ----------------------------------------------------------------------------------------------------- */

/* Degrees, minutes and seconds; false where one is not a number or the sum lies beyond `most`. */
static bool degrees_read(ExifData *d, ExifByteOrder order, int tag, int ref_tag, const char *refs, double most, double *out)
{
    char ref[4];
    text_read(d, EXIF_IFD_GPS, ref_tag, ref, sizeof ref);
    ExifEntry *e = entry_find(d, EXIF_IFD_GPS, tag, EXIF_FORMAT_RATIONAL);
    if (!e || !ref[0] || !strchr(refs, ref[0])) return false;
    double value = 0, unit = 1;
    for (unsigned long i = 0; i < e->components && i < 3; i++, unit /= 60) {
        ExifRational r = exif_get_rational(e->data + 8 * i, order);
        if (!r.denominator && r.numerator) return false;
        if (!r.denominator && i == 0) return false;
        if (r.denominator) value += (double)r.numerator / (double)r.denominator * unit;
    }
    *out = ref[0] == refs[1] ? -value : value;
    return isfinite(value) && value <= most;
}

static void gps_read(ExifData *d, ExifByteOrder order, clip_photo *photo)
{
    double latitude, longitude;
    if (!degrees_read(d, order, EXIF_TAG_GPS_LATITUDE, EXIF_TAG_GPS_LATITUDE_REF, "NS", 90, &latitude)) return;
    if (!degrees_read(d, order, EXIF_TAG_GPS_LONGITUDE, EXIF_TAG_GPS_LONGITUDE_REF, "EW", 180, &longitude)) return;
    if (latitude == 0 && longitude == 0) return; /* what receivers write before they know */
    photo->has_gps = true;
    photo->latitude = latitude;
    photo->longitude = longitude;
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

void clip_exif_read(const uint8_t *tiff, size_t n, clip_photo *photo)
{
    if (n < 8 || n > MAX_BLOCK) return;
    uint8_t *block = malloc(n + 6);
    ExifData *d = exif_data_new();
    if (!block || !d) goto done;
    memcpy(block, "Exif\0\0", 6); /* libexif wants it, and not every container has it */
    memcpy(block + 6, tiff, n);
    exif_data_unset_option(d, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
    exif_data_load_data(d, block, (unsigned)n + 6);
    ExifByteOrder order = exif_data_get_byte_order(d);
    photo->orientation = orientation_read(d, order);
    camera_read(d, photo->camera);
    date_read(d, photo->taken);
    gps_read(d, order, photo);
done:
    if (d) exif_data_unref(d);
    free(block);
}
