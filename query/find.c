/* find.c: terms -> vectors (ask) -> one vector (combine) -> photos (rank) -> lines (print). */
#include "query/find.h"

#include "query/ask.h"
#include "query/combine.h"
#include "query/rank.h"

#include <stdlib.h>
#include <string.h>

void query_find_init(query_find *f)
{
    *f = (query_find){.k = 10, .min_score = -2};
    query_filter_init(&f->filter);
}

void query_find_options(query_find *f, cli_option *rows)
{
    rows[0] = (cli_option){"top", 'k', CLI_INT, "N", "how many to show; 10 when not given, 0: all", &f->k};
    rows[1] = (cli_option){"min-score", 0, CLI_DOUBLE, "S", "leave out photos that score less", &f->min_score};
    query_filter_options(&f->filter, rows + 2);
    query_style_options(&f->style, rows + 2 + QUERY_FILTER_OPTIONS);
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

static int print_found(query_find *f, query_library *l, const float *vector)
{
    query_hits hits;
    int status = query_rank(l, vector, (size_t)f->k, f->min_score, &f->filter.filter, &hits);
    if (status) return status;
    query_print_hits(stdout, &hits, &f->style);
    if (!hits.n) {
        cli_say(l->c, "nothing found");
        explain_folders(l, &f->filter);
    }
    status = hits.n ? 0 : 1;
    query_hits_finish(&hits);
    return status;
}

static int find(query_find *f, query_library *l, query_term *terms, size_t n)
{
    size_t dim = (size_t)l->model.dim;
    float *vectors = malloc((n + 1) * dim * sizeof *vectors); /* [n][dim], then the question's own [dim] */
    if (!vectors) return cli_fail("memory ran out");
    float *question = vectors + n * dim;
    int status = query_ask(l, terms, n, vectors);
    if (!status && !query_combine(terms, n, vectors, l->model.dim, question))
        status = cli_fail("the terms of the question cancel each other: nothing is left to look for");
    if (!status && f->not_itself) f->filter.filter.not_photo = terms[0].photo_id;
    if (!status) status = print_found(f, l, question);
    free(vectors);
    return status;
}

int query_find_run(query_find *f, cli *c, const cli_usage *u, query_term *terms, size_t n)
{
    query_library l = {0};
    if (f->k < 0) return cli_misuse(u, "--top needs 0 or more, not %d", f->k);
    int status = query_style_check(&f->style, u);
    if (!status) status = query_filter_make(&f->filter, u);
    if (status) return status;
    status = query_library_open(&l, c);
    if (!status) status = find(f, &l, terms, n);
    query_library_close(&l);
    return status;
}
