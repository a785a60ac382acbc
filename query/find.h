/* find.h: what `search` and `similar` share: how many, which, in what form, and the way from terms to lines. */
#ifndef QUERY_FIND_H
#define QUERY_FIND_H

#include "query/conditions.h"
#include "query/show.h"
#include "query/term.h"

#include <limits.h>

enum { QUERY_FIND_OPTIONS = 3 + QUERY_FILTER_OPTIONS + QUERY_SHOW_OPTIONS };

enum { QUERY_FIND_DEFAULT = INT_MIN };

typedef struct query_find {
    int k;                  /* QUERY_FIND_DEFAULT: not said */
    double min_score;
    int order;              /* query_order */
    bool not_itself;        /* the photo that is the example is left out */
    bool all;               /* every term must match: the least of their cosines */
    bool cut;               /* only what is relevant */
    double min_relevance;   /* the same, more or less strictly; not a number: not asked for */
    bool no_adapt;          /* texts as the model has them, whatever captions taught */
    const char *templates;  /* sentences for texts; NULL: as they are */
    query_filter filter;
    query_show show;
} query_find;

void query_find_init(query_find *f);
/* Writes QUERY_FIND_OPTIONS rows, without an end. */
void query_find_options(query_find *f, cli_option *rows);
/* Checks the options, opens the library, asks, prints: the exit status. */
int query_find_run(query_find *f, cli *c, const cli_usage *u, query_term *terms, size_t n);
void query_find_finish(query_find *f);

#endif
