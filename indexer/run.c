/* run.c: what every part of a run needs: errors that are said once, events, strings that last as long as the run,
 * small changes gathered into transactions, and looking a file up. */
#include "indexer/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CHANGES_PER_BATCH = 1000, CHUNK = 1 << 16 };

/* ---- errors, events, small things -------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) int run_fail(run *r, const char *format, ...) {
    va_list a;
    va_start(a, format);
    if (r->err && !r->err->text[0]) vsnprintf(r->err->text, sizeof r->err->text, format, a);
    va_end(a);
    r->failed = true;
    return -1;
}

int run_fail_memory(run *r) { return run_fail(r, "not enough memory"); }

__attribute__((format(printf, 2, 3))) void run_remark(run *r, const char *format, ...) {
    char line[2 * 4096];
    va_list a;
    va_start(a, format);
    vsnprintf(line, sizeof line, format, a);
    va_end(a);
    if (r->ev->remark) r->ev->remark(line, r->ev->ctx);
}

bool run_stop_asked(run *r) {
    if (!r->report->interrupted && r->ev->stop && r->ev->stop(r->ev->ctx)) r->report->interrupted = true;
    return r->report->interrupted;
}

char *run_join(const char *folder, const char *name) {
    char *s = NULL;
    size_t n = strlen(folder);
    return asprintf(&s, "%s%s%s", folder, n && folder[n - 1] != '/' ? "/" : "", name) < 0 ? NULL : s;
}

/* Counts a fate and tells it. */
void run_tell(run *r, indexer_fate f, const indexer_target *t, const char *path, const char *reason) {
    r->report->count[f]++;
    if (f == INDEXER_SAME || !r->ev->fate) return;
    char *absolute = run_join(t->root_path, path);
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

int run_add_seen(run *r, int64_t id) {
    if (r->n_seen == r->seen_room) {
        size_t room = r->seen_room ? 2 * r->seen_room : 1024;
        int64_t *more = realloc(r->seen, room * sizeof *more);
        if (!more) return run_fail_memory(r);
        r->seen = more; r->seen_room = room;
    }
    r->seen[r->n_seen++] = id;
    return 0;
}

int run_add_job(run *r, const char *path, const indexer_file *f, indexer_fate fate) {
    if (r->n_jobs == r->jobs_room) {
        size_t room = r->jobs_room ? 2 * r->jobs_room : 256;
        job *more = realloc(r->jobs, room * sizeof *more);
        if (!more) return run_fail_memory(r);
        r->jobs = more; r->jobs_room = room;
    }
    const char *kept = keep_string(r, path);
    if (!kept) return run_fail_memory(r);
    r->jobs[r->n_jobs++] = (job){kept, f->size, f->mtime_ns, f->inode, r->target, fate};
    return 0;
}

/* ---- batches of small changes: outside the pipeline -------------------------------------------------------------- */

int run_batch_end(run *r) {
    store_error e = {0};
    if (!r->batch_open) return 0;
    r->batch_open = false;
    r->changes = 0;
    return store_batch_commit(r->s, &e) ? run_fail(r, "%s", e.text) : 0;
}

int run_batch_change(run *r) { /* before a change */
    store_error e = {0};
    if (r->changes++ >= CHANGES_PER_BATCH && run_batch_end(r)) return -1;
    if (r->batch_open) return 0;
    if (store_batch_begin(r->s, &e)) return run_fail(r, "%s", e.text);
    r->batch_open = true;
    return 0;
}

int run_set_state(run *r, int64_t id, store_state state) {
    store_error e = {0};
    if (r->o->dry_run) return 0;
    if (run_batch_change(r)) return -1;
    return store_photo_set_state(r->s, id, state, &e) ? run_fail(r, "%s", e.text) : 0;
}

int run_relocate(run *r, const store_photo *from, const indexer_target *t, const char *path, int64_t size,
                 int64_t mtime_ns, uint64_t inode) {
    store_error e = {0};
    store_status st = store_photo_relocate(r->s, from->id, t->root_id, path, size, mtime_ns, inode, &e);
    return st ? run_fail(r, "%s", e.text) : 0;
}

int run_put_model(run *r, const char *precision) {
    const clip_model_info *i = clip_model_describe(r->m);
    store_model m = {.dim = i->dim};
    store_error e = {0};
    char *dir = realpath(i->dir, NULL);
    snprintf(m.name, sizeof m.name, "%s", i->name);
    snprintf(m.dir, sizeof m.dir, "%s", dir ? dir : i->dir);
    snprintf(m.fingerprint, sizeof m.fingerprint, "%s", i->fingerprint);
    snprintf(m.precision, sizeof m.precision, "%s", precision);
    free(dir);
    return store_model_put(r->s, &m, &r->model_id, &e) ? run_fail(r, "%s", e.text) : 0;
}

/* ---- looking a file up ------------------------------------------------------------------------------------------- */

/* 1: found, 0: not, -1: failed (said) */
int run_found(run *r, store_status s, const store_error *e) {
    if (s == STORE_OK) return 1;
    return s == STORE_E_NOT_FOUND ? 0 : run_fail(r, "%s", e->text);
}

int run_find_row(run *r, const indexer_target *t, const char *path, store_photo *row, bool *has_vector) {
    store_error e = {0};
    if (!r->s) return 0;
    if (t->root_id) return run_found(r, store_photo_at(r->s, t->root_id, path, r->model_id, row, has_vector, &e), &e);
    char *absolute = run_join(t->root_path, path); /* a dry run over a folder around known roots */
    store_photo first = {0};
    int got = absolute ? run_found(r, store_photo_by_absolute(r->s, absolute, &first, &e), &e) : run_fail_memory(r);
    if (got > 0) got = run_found(r, store_photo_at(r->s, first.root_id, first.path, r->model_id, row, has_vector, &e), &e);
    store_photo_finish(&first);
    free(absolute);
    return got;
}

/* By size and time, not by inode: on FAT an inode is another one after each mount. */
bool run_has_left(run *r, const store_photo *p) {
    const indexer_root *root = indexer_targets_root(&r->targets, p->root_id);
    struct stat st;
    if (!root) return false;
    if (fstatat(root->fd, p->path, &st, 0)) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    return st.st_size != p->size || indexer_mtime_ns(&st) != p->mtime_ns;
}

int run_find_like(run *r, const indexer_file *f, store_photo *like, bool *has_vector) {
    store_error e = {0};
    if (!r->s) return 0;
    int got = run_found(r, store_photo_like(r->s, f->size, f->mtime_ns, f->inode, r->model_id, like, has_vector, &e), &e);
    if (got > 0 && !run_has_left(r, like)) { store_photo_finish(like); return 0; }
    return got;
}

/* Whether a photo that failed gets another chance: asked for, or this build reads its format and the last one did not. */
bool run_may_retry(const run *r, const store_photo *p) {
    char name[40];
    if (r->o->retry) return true;
    if (!p->format || !r->old_formats[0]) return false;
    snprintf(name, sizeof name, " %s ", p->format);
    return strstr(r->formats, name) && !strstr(r->old_formats, name);
}
