/* walk.h: the entries of a folder tree that may be photos. Private to indexer/. */
#ifndef INDEXER_WALK_H
#define INDEXER_WALK_H

#include "indexer/ignore.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Nanoseconds since 1970; a time that 64 bits do not hold wraps round, so that it still differs from most others. */
static inline int64_t indexer_mtime_ns(const struct stat *st) {
    return (int64_t)((uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec);
}

typedef struct indexer_file { /* a regular file */
    char *name;
    int64_t size, mtime_ns;
    uint64_t inode;
} indexer_file;

typedef struct indexer_folder {
    int fd;                /* the folder itself, open during the call */
    const char *path;      /* relative to the root, "" for the root */
    const indexer_file *files; size_t n; /* by name, in order of bytes */
} indexer_folder;

/* Folders that were visited, by device and inode: a walk over several roots can share one, so that no folder is
 * visited twice through symbolic links. */
typedef struct indexer_visited indexer_visited;
indexer_visited *indexer_visited_create(void);
void indexer_visited_destroy(indexer_visited *v);

typedef struct indexer_walk_options {
    int root_fd;
    const char *prefix;                      /* where to begin, relative to the root; "" for the root */
    const indexer_ignore *excludes;          /* may be NULL */
    bool hidden, follow_symlinks;
    indexer_visited *visited;                /* needed when following symbolic links */
    bool (*folder)(const indexer_folder *f, void *ctx);              /* false: stop the walk */
    /* A folder of which nothing or not all could be read, once; without its ignore file nothing below it is walked. */
    void (*unreadable)(const char *path, const char *why, void *ctx);
    void (*nomedia)(const char *path, void *ctx);                     /* a folder left out by its .nomedia; may be NULL */
    void *ctx;
} indexer_walk_options;

typedef enum indexer_walk_end { INDEXER_WALK_DONE, INDEXER_WALK_STOPPED, INDEXER_WALK_MEMORY } indexer_walk_end;

indexer_walk_end indexer_walk(const indexer_walk_options *o);

#endif
