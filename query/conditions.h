/* conditions.h: conditions on photos, from the command line to the store's filter. */
#ifndef QUERY_CONDITIONS_H
#define QUERY_CONDITIONS_H

#include "cli/cli.h"

enum { QUERY_FILTER_OPTIONS = 9 };

typedef struct query_filter {
    cli_list in, tags;
    const char *after, *before, *camera, *near;
    int format, shape;      /* places in their lists of words; -1: none */
    int min_size;
    char **folders;         /* absolute forms of `in` */
    store_filter filter;    /* what query_filter_make made; points into this struct */
} query_filter;

void query_filter_init(query_filter *f);
/* Writes QUERY_FILTER_OPTIONS rows, without an end, that fill f. */
void query_filter_options(query_filter *f, cli_option *rows);
/* Checks what was given and makes f->filter; 0, or 2 when something was wrong, which has then been reported. */
int query_filter_make(query_filter *f, const cli_usage *u);
void query_filter_finish(query_filter *f);

/* A paragraph for --help. */
#define QUERY_CONDITIONS_HELP                                                                                              \
    "Filters act inside the search: as many results come back as were asked for, whenever that many photos satisfy "   \
    "them all. A date is 2023, 2023-07 or 2023-07-14; --after counts from its first day, --before ends before it. "    \
    "The date of a photo is the camera's, or the file's where the camera wrote none."

/* 2023, 2023-07 or 2023-07-14: a day that exists. */
bool query_date_valid(const char *text);
/* LAT,LON[,KM] in degrees, north and east positive; km is 10 when not given. */
bool query_near_parse(const char *text, double *latitude, double *longitude, double *km);

#endif
