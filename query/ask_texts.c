/* ask_texts.c: texts to vectors, by memory where that is possible.
 *
 * A text in many sentences is remembered by the mean vector alone, under the text and a digest of the sentences: the second
 * question costs what a plain one does. A unit separator, which nobody types, keeps those names apart from plain texts. */
#include "query/ask_texts.h"
#include "query/zeroshot.h"

#include <stdlib.h>
#include <string.h>

static bool plain(const query_prompts *p)
{
    return !p || (p->n == 1 && strcmp(p->items[0], "{}") == 0);
}

/* FNV-1a over all sentences with their ends. */
static uint64_t digest(const query_prompts *p)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < p->n; i++)
        for (const char *s = p->items[i];; s++) {
            h = (h ^ (uint8_t)*s) * 1099511628211u;
            if (!*s) break;
        }
    return h;
}

/* The name under which the vector is remembered, allocated; NULL when memory ran out. */
static char *name_of(const query_prompts *p, const char *text)
{
    char *name = NULL;
    if (plain(p)) return strdup(text);
    if (asprintf(&name, "\x1f%016llx\x1f%s", (unsigned long long)digest(p), text) < 0) return NULL;
    return name;
}

static int recall(query_library *l, const query_prompts *p, const char *text, float *vector, bool *known)
{
    char *name = name_of(p, text);
    if (!name) return cli_fail("memory ran out");
    *known = l->store && store_query_recall(l->store, l->model.fingerprint, name, vector, l->model.dim);
    free(name);
    return 0;
}

static void remember(query_library *l, const query_prompts *p, const char *text, const float *vector)
{
    char *name = l->store ? name_of(p, text) : NULL;
    if (name) store_query_remember(l->store, l->model.fingerprint, name, vector, l->model.dim);
    free(name);
}

/* The texts at places missing[n], encoded, put in place and remembered. */
static int encode(query_library *l, const query_prompts *p, const char *const *texts, const size_t *missing, size_t n, float *out)
{
    size_t dim = (size_t)l->model.dim;
    int status = n ? query_library_open_encoder(l) : 0;
    if (!n || status) return status;
    const char **wanted = malloc(n * sizeof *wanted);
    float *fresh = malloc(n * dim * sizeof *fresh); /* [n][dim] */
    if (!wanted || !fresh) status = cli_fail("memory ran out");
    for (size_t i = 0; wanted && i < n; i++) wanted[i] = texts[missing[i]];
    if (!status) status = plain(p) ? query_encode_texts(&l->encoder, wanted, n, fresh)
                                   : query_zeroshot_embed(&l->encoder, wanted, n, p, fresh);
    for (size_t i = 0; !status && i < n; i++) {
        memcpy(out + missing[i] * dim, fresh + i * dim, dim * sizeof *fresh);
        remember(l, p, wanted[i], fresh + i * dim);
    }
    free(wanted);
    free(fresh);
    return status;
}

int query_ask_texts(query_library *l, const query_prompts *p, const char *const *texts, size_t n, float *out)
{
    size_t n_missing = 0;
    size_t *missing = malloc((n ? n : 1) * sizeof *missing);
    int status = missing ? 0 : cli_fail("memory ran out");
    for (size_t i = 0; !status && i < n; i++) {
        bool known = false;
        status = recall(l, p, texts[i], out + i * (size_t)l->model.dim, &known);
        if (!known) missing[n_missing++] = i;
    }
    if (!status) status = encode(l, p, texts, missing, n_missing, out);
    free(missing);
    return status;
}
