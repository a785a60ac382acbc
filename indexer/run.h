/* run.h: one run's state and what its parts share. Private to indexer/. */
#ifndef INDEXER_RUN_H
#define INDEXER_RUN_H

#include "indexer/ignore.h"
#include "indexer/indexer.h"
#include "indexer/targets.h"
#include "indexer/walk.h"

#include <pthread.h>

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
    store_model known;          /* as it was when the run began; all zero when the library did not know it */
    clip_precision to_try;      /* on the first photos; CLIP_AUTO: nothing */
    job *jobs; size_t n_jobs, jobs_room, next_job;
    chunk *arena;
    int64_t *seen; size_t n_seen, seen_room; /* ids of photos that were met */
    int changes;                /* in the open batch */
    bool batch_open, failed;
    char formats[160], old_formats[160]; /* what this build reads, what the last one did; each name between blanks */
    uint64_t seed;              /* of folder digests: a build that knows more formats looks again */
    int64_t done;
} run;

/* ---- the parts, in order; nonzero: failed, and said (run.c, meet.c, trial.c, save.c, gone.c) ------------------------------ */

int run_walk(run *r);
int run_list(run *r); /* in place of the walk and of looking for what is gone: only the files that were named */
int run_read(run *r);
int run_mark_gone(run *r);

/* ---- errors and events ------------------------------------------------------------------------------------------- */

int run_fail(run *r, const char *format, ...) __attribute__((format(printf, 2, 3))); /* -1; the first text wins */
int run_fail_memory(run *r);
void run_remark(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool run_stop_asked(run *r);
void run_tell(run *r, indexer_fate f, const indexer_target *t, const char *path, const char *reason); /* counts it, too */
char *run_join(const char *folder, const char *name); /* allocated */

/* One file by its path below the target's root, f->name being the same. */
int run_meet(run *r, const indexer_target *t, const indexer_file *f);
int run_add_seen(run *r, int64_t id);
int run_add_job(run *r, const char *path, const indexer_file *f, indexer_fate fate); /* for the target being walked */

/* ---- small changes, outside the pipeline: gathered into transactions --------------------------------------------- */

int run_batch_change(run *r); /* before a change */
int run_batch_end(run *r);
int run_set_state(run *r, int64_t id, store_state state);
int run_relocate(run *r, const store_photo *from, const indexer_target *t, const char *path, int64_t size, int64_t mtime_ns,
                 uint64_t inode); /* within a batch; a missing photo is present again */

/* Makes the library know the model, or where it is now. */
int run_put_model(run *r, const char *precision);

/* What the encoder is to be asked for, and r->to_try. */
int run_choose_precision(run *r, clip_precision *out);

/* clip_image_encode, and the trial before it; from the encoder's thread. */
clip_status run_encode(run *r, clip_image_encoder *en, const uint8_t *rows, size_t n, float *out, clip_error *err);

/* ---- looking up: 1 found, 0 not, -1 failed ----------------------------------------------------------------------- */

int run_found(run *r, store_status s, const store_error *e);
int run_find_row(run *r, const indexer_target *t, const char *path, store_photo *row, bool *has_vector);
int run_find_like(run *r, const indexer_file *f, store_photo *like, bool *has_vector); /* one that has left its path */
bool run_has_left(run *r, const store_photo *p); /* it is no longer where the library has it, though its drive is there */
bool run_may_retry(const run *r, const store_photo *p);

#endif
