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

/* The vector that the library holds for the image of term t, as long as its file is the one that was indexed. True when it does;
 * *status is set when asking failed. l->store may be NULL. */
bool query_recall_image(query_library *l, query_term *t, float *vector /* [dim] */, int *status);

#endif
