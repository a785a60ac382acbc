/* walk.c: from a folder down, every regular file that the rules let through.
 *
 * One folder at a time: open, read all names, sort them by bytes (so that two runs meet files in one order), look at
 * each with fstatat, hand the regular files over, close, and only then go down. So a tree of any depth costs one
 * descriptor; folders are opened by their path below the root's descriptor, which keeps meaning the drive that was
 * there when the run began even if something else is mounted over it meanwhile.
 *
 * Symbolic links are passed over unless asked for. Followed, links to folders wait until the real folders are done:
 * then a folder that can be reached both ways is known by its real path, and a link whose target was visited is
 * dropped, which also ends every loop. Without links a tree cannot loop.
 *
 * Left out without being asked: hidden names, what systems keep beside photos (thumbnails, recycle bins), a folder
 * with a .nomedia file, and what .ignore files say; a folder whose .ignore cannot be read is left out whole, and told. A name is
 * bytes; nothing here minds what they are. */
#include "indexer/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IGNORE_FILE_MAX = 1 << 20 };

static const char *const left_out[] = { /* folders, whatever the options say */
    "@eaDir", "@Recycle", "#recycle", "#snapshot", "System Volume Information", "$RECYCLE.BIN", "lost+found",
    "node_modules", ".git", ".svn", ".hg", ".thumbnails", ".Trashes", ".fseventsd", ".Spotlight-V100",
};

/* ---- visited folders: open addressing, at most half full --------------------------------------------------------- */

typedef struct place { uint64_t dev, ino; bool used; } place;
struct indexer_visited { place *slots; size_t n, room; };

indexer_visited *indexer_visited_create(void) { return calloc(1, sizeof(indexer_visited)); }

void indexer_visited_destroy(indexer_visited *v) {
    if (v) free(v->slots);
    free(v);
}

static place *slot_of(place *slots, size_t room, uint64_t dev, uint64_t ino) {
    size_t i = (size_t)((ino * 0x9e3779b97f4a7c15u) ^ (dev * 0xc2b2ae3d27d4eb4fu)) & (room - 1);
    while (slots[i].used && (slots[i].dev != dev || slots[i].ino != ino)) i = (i + 1) & (room - 1);
    return &slots[i];
}

static bool visited_grow(indexer_visited *v) {
    size_t room = v->room ? 2 * v->room : 256;
    place *slots = calloc(room, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < v->room; i++)
        if (v->slots[i].used) *slot_of(slots, room, v->slots[i].dev, v->slots[i].ino) = v->slots[i];
    free(v->slots);
    v->slots = slots; v->room = room;
    return true;
}

/* 1: new, 0: was there, -1: no memory */
static int visited_add(indexer_visited *v, const struct stat *st) {
    if (2 * (v->n + 1) > v->room && !visited_grow(v)) return -1;
    place *p = slot_of(v->slots, v->room, (uint64_t)st->st_dev, (uint64_t)st->st_ino);
    if (p->used) return 0;
    *p = (place){(uint64_t)st->st_dev, (uint64_t)st->st_ino, true};
    v->n++;
    return 1;
}

/* ---- lists of names ---------------------------------------------------------------------------------------------- */

typedef struct names { char **items; size_t n, room; } names;

static bool names_add(names *l, char *owned) {
    if (!owned) return false;
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 32;
        char **more = realloc(l->items, room * sizeof *more);
        if (!more) { free(owned); return false; }
        l->items = more; l->room = room;
    }
    l->items[l->n++] = owned;
    return true;
}

static void names_finish(names *l) {
    for (size_t i = 0; i < l->n; i++) free(l->items[i]);
    free(l->items);
    *l = (names){0};
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* ---- one folder -------------------------------------------------------------------------------------------------- */

typedef struct walk {
    const indexer_walk_options *o;
    names links;             /* symbolic links to folders, walked when the real ones are done */
    indexer_walk_end end;
} walk;

typedef struct listing {     /* what one folder holds */
    names folders, links;    /* paths below the root */
    indexer_file *files; size_t n_files, room;
    bool has_nomedia;
    int problem;             /* errno of a name that could not be looked at */
} listing;

static void drop_files(listing *l) {
    for (size_t i = 0; i < l->n_files; i++) free(l->files[i].name);
    free(l->files);
    l->files = NULL; l->n_files = l->room = 0;
}

static void listing_finish(listing *l) {
    names_finish(&l->folders);
    names_finish(&l->links);
    drop_files(l);
}

static char *joined(const char *folder, const char *name) {
    size_t a = strlen(folder), b = strlen(name);
    char *s = malloc(a + b + 2);
    if (!s) return NULL;
    memcpy(s, folder, a);
    if (a) s[a++] = '/';
    memcpy(s + a, name, b + 1);
    return s;
}

static int read_names(int fd, names *out) { /* 0 or errno */
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) { int e = errno; if (copy >= 0) close(copy); return e; }
    int problem = 0;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e) { problem = errno; break; }
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (!names_add(out, strdup(e->d_name))) { problem = ENOMEM; break; }
    }
    closedir(d);
    if (out->n) qsort(out->items, out->n, sizeof *out->items, by_bytes);
    return problem;
}

static bool always_left_out(const char *name) {
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (!strcmp(name, left_out[i])) return true;
    return !strncmp(name, ".Trash-", 7);
}

static bool add_file(listing *l, char *name, const struct stat *st) {
    if (l->n_files == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        indexer_file *more = realloc(l->files, room * sizeof *more);
        if (!more) return false;
        l->files = more; l->room = room;
    }
    char *own = strdup(name);
    if (!own) return false;
    l->files[l->n_files++] = (indexer_file){.name = own, .size = st->st_size, .inode = st->st_ino,
        .mtime_ns = indexer_mtime_ns(st)};
    return true;
}

/* Sorts one name into the listing. False: no memory. */
static bool look_at(walk *w, int fd, const char *folder, char *name, const indexer_ignore *rules, listing *l) {
    const indexer_walk_options *o = w->o;
    struct stat st;
    bool link = false;
    if (!strcmp(name, ".nomedia")) l->has_nomedia = true;
    if (name[0] == '.' && !o->hidden) return true;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
        if (errno != ENOENT) l->problem = errno; /* else gone since the names were read */
        return true;
    }
    if (S_ISLNK(st.st_mode)) {
        if (!o->follow_symlinks || fstatat(fd, name, &st, 0)) return true; /* dangling, or a loop of links */
        link = true;
    }
    bool folder_like = S_ISDIR(st.st_mode);
    if (!folder_like && !S_ISREG(st.st_mode)) return true;
    if (folder_like && always_left_out(name)) return true;
    char *path = joined(folder, name);
    if (!path) return false;
    if (indexer_ignore_match(o->excludes, path, folder_like) || indexer_ignore_match(rules, path, folder_like)) {
        free(path); /* two questions, so that no ignore file takes back what the user excluded */
        return true;
    }
    if (folder_like) return names_add(link ? &l->links : &l->folders, path);
    free(path);
    return add_file(l, name, &st);
}

/* The bytes of a folder's ignore file, allocated; NULL and *n 0 when it has none. 0 or errno. */
static int read_ignore(int fd, char **text, size_t *n) {
    int f = openat(fd, ".ignore", O_RDONLY | O_NONBLOCK | O_CLOEXEC), problem = 0;
    struct stat st;
    *text = NULL; *n = 0;
    if (f < 0) return errno == ENOENT ? 0 : errno;
    ssize_t got = 1;
    if (!fstat(f, &st) && S_ISREG(st.st_mode) && !(*text = malloc(IGNORE_FILE_MAX + 1))) problem = ENOMEM;
    while (*text && got > 0 && *n <= IGNORE_FILE_MAX && (got = read(f, *text + *n, IGNORE_FILE_MAX + 1 - *n)) > 0) *n += (size_t)got;
    if (got < 0) problem = errno;
    else if (*n > IGNORE_FILE_MAX) problem = EFBIG;
    close(f);
    return problem;
}

/* The rules of the folder at `path`: its own .ignore on top of `above`. NULL: no memory, or a .ignore that cannot be read, which is
 * told; for what it leaves out nobody knows then. */
static indexer_ignore *rules_of(walk *w, int fd, const char *path, const indexer_ignore *above) {
    indexer_ignore *rules = indexer_ignore_create(above, *path ? strlen(path) + 1 : 0);
    char *text = NULL, why[128];
    size_t n = 0;
    int problem = rules ? read_ignore(fd, &text, &n) : ENOMEM;
    if (!problem && !indexer_ignore_add_text(rules, text, n)) problem = ENOMEM;
    free(text);
    if (!problem) return rules;
    indexer_ignore_destroy(rules);
    snprintf(why, sizeof why, "its .ignore: %s", strerror(problem));
    if (problem == ENOMEM) w->end = INDEXER_WALK_MEMORY;
    else w->o->unreadable(path, why, w->o->ctx);
    return NULL;
}

/* False: no memory. */
static bool fill_listing(walk *w, int fd, const char *path, const indexer_ignore *rules, listing *l) {
    names all = {0};
    l->problem = read_names(fd, &all);
    bool ok = l->problem != ENOMEM;
    for (size_t i = 0; i < all.n && ok; i++) ok = look_at(w, fd, path, all.items[i], rules, l);
    if (l->problem && ok) w->o->unreadable(path, strerror(l->problem), w->o->ctx);
    names_finish(&all);
    return ok;
}

static int open_folder(walk *w, const char *path, bool through_link) {
    int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC | (through_link || !*path ? 0 : O_NOFOLLOW);
    int fd = openat(w->o->root_fd, *path ? path : ".", flags);
    struct stat st;
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) w->o->unreadable(path, strerror(errno), w->o->ctx);
        return -1;
    }
    if (!w->o->follow_symlinks) return fd;
    int fresh = fstat(fd, &st) ? 0 : visited_add(w->o->visited, &st);
    if (fresh < 0) w->end = INDEXER_WALK_MEMORY;
    if (fresh > 0) return fd;
    close(fd);
    return -1;
}

static void walk_folder(walk *w, const char *path, bool through_link, const indexer_ignore *above) {
    listing l = {0};
    int fd = open_folder(w, path, through_link);
    if (fd < 0) return;
    indexer_ignore *rules = rules_of(w, fd, path, above);
    bool ok = rules && fill_listing(w, fd, path, rules, &l);
    if (rules && !ok) w->end = INDEXER_WALK_MEMORY;
    if (ok && l.has_nomedia && w->o->nomedia) w->o->nomedia(path, w->o->ctx);
    if (ok && !l.has_nomedia) {
        indexer_folder f = {.fd = fd, .path = path, .files = l.files, .n = l.n_files};
        if (!w->o->folder(&f, w->o->ctx)) w->end = INDEXER_WALK_STOPPED;
    }
    close(fd);
    drop_files(&l);
    for (size_t i = 0; i < l.folders.n && !l.has_nomedia && !w->end; i++) walk_folder(w, l.folders.items[i], false, rules);
    for (size_t i = 0; i < l.links.n && !l.has_nomedia && !w->end; i++) {
        if (!names_add(&w->links, l.links.items[i])) w->end = INDEXER_WALK_MEMORY;
        l.links.items[i] = NULL; /* now the walk's */
    }
    listing_finish(&l);
    indexer_ignore_destroy(rules);
}

/* ---- where the walk begins --------------------------------------------------------------------------------------- */

/* Walks the folder at `path` under the rules of every folder above it, as a walk from the root would. `done` bytes of
 * the path have had their rules read. */
static void walk_from(walk *w, const char *path, size_t done, bool through_link, const indexer_ignore *above) {
    size_t n = strlen(path);
    if (done >= n) { walk_folder(w, path, through_link, above); return; }
    char *part = strndup(path, done);
    if (!part) { w->end = INDEXER_WALK_MEMORY; return; }
    if (done) part[done - 1] = 0; /* without the slash behind it */
    int fd = openat(w->o->root_fd, *part ? part : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    indexer_ignore *rules = fd < 0 ? indexer_ignore_create(above, done) : rules_of(w, fd, part, above);
    const char *slash = strchr(path + done, '/');
    if (fd < 0 && !rules) w->end = INDEXER_WALK_MEMORY;
    if (fd >= 0) close(fd);
    if (rules) walk_from(w, path, slash ? (size_t)(slash - path) + 1 : n, through_link, rules);
    indexer_ignore_destroy(rules);
    free(part);
}

indexer_walk_end indexer_walk(const indexer_walk_options *o) {
    walk w = {.o = o};
    walk_from(&w, o->prefix, 0, true, NULL);
    for (size_t i = 0; i < w.links.n && !w.end; i++) /* the list grows as linked folders hold links */
        walk_from(&w, w.links.items[i], 0, true, NULL);
    names_finish(&w.links);
    return w.end;
}
