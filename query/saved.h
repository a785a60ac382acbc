/* saved.h: questions kept under a name in the library. */
#ifndef QUERY_SAVED_H
#define QUERY_SAVED_H

#include "cli/cli.h"

/* Keeps the arguments words[n] under `name`, in place of what was there. These report what goes wrong: 0 or the status. */
int query_saved_put(cli *c, const char *name, char *const *words, size_t n);
/* The arguments, each and the array allocated; *n of them, with room for a final NULL. */
int query_saved_get(cli *c, const char *name, char ***words, size_t *n);
int query_saved_remove(cli *c, const char *name);
/* NAME<TAB>what to type, by name; with json one object a line. 1 when there is none. */
int query_saved_list(cli *c, bool json);

#endif
