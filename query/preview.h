/* preview.h: photos drawn in the terminal. */
#ifndef QUERY_PREVIEW_H
#define QUERY_PREVIEW_H

#include "cli/cli.h"

typedef enum query_preview_form {
    QUERY_PREVIEW_AUTO = 0, QUERY_PREVIEW_SYMBOLS, QUERY_PREVIEW_SIXEL, QUERY_PREVIEW_KITTY, QUERY_PREVIEW_ITERM
} query_preview_form;

typedef struct query_preview query_preview;

/* Loads the library that draws and asks the environment what the terminal can do. Reports what is missing: 0 or 2. */
int query_preview_open(query_preview_form form, query_preview **out);
/* Draws a photo and ends with a new line. A file that cannot be read is reported in a line instead. */
void query_preview_draw(query_preview *p, FILE *f, const char *path);
void query_preview_close(query_preview *p);

#endif
