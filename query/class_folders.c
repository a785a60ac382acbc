/* class_folders.c: photos that lie in one folder for each class. */
#include "query/class_folders.h"
#include "query/photo_list.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int not_hidden(const struct dirent *d) { return d->d_name[0] != '.'; }

static char *spaced(const char *folder)
{
    char *label = strdup(folder);
    for (char *p = label; p && *p; p++)
        if (*p == '_') *p = ' ';
    return label;
}

/* Takes the paths over. */
static int add_photos(query_classes *c, query_photo_list *found, size_t owner)
{
    size_t all = c->n_photos + found->n;
    char **paths = realloc(c->paths, (all + 1) * sizeof *paths);
    if (paths) c->paths = paths;
    size_t *owners = paths ? realloc(c->owner, (all + 1) * sizeof *owners) : NULL;
    if (owners) c->owner = owners;
    if (!owners) return cli_fail("memory ran out");
    for (size_t i = 0; i < found->n; i++) c->paths[c->n_photos] = found->paths[i], c->owner[c->n_photos++] = owner;
    found->n = 0;
    return 0;
}

static int add_class(query_classes *c, const char *folder, const char *name)
{
    char *path = NULL;
    struct stat st;
    query_photo_list found = {0};
    if (asprintf(&path, "%s/%s", folder, name) < 0) return cli_fail("memory ran out");
    int status = 0;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        query_class *one = &c->items[c->n++];
        *one = (query_class){strdup(name), spaced(name)};
        status = one->folder && one->label ? query_photo_list_add(&found, path) : cli_fail("memory ran out");
        if (!status) status = add_photos(c, &found, c->n - 1);
    }
    query_photo_list_finish(&found);
    free(path);
    return status;
}

int query_classes_find(const char *folder, query_classes *c)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, not_hidden, alphasort), status = 0;
    *c = (query_classes){0};
    if (n < 0) return cli_fail("cannot read the folder %s: %s", folder, strerror(errno));
    c->items = calloc((size_t)n + 1, sizeof *c->items);
    if (!c->items) status = cli_fail("memory ran out");
    for (int i = 0; i < n; i++) {
        if (!status) status = add_class(c, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (!status && c->n < 2) status = cli_fail("%s: fewer than two folders; each class has a folder of its own there", folder);
    return status;
}

/* A line of names; classes of which there is no folder are passed over. */
static int set_name(query_classes *c, const char *file, char *line, size_t number, size_t *found)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (!*line) return 0;
    char *tab = strchr(line, '\t');
    if (!tab || tab == line || !tab[1]) return cli_fail("%s: line %zu is not CLASS<tab>NAME", file, number);
    *tab = '\0';
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->items[i].folder, line)) continue;
        free(c->items[i].label);
        c->items[i].label = strdup(tab + 1);
        *found += 1;
        return c->items[i].label ? 0 : cli_fail("memory ran out");
    }
    return 0;
}

int query_classes_name(query_classes *c, const char *file)
{
    FILE *f = fopen(file, "r");
    if (!f) return cli_fail("cannot read %s: %s", file, strerror(errno));
    char *line = NULL;
    size_t room = 0, number = 0, found = 0;
    int status = 0;
    while (!status && getline(&line, &room, f) >= 0) status = set_name(c, file, line, ++number, &found);
    if (!status && ferror(f)) status = cli_fail("cannot read %s: %s", file, strerror(errno));
    free(line);
    fclose(f);
    if (!status && found < c->n) cli_warn("%s names %zu of the %zu classes; the others keep their folders' names", file, found, c->n);
    return status;
}

void query_classes_finish(query_classes *c)
{
    for (size_t i = 0; c->items && i < c->n; i++) free(c->items[i].folder), free(c->items[i].label);
    for (size_t i = 0; i < c->n_photos; i++) free(c->paths[i]);
    free(c->items);
    free(c->paths);
    free(c->owner);
    *c = (query_classes){0};
}
