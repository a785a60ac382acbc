/* options.c: command lines are read by a table and nothing else.
 *
 * Our own reader rather than getopt_long: that one accepts abbreviations of long names, so that adding an option can
 * break somebody's script, and it cannot say "did you mean". Options and operands may come in any order; "--" ends the
 * options; "-" alone is an operand; -k10, -k 10, --top=10, --top 10 and bundles of flags (-qv) all work. The order of
 * operands is kept. */
#include "cli/table.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void cli_global_table(cli_globals *g, cli_option rows[CLI_GLOBALS + 1])
{
    const cli_option table[CLI_GLOBALS + 1] = {
        {"db", 0, CLI_STRING, "FILE", "the library to use (CLIPSEARCH_DB)", &g->db},
        {"model", 0, CLI_LIST, "NAME|DIR", "the model to use (CLIPSEARCH_MODEL)", &g->model},
        {"threads", 0, CLI_INT, "N", "processor cores to use; 0, the default: all", &g->threads},
        {"quiet", 'q', CLI_FLAG, NULL, "no remarks, only results and errors", &g->quiet},
        {"verbose", 'v', CLI_FLAG, NULL, "more remarks", &g->verbose},
        {"color", 0, CLI_CHOICE, "auto|always|never", "colours; auto: on a terminal, unless NO_COLOR is set", &g->color},
        {"no-config", 0, CLI_FLAG, NULL, "leave out the file of settings", &g->no_config},
        {"help", 'h', CLI_FLAG, NULL, "this text", &g->help},
        {"version", 0, CLI_FLAG, NULL, "the version, and what this build can do", &g->version},
        {0}};
    memcpy(rows, table, sizeof table);
}

/* ---- suggestions ---- */

/* Edit distance where a swap of neighbours counts once (optimal string alignment); words are short, so three rows on
 * the stack do. */
static int edit_distance(const char *a, const char *b)
{
    enum { MOST = 40 };
    int rows[3][MOST + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > MOST || m > MOST) return INT_MAX;
    for (size_t j = 0; j <= m; j++) rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *cli_nearest(const char *typed, const char *(*next)(size_t i, const void *ctx), const void *ctx)
{
    size_t n = strlen(typed);
    int limit = n < 3 ? 1 : n < 6 ? 2 : 3, best = INT_MAX;
    const char *nearest = NULL, *word;
    for (size_t i = 0; (word = next(i, ctx)); i++) {
        int d = n >= 2 && strncmp(word, typed, n) == 0 ? 0 : edit_distance(typed, word);
        if (d <= limit && d < best && d < (int)strlen(word)) best = d, nearest = word;
    }
    return nearest;
}

typedef struct tables { const cli_option *own, *global; } tables;

static const char *option_name(size_t i, const void *ctx)
{
    const tables *t = ctx;
    size_t own = 0;
    while (t->own && t->own[own].name) own++;
    return i < own ? t->own[i].name : t->global[i - own].name;
}

/* ---- values ---- */

static const cli_option *find_long(const cli_option *o, const char *name, size_t n)
{
    for (; o && o->name; o++)
        if (strlen(o->name) == n && memcmp(o->name, name, n) == 0) return o;
    return NULL;
}

static const cli_option *find_letter(const cli_option *o, char letter)
{
    for (; o && o->name; o++)
        if (o->letter == letter) return o;
    return NULL;
}

static bool list_add(cli_list *l, const char *item, const char *from)
{
    const char **items = realloc(l->items, (l->n + 1) * sizeof *items);
    if (items) l->items = items;
    const char **froms = realloc(l->from, (l->n + 1) * sizeof *froms);
    if (froms) l->from = froms;
    if (!items || !froms) return false;
    l->items[l->n] = item;
    l->from[l->n++] = from;
    return true;
}

void cli_list_finish(cli_list *l)
{
    free(l->items);
    free(l->from);
    *l = (cli_list){0};
}

static int choice_of(const char *words, const char *given)
{
    size_t n = strlen(given);
    for (int place = 0; *words; place++) {
        size_t m = strcspn(words, "|");
        if (n == m && memcmp(words, given, n) == 0) return place;
        words += m + (words[m] == '|');
    }
    return -1;
}

/* NULL, or what was expected instead of this value. */
static const char *set_value(const cli_option *o, const char *value)
{
    char *end;
    errno = 0;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->target = true;
        return NULL;
    case CLI_INT: {
        long n = strtol(value, &end, 10);
        if (end == value || *end) return "a whole number";
        if (errno || n < INT_MIN || n > INT_MAX) return "a whole number up to 2147483647";
        *(int *)o->target = (int)n;
        return NULL;
    }
    case CLI_DOUBLE: {
        double x = strtod(value, &end);
        if (end == value || *end || !isfinite(x)) return "a number";
        *(double *)o->target = x;
        return NULL;
    }
    case CLI_STRING:
        *(const char **)o->target = value;
        return NULL;
    case CLI_LIST:
    case CLI_MANY:
    case CLI_COMMAND:
        return list_add(o->target, value, o->name) ? NULL : "less (memory ran out)";
    case CLI_CHOICE: {
        int place = choice_of(o->value, value);
        if (place < 0) return o->value;
        *(int *)o->target = place;
        return NULL;
    }
    }
    return NULL;
}

/* ---- reading ---- */

typedef struct reader {
    const cli_usage *u;
    const cli_option *own, *global;
    int argc, at;
    char **argv;
    bool setting;   /* what is read stands in the file of settings */
} reader;

static int unknown(const reader *r, const char *typed, const char *name)
{
    const tables t = {r->own, r->global};
    const char *near = cli_nearest(name, option_name, &t);
    if (near) return cli_misuse(r->u, "there is no option %s; did you mean --%s?", typed, near);
    return cli_misuse(r->u, "there is no option %s", typed);
}

static int take(reader *r, const cli_option *o, const char *shown, const char *value)
{
    const char *expected = set_value(o, value);
    if (!expected) return -1;
    if (o->kind == CLI_CHOICE) return cli_misuse(r->u, "%s needs one of %s, not \"%s\"", shown, o->value, value);
    return cli_misuse(r->u, "%s needs %s, not \"%s\"", shown, expected, value);
}

/* The value of an option, wherever it stands: NULL means the next argument. */
static int take_value(reader *r, const cli_option *o, const char *shown, const char *value)
{
    if (!value && r->at + 1 >= r->argc) return cli_misuse(r->u, "%s needs a value: %s %s", shown, shown, o->value);
    if (r->setting && (o->kind == CLI_COMMAND || strcmp(o->name, "db") == 0 || strcmp(o->name, "model") == 0))
        return cli_misuse(r->u, "%s cannot be a setting%s", shown,
                          o->kind == CLI_COMMAND ? "" : "; CLIPSEARCH_DB and CLIPSEARCH_MODEL are for that");
    int status = take(r, o, shown, value ? value : r->argv[++r->at]);
    while (o->kind == CLI_MANY && status < 0 && r->at + 1 < r->argc && (r->argv[r->at + 1][0] != '-' || !r->argv[r->at + 1][1]))
        status = take(r, o, shown, r->argv[++r->at]);
    if (o->kind != CLI_COMMAND) return status;
    while (status < 0 && r->at + 1 < r->argc && strcmp(r->argv[++r->at], ";") != 0) status = take(r, o, shown, r->argv[r->at]);
    return status;
}

static int read_long(reader *r, const char *arg)
{
    const char *name = arg + 2;
    size_t n = strcspn(name, "=");
    const cli_option *o = find_long(r->own, name, n);
    char shown[64];
    if (!o) o = find_long(r->global, name, n);
    if (!o) {
        char typed[64];
        snprintf(typed, sizeof typed, "%.*s", (int)(n < 60 ? n : 60), name);
        snprintf(shown, sizeof shown, "--%.60s", typed);
        return unknown(r, shown, typed);
    }
    snprintf(shown, sizeof shown, "--%s", o->name);
    if (o->kind == CLI_FLAG)
        return name[n] ? cli_misuse(r->u, "%s takes no value", shown) : take(r, o, shown, "");
    return take_value(r, o, shown, name[n] ? name + n + 1 : NULL);
}

static int read_letters(reader *r, const char *arg)
{
    for (const char *p = arg + 1; *p; p++) {
        const cli_option *o = find_letter(r->own, *p);
        char shown[3] = {'-', *p, 0};
        if (!o) o = find_letter(r->global, *p);
        if (!o) return p == arg + 1 && p[1] ? unknown(r, arg, p) : cli_misuse(r->u, "there is no option %s", shown);
        if (o->kind == CLI_FLAG) {
            take(r, o, shown, "");
            continue;
        }
        return take_value(r, o, shown, p[1] ? p + 1 : NULL);
    }
    return -1;
}

/* Moves what was read as options before the operands, both in their order. `kept` has room for argc pointers. */
static int read_all(reader *r, bool stop_at_operand, char **kept, int *first_operand)
{
    int operands = 0, options = 1, status = -1;
    bool over = false;
    for (r->at = 1; r->at < r->argc; r->at++) {
        char *arg = r->argv[r->at];
        int from = r->at;
        if (over || arg[0] != '-' || !arg[1]) {
            if (stop_at_operand) break;
            kept[operands++] = arg;
            continue;
        }
        if (strcmp(arg, "--") == 0) over = true;
        else if ((status = arg[1] == '-' ? read_long(r, arg) : read_letters(r, arg)) >= 0) return status;
        while (from <= r->at) r->argv[options++] = r->argv[from++];
    }
    *first_operand = stop_at_operand ? r->at : options;
    if (!stop_at_operand) memcpy(r->argv + options, kept, (size_t)operands * sizeof *kept);
    return -1;
}

static bool adopt(char **owned, const char *value)
{
    if (!value) return true;
    char *copy = strdup(value);
    if (!copy) return false;
    free(*owned);
    *owned = copy;
    return true;
}

/* The last one is the model; all of them, each once, are the models. */
static bool adopt_models(cli *c, const cli_list *given)
{
    char **more = realloc(c->models, (c->n_models + given->n + 1) * sizeof *more);
    if (!more) return false;
    c->models = more;
    for (size_t i = 0; i < given->n; i++) {
        bool known = false;
        for (size_t k = 0; k < c->n_models && !known; k++) known = strcmp(c->models[k], given->items[i]) == 0;
        if (known) continue;
        if (!(c->models[c->n_models] = strdup(given->items[i]))) return false;
        c->n_models++;
    }
    return adopt(&c->model, given->n ? given->items[given->n - 1] : NULL);
}

/* What the file of settings has for this command. */
static int read_settings(const cli *c, const cli_usage *u, const cli_option *options, const cli_option *global)
{
    int status = -1;
    for (size_t i = 0; i < c->n_settings && status < 0; i++) {
        const cli_setting *s = &c->settings[i];
        char *argv[] = {(char *)"", s->argument, NULL}, *kept[2];
        int first;
        if (strcmp(s->section, u->command ? u->command : "") != 0) continue;
        reader r = {u, options, global, 2, 1, argv, true};
        status = read_all(&r, false, kept, &first);
        if (status >= 0) cli_warn("that stands in %s, line %d; --no-config leaves it out", c->config, s->line);
    }
    return status;
}

static int keep_globals(cli *c, const cli_usage *u, const cli_globals *g)
{
    if (g->threads < 0) return cli_misuse(u, "--threads needs 0 or more, not %d", g->threads);
    if (g->db && !*g->db) return cli_misuse(u, "--db needs the name of a file");
    if (!adopt(&c->db, g->db) || !adopt_models(c, &g->model)) return cli_fail("memory ran out");
    c->db_named = c->db_named || g->db;
    c->threads = g->threads;
    c->color = g->color;
    c->quiet = g->quiet;
    c->verbose = g->verbose;
    return -1;
}

int cli_read(cli *c, const cli_usage *u, const cli_option *options, bool stop_at_operand, int argc, char **argv,
             int *first_operand, bool *version)
{
    cli_globals g = {.threads = c->threads, .color = c->color, .quiet = c->quiet, .verbose = c->verbose};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    char **kept = malloc(((size_t)argc + 1) * sizeof *kept);
    if (!kept) return cli_fail("memory ran out");
    reader r = {u, options, global, argc, 1, argv, false};
    int status = read_settings(c, u, options, global);
    if (status < 0) status = read_all(&r, stop_at_operand, kept, first_operand);
    free(kept);
    if (status < 0) status = keep_globals(c, u, &g);
    cli_list_finish(&g.model);
    if (status >= 0) return status;
    if (version) *version = g.version;
    if (g.help) c->form = CLI_HELP;
    return -1;
}

static void finish_lists(const cli_option *o)
{
    for (; o && o->name; o++)
        if (o->kind == CLI_LIST || o->kind == CLI_MANY || o->kind == CLI_COMMAND) cli_list_finish(o->target);
}

int cli_parse(cli *c, const cli_usage *u, const cli_option *options, int argc, char **argv, int *first_operand)
{
    bool version = false;
    int status = c->form ? -1 : cli_read(c, u, options, false, argc, argv, first_operand, &version);
    if (status < 0 && version && !c->form) cli_version(stdout), status = 0;
    if (status < 0 && !c->form && c->n_models > 1 && !u->several_models)
        status = cli_misuse(u, "takes one --model, not %zu", c->n_models);
    if (status < 0 && c->form) cli_describe(stdout, c->form, u, options), status = 0;
    if (status >= 0) finish_lists(options);
    return status;
}
