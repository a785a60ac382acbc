/* fuzz_decoder.h: what every image target does with its bytes: all that a photo goes through, in small and in large.
 * The format is told by content, as everywhere, so that what is tried is what users run. */
#ifndef FUZZ_DECODER_H
#define FUZZ_DECODER_H

#include "engine/image/image.h"

static inline int fuzz_decoder(const uint8_t *data, size_t size)
{
    static uint8_t row[24 * 24 * 3];
    const clip_limits limits = {.max_pixels = 1 << 20, .max_scans = 20};
    clip_resize_spec spec = {.size = 24, .mode = size % 3 == 0 ? CLIP_RESIZE_SQUASH : CLIP_RESIZE_SHORTEST};
    clip_error e = {0};
    clip_photo info;
    clip_picture picture;
    clip_status s = clip_image_to_row(&spec, data, size, &limits, row, &info, &e);
    if (!s != !e.text[0]) __builtin_trap(); /* a failure says why, and only a failure */
    if (!s && (info.orientation < 1 || info.orientation > 8 || info.width < 1 || info.height < 1)) __builtin_trap();
    (void)!clip_picture_decode(data, size, &limits, 100, &picture, NULL, NULL);
    clip_picture_finish(&picture);
    (void)!clip_photo_probe(data, size, &limits, &info, NULL);
    return 0;
}

#endif
