/* indexer.c: one run, from folders to a library brought up to date.
 *
 * The algorithm in prose. Find the roots (targets.c). Walk every folder that was asked for (walk.c); look each file up
 * (meet.c) and let the plan say its fate (plan.c). What needs no reading, a rename or a photo that came back, is noted
 * at once; what must be read becomes a job. When the walk is complete the jobs go through the pipeline (pipeline.c),
 * and each of its batches is one transaction (save.c). At the end, whatever photo of the walked folders was not met is
 * looked for by its path (gone.c).
 *
 * Interrupted, a run keeps all batches that were written and concludes nothing about photos that it did not meet: what
 * is gone is known only after a whole walk, and what has moved only when all new files are read. */
#include "indexer/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

static void list_formats(run *r) {
    size_t n = (size_t)snprintf(r->formats, sizeof r->formats, " ");
    for (int f = CLIP_FORMAT_JPEG; f <= CLIP_FORMAT_RAW; f++)
        if (clip_format_supported((clip_format)f) && n < sizeof r->formats)
            n += (size_t)snprintf(r->formats + n, sizeof r->formats - n, "%s ", clip_format_name((clip_format)f));
    r->seed = XXH3_64bits(CLIPSEARCH_VERSION, strlen(CLIPSEARCH_VERSION)) ^ XXH3_64bits(r->formats, strlen(r->formats));
}

/* What the library knows about the model, which may have been found at a new place. */
static int recall_model(run *r) {
    store_model *all = NULL;
    size_t n = 0;
    store_error e = {0};
    int status = 0;
    if (store_models(r->s, &all, &n, &e)) return run_fail(r, "%s", e.text);
    for (size_t i = 0; i < n && !status; i++) {
        if (strcmp(all[i].fingerprint, clip_model_describe(r->m)->fingerprint)) continue;
        r->model_id = all[i].id;
        r->known = all[i];
        if (!r->o->dry_run) status = run_put_model(r, all[i].precision);
    }
    free(all);
    return status;
}

/* What the library knows about earlier runs. */
static int recall(run *r) {
    char *formats = NULL;
    store_error e = {0};
    list_formats(r);
    if (!r->s) return 0;
    if (recall_model(r)) return -1;
    if (!store_setting_get(r->s, "indexer.formats", &formats, &e))
        snprintf(r->old_formats, sizeof r->old_formats, "%s", formats);
    free(formats);
    return 0;
}

static int remember(run *r) {
    store_error e = {0};
    char now[20];
    time_t t = time(NULL);
    struct tm tm;
    strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    /* Even if nothing had changed. */
    if (store_setting_set(r->s, "last_indexed", now, &e)) return run_fail(r, "%s", e.text);
    if (!strcmp(r->formats, r->old_formats)) return 0;
    return store_setting_set(r->s, "indexer.formats", r->formats, &e) ? run_fail(r, "%s", e.text) : 0;
}

/* A dry run's answer for each job. */
static void tell_all(run *r) {
    for (size_t i = 0; i < r->n_jobs; i++)
        run_tell(r, r->jobs[i].fate, &r->targets.items[r->jobs[i].target], r->jobs[i].path, NULL);
}

static int run_all(run *r) {
    if (indexer_targets_find(r->s, r->o, r->ev->remark, r->ev->ctx, &r->targets, r->err)) return -1;
    r->report->roots_absent = r->targets.absent;
    if (recall(r) || (r->o->files ? run_list(r) : run_walk(r))) return -1;
    if (r->o->dry_run) tell_all(r);
    else if (r->n_jobs && !r->report->interrupted && run_read(r)) return -1;
    if (r->report->interrupted) return 0;
    if (!r->o->files && run_mark_gone(r)) return -1;
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
             .to_try = CLIP_AUTO, .store_lock = PTHREAD_MUTEX_INITIALIZER};
    *out = (indexer_report){0};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int status = run_all(&r);
    clock_gettime(CLOCK_MONOTONIC, &end);
    out->seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    run_finish(&r);
    return status;
}
