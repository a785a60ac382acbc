/* listed.c: a run over the files on a list, and nothing else.
 *
 * Each must lie in one of the run's folders, since a photo belongs to a root; that is asked of all of them before the first
 * one is looked at. What is named is read, hidden or not. A name without a file says that the photo is gone; about what is not
 * on the list nothing is concluded. */
#include "indexer/run.h"
#include "indexer/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int all_inside(run *r) {
    const char *path;
    for (size_t i = 0; i < r->o->n_files; i++)
        if (!indexer_targets_around(&r->targets, r->o->files[i], &path) && !indexer_targets_absent(&r->targets, r->o->files[i]))
            return run_fail(r, "%s lies in no folder of this run: name its folder too, as in: clipsearch index DIR --files-from LIST",
                            r->o->files[i]);
    return 0;
}

static int meet_missing(run *r, const indexer_target *t, const char *path) {
    store_photo row = {0};
    bool has_vector;
    int got = run_find_row(r, t, path, &row, &has_vector), status = got < 0 ? -1 : 0;
    if (!got) run_remark(r, "%s%s%s: no such file", t->root_path, t->root_path[1] ? "/" : "", path);
    if (got > 0 && row.state != STORE_MISSING) {
        status = run_set_state(r, row.id, STORE_MISSING);
        if (!status) run_tell(r, INDEXER_GONE, t, path, NULL);
    }
    store_photo_finish(&row);
    return status;
}

static int meet_listed(run *r, const char *absolute) {
    const char *path;
    const indexer_target *t = indexer_targets_around(&r->targets, absolute, &path);
    struct stat st;
    if (!t) return 0; /* its drive is not there, which has been said */
    r->target = (uint32_t)(t - r->targets.items);
    if (fstatat(t->fd, *path ? path : ".", &st, r->o->follow_symlinks ? 0 : AT_SYMLINK_NOFOLLOW)) {
        if (errno == ENOENT || errno == ENOTDIR) return meet_missing(r, t, path);
        run_remark(r, "%s: %s", absolute, strerror(errno));
        return 0;
    }
    if (!S_ISREG(st.st_mode)) return 0;
    const indexer_file f = {.name = (char *)path, .size = st.st_size, .inode = st.st_ino,
                            .mtime_ns = indexer_mtime_ns(&st)};
    return run_meet(r, t, &f);
}

int run_list(run *r) {
    size_t n = r->o->n_files;
    const char **sorted = malloc((n ? n : 1) * sizeof *sorted);
    int status = sorted ? all_inside(r) : run_fail_memory(r);
    if (sorted && n) memcpy(sorted, r->o->files, n * sizeof *sorted), qsort(sorted, n, sizeof *sorted, by_bytes);
    for (size_t i = 0; i < n && !status && !run_stop_asked(r); i++)
        if (!i || strcmp(sorted[i], sorted[i - 1])) status = meet_listed(r, sorted[i]);
    free(sorted);
    if (!status) return run_batch_end(r);
    if (r->batch_open) store_batch_abandon(r->s);
    r->batch_open = false;
    return -1;
}
