/* explain.c: each condition is asked about by itself, which is cheap: the first photo that satisfies it ends the question.
 *
 * A folder that holds no photo of the library was probably mistyped. The one that was meant is looked for in what the library
 * knows, not on the disk: the drive may be unplugged, and a folder that was never indexed would be no help. */
#include "query/explain.h"

#include <stdlib.h>
#include <string.h>

static bool stop_at_vector(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    (void)ids, (void)vectors, (void)n;
    *(bool *)ctx = true;
    return false;
}

static bool none_satisfies(query_library *l, const store_filter *f)
{
    store_error ignored = {0};
    bool any = false;
    return !store_vectors_each(l->store, l->model.id, f, stop_at_vector, &any, &ignored) && !any;
}

/* ---- folders ---- */

static bool stop_at_photo(const store_brief *b, void *ctx)
{
    (void)b;
    *(bool *)ctx = true;
    return false;
}

static bool holds_photos(query_library *l, int64_t root, const char *below)
{
    store_error ignored = {0};
    bool any = false;
    return !store_photos_below(l->store, root, below, 0, stop_at_photo, &any, &ignored) && any;
}

typedef struct folders { /* the names of a folder's folders; of many, the first */
    size_t skip;         /* letters of a path before them */
    char *names[256];
    size_t n;
} folders;

static bool add_folder(const store_brief *b, void *ctx)
{
    folders *f = ctx;
    const char *name = b->path + f->skip, *end = strchr(name, '/');
    for (size_t i = f->n; end && i-- > 0;)
        if (strncmp(f->names[i], name, (size_t)(end - name)) == 0 && !f->names[i][end - name]) return true;
    if (end && (f->names[f->n] = strndup(name, (size_t)(end - name)))) f->n++;
    return f->n < sizeof f->names / sizeof *f->names;
}

static const char *folder_name(size_t i, const void *ctx)
{
    const folders *f = ctx;
    return i < f->n ? f->names[i] : NULL;
}

/* "2023/Itly" below a root: of the first folder on the way that holds no photo, the neighbour with nearly its name. */
static char *meant_in_root(query_library *l, const store_root *r, const char *below)
{
    folders f = {0};
    store_error ignored = {0};
    char *path = strdup(below), *meant = NULL;
    if (path && holds_photos(l, r->id, path)) *path = 0; /* they cannot be searched, that is all */
    for (char *end; path && (end = strchr(path + f.skip, '/')); f.skip = (size_t)(end - path) + 1) {
        *end = 0;
        if (!holds_photos(l, r->id, path)) break;
        *end = '/';
    }
    char *parent = path ? strndup(path, f.skip ? f.skip - 1 : 0) : NULL;
    if (parent && *path && !store_photos_below(l->store, r->id, parent, 0, add_folder, &f, &ignored)) {
        const char *name = cli_nearest(path + f.skip, folder_name, &f);
        if (name && asprintf(&meant, "%s/%.*s%s", strcmp(r->path, "/") ? r->path : "", (int)f.skip, path, name) < 0) meant = NULL;
    }
    for (size_t i = 0; i < f.n; i++) free(f.names[i]);
    free(parent);
    free(path);
    return meant;
}

/* ".../Picturs/2023" where ".../Pictures" was indexed. */
static char *meant_root(const store_root *r, const char *folder)
{
    folders one = {.names = {strrchr(r->path, '/') + 1}, .n = 1};
    size_t parent = (size_t)(one.names[0] - r->path);
    if (strncmp(folder, r->path, parent)) return NULL;
    char *typed = strndup(folder + parent, strcspn(folder + parent, "/")), *meant = NULL;
    if (typed && cli_nearest(typed, folder_name, &one)) meant = strdup(r->path);
    free(typed);
    return meant;
}

/* What follows the slash after `folder` in `path`; NULL where it is not below. */
static const char *below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n && folder[n - 1] == '/') n--;
    return strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static void explain_folder(query_library *l, const store_root *roots, size_t n, const char *folder)
{
    bool indexed = false;
    char *meant = NULL, *name = cli_quote_path(folder);
    for (size_t i = 0; i < n; i++) {
        const char *inside = below(folder, roots[i].path);
        indexed = indexed || inside || strcmp(folder, roots[i].path) == 0 || below(roots[i].path, folder);
        if (!meant) meant = inside ? meant_in_root(l, &roots[i], inside) : meant_root(&roots[i], folder);
    }
    char *shown = meant ? cli_quote_path(meant) : NULL;
    const char *what = indexed ? "no photo that can be searched is in" : "in no folder that was indexed is";
    if (name && shown) cli_say(l->c, "%s %s; did you mean %s?", what, name, shown);
    else if (name) cli_say(l->c, "%s %s%s", what, name, indexed ? "" : "; `clipsearch status` lists those");
    free(shown);
    free(name);
    free(meant);
}

static bool explain_folders(query_library *l, const query_filter *f)
{
    store_root *roots = NULL;
    store_error ignored = {0};
    size_t n = 0;
    bool told = false;
    if (!f->filter.n_under || store_roots(l->store, &roots, &n, &ignored)) return false;
    for (size_t i = 0; i < f->filter.n_under; i++) {
        const store_filter one = {.under = f->filter.under + i, .n_under = 1};
        if (!none_satisfies(l, &one)) continue;
        explain_folder(l, roots, n, f->filter.under[i]);
        told = true;
    }
    store_roots_free(roots, n);
    return told;
}

void query_explain_folders(query_library *l, const query_filter *f) { explain_folders(l, f); }

/* ---- the others ---- */

/* *n counts the conditions, *told those that were named here. */
typedef struct tally { size_t n, told; } tally;

static void explain(query_library *l, const store_filter *one, const char *option, const char *value, tally *t)
{
    t->n++;
    if (!none_satisfies(l, one)) return;
    cli_say(l->c, "no photo satisfies %s %s%s", option, value, one->n_tags ? "; `clipsearch tag --list` shows the tags" : "");
    t->told++;
}

static void explain_place(query_library *l, const query_filter *f, tally *t)
{
    const store_filter *a = &f->filter;
    const store_filter near = {.near = true, .latitude = a->latitude, .longitude = a->longitude, .km = a->km};
    const store_filter anywhere = {.near = true, .km = 20100}; /* half way round */
    explain(l, &near, "--near", f->near, t);
    if (t->told && none_satisfies(l, &anywhere)) cli_say(l->c, "no photo of the library tells where it was taken");
}

void query_explain_nothing(query_library *l, const query_filter *f)
{
    static const char *const shapes[] = {"", "portrait", "landscape", "square"};
    const store_filter *a = &f->filter;
    const store_filter after = {.after = a->after}, before = {.before = a->before}, camera = {.camera = a->camera},
                       format = {.format = a->format}, shape = {.shape = a->shape}, size = {.min_side = a->min_side};
    char pixels[16];
    tally t = {.n = a->n_under > 0, .told = explain_folders(l, f)};
    snprintf(pixels, sizeof pixels, "%d", a->min_side);
    for (size_t i = 0; i < a->n_tags; i++) explain(l, &(store_filter){.tags = a->tags + i, .n_tags = 1}, "--tag", a->tags[i], &t);
    if (a->near) explain_place(l, f, &t);
    if (a->after) explain(l, &after, "--after", a->after, &t);
    if (a->before) explain(l, &before, "--before", a->before, &t);
    if (a->camera) explain(l, &camera, "--camera", a->camera, &t);
    if (a->format) explain(l, &format, "--format", a->format, &t);
    if (a->shape) explain(l, &shape, "--orientation", shapes[a->shape], &t);
    if (a->min_side) explain(l, &size, "--min-size", pixels, &t);
    if (t.n > 1 && !t.told && none_satisfies(l, a)) cli_say(l->c, "no photo satisfies all of these conditions");
}
