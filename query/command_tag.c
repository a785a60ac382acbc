/* command_tag.c: `clipsearch tag --labels FILE|a,b,c`: words for every photo of the library, from the stored vectors.
 *
 * Each label is judged by itself, as `search LABEL --cut` judges it: a photo may carry several tags, and one that no label
 * fits carries none (a softmax over the labels would give it the least wrong one). All vectors are read twice, once for the
 * best photo of each label, which its relevance depends on, and once for the relevance; once is enough where the model's own
 * probability is the relevance. No photo is opened. */
#include "query/ask_texts.h"
#include "query/labels.h"
#include "query/progress_line.h"
#include "query/query.h"
#include "query/relevance.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_usage usage = {
    .command = "tag",
    .arguments = "[TAG...]",
    .summary = "Give the photos of the library words to be found by.",
    .details =
        "--labels is the name of a file with one label a line, or labels with commas between. A photo gets the label as a tag "
        "where its relevance for that word is at least --threshold, as with clipsearch search LABEL --cut; it may get several, or none. A label "
        "that is given again starts afresh, other tags stay. clipsearch search --tag finds the photos.\n"
        "\n"
        "--list prints how many photos carry each tag, a tab, and the tag; --labels does so for its labels. --json prints one "
        "object a line: \"tag\", \"photos\". --clear takes the tags named, or all of them, from all photos.",
    .examples = "clipsearch tag --labels dog,cat,beach,mountain\n"
                "clipsearch tag --labels things.txt --threshold 0.3 --dry-run\n"
                "clipsearch search sunset --tag beach\n"
                "clipsearch tag --list\n"
                "clipsearch tag --clear dog",
};

typedef struct pair { int64_t photo_id; size_t label; } pair;

typedef struct task {
    query_library l;
    query_labels labels;
    query_calibration calibration;
    query_bank neutral, wanted; /* neutral: only without calibration */
    float *best;        /* [labels.n] the greatest height of each label */
    double threshold;
    bool second;        /* the pass that decides */
    pair *pairs;
    size_t n, room;
    bool failed;
    query_progress_line progress;
    size_t seen;
} task;

static bool keep(task *t, int64_t id, size_t label)
{
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 4096;
        pair *more = realloc(t->pairs, room * sizeof *more);
        if (!more) return false;
        t->pairs = more;
        t->room = room;
    }
    t->pairs[t->n++] = (pair){id, label};
    return true;
}

static bool look_calibrated(task *t, int64_t id, const float *photo)
{
    const float *cosines = query_bank_cosines(&t->wanted, photo); /* [labels.n] */
    for (size_t i = 0; i < t->labels.n; i++)
        if (query_calibrated(&t->calibration, cosines[i]) >= t->threshold && !keep(t, id, i)) return false;
    return true;
}

static bool look(task *t, int64_t id, const float *photo)
{
    float mean, spread;
    if (t->calibration.given) return look_calibrated(t, id, photo);
    query_bank_level(&t->neutral, photo, &mean, &spread);
    const float *cosines = query_bank_cosines(&t->wanted, photo); /* [labels.n] */
    for (size_t i = 0; i < t->labels.n; i++) {
        float height = query_height(cosines[i], mean, spread);
        if (!t->second) t->best[i] = fmaxf(t->best[i], height);
        else if (query_relevance(height, t->best[i]) >= t->threshold && !keep(t, id, i)) return false;
    }
    return true;
}

static bool look_at_all(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    task *t = ctx;
    for (size_t i = 0; i < n && !t->failed; i++)
        if (!look(t, ids[i], vectors + i * (size_t)t->l.model.dim)) t->failed = true;
    query_progress_show(&t->progress, t->seen += n);
    return !t->failed;
}

static int decide(task *t)
{
    store_error err = {0};
    size_t n = t->labels.n, dim = (size_t)t->l.model.dim;
    float *vectors = malloc(n * dim * sizeof *vectors); /* [n][dim] */
    int status = vectors && (t->best = malloc(n * sizeof *t->best)) ? 0 : cli_fail("memory ran out");
    if (!status) status = query_ask_texts(&t->l, NULL, (const char *const *)t->labels.items, n, vectors);
    if (!status) status = query_calibration_open(&t->l, &t->calibration);
    bool once = t->calibration.given;
    if (!status && !once) status = query_bank_open(&t->l, &t->neutral);
    if (!status && !query_bank_make(vectors, n, (int)dim, &t->wanted)) status = cli_fail("memory ran out");
    for (size_t i = 0; !status && i < n; i++) t->best[i] = -INFINITY;
    t->progress = query_progress_begin(t->l.c, "Comparing photos", (once ? 1 : 2) * (size_t)t->l.model.vectors);
    for (int pass = once; pass < 2 && !status; pass++) {
        t->second = pass == 1;
        if (store_vectors_each(t->l.store, t->l.model.id, NULL, look_at_all, t, &err)) status = cli_fail("%s", err.text);
        else if (t->failed) status = cli_fail("memory ran out");
    }
    cli_draw_end();
    free(vectors);
    return status;
}

/* ---- keeping ---- */

/* All of it is one transaction: a label's old tags go only when the new ones are there. */
static int write_tags(cli *c, const task *t)
{
    store *s = NULL;
    store_error err = {0};
    int64_t cleared;
    int status = query_store_open(c, STORE_WRITE, &s);
    if (status) return status;
    store_status st = store_batch_begin(s, &err);
    for (size_t i = 0; !st && i < t->labels.n; i++) st = store_tag_clear(s, t->labels.items[i], &cleared, &err);
    for (size_t i = 0; !st && i < t->n; i++) st = store_tag_put(s, t->pairs[i].photo_id, t->labels.items[t->pairs[i].label], &err);
    if (!st) st = store_batch_commit(s, &err);
    else store_batch_abandon(s);
    store_close(s);
    return st ? cli_fail("%s", err.text) : 0;
}

static void print_tag(const char *tag, int64_t photos, bool json)
{
    if (json) {
        cli_print_json(stdout, json_pack("{s:o, s:I}", "tag", cli_is_utf8(tag) ? json_string(tag) : json_null(), "photos",
                                         (json_int_t)photos));
        return;
    }
    printf("%lld\t", (long long)photos);
    cli_print_path(stdout, tag);
    putchar('\n');
}

static int print_counts(const task *t, bool json)
{
    int64_t *counts = calloc(t->labels.n, sizeof *counts);
    if (!counts) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->n; i++) counts[t->pairs[i].label]++;
    for (size_t i = 0; i < t->labels.n; i++) print_tag(t->labels.items[i], counts[i], json);
    free(counts);
    return 0;
}

static int tag(cli *c, const char *labels, double threshold, bool dry, bool json)
{
    task t = {.threshold = threshold};
    int status = query_labels_open(labels, &t.labels);
    if (!status) status = query_library_open(&t.l, c);
    if (!status) status = decide(&t);
    query_library_close(&t.l);
    if (!status && !dry) status = write_tags(c, &t);
    if (!status) status = print_counts(&t, json);
    if (!status && !t.n) status = 1;
    query_bank_close(&t.neutral);
    query_bank_close(&t.wanted);
    query_labels_close(&t.labels);
    free(t.best);
    free(t.pairs);
    return status;
}

/* ---- the other two ---- */

static int list(cli *c, bool json)
{
    store *s = NULL;
    store_tag *tags = NULL;
    store_error err = {0};
    size_t n = 0;
    int status = query_store_open(c, STORE_READ, &s);
    if (!status && store_tags(s, &tags, &n, &err)) status = cli_fail("%s", err.text);
    for (size_t i = 0; i < n; i++) print_tag(tags[i].tag, tags[i].photos, json);
    if (!status && !n) cli_say(c, "no photo has a tag");
    store_tags_free(tags, n);
    store_close(s);
    return status ? status : n ? 0 : 1;
}

static int clear(cli *c, char **tags, size_t n)
{
    store *s = NULL;
    store_error err = {0};
    int64_t cleared = 0, one;
    int status = query_store_open(c, STORE_WRITE, &s);
    if (status) return status;
    store_status st = store_batch_begin(s, &err);
    if (!n && !st) st = store_tag_clear(s, NULL, &cleared, &err);
    for (size_t i = 0; !st && i < n; i++, cleared += one) st = store_tag_clear(s, tags[i], &one, &err);
    if (!st) st = store_batch_commit(s, &err);
    else store_batch_abandon(s);
    store_close(s);
    if (st) return cli_fail("%s", err.text);
    char room[32];
    cli_say(c, "%s tags taken away", cli_count(cleared, room));
    return cleared ? 0 : 1;
}

int query_command_tag(struct cli *c, int argc, char **argv)
{
    const char *labels = NULL;
    double threshold = QUERY_RELEVANCE_CUT;
    bool dry = false, json = false, want_list = false, want_clear = false;
    const cli_option options[] = {
        {"labels", 'l', CLI_STRING, "FILE|A,B,C", "the tags to give", &labels},
        {"threshold", 0, CLI_DOUBLE, "P", "the relevance that a photo needs, 0 to 1; 0.25 when not given", &threshold},
        {"dry-run", 0, CLI_FLAG, NULL, "only tell how many photos would get each tag", &dry},
        {"list", 0, CLI_FLAG, NULL, "list the tags that photos have", &want_list},
        {"clear", 0, CLI_FLAG, NULL, "take the tags that follow, or all, from all photos", &want_clear},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object a tag", &json},
        {0}};
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    if ((labels != NULL) + want_list + want_clear != 1) return cli_misuse(&usage, "choose one of --labels, --list and --clear");
    if (!want_clear && first < argc) return cli_misuse(&usage, "\"%s\" is too much; labels go after --labels, with commas", argv[first]);
    if (!(threshold >= 0 && threshold <= 1)) return cli_misuse(&usage, "--threshold needs 0 to 1");
    if (want_list) return list(c, json);
    return want_clear ? clear(c, argv + first, (size_t)(argc - first)) : tag(c, labels, threshold, dry, json);
}
