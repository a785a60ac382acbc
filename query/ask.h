/* ask.h: terms to vectors. */
#ifndef QUERY_ASK_H
#define QUERY_ASK_H

#include "query/open_library.h"
#include "query/prompts.h"
#include "query/term.h"

/* vectors[n][dim]: one unit vector for each term, texts in the sentences of p (NULL: as they are). Images that are
 * indexed photos get their photo_id. Reports what goes
 * wrong; 0 or the exit status. */
int query_ask(query_library *l, const query_prompts *p, query_term *terms, size_t n, float *vectors /* [n][dim] */);

#endif
