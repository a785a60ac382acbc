/* fuzz_exif.c: bytes that claim to be an EXIF block. */
#include "engine/image/decode.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clip_photo p = {.orientation = 1};
    clip_exif_read(data, size, &p);
    if (p.orientation < 1 || p.orientation > 8) __builtin_trap();
    if (p.has_gps && !(p.latitude >= -90 && p.latitude <= 90 && p.longitude >= -180 && p.longitude <= 180)) __builtin_trap();
    if (strlen(p.taken) != 0 && strlen(p.taken) != 19) __builtin_trap();
    if (!memchr(p.camera, 0, sizeof p.camera)) __builtin_trap();
    return 0;
}
