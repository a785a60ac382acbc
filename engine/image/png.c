/* png.c: PNG by libpng, in its push mode: the whole file is offered at once, and what it yields of rows is taken.
 *
 * Why push: a truncated file then gives every row that its bytes hold, while the pull mode loses up to a buffer of them.
 * Every kind becomes 8-bit RGB: palettes expanded, gray repeated, 16 bits scaled (Pillow clips 16-bit gray to white),
 * alpha dropped. Ancillary chunks are not even parsed, above all the compressed ones; gamma and profiles are ignored,
 * as the reference does. EXIF may stand behind the pixels, but must be known before them: the chunks are walked first.
 *
 * A file that ends early is truncated and its rows are used; one that is wrong inside (checksum, zlib stream) is refused.
 * An interlaced photo needs all its pixels at once, 3 bytes each; all others need two rows. */
#include "engine/image/decode.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

typedef struct png_reader {
    png_structp png;
    png_infop info;
    clip_job *job;
    clip_status status;
    uint8_t *whole;   /* interlaced: [height][width][3] */
    int height;       /* as the header has it */
    int rows;         /* complete rows delivered (interlaced: of the last pass seen) */
    int pass;
    bool interlaced;
    bool began;       /* rows were asked for */
    bool ended;       /* the end chunk was reached */
} png_reader;

/* ---- EXIF ------------------------------------------------------------------------------------------------------ */

static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void read_exif(clip_job *job)
{
    size_t at = 8;
    while (job->n - at >= 12) {
        size_t length = big32(job->bytes + at);
        if (length > job->n - at - 12) return;
        if (memcmp(job->bytes + at + 4, "eXIf", 4) == 0) {
            clip_exif_read(job->bytes + at + 8, length, &job->photo);
            return;
        }
        at += length + 12;
    }
}

/* ---- libpng's callbacks ---------------------------------------------------------------------------------------- */

static void on_error(png_structp png, png_const_charp text)
{
    png_reader *r = png_get_error_ptr(png);
    if (!r->status) r->status = clip_fail(r->job->err, CLIP_E_FORMAT, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static _Noreturn void give_up(png_reader *r, clip_status s)
{
    r->status = s;
    png_longjmp(r->png, 1);
}

static void ask_for_rgb(png_reader *r)
{
    png_set_palette_to_rgb(r->png);
    png_set_expand_gray_1_2_4_to_8(r->png);
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_strip_alpha(r->png);
}

static void on_header(png_structp png, png_infop info)
{
    png_reader *r = png_get_progressive_ptr(png);
    clip_job *job = r->job;
    r->height = (int)png_get_image_height(png, info);
    clip_status s = clip_job_header(job, (int)png_get_image_width(png, info), r->height);
    if (s || job->kind == CLIP_JOB_PROBE) give_up(r, s);
    ask_for_rgb(r);
    r->interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
    if (r->interlaced) png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)job->stored_w * 3)
        give_up(r, clip_fail(job->err, CLIP_E_INTERNAL, "libpng did not make RGB of this PNG"));
    if (r->interlaced && (s = clip_job_memory(job, job->stored_w, r->height, 3))) give_up(r, s);
    if (r->interlaced && !(r->whole = calloc((size_t)r->height * (size_t)job->stored_w, 3)))
        give_up(r, clip_fail(job->err, CLIP_E_MEMORY, "no memory for an interlaced PNG"));
    s = clip_job_start(job, job->stored_w, job->stored_h, 1);
    if (s) give_up(r, s);
    r->began = true;
}

static void on_row(png_structp png, png_bytep row, png_uint_32 y, int pass)
{
    png_reader *r = png_get_progressive_ptr(png);
    size_t length = (size_t)r->job->stored_w * 3;
    if (r->interlaced) {
        if (row) png_progressive_combine_row(png, r->whole + y * length, row);
        r->pass = pass;
    } else if (row && !clip_resizer_complete(r->job->resizer)) {
        memcpy(clip_resizer_row(r->job->resizer), row, length);
        clip_resizer_push(r->job->resizer);
    }
    r->rows = (int)y + 1;
}

static void on_end(png_structp png, png_infop info)
{
    (void)info;
    ((png_reader *)png_get_progressive_ptr(png))->ended = true;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static void set_up(png_reader *r)
{
    static const png_byte ignored[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0"
                                      "sTER\0tEXt\0tIME\0tRNS\0zTXt";
    png_set_user_limits(r->png, CLIP_MAX_SIDE, CLIP_MAX_SIDE);
    png_set_chunk_malloc_max(r->png, 4u << 20);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, ignored, (int)(sizeof ignored / 5));
    png_set_benign_errors(r->png, 1);
    png_set_progressive_read_fn(r->png, r, on_header, on_row, on_end);
}

/* What there is of an interlaced photo. The seven passes fill it in ever finer; after the first, everything is there. */
static void push_whole(png_reader *r)
{
    size_t length = (size_t)r->job->stored_w * 3;
    for (int y = 0; y < r->job->stored_h && !clip_resizer_complete(r->job->resizer); y++) {
        memcpy(clip_resizer_row(r->job->resizer), r->whole + (size_t)y * length, length);
        clip_resizer_push(r->job->resizer);
    }
}

static clip_status finish(png_reader *r)
{
    clip_job *job = r->job;
    if (!r->began || r->rows == 0) return clip_fail(job->err, CLIP_E_FORMAT, "truncated before the first row of pixels");
    bool complete = r->interlaced ? r->ended : r->rows == r->height;
    if (!complete) job->photo.truncated = true;
    if (r->interlaced) push_whole(r);
    if (!complete && !job->rows_known && r->pass == 0 && r->rows < r->height) job->rows_missing_from = r->rows;
    return CLIP_OK;
}

/* libpng calls a side beyond its limits an invalid header; we tell the two apart. */
static clip_status check_sides(const clip_job *job)
{
    if (job->n < 24 || memcmp(job->bytes + 12, "IHDR", 4) != 0) return CLIP_OK; /* libpng will say what is wrong */
    uint32_t width = big32(job->bytes + 16), height = big32(job->bytes + 20);
    if (width <= CLIP_MAX_SIDE && height <= CLIP_MAX_SIDE) return CLIP_OK;
    return clip_fail(job->err, CLIP_E_LIMIT, "%u x %u pixels: a side may have %d at most", width, height, CLIP_MAX_SIDE);
}

clip_status clip_png_decode(clip_job *job)
{
    clip_status s = check_sides(job);
    if (s) return s;
    png_reader *r = calloc(1, sizeof *r); /* not on the stack: it must survive the longjmp as it is */
    if (!r) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for a decoder");
    r->job = job;
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    r->info = r->png ? png_create_info_struct(r->png) : NULL;
    if (!r->info) r->status = clip_fail(job->err, CLIP_E_MEMORY, "no memory for a decoder");
    else if (setjmp(png_jmpbuf(r->png)) == 0) {
        set_up(r);
        read_exif(job);
        png_process_data(r->png, r->info, (png_bytep)job->bytes, job->n);
        r->status = finish(r);
    }
    s = r->status;
    png_destroy_read_struct(&r->png, &r->info, NULL);
    free(r->whole);
    free(r);
    return s;
}
