/* find.c: terms -> vectors (ask) -> one vector (combine) or several (least) -> photos -> the relevant ones (relevance) ->
 * their rows in order (rank) -> lines (print). */
#include "query/find.h"

#include "query/ask.h"
#include "query/combine.h"
#include "query/concept.h"
#include "query/explain.h"
#include "query/learn_adapter.h"
#include "query/least.h"
#include "query/rank.h"
#include "query/relevance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void query_find_init(query_find *f)
{
    *f = (query_find){.k = QUERY_FIND_DEFAULT, .min_score = -2, .min_relevance = NAN};
    query_filter_init(&f->filter);
}

void query_find_options(query_find *f, cli_option *rows)
{
    rows[0] = (cli_option){"top", 'k', CLI_INT, "N", "how many to show; 10 when not given, 0: all", &f->k};
    rows[1] = (cli_option){"min-score", 0, CLI_DOUBLE, "S", "leave out photos that score less", &f->min_score};
    rows[2] = (cli_option){"sort", 0, CLI_CHOICE, "score|date|path", "order of what is shown; date: the newest first", &f->order};
    query_filter_options(&f->filter, rows + 3);
    query_show_options(&f->show, rows + 3 + QUERY_FILTER_OPTIONS);
}

void query_find_finish(query_find *f)
{
    query_filter_finish(&f->filter);
    query_show_finish(&f->show);
}

/* ---- from the question to the hits ---- */

typedef struct answer {
    store_hit *hits;    /* best first */
    float *relevance;   /* [n], NULL when not known */
    size_t n;
} answer;

static size_t count_kind(const query_term *terms, size_t n, query_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += terms[i].kind == kind;
    return count;
}

/* Relevance is known of words together, of one concept, and of several such that must all match. */
static bool can_judge(const query_find *f, const query_term *terms, size_t n)
{
    size_t words = count_kind(terms, n, QUERY_TEXT), concepts = count_kind(terms, n, QUERY_CONCEPT);
    for (size_t i = 0; i < n; i++)
        if (terms[i].weight < 0) return false;
    return words == n || (words + concepts == n && (n == 1 || f->all));
}

static bool cuts(const query_find *f) { return f->cut || !isnan(f->min_relevance); }

/* How many hits are shown at most; with a cut, all that are left unless the user says otherwise. */
static size_t most_shown(const query_find *f)
{
    return f->k > 0 ? (size_t)f->k : f->k == QUERY_FIND_DEFAULT && !cuts(f) ? 10 : SIZE_MAX;
}

/* How many have to be found for that: relevance looks at the best of them as a whole. */
static size_t depth_of(const query_find *f, const query_library *l, bool relevance)
{
    size_t most = (size_t)l->model.vectors, k = cuts(f) ? most : most_shown(f);
    if (relevance && k < QUERY_RELEVANCE_DEPTH) k = QUERY_RELEVANCE_DEPTH;
    return k < most ? k : most;
}

/* One question for --all's every term, else their sum: [m][dim], allocated. */
static int make_questions(query_find *f, query_library *l, const query_prompts *p, query_term *terms, size_t n,
                          float **questions, size_t *m)
{
    size_t dim = (size_t)l->model.dim;
    float *vectors = malloc((n + 1) * dim * sizeof *vectors); /* [n][dim], then their sum [dim] */
    int status = vectors ? query_ask(l, p, terms, n, vectors) : cli_fail("memory ran out");
    *m = f->all ? n : 1;
    *questions = vectors;
    if (!status && f->not_itself) f->filter.filter.not_photo = terms[0].photo_id;
    if (status || f->all) return status;
    if (!query_combine(terms, n, vectors, l->model.dim, vectors + n * dim))
        return cli_fail("the terms of the question cancel each other: nothing is left to look for");
    memcpy(vectors, vectors + n * dim, dim * sizeof *vectors);
    return 0;
}

/* With one model and one question the library's index finds the nearest. */
static int nearest(query_find *f, query_library *l, const float *question, size_t depth, answer *a)
{
    store_error err = {0};
    if (!(a->hits = malloc((depth + 1) * sizeof *a->hits))) return cli_fail("memory ran out");
    if (store_search(l->store, l->model.id, question, depth, &f->filter.filter, a->hits, &a->n, &err))
        return cli_fail("%s", err.text);
    return 0;
}

/* One model's scores for all photos, added to those of the models before it. */
static int add_scores(query_find *f, query_library *l, const float *questions, size_t m, bool first, answer *a)
{
    store_hit *hits = NULL;
    size_t n = 0;
    int status = query_least(l, questions, m, &f->filter.filter, &hits, &n);
    if (!status && first) {
        *a = (answer){.hits = hits, .n = n};
        return 0;
    }
    if (!status) a->n = query_least_add(a->hits, a->n, hits, n);
    free(hits);
    return status;
}

static int ask_models(query_find *f, query_library *l, size_t n_models, const query_prompts *p, query_term *terms, size_t n,
                      size_t depth, answer *a)
{
    int status = 0;
    bool quick = false;
    for (size_t i = 0; i < n_models && !status; i++) {
        float *questions = NULL;
        size_t m = 0;
        status = make_questions(f, &l[i], p, terms, n, &questions, &m);
        quick = n_models == 1 && m == 1;
        if (!status && quick) status = nearest(f, l, questions, depth, a);
        else if (!status) status = add_scores(f, &l[i], questions, m, i == 0, a);
        free(questions);
    }
    if (status || quick) return status;
    for (size_t i = 0; i < a->n; i++) a->hits[i].score /= (float)n_models;
    query_least_sort(a->hits, a->n);
    if (a->n > depth) a->n = depth;
    return 0;
}

/* Relevance is measured with the words as they are, whatever sentences and captions the photos were ranked with; a concept knows its own. */
static int judge_by(query_find *f, query_library *l, query_term *terms, size_t n, const answer *a, float *relevance)
{
    size_t n_words = count_kind(terms, n, QUERY_TEXT), m = 0;
    query_term *words = malloc((n + 1) * sizeof *words);
    float *questions = NULL;
    const query_adapter *adapter = l->adapter;
    int status = words ? 0 : cli_fail("memory ran out");
    l->adapter = NULL;
    for (size_t i = 0, w = 0; !status && i < n; i++)
        if (terms[i].kind == QUERY_TEXT) words[w++] = terms[i];
    for (size_t i = 0; i < a->n; i++) relevance[i] = 1;
    if (!status && n_words) status = make_questions(f, l, NULL, words, n_words, &questions, &m);
    if (!status && n_words) status = query_relevance_of_hits(l, questions, m, a->hits, a->n, relevance);
    for (size_t i = 0; i < n && !status; i++)
        if (terms[i].kind == QUERY_CONCEPT) status = query_concept_relevance(l, &terms[i], a->hits, a->n, relevance);
    l->adapter = adapter;
    free(questions);
    free(words);
    return status;
}

/* Of several models it is the mean. */
static int judge(query_find *f, query_library *l, size_t n_models, query_term *terms, size_t n, answer *a)
{
    float *one = malloc((a->n + 1) * sizeof *one);
    a->relevance = calloc(a->n + 1, sizeof *a->relevance);
    int status = one && a->relevance ? 0 : cli_fail("memory ran out");
    for (size_t i = 0; i < n_models && !status; i++) {
        status = judge_by(f, &l[i], terms, n, a, one);
        for (size_t h = 0; h < a->n && !status; h++) a->relevance[h] += one[h] / (float)n_models;
    }
    free(one);
    return status;
}

static void keep_relevant(const query_find *f, answer *a)
{
    double bar = !isnan(f->min_relevance) ? f->min_relevance : f->cut ? QUERY_RELEVANCE_CUT : -1;
    size_t kept = 0, most = most_shown(f);
    for (size_t i = 0; i < a->n && kept < most; i++) {
        if ((double)a->hits[i].score < f->min_score) break;
        if (a->relevance && (double)a->relevance[i] < bar) continue;
        a->hits[kept] = a->hits[i];
        if (a->relevance) a->relevance[kept] = a->relevance[i];
        kept++;
    }
    a->n = kept;
}

static int show_found(query_find *f, query_library *l, const query_term *terms, size_t n, const answer *a)
{
    query_hits hits;
    int status = query_hits_load(l, a->hits, a->relevance, a->n, &hits);
    if (status) return status;
    query_hits_sort(&hits, (query_order)f->order);
    status = query_show_run(&f->show, l->c, terms, n, &hits);
    if (!hits.n) {
        cli_say(l->c, cuts(f) ? "nothing relevant found" : "nothing found");
        query_explain_nothing(l, &f->filter);
    } else if (f->filter.filter.n_under > 1) {
        query_explain_folders(l, &f->filter);
    }
    if (!status && !hits.n) status = 1;
    query_hits_finish(&hits);
    return status;
}

/* A cut needs it; JSON shows it where it can be had, and a question that was asked before still needs no model. */
static bool wants_relevance(const query_find *f, query_library *l, size_t n_models, const query_term *terms, size_t n)
{
    bool wanted = can_judge(f, terms, n) && (cuts(f) || f->show.style.json), words = count_kind(terms, n, QUERY_TEXT) > 0;
    for (size_t i = 0; i < n_models && wanted && words && !cuts(f); i++) wanted = query_bank_at_hand(&l[i]);
    return wanted;
}

static int find(query_find *f, query_library *l, size_t n_models, const query_prompts *p, query_term *terms, size_t n)
{
    answer a = {0};
    bool relevance = wants_relevance(f, l, n_models, terms, n);
    int status = ask_models(f, l, n_models, p, terms, n, depth_of(f, l, relevance), &a);
    if (!status && relevance) status = judge(f, l, n_models, terms, n, &a);
    if (!status) keep_relevant(f, &a);
    if (!status) status = show_found(f, l, terms, n, &a);
    free(a.hits);
    free(a.relevance);
    return status;
}

/* The library once for each model that was named, and once where none or one was. */
static int open_and_find(query_find *f, cli *c, const query_prompts *p, query_term *terms, size_t n)
{
    size_t n_models = c->n_models > 1 ? c->n_models : 1, opened = 0;
    cli *contexts = calloc(n_models, sizeof *contexts); /* c with one of its models each; they own nothing */
    query_library *l = calloc(n_models, sizeof *l);
    query_adapter *adapters = calloc(n_models, sizeof *adapters);
    int status = contexts && l && adapters ? 0 : cli_fail("memory ran out");
    for (; opened < n_models && !status; opened++) {
        contexts[opened] = *c;
        if (n_models > 1) contexts[opened].model = c->models[opened];
        status = query_library_open(&l[opened], &contexts[opened]);
        if (!status && !f->no_adapt) status = query_adapter_open(&l[opened], &adapters[opened]);
        if (!status && adapters[opened].dim) l[opened].adapter = &adapters[opened];
        for (size_t i = 0; i < opened && !status; i++)
            if (l[i].model.id == l[opened].model.id)
                status = cli_fail("%s and %s are one model", c->models[i], c->models[opened]);
    }
    if (!status) status = find(f, l, n_models, p, terms, n);
    while (opened) {
        query_library_close(&l[--opened]);
        query_adapter_finish(&adapters[opened]);
    }
    free(adapters);
    free(contexts);
    free(l);
    return status;
}

static int check(const query_find *f, const cli_usage *u, const query_term *terms, size_t n)
{
    if (f->k < 0 && f->k != QUERY_FIND_DEFAULT) return cli_misuse(u, "--top needs 0 or more, not %d", f->k);
    if (f->min_relevance < 0 || f->min_relevance > 1) return cli_misuse(u, "--min-relevance needs 0 to 1");
    for (size_t i = 0; f->all && i < n; i++)
        if (terms[i].weight != 1)
            return cli_misuse(u, "with --all every term must match, so that none can have a weight or be taken away");
    if (cuts(f) && !can_judge(f, terms, n))
        return cli_misuse(u, "--cut is for questions of words, for one concept, or for both with --all; otherwise there is only "
                             "--min-score");
    return 0;
}

int query_find_run(query_find *f, cli *c, const cli_usage *u, query_term *terms, size_t n)
{
    query_prompts prompts = {0};
    int status = check(f, u, terms, n);
    if (!status) status = query_show_check(&f->show, u);
    if (!status) status = query_filter_make(&f->filter, u);
    if (!status && f->templates) status = query_prompts_open(f->templates, &prompts);
    if (!status) status = open_and_find(f, c, f->templates ? &prompts : NULL, terms, n);
    query_prompts_close(&prompts);
    return status;
}
