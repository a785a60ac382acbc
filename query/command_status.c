/* command_status.c: `clipsearch status`: what the library holds, in counts that SQL gives without looking at a photo. */
#include "query/open_library.h"
#include "query/print.h"
#include "query/query.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

static const cli_usage usage = {
    .command = "status",
    .summary = "Say what is indexed, by which model, how big, how current.",
    .details =
        "--json prints one object: library, photos, searchable, missing, failed, truncated, last_indexed, "
        "database_bytes, cache_bytes, folders (path, photos, reachable), models (name, folder, dim, precision, "
        "trial, photos, current) and cache (kind, exact, vectors, newer, removed, bytes).\n"
        "\n"
        "--failed lists the photos that could not be read instead, with the reason after a tab; they are tried again "
        "when they change.",
    .examples = "clipsearch status\n"
                "clipsearch status --failed --json",
};

typedef struct overview {
    store_counts counts;
    store_root *roots;
    store_model *models;
    size_t n_roots, n_models;
    store_model current;         /* id 0: none */
    store_cache_info cache;
} overview;

static store_status gather(store *s, overview *o, store_error *err)
{
    store_status status = store_count(s, &o->counts, err);
    if (status == STORE_OK) status = store_roots(s, &o->roots, &o->n_roots, err);
    if (status == STORE_OK) status = store_models(s, &o->models, &o->n_models, err);
    if (status != STORE_OK) return status;
    status = store_model_current(s, &o->current, err);
    if (status == STORE_E_NOT_FOUND) {
        o->current.id = 0;
        return STORE_OK;
    }
    return status == STORE_OK ? store_cache_describe(s, o->current.id, &o->cache, err) : status;
}

static bool reachable(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- for people ---- */

static void print_folders(const overview *o)
{
    char count[32];
    for (size_t i = 0; i < o->n_roots; i++) {
        printf("%-11s ", i ? "" : "Folders");
        cli_print_path(stdout, o->roots[i].path);
        printf("  (%s photo%s%s)\n", cli_count(o->roots[i].photos, count), o->roots[i].photos == 1 ? "" : "s",
               reachable(o->roots[i].path) ? "" : "; not reachable now");
    }
}

static void print_models(const overview *o)
{
    char count[32];
    for (size_t i = 0; i < o->n_models; i++) {
        const store_model *m = &o->models[i];
        double share = o->counts.present ? 100.0 * (double)m->vectors / (double)o->counts.present : 0;
        printf("%-11s ", i ? "" : "Model");
        cli_print_text(stdout, m->name);
        printf(": %s photos (%.0f %%), %d dimensions%s%s%s\n",
               cli_count(m->vectors, count), share, m->dim, m->precision[0] ? ", " : "", m->precision,
               o->n_models > 1 && m->id == o->current.id ? ", used by search" : "");
    }
}

/* 0: there is one */
static int trial_of(store *s, const store_model *m, store_trial *t)
{
    store_error err = {0};
    store_status st = store_trial_get(s, m->id, t, &err);
    if (st && st != STORE_E_NOT_FOUND) cli_warn("%s", err.text);
    return st != STORE_OK;
}

static void print_trials(store *s, const overview *o)
{
    store_trial t;
    for (size_t i = 0; i < o->n_models; i++) {
        if (trial_of(s, &o->models[i], &t)) continue;
        printf("%-11s ", "Precision");
        cli_print_text(stdout, o->models[i].name);
        printf(": %s was tried on %d photos and %s: cosine to %s %.6f on average, %.6f at least\n", t.tried, t.photos, t.kept ? "kept" : "left", t.against, t.mean, t.least);
    }
}

static void print_adapters(store *s, const overview *o)
{
    store_adapter a;
    store_error err = {0};
    char photos[32], captions[32];
    for (size_t i = 0; i < o->n_models; i++) {
        store_status st = store_adapter_get(s, o->models[i].fingerprint, o->models[i].dim, &a, &err);
        if (st && st != STORE_E_NOT_FOUND) cli_warn("%s", err.text);
        if (st) continue;
        printf("%-11s ", "Adapted");
        cli_print_text(stdout, o->models[i].name);
        printf(": by %s captions of %s photos\n", cli_count(a.captions, captions), cli_count(a.photos, photos));
        store_adapter_finish(&a);
    }
}

static void print_cache(const overview *o)
{
    const store_cache_info *k = &o->cache;
    char a[32], b[32], d[32], size[32];
    if (!o->current.id) return;
    if (!k->exists) {
        printf("%-11s none %s; every search reads all vectors\n", "Cache", k->due ? "now, `clipsearch index` makes one" : "needed");
        return;
    }
    printf("%-11s %s, answers weighed again exactly, %s: %s vectors, %s newer, %s removed%s\n", "Cache", k->kind,
           cli_bytes(k->bytes, size), cli_count(k->base, a), cli_count(k->delta, b), cli_count(k->dead, d), k->current ? "; current" : "");
}

static void print_overview(const cli *c, store *s, const overview *o)
{
    const store_counts *n = &o->counts;
    char a[32], b[32];
    printf("%-11s ", "Library");
    cli_print_path(stdout, store_path(s));
    printf("  (%s, caches %s)\n", cli_bytes(n->database_bytes, a), cli_bytes(n->cache_bytes, b));
    printf("%-11s %s: %s present", "Photos", cli_count(n->photos, a), cli_count(n->present, b));
    if (n->missing) printf(", %s missing", cli_count(n->missing, a));
    if (n->failed) printf(", %s unreadable", cli_count(n->failed, a));
    if (n->truncated) printf(", %s cut short", cli_count(n->truncated, a));
    printf("\n%-11s ", "Indexed");
    cli_print_text(stdout, n->last_indexed[0] ? n->last_indexed : "never");
    putchar('\n');
    print_models(o);
    print_trials(s, o);
    print_adapters(s, o);
    print_folders(o);
    print_cache(o);
    if (n->failed) cli_say(c, "`clipsearch status --failed` lists what could not be read");
    if (n->missing) cli_say(c, "`clipsearch prune` shows and forgets what is missing");
}

/* ---- for programs ---- */

static json_t *folders_json(const overview *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->n_roots; i++) {
        json_t *folder = json_object();
        cli_json_path(folder, o->roots[i].path);
        json_object_set_new(folder, "photos", json_integer(o->roots[i].photos));
        json_object_set_new(folder, "reachable", json_boolean(reachable(o->roots[i].path)));
        json_array_append_new(list, folder);
    }
    return list;
}

static json_t *text_json(const char *text)
{
    json_t *value = text[0] ? json_string(text) : NULL;
    return value ? value : json_null();
}

static json_t *trial_json(store *s, const store_model *m)
{
    store_trial t;
    if (trial_of(s, m, &t)) return json_null();
    return json_pack("{s:s,s:s,s:i,s:f,s:f,s:b}", "tried", t.tried, "against", t.against, "photos", t.photos, "mean", t.mean, "least",
                     t.least, "kept", t.kept);
}

static json_t *models_json(store *s, const overview *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->n_models; i++) {
        const store_model *m = &o->models[i];
        json_t *model = json_object();
        json_object_set_new(model, "name", text_json(m->name));
        json_object_set_new(model, "folder", text_json(m->dir));
        json_object_set_new(model, "dim", json_integer(m->dim));
        json_object_set_new(model, "precision", text_json(m->precision));
        json_object_set_new(model, "trial", trial_json(s, m));
        json_object_set_new(model, "photos", json_integer(m->vectors));
        json_object_set_new(model, "current", json_boolean(m->id == o->current.id));
        json_array_append_new(list, model);
    }
    return list;
}

static json_t *cache_json(const store_cache_info *k)
{
    if (!k->exists) return json_null();
    json_t *cache = json_object();
    json_object_set_new(cache, "kind", text_json(k->kind));
    json_object_set_new(cache, "exact", json_boolean(k->exact));
    json_object_set_new(cache, "vectors", json_integer(k->base));
    json_object_set_new(cache, "newer", json_integer(k->delta));
    json_object_set_new(cache, "removed", json_integer(k->dead));
    json_object_set_new(cache, "bytes", json_integer(k->bytes));
    return cache;
}

static void print_json(store *s, const overview *o)
{
    const store_counts *n = &o->counts;
    json_t *object = json_object(), *library = json_object();
    cli_json_path(library, store_path(s));
    json_object_set_new(object, "library", library);
    json_object_set_new(object, "photos", json_integer(n->photos));
    json_object_set_new(object, "searchable", json_integer(o->current.id ? o->current.vectors : 0));
    json_object_set_new(object, "missing", json_integer(n->missing));
    json_object_set_new(object, "failed", json_integer(n->failed));
    json_object_set_new(object, "truncated", json_integer(n->truncated));
    json_object_set_new(object, "last_indexed", text_json(n->last_indexed));
    json_object_set_new(object, "database_bytes", json_integer(n->database_bytes));
    json_object_set_new(object, "cache_bytes", json_integer(n->cache_bytes));
    json_object_set_new(object, "folders", folders_json(o));
    json_object_set_new(object, "models", models_json(s, o));
    json_object_set_new(object, "cache", cache_json(&o->cache));
    cli_print_json(stdout, object);
}

/* ---- failures ---- */

typedef struct failures { bool json; int64_t n; } failures;

static bool print_failure(const store_photo *p, const char *where, void *ctx)
{
    failures *f = ctx;
    f->n++;
    if (f->json) {
        json_t *object = json_object();
        query_json_photo(object, p, where);
        cli_print_json(stdout, object);
    } else {
        cli_print_path(stdout, where);
        putchar('\t');
        cli_print_text(stdout, p->reason ? p->reason : "");
        putchar('\n');
    }
    return !ferror(stdout);
}

static int print_failures(const cli *c, store *s, bool json)
{
    failures f = {.json = json};
    store_error err = {0};
    const store_state state = STORE_FAILED;
    if (store_photos_each(s, &state, print_failure, &f, &err)) return cli_fail("%s", err.text);
    if (!f.n) cli_say(c, "every photo could be read");
    return f.n ? 0 : 1;
}

int query_command_status(struct cli *c, int argc, char **argv)
{
    bool failed = false, json = false;
    const cli_option options[] = {
        {"failed", 0, CLI_FLAG, NULL, "list the photos that could not be read, and why", &failed},
        {"json", 0, CLI_FLAG, NULL, "print JSON", &json},
        {0}};
    store *s = NULL;
    overview o = {0};
    store_error err = {0};
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    if (first < argc) return cli_misuse(&usage, "\"%s\" is not needed", argv[first]);
    if ((status = query_store_open(c, STORE_READ, &s))) return status;
    if (failed) status = print_failures(c, s, json);
    else if (gather(s, &o, &err)) status = cli_fail("%s", err.text);
    else if (json) print_json(s, &o);
    else print_overview(c, s, &o);
    store_roots_free(o.roots, o.n_roots);
    free(o.models);
    store_close(s);
    return status;
}
