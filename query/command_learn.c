/* command_learn.c: `clipsearch learn NAME --yes FILE... [--no FILE...]`: a concept from examples, kept in the library. */
#include "query/ask_texts.h"
#include "query/concept.h"
#include "query/encode_photos.h"
#include "query/learn_adapter.h"
#include "query/photo_vectors.h"
#include "query/query.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Unlabelled photos that are learned from, drawn from the library: more of them cost time and tell nothing new. */
enum { UNLABELLED_MOST = 2000, EXAMPLES_MOST = 100000 };

static const cli_usage usage = {
    .command = "learn",
    .arguments = "NAME | --adapt CAPTIONS [FOLDER]",
    .summary = "Teach the library something by examples.",
    .details =
        "Five photos after --yes are enough; --no takes photos that come near and are not meant. Folders stand for all photos in "
        "them. Photos that are not in the library are read. All other photos of the library count as faint counter-examples. "
        "clipsearch search --concept NAME then finds what was learned, and concept:NAME is a term like any other.\n"
        "\n"
        "The words of --words, or else the name itself, help where the examples agree with them: \"snow\" says more than five photos "
        "of it. --no-words learns from the photos alone.\n"
        "\n"
        "--adapt learns from your own captions how you put things: CAPTIONS is a file with a photo's name, a tab and a caption on each line, "
        "names being relative to FOLDER. It trains a small correction of text vectors on four fifths of the photos at a time and judges it on the "
        "rest. Only where captions that were held out gain for certain is it kept, and used by clipsearch search; else the exit status is 1. "
        "--unadapt forgets it. --json: \"fingerprint\", \"photos\", \"captions\", \"kept\", \"rounds\", \"before\" and \"after\" (recall at 1, 5, 10), "
        "\"gain\", \"low\", \"high\" (of the reciprocal rank).\n"
        "\n"
        "What was learned belongs to the library's model, or to that of --model; learning NAME again replaces it. --list prints "
        "the name, a tab, the model, a tab, and how many photos were examples and counter-examples. --json prints one object: \"concept\", "
        "\"model\", \"fingerprint\", \"yes\", \"no\", \"unlabelled\", \"words\", \"learned\", and when learning \"strength\" and "
        "\"separation\": how often an example that was held out ranks above another photo.",
    .examples = "clipsearch learn grandma --yes grandma/*.jpg --no aunt/*.jpg\n"
                "clipsearch learn \"our boat\" --words \"a red sailing boat\" --yes-from boats.txt\n"
                "clipsearch search --concept grandma --cut\n"
                "clipsearch search beach --add 0.5:concept:grandma --after 2020\n"
                "clipsearch learn --adapt captions.tsv ~/Pictures\n"
                "clipsearch learn --list\n"
                "clipsearch learn --forget grandma",
};

typedef struct arguments {
    cli_list examples;       /* --yes, --no and the lists, in their order */
    const char *words, *forget, *adapt;
    bool zero, no_words, list, unadapt, json;
} arguments;

typedef struct task {
    query_library l;
    query_photo_list photos;
    bool *shows;             /* [photos.n] given after --yes */
    float *vectors;          /* [photos.n][dim], then those that are learned from */
    int64_t *ids;            /* [photos.n] */
    uint8_t *states;         /* [photos.n] */
    size_t unlabelled;
    float *x;                /* [yes + no + unlabelled][dim] */
    query_examples e;
    float *words;            /* [dim] */
} task;

/* ---- the examples ---- */

static int add_list(task *t, const char *file, bool zero)
{
    cli_names names = {.from = file, .zero = zero};
    int status = cli_names_read(&names, &usage, 0, NULL);
    for (size_t i = 0; i < names.n && !status; i++) status = query_photo_list_add(&t->photos, names.items[i]);
    cli_names_finish(&names);
    return status;
}

static int gather(task *t, const arguments *a)
{
    int status = 0;
    for (size_t i = 0; i < a->examples.n && !status; i++) {
        size_t before = t->photos.n;
        const char *from = a->examples.from[i], *item = a->examples.items[i];
        bool list = strcmp(from, "yes-from") == 0 || strcmp(from, "no-from") == 0;
        status = list ? add_list(t, item, a->zero) : query_photo_list_add(&t->photos, item);
        if (status) break;
        if (t->photos.n > EXAMPLES_MOST) return cli_fail("more than %d examples", EXAMPLES_MOST);
        bool *more = realloc(t->shows, (t->photos.n + 1) * sizeof *more);
        if (!more) return cli_fail("memory ran out");
        for (t->shows = more; before < t->photos.n; before++) t->shows[before] = from[0] == 'y';
    }
    return status;
}

static int read_examples(task *t)
{
    size_t n = t->photos.n, dim = (size_t)t->l.model.dim;
    t->vectors = malloc((n + 1) * dim * sizeof *t->vectors); /* [n][dim] */
    t->ids = calloc(n + 1, sizeof *t->ids);
    t->states = calloc(n + 1, 1);
    if (!t->vectors || !t->ids || !t->states) return cli_fail("memory ran out");
    int status = query_photo_vectors(&t->l, &t->photos, t->vectors, t->ids, t->states);
    for (size_t i = 0; i < n && !status; i++) {
        bool wrong = t->states[i] == QUERY_PHOTO_BROKEN || (t->states[i] == QUERY_PHOTO_NONE && t->photos.named[i]);
        if (!wrong) continue;
        char *name = cli_quote_path(t->photos.paths[i]);
        status = cli_fail("%s cannot be read as a photo; nothing was learned", name ? name : "an example");
        free(name);
    }
    return status;
}

static bool same_photo(const task *t, size_t i, size_t j)
{
    return t->ids[i] ? t->ids[i] == t->ids[j] : strcmp(t->photos.paths[i], t->photos.paths[j]) == 0;
}

/* A photo that was given twice counts once; one that is meant to show the thing and not to show it is a mistake. */
static int drop_repeated(task *t)
{
    for (size_t i = 0; i < t->photos.n; i++)
        for (size_t j = 0; j < i; j++) {
            if (t->states[i] != QUERY_PHOTO_OK || t->states[j] != QUERY_PHOTO_OK || !same_photo(t, i, j)) continue;
            if (t->shows[i] != t->shows[j]) {
                char *name = cli_quote_path(t->photos.paths[i]);
                cli_fail("%s stands after --yes and after --no", name ? name : "a photo");
                free(name);
                return 2;
            }
            t->states[i] = QUERY_PHOTO_NONE;
        }
    return 0;
}

/* ---- the rest of the library ---- */

static uint64_t mix(uint64_t z) /* splitmix64: which photos are drawn depends on nothing but their ids */
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool is_example(const task *t, int64_t id)
{
    for (size_t i = 0; i < t->photos.n; i++)
        if (t->ids[i] == id) return true;
    return false;
}

static bool take_unlabelled(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    task *t = ctx;
    size_t dim = (size_t)t->l.model.dim, first = t->e.yes + t->e.no;
    double share = (double)UNLABELLED_MOST / (double)t->l.model.vectors;
    for (size_t i = 0; i < n && t->unlabelled < UNLABELLED_MOST; i++) {
        if ((double)(mix((uint64_t)ids[i]) >> 11) * 0x1p-53 >= share || is_example(t, ids[i])) continue;
        memcpy(t->x + (first + t->unlabelled++) * dim, vectors + i * dim, dim * sizeof *vectors);
    }
    return t->unlabelled < UNLABELLED_MOST;
}

/* Examples, counter-examples, others, in the order that concept.c wants. */
static int make_examples(task *t)
{
    store_error err = {0};
    size_t dim = (size_t)t->l.model.dim, at = 0;
    t->x = malloc((t->photos.n + UNLABELLED_MOST) * dim * sizeof *t->x);
    if (!t->x) return cli_fail("memory ran out");
    for (int no = 0; no < 2; no++)
        for (size_t i = 0; i < t->photos.n; i++) {
            if (t->states[i] != QUERY_PHOTO_OK || t->shows[i] == no) continue;
            memcpy(t->x + at++ * dim, t->vectors + i * dim, dim * sizeof *t->x);
            *(no ? &t->e.no : &t->e.yes) += 1;
        }
    if (!t->e.yes) return cli_fail("no photo was found after --yes");
    if (store_vectors_each(t->l.store, t->l.model.id, NULL, take_unlabelled, t, &err)) return cli_fail("%s", err.text);
    if (!t->unlabelled && !t->e.no)
        return cli_fail("the library holds no other photos to tell the examples from: index more, or give some after --no");
    t->e.x = t->x, t->e.unlabelled = t->unlabelled, t->e.dim = t->l.model.dim, t->e.threads = t->l.c->threads;
    return 0;
}

static int ask_words(task *t, const char *words)
{
    if (!words) return 0;
    if (!(t->words = malloc((size_t)t->l.model.dim * sizeof *t->words))) return cli_fail("memory ran out");
    t->e.words = t->words;
    return query_ask_texts(&t->l, NULL, &words, 1, t->words);
}

/* ---- keeping ---- */

static json_t *json_of(const store_concept *c, const char *model)
{
    json_t *o = json_object();
    json_object_set_new(o, "concept", json_string(c->name));
    json_object_set_new(o, "model", model && cli_is_utf8(model) ? json_string(model) : json_null());
    json_object_set_new(o, "fingerprint", json_string(c->fingerprint));
    json_object_set_new(o, "yes", json_integer(c->yes));
    json_object_set_new(o, "no", json_integer(c->no));
    json_object_set_new(o, "unlabelled", json_integer(c->unlabelled));
    json_object_set_new(o, "words", c->words && cli_is_utf8(c->words) ? json_string(c->words) : json_null());
    if (c->learned[0]) json_object_set_new(o, "learned", json_string(c->learned));
    return o;
}

static void tell(const task *t, const store_concept *c, const query_learned *how, bool json)
{
    char a[32], b[32];
    if (json) {
        json_t *o = json_of(c, t->l.model.name);
        json_object_set_new(o, "strength", json_real(how->strength));
        json_object_set_new(o, "separation", isnan(how->separation) ? json_null() : json_real(how->separation));
        cli_print_json(stdout, o);
        return;
    }
    cli_say(t->l.c, "learned from %s and, as faint counter-examples, %s others; to find it, type: clipsearch search --concept %s",
            cli_count(c->yes + c->no, a), cli_count(c->unlabelled, b), strchr(c->name, ' ') ? "\"...\"" : c->name);
    if (!isnan(how->separation))
        cli_say(t->l.c, "examples that were held out rank above %.1f %% of the other photos%s", 100 * how->separation,
                how->separation < 0.75 ? ": that is little; more examples may help, or --words" : "");
    else cli_say(t->l.c, "that is one example alone: give five or more");
}

static int keep(task *t, store_concept *c)
{
    store *s = NULL;
    store_error err = {0};
    query_library_close(&t->l); /* a reader of our own would not see the writer's changes */
    int status = query_store_open(t->l.c, STORE_WRITE, &s);
    if (!status && store_concept_put(s, c, &err)) status = cli_fail("%s", err.text);
    store_close(s);
    return status;
}

static int learn_and_keep(task *t, const char *name, const char *words, bool json)
{
    query_learned how;
    float *weights = malloc((size_t)t->l.model.dim * sizeof *weights); /* [dim] */
    int status = weights && query_concept_learn(&t->e, weights, &how) ? 0 : cli_fail("memory ran out");
    if (!status) {
        store_concept c = {.name = (char *)name, .weights = weights, .dim = t->l.model.dim, .bias = how.bias, .words = (char *)words,
                           .yes = (int64_t)t->e.yes, .no = (int64_t)t->e.no, .unlabelled = (int64_t)t->e.unlabelled};
        memcpy(c.fingerprint, t->l.model.fingerprint, sizeof c.fingerprint);
        status = keep(t, &c);
        if (!status) tell(t, &c, &how, json);
    }
    free(weights);
    return status;
}

static int learn(cli *c, const arguments *a, const char *name)
{
    task t = {0};
    const char *words = a->no_words ? NULL : a->words ? a->words : name;
    int status = gather(&t, a);
    if (!status) status = query_library_open(&t.l, c);
    if (!status) status = read_examples(&t);
    if (!status) status = drop_repeated(&t);
    if (!status) status = make_examples(&t);
    if (!status) status = ask_words(&t, words);
    if (!status) status = learn_and_keep(&t, name, words, a->json);
    query_library_close(&t.l);
    query_photo_list_finish(&t.photos);
    free(t.shows);
    free(t.vectors);
    free(t.ids);
    free(t.states);
    free(t.x);
    free(t.words);
    return status;
}

/* ---- the other two ---- */

static int list(cli *c, bool json)
{
    store *s = NULL;
    store_concept *all = NULL;
    store_model *models = NULL;
    store_error err = {0};
    size_t n = 0, n_models = 0;
    int status = query_store_open(c, STORE_READ, &s);
    if (!status && (store_concepts(s, &all, &n, &err) || store_models(s, &models, &n_models, &err))) status = cli_fail("%s", err.text);
    for (size_t i = 0; i < n && !status; i++) {
        const char *model = NULL;
        for (size_t m = 0; m < n_models; m++)
            if (strcmp(models[m].fingerprint, all[i].fingerprint) == 0) model = models[m].name;
        if (json) {
            cli_print_json(stdout, json_of(&all[i], model));
            continue;
        }
        cli_print_path(stdout, all[i].name);
        putchar('\t');
        cli_print_text(stdout, model ? model : "(a model that is not in the library)");
        printf("\t%lld\t%lld\n", (long long)all[i].yes, (long long)all[i].no);
    }
    if (!status && !n) cli_say(c, "nothing was learned yet");
    store_concepts_free(all, n);
    free(models);
    store_close(s);
    return status ? status : n ? 0 : 1;
}

static int forget(cli *c, const char *name)
{
    store *s = NULL;
    store_error err = {0};
    int64_t forgotten = 0;
    int status = query_store_open(c, STORE_WRITE, &s);
    if (!status && store_concept_forget(s, name, &forgotten, &err)) status = cli_fail("%s", err.text);
    store_close(s);
    if (!status && !forgotten) cli_warn("nothing was learned under the name \"%s\"; clipsearch learn --list shows what was", name);
    return status ? status : forgotten ? 0 : 1;
}

static int run(cli *c, const arguments *a, int n, char **operands)
{
    bool yes = false;
    for (size_t i = 0; i < a->examples.n; i++) yes = yes || a->examples.from[i][0] == 'y';
    if (a->list || a->forget) {
        if ((a->list && a->forget) || n || a->examples.n || a->words) return cli_misuse(&usage, "--list and --forget stand alone");
        return a->list ? list(c, a->json) : forget(c, a->forget);
    }
    if (a->adapt || a->unadapt) {
        if ((a->adapt && a->unadapt) || n > (a->adapt != NULL) || a->examples.n || a->words)
            return cli_misuse(&usage, "--adapt takes one FOLDER, and --unadapt nothing; both stand alone");
        return a->adapt ? query_adapter_teach(c, a->adapt, n ? operands[0] : ".", a->json) : query_adapter_drop(c);
    }
    if (n == 0) return cli_misuse(&usage, "say what to call it: clipsearch learn NAME --yes FILE...");
    if (n > 1) return cli_misuse(&usage, "\"%s\" is too much; the examples go after --yes, and a name of several words into quotes", operands[1]);
    if (!*operands[0] || !cli_is_utf8(operands[0])) return cli_misuse(&usage, "the name has to be a word of UTF-8");
    if (!yes) return cli_misuse(&usage, "give examples: clipsearch learn NAME --yes FILE...");
    if (a->words && a->no_words) return cli_misuse(&usage, "--words and --no-words contradict each other");
    return learn(c, a, operands[0]);
}

int query_command_learn(struct cli *c, int argc, char **argv)
{
    arguments a = {0};
    const cli_option options[] = {
        {"yes", 'y', CLI_MANY, "FILE", "photos that show it: all arguments up to the next option", &a.examples},
        {"no", 'n', CLI_MANY, "FILE", "photos that come near and do not", &a.examples},
        {"yes-from", 0, CLI_LIST, "FILE", "their names from a file, one a line; - is standard input", &a.examples},
        {"no-from", 0, CLI_LIST, "FILE", "the same for --no", &a.examples},
        {"null", '0', CLI_FLAG, NULL, "names in those lists end with a zero byte", &a.zero},
        {"words", 0, CLI_STRING, "TEXT", "words that say what it is; the name itself when not given", &a.words},
        {"no-words", 0, CLI_FLAG, NULL, "learn from the photos alone", &a.no_words},
        {"adapt", 0, CLI_STRING, "FILE", "learn from your own captions how you put things", &a.adapt},
        {"unadapt", 0, CLI_FLAG, NULL, "forget that", &a.unadapt},
        {"list", 0, CLI_FLAG, NULL, "list what was learned", &a.list},
        {"forget", 0, CLI_STRING, "NAME", "forget what was learned under this name", &a.forget},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object", &a.json},
        {0}};
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    status = run(c, &a, argc - first, argv + first);
    cli_list_finish(&a.examples);
    return status;
}
