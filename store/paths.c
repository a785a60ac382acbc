/* paths.c: paths are bytes. A photo's path is kept relative to its root, as TEXT where it is valid UTF-8, so that a person
 * reads it in any SQLite tool, and as a BLOB elsewhere, because SQLite's TEXT functions may stop at or mangle other bytes.
 * Every comparison in SQL is made on CAST(path AS BLOB), which is the order of strcmp and the same for both. */
#include "store/library.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

bool store_path_is_text(const char *path)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)path;
    while (*p) {
        if (*p < 0x80) { p++; continue; }
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p, -1, &c); /* stops at the final zero: it is no continuation byte */
        if (n < 1 || c < 0) return false;
        p += n;
    }
    return true;
}

char *store_path_join(const char *folder, const char *name)
{
    size_t n = strlen(folder), m = strlen(name);
    bool slash = m && n && folder[n - 1] != '/';
    char *s = malloc(n + m + 2);
    if (!s) return NULL;
    memcpy(s, folder, n);
    if (slash) s[n++] = '/';
    memcpy(s + n, name, m + 1);
    return s;
}

const char *store_path_below(const char *folder, const char *path)
{
    size_t n = strlen(folder);
    if (n == 0) return path;
    if (strncmp(folder, path, n)) return NULL;
    if (!path[n]) return path + n;
    if (folder[n - 1] == '/') return path + n;
    return path[n] == '/' ? path + n + 1 : NULL;
}

char *store_path_clean(const char *path)
{
    if (!path || path[0] != '/') return NULL;
    char *s = strdup(path);
    if (!s) return NULL;
    for (size_t n = strlen(s); n > 1 && s[n - 1] == '/'; n--) s[n - 1] = 0;
    return s;
}

/* '0' follows '/' in ASCII, so that "a/..." is all that sorts from "a/" to before "a0". */
void store_path_range(const char *folder, char *low, char *high)
{
    size_t n = strlen(folder);
    memcpy(low, folder, n);
    memcpy(high, folder, n);
    strcpy(low + n, "/");
    strcpy(high + n, "0");
}

char *store_path_beside(const store *s, const char *suffix)
{
    size_t n = strlen(s->path);
    char *p = malloc(n + strlen(suffix) + 1);
    if (p) strcpy(strcpy(p, s->path) + n, suffix);
    return p;
}
