/* command_classify.c: `clipsearch classify IMAGE|DIR... --labels FILE|a,b,c`: which label fits a photo best.
 *
 * The paper's zero-shot classifier: the softmax over the labels at the scale that the model was trained with. It takes for
 * granted that one of the labels is right. Photos are taken a few hundred at a time; those that are in the library come from
 * there, the others are decoded and encoded side by side. */
#include "query/ask_texts.h"
#include "query/encode_photos.h"
#include "query/labels.h"
#include "query/photo_vectors.h"
#include "query/query.h"
#include "query/relevance.h"
#include "query/zeroshot.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { GROUP = 256 };

static const cli_usage usage = {
    .command = "classify",
    .arguments = "IMAGE|DIR...",
    .summary = "Tell which of some labels fits each photo best.",
    .details =
        "--labels is the name of a file with one label a line, or labels with commas between. Each label is put into the sentences of --templates and "
        "averaged over them. The probabilities of all labels add up to 1: they suppose that one of the labels is "
        "right, and mean nothing when none is (clipsearch tag asks that too). A SigLIP model gives each label a probability of its own "
        "instead, which add up to nothing. The vector of an indexed photo is used as it is stored. "
        "Folders are looked through with all that is below, without hidden files.\n"
        "\n"
        "A result is the probability, a tab, the label, a tab, and the path as given; the best -k labels of each photo. --json "
        "prints one object a photo: \"path\" (or \"path_base64\") and \"labels\", an array of \"label\" and \"probability\".",
    .examples = "clipsearch classify cat.jpg --labels cat,dog,bird\n"
                "find . -mtime -7 -print0 | clipsearch classify --labels pets.txt --files-from - -0\n"
                "clipsearch classify ~/Pictures/new --labels animals.txt --templates imagenet80 -k 1 --json",
    .exits = "0  done\n1  no photo was found\n2  an error, which stderr explains; other photos were classified",
};

typedef struct task {
    query_library l;
    query_labels labels;
    float *vectors;     /* [labels.n][dim] */
    int k;
    bool json;
    size_t done;
    int worst;          /* the exit status when a photo cannot be read */
} task;

/* ---- a group of photos ---- */

static void print_lines(const char *path, const query_labels *labels, const float *p, const size_t *top, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        printf("%.4f\t", (double)p[top[i]]);
        cli_print_path(stdout, labels->items[top[i]]);
        putchar('\t');
        cli_print_path(stdout, path);
        putchar('\n');
    }
}

static json_t *text_json(const char *text)
{
    return cli_is_utf8(text) ? json_string(text) : json_null();
}

static void print_object(const char *path, const query_labels *labels, const float *p, const size_t *top, size_t k)
{
    json_t *object = json_object(), *list = json_array();
    cli_json_path(object, path);
    for (size_t i = 0; i < k; i++)
        json_array_append_new(list, json_pack("{s:o, s:f}", "label", text_json(labels->items[top[i]]), "probability",
                                              round((double)p[top[i]] * 1e6) / 1e6));
    json_object_set_new(object, "labels", list);
    cli_print_json(stdout, object);
}

/* Of scores, in place. A model that was trained to tell each pair's own probability is asked for that. */
static void to_probabilities(const clip_model *m, float *p, size_t n)
{
    query_calibration k = query_calibration_of(m);
    if (!k.given) query_zeroshot_softmax(p, n, clip_model_describe(m)->logit_scale);
    for (size_t i = 0; i < n && k.given; i++) p[i] = (float)query_calibrated(&k, p[i]);
}

static int classify(task *t, const char *path, const float *photo)
{
    size_t n = t->labels.n, k = t->k == 0 || (size_t)t->k > n ? n : (size_t)t->k;
    float *p = malloc(n * sizeof *p); /* [n] */
    size_t *top = malloc(n * sizeof *top);
    if (p && top) {
        query_zeroshot_scores(t->vectors, n, t->l.model.dim, photo, p);
        to_probabilities(t->l.encoder.model, p, n);
        query_zeroshot_top(p, n, k, top);
        (t->json ? print_object : print_lines)(path, &t->labels, p, top, k);
        t->done++;
    }
    int status = p && top ? 0 : cli_fail("memory ran out");
    free(p);
    free(top);
    return status;
}

static void note_unreadable(task *t, const char *path, bool named, uint8_t state)
{
    if (state == QUERY_PHOTO_NONE && !named) return;
    if (state == QUERY_PHOTO_NONE) {
        char *name = cli_quote_path(path);
        cli_fail("%s is no photo of a known format", name ? name : "it");
        free(name);
    }
    t->worst = 2;
}

static int classify_group(task *t, const query_photo_list *group)
{
    size_t dim = (size_t)t->l.model.dim;
    int64_t ids[GROUP];
    uint8_t states[GROUP];
    float *photos = malloc(GROUP * dim * sizeof *photos); /* [GROUP][dim] */
    int status = photos ? query_photo_vectors(&t->l, group, photos, ids, states) : cli_fail("memory ran out");
    for (size_t i = 0; !status && i < group->n; i++) {
        if (states[i]) note_unreadable(t, group->paths[i], group->named[i], states[i]);
        else status = classify(t, group->paths[i], photos + i * dim);
    }
    free(photos);
    return status;
}

static int run(task *t, const char *labels, const char *templates, char **operands)
{
    query_prompts prompts = {0};
    query_photo_list photos = {0};
    int status = query_labels_open(labels, &t->labels);
    if (!status) status = query_prompts_open(templates ? templates : "simple7", &prompts);
    if (!status) status = query_model_open(&t->l, t->l.c);
    if (!status && !(t->vectors = malloc(t->labels.n * (size_t)t->l.model.dim * sizeof *t->vectors))) status = cli_fail("memory ran out");
    if (!status) status = query_ask_texts(&t->l, &prompts, (const char *const *)t->labels.items, t->labels.n, t->vectors);
    if (!status && t->labels.n == 1 && !query_calibration_of(t->l.encoder.model).given)
        cli_say(t->l.c, "a label alone has the probability 1, whatever a photo shows; name others that it may show instead");
    for (; !status && *operands; operands++)
        if (query_photo_list_add(&photos, *operands)) t->worst = 2;
    for (size_t i = 0; !status && i < photos.n; i += GROUP) {
        size_t n = photos.n - i < GROUP ? photos.n - i : GROUP;
        status = classify_group(t, &(query_photo_list){photos.paths + i, photos.named + i, n, n});
    }
    if (!status) status = t->worst ? t->worst : t->done ? 0 : 1;
    if (status == 1) cli_say(t->l.c, "no photo found");
    query_photo_list_finish(&photos);
    query_prompts_close(&prompts);
    return status;
}

int query_command_classify(struct cli *c, int argc, char **argv)
{
    task t = {.k = 5};
    cli_names names = {0};
    const char *labels = NULL, *templates = NULL;
    enum { OWN = 4 };
    cli_option options[OWN + CLI_NAMES_OPTIONS + 1] = {
        {"labels", 'l', CLI_STRING, "FILE|A,B,C", "what the photos may show", &labels},
        {"templates", 0, CLI_STRING, "SET|FILE", "none, simple7 (the default), imagenet80, or sentences with {}", &templates},
        {"top", 'k', CLI_INT, "N", "how many labels to show; 5 when not given, 0: all", &t.k},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object a photo", &t.json}};
    cli_names_options(&names, options + OWN);
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    t.l.c = c;
    if (t.k < 0) status = cli_misuse(&usage, "--top needs 0 or more, not %d", t.k);
    else if (!labels) status = cli_misuse(&usage, "say what the photos may show: --labels FILE or --labels cat,dog,bird");
    else if (first == argc && !names.from) status = cli_misuse(&usage, "name photos or folders");
    else if (!(status = cli_names_read(&names, &usage, argc - first, argv + first)))
        status = run(&t, labels, templates, names.items);
    free(t.vectors);
    query_labels_close(&t.labels);
    query_library_close(&t.l);
    cli_names_finish(&names);
    return status;
}
