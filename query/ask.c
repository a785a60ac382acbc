/* ask.c: from terms to vectors by the cheapest way.
 *
 * A text that was asked before has its vector in the library. An image that is an indexed photo has one too, and it is
 * used as long as the file is the one that was indexed (same size and time) or is gone. Whatever remains is encoded:
 * all texts at once (ask_texts.c), images one by one. */
#include "query/ask.h"
#include "query/adapter.h"
#include "query/ask_texts.h"
#include "query/concept.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The row of the photo at this path: by its real path, else by the name that a symbolic link gives it in its folder. */
static store_status find_photo(query_library *l, const char *path, store_photo *out, store_error *err)
{
    char *places[] = {cli_absolute(path), cli_absolute_link(path)};
    store_status s = STORE_E_NOT_FOUND;
    for (int i = 0; i < 2; i++) {
        if (places[i] && s == STORE_E_NOT_FOUND) s = store_photo_by_absolute(l->store, places[i], out, err);
        free(places[i]);
    }
    return s;
}

static bool is_as_indexed(const char *path, const store_photo *p)
{
    struct stat st;
    if (stat(path, &st)) return true;
    return st.st_size == p->size && st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec == p->mtime_ns;
}

bool query_recall_image(query_library *l, query_term *t, float *vector, int *status)
{
    store_photo photo = {0};
    store_error err = {0};
    if (!l->store || strcmp(t->body, "-") == 0) return false;
    store_status s = find_photo(l, t->body, &photo, &err);
    if (s == STORE_OK) {
        t->photo_id = photo.id;
        s = is_as_indexed(t->body, &photo) ? store_vector_get(l->store, photo.id, l->model.id, vector, &err)
                                           : STORE_E_NOT_FOUND;
    }
    store_photo_finish(&photo);
    if (s != STORE_OK && s != STORE_E_NOT_FOUND) *status = cli_fail("%s", err.text);
    return s == STORE_OK;
}

static int ask_image(query_library *l, query_term *t, float *vector)
{
    int status = 0;
    if (query_recall_image(l, t, vector, &status) || status) return status;
    status = query_library_open_encoder(l);
    return status ? status : query_encode_image(&l->encoder, t->body, vector);
}

/* All texts of the question at once. */
static int ask_words(query_library *l, const query_prompts *p, const query_term *terms, size_t n, float *vectors)
{
    size_t dim = (size_t)l->model.dim, n_texts = 0;
    const char **texts = calloc(n + 1, sizeof *texts);
    float *found = malloc((n ? n : 1) * dim * sizeof *found); /* [n][dim] */
    int status = texts && found ? 0 : cli_fail("memory ran out");
    for (size_t i = 0; !status && i < n; i++)
        if (terms[i].kind == QUERY_TEXT) texts[n_texts++] = terms[i].body;
    if (!status) status = query_ask_texts(l, p, texts, n_texts, found);
    if (!status && l->adapter) query_adapter_apply(l->adapter, found, n_texts);
    for (size_t i = 0, t = 0; !status && i < n; i++)
        if (terms[i].kind == QUERY_TEXT) memcpy(vectors + i * dim, found + t++ * dim, dim * sizeof *found);
    free(texts);
    free(found);
    return status;
}

int query_ask(query_library *l, const query_prompts *p, query_term *terms, size_t n, float *vectors)
{
    int status = 0;
    for (size_t i = 0; !status && i < n; i++) {
        float *vector = vectors + i * (size_t)l->model.dim; /* [dim] */
        if (terms[i].kind == QUERY_IMAGE) status = ask_image(l, &terms[i], vector);
        else if (terms[i].kind == QUERY_CONCEPT) status = query_concept_ask(l, &terms[i], vector);
    }
    return status ? status : ask_words(l, p, terms, n, vectors);
}
