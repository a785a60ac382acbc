/* names.c: operands, and more of them from a list: --files-from FILE, or - for standard input.
 *
 * Names are bytes: nothing is trimmed and nothing is unquoted, so that what `find -print0` writes, or our own -0, arrives as it
 * was meant. The list is read whole before the first name is used, since a command may wait for a question meanwhile. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_FIRST = 64 << 10, BYTES_MOST = 1 << 30 };

void cli_names_options(cli_names *l, cli_option *rows)
{
    rows[0] = (cli_option){"files-from", 0, CLI_STRING, "FILE", "names from a list too, one a line; - for standard input", &l->from};
    rows[1] = (cli_option){"null", '0', CLI_FLAG, NULL, "each name of that list ends with a zero byte", &l->zero};
}

void cli_names_finish(cli_names *l)
{
    free(l->items);
    free(l->text);
    l->items = NULL, l->text = NULL, l->n = 0;
}

static int read_all(FILE *f, const char *name, char **text, size_t *n)
{
    size_t room = 0;
    *n = 0;
    do {
        if (room >= BYTES_MOST) return cli_fail("the list of names in %s is larger than 1 GiB", name);
        room = room ? 2 * room : BYTES_FIRST;
        char *more = realloc(*text, room + 1);
        if (!more) return cli_fail("memory ran out");
        *text = more;
        *n += fread(*text + *n, 1, room - *n, f);
    } while (*n == room);
    (*text)[*n] = 0;
    return ferror(f) ? cli_fail("cannot read %s: %s", name, strerror(errno)) : 0;
}

static size_t count_ends(const char *text, size_t n, char end)
{
    size_t count = 1;
    for (const char *p = text; p && (p = memchr(p, end, (size_t)(text + n - p))); p++) count++;
    return count;
}

/* Every name in its place, each ended by a zero byte. */
static int divide(cli_names *l, size_t n, char end, const char *name)
{
    if (end && memchr(l->text, 0, n)) return cli_fail("the list of names in %s holds zero bytes: read it with -0", name);
    for (char *p = l->text, *stop = l->text + n, *next; p < stop; p = next + 1) {
        next = memchr(p, end, (size_t)(stop - p));
        if (!next) next = stop;
        *next = 0;
        if (*p) l->items[l->n++] = p;
    }
    return 0;
}

static int read_list(cli_names *l, size_t *n)
{
    if (strcmp(l->from, "-") == 0) return read_all(stdin, "standard input", &l->text, n);
    FILE *f = fopen(l->from, "rb");
    if (!f) return cli_fail("cannot read the list of names in %s: %s", l->from, strerror(errno));
    int status = read_all(f, l->from, &l->text, n);
    fclose(f);
    return status;
}

int cli_names_read(cli_names *l, const cli_usage *u, int n_operands, char **operands)
{
    char end = l->zero ? 0 : '\n';
    size_t n = 0;
    if (l->zero && !l->from) return cli_misuse(u, "-0 says how the list of --files-from is divided, and there is none");
    int status = l->from ? read_list(l, &n) : 0;
    size_t room = (size_t)n_operands + 1 + (status || !l->from ? 0 : count_ends(l->text, n, end));
    if (!status && !(l->items = calloc(room, sizeof *l->items))) status = cli_fail("memory ran out");
    for (int i = 0; i < n_operands && !status; i++) l->items[l->n++] = operands[i];
    if (!status && l->from) status = divide(l, n, end, l->from);
    if (status) cli_names_finish(l);
    return status;
}
