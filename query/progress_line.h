/* progress_line.h: "Reading photos  120 of 1,000" on the terminal, redrawn in place. */
#ifndef QUERY_PROGRESS_LINE_H
#define QUERY_PROGRESS_LINE_H

#include "cli/cli.h"

typedef struct query_progress_line {
    const char *doing;
    size_t total;
    double begun, drawn;   /* seconds of a steady clock */
    bool on;
} query_progress_line;

/* Nothing is drawn when quiet, when stderr is no terminal, and in the first second. */
query_progress_line query_progress_begin(const cli *c, const char *doing, size_t total);
void query_progress_show(query_progress_line *p, size_t done);
/* cli_draw_end takes it away. */

#endif
