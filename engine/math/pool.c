/* pool.c: see pool.h. One lock guards everything; it is taken once for every piece, and a piece is a photo or more. */
#include "engine/math/pool.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct pool_thread {
    clip_pool *pool;
    pthread_t id;
    int worker;
} pool_thread;

struct clip_pool {
    pthread_mutex_t lock;
    pthread_cond_t work, done;  /* there is some; all of it is finished */
    pool_thread *threads;       /* [count] */
    int count;                  /* threads that were started: workers - 1 */
    clip_pool_task task;
    void *context;
    int tasks, next, running;
    bool ok, stop;
};

/* With the lock held: takes pieces until there is none. */
static void work(clip_pool *p, int worker)
{
    while (p->next < p->tasks) {
        int i = p->next++;
        p->running++;
        pthread_mutex_unlock(&p->lock);
        bool ok = p->task(p->context, worker, i);
        pthread_mutex_lock(&p->lock);
        p->running--;
        if (!ok) p->ok = false;
    }
    if (!p->running) pthread_cond_signal(&p->done);
}

static void *thread_main(void *argument)
{
    pool_thread *t = argument;
    clip_pool *p = t->pool;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (p->next < p->tasks) work(p, t->worker);
        else pthread_cond_wait(&p->work, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

clip_status clip_pool_create(int workers, clip_pool **out, clip_error *err)
{
    clip_pool *p = calloc(1, sizeof *p);
    if (!p) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = calloc((size_t)workers, sizeof *p->threads);
    for (int i = 0; p->threads && i < workers - 1; i++) {
        p->threads[i] = (pool_thread){.pool = p, .worker = i + 1};
        if (pthread_create(&p->threads[i].id, NULL, thread_main, &p->threads[i])) break;
        p->count++;
    }
    if (!p->threads || p->count < workers - 1) {
        clip_pool_destroy(p);
        return clip_fail(err, CLIP_E_MEMORY, "the system would not start %d threads", workers - 1);
    }
    *out = p;
    return CLIP_OK;
}

void clip_pool_destroy(clip_pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->count; i++) pthread_join(p->threads[i].id, NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
}

bool clip_pool_run(clip_pool *p, clip_pool_task task, void *context, int tasks)
{
    pthread_mutex_lock(&p->lock);
    p->task = task;
    p->context = context;
    p->tasks = tasks;
    p->next = p->running = 0;
    p->ok = true;
    if (tasks > 1) pthread_cond_broadcast(&p->work);
    work(p, 0);
    while (p->running) pthread_cond_wait(&p->done, &p->lock);
    bool ok = p->ok;
    pthread_mutex_unlock(&p->lock);
    return ok;
}
