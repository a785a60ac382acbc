/* progress_line.c: one line for work of minutes. Time left is reckoned from the whole so far, which is steady enough for
 * things that are all much alike. */
#include "query/progress_line.h"

#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

query_progress_line query_progress_begin(const cli *c, const char *doing, size_t total)
{
    return (query_progress_line){.doing = doing, .total = total, .begun = now(), .on = !c->quiet && isatty(STDERR_FILENO)};
}

void query_progress_show(query_progress_line *p, size_t done)
{
    char a[32], b[32];
    double t = now(), passed = t - p->begun;
    if (!p->on || passed < 1 || t - p->drawn < 0.1 || !done) return;
    p->drawn = t;
    cli_draw("%s  %s of %s, %.0f s left", p->doing, cli_count((int64_t)done, a), cli_count((int64_t)p->total, b),
             passed / (double)done * (double)(p->total - done));
}
