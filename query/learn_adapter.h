/* learn_adapter.h: `clipsearch learn --adapt` and what it leaves for searches. */
#ifndef QUERY_LEARN_ADAPTER_H
#define QUERY_LEARN_ADAPTER_H

#include "query/adapter.h"
#include "query/open_library.h"

/* Learns from a file of captions and keeps it in the library where it gains on captions that were held out; 1 where it does not. */
int query_adapter_teach(cli *c, const char *captions, const char *folder, bool json);
int query_adapter_drop(cli *c);

/* The library's correction for its model; dim 0 when there is none. Reports what goes wrong: 0 or the exit status. */
int query_adapter_open(query_library *l, query_adapter *out);

#endif
