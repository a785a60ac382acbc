/* eval_retrieval.c: `clipsearch eval retrieval CAPTIONS.tsv FOLDER`.
 *
 *     CAPTIONS.tsv   one caption a line: the photo's file name, a tab, the caption. A photo may have several, on lines
 *                    anywhere; a name is relative to FOLDER.
 *
 * recall@k, text to image: the share of captions whose photo is among the k nearest photos; image to text: the share of
 * photos of which at least one caption is among the k nearest captions. Photos that cannot be read are left out with
 * their captions, and counted. */
#include "query/captions.h"
#include "query/eval.h"
#include "query/kept_vectors.h"
#include "query/open_library.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const size_t cuts[] = {1, 5, 10};
enum { CUTS = sizeof cuts / sizeof *cuts };

typedef struct task {
    query_eval *v;
    const char *path, *folder;
    query_captions file;
    size_t n_captions, n_photos; /* that are measured: those of the file, without unreadable photos */
    size_t *caption_group, *photo_group;   /* which photo each belongs to */
    float *photo_vectors, *caption_vectors; /* [..][dim] */
    uint8_t *states;       /* [n_photos] */
    size_t left_out;       /* photos */
} task;

static int read_captions(task *t)
{
    int status = query_captions_open(t->path, t->folder, &t->file);
    if (status) return status;
    t->n_captions = t->file.n, t->n_photos = t->file.n_photos;
    t->caption_group = t->file.own;
    t->photo_group = malloc((t->n_photos + 1) * sizeof *t->photo_group);
    for (size_t i = 0; t->photo_group && i < t->n_photos; i++) t->photo_group[i] = i;
    return t->photo_group ? 0 : cli_fail("memory ran out");
}

/* ---- vectors ---- */

static int encode_captions(task *t)
{
    const char **texts = malloc(t->n_captions * sizeof *texts);
    if (!texts) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->n_captions; i++) texts[i] = t->file.items[i].text;
    int status = query_encode_texts(&t->v->encoder, texts, t->n_captions, t->caption_vectors);
    free(texts);
    return status;
}

static int encode_all(task *t)
{
    size_t dim = (size_t)query_encoder_dim(&t->v->encoder);
    t->states = calloc(t->n_photos, 1);
    t->photo_vectors = calloc(t->n_photos * dim, sizeof(float));     /* [n_photos][dim] */
    t->caption_vectors = calloc(t->n_captions * dim, sizeof(float)); /* [n_captions][dim] */
    if (!t->states || !t->photo_vectors || !t->caption_vectors) return cli_fail("memory ran out");
    int status = query_encode_photos_kept(&t->v->encoder, t->v->cache, t->folder, (const char *const *)t->file.photos, t->n_photos,
                                          t->v->precision, t->photo_vectors, t->states);
    return status ? status : encode_captions(t);
}

/* Closes the gaps that unreadable photos and their captions leave. */
static void leave_out(task *t)
{
    size_t dim = (size_t)query_encoder_dim(&t->v->encoder), kept = 0;
    for (size_t i = 0; i < t->n_captions; i++) {
        if (t->states[t->caption_group[i]] != QUERY_PHOTO_OK) continue;
        memmove(t->caption_vectors + kept * dim, t->caption_vectors + i * dim, dim * sizeof(float));
        t->caption_group[kept++] = t->caption_group[i];
    }
    t->n_captions = kept;
    kept = 0;
    for (size_t i = 0; i < t->n_photos; i++) {
        if (t->states[i] == QUERY_PHOTO_NONE) cli_warn("%s: not a photo", t->file.photos[i]);
        if (t->states[i] != QUERY_PHOTO_OK) continue;
        memmove(t->photo_vectors + kept * dim, t->photo_vectors + i * dim, dim * sizeof(float));
        t->photo_group[kept++] = t->photo_group[i];
    }
    t->left_out = t->n_photos - kept;
    t->n_photos = kept;
}

/* ---- shares ---- */

static bool text_to_image(task *t, size_t n_groups, query_share *out)
{
    int dim = query_encoder_dim(&t->v->encoder);
    size_t *ranks = malloc(t->n_captions * sizeof *ranks);
    double *hits = calloc(2 * n_groups, sizeof *hits), *sizes = hits ? hits + n_groups : NULL; /* [n_groups] each */
    bool ok = ranks && hits && query_retrieval_ranks(t->caption_vectors, t->caption_group, t->n_captions, t->photo_vectors,
                                                     t->photo_group, t->n_photos, dim, ranks);
    for (size_t i = 0; ok && i < t->n_captions; i++) sizes[t->caption_group[i]]++;
    size_t used = 0;
    for (size_t g = 0; ok && g < n_groups; g++) used += sizes[g] > 0;
    for (size_t k = 0; ok && k < CUTS; k++) {
        memset(hits, 0, n_groups * sizeof *hits);
        for (size_t i = 0; i < t->n_captions; i++) hits[t->caption_group[i]] += ranks[i] < cuts[k];
        out[k] = query_share_grouped(hits, sizes, n_groups);
    }
    free(ranks);
    free(hits);
    return ok;
}

static bool image_to_text(task *t, query_share *out)
{
    int dim = query_encoder_dim(&t->v->encoder);
    size_t *ranks = malloc(t->n_photos * sizeof *ranks);
    bool ok = ranks && query_retrieval_ranks(t->photo_vectors, t->photo_group, t->n_photos, t->caption_vectors, t->caption_group,
                                             t->n_captions, dim, ranks);
    for (size_t k = 0; ok && k < CUTS; k++) {
        double hits = 0;
        for (size_t i = 0; i < t->n_photos; i++) hits += ranks[i] < cuts[k];
        out[k] = query_share_of(hits, (double)t->n_photos);
    }
    free(ranks);
    return ok;
}

/* ---- report ---- */

static void print_json(task *t, const query_share *ways[2])
{
    static const char *const names[] = {"text_to_image", "image_to_text"};
    json_t *object = json_object();
    query_eval_json_head(object, t->v, "retrieval");
    json_object_set_new(object, "photos", json_integer((json_int_t)t->n_photos));
    json_object_set_new(object, "captions", json_integer((json_int_t)t->n_captions));
    json_object_set_new(object, "left_out", json_integer((json_int_t)t->left_out));
    for (int w = 0; w < 2; w++) {
        json_t *way = json_object();
        for (size_t k = 0; k < CUTS; k++) {
            char name[32];
            snprintf(name, sizeof name, "recall@%zu", cuts[k]);
            query_share_json(way, name, ways[w][k]);
        }
        json_object_set_new(object, names[w], way);
    }
    cli_print_json(stdout, object);
}

static void print_table(task *t, const query_share *ways[2])
{
    static const char *const names[] = {"text to image", "image to text"};
    char a[32], b[32], room[48];
    cli_say(t->v->c, "%s photos, %s captions, model %s; 95 %% intervals: Wilson's, captions of one photo counted as the group that they are",
            cli_count((int64_t)t->n_photos, a), cli_count((int64_t)t->n_captions, b), clip_model_describe(t->v->encoder.model)->name);
    printf("%-13s", "");
    for (size_t k = 0; k < CUTS; k++) printf(k + 1 < CUTS ? "  recall@%-15zu" : "  recall@%zu", cuts[k]);
    putchar('\n');
    for (int w = 0; w < 2; w++) {
        printf("%-13s", names[w]);
        for (size_t k = 0; k < CUTS; k++) printf(k + 1 < CUTS ? "  %-22s" : "  %s", query_share_text(ways[w][k], room));
        putchar('\n');
    }
}

static int measure(task *t)
{
    query_share text[CUTS], image[CUTS];
    const query_share *ways[2] = {text, image};
    size_t groups = t->n_photos;
    leave_out(t);
    if (!t->n_photos) return cli_fail("none of the photos that %s names could be read in %s", t->path, t->folder);
    if (t->left_out) cli_warn("photos that could not be read, left out with their captions: %zu", t->left_out);
    if (!text_to_image(t, groups, text) || !image_to_text(t, image)) return cli_fail("memory ran out");
    if (t->v->json) print_json(t, ways);
    else print_table(t, ways);
    return 0;
}

int query_eval_retrieval(query_eval *v, const char *captions, const char *folder)
{
    task t = {.v = v, .path = captions, .folder = folder};
    int status = read_captions(&t);
    if (!status) status = query_default_encoder(v->c, &v->encoder);
    if (!status) status = encode_all(&t);
    if (!status) status = measure(&t);
    query_captions_close(&t.file);
    free(t.photo_group);
    free(t.photo_vectors);
    free(t.caption_vectors);
    free(t.states);
    return status;
}
