/* jpeg.c: JPEG by libjpeg-turbo's libjpeg API.
 *
 * Why not TurboJPEG: it refuses rare samplings, shows no markers, and lets nobody count scans.
 * Scaled decoding: an inverse DCT of 4x4, 2x2 or 1x1 gives a half, a quarter or an eighth of each side at a fraction of
 * the cost, antialiased by its nature; photo.c says how far we may go. Only these three: they are the ones with SIMD.
 * Everything else is libjpeg's default (exact integer DCT, smooth chroma), which is also what Pillow uses.
 *
 * Damage, in libjpeg's terms:
 *   data ran out inside a scan        truncated: the whole rows of blocks before that are the photo. A later scan of a
 *                                     progressive file only sharpens, so then every row exists
 *   a bad code, a lost restart marker the rows are all used, and flagged as truncated too: part of them is noise
 *   only the end marker is missing    nothing is lost, nothing is flagged (a progressive file is: scans may be missing)
 *   garbage between segments          nothing is lost, nothing is flagged
 * Limits: the dimensions before any memory, scans (a small file can ask for the whole picture to be refined again and
 * again) in the progress callback, and libjpeg's own memory by its memory manager. */
#include "engine/image/decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h> /* after it: which codes exist depends on how it was configured */

typedef struct jpeg_reader {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    clip_job *job;
    clip_status status;
    uint8_t *cmyk;         /* [width][4]: a row on its way to RGB */
    bool ended;            /* the bytes ran out, and libjpeg was told that the photo ends */
    bool short_of_data;    /* a scan wanted more bits than there were */
    bool damaged;
    int short_scan, short_row; /* where: scan 1.., row of blocks 0.. */
} jpeg_reader;

/* ---- libjpeg's callbacks --------------------------------------------------------------------------------------- */

static clip_status status_of(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY: return CLIP_E_MEMORY;
    case JERR_NO_BACKING_STORE:
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW: return CLIP_E_LIMIT;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_ARITH_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOT_COMPILED: return CLIP_E_UNSUPPORTED;
    default: return CLIP_E_FORMAT;
    }
}

static void on_error(j_common_ptr c)
{
    jpeg_reader *r = c->client_data;
    char text[JMSG_LENGTH_MAX];
    int code = c->err->msg_code;
    r->errors.format_message(c, text);
    if (code == JERR_BAD_PRECISION)
        snprintf(text, sizeof text, "a JPEG of %d bits a sample; only 8 are supported", r->c.data_precision);
    else if (code == JERR_NO_BACKING_STORE)
        snprintf(text, sizeof text, "decoding this JPEG needs more than %llu MiB of memory",
                 (unsigned long long)(r->job->limits.max_memory >> 20));
    r->status = clip_fail(r->job->err, status_of(code), "%s", text);
    longjmp(r->escape, 1);
}

static void note_shortage(jpeg_reader *r)
{
    if (r->short_of_data || r->c.input_scan_number < 1) return;
    r->short_of_data = true;
    r->short_scan = r->c.input_scan_number;
    r->short_row = (int)r->c.input_iMCU_row;
}

static void on_message(j_common_ptr c, int level)
{
    jpeg_reader *r = c->client_data;
    if (level >= 0) return;
    switch (c->err->msg_code) {
    case JWRN_HIT_MARKER: /* more bits were wanted, and a marker came */
        if (!r->ended && r->c.unread_marker != JPEG_EOI) r->damaged = true;
        else note_shortage(r);
        break;
    case JWRN_EXTRANEOUS_DATA: /* of a row of blocks when it ends at a restart marker; else padding, which is harmless */
        if (c->err->msg_parm.i[1] >= JPEG_RST0 && c->err->msg_parm.i[1] < JPEG_RST0 + 8) r->damaged = true;
        break;
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_ARITH_BAD_CODE: r->damaged = true; break;
    default: break;
    }
}

static void on_output(j_common_ptr c) { (void)c; } /* a library prints nothing */

static void on_progress(j_common_ptr c)
{
    jpeg_reader *r = c->client_data;
    if (r->c.input_scan_number <= r->job->limits.max_scans) return;
    r->status = clip_fail(r->job->err, CLIP_E_LIMIT, "more than %d scans", r->job->limits.max_scans);
    longjmp(r->escape, 1);
}

static void source_open(j_decompress_ptr c) { (void)c; }
static void source_close(j_decompress_ptr c) { (void)c; }

/* Called when all bytes are used: the photo is told to end here, which makes libjpeg finish with what it has. */
static boolean source_fill(j_decompress_ptr c)
{
    static const JOCTET end[2] = {0xff, JPEG_EOI};
    jpeg_reader *r = c->client_data;
    if (!r->ended && c->arith_code) note_shortage(r); /* the arithmetic decoder reads zeros without a word */
    r->ended = true;
    c->src->next_input_byte = end;
    c->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void source_skip(j_decompress_ptr c, long n)
{
    if (n <= 0) return;
    if ((size_t)n > c->src->bytes_in_buffer) {
        source_fill(c);
        return;
    }
    c->src->next_input_byte += n;
    c->src->bytes_in_buffer -= (size_t)n;
}

static void reader_init(jpeg_reader *r, clip_job *job)
{
    memset(r, 0, sizeof *r);
    r->job = job;
    r->c.err = jpeg_std_error(&r->errors);
    r->c.client_data = r;
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->errors.output_message = on_output;
    r->progress.progress_monitor = on_progress;
    r->source = (struct jpeg_source_mgr){.next_input_byte = job->bytes, .bytes_in_buffer = job->n,
                                         .init_source = source_open, .fill_input_buffer = source_fill,
                                         .skip_input_data = source_skip, .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = source_close};
}

/* ---- the header ------------------------------------------------------------------------------------------------ */

static void read_exif(jpeg_reader *r)
{
    if (r->job->facts_known) return;
    for (jpeg_saved_marker_ptr m = r->c.marker_list; m; m = m->next) {
        if (m->marker != JPEG_APP0 + 1 || m->data_length < 6 || memcmp(m->data, "Exif\0", 5) != 0) continue;
        clip_exif_read(m->data + 6, m->data_length - 6, &r->job->photo);
        return;
    }
}

static clip_status read_header(jpeg_reader *r)
{
    r->c.src = &r->source;
    r->c.progress = &r->progress;
    r->c.mem->max_memory_to_use = (long)r->job->limits.max_memory; /* above all coefficients: up to 8 bytes a pixel */
    jpeg_save_markers(&r->c, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&r->c, TRUE);
    read_exif(r);
    if (r->c.num_components != 1 && r->c.num_components != 3 && r->c.num_components != 4)
        return clip_fail(r->job->err, CLIP_E_UNSUPPORTED, "a JPEG of %d components", r->c.num_components);
    return clip_job_header(r->job, (int)r->c.image_width, (int)r->c.image_height);
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

/* As Pillow: Adobe's polarity always, and (1 - c)(1 - k) in 8 bits. Stored inverted, c is what is left of the light. */
static void cmyk_to_rgb(const uint8_t *in, uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++, in += 4, rgb += 3)
        for (int j = 0; j < 3; j++) {
            int taken = (255 - in[j]) * in[3] + 128;
            rgb[j] = (uint8_t)(in[3] - ((taken + (taken >> 8)) >> 8));
        }
}

static clip_status start(jpeg_reader *r)
{
    bool four = r->c.num_components == 4;
    int scale = clip_job_scale(r->job, 8);
    r->c.out_color_space = four ? JCS_CMYK : JCS_RGB;
    r->c.scale_num = 1;
    r->c.scale_denom = (unsigned)scale;
    jpeg_start_decompress(&r->c);
    if (four && !(r->cmyk = malloc((size_t)r->c.output_width * 4)))
        return clip_fail(r->job->err, CLIP_E_MEMORY, "no memory for a row");
    int height = (r->job->stored_h + scale - 1) / scale;
    return clip_job_start(r->job, (int)r->c.output_width, height, scale);
}

/* Data ran out before all of the picture had been seen once: how many rows (full size) were complete. */
static bool rows_ran_out(const jpeg_reader *r, int *rows)
{
    if (!r->short_of_data || r->short_scan != 1) return false;
    int64_t complete = (int64_t)r->short_row * r->c.max_v_samp_factor * DCTSIZE;
    *rows = (int)complete;
    return complete < r->job->stored_h;
}

/* Whether the rest of the photo, which nobody needs, can be left unread: yes if its end is there, for the two bytes of the
 * end marker do not occur inside a scan. Otherwise it is read on, to learn that it is truncated. */
static bool rest_is_there(const jpeg_reader *r)
{
    if (r->job->rows_known || r->ended) return true;
    const uint8_t *p = r->source.next_input_byte, *end = p + r->source.bytes_in_buffer;
    while (end - p >= 2 && (p = memchr(p, 0xff, (size_t)(end - p) - 1)))
        if (*++p == JPEG_EOI) return true;
    return false;
}

static clip_status read_rows(jpeg_reader *r)
{
    clip_job *job = r->job;
    bool enough = false;
    int rows;
    while (r->c.output_scanline < r->c.output_height && !enough && !rows_ran_out(r, &rows)) {
        JSAMPROW row = r->cmyk ? r->cmyk : clip_resizer_row(job->resizer);
        jpeg_read_scanlines(&r->c, &row, 1);
        if (r->cmyk) cmyk_to_rgb(r->cmyk, clip_resizer_row(job->resizer), r->c.output_width);
        bool before = clip_resizer_complete(job->resizer);
        clip_resizer_push(job->resizer);
        enough = !before && clip_resizer_complete(job->resizer) && rest_is_there(r);
    }
    if (rows_ran_out(r, &rows)) {
        if (rows == 0) return clip_fail(job->err, CLIP_E_FORMAT, "truncated before the first row of pixels");
        job->rows_missing_from = rows;
    }
    bool scans_missing = r->ended && jpeg_has_multiple_scans(&r->c);
    if (r->short_of_data || r->damaged || scans_missing) job->photo.truncated = true;
    return CLIP_OK;
}

static clip_status decode(jpeg_reader *r)
{
    clip_status s = read_header(r);
    if (s || r->job->kind == CLIP_JOB_PROBE) return s;
    s = start(r);
    return s ? s : read_rows(r);
}

clip_status clip_jpeg_decode(clip_job *job)
{
    jpeg_reader *r = malloc(sizeof *r); /* not on the stack: it must survive the longjmp as it is */
    if (!r) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for a decoder");
    reader_init(r, job);
    if (setjmp(r->escape) == 0) {
        jpeg_create_decompress(&r->c);
        r->status = decode(r);
    }
    clip_status s = r->status;
    jpeg_destroy_decompress(&r->c);
    free(r->cmyk);
    free(r);
    return s;
}
