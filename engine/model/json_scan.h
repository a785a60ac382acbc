/* json_scan.h: reads a large JSON file from front to back without building a tree. Internal to engine/.
 *
 * Only for the vocabulary: jansson takes 16 ms for CLIP's, which is five times what everything else about it takes.
 * All other JSON is small and goes through jansson. */
#ifndef CLIP_JSON_SCAN_H
#define CLIP_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct clip_json {
    uint8_t *p, *end;  /* what is still to be read; the bytes are the caller's and strings are decoded in place */
    bool failed;       /* something was not JSON; every later call returns false */
} clip_json;

typedef struct clip_json_string {
    const uint8_t *p;  /* [n] UTF-8 without a terminator, into the caller's bytes */
    size_t n;
} clip_json_string;

/* The next byte that is not white space, not taken; 0 at the end. */
uint8_t clip_json_peek(clip_json *j);

/* Takes the byte c, which must come next. */
bool clip_json_take(clip_json *j, uint8_t c);

/* Takes a string with its escapes; a lone surrogate becomes U+FFFD. */
bool clip_json_take_string(clip_json *j, clip_json_string *s);

/* Takes a whole number from 0 to INT32_MAX. */
bool clip_json_take_int(clip_json *j, int32_t *value);

/* Takes a number; what a double cannot hold fails. The last digit may be rounded otherwise than strtod would. */
bool clip_json_take_real(clip_json *j, double *value);

/* Takes one value of any kind; nesting deeper than 64 fails. */
bool clip_json_skip(clip_json *j);

/* Walks an object's or array's members: true when there is one more. Call with *first true, then leave it alone. */
bool clip_json_more(clip_json *j, uint8_t close, bool *first);

#endif
