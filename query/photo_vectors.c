/* photo_vectors.c: known vectors first, then all others at once. */
#include "query/photo_vectors.h"
#include "query/ask.h"
#include "query/encode_photos.h"

#include <stdlib.h>
#include <string.h>

static int encode(query_library *l, const query_photo_list *photos, const size_t *missing, size_t n, float *vectors, uint8_t *states)
{
    size_t dim = (size_t)l->model.dim;
    int status = n ? query_library_open_encoder(l) : 0;
    if (!n || status) return status;
    const char **paths = malloc(n * sizeof *paths);
    float *fresh = malloc(n * dim * sizeof *fresh); /* [n][dim] */
    uint8_t *fresh_states = malloc(n);
    if (!paths || !fresh || !fresh_states) status = cli_fail("memory ran out");
    for (size_t i = 0; i < n && !status; i++) paths[i] = photos->paths[missing[i]];
    if (!status) status = query_encode_photos(&l->encoder, paths, n, CLIP_AUTO, fresh, fresh_states);
    for (size_t i = 0; i < n && !status; i++) {
        memcpy(vectors + missing[i] * dim, fresh + i * dim, dim * sizeof *fresh);
        states[missing[i]] = fresh_states[i];
    }
    free(paths);
    free(fresh);
    free(fresh_states);
    return status;
}

int query_photo_vectors(query_library *l, const query_photo_list *photos, float *vectors, int64_t *ids, uint8_t *states)
{
    size_t n_missing = 0, *missing = malloc((photos->n + 1) * sizeof *missing);
    int status = missing ? 0 : cli_fail("memory ran out");
    for (size_t i = 0; i < photos->n && !status; i++) {
        query_term t = {.kind = QUERY_IMAGE, .body = photos->paths[i]};
        states[i] = QUERY_PHOTO_OK;
        if (!query_recall_image(l, &t, vectors + i * (size_t)l->model.dim, &status)) missing[n_missing++] = i;
        ids[i] = t.photo_id;
    }
    if (!status) status = encode(l, photos, missing, n_missing, vectors, states);
    free(missing);
    return status;
}
