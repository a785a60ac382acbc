/* faiss_link.h: a file's pages in place of the memory that FAISS would read them into; see faiss_link.c. All of one thread. */
#ifndef FAISS_LINK_H
#define FAISS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct faiss_link_table {
    void *memory;       /* NULL: nothing was laid over it */
    int fd;
    int64_t at;         /* of the file */
    size_t bytes;
} faiss_link_table;

/* The next table of this size that FAISS allocates here is to be bytes at .. at + bytes of the file. `at` is a multiple of
 * a page. */
void faiss_link_expect(int fd, int64_t at, size_t bytes);
/* What became of it; nothing is expected any more. */
faiss_link_table faiss_link_laid(void);
/* Whether the file's bytes at .. at + n lie at `to` already. */
bool faiss_link_is_there(const void *to, size_t n, int fd, int64_t at);
/* Before the table is freed. */
void faiss_link_lift(const faiss_link_table *t);

#endif
