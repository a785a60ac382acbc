/* eval_zeroshot.c: `clipsearch eval zeroshot FOLDER`.
 *
 *     FOLDER/CLASS/...   the photos of a class, at any depth; hidden files and files of other kinds are passed over
 *     --names FILE       lines CLASS<tab>NAME: what to call a class; without it the folder's name with spaces for _
 *
 * top-k: the share of photos whose class is among the k whose words are nearest. Mean per class: every class counts the same,
 * however many photos it has; its interval takes the classes for a sample of classes. */
#include "query/class_folders.h"
#include "query/eval.h"
#include "query/kept_vectors.h"
#include "query/open_library.h"
#include "query/zeroshot.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 5 };

typedef struct group { double photos, top1, top5; } group; /* of a class */

typedef struct task {
    query_eval *v;
    const char *folder;
    query_classes classes;
    group *groups;         /* [classes.n] */
    size_t left_out;       /* photos that cannot be read */
    query_prompts prompts;
} task;

/* ---- measure ---- */

static void count_photo(task *t, group *own, const float *labels, const float *vector, int dim, float *scores)
{
    size_t top[TOP], k = t->classes.n < TOP ? t->classes.n : TOP, right = (size_t)(own - t->groups);
    query_zeroshot_scores(labels, t->classes.n, dim, vector, scores);
    query_zeroshot_top(scores, t->classes.n, k, top);
    own->photos++;
    own->top1 += top[0] == right;
    for (size_t i = 0; i < k; i++) own->top5 += top[i] == right;
}

static int count_photos(task *t, const float *labels, const float *vectors, const uint8_t *states)
{
    int dim = query_encoder_dim(&t->v->encoder);
    float *scores = malloc(t->classes.n * sizeof *scores); /* [n_groups] */
    if (!scores) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->classes.n_photos; i++) {
        t->left_out += states[i] == QUERY_PHOTO_BROKEN;
        if (states[i] == QUERY_PHOTO_OK) count_photo(t, &t->groups[t->classes.owner[i]], labels, vectors + i * (size_t)dim, dim, scores);
    }
    free(scores);
    if (t->left_out) cli_warn("photos that could not be read, left out: %zu", t->left_out);
    return 0;
}

static int embed_labels(task *t, float *out)
{
    const char **names = malloc(t->classes.n * sizeof *names);
    if (!names) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->classes.n; i++) names[i] = t->classes.items[i].label;
    int status = query_zeroshot_embed(&t->v->encoder, names, t->classes.n, &t->prompts, out);
    free(names);
    return status;
}

static int encode_and_count(task *t)
{
    size_t dim = (size_t)query_encoder_dim(&t->v->encoder);
    float *labels = malloc(t->classes.n * dim * sizeof *labels); /* [n_groups][dim] */
    float *vectors = malloc((t->classes.n_photos + 1) * dim * sizeof *vectors); /* [n][dim] */
    uint8_t *states = calloc(t->classes.n_photos + 1, 1);
    int status = labels && vectors && states ? 0 : cli_fail("memory ran out");
    if (!status) status = embed_labels(t, labels);
    if (!status) status = query_encode_photos_kept(&t->v->encoder, t->v->cache, t->folder, (const char *const *)t->classes.paths,
                                                       t->classes.n_photos, t->v->precision, vectors, states);
    if (!status) status = count_photos(t, labels, vectors, states);
    free(labels);
    free(vectors);
    free(states);
    return status;
}

/* ---- report ---- */

typedef struct summary { double photos, top1, top5; query_share mean; size_t classes; } summary;

static int summarise(task *t, summary *s)
{
    double *shares = malloc(t->classes.n * sizeof *shares);
    if (!shares) return cli_fail("memory ran out");
    *s = (summary){0};
    for (size_t i = 0; i < t->classes.n; i++) {
        const group *g = &t->groups[i];
        if (!(g->photos > 0)) continue; /* its words compete all the same */
        s->photos += g->photos, s->top1 += g->top1, s->top5 += g->top5;
        shares[s->classes++] = g->top1 / g->photos;
    }
    s->mean = query_share_mean(shares, s->classes);
    free(shares);
    return 0;
}

static json_t *class_json(const query_class *c, const group *g)
{
    json_t *one = json_object();
    if (cli_is_utf8(c->folder)) json_object_set_new(one, "class", json_string(c->folder));
    if (cli_is_utf8(c->label)) json_object_set_new(one, "label", json_string(c->label));
    json_object_set_new(one, "photos", json_integer((json_int_t)g->photos));
    json_object_set_new(one, "top1", json_integer((json_int_t)g->top1));
    json_object_set_new(one, "top5", json_integer((json_int_t)g->top5));
    return one;
}

static void print_json(task *t, const summary *s)
{
    json_t *object = json_object(), *classes = json_array();
    query_eval_json_head(object, t->v, "zeroshot");
    json_object_set_new(object, "templates", json_string(t->prompts.name));
    json_object_set_new(object, "photos", json_integer((json_int_t)s->photos));
    json_object_set_new(object, "left_out", json_integer((json_int_t)t->left_out));
    query_share_json(object, "top1", query_share_of(s->top1, s->photos));
    query_share_json(object, "top5", query_share_of(s->top5, s->photos));
    query_share_json(object, "mean_per_class", s->mean);
    for (size_t i = 0; i < t->classes.n; i++) json_array_append_new(classes, class_json(&t->classes.items[i], &t->groups[i]));
    json_object_set_new(object, "classes", classes);
    cli_print_json(stdout, object);
}

static void print_table(task *t, const summary *s)
{
    char a[32], b[32], room[48];
    cli_say(t->v->c, "%s photos, %s classes, %zu sentences for each (%s), model %s; 95 %% intervals: Wilson's; for the mean, as if the "
            "classes were drawn from many", cli_count((int64_t)s->photos, a), cli_count((int64_t)t->classes.n, b), t->prompts.n,
            t->prompts.name, clip_model_describe(t->v->encoder.model)->name);
    printf("top-1           %s\n", query_share_text(query_share_of(s->top1, s->photos), room));
    if (t->classes.n > TOP) printf("top-5           %s\n", query_share_text(query_share_of(s->top5, s->photos), room));
    printf("mean per class  %s\n", query_share_text(s->mean, room));
}

static int print_summary(task *t)
{
    summary s = {0};
    int status = summarise(t, &s);
    if (!status && !(s.photos > 0)) status = cli_fail("%s: no photo in its folders could be read", t->folder);
    if (status) return status;
    if (t->v->json) print_json(t, &s);
    else print_table(t, &s);
    return 0;
}

int query_eval_zeroshot(query_eval *v, const char *folder)
{
    task t = {.v = v, .folder = folder};
    int status = query_prompts_open(v->templates ? v->templates : "simple7", &t.prompts);
    if (!status) status = query_classes_find(folder, &t.classes);
    if (!status && v->names) status = query_classes_name(&t.classes, v->names);
    if (!status && !(t.groups = calloc(t.classes.n, sizeof *t.groups))) status = cli_fail("memory ran out");
    if (!status) status = query_default_encoder(v->c, &v->encoder);
    if (!status) status = encode_and_count(&t);
    if (!status) status = print_summary(&t);
    query_classes_finish(&t.classes);
    free(t.groups);
    query_prompts_close(&t.prompts);
    return status;
}
