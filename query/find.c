/* find.c: terms -> vectors (ask) -> one vector (combine) or several (least) -> photos -> the relevant ones (relevance) ->
 * their rows in order (rank) -> lines (print). */
#include "query/find.h"

#include "query/ask.h"
#include "query/combine.h"
#include "query/least.h"
#include "query/rank.h"
#include "query/relevance.h"

#include <stdlib.h>
#include <string.h>

void query_find_init(query_find *f)
{
    *f = (query_find){.k = -1, .min_score = -2, .min_relevance = -1};
    query_filter_init(&f->filter);
}

void query_find_options(query_find *f, cli_option *rows)
{
    rows[0] = (cli_option){"top", 'k', CLI_INT, "N", "how many to show; 10 when not given, 0: all", &f->k};
    rows[1] = (cli_option){"min-score", 0, CLI_DOUBLE, "S", "leave out photos that score less", &f->min_score};
    rows[2] = (cli_option){"sort", 0, CLI_CHOICE, "score|date|path", "order of what is shown; date: the newest first", &f->order};
    query_filter_options(&f->filter, rows + 3);
    query_style_options(&f->style, rows + 3 + QUERY_FILTER_OPTIONS);
}

void query_find_finish(query_find *f)
{
    query_filter_finish(&f->filter);
}

static bool is_at_or_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n && folder[n - 1] == '/') n--;
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

/* A folder that has nothing to do with what was indexed explains why nothing was found. */
static void explain_folders(query_library *l, const query_filter *f)
{
    store_root *roots = NULL;
    store_error ignored = {0};
    size_t n = 0;
    if (store_roots(l->store, &roots, &n, &ignored)) return;
    for (size_t i = 0; i < f->filter.n_under; i++) {
        const char *folder = f->filter.under[i];
        bool known = false;
        for (size_t r = 0; r < n && !known; r++)
            known = is_at_or_below(folder, roots[r].path) || is_at_or_below(roots[r].path, folder);
        char *name = known ? NULL : cli_quote_path(folder);
        if (name) cli_say(l->c, "%s is in no folder that was indexed; `clipsearch status` lists those", name);
        free(name);
    }
    store_roots_free(roots, n);
}

/* ---- from the question to the hits ---- */

typedef struct answer {
    store_hit *hits;    /* best first */
    float *relevance;   /* [n], NULL when not known */
    size_t n;
} answer;

static bool only_words(const query_term *terms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (terms[i].kind != QUERY_TEXT || terms[i].weight < 0) return false;
    return true;
}

static bool cuts(const query_find *f) { return f->cut || f->min_relevance >= 0; }

/* How many hits are shown at most; with a cut, all that are left unless the user says otherwise. */
static size_t most_shown(const query_find *f)
{
    return f->k > 0 ? (size_t)f->k : f->k < 0 && !cuts(f) ? 10 : SIZE_MAX;
}

/* How many have to be found for that: relevance looks at the best of them as a whole. */
static size_t depth_of(const query_find *f, const query_library *l, bool relevance)
{
    size_t most = (size_t)l->model.vectors, k = cuts(f) ? most : most_shown(f);
    if (relevance && k < QUERY_RELEVANCE_DEPTH) k = QUERY_RELEVANCE_DEPTH;
    return k < most ? k : most;
}

/* questions[m][dim]: one for --all's every term, else their sum. *m receives how many. */
static int make_questions(query_find *f, query_library *l, const query_prompts *p, query_term *terms, size_t n,
                          float *questions, size_t *m)
{
    size_t dim = (size_t)l->model.dim;
    float *sum = malloc(dim * sizeof *sum); /* [dim] */
    int status = sum ? query_ask(l, p, terms, n, questions) : cli_fail("memory ran out");
    *m = f->all ? n : 1;
    if (!status && !f->all) {
        if (query_combine(terms, n, questions, l->model.dim, sum)) memcpy(questions, sum, dim * sizeof *sum);
        else status = cli_fail("the terms of the question cancel each other: nothing is left to look for");
    }
    free(sum);
    return status;
}

static int nearest(query_find *f, query_library *l, const float *questions, size_t m, size_t depth, answer *a)
{
    store_error err = {0};
    int status = 0;
    if (m > 1) {
        status = query_least(l, questions, m, &f->filter.filter, &a->hits, &a->n);
        query_least_sort(a->hits, a->n);
        if (a->n > depth) a->n = depth;
        return status;
    }
    if (!(a->hits = malloc((depth + 1) * sizeof *a->hits))) return cli_fail("memory ran out");
    if (store_search(l->store, l->model.id, questions, depth, &f->filter.filter, a->hits, &a->n, &err))
        status = cli_fail("%s", err.text);
    return status;
}

/* Relevance is measured with the words as they are, whatever sentences the photos were ranked with. */
static int judge(query_find *f, query_library *l, query_term *terms, size_t n, float *questions, answer *a)
{
    size_t m;
    int status = make_questions(f, l, NULL, terms, n, questions, &m);
    if (!status && !(a->relevance = malloc((a->n + 1) * sizeof *a->relevance))) status = cli_fail("memory ran out");
    return status ? status : query_relevance_of_hits(l, questions, m, a->hits, a->n, a->relevance);
}

static void keep_relevant(const query_find *f, answer *a)
{
    double bar = f->min_relevance >= 0 ? f->min_relevance : cuts(f) ? QUERY_RELEVANCE_CUT : -1;
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

static int print_found(query_find *f, query_library *l, const answer *a)
{
    query_hits hits;
    int status = query_hits_load(l, a->hits, a->relevance, a->n, &hits);
    if (status) return status;
    query_hits_sort(&hits, (query_order)f->order);
    query_print_hits(stdout, &hits, &f->style);
    if (!hits.n) {
        cli_say(l->c, cuts(f) ? "nothing relevant found" : "nothing found");
        explain_folders(l, &f->filter);
    }
    status = hits.n ? 0 : 1;
    query_hits_finish(&hits);
    return status;
}

static int find(query_find *f, query_library *l, const query_prompts *p, query_term *terms, size_t n)
{
    size_t m;
    answer a = {0};
    bool relevance = only_words(terms, n) && (cuts(f) || f->style.json);
    float *questions = malloc(n * (size_t)l->model.dim * sizeof *questions); /* [n][dim] */
    int status = questions ? make_questions(f, l, p, terms, n, questions, &m) : cli_fail("memory ran out");
    if (!status && f->not_itself) f->filter.filter.not_photo = terms[0].photo_id;
    if (!status) status = nearest(f, l, questions, m, depth_of(f, l, relevance), &a);
    if (!status && relevance) status = judge(f, l, terms, n, questions, &a);
    if (!status) keep_relevant(f, &a);
    if (!status) status = print_found(f, l, &a);
    free(a.hits);
    free(a.relevance);
    free(questions);
    return status;
}

static int check(const query_find *f, const cli_usage *u, const query_term *terms, size_t n)
{
    if (f->k < -1) return cli_misuse(u, "--top needs 0 or more, not %d", f->k);
    if (f->min_relevance > 1) return cli_misuse(u, "--min-relevance needs 0 to 1");
    for (size_t i = 0; f->all && i < n; i++)
        if (terms[i].weight != 1)
            return cli_misuse(u, "with --all every term must match, so that none can have a weight or be taken away");
    if (cuts(f) && !only_words(terms, n))
        return cli_misuse(u, "--cut is for questions of words; with an image or --subtract there is only --min-score");
    return 0;
}

int query_find_run(query_find *f, cli *c, const cli_usage *u, query_term *terms, size_t n)
{
    query_library l = {0};
    query_prompts prompts = {0};
    int status = check(f, u, terms, n);
    if (!status) status = query_style_check(&f->style, u);
    if (!status) status = query_filter_make(&f->filter, u);
    if (!status && f->templates) status = query_prompts_open(f->templates, &prompts);
    if (!status) {
        status = query_library_open(&l, c);
        if (!status) status = find(f, &l, f->templates ? &prompts : NULL, terms, n);
        query_library_close(&l);
    }
    query_prompts_close(&prompts);
    return status;
}
