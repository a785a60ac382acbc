/* pool.h: a few threads that each take the next piece of work until none is left. Internal to engine/.
 *
 * Why not OpenMP here: a team that meets at a barrier after every layer waits for its slowest member, and burns the core that
 * a decoder thread could use while it waits. Whole images need no barrier but the last. */
#ifndef CLIP_POOL_H
#define CLIP_POOL_H

#include "engine/error.h"

typedef struct clip_pool clip_pool;

/* `workers` includes the thread that calls clip_pool_run, so 1 starts none. */
CLIP_MUST_USE clip_status clip_pool_create(int workers, clip_pool **out, clip_error *err);
void clip_pool_destroy(clip_pool *p);

/* Runs task(context, worker, i) for every i in 0..tasks-1, each worker one at a time; returns when all are done. The caller
 * is worker 0. False when any task returned false. Not to be called from two threads at once. */
typedef bool (*clip_pool_task)(void *context, int worker, int i);
CLIP_MUST_USE bool clip_pool_run(clip_pool *p, clip_pool_task task, void *context, int tasks);

#endif
