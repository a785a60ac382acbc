/* ask_texts.h: texts to vectors, by memory where that is possible. */
#ifndef QUERY_ASK_TEXTS_H
#define QUERY_ASK_TEXTS_H

#include "query/open_library.h"
#include "query/prompts.h"

/* out[n][dim]: one unit vector for each text, or for each text in all sentences of p (NULL: the text alone). What was asked
 * before comes from the library, the ensemble as a whole; the rest is encoded at once and remembered. Reports what goes
 * wrong: 0 or the exit status. */
int query_ask_texts(query_library *l, const query_prompts *p, const char *const *texts, size_t n, float *out /* [n][dim] */);

#endif
