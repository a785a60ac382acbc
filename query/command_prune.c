/* command_prune.c: `clipsearch prune` and `clipsearch forget`: the only two ways in which a photo leaves a library.
 *
 * Indexing never forgets: a photo whose file is gone is kept as missing, and comes back at once with it. Forgetting is
 * asked for, and for prune it is shown first. Photo files are never touched by either. */
#include "query/open_library.h"
#include "query/print.h"
#include "query/query.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- prune ---- */

static const cli_usage prune_usage = {
    .command = "prune",
    .summary = "Forget the photos whose files are gone, after showing them.",
    .details =
        "Lists what is missing and asks before forgetting it. Where there is no terminal to ask on, --yes is needed. "
        "Photos in a folder that was not reachable when the library was last indexed, as on an unplugged drive, do "
        "not count as missing.",
    .examples = "clipsearch prune\n"
                "clipsearch prune --yes --quiet",
};

typedef struct missing {
    query_style style;
    int64_t *ids;
    size_t n, room;
    bool failed;
} missing;

static bool show_missing(const store_photo *p, const char *where, void *ctx)
{
    missing *m = ctx;
    if (m->n == m->room) {
        size_t room = m->room ? m->room * 2 : 256;
        int64_t *ids = realloc(m->ids, room * sizeof *ids);
        if (!ids) return m->failed = true, false;
        m->ids = ids, m->room = room;
    }
    m->ids[m->n++] = p->id;
    if (m->style.json) {
        json_t *object = json_object();
        query_json_photo(object, p, where);
        cli_print_json(stdout, object);
    } else {
        query_print_path(stdout, where, &m->style);
    }
    return true;
}

/* A photo may have come back while the question stood open: only what is still missing goes. */
static store_status forget_one(store *s, int64_t id, int64_t *forgotten, store_error *err)
{
    store_photo p = {0};
    store_status status = store_photo_get(s, id, &p, err);
    if (status == STORE_OK && p.state == STORE_MISSING) {
        status = store_photo_forget(s, id, err);
        *forgotten += status == STORE_OK;
    }
    store_photo_finish(&p);
    return status == STORE_E_NOT_FOUND ? STORE_OK : status;
}

static store_status forget_all(store *s, const missing *m, int64_t *forgotten, store_error *err)
{
    store_status status = store_batch_begin(s, err);
    if (status != STORE_OK) return status;
    for (size_t i = 0; i < m->n && status == STORE_OK; i++) status = forget_one(s, m->ids[i], forgotten, err);
    if (status == STORE_OK) return store_batch_commit(s, err);
    store_batch_abandon(s);
    return status;
}

static bool agreed(const missing *m)
{
    char question[96], count[32];
    snprintf(question, sizeof question, "Forget %s missing photo%s?", cli_count((int64_t)m->n, count),
             m->n == 1 ? "" : "s");
    return cli_ask(question);
}

/* The list is made with the library open for reading, so that nobody waits for the answer. */
static int show(cli *c, missing *m)
{
    store *s = NULL;
    store_error err = {0};
    const store_state state = STORE_MISSING;
    int status = query_store_open(c, STORE_READ, &s);
    if (status) return status;
    if (store_photos_each(s, &state, show_missing, m, &err)) status = cli_fail("%s", err.text);
    else if (m->failed) status = cli_fail("memory ran out");
    store_close(s);
    return status;
}

static int prune(cli *c, const missing *m)
{
    store *s = NULL;
    store_error err = {0};
    int64_t forgotten = 0;
    char count[32];
    int status = query_store_open(c, STORE_WRITE, &s);
    if (status) return status;
    if (forget_all(s, m, &forgotten, &err)) status = cli_fail("%s", err.text);
    else cli_say(c, "%s photo%s forgotten", cli_count(forgotten, count), forgotten == 1 ? "" : "s");
    store_close(s);
    return status;
}

int query_command_prune(struct cli *c, int argc, char **argv)
{
    bool yes = false;
    missing m = {0};
    const cli_option options[] = {
        {"yes", 'y', CLI_FLAG, NULL, "forget without asking", &yes},
        {"print0", '0', CLI_FLAG, NULL, "end each path by a zero byte", &m.style.zero},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object a line", &m.style.json},
        {0}};
    int first, status = cli_parse(c, &prune_usage, options, argc, argv, &first);
    if (status >= 0) return status;
    if (first < argc)
        return cli_misuse(&prune_usage, "\"%s\" is not needed; to forget a photo or folder: clipsearch forget PATH",
                          argv[first]);
    status = query_style_check(&m.style, &prune_usage);
    if (!status) status = show(c, &m);
    if (status) m.n = 0;
    else if (!m.n) cli_say(c, "no photo is missing");
    else if (yes || agreed(&m)) status = prune(c, &m);
    else if (cli_can_ask()) cli_say(c, "nothing was forgotten");
    else status = cli_fail("nothing was forgotten. To forget these, type: clipsearch prune --yes");
    free(m.ids);
    return status;
}

/* ---- forget ---- */

static const cli_usage forget_usage = {
    .command = "forget",
    .arguments = "PATH...",
    .summary = "Take photos or folders out of the library.",
    .details =
        "PATH is a photo or a folder; with a folder goes all that lies below it, and a folder that was indexed is not "
        "looked at by `clipsearch index` any more. The files themselves are not touched. A photo that is forgotten "
        "while its folder stays comes back when that folder is indexed: `clipsearch index --exclude` keeps it out.",
    .examples = "clipsearch forget ~/Pictures/screenshots\n"
                "clipsearch search -0 screenshot --cut | clipsearch forget --files-from - -0\n"
                "clipsearch forget /media/stick",
    .exits = "0  done\n"
             "1  nothing of that was in the library\n"
             "2  an error, which stderr explains\n",
};

static int forget(cli *c, store *s, const char *path)
{
    store_error err = {0};
    int64_t n = 0;
    char count[32], *whole = cli_absolute(path), *link = cli_absolute_link(path);
    char *name = link ? cli_quote_path(link) : NULL;
    int status = 0;
    if (!whole || !name) status = cli_fail("memory ran out");
    else if (store_forget_below(s, whole, &n, &err) ||
             (!n && strcmp(whole, link) != 0 && store_forget_below(s, link, &n, &err)))
        status = cli_fail("%s", err.text);
    else if (n) cli_say(c, "%s photo%s forgotten: %s", cli_count(n, count), n == 1 ? "" : "s", name);
    else {
        cli_warn("nothing in the library is at %s", name);
        status = 1;
    }
    free(name);
    free(link);
    free(whole);
    return status;
}

int query_command_forget(struct cli *c, int argc, char **argv)
{
    cli_names names = {0};
    cli_option options[CLI_NAMES_OPTIONS + 1] = {0};
    store *s = NULL;
    cli_names_options(&names, options);
    int first, worst = 0, status = cli_parse(c, &forget_usage, options, argc, argv, &first);
    if (status >= 0) return status;
    if (first == argc && !names.from) return cli_misuse(&forget_usage, "name a photo or a folder: clipsearch forget PATH");
    status = cli_names_read(&names, &forget_usage, argc - first, argv + first);
    if (!status) status = query_store_open(c, STORE_WRITE, &s);
    for (size_t i = 0; s && i < names.n; i++) {
        status = forget(c, s, names.items[i]);
        if (status > worst) worst = status;
    }
    if (s) status = worst;
    store_close(s);
    cli_names_finish(&names);
    return status;
}
