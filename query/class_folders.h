/* class_folders.h: photos that lie in one folder for each class. */
#ifndef QUERY_CLASS_FOLDERS_H
#define QUERY_CLASS_FOLDERS_H

#include <stddef.h>

typedef struct query_class { char *folder, *label; } query_class; /* its folder's name, and what it is called */

typedef struct query_classes {
    query_class *items;    /* [n] by folder name */
    size_t n;
    char **paths;          /* [n_photos] */
    size_t *owner;         /* [n_photos] class */
    size_t n_photos;
} query_classes;

/* FOLDER/CLASS/...: every file at any depth, hidden ones passed over. These report what goes wrong: 0 or the exit status. */
int query_classes_find(const char *folder, query_classes *out);
/* Lines CLASS<tab>NAME: what to call a class. */
int query_classes_name(query_classes *c, const char *file);
void query_classes_finish(query_classes *c);

#endif
