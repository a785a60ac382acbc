/* indexer.c: one run, from folders to a library brought up to date.
 *
 * The algorithm in prose. Find the roots. Walk every folder that was asked for; look each file up and let the plan say its fate. What
 * needs no reading (a rename, a photo that came back) is noted at once; what must be read becomes a job. When the walk
 * is complete the jobs go through the pipeline, and each of its batches is one transaction. At the end, whatever photo of the walked
 * folders was not met is looked for by its path: only if its file is really not there is it marked missing.
 *
 * That last look is what makes the marking safe. A photo in a folder that could not be read, in one that is now excluded or
 * hidden, or on a drive that was pulled out during the run, was not met either; but asking for it says "permission denied",
 * "here I am" or "input/output error", and then it stays as it is. So leaving a folder out does not forget what was
 * indexed in it before: `clipsearch forget` does. And all paths are asked below the root's descriptor, opened at the
 * start: an unmounted drive answers with an error, not with the empty folder underneath.
 *
 * What is no photo. Content decides, not names; but opening every text file at every run is slow on a cold disk. So files whose
 * name promises no photo are opened once and their first bytes looked at; a digest of the names, sizes and times of those
 * that were none is kept for each folder, and while it stays the same they are not opened again. A file whose name does
 * promise a photo goes to the pipeline directly; if it is none, that is worth a message, and it is remembered as failed.
 *
 * Content. A file that must be read is hashed first. If its content has a vector already, nothing is decoded: it is a copy, or a move
 * that kept neither inode nor time, or a file that was only touched. The vector is looked up again when the batch is written,
 * since its owner may have changed meanwhile; if it is gone, the file goes back to be encoded. */
#include "indexer/indexer.h"
#include "indexer/ignore.h"
#include "indexer/pipeline.h"
#include "indexer/plan.h"
#include "indexer/targets.h"
#include "indexer/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { CHANGES_PER_BATCH = 1000, CHUNK = 1 << 16 };

typedef struct job {
    const char *path;           /* in the arena */
    int64_t size, mtime_ns;
    uint64_t inode;
    uint32_t target;
    indexer_fate fate;
} job;

typedef struct chunk { struct chunk *next; size_t used; char bytes[]; } chunk;

typedef struct run {
    store *s;                   /* NULL in a dry run without a library */
    const clip_model *m;
    const indexer_options *o;
    const indexer_events *ev;
    indexer_report *report;
    clip_error *err;
    pthread_mutex_t store_lock; /* decoder threads ask whether a content is known */
    indexer_targets targets;
    uint32_t target;            /* being walked */
    indexer_ignore *excludes;   /* of that target */
    int64_t model_id;           /* 0 while the library does not know the model */
    job *jobs; size_t n_jobs, jobs_room, next_job;
    chunk *arena;
    int64_t *seen; size_t n_seen, seen_room; /* ids of photos that were met */
    int changes;                /* in the open batch */
    bool batch_open, failed;
    char formats[160], old_formats[160]; /* what this build reads, what the last one did; each name between blanks */
    uint64_t seed;              /* of folder digests: a build that knows more formats looks again */
    int64_t done;
} run;

/* ---- errors, events, small things ---------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int fail(run *r, const char *format, ...) {
    va_list a;
    va_start(a, format);
    if (r->err && !r->err->text[0]) vsnprintf(r->err->text, sizeof r->err->text, format, a);
    va_end(a);
    r->failed = true;
    return -1;
}

static int fail_memory(run *r) { return fail(r, "not enough memory"); }

__attribute__((format(printf, 2, 3))) static void remark(run *r, const char *format, ...) {
    char line[2 * 4096];
    va_list a;
    va_start(a, format);
    vsnprintf(line, sizeof line, format, a);
    va_end(a);
    if (r->ev->remark) r->ev->remark(line, r->ev->ctx);
}

static bool stop_asked(run *r) {
    if (!r->report->interrupted && r->ev->stop && r->ev->stop(r->ev->ctx)) r->report->interrupted = true;
    return r->report->interrupted;
}

static char *joined(const char *folder, const char *name) {
    char *s = NULL;
    size_t n = strlen(folder);
    return asprintf(&s, "%s%s%s", folder, n && folder[n - 1] != '/' ? "/" : "", name) < 0 ? NULL : s;
}

/* Counts a fate and tells it. */
static void tell(run *r, indexer_fate f, const indexer_target *t, const char *path, const char *reason) {
    r->report->count[f]++;
    if (f == INDEXER_SAME || !r->ev->fate) return;
    char *absolute = joined(t->root_path, path);
    if (absolute) r->ev->fate(f, absolute, reason, r->ev->ctx);
    free(absolute);
}

static const char *keep_string(run *r, const char *s) {
    size_t n = strlen(s) + 1, room = n > CHUNK ? n : CHUNK;
    if (!r->arena || r->arena->used + n > CHUNK) {
        chunk *c = malloc(sizeof *c + room);
        if (!c) return NULL;
        *c = (chunk){.next = r->arena};
        r->arena = c;
    }
    char *to = r->arena->bytes + r->arena->used;
    r->arena->used += n;
    return memcpy(to, s, n);
}

static int add_seen(run *r, int64_t id) {
    if (r->n_seen == r->seen_room) {
        size_t room = r->seen_room ? 2 * r->seen_room : 1024;
        int64_t *more = realloc(r->seen, room * sizeof *more);
        if (!more) return fail_memory(r);
        r->seen = more; r->seen_room = room;
    }
    r->seen[r->n_seen++] = id;
    return 0;
}

static int add_job(run *r, const char *path, const indexer_file *f, indexer_fate fate) {
    if (r->n_jobs == r->jobs_room) {
        size_t room = r->jobs_room ? 2 * r->jobs_room : 256;
        job *more = realloc(r->jobs, room * sizeof *more);
        if (!more) return fail_memory(r);
        r->jobs = more; r->jobs_room = room;
    }
    const char *kept = keep_string(r, path);
    if (!kept) return fail_memory(r);
    r->jobs[r->n_jobs++] = (job){kept, f->size, f->mtime_ns, f->inode, r->target, fate};
    return 0;
}

/* ---- batches of small changes: outside the pipeline --------------------------------------------------------------------------- */

static int batch_end(run *r) {
    store_error e = {0};
    if (!r->batch_open) return 0;
    r->batch_open = false;
    r->changes = 0;
    return store_batch_commit(r->s, &e) ? fail(r, "%s", e.text) : 0;
}

static int batch_change(run *r) { /* before a change */
    store_error e = {0};
    if (r->changes++ >= CHANGES_PER_BATCH && batch_end(r)) return -1;
    if (r->batch_open) return 0;
    if (store_batch_begin(r->s, &e)) return fail(r, "%s", e.text);
    r->batch_open = true;
    return 0;
}

static int set_state(run *r, int64_t id, store_state state) {
    store_error e = {0};
    if (r->o->dry_run) return 0;
    if (batch_change(r)) return -1;
    return store_photo_set_state(r->s, id, state, &e) ? fail(r, "%s", e.text) : 0;
}

/* ---- looking a file up ----------------------------------------------------------------------------------------------------------- */

/* 1: found, 0: not, -1: failed (said) */
static int found(run *r, store_status s, const store_error *e) {
    if (s == STORE_OK) return 1;
    return s == STORE_E_NOT_FOUND ? 0 : fail(r, "%s", e->text);
}

static int find_row(run *r, const indexer_target *t, const char *path, store_photo *row, bool *has_vector) {
    store_error e = {0};
    if (!r->s) return 0;
    if (t->root_id) return found(r, store_photo_at(r->s, t->root_id, path, r->model_id, row, has_vector, &e), &e);
    char *absolute = joined(t->root_path, path); /* a dry run over a folder around known roots */
    store_photo first = {0};
    int got = absolute ? found(r, store_photo_by_absolute(r->s, absolute, &first, &e), &e) : fail_memory(r);
    if (got > 0) got = found(r, store_photo_at(r->s, first.root_id, first.path, r->model_id, row, has_vector, &e), &e);
    store_photo_finish(&first);
    free(absolute);
    return got;
}

/* Whether photo p is no longer where the library has it, though its drive is there. */
static bool has_left(run *r, const store_photo *p) {
    const indexer_root *root = indexer_targets_root(&r->targets, p->root_id);
    struct stat st;
    if (!root) return false;
    if (fstatat(root->fd, p->path, &st, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT || errno == ENOTDIR;
    return st.st_size != p->size || (uint64_t)st.st_ino != p->inode;
}

static int find_like(run *r, const indexer_file *f, store_photo *like, bool *has_vector) {
    store_error e = {0};
    if (!r->s) return 0;
    int got = found(r, store_photo_like(r->s, f->size, f->mtime_ns, f->inode, r->model_id, like, has_vector, &e), &e);
    if (got > 0 && !has_left(r, like)) { store_photo_finish(like); return 0; }
    return got;
}

/* Whether a photo that failed gets another chance: asked for, or this build reads its format and the last one did not. */
static bool may_retry(const run *r, const store_photo *p) {
    char name[40];
    if (r->o->retry) return true;
    if (!p->format || !r->old_formats[0]) return false;
    snprintf(name, sizeof name, " %s ", p->format);
    return strstr(r->formats, name) && !strstr(r->old_formats, name);
}

/* ---- carrying out a plan ------------------------------------------------------------------------------------------------------------ */

static int relocate(run *r, const store_photo *from, const indexer_target *t, const char *path, int64_t size,
                    int64_t mtime_ns, uint64_t inode) {
    store_error e = {0};
    if (store_photo_relocate(r->s, from->id, t->root_id, path, size, mtime_ns, inode, &e)) return fail(r, "%s", e.text);
    if (from->state != STORE_MISSING) return 0;
    return store_photo_set_state(r->s, from->id, STORE_PRESENT, &e) ? fail(r, "%s", e.text) : 0;
}

static int carry_out(run *r, const indexer_target *t, const char *path, const indexer_file *f, const indexer_plan_input *in) {
    indexer_plan p = indexer_plan_file(in);
    if (in->row && add_seen(r, in->row->id)) return -1;
    if (p.fate == INDEXER_MOVED) {
        if (add_seen(r, in->like->id)) return -1;
        if (!r->o->dry_run && (batch_change(r) || relocate(r, in->like, t, path, f->size, f->mtime_ns, f->inode))) return -1;
        tell(r, INDEXER_MOVED, t, path, NULL);
        if (!p.read) return 0;
        return add_job(r, path, f, in->like->state == STORE_FAILED ? INDEXER_NEW : INDEXER_REEMBEDDED);
    }
    if (p.read) return add_job(r, path, f, p.fate == INDEXER_FAILED ? INDEXER_NEW : p.fate);
    if (p.fate == INDEXER_RETURNED && set_state(r, in->row->id, STORE_PRESENT)) return -1;
    if (p.fate == INDEXER_FAILED) r->report->still_failed++;
    else tell(r, p.fate, t, path, NULL);
    return 0;
}

/* ---- files that are no photos --------------------------------------------------------------------------------------------------------- */

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
    int moved = find_like(r, f, &like, &in.like_has_vector), status = moved < 0 ? -1 : 0;
    int photo = moved ? 1 : sniff(r, d->fd, f->name);
    if (photo > 0 && !status) {
        char *path = joined(d->path, f->name);
        in.like = moved ? &like : NULL;
        status = path ? carry_out(r, t, path, f, &in) : fail_memory(r);
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
    if (!all.x) return fail_memory(r);
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
        if (!status && none.n && !r->o->dry_run && !(status = batch_change(r)) &&
            store_folder_remember(r->s, t->root_id, d->path, now, &e)) status = fail(r, "%s", e.text);
    }
    XXH3_freeState(all.x);
    return status;
}

/* ---- the walk ------------------------------------------------------------------------------------------------------------------------- */

/* 1: nothing is known of it and its name promises nothing; 0: dealt with; -1: failed */
static int plan_one(run *r, const indexer_target *t, const char *path, const indexer_file *f) {
    store_photo row = {0}, like = {0};
    indexer_plan_input in = {.size = f->size, .mtime_ns = f->mtime_ns};
    int got = find_row(r, t, path, &row, &in.row_has_vector), status = got < 0 ? -1 : 0;
    if (!got && !promises_photo(f->name)) return 1;
    if (got > 0) {
        in.row = &row;
        in.retry = may_retry(r, &row);
    } else if (!status) {
        int moved = find_like(r, f, &like, &in.like_has_vector);
        if (moved < 0) status = -1;
        else if (moved) { in.like = &like; in.retry = may_retry(r, &like); }
    }
    if (!status) status = carry_out(r, t, path, f, &in);
    store_photo_finish(&row);
    store_photo_finish(&like);
    return status;
}

static bool on_folder(const indexer_folder *d, void *ctx) {
    run *r = ctx;
    const indexer_target *t = &r->targets.items[r->target];
    size_t *strangers = malloc((d->n ? d->n : 1) * sizeof *strangers), n = 0;
    if (!strangers) { fail_memory(r); return false; }
    for (size_t i = 0; i < d->n && !r->failed; i++) {
        char *path = joined(d->path, d->files[i].name);
        int what = path ? plan_one(r, t, path, &d->files[i]) : fail_memory(r);
        if (what == 1) strangers[n++] = i;
        free(path);
    }
    if (n && !r->failed) try_strangers(r, t, d, strangers, n);
    free(strangers);
    if (r->ev->progress) r->ev->progress(r->report, r->report->count[INDEXER_SAME] + (int64_t)r->n_jobs, -1, r->ev->ctx);
    return !r->failed && !stop_asked(r);
}

static void on_unreadable(const char *path, const char *why, void *ctx) {
    run *r = ctx;
    char *absolute = joined(r->targets.items[r->target].root_path, path);
    r->report->unreadable_folders++;
    remark(r, "%s cannot be read (%s): photos below it stay as they are", absolute ? absolute : path, why);
    free(absolute);
}

static void on_nomedia(const char *path, void *ctx) {
    run *r = ctx;
    const indexer_target *t = &r->targets.items[r->target];
    if (!strcmp(path, t->prefix)) /* named by the user, so worth a word */
        remark(r, "%s%s%s is left out: it holds a file named .nomedia", t->root_path, *path ? "/" : "", path);
}

/* --exclude, as rules at the root; an absolute glob below this root loses the root's path. */
static int make_excludes(run *r, const indexer_target *t) {
    size_t n = strlen(t->root_path);
    indexer_ignore_destroy(r->excludes);
    if (!(r->excludes = indexer_ignore_create(NULL, 0))) return fail_memory(r);
    for (size_t i = 0; i < r->o->n_excludes; i++) {
        const char *glob = r->o->excludes[i];
        if (!strncmp(glob, t->root_path, n) && glob[n] == '/') glob += n;
        if (!indexer_ignore_add(r->excludes, glob, strlen(glob))) return fail_memory(r);
    }
    return 0;
}

static int walk_all(run *r) {
    indexer_visited *visited = r->o->follow_symlinks ? indexer_visited_create() : NULL;
    int status = r->o->follow_symlinks && !visited ? fail_memory(r) : 0;
    for (r->target = 0; r->target < r->targets.n && !status && !r->report->interrupted; r->target++) {
        const indexer_target *t = &r->targets.items[r->target];
        if ((status = make_excludes(r, t))) break;
        indexer_walk_options w = {.root_fd = t->fd, .prefix = t->prefix, .excludes = r->excludes, .hidden = r->o->hidden,
            .follow_symlinks = r->o->follow_symlinks, .visited = visited, .folder = on_folder, .unreadable = on_unreadable,
            .nomedia = on_nomedia, .ctx = r};
        if (indexer_walk(&w) == INDEXER_WALK_MEMORY) status = fail_memory(r);
        if (r->failed) status = -1;
    }
    indexer_visited_destroy(visited);
    if (!status) return batch_end(r);
    if (r->batch_open) store_batch_abandon(r->s);
    r->batch_open = false;
    return -1;
}

/* ---- the pipeline's owner ------------------------------------------------------------------------------------------------------------- */

static bool next_job(indexer_job *out, void *ctx) {
    run *r = ctx;
    if (r->next_job == r->n_jobs) return false;
    const job *j = &r->jobs[r->next_job];
    *out = (indexer_job){.root_fd = r->targets.items[j->target].fd, .path = j->path, .size = j->size, .mtime_ns = j->mtime_ns,
                         .follow_symlinks = r->o->follow_symlinks, .tag = r->next_job++};
    return true;
}

/* From decoder threads. */
static bool is_known(const uint8_t hash[16], void *ctx) {
    run *r = ctx;
    store_photo p = {0};
    bool has_vector = false;
    store_error e = {0};
    pthread_mutex_lock(&r->store_lock);
    bool known = !store_photo_with_hash(r->s, hash, r->model_id, &p, &has_vector, &e) && has_vector;
    store_photo_finish(&p);
    pthread_mutex_unlock(&r->store_lock);
    return known;
}

static bool tick(void *ctx) {
    run *r = ctx;
    if (r->ev->progress) r->ev->progress(r->report, r->done, (int64_t)r->n_jobs, r->ev->ctx);
    return stop_asked(r);
}

/* A row from what the pipeline found. Its strings are borrowed: not for store_photo_finish. */
static store_photo row_of(const run *r, const job *j, const indexer_result *x) {
    const clip_photo *f = &x->photo;
    store_photo p = {.root_id = r->targets.items[j->target].root_id, .path = (char *)j->path, .size = j->size,
        .mtime_ns = j->mtime_ns, .inode = j->inode, .width = f->width, .height = f->height, .has_gps = f->has_gps,
        .latitude = f->latitude, .longitude = f->longitude, .truncated = f->truncated, .state = STORE_PRESENT};
    if (x->hashed) memcpy(p.hash, x->hash, 16);
    if (f->format != CLIP_FORMAT_UNKNOWN) p.format = (char *)clip_format_name(f->format);
    if (f->taken[0]) p.taken = (char *)f->taken;
    if (f->camera[0]) p.camera = (char *)f->camera;
    if (x->reason[0]) p.reason = (char *)x->reason;
    return p;
}

/* The same content under another path: what the picture says stays, what the file says is new. Borrowed as above. */
static store_photo row_like(const store_photo *from, const store_photo *own) {
    store_photo p = *from;
    p.id = 0; p.root_id = own->root_id; p.path = own->path; p.size = own->size; p.mtime_ns = own->mtime_ns; p.inode = own->inode;
    p.state = STORE_PRESENT;
    memcpy(p.hash, own->hash, 16);
    return p;
}

static int save_encoded(run *r, const store_photo *p, const float *vector) {
    int64_t id;
    store_error e = {0};
    if (store_photo_save(r->s, p, &id, &e) || store_vector_save(r->s, id, r->model_id, vector, &e)) return fail(r, "%s", e.text);
    r->report->encoded++;
    return 0;
}

static int save_copy(run *r, const store_photo *from, const store_photo *own) {
    store_photo p = row_like(from, own);
    int64_t id;
    store_error e = {0};
    if (store_photo_save(r->s, &p, &id, &e)) return fail(r, "%s", e.text);
    if (id != from->id && store_vectors_copy(r->s, from->id, id, &e)) return fail(r, "%s", e.text);
    return 0;
}

/* Content that has a vector: this very photo (touched), one that went from there to here, or a copy. */
static int save_known(run *r, const job *j, indexer_result *x, const store_photo *own, indexer_fate *fate) {
    const indexer_target *t = &r->targets.items[j->target];
    store_photo from = {0}, here = {0};
    bool has_vector = false, here_has = false;
    store_error e = {0};
    int status = -1, here_is = find_row(r, t, j->path, &here, &here_has);
    if (here_is < 0) goto end;
    if (here_is && here_has && !memcmp(here.hash, x->hash, 16)) {
        if (*fate == INDEXER_CHANGED) *fate = INDEXER_SAME; /* touched */
        status = save_copy(r, &here, own);
        goto end;
    }
    int got = found(r, store_photo_with_hash(r->s, x->hash, r->model_id, &from, &has_vector, &e), &e);
    if (got < 0) goto end;
    if (!got || !has_vector) {
        x->again = true;
        status = 0;
    } else if (!here_is && has_left(r, &from)) {
        status = relocate(r, &from, t, j->path, j->size, j->mtime_ns, j->inode);
        *fate = INDEXER_MOVED;
    } else
        status = save_copy(r, &from, own);
end:
    store_photo_finish(&from);
    store_photo_finish(&here);
    return status;
}

/* A file that could not be decoded is remembered until it changes. One that could not be read is remembered only where nothing better
 * is known of it, and with a time that no file has. */
static int save_failed(run *r, const job *j, const indexer_result *x, store_photo *own) {
    store_photo here = {0};
    bool has_vector;
    int64_t id;
    store_error e = {0};
    own->state = STORE_FAILED;
    if (x->outcome == INDEXER_UNREAD) {
        int here_is = find_row(r, &r->targets.items[j->target], j->path, &here, &has_vector);
        bool keep = here_is > 0 && here.state != STORE_FAILED;
        store_photo_finish(&here);
        if (here_is < 0 || keep) return here_is < 0 ? -1 : 0;
        own->mtime_ns = INDEXER_UNREAD_MTIME;
    }
    return store_photo_save(r->s, own, &id, &e) ? fail(r, "%s", e.text) : 0;
}

static int save_one(run *r, indexer_result *x, indexer_fate *fate) {
    const job *j = &r->jobs[x->job.tag];
    store_photo own = row_of(r, j, x);
    *fate = j->fate;
    switch (x->outcome) {
    case INDEXER_ENCODED: return save_encoded(r, &own, x->vector);
    case INDEXER_KNOWN: return save_known(r, j, x, &own, fate);
    case INDEXER_BROKEN: case INDEXER_UNREAD: break;
    }
    *fate = INDEXER_FAILED;
    return save_failed(r, j, x, &own);
}

/* One batch, one transaction; its fates are told when they are true, that is after the commit. */
static int write_batch(indexer_result *x, size_t n, void *ctx) {
    run *r = ctx;
    store_error e = {0};
    indexer_fate *fates = malloc(n * sizeof *fates);
    if (!fates) return fail_memory(r);
    pthread_mutex_lock(&r->store_lock);
    int status = store_batch_begin(r->s, &e) ? fail(r, "%s", e.text) : 0;
    for (size_t i = 0; i < n && !status; i++) {
        status = save_one(r, &x[i], &fates[i]);
        if (status) store_batch_abandon(r->s);
    }
    if (!status && store_batch_commit(r->s, &e)) status = fail(r, "%s", e.text);
    pthread_mutex_unlock(&r->store_lock);
    for (size_t i = 0; i < n && !status; i++) {
        const job *j = &r->jobs[x[i].job.tag];
        if (x[i].again) continue;
        r->done++;
        if (x[i].outcome == INDEXER_ENCODED && x[i].photo.truncated) r->report->truncated++;
        tell(r, fates[i], &r->targets.items[j->target], j->path, x[i].reason[0] ? x[i].reason : NULL);
    }
    free(fates);
    return status;
}

/* ---- the engine behind the pipeline ------------------------------------------------------------------------------------------------- */

typedef struct engine { const clip_model *m; clip_image_encoder *e; } engine;

static clip_status engine_to_row(void *ctx, const uint8_t *bytes, size_t n, const clip_limits *l, uint8_t *row,
                                 clip_photo *info, clip_error *err) {
    return clip_photo_to_row(((engine *)ctx)->m, bytes, n, l, row, info, err);
}

static clip_status engine_encode(void *ctx, const uint8_t *rows, size_t n, float *out, clip_error *err) {
    return clip_image_encode(((engine *)ctx)->e, rows, n, out, err);
}

static int cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

/* A quarter of the machine's memory, at least 256 MiB and at most 1.5 GiB. */
static int64_t default_memory(void) {
    int64_t quarter = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 4, least = (int64_t)256 << 20,
            most = (int64_t)1536 << 20;
    return quarter < least ? least : quarter > most ? most : quarter;
}

/* A photo that is decoded alone must fit the budget by itself, at up to six bytes a pixel. */
static clip_limits limits_for(const indexer_options *o, int64_t memory) {
    clip_limits l = o->limits;
    if (!l.max_bytes) l.max_bytes = (uint64_t)256 << 20;
    if (!l.max_pixels) l.max_pixels = (uint64_t)256 << 20;
    if (l.max_pixels > (uint64_t)memory / 6) l.max_pixels = (uint64_t)memory / 6;
    l.exact_decode = l.exact_decode || o->exact_decode;
    return l;
}

static const char *precision_name(clip_precision p) {
    return p == CLIP_BF16 ? "bf16" : p == CLIP_INT8 ? "int8" : "f32";
}

static int put_model(run *r, clip_precision p) {
    const clip_model_info *i = clip_model_describe(r->m);
    store_model m = {.dim = i->dim};
    store_error e = {0};
    char *dir = realpath(i->dir, NULL);
    snprintf(m.name, sizeof m.name, "%s", i->name);
    snprintf(m.dir, sizeof m.dir, "%s", dir ? dir : i->dir);
    snprintf(m.fingerprint, sizeof m.fingerprint, "%s", i->fingerprint);
    snprintf(m.precision, sizeof m.precision, "%s", precision_name(p));
    free(dir);
    return store_model_put(r->s, &m, &r->model_id, &e) ? fail(r, "%s", e.text) : 0;
}

/* Everything that must be read, through the pipeline. The encoder is made only now: a run without work never touches the weights. */
static int read_all(run *r) {
    int threads = r->o->threads > 0 ? r->o->threads : cores();
    clip_encoder_options eo = {.threads = threads, .precision = r->o->precision};
    const clip_model_info *info = clip_model_describe(r->m);
    engine en = {.m = r->m};
    if (clip_image_encoder_create(r->m, &eo, &en.e, r->err)) { r->failed = true; return -1; }
    int status = put_model(r, clip_image_encoder_precision(en.e));
    if (!status) {
        int64_t memory = r->o->memory_mb > 0 ? r->o->memory_mb << 20 : default_memory();
        indexer_coder coder = {.row_bytes = (size_t)info->image_size * (size_t)info->image_size * 3, .dim = info->dim,
            .max_batch = clip_image_encoder_max_batch(en.e), .to_row = engine_to_row, .encode = engine_encode, .ctx = &en};
        indexer_pipeline p = {.coder = &coder, .decoders = threads, .memory = memory, .limits = limits_for(r->o, memory),
            .flush_seconds = 2, .next = next_job, .known = is_known, .write = write_batch, .tick = tick, .ctx = r};
        if (indexer_pipeline_run(&p, r->err) == INDEXER_PIPELINE_FAILED) status = fail(r, "indexing failed");
    }
    clip_image_encoder_destroy(en.e);
    return status;
}

/* A dry run's answer for each job. */
static void tell_all(run *r) {
    for (size_t i = 0; i < r->n_jobs; i++)
        tell(r, r->jobs[i].fate, &r->targets.items[r->jobs[i].target], r->jobs[i].path, NULL);
}

/* ---- what was not met --------------------------------------------------------------------------------------------------------------- */

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
    if (b->state == STORE_MISSING || bsearch(&b->id, r->seen, r->n_seen, sizeof *r->seen, by_id)) return true;
    if (!is_gone(g->fd, b->path)) return true;
    if (g->n == g->room) {
        size_t room = g->room ? 2 * g->room : 256;
        int64_t *more = realloc(g->ids, room * sizeof *more);
        if (!more) { fail_memory(r); return false; }
        g->ids = more; g->room = room;
    }
    g->ids[g->n++] = b->id;
    tell(r, INDEXER_GONE, g->t, b->path, NULL);
    return true;
}

static int mark_gone_below(run *r, int64_t root_id, int fd, const indexer_target *t) {
    gone g = {.r = r, .fd = fd, .t = t};
    store_error e = {0};
    int status = store_photos_below(r->s, root_id, t->prefix, 0, look_for_gone, &g, &e) ? fail(r, "%s", e.text) : 0;
    if (r->failed) status = -1;
    for (size_t i = 0; i < g.n && !status; i++) status = set_state(r, g.ids[i], STORE_MISSING);
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

static int mark_gone(run *r) {
    int status = 0;
    if (!r->s) return 0;
    if (r->n_seen) qsort(r->seen, r->n_seen, sizeof *r->seen, by_id);
    for (size_t i = 0; i < r->targets.n && !status; i++) {
        const indexer_target *t = &r->targets.items[i];
        status = t->root_id ? mark_gone_below(r, t->root_id, t->fd, t) : mark_gone_inside(r, t);
    }
    if (!status) return batch_end(r);
    if (r->batch_open) store_batch_abandon(r->s);
    r->batch_open = false;
    return -1;
}

/* ---- the run ------------------------------------------------------------------------------------------------------------------------- */

static void list_formats(run *r) {
    size_t n = (size_t)snprintf(r->formats, sizeof r->formats, " ");
    for (int f = CLIP_FORMAT_JPEG; f <= CLIP_FORMAT_RAW; f++)
        if (clip_format_supported((clip_format)f) && n < sizeof r->formats)
            n += (size_t)snprintf(r->formats + n, sizeof r->formats - n, "%s ", clip_format_name((clip_format)f));
    r->seed = XXH3_64bits(CLIPSEARCH_VERSION, strlen(CLIPSEARCH_VERSION)) ^ XXH3_64bits(r->formats, strlen(r->formats));
}

/* What the library knows about the model and about earlier runs. */
static int recall(run *r) {
    store_model *all = NULL;
    size_t n = 0;
    char *formats = NULL;
    store_error e = {0};
    list_formats(r);
    if (!r->s) return 0;
    if (store_models(r->s, &all, &n, &e)) return fail(r, "%s", e.text);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i].fingerprint, clip_model_describe(r->m)->fingerprint)) r->model_id = all[i].id;
    free(all);
    if (!store_setting_get(r->s, "indexer.formats", &formats, &e)) snprintf(r->old_formats, sizeof r->old_formats, "%s", formats);
    free(formats);
    return 0;
}

static int remember(run *r) {
    store_error e = {0};
    if (!strcmp(r->formats, r->old_formats)) return 0;
    return store_setting_set(r->s, "indexer.formats", r->formats, &e) ? fail(r, "%s", e.text) : 0;
}

static int run_all(run *r) {
    if (indexer_targets_find(r->s, r->o, r->ev->remark, r->ev->ctx, &r->targets, r->err)) return -1;
    r->report->roots_absent = r->targets.absent;
    if (recall(r) || walk_all(r)) return -1;
    if (r->o->dry_run) tell_all(r);
    else if (r->n_jobs && !r->report->interrupted && read_all(r)) return -1;
    if (r->report->interrupted) return 0; /* what was not met is only known after a whole walk, and moves after all is read */
    if (mark_gone(r)) return -1;
    return r->o->dry_run ? 0 : remember(r);
}

static void run_finish(run *r) {
    while (r->arena) { chunk *c = r->arena; r->arena = c->next; free(c); }
    free(r->jobs);
    free(r->seen);
    indexer_ignore_destroy(r->excludes);
    indexer_targets_finish(&r->targets);
    pthread_mutex_destroy(&r->store_lock);
}

int indexer_run(store *s, const clip_model *m, const indexer_options *o, const indexer_events *ev, indexer_report *out,
                clip_error *err) {
    static const indexer_events quiet;
    struct timespec begin, end;
    run r = {.s = s, .m = m, .o = o, .ev = ev ? ev : &quiet, .report = out, .err = err,
             .store_lock = PTHREAD_MUTEX_INITIALIZER};
    *out = (indexer_report){0};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int status = run_all(&r);
    clock_gettime(CLOCK_MONOTONIC, &end);
    out->seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    run_finish(&r);
    return status;
}
