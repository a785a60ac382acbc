/* command_progress.h: one line on the terminal that says how far a long work has come. Private to indexer/. */
#ifndef COMMAND_PROGRESS_H
#define COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    bool on;              /* stderr is a terminal and the user wants to be told */
    double last_drawn;
    double rate, rate_at; /* things a second, smoothed; when it was last measured */
    int64_t rate_done;
} progress;

void progress_init(progress *p, bool wanted);
/* total < 0: not yet known. `things`: "photos". Draws at most ten times a second; cli_draw_end takes the line away. */
void progress_show(progress *p, const char *doing, const char *things, int64_t done, int64_t total);

#endif
