/* decode.h: what photo.c and the decoders agree upon. Internal to engine/image/.
 *
 * A decoder (one file a format) is one function. It reads the header, reports it by clip_job_header, and stops there if
 * nothing more is asked for; chooses its scale; calls clip_job_start with the size of the rows that it will deliver;
 * and writes each row into clip_resizer_row. Nothing of the size of the photo is taken before clip_job_header agreed. */
#ifndef CLIP_DECODE_H
#define CLIP_DECODE_H

#include "engine/error.h"
#include "engine/image/resize.h"

typedef enum clip_job_kind { CLIP_JOB_PROBE, CLIP_JOB_ROW, CLIP_JOB_PICTURE } clip_job_kind;

typedef struct clip_job {
    /* from the caller */
    clip_job_kind kind;
    const uint8_t *bytes;
    size_t n;
    clip_limits limits;           /* without zeros */
    const clip_resize_spec *spec; /* CLIP_JOB_ROW */
    uint8_t *row;                 /* CLIP_JOB_ROW: where the pixels go */
    int max_side;                 /* CLIP_JOB_PICTURE */
    clip_error *err;
    /* The photo is taken to end after this many stored rows: a first attempt found that no more exist. 0: all of them */
    int rows_known;
    bool facts_known;             /* the outer file has said what EXIF says; the JPEG inside is not asked */
    /* to the caller */
    clip_photo photo;
    clip_picture picture;         /* CLIP_JOB_PICTURE */
    int rows_missing_from;        /* truncated below this stored row, in full-size rows; 0: not so */
    /* between the calls below */
    int stored_w, stored_h;       /* full size, of the rows that exist */
    clip_frame frame;
    clip_resizer *resizer;
} clip_job;

/* The defaults of clip.h in place of zeros. */
clip_limits clip_limits_resolve(const clip_limits *given);

/* The header is known: photo.format and photo.orientation are set. Checks the limits; from here on, job->frame says what
 * is wanted. */
CLIP_MUST_USE clip_status clip_job_header(clip_job *job, int width, int height);
/* Behind clip_job_header, for a decoder that will hold per_pixel bytes of each pixel at once: CLIP_E_LIMIT when that is more than
 * max_memory. libjpeg counts its own memory. */
CLIP_MUST_USE clip_status clip_job_memory(clip_job *job, int width, int height, uint64_t per_pixel);

/* How many times smaller the rows may be delivered, 1..most: all that is used keeps 2.9 times the wanted size. A power of 2. */
int clip_job_scale(const clip_job *job, int most);

/* Rows of `width` pixels, `height` of them, will come, each side being 1/scale of the photo's rounded up. */
CLIP_MUST_USE clip_status clip_job_start(clip_job *job, int width, int height, int scale);

/* Fills photo.orientation, taken, camera and GPS from an EXIF block, which begins with its TIFF header. Never fails:
 * what cannot be read is absent. */
void clip_exif_read(const uint8_t *tiff, size_t n, clip_photo *photo);

clip_status clip_jpeg_decode(clip_job *job);
clip_status clip_png_decode(clip_job *job);
clip_status clip_raw_decode(clip_job *job);
clip_status clip_webp_decode(clip_job *job); /* these four only where the build has them */
clip_status clip_heif_decode(clip_job *job);
clip_status clip_tiff_decode(clip_job *job);
clip_status clip_gif_decode(clip_job *job);

/* Whether a TIFF holds a sensor's data: then its preview is the photo. */
bool clip_raw_is(const uint8_t *bytes, size_t n);

/* The decoder of a format; NULL where this build has none. */
clip_status (*clip_decoder_of(clip_format f))(clip_job *job);

#endif
