/* pull.h: a model from the hub, or from its cache on this machine, into the user's models folder. */
#ifndef QUERY_PULL_H
#define QUERY_PULL_H

#include "cli/cli.h"
#include "query/known_models.h"

typedef struct query_pull_options {
    bool force;   /* fetch it again, even if it is here or in the cache */
    int timeout;  /* seconds without a byte */
} query_pull_options;

/* Reports what it does; returns the exit status. */
int query_pull(const cli *c, const query_model_source *source, const query_pull_options *o);

#endif
