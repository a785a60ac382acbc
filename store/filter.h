/* filter.h: a store_filter as an SQL condition on `photos p`, with its values. */
#ifndef FILTER_H
#define FILTER_H

#include "store/library.h"

typedef struct filter_value { char kind; int64_t i; double r; char *text; size_t n; } filter_value;

typedef struct filter {
    char *where;           /* " AND ..."; "" when there is no condition */
    size_t length, room;
    filter_value *value;
    size_t n_values, values_room;
} filter;

STORE_MUST_USE store_status filter_build(store *s, const store_filter *f, filter *out, store_error *err);
void filter_finish(filter *f);
/* "before" + condition + "after", allocated. */
char *filter_sql(const filter *f, const char *before, const char *after);
void filter_bind(const filter *f, db_stmt *q);

#endif
