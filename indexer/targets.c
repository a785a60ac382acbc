/* targets.c: from the folders that the user named, or from none, to the roots and prefixes that are walked.
 *
 * A root is absent when its folder is not there, or cannot be opened, or is empty although photos were indexed in it:
 * that is what the mount point of an unplugged drive looks like. Nothing is concluded from an absent root: no photo of
 * it is marked missing. Somebody who really emptied a folder says so with `clipsearch forget`.
 *
 * A drive mounted elsewhere: when a folder is named that no root covers, up to 64 photos of every absent root, spread
 * over it, are looked for below that folder. If at least half are there with their size and time, the folder is that
 * root at a new place, and the root moves with all its photos instead of being read again.
 *
 * Overlapping folders in one command are placed first, all of them, and then resolved again, because a wider folder
 * takes over the roots inside it; a folder inside another of the same command is dropped. */
#include "indexer/targets.h"
#include "indexer/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLE = 64 };

typedef struct finder {
    store *s;
    const indexer_options *o;
    void (*remark)(const char *line, void *ctx);
    void *ctx;
    indexer_targets *t;
    clip_error *err;
} finder;

/* ---- words ------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void remark(finder *f, const char *format, ...) {
    char line[2 * 4096];
    va_list a;
    va_start(a, format);
    vsnprintf(line, sizeof line, format, a);
    va_end(a);
    if (f->remark) f->remark(line, f->ctx);
}

__attribute__((format(printf, 2, 3))) static int fail(finder *f, const char *format, ...) {
    va_list a;
    va_start(a, format);
    if (f->err && !f->err->text[0]) vsnprintf(f->err->text, sizeof f->err->text, format, a);
    va_end(a);
    return -1;
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

/* What remains of `path` below `folder` ("" when they are equal); NULL when it is not below. Both absolute, neither
 * ends in a slash unless it is "/". */
static const char *below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    if (n && folder[n - 1] == '/') n--;
    if (strncmp(path, folder, n) || (path[n] && path[n] != '/')) return NULL;
    return path + n + (path[n] == '/');
}

/* The absolute form of a path that does not exist, without . and .. and double slashes. */
static char *lexical(const char *path) {
    char *cwd = path[0] == '/' ? strdup("") : getcwd(NULL, 0), *all = NULL, *out = NULL;
    if (cwd && asprintf(&all, "%s/%s", cwd, path) >= 0 && (out = calloc(1, strlen(all) + 2))) {
        char *save = NULL;
        for (char *part = strtok_r(all, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
            if (!strcmp(part, ".")) continue;
            if (strcmp(part, "..")) { strcat(out, "/"); strcat(out, part); }
            else if (strrchr(out, '/')) *strrchr(out, '/') = 0;
        }
        if (!*out) strcpy(out, "/");
    }
    free(cwd);
    free(all);
    return out;
}

/* ---- roots ------------------------------------------------------------------------------------------------------- */

static bool is_empty(int fd) {
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) { if (copy >= 0) close(copy); return false; }
    bool empty = true;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, "lost+found");
    closedir(d);
    return empty;
}

static int open_folder(const char *path) { return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

static int open_root(const char *path, int64_t photos) {
    int fd = open_folder(path);
    if (fd < 0 || !photos || !is_empty(fd)) return fd;
    close(fd);
    errno = ENOTEMPTY; /* read by why_absent: empty, and should not be */
    return -1;
}

static const char *why_absent(int problem) {
    if (problem == ENOTEMPTY) return "is empty (a drive that is not mounted?)";
    if (problem == ENOENT || problem == ENOTDIR) return "is not there (an unplugged drive?)";
    return problem == EACCES ? "cannot be opened (permission denied)" : "cannot be opened";
}

static void drop_roots(indexer_targets *t) {
    for (size_t i = 0; i < t->n_roots; i++) {
        free(t->roots[i].path);
        if (t->roots[i].fd >= 0) close(t->roots[i].fd);
    }
    free(t->roots);
    t->roots = NULL; t->n_roots = 0;
}

static int load_roots(finder *f) {
    store_root *r = NULL;
    size_t n = 0;
    store_error e = {0};
    drop_roots(f->t);
    if (!f->s) return 0;
    if (store_roots(f->s, &r, &n, &e)) return fail(f, "%s", e.text);
    f->t->roots = calloc(n ? n : 1, sizeof *f->t->roots);
    bool ok = f->t->roots != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        indexer_root *to = &f->t->roots[f->t->n_roots++];
        *to = (indexer_root){.id = r[i].id, .path = strdup(r[i].path), .fd = open_root(r[i].path, r[i].photos),
                             .photos = r[i].photos};
        ok = to->path != NULL;
    }
    store_roots_free(r, n);
    return ok ? 0 : fail(f, "not enough memory");
}

const indexer_root *indexer_targets_root(const indexer_targets *t, int64_t id) {
    for (size_t i = 0; i < t->n_roots; i++)
        if (t->roots[i].id == id) return t->roots[i].fd >= 0 ? &t->roots[i] : NULL;
    return NULL;
}

const indexer_target *indexer_targets_around(const indexer_targets *t, const char *absolute, const char **path) {
    for (size_t i = 0; i < t->n; i++)
        if ((*path = below(absolute, t->items[i].root_path)) && (!*t->items[i].prefix || below(*path, t->items[i].prefix)))
            return &t->items[i];
    return NULL;
}

bool indexer_targets_absent(const indexer_targets *t, const char *absolute) {
    for (size_t i = 0; i < t->n_roots; i++)
        if (t->roots[i].fd < 0 && below(absolute, t->roots[i].path)) return true;
    return false;
}

static void say_absent(finder *f, const indexer_root *r) {
    int fd = open_root(r->path, r->photos), problem = errno;
    if (fd >= 0) close(fd); /* came back this very moment: the next run sees it */
    f->t->absent++;
    remark(f, "%s %s: its %lld photos stay as they are; if it is mounted elsewhere, index it there and it is recognised",
           r->path, fd < 0 ? why_absent(problem) : "was not there", (long long)r->photos);
}

/* ---- a drive mounted elsewhere ----------------------------------------------------------------------------------- */

typedef struct sample { int64_t ids[SAMPLE]; size_t n; int64_t met, stride; } sample;

static bool take_sample(const store_brief *b, void *ctx) {
    sample *s = ctx;
    if (b->state == STORE_PRESENT && s->met++ % s->stride == 0) s->ids[s->n++] = b->id;
    return s->n < SAMPLE;
}

/* Whether this photo of the library lies below fd as it did below its root. */
static bool is_there(store *s, int64_t id, int fd) {
    store_photo p = {0};
    store_error e = {0};
    struct stat st;
    if (store_photo_get(s, id, &p, &e)) return false;
    bool same = !fstatat(fd, p.path, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) && st.st_size == p.size &&
                indexer_mtime_ns(&st) == p.mtime_ns;
    store_photo_finish(&p);
    return same;
}

static bool is_root_at(finder *f, const indexer_root *r, int fd) {
    sample s = {.stride = r->photos > SAMPLE ? r->photos / SAMPLE : 1};
    store_error e = {0};
    size_t same = 0;
    if (store_photos_below(f->s, r->id, "", 0, take_sample, &s, &e)) return false;
    for (size_t i = 0; i < s.n; i++) same += is_there(f->s, s.ids[i], fd);
    return same && 2 * same >= s.n;
}

/* The absent root whose photos lie in the folder `path`; NULL when there is none, or when another root lies inside. */
static const indexer_root *root_elsewhere(finder *f, const char *path, int fd) {
    for (size_t i = 0; i < f->t->n_roots; i++)
        if (below(f->t->roots[i].path, path)) return NULL;
    for (size_t i = 0; i < f->t->n_roots; i++) {
        const indexer_root *r = &f->t->roots[i];
        if (r->fd < 0 && r->photos && is_root_at(f, r, fd)) return r;
    }
    return NULL;
}

static void say_elsewhere(finder *f, const indexer_root *r, const char *path) {
    remark(f, "%s is what was %s: its %lld photos are known and not read again", path, r->path, (long long)r->photos);
}

/* ---- targets ----------------------------------------------------------------------------------------------------- */

static int add_target(finder *f, int64_t root_id, const char *root_path, const char *prefix) {
    indexer_targets *t = f->t;
    for (size_t i = 0; i < t->n; i++) /* covered by one that is there already */
        if (!strcmp(t->items[i].root_path, root_path) && (!*t->items[i].prefix || below(prefix, t->items[i].prefix)))
            return 0;
    for (size_t i = 0; i < t->n; i++) /* covers one: widen it (any others are met again, and found the SAME) */
        if (!strcmp(t->items[i].root_path, root_path) && (!*prefix || below(t->items[i].prefix, prefix))) {
            free(t->items[i].prefix);
            t->items[i].prefix = strdup(prefix);
            return t->items[i].prefix ? 0 : fail(f, "not enough memory");
        }
    indexer_target *more = realloc(t->items, (t->n + 1) * sizeof *more);
    if (!more) return fail(f, "not enough memory");
    t->items = more;
    indexer_target *to = &t->items[t->n++];
    *to = (indexer_target){.root_id = root_id, .root_path = strdup(root_path), .prefix = strdup(prefix),
                           .fd = open_folder(root_path)};
    if (to->fd < 0) return fail(f, "%s cannot be opened: %s", root_path, strerror(errno));
    return to->root_path && to->prefix ? 0 : fail(f, "not enough memory");
}

static const indexer_root *root_around(const finder *f, const char *path, const char **prefix) {
    for (size_t i = 0; i < f->t->n_roots; i++)
        if ((*prefix = below(path, f->t->roots[i].path))) return &f->t->roots[i];
    return NULL;
}

static int target_every_root(finder *f) {
    if (!f->t->n_roots) return fail(f, "nothing has been indexed yet: name a folder, as in: clipsearch index ~/Pictures");
    for (size_t i = 0; i < f->t->n_roots; i++) {
        const indexer_root *r = &f->t->roots[i];
        if (r->fd < 0) say_absent(f, r);
        else if (add_target(f, r->id, r->path, "")) return -1;
    }
    return 0;
}

/* A folder that is not there: an absent root, or the user's mistake. */
static int missing_folder(finder *f, const char *given, int problem) {
    char *path = lexical(given);
    const char *prefix;
    const indexer_root *r = path ? root_around(f, path, &prefix) : NULL;
    int status = 0;
    if (r && r->fd < 0) say_absent(f, r);
    else if (r && problem == ENOENT)
        status = fail(f, "%s is not there. If it was deleted, `clipsearch index %s` notes that its photos are gone", given,
                      r->path);
    else status = fail(f, "%s: %s", given, problem == ENOENT ? "no such folder" : strerror(problem));
    free(path);
    return status;
}

/* One folder of the command line, in the library: inside a root, a root found elsewhere, or a new root. */
static int place_folder(finder *f, const char *path, int fd) {
    const char *prefix;
    const indexer_root *r = root_around(f, path, &prefix);
    int64_t id;
    char *made = NULL;
    store_error e = {0};
    if (r || f->o->dry_run) return 0;
    if ((r = root_elsewhere(f, path, fd))) {
        if (store_root_move(f->s, r->id, path, &e)) return fail(f, "%s", e.text);
        say_elsewhere(f, r, path);
    } else {
        if (store_root_place(f->s, path, &id, &made, &e)) return fail(f, "%s", e.text);
        free(made);
    }
    return load_roots(f);
}

static int target_folder(finder *f, const char *path, int fd) {
    const char *prefix;
    const indexer_root *r = root_around(f, path, &prefix);
    if (r && r->fd >= 0) return add_target(f, r->id, r->path, prefix);
    if (r) { say_absent(f, r); return 0; }
    if ((r = root_elsewhere(f, path, fd))) say_elsewhere(f, r, path); /* only a dry run comes here */
    return add_target(f, r ? r->id : 0, path, "");
}

/* Both passes: place every folder, then make targets of them. */
static int each_folder(finder *f, bool placing) {
    for (size_t i = 0; i < f->o->n_folders; i++) {
        const char *given = f->o->folders[i];
        char *path = realpath(given, NULL);
        int problem = errno, fd = path ? open_folder(path) : -1, status = 0;
        if (path && fd < 0)
            status = fail(f, "%s: %s", given,
                          errno == ENOTDIR ? "is no folder: index the folder that holds it" : strerror(errno));
        else if (!path) status = placing ? missing_folder(f, given, problem) : 0;
        else status = placing ? place_folder(f, path, fd) : target_folder(f, path, fd);
        if (fd >= 0) close(fd);
        free(path);
        if (status) return -1;
    }
    return 0;
}

int indexer_targets_find(store *s, const indexer_options *o, void (*say)(const char *line, void *ctx), void *ctx,
                         indexer_targets *out, clip_error *err) {
    finder f = {.s = s, .o = o, .remark = say, .ctx = ctx, .t = out, .err = err};
    *out = (indexer_targets){0};
    if (load_roots(&f)) return -1;
    if (!o->n_folders) return target_every_root(&f);
    return each_folder(&f, true) || each_folder(&f, false) ? -1 : 0;
}

void indexer_targets_finish(indexer_targets *t) {
    drop_roots(t);
    for (size_t i = 0; i < t->n; i++) {
        free(t->items[i].root_path);
        free(t->items[i].prefix);
        if (t->items[i].fd >= 0) close(t->items[i].fd);
    }
    free(t->items);
    *t = (indexer_targets){0};
}
