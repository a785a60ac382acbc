/* bench_precision.c: what narrow arithmetic costs in truth: bench_precision MODEL PHOTOS [TEXTS [COUNT [THREADS]]]
 *
 * The first COUNT photos (default 1000) of a folder, by name, are encoded in f32 and in every other precision that this CPU and
 * this model have; TEXTS holds one query a line, or "photo<TAB>caption" lines, of which 100 spread over the file are asked.
 * Without TEXTS (a file name, or "-" for none) only photos are queries. For each precision: the cosine of its vectors to
 * f32's, the share of the ten best photos of f32 that are among its ten best, and images a second (threads' CPU time, so that
 * other work on the machine matters less; wall time besides). Accepted is a mean of at least 0.99 and a least cosine of 0.97
 * (bf16: 0.999 each) with 95 % of the ten best. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/clip.h"

enum { QUERIES = 100, BEST = 10 };

static clip_error error;

static void die(const char *what)
{
    fprintf(stderr, "bench_precision: %s %s\n", what, error.text);
    exit(2);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *room(size_t n, size_t each)
{
    void *p = calloc(n, each);
    if (!p) die("out of memory");
    return p;
}

/* ---- photos and texts -------------------------------------------------------------------------------------------- */

static bool read_photo(const clip_model *m, const char *folder, const char *name, uint8_t *row)
{
    char path[4096];
    uint8_t *bytes = NULL;
    size_t n;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    bool ok = fd >= 0 && !clip_file_read(fd, path, NULL, &bytes, &n, NULL) && !clip_photo_to_row(m, bytes, n, NULL, row, NULL, NULL);
    free(bytes);
    if (fd >= 0) close(fd);
    return ok;
}

static size_t read_photos(const clip_model *m, const char *folder, size_t most, uint8_t *rows, size_t row)
{
    struct dirent **names;
    size_t n = 0;
    int count = scandir(folder, &names, NULL, alphasort);
    if (count < 0) die(folder);
    for (int i = 0; i < count; i++) {
        if (n < most && names[i]->d_name[0] != '.' && read_photo(m, folder, names[i]->d_name, rows + n * row)) n++;
        free(names[i]);
    }
    free(names);
    return n;
}

/* texts: [QUERIES], each to be freed; returns how many. */
static size_t read_texts(const char *path, char **texts)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t size = 0, lines = 0, at = 0, n = 0;
    if (!f) die(path);
    while (getline(&line, &size, f) > 0) lines++;
    rewind(f);
    for (; n < QUERIES && getline(&line, &size, f) > 0; at++) {
        if (at * QUERIES / lines < n) continue;
        char *text = strchr(line, '\t');
        text = strdup(text ? text + 1 : line);
        text[strcspn(text, "\n")] = 0;
        texts[n++] = text;
    }
    free(line);
    fclose(f);
    return n;
}

static size_t encode_texts(const clip_model *m, const char *path, float *out)
{
    char *texts[QUERIES];
    clip_text_encoder *t;
    size_t n = read_texts(path, texts);
    if (clip_text_encoder_create(m, &(clip_encoder_options){0}, &t, &error) ||
        clip_text_encode(t, (const char *const *)texts, n, out, &error)) die("");
    clip_text_encoder_destroy(t);
    for (size_t i = 0; i < n; i++) free(texts[i]);
    return n;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

static double cosine(const float *a, const float *b, size_t dim)
{
    double ab = 0;
    for (size_t i = 0; i < dim; i++) ab += (double)a[i] * b[i];
    return ab;
}

/* The ten photos nearest to a query, `but` (a photo that asks for its like) left out. */
static void best(const float *query, const float *photos, size_t n, size_t dim, size_t but, size_t out[BEST])
{
    double scores[BEST];
    size_t held = 0;
    for (size_t i = 0; i < n; i++) {
        double s = cosine(query, photos + i * dim, dim);
        size_t at = held;
        if (i == but || (held == BEST && s <= scores[BEST - 1])) continue;
        if (held < BEST) held++;
        else at = BEST - 1;
        for (; at > 0 && scores[at - 1] < s; at--) scores[at] = scores[at - 1], out[at] = out[at - 1];
        scores[at] = s, out[at] = i;
    }
}

static size_t common(const size_t *a, const size_t *b)
{
    size_t n = 0;
    for (int i = 0; i < BEST; i++)
        for (int j = 0; j < BEST; j++) n += a[i] == b[j];
    return n;
}

/* Of the ten best in f32, the share that is among the ten best; queries NULL: every photo out of `step` asks. */
static double overlap(const float *queries, size_t n_queries, const float *f32, const float *other, size_t n, size_t dim)
{
    size_t same = 0, step = n / n_queries;
    for (size_t q = 0; q < n_queries; q++) {
        size_t a[BEST], b[BEST], self = queries ? n : q * step;
        best(queries ? queries + q * dim : f32 + self * dim, f32, n, dim, self, a);
        best(queries ? queries + q * dim : other + self * dim, other, n, dim, self, b);
        same += common(a, b);
    }
    return 100.0 * (double)same / (double)(n_queries * BEST);
}

typedef struct bench {
    const clip_model *model;
    const uint8_t *rows;
    size_t n, dim, texts;
    int threads;
    float *f32, *other, *queries; /* [n][dim], [n][dim], [texts][dim] */
    bool seen[CLIP_AUTO];
} bench;

static void report(const bench *b, clip_precision ran, double cpu, double wall)
{
    double sum = 0, least = 1;
    for (size_t i = 0; i < b->n; i++) {
        double c = cosine(b->f32 + i * b->dim, b->other + i * b->dim, b->dim);
        sum += c, least = fmin(least, c);
    }
    printf("| %-6s | %.6f | %.6f |", clip_precision_name(ran), sum / (double)b->n, least);
    if (b->texts) printf(" %5.1f %% |", overlap(b->queries, b->texts, b->f32, b->other, b->n, b->dim));
    else printf("       - |");
    printf(" %5.1f %% | %6.2f | %6.2f |\n", overlap(NULL, QUERIES, b->f32, b->other, b->n, b->dim), (double)b->n / cpu, (double)b->n / wall);
    fflush(stdout);
}

static void run(bench *b, clip_precision asked)
{
    clip_image_encoder *e;
    if (clip_image_encoder_create(b->model, &(clip_encoder_options){.threads = b->threads, .precision = asked}, &e, &error)) die("");
    clip_precision ran = clip_image_encoder_precision(e);
    if (!b->seen[ran]) {
        double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
        if (clip_image_encode(e, b->rows, b->n, asked == CLIP_F32 ? b->f32 : b->other, &error)) die("");
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, wall = seconds(CLOCK_MONOTONIC) - wall;
        if (asked == CLIP_F32) memcpy(b->other, b->f32, b->n * b->dim * sizeof *b->f32);
        report(b, ran, cpu, wall);
        b->seen[ran] = true;
    }
    clip_image_encoder_destroy(e);
}

int main(int argc, char **argv)
{
    clip_model *m;
    if (argc < 3) die("MODEL PHOTOS [TEXTS [COUNT [THREADS]]]");
    if (clip_model_open(argv[1], &m, &error)) die("");
    const clip_model_info *info = clip_model_describe(m);
    size_t most = argc > 4 ? (size_t)atol(argv[4]) : 1000, row = (size_t)info->image_size * (size_t)info->image_size * 3;
    uint8_t *rows = room(most, row);
    bench b = {.model = m, .rows = rows, .dim = (size_t)info->dim, .threads = argc > 5 ? atoi(argv[5]) : 0};
    b.n = read_photos(m, argv[2], most, rows, row);
    if (b.n < QUERIES) die("too few photos: it takes 100");
    b.f32 = room(b.n * b.dim, sizeof *b.f32);
    b.other = room(b.n * b.dim, sizeof *b.other);
    b.queries = room(QUERIES * b.dim, sizeof *b.queries);
    if (argc > 3 && strcmp(argv[3], "-")) b.texts = encode_texts(m, argv[3], b.queries);
    printf("%s, %s: %zu photos, %zu texts; %s\n\n", info->name, info->image_arch, b.n, b.texts, clip_cpu_describe());
    printf("| ran in | cosine to f32, mean | least | ten best of a text | ten best of a photo | images per CPU second | per second |\n"
           "|---|---|---|---|---|---|---|\n");
    for (clip_precision p = CLIP_F32; p < CLIP_AUTO; p++) run(&b, p);
    free(rows), free(b.f32), free(b.other), free(b.queries);
    clip_model_close(m);
    return 0;
}
