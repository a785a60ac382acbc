/* captions.h: a file of captions: a photo's name, a tab and a caption on each line. */
#ifndef QUERY_CAPTIONS_H
#define QUERY_CAPTIONS_H

#include <stddef.h>

typedef struct query_caption { char *line; const char *text; size_t place; } query_caption; /* line: the photo's name, then the text; owned */

typedef struct query_captions {
    query_caption *items;  /* [n] by photo, then as they come */
    size_t n, room;
    char **photos;         /* [n_photos] paths: names that are not absolute are relative to the folder */
    size_t n_photos;
    size_t *own;           /* [n] which photo each belongs to */
} query_captions;

/* Reports what goes wrong: 0 or the exit status. */
int query_captions_open(const char *file, const char *folder, query_captions *out);
void query_captions_close(query_captions *c);

#endif
