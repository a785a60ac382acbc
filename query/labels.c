/* labels.c: the words that photos are sorted by. What is the name of a file is that file; anything else is the labels. */
#include "query/labels.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MOST_BYTES = 4 << 20, MOST = 100000 };

static int read_file(const char *path, char **text)
{
    FILE *f = fopen(path, "rb");
    if (!f) return cli_fail("cannot read the labels in %s: %s", path, strerror(errno));
    *text = calloc(MOST_BYTES + 1, 1);
    size_t n = *text ? fread(*text, 1, MOST_BYTES + 1, f) : 0;
    int status = !*text ? cli_fail("memory ran out") : ferror(f) ? cli_fail("cannot read %s: %s", path, strerror(errno)) : 0;
    fclose(f);
    if (!status && n > MOST_BYTES) return cli_fail("%s: larger than 4 MiB", path);
    if (!status && strlen(*text) != n) return cli_fail("%s: not a text file", path);
    return status;
}

static char *trim(char *s)
{
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1])) s[--n] = 0;
    return s;
}

static int by_word(const void *a, const void *b)
{
    char **x = *(char **const *)a, **y = *(char **const *)b; /* places among the items */
    int order = strcasecmp(*x, *y);
    return order ? order : (x > y) - (x < y);
}

/* Takes repeated ones out by sorting their places: thousands of labels are compared in no time. */
static int drop_repeated(query_labels *l)
{
    char ***places = malloc((l->n + 1) * sizeof *places);
    size_t kept = 0;
    if (!places) return cli_fail("memory ran out");
    for (size_t i = 0; i < l->n; i++) places[i] = &l->items[i];
    qsort(places, l->n, sizeof *places, by_word);
    const char *last = NULL;
    for (size_t i = 0; i < l->n; i++) {
        const char *word = *places[i];
        if (last && strcasecmp(last, word) == 0) *places[i] = NULL;
        else last = word;
    }
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i]) l->items[kept++] = l->items[i];
    l->n = kept;
    free(places);
    return 0;
}

static int split(query_labels *l, const char *separator)
{
    size_t room = 1;
    for (const char *s = l->text; *s; s++) room += strchr(separator, *s) != NULL;
    if (!(l->items = malloc(room * sizeof *l->items))) return cli_fail("memory ran out");
    for (char *rest = l->text, *word; (word = strsep(&rest, separator));)
        if (*(word = trim(word))) l->items[l->n++] = word;
    if (l->n > MOST) return cli_fail("more than %d labels", MOST);
    return l->n ? drop_repeated(l) : cli_fail("no labels: name them with commas between, or a file with one a line");
}

/* A file that is not there, rather than a label of that name. */
static bool is_file_name(const char *given)
{
    size_t n = strlen(given);
    return !strchr(given, ',') && (strchr(given, '/') || (n > 4 && strcmp(given + n - 4, ".txt") == 0));
}

int query_labels_open(const char *given, query_labels *out)
{
    struct stat st;
    bool file = stat(given, &st) == 0 && !S_ISDIR(st.st_mode);
    *out = (query_labels){0};
    int status = 0;
    if (file) status = read_file(given, &out->text);
    else if (is_file_name(given)) status = cli_fail("cannot read the labels in %s: %s", given, strerror(errno));
    else if (!(out->text = strdup(given))) status = cli_fail("memory ran out");
    if (!status) status = split(out, file ? "\n" : ",");
    if (status) query_labels_close(out);
    return status;
}

void query_labels_close(query_labels *l)
{
    free(l->items);
    free(l->text);
    *l = (query_labels){0};
}
