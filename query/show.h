/* show.h: what is done with the photos that were found: lines, previews, a page, other programs. */
#ifndef QUERY_SHOW_H
#define QUERY_SHOW_H

#include "query/act.h"
#include "query/print.h"
#include "query/term.h"

typedef struct query_show {
    query_style style;
    query_act act;
    bool preview;
    int preview_form;    /* query_preview_form */
    const char *html;
} query_show;

enum { QUERY_SHOW_OPTIONS = QUERY_STYLE_OPTIONS + QUERY_ACT_OPTIONS + 3 };
/* Writes QUERY_SHOW_OPTIONS rows, without an end. */
void query_show_options(query_show *s, cli_option *rows);
/* 0, or 2 and a report when what was asked for does not go together. */
int query_show_check(const query_show *s, const cli_usage *u);
/* 0, or 2 and a report. */
int query_show_run(const query_show *s, const cli *c, const query_term *terms, size_t n, const query_hits *h);
void query_show_finish(query_show *s);

#endif
