/* prompts.h: the sentences in which a label is asked for. */
#ifndef QUERY_PROMPTS_H
#define QUERY_PROMPTS_H

#include <stddef.h>

typedef struct query_prompts {
    const char *name;            /* "none", "simple7", "imagenet80", or the file */
    const char *const *items;    /* [n] sentences with {} where the label goes */
    size_t n;
    char *text;                  /* a file's bytes, which items point into; owned */
    const char **owned;          /* items when they are a file's; owned */
} query_prompts;

/* "none", "simple7", "imagenet80", or a file with one sentence a line. Reports what is wrong: 0 or the exit status. */
int query_prompts_open(const char *name, query_prompts *out);
void query_prompts_close(query_prompts *p);

/* The sentence with the label in place of the first {} (or {c}). Allocated; NULL when memory ran out. */
char *query_prompt_fill(const char *sentence, const char *label);

#endif
