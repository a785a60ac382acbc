/* photo.c: the way of a photo through the engine: sniff, decode, turn, resize, and the limits on all of it.
 *
 * Decoders push rows straight into the resizer (resize.h), which writes the caller's row of the batch: there is no
 * picture in between. A truncated photo is found out only on the way, when its last rows do not come; then it is decoded
 * once more as a photo that ends where its rows end, so that no invented gray is indexed. */
#include "engine/image/decode.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_BYTES ((uint64_t)256 << 20)
#define DEFAULT_MAX_PIXELS ((uint64_t)256 << 20)
#define DEFAULT_MAX_MEMORY ((uint64_t)1 << 30)
#define DEFAULT_MAX_SCANS 100

clip_limits clip_limits_resolve(const clip_limits *given)
{
    clip_limits l = given ? *given : (clip_limits){0};
    if (!l.max_bytes) l.max_bytes = DEFAULT_MAX_BYTES;
    if (!l.max_pixels) l.max_pixels = DEFAULT_MAX_PIXELS;
    if (!l.max_memory || l.max_memory > LONG_MAX) l.max_memory = DEFAULT_MAX_MEMORY;
    if (l.max_scans <= 0) l.max_scans = DEFAULT_MAX_SCANS;
    return l;
}

clip_status clip_job_memory(clip_job *job, int width, int height, uint64_t per_pixel)
{
    if ((uint64_t)width * (uint64_t)height * per_pixel <= job->limits.max_memory) return CLIP_OK;
    return clip_fail(job->err, CLIP_E_LIMIT, "decoding %d x %d pixels needs more than %llu MiB of memory", width, height,
                     (unsigned long long)(job->limits.max_memory >> 20));
}

clip_status clip_job_header(clip_job *job, int width, int height)
{
    if (width <= 0 || height <= 0) return clip_fail(job->err, CLIP_E_FORMAT, "the picture has no pixels");
    if (width > CLIP_MAX_SIDE || height > CLIP_MAX_SIDE || (uint64_t)width * (uint64_t)height > job->limits.max_pixels)
        return clip_fail(job->err, CLIP_E_LIMIT, "%d x %d pixels are more than the limit of %llu allows", width, height,
                         (unsigned long long)job->limits.max_pixels);
    bool swaps = clip_orientation_swaps(job->photo.orientation);
    job->photo.width = swaps ? height : width;
    job->photo.height = swaps ? width : height;
    if (job->rows_known && job->rows_known < height) height = job->rows_known;
    job->stored_w = width;
    job->stored_h = height;
    int turned_w = swaps ? height : width, turned_h = swaps ? width : height;
    job->frame = job->kind == CLIP_JOB_ROW ? clip_frame_of_spec(job->spec, turned_w, turned_h)
                                           : clip_frame_to_fit(job->max_side, turned_w, turned_h);
    return CLIP_OK;
}

/* Scaled decoding leaves this many tenths of the wanted size. With 20, 5 of 35 wallpapers' vectors fell below a cosine of 0.999
 * with those from all pixels (the least 0.9950), with 30 none (0.9990), with 40 no more was gained
 * (tests/bench/bench_scale.c). What differs is the rounding of the averages to whole numbers, which smooth pictures show. 29 is
 * 30 but for one size that matters: 4000x3000 into 256 pixels goes by quarters, which spares a fifth of that photo's time. */
enum { KEPT_TENTHS = 29 };

int clip_job_scale(const clip_job *job, int most)
{
    if (job->limits.exact_decode) return 1;
    bool swaps = clip_orientation_swaps(job->photo.orientation);
    int64_t want_w = KEPT_TENTHS * (int64_t)(swaps ? job->frame.resized_h : job->frame.resized_w);
    int64_t want_h = KEPT_TENTHS * (int64_t)(swaps ? job->frame.resized_w : job->frame.resized_h);
    int64_t tenths_w = (int64_t)10 * job->stored_w, tenths_h = (int64_t)10 * job->stored_h;
    int scale = 1;
    while (scale * 2 <= most && tenths_w >= want_w * scale * 2 && tenths_h >= want_h * scale * 2) scale *= 2;
    return scale;
}

clip_status clip_job_start(clip_job *job, int width, int height, int scale)
{
    uint8_t *out = job->row;
    if (job->kind == CLIP_JOB_PICTURE) {
        job->picture = (clip_picture){.width = job->frame.out_w, .height = job->frame.out_h};
        out = job->picture.rgb = malloc((size_t)job->frame.out_w * (size_t)job->frame.out_h * 3);
        if (!out) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for the picture");
    }
    clip_stored stored = {.width = width, .height = height, .orientation = job->photo.orientation,
                          .true_w = (double)job->stored_w / scale, .true_h = (double)job->stored_h / scale};
    job->resizer = clip_resizer_create(&job->frame, &stored, clip_resample_pick(), out);
    if (!job->resizer) return clip_fail(job->err, CLIP_E_MEMORY, "no memory to resize the picture");
    return CLIP_OK;
}

static clip_status decode(clip_job *job)
{
    clip_status (*decoder)(clip_job *) = clip_decoder_of(job->photo.format);
    if (decoder) return decoder(job);
    if (job->photo.format == CLIP_FORMAT_UNKNOWN)
        return clip_fail(job->err, CLIP_E_UNSUPPORTED, "not a photo of a known format");
    return clip_fail(job->err, CLIP_E_UNSUPPORTED, "this build cannot read %s", clip_format_name(job->photo.format));
}

static void job_clear(clip_job *job)
{
    clip_resizer_destroy(job->resizer);
    job->resizer = NULL;
    clip_picture_finish(&job->picture);
}

static clip_status attempt(clip_job *job)
{
    clip_format format = clip_format_sniff(job->bytes, job->n);
    if (format == CLIP_FORMAT_TIFF && clip_raw_is(job->bytes, job->n)) format = CLIP_FORMAT_RAW;
    job->photo = (clip_photo){.format = format, .orientation = 1, .truncated = job->rows_known != 0};
    job->rows_missing_from = 0;
    clip_status s = decode(job);
    if (!s && job->kind != CLIP_JOB_PROBE && !job->rows_missing_from &&
        !(job->resizer && clip_resizer_complete(job->resizer)))
        s = clip_fail(job->err, CLIP_E_INTERNAL, "the decoder delivered too few rows");
    return s;
}

static clip_status job_run(clip_job *job, const clip_limits *limits, clip_photo *info)
{
    job->limits = clip_limits_resolve(limits);
    if (!job->bytes) return clip_fail(job->err, CLIP_E_ARGUMENT, "no bytes");
    if (!job->n) return clip_fail(job->err, CLIP_E_FORMAT, "the file is empty");
    if (job->n > job->limits.max_bytes)
        return clip_fail(job->err, CLIP_E_LIMIT, "%zu bytes are more than the limit of %llu allows", job->n,
                         (unsigned long long)job->limits.max_bytes);
    clip_status s = attempt(job);
    if (!s && job->rows_missing_from) {
        job->rows_known = job->rows_missing_from;
        job_clear(job);
        s = attempt(job);
    }
    clip_resizer_destroy(job->resizer);
    job->resizer = NULL;
    if (s) clip_picture_finish(&job->picture);
    if (info) *info = job->photo; /* of a photo that failed, what was known by then */
    return s;
}

clip_status clip_image_to_row(const clip_resize_spec *spec, const uint8_t *bytes, size_t n, const clip_limits *limits,
                              uint8_t *row, clip_photo *info, clip_error *err)
{
    if (spec->size <= 0 || spec->size > 4096 || spec->resize_to < 0 || spec->resize_to > 4096)
        return clip_fail(err, CLIP_E_ARGUMENT, "a row of %d pixels cannot be made", spec->size);
    clip_job job = {.kind = CLIP_JOB_ROW, .bytes = bytes, .n = n, .spec = spec, .row = row, .err = err};
    return job_run(&job, limits, info);
}

clip_status clip_photo_probe(const uint8_t *bytes, size_t n, const clip_limits *limits, clip_photo *out, clip_error *err)
{
    clip_job job = {.kind = CLIP_JOB_PROBE, .bytes = bytes, .n = n, .err = err};
    return job_run(&job, limits, out);
}

clip_status clip_picture_decode(const uint8_t *bytes, size_t n, const clip_limits *limits, int max_side,
                                clip_picture *out, clip_photo *info, clip_error *err)
{
    clip_job job = {.kind = CLIP_JOB_PICTURE, .bytes = bytes, .n = n, .max_side = max_side, .err = err};
    clip_status s = job_run(&job, limits, info);
    *out = job.picture;
    return s;
}

void clip_picture_finish(clip_picture *p)
{
    if (!p) return;
    free(p->rgb);
    *p = (clip_picture){0};
}
