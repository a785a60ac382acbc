/* term.h: the pieces of a question, as they are typed. Pure: no file is looked at. */
#ifndef QUERY_TERM_H
#define QUERY_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum query_kind { QUERY_TEXT, QUERY_IMAGE, QUERY_CONCEPT } query_kind;

typedef struct query_term {
    query_kind kind;
    float weight;       /* may be negative */
    const char *body;   /* the words, the image's path, the concept's name; points into what was parsed, or into a query's joined words */
    int64_t photo_id;   /* set by query_ask: the indexed photo that an image term is; 0: none */
} query_term;

/* One argument:  [WEIGHT:]BODY  where BODY is  text:WORDS | image:PATH | concept:NAME | a path (/..., ./..., ../..., ~/...) | words.
 * WEIGHT is a plain decimal number such as 2 or 0.5 or -1; a digit or a space after its colon means that it is none
 * ("16:9", "at 7: 30"). Returns NULL, or what is wrong with it. */
const char *query_term_parse(const char *argument, query_term *out);

typedef struct query_terms {
    query_term *items;
    size_t n;
    char *joined;       /* the plain words of a question, joined by spaces */
} query_terms;

/* The operands of a search: images stand alone, and all the words together are one text. NULL or what is wrong. */
const char *query_terms_from_words(char *const *words, size_t n, query_terms *out);
/* One more term whose weight is multiplied by `sign`. */
const char *query_terms_add(query_terms *t, const char *argument, float sign);
const char *query_terms_add_concept(query_terms *t, const char *name);
void query_terms_finish(query_terms *t);

#endif
