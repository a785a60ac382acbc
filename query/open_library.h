/* open_library.h: the library that a question goes to, and the model that it is asked in. */
#ifndef QUERY_OPEN_LIBRARY_H
#define QUERY_OPEN_LIBRARY_H

#include "query/encode.h"

typedef struct query_library {
    cli *c;
    store *store;
    store_model model;      /* the one that is searched with */
    query_encoder encoder;  /* the same model, opened when it is needed */
    const struct query_adapter *adapter; /* corrects the vectors of texts that are asked; NULL: none */
} query_library;

/* Opens c->db and says what is wrong, and what to type, when that fails: the exit status, or 0. */
int query_store_open(cli *c, store_mode mode, store **out);

/* The same for reading, and chooses the model: --model, else the library's own. 1 when the library holds nothing yet. */
int query_library_open(query_library *l, cli *c);
/* Opens l->encoder where that has not been done; 0 or the exit status. */
int query_library_open_encoder(query_library *l);
void query_library_close(query_library *l);

/* Opens the model when no library is asked: --model, else the library's where there is one, else the bundled one. */
int query_default_encoder(cli *c, query_encoder *e);


/* A model that is asked with or without a library: the model as above, and where a library is there, its memory of texts and
 * photos. out->store is NULL when there is none. */
int query_model_open(query_library *out, cli *c);

#endif
