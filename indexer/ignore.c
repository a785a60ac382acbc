/* ignore.c: ignore files and --exclude, in the words of gitignore(5).
 *
 * The subset: blank lines and lines that begin with # say nothing; a trailing / means folders only; a slash anywhere
 * else (a leading one counts) ties the pattern to the file's own folder, otherwise it meets the last component at any
 * depth; ! takes back; ** between slashes spans any number of folders; trailing blanks fall unless quoted by a
 * backslash. As in git, what lies in a folder that is left out cannot be taken back, because the walk never goes
 * there.
 *
 * The matcher is ours: fnmatch(3) has no **, depends on the locale (names here are bytes), and a hostile pattern makes
 * it backtrack for ever. This one returns only to the last star, within a component and among components alike, so a
 * match costs at most length of pattern x length of path, squared for patterns that use ** and * both. */
#include "indexer/ignore.h"

#include <stdlib.h>
#include <string.h>

typedef struct rule {
    char *pattern;
    bool taken_back, folders_only, tied;
} rule;

struct indexer_ignore {
    const indexer_ignore *above;
    size_t base;
    rule *rules; size_t n, room;
};

/* ---- glob -------------------------------------------------------------------------------------------------------- */

/* One character: a UTF-8 sequence where the bytes look like one, else a byte. */
static size_t character(const char *t, const char *end) {
    size_t n = 1;
    if ((unsigned char)*t >= 0xc0)
        while (t + n < end && n < 4 && ((unsigned char)t[n] & 0xc0) == 0x80) n++;
    return n;
}

/* [abc], [a-z], [!a-z] against one byte. *after: behind the bracket; NULL when the bracket is never closed. */
static bool bracket(const char *p, const char *end, unsigned char c, const char **after) {
    bool negated = p < end && (*p == '!' || *p == '^'), found = false;
    if (negated) p++;
    for (const char *first = p; p < end; p++) {
        if (*p == ']' && p != first) { *after = p + 1; return found != negated; }
        if (*p == '\\' && p + 1 < end) p++;
        unsigned char low = (unsigned char)*p, high = low;
        if (p + 2 < end && p[1] == '-' && p[2] != ']') { high = (unsigned char)p[2]; p += 2; }
        if (low <= c && c <= high) found = true;
    }
    *after = NULL;
    return false;
}

/* One element of a pattern at *p against the text at *t; both move on when it fits. */
static bool element(const char **p, const char *p_end, const char **t, const char *t_end) {
    const char *after = NULL;
    if (**p == '?') { (*p)++; *t += character(*t, t_end); return true; }
    if (**p == '[') {
        bool in = bracket(*p + 1, p_end, (unsigned char)**t, &after);
        if (after) { *p = after; (*t)++; return in; }
    }
    const char *c = **p == '\\' && *p + 1 < p_end ? *p + 1 : *p;
    if (*c != **t) return false;
    *p = c + 1; (*t)++;
    return true;
}

static bool component(const char *p, const char *p_end, const char *t, const char *t_end) {
    const char *star = NULL, *from = NULL;
    while (t < t_end) {
        if (p < p_end && *p == '*') { star = ++p; from = t; continue; }
        const char *p2 = p, *t2 = t;
        if (p < p_end && element(&p2, p_end, &t2, t_end)) { p = p2; t = t2; continue; }
        if (!star) return false;
        p = star; t = ++from;
    }
    while (p < p_end && *p == '*') p++;
    return p == p_end;
}

static const char *slash_or_end(const char *s) { return s + strcspn(s, "/"); }

bool indexer_glob(const char *p, const char *t) {
    const char *stars = NULL, *from = NULL; /* the last **, and where in the path it was last tried */
    for (;;) {
        const char *p_end = slash_or_end(p), *t_end = slash_or_end(t);
        if (p_end - p == 2 && p[0] == '*' && p[1] == '*') {
            if (!*p_end) return *t != 0; /* the last component: everything in the folder, not the folder itself */
            stars = p = p_end + 1; from = t;
            continue;
        }
        if (component(p, p_end, t, t_end)) {
            if (!*p_end && !*t_end) return true;
            if (*p_end && *t_end) { p = p_end + 1; t = t_end + 1; continue; }
        }
        if (!stars) return false;
        from = slash_or_end(from);
        if (!*from) return false;
        t = ++from; p = stars;
    }
}

/* ---- rules ------------------------------------------------------------------------------------------------------- */

indexer_ignore *indexer_ignore_create(const indexer_ignore *above, size_t base) {
    indexer_ignore *r = calloc(1, sizeof *r);
    if (r) *r = (indexer_ignore){.above = above, .base = base};
    return r;
}

void indexer_ignore_destroy(indexer_ignore *r) {
    if (!r) return;
    for (size_t i = 0; i < r->n; i++) free(r->rules[i].pattern);
    free(r->rules);
    free(r);
}

static bool push(indexer_ignore *r, rule u) {
    if (r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 8;
        rule *more = realloc(r->rules, room * sizeof *more);
        if (!more) return false;
        r->rules = more; r->room = room;
    }
    r->rules[r->n++] = u;
    return true;
}

static size_t without_trailing_blanks(const char *s, size_t n) {
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r') && !(n > 1 && s[n - 2] == '\\')) n--;
    return n;
}

bool indexer_ignore_add(indexer_ignore *r, const char *s, size_t n) {
    rule u = {0};
    if (memchr(s, 0, n)) n = strlen(s);
    n = without_trailing_blanks(s, n);
    if (!n || *s == '#') return true;
    if (*s == '!') { u.taken_back = true; s++; n--; }
    if (n && s[n - 1] == '/') { u.folders_only = true; n--; }
    u.tied = memchr(s, '/', n) != NULL;
    if (n && *s == '/') { s++; n--; }
    if (!n) return true;
    if (!(u.pattern = strndup(s, n))) return false;
    if (push(r, u)) return true;
    free(u.pattern);
    return false;
}

bool indexer_ignore_add_text(indexer_ignore *r, const char *text, size_t n) {
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { text += 3; n -= 3; }
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t line = end ? (size_t)(end - text) : n;
        if (!indexer_ignore_add(r, text, line)) return false;
        if (!end) break;
        text += line + 1; n -= line + 1;
    }
    return true;
}

bool indexer_ignore_match(const indexer_ignore *r, const char *path, bool is_folder) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (; r; r = r->above)
        for (size_t i = r->n; i-- > 0;) {
            const rule *u = &r->rules[i];
            if (u->folders_only && !is_folder) continue;
            if (indexer_glob(u->pattern, u->tied ? path + r->base : name)) return !u->taken_back;
        }
    return false;
}
