/* import_model.h: a model as PyTorch wrote it, into the user's models folder. */
#ifndef QUERY_IMPORT_MODEL_H
#define QUERY_IMPORT_MODEL_H

#include "cli/cli.h"

typedef struct query_import_options {
    const char *name;      /* NULL: the file's, without its ending */
    const char *tokenizer; /* a folder with vocab.json and merges.txt, or tokenizer.json; NULL: looked for */
    clip_gelu gelu;
    bool force;            /* replaces a model of that name */
} query_import_options;

/* `path`: a file, or a folder with one and its configuration. Reports what it does; returns the exit status. */
int query_import_model(const cli *c, const char *path, const query_import_options *o);

#endif
