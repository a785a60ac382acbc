/* act.c: commands as argument vectors.
 *
 * As in fd: a path goes into its argument whole, whatever characters it has, because no shell is in between. Commands run one
 * after the other in the order of the results, so that their output does not mix. A batch is divided where the system could
 * not take it at once; as xargs does, 128 KiB are held to be safe. */
#include "query/act.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH_BYTES = 128 << 10 };

void query_act_options(query_act *a, cli_option *rows)
{
    rows[0] = (cli_option){"exec", 'x', CLI_COMMAND, "CMD...", "run a command for each photo instead of printing", &a->each};
    rows[1] = (cli_option){"exec-batch", 'X', CLI_COMMAND, "CMD...", "run a command with all of them", &a->batch};
}

bool query_act_wanted(const query_act *a)
{
    return a->each.n || a->batch.n;
}

void query_act_finish(query_act *a)
{
    cli_list_finish(&a->each);
    cli_list_finish(&a->batch);
}

/* ---- placeholders ---- */

typedef struct span { const char *text; size_t n; } span;

static const char *const places[] = {"{}", "{/}", "{//}", "{.}", "{/.}"};
enum { N_PLACES = sizeof places / sizeof *places };

/* Which placeholder stands at p, or -1. */
static int place_at(const char *p)
{
    for (int i = 0; i < N_PLACES; i++)
        if (strncmp(p, places[i], strlen(places[i])) == 0) return i;
    return -1;
}

/* Without the last dot and what follows; a name's first character is never an extension's dot. */
static size_t without_extension(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - name) : strlen(name);
}

static span part_of(const char *path, int place)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    switch (place) {
    case 1: return (span){name, strlen(name)};
    case 2: return !slash ? (span){".", 1} : slash == path ? (span){"/", 1} : (span){path, (size_t)(slash - path)};
    case 3: return (span){path, (size_t)(name - path) + without_extension(name)};
    case 4: return (span){name, without_extension(name)};
    default: return (span){path, strlen(path)};
    }
}

bool query_act_has_place(const char *argument)
{
    for (; *argument; argument++)
        if (place_at(argument) >= 0) return true;
    return false;
}

char *query_act_fill(const char *argument, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    while (*argument) {
        int place = place_at(argument);
        span s = place < 0 ? (span){argument, 1} : part_of(path, place);
        fwrite(s.text, 1, s.n, f);
        argument += place < 0 ? 1 : strlen(places[place]);
    }
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}

static size_t count_places(const cli_list *command)
{
    size_t n = 0;
    for (size_t i = 0; i < command->n; i++) n += query_act_has_place(command->items[i]);
    return n;
}

int query_act_check(const query_act *a, const cli_usage *u)
{
    if (a->each.n && a->batch.n) return cli_misuse(u, "choose one of --exec and --exec-batch");
    if (count_places(&a->batch) > 1) return cli_misuse(u, "--exec-batch: only one argument may hold {}, because it becomes many");
    return 0;
}

/* ---- running ---- */

typedef struct vector { char **items; size_t n, bytes; bool failed; } vector;

static void push(vector *v, char *owned)
{
    char **more = owned ? realloc(v->items, (v->n + 2) * sizeof *more) : NULL;
    if (!more) {
        free(owned);
        v->failed = true;
        return;
    }
    v->items = more;
    v->bytes += strlen(owned) + 1 + sizeof *more;
    v->items[v->n++] = owned;
    v->items[v->n] = NULL;
}

static void empty(vector *v)
{
    for (size_t i = 0; i < v->n; i++) free(v->items[i]);
    free(v->items);
    *v = (vector){0};
}

/* *started stays false when there is no such program: then there is no point in trying it again. */
static int run(char *const *argv, bool *started)
{
    pid_t pid;
    int status;
    fflush(stdout);
    int why = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (why) return cli_fail("cannot run %s: %s", argv[0], strerror(why));
    *started = true;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return cli_fail("cannot wait for %s: %s", argv[0], strerror(errno));
    if (WIFSIGNALED(status)) return cli_fail("%s was ended by signal %d", argv[0], WTERMSIG(status));
    if (WEXITSTATUS(status)) return cli_fail("%s failed with status %d", argv[0], WEXITSTATUS(status));
    return 0;
}

/* The command for the hits [from, *to): *to is set to how far they fit. At least one always goes in. */
static vector fill(const cli_list *command, const query_hits *h, size_t from, size_t *to)
{
    vector v = {0};
    bool has_place = count_places(command) > 0;
    size_t most = *to, room = 0;
    for (size_t i = 0; i < command->n; i++) room += strlen(command->items[i]) + 1 + sizeof(char *);
    for (*to = from; *to < most; ++*to) {
        room += strlen(h->items[*to].where) + 1 + sizeof(char *);
        for (size_t i = 0; i < command->n; i++) if (query_act_has_place(command->items[i])) room += strlen(command->items[i]);
        if (room > BATCH_BYTES && *to > from) break;
    }
    for (size_t i = 0; i < command->n; i++) {
        if (!query_act_has_place(command->items[i])) push(&v, strdup(command->items[i]));
        else for (size_t k = from; k < *to; k++) push(&v, query_act_fill(command->items[i], h->items[k].where));
    }
    for (size_t k = from; !has_place && k < *to; k++) push(&v, strdup(h->items[k].where));
    return v;
}

int query_act_run(const query_act *a, const query_hits *h)
{
    const cli_list *command = a->each.n ? &a->each : &a->batch;
    int status = 0;
    bool started = true;
    for (size_t from = 0, to; started && from < h->n; from = to) {
        started = false;
        to = a->each.n ? from + 1 : h->n;
        vector v = fill(command, h, from, &to);
        int one = v.failed ? cli_fail("memory ran out") : run(v.items, &started);
        if (one) status = one;
        empty(&v);
    }
    return status;
}
