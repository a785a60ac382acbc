/* open_library.c: which library, which model.
 *
 * The library knows its models by fingerprint, so that a repeated question is answered without opening any model: the
 * stored vectors of texts are filed under the fingerprint. Only when a vector is missing are the model's files looked
 * for: in the folder that the library remembers, then among the installed models by name, then the bundled one. What is
 * found must have the fingerprint; a model that was replaced is refused rather than quietly compared with vectors of
 * another kind.
 *
 * Every way in which this can fail has a message of its own, which ends with what to type. */
#include "query/open_library.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void report_waiting(const char *line, void *ctx)
{
    cli_say(ctx, "%s; waiting", line);
}

int query_store_open(cli *c, store_mode mode, store **out)
{
    store_error err = {0};
    store_status s = mode == STORE_READ ? store_open(c->db, mode, out, &err)
                                        : store_open_wait(c->db, mode, -1, report_waiting, c, out, &err);
    if (s == STORE_OK) return 0;
    if (s != STORE_E_NOT_FOUND) return cli_fail("%s", err.text);
    char *name = cli_quote_path(c->db);
    if (c->db_named)
        cli_fail("there is no photo library at %s.\nTo make one, type: clipsearch index --db %s DIR", name, name);
    else cli_fail("there is no photo library yet.\nTo make one, type: clipsearch index DIR");
    free(name);
    return 2;
}

/* ---- choosing ---- */

static void list_names(const store_model *models, size_t n, char *room, size_t size)
{
    size_t used = 0;
    room[0] = 0;
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(room + used, size - used, "%s%s", i ? ", " : "", models[i].name);
}

static bool same_folder(const char *a, const char *b)
{
    char *real_a = realpath(a, NULL), *real_b = realpath(b, NULL);
    bool same = real_a && real_b && strcmp(real_a, real_b) == 0;
    free(real_a);
    free(real_b);
    return same;
}

static const store_model *with_fingerprint(const store_model *models, size_t n, const char *dir, clip_error *err)
{
    clip_model *m = NULL;
    const store_model *found = NULL;
    if (clip_model_open(dir, &m, err)) return NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(models[i].fingerprint, clip_model_describe(m)->fingerprint) == 0) found = &models[i];
    clip_model_close(m);
    return found;
}

/* --model NAME|DIR among the library's models: by name, else by folder, else by what the files are. Only where a folder
 * answers for none or for several (its files were replaced) are the files looked at. */
static const store_model *find_named(const store_model *models, size_t n, const char *wanted, clip_error *err)
{
    const store_model *found = NULL;
    size_t in_folder = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(models[i].name, wanted) == 0) return &models[i];
    char *dir = cli_model_dir(wanted, err);
    if (!dir) return NULL;
    for (size_t i = 0; i < n; i++)
        if (same_folder(models[i].dir, dir)) found = &models[i], in_folder++;
    if (in_folder != 1) found = with_fingerprint(models, n, dir, err);
    free(dir);
    return found;
}

static int choose_named(query_library *l, const store_model *models, size_t n)
{
    clip_error err = {0};
    const store_model *found = find_named(models, n, l->c->model, &err);
    if (found) {
        l->model = *found;
        return 0;
    }
    if (err.text[0]) return cli_fail("%s", err.text);
    char names[400];
    list_names(models, n, names, sizeof names);
    return cli_fail("this library was not indexed with the model %s, only with: %s.\n"
                    "To add it, type: clipsearch index --model %s", l->c->model, names, l->c->model);
}

static int choose_current(query_library *l, const store_model *models, size_t n)
{
    store_error err = {0};
    store_status s = store_model_current(l->store, &l->model, &err);
    if (s == STORE_OK) return 0;
    if (s != STORE_E_NOT_FOUND) return cli_fail("%s", err.text);
    char names[400];
    list_names(models, n, names, sizeof names);
    return cli_fail("this library was indexed with several models: %s.\nTo choose one, type: clipsearch model use NAME",
                    names);
}

static int report_empty(query_library *l)
{
    store_error err = {0};
    store_counts counts = {0};
    char missing[32], unreadable[32], *name = cli_quote_path(l->c->db);
    if (store_count(l->store, &counts, &err)) cli_fail("%s", err.text);
    else if (counts.photos)
        cli_warn("no photo of the library can be searched: %s missing, %s unreadable. `clipsearch status` says more.",
                 cli_count(counts.missing, missing), cli_count(counts.failed, unreadable));
    else cli_warn("the library %s is empty.\nTo put photos into it, type: clipsearch index%s%s DIR", name,
                  l->c->db_named ? " --db " : "", l->c->db_named ? name : "");
    free(name);
    return err.text[0] ? 2 : 1;
}

/* A model that was added later answers for what it has seen so far. Only another model can tell how much there is, because
 * what no model could read is none's. */
static void say_if_incomplete(const query_library *l, const store_model *models, size_t n)
{
    int64_t most = 0;
    char have[32], all[32];
    for (size_t i = 0; i < n; i++)
        if (models[i].vectors > most) most = models[i].vectors;
    if (l->model.vectors < most)
        cli_say(l->c, "the model %s covers %s of %s photos so far; clipsearch index --model %s goes on", l->model.name,
                cli_count(l->model.vectors, have), cli_count(most, all), l->model.name);
}

int query_library_open(query_library *l, cli *c)
{
    store_error err = {0};
    store_model *models = NULL;
    size_t n = 0;
    *l = (query_library){.c = c, .encoder = {.c = c}};
    int status = query_store_open(c, STORE_READ, &l->store);
    if (status) return status;
    if (store_models(l->store, &models, &n, &err)) status = cli_fail("%s", err.text);
    else if (!n) status = report_empty(l);
    else status = c->model ? choose_named(l, models, n) : choose_current(l, models, n);
    if (!status && !l->model.vectors) status = report_empty(l);
    if (!status) say_if_incomplete(l, models, n);
    free(models);
    return status;
}

void query_library_close(query_library *l)
{
    query_encoder_close(&l->encoder);
    store_close(l->store);
    l->store = NULL;
}

/* ---- finding the model's files ---- */

/* The i-th folder in which the model may be, allocated, or NULL. */
static char *place_of(const cli *c, const store_model *m, int i)
{
    clip_error ignored = {0};
    switch (i) {
    case 0: return c->model ? cli_model_dir(c->model, &ignored) : NULL;
    case 1: return m->dir[0] && access(m->dir, R_OK) == 0 ? strdup(m->dir) : NULL;
    case 2: return cli_model_dir(m->name, &ignored);
    default: return cli_model_dir(NULL, &ignored);
    }
}

/* Opens the model from the first of its places that holds it. *other receives a place that holds another one. */
static bool open_from_places(query_encoder *e, const store_model *m, char **other)
{
    for (int i = 0; i < 4; i++) {
        clip_error ignored = {0};
        clip_model *model = NULL;
        char *dir = place_of(e->c, m, i);
        if (!dir) continue;
        if (clip_model_open(dir, &model, &ignored) == CLIP_OK &&
            strcmp(clip_model_describe(model)->fingerprint, m->fingerprint) == 0) {
            e->dir = dir;
            e->model = model;
            return true;
        }
        clip_model_close(model);
        if (i < 3 && !*other) *other = dir;
        else free(dir);
    }
    return false;
}

int query_library_open_encoder(query_library *l)
{
    const store_model *m = &l->model;
    char *other = NULL;
    if (l->encoder.model || open_from_places(&l->encoder, m, &other)) {
        free(other);
        return 0;
    }
    if (other)
        cli_fail("the library was indexed with the model \"%s\", but the files in %s are not that model any more.\n"
                 "To bring the library up to date with them, type: clipsearch index\n"
                 "To search with the older one, name its folder: --model DIR", m->name, other);
    else
        cli_fail("the library was indexed with the model \"%s\", whose files were in %s and are gone.\n"
                 "If they lie elsewhere now, name their folder: --model DIR\n"
                 "To index again with the model that comes with clipsearch, type: clipsearch index --model default",
                 m->name, m->dir);
    free(other);
    return 2;
}

int query_default_encoder(cli *c, query_encoder *e)
{
    store *s = NULL;
    store_model m;
    store_error ignored = {0};
    clip_error err = {0};
    char *other = NULL;
    *e = (query_encoder){.c = c};
    if (!c->model && store_open(c->db, STORE_READ, &s, &ignored) == STORE_OK) {
        if (store_model_current(s, &m, &ignored) == STORE_OK) open_from_places(e, &m, &other);
        store_close(s);
    }
    free(other);
    if (e->model) return 0;
    if (!(e->dir = cli_model_dir(c->model, &err))) return cli_fail("%s", err.text);
    if (clip_model_open(e->dir, &e->model, &err)) return cli_fail("cannot open the model: %s", err.text);
    return 0;
}

int query_model_open(query_library *l, cli *c)
{
    store_error ignored = {0};
    store_model *models = NULL;
    size_t n = 0;
    *l = (query_library){.c = c};
    int status = query_default_encoder(c, &l->encoder);
    if (status) return status;
    const clip_model_info *info = clip_model_describe(l->encoder.model);
    snprintf(l->model.fingerprint, sizeof l->model.fingerprint, "%s", info->fingerprint);
    l->model.dim = info->dim;
    if (store_open(c->db, STORE_READ, &l->store, &ignored)) l->store = NULL;
    if (l->store && store_models(l->store, &models, &n, &ignored)) n = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(models[i].fingerprint, info->fingerprint) == 0) l->model = models[i];
    free(models);
    return 0;
}
