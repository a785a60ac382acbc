/* parallel.c: jobs taken one by one from a counter.
 *
 * Jobs such as decoding a photo differ a lot in length, so none is dealt out beforehand. The caller's thread does not work;
 * it waits, and reports between. */
#include "query/parallel.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

typedef struct crowd {
    bool (*job)(size_t i, int worker, void *ctx);
    void *ctx;
    size_t n;
    pthread_mutex_t lock;  /* of all below */
    pthread_cond_t ended;
    size_t next, done;
    int started, running;
    bool failed;
} crowd;

static void *work(void *p)
{
    crowd *c = p;
    pthread_mutex_lock(&c->lock);
    int worker = c->started++;
    while (!c->failed && c->next < c->n) {
        size_t i = c->next++;
        pthread_mutex_unlock(&c->lock);
        bool well = c->job(i, worker, c->ctx);
        pthread_mutex_lock(&c->lock);
        c->done++;
        c->failed = c->failed || !well;
    }
    c->running--;
    pthread_cond_signal(&c->ended);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int query_threads(int asked, size_t n)
{
    long cores = asked > 0 ? asked : sysconf(_SC_NPROCESSORS_ONLN);
    if (cores > QUERY_THREADS_MOST) cores = QUERY_THREADS_MOST;
    if (cores > 0 && (size_t)cores > n) cores = (long)n;
    return cores < 1 ? 1 : (int)cores;
}

static void await(crowd *c, void (*report)(size_t, void *), void *report_ctx)
{
    pthread_mutex_lock(&c->lock);
    while (c->running) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200000000;
        if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
        pthread_cond_timedwait(&c->ended, &c->lock, &until);
        size_t done = c->done;
        pthread_mutex_unlock(&c->lock);
        if (report) report(done, report_ctx);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
}

bool query_parallel(int threads, size_t n, bool (*job)(size_t, int, void *), void *ctx, void (*report)(size_t, void *),
                    void *report_ctx)
{
    pthread_t ids[QUERY_THREADS_MOST];
    crowd c = {.job = job, .ctx = ctx, .n = n};
    int made = 0;
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.ended, NULL);
    pthread_mutex_lock(&c.lock);
    while (made < threads && made < QUERY_THREADS_MOST && pthread_create(&ids[made], NULL, work, &c) == 0) made++;
    c.running = made;
    pthread_mutex_unlock(&c.lock);
    await(&c, report, report_ctx);
    for (int i = 0; i < made; i++) pthread_join(ids[i], NULL);
    pthread_cond_destroy(&c.ended);
    pthread_mutex_destroy(&c.lock);
    return made && !c.failed;
}
