/* gone.c: photos of the walked folders that the walk did not meet.
 *
 * Not having been met is no proof: each is looked for by its path, and only if its file is really not there is it
 * marked missing. A photo in a folder that could not be read, in one that is now excluded or hidden, or on a drive
 * that was pulled out during the run, was not met either; but asking for it says "permission denied", "here I am" or
 * "input/output error", and then it stays as it is. So leaving a folder out does not forget what was indexed in it
 * before: `clipsearch forget` does. And all paths are asked below the root's descriptor, opened at the start: an
 * unmounted drive answers with an error, not with the empty folder underneath. */
#include "indexer/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int by_id(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

typedef struct gone { run *r; int fd; const indexer_target *t; int64_t *ids; size_t n, room; } gone;

static bool is_gone(int fd, const char *path) {
    struct stat st;
    if (!fstatat(fd, path, &st, 0)) return !S_ISREG(st.st_mode);
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
}

static bool look_for_gone(const store_brief *b, void *ctx) {
    gone *g = ctx;
    run *r = g->r;
    bool seen = r->n_seen && bsearch(&b->id, r->seen, r->n_seen, sizeof *r->seen, by_id);
    if (seen || b->state == STORE_MISSING || !is_gone(g->fd, b->path)) return true;
    if (g->n == g->room) {
        size_t room = g->room ? 2 * g->room : 256;
        int64_t *more = realloc(g->ids, room * sizeof *more);
        if (!more) { run_fail_memory(r); return false; }
        g->ids = more; g->room = room;
    }
    g->ids[g->n++] = b->id;
    run_tell(r, INDEXER_GONE, g->t, b->path, NULL);
    return true;
}

static int mark_gone_below(run *r, int64_t root_id, int fd, const indexer_target *t) {
    gone g = {.r = r, .fd = fd, .t = t};
    store_error e = {0};
    int status = store_photos_below(r->s, root_id, t->prefix, 0, look_for_gone, &g, &e) ? run_fail(r, "%s", e.text) : 0;
    if (r->failed) status = -1;
    for (size_t i = 0; i < g.n && !status; i++) status = run_set_state(r, g.ids[i], STORE_MISSING);
    free(g.ids);
    return status;
}

/* In a dry run over a folder around known roots, those roots are asked one by one. */
static int mark_gone_inside(run *r, const indexer_target *t) {
    size_t n = strlen(t->root_path);
    for (size_t i = 0; i < r->targets.n_roots; i++) {
        const indexer_root *in = &r->targets.roots[i];
        if (in->fd < 0 || strncmp(in->path, t->root_path, n) || in->path[n] != '/') continue;
        indexer_target whole = {.root_id = in->id, .root_path = in->path, .prefix = (char *)"", .fd = in->fd};
        if (mark_gone_below(r, in->id, in->fd, &whole)) return -1;
    }
    return 0;
}

int run_mark_gone(run *r) {
    int status = 0;
    if (!r->s) return 0;
    if (r->n_seen) qsort(r->seen, r->n_seen, sizeof *r->seen, by_id);
    for (size_t i = 0; i < r->targets.n && !status; i++) {
        const indexer_target *t = &r->targets.items[i];
        status = t->root_id ? mark_gone_below(r, t->root_id, t->fd, t) : mark_gone_inside(r, t);
    }
    if (!status) return run_batch_end(r);
    if (r->batch_open) store_batch_abandon(r->s);
    r->batch_open = false;
    return -1;
}
