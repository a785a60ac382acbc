/* eval_retrieval.c: `clipsearch eval retrieval CAPTIONS.tsv FOLDER`.
 *
 *     CAPTIONS.tsv   one caption a line: the photo's file name, a tab, the caption. A photo may have several, on lines
 *                    anywhere; a name is relative to FOLDER.
 *
 * recall@k, text to image: the share of captions whose photo is among the k nearest photos; image to text: the share of
 * photos of which at least one caption is among the k nearest captions. Photos that cannot be read are left out with
 * their captions, and counted. */
#include "query/eval.h"
#include "query/kept_vectors.h"
#include "query/open_library.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MOST = 10000000 };

static const size_t cuts[] = {1, 5, 10};
enum { CUTS = sizeof cuts / sizeof *cuts };

typedef struct caption { char *line; const char *text; size_t place; } caption; /* line: the file's name and then the text; owned */

typedef struct task {
    query_eval *v;
    const char *path, *folder;
    caption *captions;     /* [n_captions] by file name, then as they come */
    size_t n_captions, room;
    char **photos;         /* [n_photos] paths, by name */
    size_t n_photos;
    size_t *caption_group, *photo_group;   /* which photo each belongs to */
    float *photo_vectors, *caption_vectors; /* [..][dim] */
    uint8_t *states;       /* [n_photos] */
    size_t left_out;       /* photos */
} task;

/* ---- the list ---- */

static int add_line(task *t, char *line, size_t number)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (!*line) return 0;
    char *tab = strchr(line, '\t');
    if (!tab || tab == line || !tab[1]) return cli_fail("%s: line %zu is not FILE<tab>CAPTION", t->path, number);
    if (t->n_captions == t->room) {
        size_t room = t->room ? 2 * t->room : 1024;
        caption *larger = realloc(t->captions, room * sizeof *larger);
        if (!larger) return cli_fail("memory ran out");
        t->captions = larger, t->room = room;
    }
    char *copy = strdup(line);
    if (!copy) return cli_fail("memory ran out");
    copy[tab - line] = '\0';
    t->captions[t->n_captions] = (caption){copy, copy + (tab - line) + 1, t->n_captions};
    t->n_captions++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const caption *x = a, *y = b;
    int order = strcmp(x->line, y->line);
    return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int read_captions(task *t)
{
    FILE *f = fopen(t->path, "r");
    if (!f) return cli_fail("cannot read %s: %s", t->path, strerror(errno));
    char *line = NULL;
    size_t room = 0, number = 0;
    int status = 0;
    while (!status && getline(&line, &room, f) >= 0)
        status = ++number > LINES_MOST ? cli_fail("%s: more than %d lines", t->path, LINES_MOST) : add_line(t, line, number);
    if (!status && ferror(f)) status = cli_fail("cannot read %s: %s", t->path, strerror(errno));
    free(line);
    fclose(f);
    if (!status && !t->n_captions) status = cli_fail("%s holds no captions", t->path);
    if (!status) qsort(t->captions, t->n_captions, sizeof *t->captions, by_name);
    return status;
}

/* The photos that the captions name, once each. */
static int find_photos(task *t)
{
    t->photos = calloc(t->n_captions, sizeof *t->photos);
    t->caption_group = calloc(t->n_captions, sizeof *t->caption_group);
    t->photo_group = calloc(t->n_captions, sizeof *t->photo_group);
    if (!t->photos || !t->caption_group || !t->photo_group) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->n_captions; i++) {
        const char *name = t->captions[i].line;
        if (i == 0 || strcmp(name, t->captions[i - 1].line)) {
            if (asprintf(&t->photos[t->n_photos], "%s%s%s", *name == '/' ? "" : t->folder, *name == '/' ? "" : "/", name) < 0) {
                t->photos[t->n_photos] = NULL;
                return cli_fail("memory ran out");
            }
            t->photo_group[t->n_photos] = t->n_photos;
            t->n_photos++;
        }
        t->caption_group[i] = t->n_photos - 1;
    }
    return 0;
}

/* ---- vectors ---- */

static int encode_captions(task *t)
{
    const char **texts = malloc(t->n_captions * sizeof *texts);
    if (!texts) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->n_captions; i++) texts[i] = t->captions[i].text;
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
    int status = query_encode_photos_kept(&t->v->encoder, t->v->cache, t->folder, (const char *const *)t->photos, t->n_photos,
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
        if (t->states[i] == QUERY_PHOTO_NONE) cli_warn("%s: not a photo", t->photos[i]);
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

static void finish(task *t, size_t captions, size_t photos)
{
    for (size_t i = 0; i < captions; i++) free(t->captions[i].line);
    for (size_t i = 0; i < photos; i++) free(t->photos[i]);
    free(t->captions);
    free(t->photos);
    free(t->caption_group);
    free(t->photo_group);
    free(t->photo_vectors);
    free(t->caption_vectors);
    free(t->states);
}

int query_eval_retrieval(query_eval *v, const char *captions, const char *folder)
{
    task t = {.v = v, .path = captions, .folder = folder};
    int status = read_captions(&t);
    if (!status) status = find_photos(&t);
    size_t all_captions = t.n_captions, all_photos = t.n_photos;
    if (!status) status = query_default_encoder(v->c, &v->encoder);
    if (!status) status = encode_all(&t);
    if (!status) status = measure(&t);
    finish(&t, all_captions, all_photos);
    return status;
}
