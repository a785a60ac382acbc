/* heif.c: HEIC and AVIF by libheif. It applies the file's own rotation and mirroring, so the EXIF orientation, which only
 * repeats them, is set to upright here; width and height are those after turning. It decodes whole pictures only: limits
 * are checked on what the header says, and libheif holds the coded picture to the same side.
 * A truncated file is refused: the pixels of one tile depend on all its bytes. */
#include "engine/image/decode.h"
#include "engine/lazy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <libheif/heif.h>

#define SYMBOLS(X) \
    X(heif_context_alloc) X(heif_context_free) X(heif_context_read_from_memory_without_copy) \
    X(heif_context_set_maximum_image_size_limit) X(heif_context_set_max_decoding_threads) \
    X(heif_context_get_primary_image_handle) X(heif_image_handle_release) X(heif_image_handle_get_width) \
    X(heif_image_handle_get_height) X(heif_image_handle_get_list_of_metadata_block_IDs) \
    X(heif_image_handle_get_metadata_size) X(heif_image_handle_get_metadata) X(heif_decode_image) \
    X(heif_decoding_options_alloc) X(heif_decoding_options_free) X(heif_image_get_width) X(heif_image_get_height) \
    X(heif_image_get_plane_readonly) X(heif_image_release)
static struct { SYMBOLS(CLIP_LAZY_MEMBER) } heif;
#define LIB heif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

static void load(void)
{
    static const clip_lazy_symbol symbols[] = {SYMBOLS(CLIP_LAZY_SYMBOL)};
    loaded = clip_lazy_load(CLIP_SONAME_HEIF, symbols, sizeof symbols / sizeof *symbols);
}

static clip_status check(clip_job *job, struct heif_error e)
{
    clip_status s;
    switch (e.code) {
    case heif_error_Ok: return CLIP_OK;
    case heif_error_Unsupported_feature:
    case heif_error_Unsupported_filetype:
    case heif_error_Decoder_plugin_error: s = CLIP_E_UNSUPPORTED; break;
    case heif_error_Memory_allocation_error: s = CLIP_E_LIMIT; break; /* also what libheif calls its own limits */
    default: s = CLIP_E_FORMAT;
    }
    return clip_fail(job->err, s, "%s", e.message ? e.message : "libheif cannot read it");
}

/* The block begins with the distance from its fifth byte to the TIFF header. */
static void read_exif(const struct heif_image_handle *handle, clip_photo *photo)
{
    heif_item_id id;
    if (heif.heif_image_handle_get_list_of_metadata_block_IDs(handle, "Exif", &id, 1) != 1) return;
    size_t n = heif.heif_image_handle_get_metadata_size(handle, id);
    uint8_t *block = n > 4 && n <= 1 << 20 ? malloc(n) : NULL;
    if (block && heif.heif_image_handle_get_metadata(handle, id, block).code == heif_error_Ok) {
        size_t skip = (size_t)block[0] << 24 | (size_t)block[1] << 16 | (size_t)block[2] << 8 | block[3];
        if (skip < n - 4) clip_exif_read(block + 4 + skip, n - 4 - skip, photo);
    }
    free(block);
    photo->orientation = 1;
}

static clip_status push_rows(clip_job *job, const struct heif_image *image)
{
    int stride, width = heif.heif_image_get_width(image, heif_channel_interleaved);
    int height = heif.heif_image_get_height(image, heif_channel_interleaved);
    const uint8_t *rgb = heif.heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    if (!rgb || width != job->stored_w || height != job->stored_h)
        return clip_fail(job->err, CLIP_E_FORMAT, "the picture inside has not the size that the file announces");
    clip_status s = clip_job_start(job, width, height, 1);
    for (int y = 0; !s && y < height && !clip_resizer_complete(job->resizer); y++) {
        memcpy(clip_resizer_row(job->resizer), rgb + (size_t)y * (size_t)stride, (size_t)width * 3);
        clip_resizer_push(job->resizer);
    }
    return s;
}

static clip_status decode_pixels(clip_job *job, const struct heif_image_handle *handle)
{
    struct heif_image *image = NULL;
    struct heif_decoding_options *options = heif.heif_decoding_options_alloc();
    if (!options) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for a decoder");
    options->convert_hdr_to_8bit = 1;
    clip_status s = check(job, heif.heif_decode_image(handle, &image, heif_colorspace_RGB, heif_chroma_interleaved_RGB,
                                                      options));
    if (!s) s = push_rows(job, image);
    if (image) heif.heif_image_release(image);
    heif.heif_decoding_options_free(options);
    return s;
}

clip_status clip_heif_decode(clip_job *job)
{
    pthread_once(&once, load);
    if (!loaded)
        return clip_fail(job->err, CLIP_E_UNSUPPORTED, "reading %s needs %s: install it",
                         clip_format_name(job->photo.format), CLIP_SONAME_HEIF);
    struct heif_image_handle *handle = NULL;
    struct heif_context *context = heif.heif_context_alloc();
    if (!context) return clip_fail(job->err, CLIP_E_MEMORY, "no memory for a decoder");
    heif.heif_context_set_maximum_image_size_limit(context, 65535);
    heif.heif_context_set_max_decoding_threads(context, 0); /* tiles on this thread: the caller has threads of its own */
    clip_status s = check(job, heif.heif_context_read_from_memory_without_copy(context, job->bytes, job->n, NULL));
    if (!s) s = check(job, heif.heif_context_get_primary_image_handle(context, &handle));
    if (!s) {
        read_exif(handle, &job->photo);
        s = clip_job_header(job, heif.heif_image_handle_get_width(handle), heif.heif_image_handle_get_height(handle));
    }
    bool pixels = !s && job->kind != CLIP_JOB_PROBE;
    if (pixels) s = clip_job_memory(job, job->stored_w, job->stored_h, 6); /* its own planes, and the RGB made of them */
    if (pixels && !s) s = decode_pixels(job, handle);
    if (handle) heif.heif_image_handle_release(handle);
    heif.heif_context_free(context);
    return s;
}
