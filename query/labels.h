/* labels.h: the words that photos are sorted by. */
#ifndef QUERY_LABELS_H
#define QUERY_LABELS_H

#include <stddef.h>

typedef struct query_labels {
    char **items;       /* [n] */
    size_t n;
    char *text;         /* what items point into; owned */
} query_labels;

/* A file with one label a line, or labels with commas between them; white space around them and empty ones do not count,
 * of equal ones the first does. Reports what is wrong: 0 or the exit status. */
int query_labels_open(const char *file_or_words, query_labels *out);
void query_labels_close(query_labels *l);

#endif
