/* explain.h: why a search with conditions found nothing. */
#ifndef QUERY_EXPLAIN_H
#define QUERY_EXPLAIN_H

#include "query/conditions.h"
#include "query/open_library.h"

/* Names on stderr each condition that no photo satisfies even by itself, or says that none satisfies all of them. */
void query_explain_nothing(query_library *l, const query_filter *f);
/* The folders of --in alone: where several were named, the others may have answered in place of a mistyped one. */
void query_explain_folders(query_library *l, const query_filter *f);

#endif
