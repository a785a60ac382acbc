/* utf8.h: UTF-8, a character at a time. Internal to engine/. */
#ifndef CLIP_UTF8_H
#define CLIP_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define CLIP_UTF8_REPLACEMENT 0xFFFDu

/* Reads one code point at p < end and returns how many bytes it took. What is not UTF-8 gives U+FFFD for each longest
 * part that could have begun a character, as Python's decoder and the Unicode Standard (3.9, table 3-8) have it. */
size_t clip_utf8_read(const uint8_t *p, const uint8_t *end, uint32_t *cp);

/* How many bytes the character at p < end takes; 0 when it is none. */
size_t clip_utf8_length(const uint8_t *p, const uint8_t *end);

/* Writes cp to out[0..4) and returns the number of bytes. */
size_t clip_utf8_write(uint32_t cp, uint8_t *out);

#endif
