/* command_progress.c: the progress line.
 *
 *     Reading photos  1,234 of 10,000  [####----------------]  85 photos/s, 1 min 43 s left
 *
 * Only on a terminal, on stderr, redrawn in place ten times a second at most and never wider than the window. The rate
 * is smoothed over some ten seconds: photos differ too much in size for the last second to say when the work will end. */
#include "indexer/command_progress.h"
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double draw_every = 0.1, measure_every = 0.5, smooth_over = 10;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void progress_init(progress *p, bool wanted) {
    *p = (progress){.on = wanted && isatty(STDERR_FILENO), .rate_at = now()};
}

static void measure(progress *p, int64_t done) {
    double t = now(), passed = t - p->rate_at;
    if (done < p->rate_done) /* another work */
        *p = (progress){.on = p->on, .rate_at = t, .rate_done = done};
    if (passed < measure_every) return;
    double latest = (double)(done - p->rate_done) / passed, weight = 1 - exp(-passed / smooth_over);
    p->rate = p->rate > 0 ? p->rate + weight * (latest - p->rate) : latest;
    p->rate_at = t;
    p->rate_done = done;
}

static void put_time(char *to, size_t n, double seconds) {
    long long s = seconds < 1e9 ? (long long)(seconds + 0.5) : 0;
    if (s >= 3600) snprintf(to, n, ", %lld h %lld min left", s / 3600, s % 3600 / 60);
    else if (s >= 60) snprintf(to, n, ", %lld min %lld s left", s / 60, s % 60);
    else snprintf(to, n, ", %lld s left", s);
}

static int columns(void) {
    struct winsize w;
    return !ioctl(STDERR_FILENO, TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : 80;
}

static void put_bar(char *to, int cells, int64_t done, int64_t total) {
    int full = (int)((double)cells * (double)done / (double)total);
    *to++ = ' '; *to++ = ' '; *to++ = '[';
    for (int i = 0; i < cells; i++) *to++ = i < full ? '#' : '-';
    *to++ = ']';
    *to = 0;
}

void progress_show(progress *p, const char *doing, const char *things, int64_t done, int64_t total) {
    char head[128], tail[96] = "", left[48] = "", bar[64] = "", a[32], b[32];
    double t = now();
    if (!p->on) return;
    measure(p, done);
    if (t - p->last_drawn < draw_every) return;
    p->last_drawn = t;
    if (total < 0) snprintf(head, sizeof head, "%s  %s", doing, cli_count(done, a));
    else snprintf(head, sizeof head, "%s  %s of %s", doing, cli_count(done, a), cli_count(total, b));
    if (total > 0 && p->rate > 0) {
        put_time(left, sizeof left, (double)(total - done) / p->rate);
        snprintf(tail, sizeof tail, "  %.*f %s/s%s", p->rate < 10, p->rate, things, left);
    }
    int room = columns() - 1, cells = room - (int)strlen(head) - (int)strlen(tail) - 4;
    if (total > 0 && cells >= 8) put_bar(bar, cells > 40 ? 40 : cells, done, total);
    if ((int)(strlen(head) + strlen(tail)) > room) tail[0] = 0;
    cli_draw("%.*s%s%s", room, head, bar, tail);
}
