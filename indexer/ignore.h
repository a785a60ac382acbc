/* ignore.h: which paths an ignore file or --exclude leaves out. Private to indexer/. */
#ifndef INDEXER_IGNORE_H
#define INDEXER_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

/* The rules of one folder, chained to those of the folders above it. The innermost rule that matches decides. */
typedef struct indexer_ignore indexer_ignore;

/* Rules for the folder whose path below the root is the first `base` bytes of every path asked about ("" : 0; "a/b": 4,
 * the slash included). `above` may be NULL, is not owned and must outlive the result. NULL: no memory. */
indexer_ignore *indexer_ignore_create(const indexer_ignore *above, size_t base);
void indexer_ignore_destroy(indexer_ignore *rules);

/* One line of an ignore file, as it stands there; comments and blank lines add nothing. False: no memory. */
bool indexer_ignore_add(indexer_ignore *rules, const char *line, size_t length);
/* A whole file's bytes. */
bool indexer_ignore_add_text(indexer_ignore *rules, const char *text, size_t length);

/* path: relative to the root, without a slash at either end. */
bool indexer_ignore_match(const indexer_ignore *rules, const char *path, bool is_folder);

/* Glob over whole paths: * and ? stay within a component, ** spans components, [a-z] and [!a-z], \ quotes. */
bool indexer_glob(const char *pattern, const char *path);

#endif
