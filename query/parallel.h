/* parallel.h: the same small job for many things, on several threads. */
#ifndef QUERY_PARALLEL_H
#define QUERY_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

enum { QUERY_THREADS_MOST = 64 };

/* How many threads `asked` (0: one for each core) means for n jobs. */
int query_threads(int asked, size_t n);

/* job(i, worker, ctx) for every i below n, worker being 0 .. threads - 1. A job that returns false ends the whole early.
 * report(done, report_ctx), called on the caller's thread several times a second, may be NULL. False when a job failed or
 * no thread could be started. */
bool query_parallel(int threads, size_t n, bool (*job)(size_t i, int worker, void *ctx), void *ctx,
                    void (*report)(size_t done, void *ctx), void *report_ctx);

#endif
