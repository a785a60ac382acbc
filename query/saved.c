/* saved.c: questions kept under a name in the library.
 *
 * All of them are one JSON object in the library's setting "searches": {"NAME": ["beach", "--after", "2023"], ...}.
 * What is kept is what was typed, not what it meant: a saved search finds the photos that were added since. */
#include "query/saved.h"
#include "query/open_library.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char KEY[] = "searches";

/* The object of all saved searches; an empty one when there is none. */
static int load(store *s, json_t **all)
{
    store_error err = {0};
    char *text = NULL;
    store_status st = store_setting_get(s, KEY, &text, &err);
    if (st && st != STORE_E_NOT_FOUND) return cli_fail("%s", err.text);
    *all = text ? json_loads(text, 0, NULL) : json_object();
    free(text);
    if (*all && json_is_object(*all)) return 0;
    json_decref(*all);
    *all = NULL;
    return cli_fail("the saved searches of %s are damaged; save one anew after: sqlite3 LIBRARY \"DELETE FROM settings WHERE "
                    "key = '%s'\"", store_path(s), KEY);
}

static int keep(store *s, json_t *all)
{
    store_error err = {0};
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    int status = !text ? cli_fail("memory ran out") : store_setting_set(s, KEY, text, &err) ? cli_fail("%s", err.text) : 0;
    free(text);
    return status;
}

int query_saved_put(cli *c, const char *name, char *const *words, size_t n)
{
    store *s = NULL;
    json_t *all = NULL, *list = json_array();
    int status = 0;
    for (size_t i = 0; i < n && !status; i++)
        if (json_array_append_new(list, json_string(words[i])))
            status = cli_fail("\"%s\" is not UTF-8, and cannot be saved", words[i]);
    if (!status) status = query_store_open(c, STORE_WRITE, &s);
    if (!status) status = load(s, &all);
    if (!status && json_object_set(all, name, list)) status = cli_fail("the name \"%s\" is not UTF-8", name);
    if (!status) status = keep(s, all);
    json_decref(list);
    json_decref(all);
    store_close(s);
    return status;
}

static int unknown(const char *name)
{
    return cli_fail("there is no saved search \"%s\"; clipsearch search --saved lists them", name);
}

int query_saved_get(cli *c, const char *name, char ***words, size_t *n)
{
    store *s = NULL;
    json_t *all = NULL;
    *words = NULL, *n = 0;
    int status = query_store_open(c, STORE_READ, &s);
    if (!status) status = load(s, &all);
    json_t *list = json_object_get(all, name), *word;
    if (!status && !json_is_array(list)) status = unknown(name);
    if (!status && !(*words = calloc(json_array_size(list) + 1, sizeof **words))) status = cli_fail("memory ran out");
    size_t i;
    if (!status) json_array_foreach(list, i, word)
        if (json_is_string(word) && !((*words)[(*n)++] = strdup(json_string_value(word)))) status = cli_fail("memory ran out");
    json_decref(all);
    store_close(s);
    return status;
}

int query_saved_remove(cli *c, const char *name)
{
    store *s = NULL;
    json_t *all = NULL;
    int status = query_store_open(c, STORE_WRITE, &s);
    if (!status) status = load(s, &all);
    if (!status && json_object_del(all, name)) status = unknown(name);
    if (!status) status = keep(s, all);
    json_decref(all);
    store_close(s);
    return status;
}

static void print_one(const char *name, json_t *list, bool json)
{
    size_t i;
    json_t *word;
    if (json) {
        cli_print_json(stdout, json_pack("{s:s, s:O}", "name", name, "arguments", list));
        return;
    }
    cli_print_path(stdout, name);
    putchar('\t');
    json_array_foreach(list, i, word) {
        char *quoted = cli_quote_path(json_is_string(word) ? json_string_value(word) : "");
        printf("%s%s", i ? " " : "", quoted ? quoted : "");
        free(quoted);
    }
    putchar('\n');
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int query_saved_list(cli *c, bool json)
{
    store *s = NULL;
    json_t *all = NULL, *list;
    const char **names = NULL, *name;
    size_t n = 0;
    int status = query_store_open(c, STORE_READ, &s);
    if (!status) status = load(s, &all);
    if (!status && !(names = malloc((json_object_size(all) + 1) * sizeof *names))) status = cli_fail("memory ran out");
    if (!status) json_object_foreach(all, name, list) names[n++] = name;
    if (n) qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) print_one(names[i], json_object_get(all, names[i]), json);
    if (!status && !n) cli_say(c, "no search has been saved");
    free(names);
    json_decref(all);
    store_close(s);
    return status ? status : n ? 0 : 1;
}
