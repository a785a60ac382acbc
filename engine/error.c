/* error.c: one-line messages. The text is escaped here, once, because every caller quotes names and contents that others
 * chose; bytes above 0x7f pass, so that UTF-8 names stay readable, except the C1 controls (0xc2 0x80..0x9f), which some
 * terminals obey. */
#include "engine/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t escape(char out[8], const unsigned char *p)
{
    if (*p == '\n' || *p == '\t' || *p == '\r') {
        out[0] = '\\';
        out[1] = *p == '\n' ? 'n' : *p == '\t' ? 't' : 'r';
        return 2;
    }
    bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
    if (*p >= 0x20 && *p != 0x7f && !c1) {
        out[0] = (char)*p;
        return 1;
    }
    return (size_t)snprintf(out, 8, "\\x%02x", c1 ? p[1] : *p);
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
    for (const unsigned char *p = (const unsigned char *)raw; *p; p++) {
        char one[8];
        size_t n = escape(one, p);
        if (used + n >= sizeof err->text) break;
        memcpy(err->text + used, one, n);
        used += n;
        if (n > 2 && *p == 0xc2) p++;
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
