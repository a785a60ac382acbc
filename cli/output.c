/* output.c: names of files on a line, in JSON, and numbers for people.
 *
 * A file's name is bytes. Into a pipe they go as they are; on a terminal they are quoted as GNU ls does it
 * ("shell-escape"), because a name may hold a new line or an escape sequence, and so that what is seen can be pasted
 * into a shell. What counts as printable is decided by Unicode's categories and never by a locale: the answer is the
 * same everywhere. */
#include "cli/table.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

bool cli_is_utf8(const char *bytes)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)bytes;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(bytes);
    while (left > 0) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate(p, left, &cp);
        if (n <= 0) return false;
        p += n, left -= n;
    }
    return true;
}

/* ---- quoting ---- */

static bool printable(utf8proc_int32_t cp)
{
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

size_t cli_printable(const char *p)
{
    utf8proc_int32_t cp;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)strnlen(p, 4), &cp);
    return n > 0 && printable(cp) ? (size_t)n : 0;
}

typedef struct traits { bool odd, special, apostrophe, hard; } traits;

static traits look_at(const char *path)
{
    traits t = {.special = !*path || *path == '#' || *path == '~'};
    for (const char *p = path; *p;) {
        size_t n = cli_printable(p);
        if (!n) t.odd = true;
        else if (*p == '\'') t.apostrophe = true;
        else if (strchr("\"$`\\!", *p)) t.hard = true;
        else if (strchr(" &()*;<=>[^|?", *p)) t.special = true;
        p += n ? n : 1;
    }
    return t;
}

static void put_escape(FILE *f, unsigned char byte)
{
    static const char names[] = "\aa\bb\tt\nn\vv\ff\rr";
    for (const char *p = names; *p; p += 2)
        if ((unsigned char)*p == byte) {
            fprintf(f, "\\%c", p[1]);
            return;
        }
    fprintf(f, "\\%03o", byte);
}

/* Single quotes, with $'...' around what cannot be shown: 'a'$'\n''b' is what ls prints for a new line. */
static void put_quoted(FILE *f, const char *path)
{
    bool escaping = false;
    putc('\'', f);
    for (const char *p = path; *p;) {
        size_t n = cli_printable(p);
        if ((n == 0) != escaping) fputs(escaping ? "''" : "'$'", f), escaping = !escaping;
        if (!n) put_escape(f, (unsigned char)*p);
        else if (*p == '\'') fputs("'\\''", f);
        else fwrite(p, 1, n, f);
        p += n ? n : 1;
    }
    putc('\'', f);
}

static void put_path(FILE *f, const char *path)
{
    traits t = look_at(path);
    if (t.apostrophe && !t.odd && !t.hard) fprintf(f, "\"%s\"", path);
    else if (t.odd || t.special || t.apostrophe || t.hard) put_quoted(f, path);
    else fputs(path, f);
}

void cli_print_path(FILE *f, const char *path)
{
    if (isatty(fileno(f))) put_path(f, path);
    else fputs(path, f);
}

/* Quotes stand outside the name's parts, so the last slash divides what is printed as it divides the name. */
void cli_paint_path(FILE *f, const char *path)
{
    char *quoted = isatty(fileno(f)) ? cli_quote_path(path) : NULL;
    const char *shown = quoted ? quoted : path, *slash = strrchr(shown, '/');
    if (slash) fprintf(f, "\033[34m%.*s\033[0m", (int)(slash + 1 - shown), shown);
    fputs(slash ? slash + 1 : shown, f);
    free(quoted);
}

char *cli_quote_path(const char *path)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return NULL;
    put_path(f, path);
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}

/* ---- JSON ---- */

char *cli_base64(const void *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes;
    if (n > SIZE_MAX / 2) return NULL;
    char *out = malloc((n + 2) / 3 * 4 + 1), *q = out;
    if (!out) return NULL;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t three = (uint32_t)p[i] << 16 | (i + 1 < n ? p[i + 1] : 0u) << 8 | (i + 2 < n ? p[i + 2] : 0u);
        *q++ = digits[three >> 18];
        *q++ = digits[three >> 12 & 63];
        *q++ = i + 1 < n ? digits[three >> 6 & 63] : '=';
        *q++ = i + 2 < n ? digits[three & 63] : '=';
    }
    *q = 0;
    return out;
}

void cli_json_path(void *json_object, const char *path)
{
    if (cli_is_utf8(path)) {
        json_object_set_new(json_object, "path", json_string(path));
        return;
    }
    char *text = cli_base64(path, strlen(path));
    json_object_set_new(json_object, "path_base64", text ? json_string(text) : json_null());
    free(text);
}

void cli_print_json(FILE *f, void *json)
{
    json_dumpf(json, f, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putc('\n', f);
    json_decref(json);
}

/* ---- numbers ---- */

const char *cli_count(int64_t n, char room[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && digits[i - 1] != '-' && (length - i) % 3 == 0) room[at++] = ',';
        room[at++] = digits[i];
    }
    room[at] = 0;
    return room;
}

const char *cli_bytes(int64_t n, char room[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    double x = (double)n;
    int unit = 0;
    while (x >= 999.95 && unit < 5) x /= 1000, unit++;
    snprintf(room, 32, unit && x < 99.95 ? "%.1f %s" : "%.0f %s", x, units[unit]);
    return room;
}
