/* captions.c: captions by photo. A photo may have several, on lines anywhere. */
#include "query/captions.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MOST = 10000000 };

static int add_line(query_captions *c, const char *file, char *line, size_t number)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (!*line) return 0;
    char *tab = strchr(line, '\t');
    if (!tab || tab == line || !tab[1]) return cli_fail("%s: line %zu is not FILE<tab>CAPTION", file, number);
    if (c->n == c->room) {
        size_t room = c->room ? 2 * c->room : 1024;
        query_caption *larger = realloc(c->items, room * sizeof *larger);
        if (!larger) return cli_fail("memory ran out");
        c->items = larger, c->room = room;
    }
    char *copy = strdup(line);
    if (!copy) return cli_fail("memory ran out");
    copy[tab - line] = '\0';
    c->items[c->n] = (query_caption){copy, copy + (tab - line) + 1, c->n};
    c->n++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const query_caption *x = a, *y = b;
    int order = strcmp(x->line, y->line);
    return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int read_file(query_captions *c, const char *file)
{
    FILE *f = fopen(file, "r");
    if (!f) return cli_fail("cannot read %s: %s", file, strerror(errno));
    char *line = NULL;
    size_t room = 0, number = 0;
    int status = 0;
    while (!status && getline(&line, &room, f) >= 0)
        status = ++number > LINES_MOST ? cli_fail("%s: more than %d lines", file, LINES_MOST) : add_line(c, file, line, number);
    if (!status && ferror(f)) status = cli_fail("cannot read %s: %s", file, strerror(errno));
    free(line);
    fclose(f);
    if (!status && !c->n) status = cli_fail("%s holds no captions", file);
    if (!status) qsort(c->items, c->n, sizeof *c->items, by_name);
    return status;
}

/* The photos that the captions name, once each. */
static int find_photos(query_captions *c, const char *folder)
{
    c->photos = calloc(c->n, sizeof *c->photos);
    c->own = calloc(c->n, sizeof *c->own);
    if (!c->photos || !c->own) return cli_fail("memory ran out");
    for (size_t i = 0; i < c->n; i++) {
        const char *name = c->items[i].line;
        if (i == 0 || strcmp(name, c->items[i - 1].line)) {
            char **photo = &c->photos[c->n_photos];
            if (asprintf(photo, "%s%s%s", *name == '/' ? "" : folder, *name == '/' ? "" : "/", name) < 0) {
                *photo = NULL;
                return cli_fail("memory ran out");
            }
            c->n_photos++;
        }
        c->own[i] = c->n_photos - 1;
    }
    return 0;
}

int query_captions_open(const char *file, const char *folder, query_captions *c)
{
    *c = (query_captions){0};
    int status = read_file(c, file);
    return status ? status : find_photos(c, folder);
}

void query_captions_close(query_captions *c)
{
    for (size_t i = 0; i < c->n; i++) free(c->items[i].line);
    for (size_t i = 0; i < c->n_photos; i++) free(c->photos[i]);
    free(c->items);
    free(c->photos);
    free(c->own);
    *c = (query_captions){0};
}
