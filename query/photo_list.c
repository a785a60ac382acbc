/* photo_list.c: names of photos, folders looked through. */
#include "query/photo_list.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MOST = 64, MOST = 10000000 };

/* Takes the path over. */
static int add_file(query_photo_list *l, char *path, bool named)
{
    if (path && l->n == l->room && l->n < MOST) {
        size_t room = l->room ? 2 * l->room : 64;
        char **paths = realloc(l->paths, room * sizeof *paths);
        if (paths) l->paths = paths;
        bool *flags = paths ? realloc(l->named, room * sizeof *flags) : NULL;
        if (flags) l->named = flags, l->room = room;
    }
    if (!path || l->n == l->room) {
        free(path);
        return cli_fail(l->n >= MOST ? "more than ten million photos" : "memory ran out");
    }
    l->named[l->n] = named;
    l->paths[l->n++] = path;
    return 0;
}

static int not_hidden(const struct dirent *d) { return d->d_name[0] != '.'; }

static int add_folder(query_photo_list *l, const char *folder, int depth)
{
    struct dirent **entries = NULL;
    struct stat st;
    int n = scandir(folder, &entries, not_hidden, alphasort), status = 0, worst = 0;
    if (n < 0) return cli_fail("cannot read the folder %s: %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        bool slash = *folder && folder[strlen(folder) - 1] == '/';
        if (!status && asprintf(&path, slash ? "%s%s" : "%s/%s", folder, entries[i]->d_name) < 0) status = cli_fail("memory ran out"), path = NULL;
        if (!status && stat(path, &st) == 0 && S_ISREG(st.st_mode)) status = add_file(l, path, false), path = NULL;
        else if (!status && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && depth < DEPTH_MOST && add_folder(l, path, depth + 1)) worst = 2;
        free(path);
        free(entries[i]);
    }
    free(entries);
    return status ? status : worst;
}

int query_photo_list_add(query_photo_list *l, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return add_folder(l, path, 0);
    return add_file(l, strdup(path), true);
}

void query_photo_list_finish(query_photo_list *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->paths[i]);
    free(l->paths);
    free(l->named);
    *l = (query_photo_list){0};
}
