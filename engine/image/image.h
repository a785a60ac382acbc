/* image.h: from a photo's bytes to the pixels that an image tower wants. Internal to engine/; clip.c wraps it.
 *
 * The public functions about photos that need no model (clip_format_*, clip_file_read, clip_photo_probe,
 * clip_picture_*) are defined in this folder as clip.h declares them. */
#ifndef CLIP_IMAGE_H
#define CLIP_IMAGE_H

#include "engine/clip.h"

/* How a photo's sides become the resized picture's sides. */
typedef enum clip_resize_mode {
    CLIP_RESIZE_SHORTEST = 0, /* the shorter side becomes resize_to, the longer keeps the ratio, truncated */
    CLIP_RESIZE_SQUASH,       /* both sides become resize_to */
    CLIP_RESIZE_LONGEST       /* the longer side becomes resize_to; the row is filled up with black */
} clip_resize_mode;

typedef enum clip_resize_filter { CLIP_FILTER_BICUBIC = 0, CLIP_FILTER_BILINEAR } clip_resize_filter; /* Pillow's */

/* Where the centre lies when the margin is odd. */
typedef enum clip_crop_rounding {
    CLIP_CROP_HALF_EVEN = 0, /* torchvision (open_clip): int(round(margin / 2.0)) */
    CLIP_CROP_FLOOR          /* Hugging Face's processor: margin // 2 */
} clip_crop_rounding;

typedef struct clip_resize_spec {
    clip_resize_mode mode;
    clip_resize_filter filter;
    clip_crop_rounding rounding;
    int size;      /* both sides of the row that comes out: the centre of the resized picture */
    int resize_to; /* see clip_resize_mode; 0: the same as size */
} clip_resize_spec;

/* row: [size][size][3] bytes R G B, written whole on success. `limits`, `info` and `err` may be NULL. */
CLIP_MUST_USE clip_status clip_image_to_row(const clip_resize_spec *spec, const uint8_t *bytes, size_t n,
                                            const clip_limits *limits, uint8_t *row, clip_photo *info, clip_error *err);

#endif
