/* print.h: results on stdout. One line a photo, in one of four forms. */
#ifndef QUERY_PRINT_H
#define QUERY_PRINT_H

#include "query/rank.h"

/* None of the first three: SCORE<TAB>PATH. paint: with colours, in the forms for people. */
typedef struct query_style { bool paths, zero, json, paint; } query_style;

enum { QUERY_STYLE_OPTIONS = 3 };
/* Writes QUERY_STYLE_OPTIONS rows, without an end. */
void query_style_options(query_style *s, cli_option *rows);
/* 0, or 2 and a report when more than one form was asked for. */
int query_style_check(const query_style *s, const cli_usage *u);

void query_print_hits(FILE *f, const query_hits *h, const query_style *s);
/* One path as --paths or -0 want it. */
void query_print_path(FILE *f, const char *path, const query_style *s);

/* The fields of a photo, into a jansson object; see print.c. `where` is its absolute path. */
void query_json_photo(void *object, const store_photo *p, const char *where);

/* The object with one more field "vector", on one line; the reference to the object is dropped. */
void query_print_vector_json(FILE *f, void *object, const float *vector, int dim);

#endif
