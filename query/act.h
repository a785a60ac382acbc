/* act.h: --exec and --exec-batch: other programs get what was found. */
#ifndef QUERY_ACT_H
#define QUERY_ACT_H

#include "query/rank.h"

typedef struct query_act { cli_list each, batch; } query_act;

enum { QUERY_ACT_OPTIONS = 2 };
/* Writes QUERY_ACT_OPTIONS rows, without an end. */
void query_act_options(query_act *a, cli_option *rows);
bool query_act_wanted(const query_act *a);
/* 0, or 2 and a report when the two commands cannot be used. */
int query_act_check(const query_act *a, const cli_usage *u);
/* Runs the command once a hit, or once for all; 0, or 2 and a report when it could not be run or failed. */
int query_act_run(const query_act *a, const query_hits *h);
void query_act_finish(query_act *a);

/* ---- apart so that it can be tested ---- */

/* The argument with {} {/} {//} {.} {/.} replaced by parts of the path. Allocated; NULL when memory ran out. */
char *query_act_fill(const char *argument, const char *path);
/* Whether it holds one of them. */
bool query_act_has_place(const char *argument);

#define QUERY_ACT_HELP                                                                                                     \
    "--exec and --exec-batch take all that follows them as a command, up to an argument \";\". It is run as it is, without a "  \
    "shell, instead of printing: once for each photo in order, or once for all. {} in it is the photo's path, {/} its "    \
    "name, {//} its folder, {.} the path without its extension, {/.} the name without it; a command without any of "       \
    "them gets the path at its end."

#endif
