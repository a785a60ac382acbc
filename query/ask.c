/* ask.c: from terms to vectors by the cheapest way.
 *
 * A text that was asked before has its vector in the library. An image that is an indexed photo has one too, and it is
 * used as long as the file is the one that was indexed (same size and time) or is gone. Whatever remains is encoded:
 * all texts at once, images one by one. */
#include "query/ask.h"

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

/* True when the library had the answer; *status is set when it failed. */
static bool recall_image(query_library *l, query_term *t, float *vector, int *status)
{
    store_photo photo = {0};
    store_error err = {0};
    if (strcmp(t->body, "-") == 0) return false;
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

/* The texts whose vectors are not in the library: encoded in one go, put in place, remembered. */
static int encode_missing(query_library *l, const query_term *terms, const size_t *missing, size_t n, float *vectors)
{
    size_t dim = (size_t)l->model.dim;
    int status = n ? query_library_open_encoder(l) : 0;
    if (!n || status) return status;
    const char **texts = malloc(n * sizeof *texts);
    float *fresh = malloc(n * dim * sizeof *fresh); /* [n][dim] */
    if (!texts || !fresh) status = cli_fail("memory ran out");
    for (size_t i = 0; texts && i < n; i++) texts[i] = terms[missing[i]].body;
    if (!status) status = query_encode_texts(&l->encoder, texts, n, fresh);
    for (size_t i = 0; !status && i < n; i++) {
        memcpy(vectors + missing[i] * dim, fresh + i * dim, dim * sizeof *fresh);
        store_query_remember(l->store, l->model.fingerprint, texts[i], fresh + i * dim, l->model.dim);
    }
    free(texts);
    free(fresh);
    return status;
}

static int ask_image(query_library *l, query_term *t, float *vector)
{
    int status = 0;
    if (recall_image(l, t, vector, &status) || status) return status;
    status = query_library_open_encoder(l);
    return status ? status : query_encode_image(&l->encoder, t->body, vector);
}

int query_ask(query_library *l, query_term *terms, size_t n, float *vectors)
{
    size_t dim = (size_t)l->model.dim, n_missing = 0;
    size_t *missing = malloc((n ? n : 1) * sizeof *missing);
    int status = missing ? 0 : cli_fail("memory ran out");
    for (size_t i = 0; !status && i < n; i++) {
        float *vector = vectors + i * dim; /* [dim] */
        if (terms[i].kind == QUERY_IMAGE) status = ask_image(l, &terms[i], vector);
        else if (!store_query_recall(l->store, l->model.fingerprint, terms[i].body, vector, l->model.dim))
            missing[n_missing++] = i;
    }
    if (!status) status = encode_missing(l, terms, missing, n_missing, vectors);
    free(missing);
    return status;
}
