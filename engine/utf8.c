/* utf8.c: the two directions, a character at a time.
 *
 * utf8proc_iterate does not say how many bytes of a broken sequence belong together, which decides how many U+FFFD stand
 * for it; hence our own. */
#include "engine/utf8.h"

#include <stdbool.h>

size_t clip_utf8_read(const uint8_t *p, const uint8_t *end, uint32_t *cp) {
    uint8_t b = p[0], low = 0x80, high = 0xBF;
    size_t more;
    if (b < 0x80) { *cp = b; return 1; }
    if (b >= 0xC2 && b <= 0xDF) more = 1;
    else if (b >= 0xE0 && b <= 0xEF) more = 2;
    else if (b >= 0xF0 && b <= 0xF4) more = 3;
    else { *cp = CLIP_UTF8_REPLACEMENT; return 1; }
    /* The second byte's range rules out overlong forms, surrogates and what lies above U+10FFFF. */
    if (b == 0xE0) low = 0xA0;
    if (b == 0xED) high = 0x9F;
    if (b == 0xF0) low = 0x90;
    if (b == 0xF4) high = 0x8F;
    uint32_t c = b & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if (p + i == end || p[i] < low || p[i] > high) { *cp = CLIP_UTF8_REPLACEMENT; return i; }
        c = c << 6 | (p[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *cp = c;
    return more + 1;
}

size_t clip_utf8_length(const uint8_t *p, const uint8_t *end) {
    uint32_t c;
    size_t n = clip_utf8_read(p, end, &c);
    bool itself = n == 3 && p[0] == 0xEF && p[1] == 0xBF && p[2] == 0xBD;
    return c != CLIP_UTF8_REPLACEMENT || itself ? n : 0;
}

size_t clip_utf8_write(uint32_t c, uint8_t *out) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3F));
    out[0] = (uint8_t)((0xF00 >> n) | c);
    return n;
}
