/* json_scan.c: a pull scanner over bytes in memory.
 *
 * The caller says what must come next and gets it or a failure, which sticks; nothing is allocated. Strings are decoded
 * where they lie, since an escape is never shorter than what it stands for. It is strict where a vocabulary could be
 * misread and does not check more: UTF-8 is passed through as it is. */
#include "engine/model/json_scan.h"
#include "engine/utf8.h"

#include <float.h>
#include <string.h>

#define DEPTH_MAX 64
#define BEYOND_ALL 16383 /* a power of ten that no long double holds */

static bool fail(clip_json *j) {
    j->failed = true;
    j->p = j->end;
    return false;
}

uint8_t clip_json_peek(clip_json *j) {
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
    return j->p < j->end ? *j->p : 0;
}

bool clip_json_take(clip_json *j, uint8_t c) {
    if (clip_json_peek(j) != c || j->p == j->end) return fail(j);
    j->p++;
    return true;
}

bool clip_json_more(clip_json *j, uint8_t close, bool *first) {
    uint8_t c = clip_json_peek(j);
    if (c == close && j->p < j->end) {
        j->p++;
        return false;
    }
    if (!*first && !clip_json_take(j, ',')) return false;
    *first = false;
    return j->p < j->end || fail(j);
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static bool read_hex4(const uint8_t *p, const uint8_t *end, uint32_t *value) {
    if (end - p < 4) return false;
    *value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], letter = c | 0x20;
        if (c >= '0' && c <= '9') *value = *value << 4 | (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f') *value = *value << 4 | (uint32_t)(letter - 'a' + 10);
        else return false;
    }
    return true;
}

/* *p stands behind "\u". A pair of surrogates is one character of four bytes; twelve were read for it. */
static bool decode_u(uint8_t **p, const uint8_t *end, uint8_t **out) {
    uint32_t c, low;
    if (!read_hex4(*p, end, &c)) return false;
    *p += 4;
    if (c >= 0xD800 && c < 0xDC00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' && read_hex4(*p + 2, end, &low) &&
        low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        *p += 6;
    } else if (c >= 0xD800 && c < 0xE000) c = CLIP_UTF8_REPLACEMENT;
    *out += clip_utf8_write(c, *out);
    return true;
}

/* The rest of a string from its first backslash on; `start` is where the string begins. */
static bool decode_escapes(clip_json *j, uint8_t *start, uint8_t *at, clip_json_string *s) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    uint8_t *p = at, *out = at;
    while (p < j->end && *p != '"') {
        if (*p < 0x20) return fail(j);
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        if (++p == j->end) return fail(j);
        uint8_t c = *p++;
        const char *known = c ? strchr(letters, c) : NULL;
        if (known) *out++ = (uint8_t)meanings[known - letters];
        else if (c != 'u' || !decode_u(&p, j->end, &out)) return fail(j);
    }
    if (p == j->end) return fail(j);
    *s = (clip_json_string){start, (size_t)(out - start)};
    j->p = p + 1;
    return true;
}

/* For each byte of x that is zero the highest bit of that byte, and perhaps of bytes above the lowest such. */
static uint64_t zero_bytes(uint64_t x) { return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u; }

/* The first quote, backslash or control character, or the end. Eight bytes at a time: a loop over single bytes ends at a
 * random length, and the processor guesses it wrong each time. */
static uint8_t *find_special(uint8_t *p, const uint8_t *end) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (uint64_t x; end - p >= 8; p += 8) {
        memcpy(&x, p, 8);
        uint64_t hit = zero_bytes(x ^ 0x2222222222222222u) | zero_bytes(x ^ 0x5C5C5C5C5C5C5C5Cu) | zero_bytes(x & 0xE0E0E0E0E0E0E0E0u);
        if (hit) return p + __builtin_ctzll(hit) / 8;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) p++;
    return p;
}

bool clip_json_take_string(clip_json *j, clip_json_string *s) {
    if (!clip_json_take(j, '"')) return false;
    uint8_t *start = j->p, *p = find_special(start, j->end);
    if (p == j->end || *p < 0x20) return fail(j);
    if (*p == '\\') return decode_escapes(j, start, p, s);
    *s = (clip_json_string){start, (size_t)(p - start)};
    j->p = p + 1;
    return true;
}

/* ---- numbers and the rest ---------------------------------------------------------------------------------------- */

bool clip_json_take_int(clip_json *j, int32_t *value) {
    uint8_t c = clip_json_peek(j);
    int64_t v = 0;
    if (c < '0' || c > '9') return fail(j);
    while (j->p < j->end && *j->p >= '0' && *j->p <= '9') {
        v = v * 10 + (*j->p++ - '0');
        if (v > INT32_MAX) return fail(j);
    }
    c = clip_json_peek(j);
    if (c != ',' && c != '}' && c != ']') return fail(j);
    *value = (int32_t)v;
    return true;
}

/* Digits into *mantissa while they fit; returns by how many powers of ten that is off: what did not fit, less what came behind
 * the point. */
static int take_digits(clip_json *j, bool fraction, uint64_t *mantissa, bool *any) {
    int power = 0;
    for (; j->p < j->end && *j->p >= '0' && *j->p <= '9'; j->p++) {
        *any = true;
        if (*mantissa < UINT64_MAX / 10 - 1) *mantissa = *mantissa * 10 + (uint64_t)(*j->p - '0'), power -= fraction;
        else if (power < 10000) power += !fraction;
    }
    return power;
}

static bool take_exponent(clip_json *j, int *power) {
    bool any = false, negative = j->p < j->end && *j->p == '-';
    uint64_t n = 0;
    if (j->p < j->end && (*j->p == '-' || *j->p == '+')) j->p++;
    if (take_digits(j, false, &n, &any) || !any || n > 5000) return false;
    *power += negative ? -(int)n : (int)n;
    return true;
}

/* Scaled by long doubles, whose powers of ten are exact as far as numbers of a vocabulary go; strtod would go by the locale. */
bool clip_json_take_real(clip_json *j, double *value) {
    bool any = false, negative = clip_json_peek(j) == '-';
    uint64_t mantissa = 0;
    if (negative) j->p++;
    int power = take_digits(j, false, &mantissa, &any);
    if (j->p < j->end && *j->p == '.' && any) {
        j->p++;
        any = false;
        power += take_digits(j, true, &mantissa, &any);
    }
    if (any && j->p < j->end && (*j->p | 0x20) == 'e') {
        j->p++;
        any = take_exponent(j, &power);
    }
    long double v = mantissa, ten = 10, scale = 1;
    int n = power < 0 ? -power : power;
    for (n = n < BEYOND_ALL ? n : BEYOND_ALL; n > 0; n >>= 1, ten *= ten)
        if (n & 1) scale *= ten;
    v = mantissa == 0 ? 0 : power < 0 ? v / scale : v * scale;
    *value = (double)(negative ? -v : v);
    return (any && *value >= -DBL_MAX && *value <= DBL_MAX) || fail(j);
}

/* Passes over a string and leaves its bytes as they are, so that it can be read later. */
static bool skip_string(clip_json *j) {
    for (j->p++; j->p < j->end && *j->p != '"'; j->p++)
        if (*j->p == '\\' && ++j->p == j->end) break;
    return j->p < j->end ? (j->p++, true) : fail(j);
}

static bool skip_word(clip_json *j) {
    const uint8_t *start = j->p;
    while (j->p < j->end && *j->p && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *j->p)) j->p++;
    return j->p > start || fail(j);
}

/* A closing bracket is only checked to be one of its kind in number, not each against its own opening: what is skipped is
 * not used. */
bool clip_json_skip(clip_json *j) {
    int depth = 0;
    do {
        uint8_t c = clip_json_peek(j);
        if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX) return fail(j);
            j->p++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
            j->p++;
        } else if ((c == ',' || c == ':') && depth > 0) j->p++;
        else if (c == '"' ? !skip_string(j) : !skip_word(j)) return false;
    } while (depth > 0);
    return true;
}
