/* save.c: the pipeline's owner: which files it reads, which contents are known, and what becomes of its results.
 *
 * A file that must be read is hashed first. If its content has a vector already, nothing is decoded: it is a copy, or
 * a move that kept neither inode nor time, or a file that was only touched. The vector is looked up again when the
 * batch is written, since its owner may have changed meanwhile; if it is gone, the file goes back to be encoded. */
#include "indexer/pipeline.h"
#include "indexer/plan.h"
#include "indexer/run.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the pipeline's owner ---------------------------------------------------------------------------------------- */

static bool next_job(indexer_job *out, void *ctx) {
    run *r = ctx;
    if (r->next_job == r->n_jobs) return false;
    const job *j = &r->jobs[r->next_job];
    *out = (indexer_job){.root_fd = r->targets.items[j->target].fd, .path = j->path, .size = j->size,
                         .mtime_ns = j->mtime_ns, .follow_symlinks = r->o->follow_symlinks, .tag = r->next_job++};
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
    return run_stop_asked(r);
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
    p.id = 0;
    p.root_id = own->root_id; p.path = own->path;
    p.size = own->size; p.mtime_ns = own->mtime_ns; p.inode = own->inode;
    p.state = STORE_PRESENT;
    memcpy(p.hash, own->hash, 16);
    return p;
}

static int save_encoded(run *r, const store_photo *p, const float *vector) {
    int64_t id;
    store_error e = {0};
    if (store_photo_save(r->s, p, &id, &e) || store_vector_save(r->s, id, r->model_id, vector, &e))
        return run_fail(r, "%s", e.text);
    r->report->encoded++;
    return 0;
}

static int save_copy(run *r, const store_photo *from, const store_photo *own) {
    store_photo p = row_like(from, own);
    int64_t id;
    store_error e = {0};
    if (store_photo_save(r->s, &p, &id, &e)) return run_fail(r, "%s", e.text);
    if (id != from->id && store_vectors_copy(r->s, from->id, id, &e)) return run_fail(r, "%s", e.text);
    return 0;
}

/* Content that has a vector: this very photo (touched), one that went from there to here, or a copy. */
static int save_known(run *r, const job *j, indexer_result *x, const store_photo *own, indexer_fate *fate) {
    const indexer_target *t = &r->targets.items[j->target];
    store_photo from = {0}, here = {0};
    bool has_vector = false, here_has = false;
    store_error e = {0};
    int status = -1, here_is = run_find_row(r, t, j->path, &here, &here_has);
    if (here_is < 0) goto end;
    if (here_is && here_has && !memcmp(here.hash, x->hash, 16)) {
        if (*fate == INDEXER_CHANGED) *fate = INDEXER_SAME; /* touched */
        status = save_copy(r, &here, own);
        goto end;
    }
    int got = run_found(r, store_photo_with_hash(r->s, x->hash, r->model_id, &from, &has_vector, &e), &e);
    if (got < 0) goto end;
    if (!got || !has_vector) {
        x->again = true;
        status = 0;
    } else if (!here_is && run_has_left(r, &from)) {
        status = run_relocate(r, &from, t, j->path, j->size, j->mtime_ns, j->inode);
        *fate = INDEXER_MOVED;
    } else
        status = save_copy(r, &from, own);
end:
    store_photo_finish(&from);
    store_photo_finish(&here);
    return status;
}

/* A file that could not be decoded is remembered until it changes. One that could not be read is remembered only where
 * nothing better is known of it, and with a time that no file has. */
static int save_failed(run *r, const job *j, const indexer_result *x, store_photo *own) {
    store_photo here = {0};
    bool has_vector;
    int64_t id;
    store_error e = {0};
    own->state = STORE_FAILED;
    if (x->outcome == INDEXER_UNREAD) {
        int here_is = run_find_row(r, &r->targets.items[j->target], j->path, &here, &has_vector);
        bool keep = here_is > 0 && here.state != STORE_FAILED;
        store_photo_finish(&here);
        if (here_is < 0 || keep) return here_is < 0 ? -1 : 0;
        own->mtime_ns = INDEXER_UNREAD_MTIME;
    }
    return store_photo_save(r->s, own, &id, &e) ? run_fail(r, "%s", e.text) : 0;
}

static int save_one(run *r, indexer_result *x, indexer_fate *fate) {
    const job *j = &r->jobs[x->job.tag];
    store_photo own = row_of(r, j, x);
    *fate = j->fate;
    switch (x->outcome) {
    case INDEXER_ENCODED: return save_encoded(r, &own, x->vector);
    case INDEXER_KNOWN: return save_known(r, j, x, &own, fate);
    case INDEXER_VANISHED: return 0;
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
    if (!fates) return run_fail_memory(r);
    pthread_mutex_lock(&r->store_lock);
    int status = store_batch_begin(r->s, &e) ? run_fail(r, "%s", e.text) : 0;
    for (size_t i = 0; i < n && !status; i++) {
        status = save_one(r, &x[i], &fates[i]);
        if (status) store_batch_abandon(r->s);
    }
    if (!status && store_batch_commit(r->s, &e)) status = run_fail(r, "%s", e.text);
    pthread_mutex_unlock(&r->store_lock);
    for (size_t i = 0; i < n && !status; i++) {
        const job *j = &r->jobs[x[i].job.tag];
        if (x[i].again) continue;
        r->done++;
        if (x[i].outcome == INDEXER_VANISHED) continue;
        if (x[i].outcome == INDEXER_ENCODED && x[i].photo.truncated) r->report->truncated++;
        run_tell(r, fates[i], &r->targets.items[j->target], j->path, x[i].reason[0] ? x[i].reason : NULL);
    }
    free(fates);
    return status;
}

/* ---- the engine behind the pipeline ------------------------------------------------------------------------------ */

typedef struct engine { run *r; clip_encoder_options options; clip_image_encoder *e; } engine;

/* From the encoder's thread: the weights are packed, and the model gets its row with the precision that it really runs in. */
static clip_status engine_start(void *ctx, clip_error *err) {
    engine *en = ctx;
    clip_status s = clip_image_encoder_create(en->r->m, &en->options, &en->e, err);
    if (s) return s;
    pthread_mutex_lock(&en->r->store_lock);
    int bad = run_put_model(en->r, clip_precision_name(clip_image_encoder_precision(en->e)));
    pthread_mutex_unlock(&en->r->store_lock);
    if (bad && en->r->err) *err = *en->r->err;
    return bad ? CLIP_E_IO : CLIP_OK;
}

static clip_status engine_to_row(void *ctx, const uint8_t *bytes, size_t n, const clip_limits *l, uint8_t *row,
                                 clip_photo *info, clip_error *err) {
    return clip_photo_to_row(((engine *)ctx)->r->m, bytes, n, l, row, info, err);
}

static clip_status engine_encode(void *ctx, const uint8_t *rows, size_t n, float *out, clip_error *err) {
    engine *en = ctx;
    return run_encode(en->r, en->e, rows, n, out, err);
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

/* A photo that is decoded alone must fit the budget by itself. */
static clip_limits limits_for(const indexer_options *o, int64_t memory) {
    clip_limits l = o->limits;
    if (!l.max_bytes) l.max_bytes = (uint64_t)256 << 20;
    if (l.max_bytes > (uint64_t)memory) l.max_bytes = (uint64_t)memory;
    if (!l.max_memory || l.max_memory > (uint64_t)memory) l.max_memory = (uint64_t)memory;
    l.exact_decode = l.exact_decode || o->exact_decode;
    return l;
}

/* Everything that must be read, through the pipeline. Batches of 16 were enough to keep two cores busy; more cores get more. */
int run_read(run *r) {
    enum { BATCH_LEAST = 16, BATCH_MOST = 256, PER_THREAD = 8 };
    int threads = r->o->threads > 0 ? r->o->threads : cores(), batch = threads > BATCH_MOST / PER_THREAD ? BATCH_MOST : PER_THREAD * threads;
    if (batch < BATCH_LEAST) batch = BATCH_LEAST;
    int64_t memory = r->o->memory_mb > 0 ? r->o->memory_mb << 20 : default_memory();
    const clip_model_info *info = clip_model_describe(r->m);
    clip_precision precision;
    if (run_choose_precision(r, &precision)) return -1;
    engine en = {.r = r, .options = {.threads = threads, .max_batch = batch, .precision = precision}};
    indexer_coder coder = {.row_bytes = (size_t)info->image_size * (size_t)info->image_size * 3, .dim = info->dim, .max_batch = batch,
        .to_row = engine_to_row, .start = engine_start, .encode = engine_encode, .ctx = &en};
    indexer_pipeline p = {.coder = &coder, .decoders = threads, .memory = memory, .limits = limits_for(r->o, memory),
        .flush_seconds = 2, .next = next_job, .known = is_known, .write = write_batch, .tick = tick, .ctx = r};
    int status = 0;
    if (indexer_pipeline_run(&p, r->err) == INDEXER_PIPELINE_FAILED) status = run_fail(r, "indexing failed");
    clip_image_encoder_destroy(en.e);
    return status;
}
