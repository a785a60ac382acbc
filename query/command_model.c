/* command_model.c: `clipsearch model list | info | pull | import | use`. */
#include "query/import_model.h"
#include "query/known_models.h"
#include "query/model_folder.h"
#include "query/open_library.h"
#include "query/pull.h"
#include "query/query.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const cli_usage usage = {
    .command = "model",
    .arguments = "list | info | pull | import | use [NAME]",
    .summary = "Show the models that are here, fetch another, or choose the one that search uses.",
    .details =
        "list: the model that comes with clipsearch, those in the user's models folder, and how much of the library "
        "each one covers; then models that can be pulled: pixels, length of a vector, parameters, the cost of a photo (ViT-B/32's is 1), "
        "published figures (ImageNet: zero-shot top-1; Flickr30k: the photo from its caption, recall@1), licence.\n"
        "\n"
        "info: everything about one model, by its name or folder; without a name, the one that would be used.\n"
        "\n"
        "pull: fetches a known model, or hf:OWNER/REPO[@REVISION], a repository of Hugging Face that holds a CLIP model, into "
        "the user's models folder. A broken download goes on where it stopped; every file is checked by the hub's own hash; "
        "the model appears when it is whole and can be opened. One that Hugging Face's programs have fetched before is used "
        "from their cache. HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, https_proxy and no_proxy are honoured.\n"
        "\n"
        "import: makes a model of a file that PyTorch wrote: OpenAI's own .pt, a checkpoint of open_clip, or a folder with config.json and "
        "pytorch_model.bin, in one file or several. The file is read as data alone: nothing in it is run. The vocabulary comes from --tokenizer DIR, the file's "
        "folder, a model that is here, or Hugging Face's cache.\n"
        "\n"
        "use: makes the library search with this one of the models that it was indexed with.\n"
        "\n"
        "A model is a folder as Hugging Face or open_clip publish it: config.json or open_clip_config.json, the weights "
        "as safetensors, and the vocabulary. Any command takes such a folder: --model DIR.",
    .examples = "clipsearch model list\n"
                "clipsearch model info ~/models/ViT-B-32\n"
                "clipsearch model pull ViT-B-32/laion2b_s34b_b79k\n"
                "clipsearch model import ViT-B-32.pt --name ViT-B-32/openai\n"
                "clipsearch index --model ~/models/ViT-B-32 && clipsearch model use ViT-B-32",
};

/* ---- list ---- */

typedef struct listing {
    bool json;
    const store_model *models;   /* the library's */
    size_t n;
    bool *shown;                 /* [n] */
    int64_t current, present;
    size_t lines;
} listing;

static json_t *text_json(const char *text)
{
    json_t *value = text && *text ? json_string(text) : NULL;
    return value ? value : json_null();
}

#define COST_ONE 4.41 /* GMACs of a photo in ViT-B/32 */

/* What is known about a model beforehand. Cost: multiplications for a photo, ViT-B/32's being 1. */
static void add_known(json_t *o, const query_known_model *k)
{
    json_object_set_new(o, "alias", text_json(k->alias));
    json_object_set_new(o, "repository", text_json(k->repo));
    json_object_set_new(o, "image_size", json_integer(k->px));
    json_object_set_new(o, "params", json_integer((json_int_t)k->params * 1000000));
    json_object_set_new(o, "image_gmacs", json_real(k->image_gmacs));
    json_object_set_new(o, "text_gmacs", json_real(k->text_gmacs));
    json_object_set_new(o, "cost", json_real(k->image_gmacs / COST_ONE));
    json_object_set_new(o, "imagenet", k->imagenet > 0 ? json_real(k->imagenet) : json_null());
    json_object_set_new(o, "flickr30k", k->flickr > 0 ? json_real(k->flickr) : json_null());
    json_object_set_new(o, "licence", text_json(k->licence));
}

/* One model: `name` is what --model takes; `m` its row in the library or NULL; dir NULL when its files are gone. */
static void print_model(listing *l, const char *name, const char *dir, int dim, const store_model *m)
{
    bool current = m && m->id == l->current;
    char count[32];
    l->lines++;
    if (l->json) {
        json_t *object = json_object();
        json_object_set_new(object, "name", text_json(name));
        json_object_set_new(object, "folder", text_json(dir));
        json_object_set_new(object, "here", json_boolean(dir != NULL));
        json_object_set_new(object, "dim", json_integer(dim));
        json_object_set_new(object, "photos", json_integer(m ? m->vectors : 0));
        json_object_set_new(object, "current", json_boolean(current));
        if (query_known_model_find(name)) add_known(object, query_known_model_find(name));
        cli_print_json(stdout, object);
        return;
    }
    printf("%c ", current ? '*' : ' ');
    cli_print_text(stdout, name);
    printf("%*s %5d  ", strlen(name) < 24 ? 24 - (int)strlen(name) : 0, "", dim);
    if (m && l->present)
        printf("%12s photos (%3.0f %%)  ", cli_count(m->vectors, count), 100.0 * (double)m->vectors / (double)l->present);
    else printf("%12s %-13s  ", "", "not indexed");
    if (dir) cli_print_path(stdout, dir);
    else fputs("its files are gone", stdout);
    putchar('\n');
}

static void print_known(const query_known_model *k, bool here)
{
    char name[80], imagenet[16] = "", flickr[16] = "";
    snprintf(name, sizeof name, k->alias ? "%s (%s)" : "%s", k->name, k->alias);
    if (k->imagenet > 0) snprintf(imagenet, sizeof imagenet, "%.1f %%", k->imagenet);
    if (k->flickr > 0) snprintf(flickr, sizeof flickr, "%.1f %%", k->flickr);
    printf("  %-37s %4d %5d %4d M %6.1f %8s %9s  %s%s\n", name, k->px, k->dim, k->params, k->image_gmacs / COST_ONE, imagenet, flickr,
           k->licence, here ? ", here" : "");
}

/* Those that can be pulled. In JSON they stand after the ones that are here, which have "here": true. */
static void list_known(const listing *l)
{
    if (!l->json)
        printf("\n  %-37s %4s %5s %6s %6s %8s %9s  %s\n", "To pull", "px", "dim", "params", "cost", "ImageNet", "Flickr30k", "licence");
    for (const query_known_model *k = query_known_models; k->name; k++) {
        clip_error ignored = {0};
        char *dir = cli_model_dir(k->name, &ignored);
        if (!l->json) {
            print_known(k, dir != NULL);
        } else if (!dir) {
            json_t *o = json_object();
            json_object_set_new(o, "name", text_json(k->name));
            json_object_set_new(o, "here", json_false());
            json_object_set_new(o, "dim", json_integer(k->dim));
            add_known(o, k);
            cli_print_json(stdout, o);
        }
        free(dir);
    }
}

static void list_folder(listing *l, const char *name, const char *dir)
{
    clip_model *model = NULL;
    clip_error err = {0};
    const store_model *row = NULL;
    if (clip_model_open(dir, &model, &err)) {
        cli_warn("%s", err.text);
        return;
    }
    const clip_model_info *info = clip_model_describe(model);
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->models[i].fingerprint, info->fingerprint) == 0) row = &l->models[i], l->shown[i] = true;
    print_model(l, name, dir, info->dim, row);
    clip_model_close(model);
}

/* The user's models folder: NAME, or PUBLISHER/NAME one level deeper. */
static void list_installed(listing *l, const char *base, const char *prefix, int depth)
{
    static const char partial[] = ".partial"; /* see model_folder.h */
    struct dirent **entries = NULL;
    int n = scandir(base, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *entry = entries[i]->d_name;
        size_t letters = strlen(entry), m = sizeof partial - 1;
        bool hidden = entry[0] == '.' || (letters > m && strcmp(entry + letters - m, partial) == 0);
        char *below = hidden ? NULL : query_path_join(base, entry), *name = NULL, *deeper = NULL;
        if (below && asprintf(&name, "%s%s", prefix, entry) < 0) name = NULL;
        if (name && (query_file_exists(below, "open_clip_config.json") || query_file_exists(below, "config.json"))) {
            char *real = cli_absolute(below);
            if (real) list_folder(l, name, real);
            free(real);
        } else if (name && depth && asprintf(&deeper, "%s/", name) >= 0) {
            list_installed(l, below, deeper, depth - 1);
        }
        free(deeper);
        free(name);
        free(below);
        free(entries[i]);
    }
    free(entries);
}

static void list_all(listing *l)
{
    clip_error err = {0};
    char *home = cli_data_home(), *base = NULL, *bundled = cli_model_dir(NULL, &err);
    if (bundled) list_folder(l, "default", bundled);
    else cli_warn("%s", err.text);
    if (home && asprintf(&base, "%s/models", home) >= 0) {
        list_installed(l, base, "", 1);
        free(base);
    }
    for (size_t i = 0; i < l->n; i++) {
        const store_model *m = &l->models[i];
        if (l->shown[i]) continue;
        clip_model *model = NULL;
        clip_error ignored = {0};
        bool there = clip_model_open(m->dir, &model, &ignored) == CLIP_OK &&
                     strcmp(clip_model_describe(model)->fingerprint, m->fingerprint) == 0;
        clip_model_close(model);
        print_model(l, m->name, there ? m->dir : NULL, m->dim, m);
    }
    free(bundled);
    free(home);
}

/* Without a library the list is still worth having, so a missing one is no error here. */
static int command_list(cli *c, bool json)
{
    store *s = NULL;
    store_model *models = NULL, current;
    store_error err = {0};
    store_counts counts = {0};
    listing l = {.json = json};
    int status = 0;
    store_status opened = store_open(c->db, STORE_READ, &s, &err);
    if (opened == STORE_OK) {
        if (store_models(s, &models, &l.n, &err) || store_count(s, &counts, &err)) status = cli_fail("%s", err.text);
        else if (store_model_current(s, &current, &err) == STORE_OK) l.current = current.id;
    } else if (opened != STORE_E_NOT_FOUND) {
        status = cli_fail("%s", err.text);
    }
    l.models = models;
    l.present = counts.present;
    if (!status && !(l.shown = calloc(l.n + 1, sizeof *l.shown))) status = cli_fail("memory ran out");
    if (!status) list_all(&l), list_known(&l);
    if (!status && !l.lines) status = 1;
    free(l.shown);
    free(models);
    store_close(s);
    return status;
}

/* ---- info ---- */

static void print_info_json(const clip_model_info *i)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", text_json(i->name));
    json_object_set_new(o, "folder", text_json(i->dir));
    json_object_set_new(o, "form", text_json(i->file_form));
    json_object_set_new(o, "fingerprint", text_json(i->fingerprint));
    json_object_set_new(o, "dim", json_integer(i->dim));
    json_object_set_new(o, "image_tower", i->has_image ? text_json(i->image_arch) : json_null());
    json_object_set_new(o, "image_params", json_integer(i->image_params));
    json_object_set_new(o, "image_size", json_integer(i->image_size));
    json_object_set_new(o, "text_tower", i->has_text ? text_json(i->text_arch) : json_null());
    json_object_set_new(o, "text_params", json_integer(i->text_params));
    json_object_set_new(o, "context_length", json_integer(i->context_length));
    json_object_set_new(o, "vocab_size", json_integer(i->vocab_size));
    json_object_set_new(o, "logit_scale", json_real((double)i->logit_scale));
    json_object_set_new(o, "logit_bias", json_real((double)i->logit_bias));
    cli_print_json(stdout, o);
}

static void print_info(const clip_model_info *i)
{
    char a[32];
    printf("%-12s ", "Name");
    cli_print_text(stdout, i->name);
    printf("\n%-12s ", "Folder");
    cli_print_path(stdout, i->dir);
    printf("\n%-12s %s\n%-12s %s\n", "Form", i->file_form, "Fingerprint", i->fingerprint);
    if (i->has_image)
        printf("%-12s %s, %s weights, photos of %d x %d pixels\n", "Image tower", i->image_arch,
               cli_count(i->image_params, a), i->image_size, i->image_size);
    if (i->has_text)
        printf("%-12s %s, %s weights, texts of %d tokens at most, of %d known\n", "Text tower", i->text_arch,
               cli_count(i->text_params, a), i->context_length, i->vocab_size);
    printf("%-12s %d numbers\n%-12s %.4g", "Vector", i->dim, "Scale", (double)i->logit_scale);
    if (i->logit_bias != 0) printf(", bias %.4g", (double)i->logit_bias);
    putchar('\n');
}

static int command_info(cli *c, const char *name, bool json)
{
    query_encoder e;
    if (name) {
        char *copy = strdup(name);
        if (!copy) return cli_fail("memory ran out");
        free(c->model);
        c->model = copy;
    }
    int status = query_default_encoder(c, &e);
    if (!status && json) print_info_json(clip_model_describe(e.model));
    else if (!status) print_info(clip_model_describe(e.model));
    query_encoder_close(&e);
    return status;
}

/* ---- use ---- */

static int command_use(cli *c, const char *name)
{
    query_library l;
    store_error err = {0};
    char count[32], *copy = strdup(name);
    if (!copy) return cli_fail("memory ran out");
    free(c->model);
    c->model = copy;
    int status = query_library_open(&l, c); /* --model NAME finds it as every other command does */
    store_model chosen = l.model;
    query_library_close(&l);
    store *s = NULL;
    if (!status) status = query_store_open(c, STORE_WRITE, &s);
    if (!status && store_model_use(s, chosen.id, &err)) status = cli_fail("%s", err.text);
    if (!status) cli_say(c, "searches use the model %s now: %s photos", chosen.name, cli_count(chosen.vectors, count));
    store_close(s);
    return status;
}

/* ---- pull ---- */

static int command_pull(cli *c, const char *name, bool force, int timeout)
{
    query_model_source source;
    clip_error err = {0};
    if (timeout < 1) return cli_misuse(&usage, "--timeout needs 1 or more, not %d", timeout);
    if (!query_model_source_parse(name, &source, &err)) return cli_fail("%s", err.text);
    return query_pull(c, &source, &(query_pull_options){.force = force, .timeout = timeout});
}

static int command_import(cli *c, const char *path, query_import_options *o, int activation)
{
    o->gelu = activation < 0 ? CLIP_GELU_UNKNOWN : activation == 0 ? CLIP_GELU_QUICK : CLIP_GELU_EXACT;
    return query_import_model(c, path, o);
}

int query_command_model(struct cli *c, int argc, char **argv)
{
    bool json = false, force = false;
    int timeout = 30, activation = -1;
    query_import_options import = {0};
    const cli_option options[] = {
        {"json", 0, CLI_FLAG, NULL, "print JSON", &json},
        {"force", 0, CLI_FLAG, NULL, "pull, import: replace what is here; pull also leaves Hugging Face's cache alone", &force},
        {"timeout", 0, CLI_INT, "N", "pull: seconds without a byte that break a connection; 30", &timeout},
        {"name", 0, CLI_STRING, "NAME", "import: what the model is called; the file's name", &import.name},
        {"activation", 0, CLI_CHOICE, "quickgelu|gelu", "import: of both towers, where the file does not tell", &activation},
        {"tokenizer", 0, CLI_STRING, "DIR", "import: the folder with the model's vocabulary", &import.tokenizer},
        {0}};
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    import.force = force;
    int n = argc - first;
    const char *what = n ? argv[first] : "list";
    if (strcmp(what, "list") == 0 && n <= 1) return command_list(c, json);
    if (strcmp(what, "info") == 0 && n <= 2) return command_info(c, n == 2 ? argv[first + 1] : NULL, json);
    if (strcmp(what, "pull") == 0 && n == 2) return command_pull(c, argv[first + 1], force, timeout);
    if (strcmp(what, "import") == 0 && n == 2) return command_import(c, argv[first + 1], &import, activation);
    if (strcmp(what, "use") == 0 && n == 2) return command_use(c, argv[first + 1]);
    return cli_misuse(&usage, "it is list, info [NAME|DIR], pull NAME, import FILE, or use NAME");
}
