/* photo_list.h: names of photos from the command line: files, folders with all that is below. */
#ifndef QUERY_PHOTO_LIST_H
#define QUERY_PHOTO_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct query_photo_list {
    char **paths;      /* [n], each owned */
    bool *named;       /* [n] by the user, not found in a folder */
    size_t n, room;
} query_photo_list;

/* A file as it is, or every file below a folder, without hidden ones, in order of name. Reports what goes wrong, and goes on
 * behind a folder that cannot be read: 0 or the exit status. */
int query_photo_list_add(query_photo_list *l, const char *path);
void query_photo_list_finish(query_photo_list *l);

#endif
