/* eval_probe.c: `clipsearch eval probe FOLDER [--test FOLDER]`: how much a linear classifier gets out of a model's vectors.
 *
 * Without --test each class's photos are dealt out by a seeded shuffle: one part of five to be tested on, one to choose the strength
 * on, three to learn from; with it, one part of five of FOLDER chooses the strength. The probe is then fitted to what is learned from and
 * chosen on together, as in the paper. Few-shot curves draw their photos from the part that is learned from, several times, with a
 * strength of their own, chosen with the first draw on the same validation part. The zero-shot figure beside them is of the same
 * test photos. The features are the model's vectors, after the projection: the engine does not give those before it. */
#include "query/class_folders.h"
#include "query/eval.h"
#include "query/kept_vectors.h"
#include "query/logistic.h"
#include "query/open_library.h"
#include "query/probe.h"
#include "query/progress_line.h"
#include "query/zeroshot.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 5, PARTS = 5, LEAST = 3, DRAWS = 5 };

static const size_t shots[] = {1, 2, 4, 8, 16};
enum { CURVE = sizeof shots / sizeof *shots };

typedef struct part { size_t *rows, n; } part;
typedef struct result { double top1, top5; double *class_top1; query_share mean; } result; /* counts of test photos; class_top1[classes] */
typedef struct point { bool there; double strength, mean, deviation; } point;

typedef struct task {
    query_eval *v;
    const char *folder;
    query_classes own, test;     /* test: of --test */
    query_prompts prompts;
    query_probe p;
    float *x;                    /* [own + test photos][dim] */
    uint32_t *label;
    part learn, valid, tried, both; /* both: learn and valid */
    double *class_tests;         /* [classes] test photos */
    size_t left_out;
    double strength;
    result zeroshot, probe;
    point curve[CURVE];
    query_progress_line progress;
} task;

/* ---- photos ---- */

static int class_of(const query_classes *c, const char *folder, uint32_t *out)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->items[i].folder, folder) == 0) {
            *out = (uint32_t)i;
            return 0;
        }
    return cli_fail("the class %s is among the photos to test on and not among those to learn from", folder);
}

static int encode_folder(task *t, const query_classes *c, const char *folder, size_t first, uint8_t *states)
{
    int status = query_encode_photos_kept(&t->v->encoder, t->v->cache, folder, (const char *const *)c->paths, c->n_photos, t->v->precision,
                                          t->x + first * (size_t)t->p.dim, states + first);
    for (size_t i = 0; i < c->n_photos && !status; i++) {
        t->left_out += states[first + i] == QUERY_PHOTO_BROKEN;
        status = class_of(&t->own, c->items[c->owner[i]].folder, &t->label[first + i]);
    }
    return status;
}

static bool make_part(part *p, size_t most) { return (p->rows = malloc((most + 1) * sizeof *p->rows)) != NULL; }

/* Deals out the photos of one class. */
static int deal_class(task *t, uint32_t class, const uint8_t *states, size_t *room)
{
    size_t n = 0, own = t->own.n_photos, all = own + t->test.n_photos;
    uint64_t seed = class;
    for (size_t i = 0; i < own; i++)
        if (t->label[i] == class && states[i] == QUERY_PHOTO_OK) room[n++] = i;
    bool apart = t->test.n > 0;
    if (n < LEAST - (size_t)apart)
        return cli_fail("the class %s has %zu photos, and needs %d", t->own.items[class].folder, n, LEAST - apart);
    query_probe_shuffle(room, n, &seed);
    size_t fifth = n / PARTS ? n / PARTS : 1, tests = apart ? 0 : fifth;
    for (size_t i = 0; i < n; i++) {
        part *p = i < tests ? &t->tried : i < tests + fifth ? &t->valid : &t->learn;
        p->rows[p->n++] = room[i];
    }
    for (size_t i = own; i < all; i++)
        if (t->label[i] == class && states[i] == QUERY_PHOTO_OK) t->tried.rows[t->tried.n++] = i;
    return 0;
}

static int deal(task *t, const uint8_t *states)
{
    size_t all = t->own.n_photos + t->test.n_photos, *room = malloc((all + 1) * sizeof *room);
    bool ok = room && make_part(&t->learn, all) && make_part(&t->valid, all) && make_part(&t->tried, all) && make_part(&t->both, all);
    t->class_tests = calloc(t->own.n, sizeof *t->class_tests);
    int status = ok && t->class_tests ? 0 : cli_fail("memory ran out");
    for (uint32_t k = 0; k < t->own.n && !status; k++) status = deal_class(t, k, states, room);
    free(room);
    if (status) return status;
    if (!t->tried.n) return cli_fail("none of the photos to test on could be read");
    memcpy(t->both.rows, t->learn.rows, t->learn.n * sizeof *t->both.rows);
    memcpy(t->both.rows + t->learn.n, t->valid.rows, t->valid.n * sizeof *t->both.rows);
    t->both.n = t->learn.n + t->valid.n;
    for (size_t i = 0; i < t->tried.n; i++) t->class_tests[t->label[t->tried.rows[i]]]++;
    return 0;
}

static int read_photos(task *t)
{
    size_t all = t->own.n_photos + t->test.n_photos;
    t->p = (query_probe){.classes = t->own.n, .dim = query_encoder_dim(&t->v->encoder), .threads = t->v->c->threads};
    t->x = malloc((all + 1) * (size_t)t->p.dim * sizeof *t->x);
    t->label = malloc((all + 1) * sizeof *t->label);
    uint8_t *states = calloc(all + 1, 1);
    int status = t->x && t->label && states ? 0 : cli_fail("memory ran out");
    if (!status) status = encode_folder(t, &t->own, t->folder, 0, states);
    if (!status && t->test.n) status = encode_folder(t, &t->test, t->v->test, t->own.n_photos, states);
    if (!status && t->left_out) cli_warn("photos that could not be read, left out: %zu", t->left_out);
    if (!status) status = deal(t, states);
    free(states);
    return status;
}

/* ---- measuring ---- */

static query_probe_set set_of(const task *t, const part *p)
{
    return (query_probe_set){.x = t->x, .label = t->label, .rows = p->rows, .n = p->n};
}

/* Shares of the test photos, by the place of the right class. */
static int count(task *t, const size_t *ranks, result *r)
{
    double *shares = malloc(t->own.n * sizeof *shares);
    r->class_top1 = calloc(t->own.n, sizeof *r->class_top1);
    if (!shares || !r->class_top1) {
        free(shares);
        return cli_fail("memory ran out");
    }
    size_t n = 0;
    for (size_t i = 0; i < t->tried.n; i++) {
        r->top1 += ranks[i] == 0;
        r->top5 += ranks[i] < TOP;
        r->class_top1[t->label[t->tried.rows[i]]] += ranks[i] == 0;
    }
    for (size_t k = 0; k < t->own.n; k++)
        if (t->class_tests[k] > 0) shares[n++] = r->class_top1[k] / t->class_tests[k];
    r->mean = query_share_mean(shares, n);
    free(shares);
    return 0;
}

static int ask_words(task *t, size_t *ranks)
{
    size_t n = t->own.n, dim = (size_t)t->p.dim;
    const char **names = malloc(n * sizeof *names);
    float *labels = malloc(n * dim * sizeof *labels), *scores = malloc(n * sizeof *scores); /* [n][dim], [n] */
    int status = names && labels && scores ? 0 : cli_fail("memory ran out");
    for (size_t k = 0; !status && k < n; k++) names[k] = t->own.items[k].label;
    if (!status) status = query_zeroshot_embed(&t->v->encoder, names, n, &t->prompts, labels);
    for (size_t i = 0; !status && i < t->tried.n; i++) {
        size_t own = t->label[t->tried.rows[i]];
        query_zeroshot_scores(labels, n, (int)dim, t->x + t->tried.rows[i] * dim, scores);
        ranks[i] = 0;
        for (size_t k = 0; k < n; k++) ranks[i] += scores[k] > scores[own] || (scores[k] == scores[own] && k < own);
    }
    free(names);
    free(labels);
    free(scores);
    return status ? status : count(t, ranks, &t->zeroshot);
}

static void report(size_t tried, size_t total, void *ctx)
{
    (void)total;
    query_progress_show(ctx, tried);
}

static int sweep(task *t, const query_probe_set *learn, const char *doing, double *strength)
{
    const query_probe_set valid = set_of(t, &t->valid);
    t->progress = query_progress_begin(t->v->c, doing, QUERY_PROBE_TRIALS);
    bool ok = query_probe_sweep(&t->p, learn, &valid, report, &t->progress, strength);
    cli_draw_end();
    return ok ? 0 : cli_fail("memory ran out");
}

static int fit_and_count(task *t, double *w, size_t *ranks)
{
    const query_probe_set learn = set_of(t, &t->learn), both = set_of(t, &t->both), tried = set_of(t, &t->tried);
    int status = sweep(t, &learn, "Choosing the strength", &t->strength);
    if (!status && !(query_probe_fit(&t->p, &both, t->strength, w) && query_probe_ranks(&t->p, w, &tried, ranks))) status = cli_fail("memory ran out");
    return status ? status : count(t, ranks, &t->probe);
}

/* `k` photos of each class, drawn anew by each seed. False where a class has fewer. */
static bool draw(const task *t, size_t k, uint64_t seed, part *out)
{
    size_t first = 0;
    out->n = 0;
    memcpy(out->rows, t->learn.rows, t->learn.n * sizeof *out->rows); /* by class, as they were dealt */
    while (first < t->learn.n) {
        size_t end = first;
        while (end < t->learn.n && t->label[t->learn.rows[end]] == t->label[t->learn.rows[first]]) end++;
        if (end - first < k) return false;
        query_probe_shuffle(out->rows + first, end - first, &seed);
        memmove(out->rows + out->n, out->rows + first, k * sizeof *out->rows);
        out->n += k;
        first = end;
    }
    return true;
}

static int measure_point(task *t, size_t k, part *drawn, double *w, size_t *ranks, point *out)
{
    const query_probe_set tried = set_of(t, &t->tried);
    double shares[DRAWS], sum = 0, squares = 0;
    *out = (point){0};
    for (uint64_t d = 0; d < DRAWS; d++) {
        if (!draw(t, k, d + 1, drawn)) return 0;
        const query_probe_set learn = set_of(t, drawn);
        int status = d ? 0 : sweep(t, &learn, "Choosing the strength for a few photos", &out->strength);
        if (status) return status;
        if (!query_probe_fit(&t->p, &learn, out->strength, w) || !query_probe_ranks(&t->p, w, &tried, ranks)) return cli_fail("memory ran out");
        shares[d] = 0;
        for (size_t i = 0; i < t->tried.n; i++) shares[d] += (ranks[i] == 0) / (double)t->tried.n;
        sum += shares[d];
    }
    for (size_t d = 0; d < DRAWS; d++) squares += pow(shares[d] - sum / DRAWS, 2);
    *out = (point){true, out->strength, sum / DRAWS, sqrt(squares / (DRAWS - 1))};
    return 0;
}

static int measure(task *t)
{
    double *w = malloc(query_logistic_rows(t->own.n) * ((size_t)t->p.dim + 1) * sizeof *w);
    size_t *ranks = malloc((t->tried.n + 1) * sizeof *ranks);
    part drawn = {0};
    int status = w && ranks && make_part(&drawn, t->learn.n) ? 0 : cli_fail("memory ran out");
    if (!status) status = ask_words(t, ranks);
    if (!status) status = fit_and_count(t, w, ranks);
    for (size_t i = 0; i < CURVE && !status; i++) status = measure_point(t, shots[i], &drawn, w, ranks, &t->curve[i]);
    free(w);
    free(ranks);
    free(drawn.rows);
    return status;
}

/* ---- report ---- */

static json_t *result_json(const task *t, const result *r)
{
    json_t *o = json_object();
    query_share_json(o, "top1", query_share_of(r->top1, (double)t->tried.n));
    query_share_json(o, "top5", query_share_of(r->top5, (double)t->tried.n));
    query_share_json(o, "mean_per_class", r->mean);
    return o;
}

static json_t *curve_json(const task *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < CURVE; i++)
        if (t->curve[i].there)
            json_array_append_new(list, json_pack("{s:I, s:i, s:f, s:f, s:f}", "shots", (json_int_t)shots[i], "draws", DRAWS, "top1",
                                                  t->curve[i].mean, "deviation", t->curve[i].deviation, "strength", t->curve[i].strength));
    return list;
}

static json_t *classes_json(const task *t)
{
    json_t *list = json_array();
    for (size_t k = 0; k < t->own.n; k++) {
        const query_class *c = &t->own.items[k];
        json_t *one = json_object();
        if (cli_is_utf8(c->folder)) json_object_set_new(one, "class", json_string(c->folder));
        if (cli_is_utf8(c->label)) json_object_set_new(one, "label", json_string(c->label));
        json_object_set_new(one, "tested", json_integer((json_int_t)t->class_tests[k]));
        json_object_set_new(one, "zeroshot", json_integer((json_int_t)t->zeroshot.class_top1[k]));
        json_object_set_new(one, "probe", json_integer((json_int_t)t->probe.class_top1[k]));
        json_array_append_new(list, one);
    }
    return list;
}

static void print_json(task *t)
{
    json_t *o = json_object();
    query_eval_json_head(o, t->v, "probe");
    json_object_set_new(o, "templates", json_string(t->prompts.name));
    json_object_set_new(o, "learned_from", json_integer((json_int_t)t->learn.n));
    json_object_set_new(o, "chosen_on", json_integer((json_int_t)t->valid.n));
    json_object_set_new(o, "photos", json_integer((json_int_t)t->tried.n));
    json_object_set_new(o, "left_out", json_integer((json_int_t)t->left_out));
    json_object_set_new(o, "strength", json_real(t->strength));
    json_object_set_new(o, "zeroshot", result_json(t, &t->zeroshot));
    json_object_set_new(o, "probe", result_json(t, &t->probe));
    json_object_set_new(o, "few_shot", curve_json(t));
    json_object_set_new(o, "classes", classes_json(t));
    cli_print_json(stdout, o);
}

static void print_row(const task *t, const char *name, const result *r)
{
    char room[48];
    printf("%-12s  %-22s", name, query_share_text(query_share_of(r->top1, (double)t->tried.n), room));
    if (t->own.n > TOP) printf("  %-22s", query_share_text(query_share_of(r->top5, (double)t->tried.n), room));
    printf("  %s\n", query_share_text(r->mean, room));
}

static void print_table(task *t)
{
    char a[32], b[32], d[32];
    cli_say(t->v->c, "%s photos to learn from, %s to choose the strength (C = %.3g), %s to test on, %zu classes, model %s; 95 %% intervals: "
            "Wilson's; for the mean, as if the classes were drawn from many", cli_count((int64_t)t->learn.n, a),
            cli_count((int64_t)t->valid.n, b), t->strength, cli_count((int64_t)t->tried.n, d), t->own.n,
            clip_model_describe(t->v->encoder.model)->name);
    printf("%-12s  %-22s", "", "top-1");
    if (t->own.n > TOP) printf("  %-22s", "top-5");
    puts("  mean per class");
    print_row(t, "zero-shot", &t->zeroshot);
    for (size_t i = 0; i < CURVE; i++)
        if (t->curve[i].there)
            printf("%2zu a class    %.1f %% +- %.1f, %d draws\n", shots[i], 100 * t->curve[i].mean, 100 * t->curve[i].deviation, DRAWS);
    print_row(t, "all photos", &t->probe);
}

static void finish(task *t)
{
    part *const parts[] = {&t->learn, &t->valid, &t->tried, &t->both};
    for (size_t i = 0; i < 4; i++) free(parts[i]->rows);
    free(t->x);
    free(t->label);
    free(t->class_tests);
    free(t->zeroshot.class_top1);
    free(t->probe.class_top1);
    query_classes_finish(&t->own);
    query_classes_finish(&t->test);
    query_prompts_close(&t->prompts);
}

int query_eval_probe(query_eval *v, const char *folder)
{
    task t = {.v = v, .folder = folder};
    int status = query_prompts_open(v->templates ? v->templates : "simple7", &t.prompts);
    if (!status) status = query_classes_find(folder, &t.own);
    if (!status && v->names) status = query_classes_name(&t.own, v->names);
    if (!status && v->test) status = query_classes_find(v->test, &t.test);
    if (!status) status = query_default_encoder(v->c, &v->encoder);
    if (!status) status = read_photos(&t);
    if (!status) status = measure(&t);
    if (!status) (v->json ? print_json : print_table)(&t);
    finish(&t);
    return status;
}
