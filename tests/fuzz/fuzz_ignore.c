/* fuzz_ignore.c: ignore files and globs. One input is an ignore file whose last line is a path.
 *
 * A short pattern is also matched by the plainest matcher there is, which tries everything: the answers must agree. It takes
 * time exponential in the stars, so they are few. */
#include "indexer/ignore.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool plain_component(const char *p, size_t np, const char *t, size_t nt) {
    if (!np) return !nt;
    if (*p == '*') return plain_component(p + 1, np - 1, t, nt) || (nt && plain_component(p, np, t + 1, nt - 1));
    return nt && (*p == '?' || *p == *t) && plain_component(p + 1, np - 1, t + 1, nt - 1);
}

static bool plain(const char *p, const char *t) {
    size_t np = strcspn(p, "/"), nt = strcspn(t, "/");
    if (np == 2 && !memcmp(p, "**", 2)) {
        if (!p[np]) return *t != 0;
        return plain(p + 3, t) || (t[nt] && plain(p, t + nt + 1));
    }
    if (!plain_component(p, np, t, nt) || !p[np] != !t[nt]) return false;
    return !p[np] || plain(p + np + 1, t + nt + 1);
}

static bool is_plain(const char *s) {
    int stars = 0;
    if (strlen(s) > 20) return false;
    for (; *s; s++) {
        if ((unsigned char)*s >= 0x80 || *s == '[' || *s == '\\') return false;
        stars += *s == '*';
    }
    return stars <= 4;
}

static void compare(char *rules, const char *path) {
    for (char *line = strtok(rules, "\n"); line; line = strtok(NULL, "\n"))
        if (is_plain(line) && is_plain(path) && indexer_glob(line, path) != plain(line, path)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    indexer_ignore *top = indexer_ignore_create(NULL, 0);
    if (!text || !top) abort();
    memcpy(text, data, size);
    text[size] = 0;
    char *last = memchr(text, 0, size) ? NULL : strrchr(text, '\n'), *path = last ? last + 1 : text;
    if (last) *last = 0;
    size_t base = strcspn(path, "/");
    if (!indexer_ignore_add_text(top, (const char *)data, size)) abort();
    indexer_ignore *in = indexer_ignore_create(top, path[base] ? base + 1 : 0);
    if (!in || !indexer_ignore_add_text(in, text, last ? (size_t)(last - text) : size)) abort();
    indexer_ignore_match(in, path, true);
    indexer_ignore_match(in, path, false);
    if (last) compare(text, path);
    indexer_ignore_destroy(in);
    indexer_ignore_destroy(top);
    free(text);
    return 0;
}
