/* error.c: one-line messages. The text is escaped here, once, because every caller quotes names and contents that others
 * chose; letters beyond ASCII pass, so that names stay readable. What is not UTF-8 is escaped, since messages go into JSON, and so
 * are the C1 controls (0xc2 0x80..0x9f), which some terminals obey. */
#include "engine/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/utf8.h"

/* Writes the character at *p, or what stands for it, and moves behind it. */
static size_t escape(char out[8], const uint8_t **p, const uint8_t *end)
{
    size_t n = clip_utf8_length(*p, end);
    uint8_t c = **p;
    bool c1 = n == 2 && c == 0xc2 && (*p)[1] <= 0x9f;
    *p += n ? n : 1;
    if (c == '\n' || c == '\t' || c == '\r') return (size_t)snprintf(out, 8, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    if (!n || c1 || c < 0x20 || c == 0x7f) return (size_t)snprintf(out, 8, "\\x%02x", c1 ? (*p)[-1] : c);
    memcpy(out, *p - n, n);
    return n;
}

clip_status clip_fail(clip_error *err, clip_status s, const char *fmt, ...)
{
    if (!err || err->text[0]) return s;
    char raw[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);

    size_t used = 0;
    for (const uint8_t *p = (const uint8_t *)raw, *end = p + strlen(raw); p < end;) {
        char one[8];
        size_t n = escape(one, &p, end);
        if (used + n >= sizeof err->text) break;
        memcpy(err->text + used, one, n);
        used += n;
    }
    err->text[used] = 0;
    return s;
}

const char *clip_status_name(clip_status s)
{
    switch (s) {
    case CLIP_OK: return "ok";
    case CLIP_E_IO: return "input/output";
    case CLIP_E_FORMAT: return "format";
    case CLIP_E_UNSUPPORTED: return "unsupported";
    case CLIP_E_LIMIT: return "limit";
    case CLIP_E_MEMORY: return "memory";
    case CLIP_E_ARGUMENT: return "argument";
    case CLIP_E_INTERNAL: return "internal";
    }
    return "unknown";
}
