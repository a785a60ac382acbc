/* ask.h: terms to vectors. */
#ifndef QUERY_ASK_H
#define QUERY_ASK_H

#include "query/open_library.h"
#include "query/term.h"

/* vectors[n][dim]: one unit vector for each term. Images that are indexed photos get their photo_id. Reports what goes
 * wrong; 0 or the exit status. */
int query_ask(query_library *l, query_term *terms, size_t n, float *vectors /* [n][dim] */);

#endif
