/* meet.c: every file that the walk meets is looked up, its fate planned and, where that needs no reading, carried out.
 *
 * What is no photo. Content decides, not names; but opening every text file at every run is slow on a cold disk. So
 * files whose name promises no photo are opened once and their first bytes looked at; a digest of the names, sizes and
 * times of those that were none is kept for each folder, and while it stays the same they are not opened again. A file
 * whose name does promise a photo goes to the pipeline directly; if it is none, that is worth a message, and it is
 * remembered as failed. */
#include "indexer/plan.h"
#include "indexer/run.h"
#include "indexer/walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* ---- carrying out a plan ----------------------------------------------------------------------------------------- */

static int carry_out(run *r, const indexer_target *t, const char *path, const indexer_file *f,
                     const indexer_plan_input *in) {
    indexer_plan p = indexer_plan_file(in);
    if (in->row && run_add_seen(r, in->row->id)) return -1;
    if (p.fate == INDEXER_MOVED) {
        if (run_add_seen(r, in->like->id)) return -1;
        if (!r->o->dry_run &&
            (run_batch_change(r) || run_relocate(r, in->like, t, path, f->size, f->mtime_ns, f->inode))) return -1;
        run_tell(r, INDEXER_MOVED, t, path, NULL);
        if (!p.read) return 0;
        return run_add_job(r, path, f, in->like->state == STORE_FAILED ? INDEXER_NEW : INDEXER_REEMBEDDED);
    }
    if (p.read) return run_add_job(r, path, f, p.fate == INDEXER_FAILED ? INDEXER_NEW : p.fate);
    if (p.fate == INDEXER_RETURNED && run_set_state(r, in->row->id, STORE_PRESENT)) return -1;
    if (p.fate == INDEXER_FAILED) r->report->still_failed++;
    else run_tell(r, p.fate, t, path, NULL);
    return 0;
}

/* ---- files that are no photos ------------------------------------------------------------------------------------ */

/* A hint for the order of work and for the words of a message; what a file is, its bytes say. */
static bool promises_photo(const char *name) {
    static const char *const endings[] = {"jpg", "jpeg", "jpe", "jfif", "png", "webp", "heic", "heif", "hif", "avif", "tif",
        "tiff", "gif", "dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf", "pef", "srw"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot + 1, endings[i])) return true;
    return false;
}

/* 1: a photo by its first bytes, 0: not, -1: could not be opened */
static int sniff(const run *r, int folder, const char *name) {
    uint8_t head[32];
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (r->o->follow_symlinks ? 0 : O_NOFOLLOW));
    if (fd < 0) return -1;
    ssize_t n = !fstat(fd, &st) && S_ISREG(st.st_mode) ? read(fd, head, sizeof head) : 0;
    close(fd);
    return n < 0 ? -1 : clip_format_sniff(head, (size_t)n) != CLIP_FORMAT_UNKNOWN;
}

typedef struct digest { XXH3_state_t *x; size_t n; } digest;

static void digest_add(digest *d, const indexer_file *f) {
    XXH3_128bits_update(d->x, f->name, strlen(f->name) + 1);
    XXH3_128bits_update(d->x, &f->size, sizeof f->size);
    XXH3_128bits_update(d->x, &f->mtime_ns, sizeof f->mtime_ns);
    d->n++;
}

static void digest_value(const digest *d, uint8_t out[16]) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(d->x));
    memcpy(out, c.digest, 16);
}

/* A file that the library does not know and whose name promises nothing. */
static int try_stranger(run *r, const indexer_target *t, const indexer_folder *d, const indexer_file *f, digest *none) {
    store_photo like = {0};
    indexer_plan_input in = {.size = f->size, .mtime_ns = f->mtime_ns};
    int moved = run_find_like(r, f, &like, &in.like_has_vector), status = moved < 0 ? -1 : 0;
    int photo = moved ? 1 : sniff(r, d->fd, f->name);
    if (photo > 0 && !status) {
        char *path = run_join(d->path, f->name);
        in.like = moved ? &like : NULL;
        status = path ? carry_out(r, t, path, f, &in) : run_fail_memory(r);
        free(path);
    } else if (photo == 0) {
        r->report->not_photos++;
        digest_add(none, f);
    }
    store_photo_finish(&like);
    return status;
}

static int try_strangers(run *r, const indexer_target *t, const indexer_folder *d, const size_t *which, size_t n) {
    digest all = {XXH3_createState(), 0};
    uint8_t now[16], then[16];
    store_error e = {0};
    int status = 0;
    if (!all.x) return run_fail_memory(r);
    XXH3_128bits_reset_withSeed(all.x, r->seed);
    for (size_t i = 0; i < n; i++) digest_add(&all, &d->files[which[i]]);
    digest_value(&all, now);
    if (r->s && t->root_id && !store_folder_recall(r->s, t->root_id, d->path, then, &e) && !memcmp(now, then, 16)) {
        r->report->not_photos += (int64_t)n;
    } else {
        digest none = {all.x, 0};
        XXH3_128bits_reset_withSeed(none.x, r->seed);
        for (size_t i = 0; i < n && !status; i++) status = try_stranger(r, t, d, &d->files[which[i]], &none);
        digest_value(&none, now);
        if (!status && none.n && !r->o->dry_run && !(status = run_batch_change(r)) &&
            store_folder_remember(r->s, t->root_id, d->path, now, &e)) status = run_fail(r, "%s", e.text);
    }
    XXH3_freeState(all.x);
    return status;
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

/* 1: nothing is known of it and its name promises nothing; 0: dealt with; -1: failed */
static int plan_one(run *r, const indexer_target *t, const char *path, const indexer_file *f) {
    store_photo row = {0}, like = {0};
    indexer_plan_input in = {.size = f->size, .mtime_ns = f->mtime_ns};
    int got = run_find_row(r, t, path, &row, &in.row_has_vector), status = got < 0 ? -1 : 0;
    if (!got && !promises_photo(f->name)) return 1;
    if (got > 0) {
        in.row = &row;
        in.retry = run_may_retry(r, &row);
    } else if (!status) {
        int moved = run_find_like(r, f, &like, &in.like_has_vector);
        if (moved < 0) status = -1;
        else if (moved) { in.like = &like; in.retry = run_may_retry(r, &like); }
    }
    if (!status) status = carry_out(r, t, path, f, &in);
    store_photo_finish(&row);
    store_photo_finish(&like);
    return status;
}

int run_meet(run *r, const indexer_target *t, const indexer_file *f) {
    int what = plan_one(r, t, f->name, f);
    if (what != 1) return what;
    const indexer_folder root = {.fd = t->fd, .path = "", .files = f, .n = 1};
    digest none = {XXH3_createState(), 0}; /* what one file is says nothing about its folder */
    int status = none.x ? (XXH3_128bits_reset(none.x), try_stranger(r, t, &root, f, &none)) : run_fail_memory(r);
    XXH3_freeState(none.x);
    return status;
}

static bool on_folder(const indexer_folder *d, void *ctx) {
    run *r = ctx;
    const indexer_target *t = &r->targets.items[r->target];
    size_t *strangers = malloc((d->n ? d->n : 1) * sizeof *strangers), n = 0;
    if (!strangers) { run_fail_memory(r); return false; }
    for (size_t i = 0; i < d->n && !r->failed; i++) {
        char *path = run_join(d->path, d->files[i].name);
        int what = path ? plan_one(r, t, path, &d->files[i]) : run_fail_memory(r);
        if (what == 1) strangers[n++] = i;
        free(path);
    }
    if (n && !r->failed) try_strangers(r, t, d, strangers, n);
    free(strangers);
    if (r->ev->progress) r->ev->progress(r->report, r->report->count[INDEXER_SAME] + (int64_t)r->n_jobs, -1, r->ev->ctx);
    return !r->failed && !run_stop_asked(r);
}

static void on_unreadable(const char *path, const char *why, void *ctx) {
    run *r = ctx;
    char *absolute = run_join(r->targets.items[r->target].root_path, path);
    r->report->unreadable_folders++;
    run_remark(r, "%s cannot be read (%s): photos below it stay as they are", absolute ? absolute : path, why);
    free(absolute);
}

static void on_nomedia(const char *path, void *ctx) {
    run *r = ctx;
    const indexer_target *t = &r->targets.items[r->target];
    if (!strcmp(path, t->prefix)) /* named by the user, so worth a word */
        run_remark(r, "%s%s%s is left out: it holds a file named .nomedia", t->root_path, *path ? "/" : "", path);
}

/* --exclude, as rules at the root; an absolute glob below this root loses the root's path. */
static int make_excludes(run *r, const indexer_target *t) {
    size_t n = strlen(t->root_path);
    indexer_ignore_destroy(r->excludes);
    if (!(r->excludes = indexer_ignore_create(NULL, 0))) return run_fail_memory(r);
    for (size_t i = 0; i < r->o->n_excludes; i++) {
        const char *glob = r->o->excludes[i];
        if (!strncmp(glob, t->root_path, n) && glob[n] == '/') glob += n;
        if (!indexer_ignore_add(r->excludes, glob, strlen(glob))) return run_fail_memory(r);
    }
    return 0;
}

int run_walk(run *r) {
    indexer_visited *visited = r->o->follow_symlinks ? indexer_visited_create() : NULL;
    int status = r->o->follow_symlinks && !visited ? run_fail_memory(r) : 0;
    for (r->target = 0; r->target < r->targets.n && !status && !r->report->interrupted; r->target++) {
        const indexer_target *t = &r->targets.items[r->target];
        if ((status = make_excludes(r, t))) break;
        indexer_walk_options w = {.root_fd = t->fd, .prefix = t->prefix, .excludes = r->excludes, .hidden = r->o->hidden,
            .follow_symlinks = r->o->follow_symlinks, .visited = visited, .folder = on_folder, .unreadable = on_unreadable,
            .nomedia = on_nomedia, .ctx = r};
        if (indexer_walk(&w) == INDEXER_WALK_MEMORY) status = run_fail_memory(r);
        if (r->failed) status = -1;
    }
    indexer_visited_destroy(visited);
    if (!status) return run_batch_end(r);
    if (r->batch_open) store_batch_abandon(r->s);
    r->batch_open = false;
    return -1;
}
