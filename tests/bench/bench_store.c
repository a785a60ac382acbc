/* bench_store.c: how the store grows, and libraries of any size to search in.
 *
 *   bench_store DB make N MODEL [SHAPE [DIR]]     makes a library of N photos, as indexed with the model in folder MODEL, and
 *                                                 its cache: `clipsearch search --db DB` then answers from it. With DIR the
 *                                                 photos' files are made there, 19 bytes each, and `clipsearch index --db DB`
 *                                                 finds them unchanged
 *   bench_store DB measure N MODEL [SHAPE]        the same, and measures searches: recall, time, memory
 *   bench_store DB measure A.npy MODEL TEXTS.npy  with real vectors, of bench_crops with 15 parts; the last 200 photos are
 *                                               left out and asked for instead
 *   bench_store DB search FILE                    one cold search, used by the above: prints milliseconds and maximum resident KB
 *
 * SHAPE is made_vectors.tsv, which made_vectors.h describes (here: tests/bench). Photos come in scenes of 15. Questions: photos
 * of unseen scenes, and texts. A library that is there already is kept. */
#include "engine/clip.h"
#include "store/store.h"

#include "made_vectors.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { QUESTIONS = 200, SCENE = 15, COLD = 15, K = 10 };

static void die(const char *what, const store_error *e)
{
    fprintf(stderr, "%s: %s\n", what, e ? e->text : "failed");
    exit(2);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Where vectors come from: made, or two arrays that NumPy can read. */
typedef struct source {
    int dim;
    uint64_t n;
    made_shape shape;
    float *photos, *texts; /* [n + QUESTIONS * SCENE][dim], [>= QUESTIONS][dim]; NULL: made */
} source;

static float *read_npy(const char *path, int dim, uint64_t *rows)
{
    unsigned char head[10];
    FILE *f = fopen(path, "rb");
    if (!f || fread(head, 10, 1, f) != 1 || memcmp(head, "\x93NUMPY\1", 7)) die(path, NULL);
    long begin = 10 + head[8] + 256 * head[9];
    fseek(f, 0, SEEK_END);
    *rows = (uint64_t)(ftell(f) - begin) / sizeof(float) / (uint64_t)dim;
    fseek(f, begin, SEEK_SET);
    float *v = malloc(*rows * (uint64_t)dim * sizeof *v);
    if (!v || *rows < QUESTIONS || fread(v, sizeof *v * (size_t)dim, *rows, f) != *rows) die(path, NULL);
    fclose(f);
    return v;
}

static void photo_vector(const source *s, uint64_t i, float *v)
{
    uint64_t row = i < s->n ? i : s->n + (i - s->n) * SCENE;
    if (s->photos) memcpy(v, s->photos + row * (uint64_t)s->dim, (size_t)s->dim * sizeof *v);
    else if (i < s->n) made_photo(&s->shape, i, i * 2654435761u % (s->n / SCENE + 1), v);
    else made_photo(&s->shape, (uint64_t)1 << 40 | i, (uint64_t)1 << 41 | i, v);
}

static void text_vector(const source *s, uint64_t i, float *v)
{
    if (s->texts) memcpy(v, s->texts + i * (uint64_t)s->dim, (size_t)s->dim * sizeof *v);
    else made_text(&s->shape, i, v);
}

/* ---- filling ----------------------------------------------------------------------------------------------------- */

/* Makes the photo's file and takes down what the indexer would see of it. */
static void make_file(const char *dir, store_photo *p)
{
    char path[4400];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, p->path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) { /* the first of its folder */
        *strrchr(path, '/') = 0;
        mkdir(path, 0777);
        path[strlen(path)] = '/';
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    if (fd < 0 || write(fd, "\xff\xd8\xff a made picture\n", 19) != 19 || fstat(fd, &st) || close(fd)) die(path, NULL);
    p->size = st.st_size;
    p->mtime_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
    p->inode = st.st_ino;
}

static int64_t fill(store *s, const source *g, store_model m, const char *dir)
{
    uint64_t n = g->n;
    store_error e = {{0}};
    int64_t root, model;
    char *prefix, path[64];
    if (store_root_place(s, dir ? dir : "/bench", &root, &prefix, &e) || store_model_put(s, &m, &model, &e)) die("start", &e);
    float *v = malloc((size_t)g->dim * sizeof *v);
    double made = 0, start = now();
    for (uint64_t i = 0; i < n; i++) {
        if (i % 64 == 0 && store_batch_begin(s, &e)) die("begin", &e);
        snprintf(path, sizeof path, "%04llu/IMG_%07llu.jpg", (unsigned long long)(i / 500), (unsigned long long)i);
        store_photo p = {.root_id = root, .path = path, .size = 3000000 + (int64_t)i, .mtime_ns = 1600000000000000000 + (int64_t)i * 60000000000,
                         .inode = i + 1, .width = 4000, .height = 3000, .format = "jpeg", .taken = "2021-05-06 07:08:09", .camera = "Bench 1"};
        memcpy(p.hash, &i, sizeof i);
        p.hash[15] = 1;
        double t = now();
        if (dir) make_file(dir, &p);
        photo_vector(g, i, v);
        made += now() - t;
        int64_t id;
        if (store_photo_save(s, &p, &id, &e) || store_vector_save(s, id, model, v, &e)) die("save", &e);
        if ((i % 64 == 63 || i == n - 1) && store_batch_commit(s, &e)) die("commit", &e);
    }
    double took = now() - start - made;
    printf("saved %llu photos with vectors in %.1f s (%.0f a second)\n", (unsigned long long)n, took, (double)n / took);
    free(prefix);
    free(v);
    return model;
}

/* ---- searching --------------------------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, int dim)
{
    float part[16] = {0}, sum = 0;
    for (int j = 0; j + 16 <= dim; j += 16)
        for (int l = 0; l < 16; l++) part[l] += a[j + l] * b[j + l];
    for (int j = dim & ~15; j < dim; j++) sum += a[j] * b[j];
    for (int l = 0; l < 16; l++) sum += part[l];
    return sum;
}

typedef struct truth { int dim; const float *q; store_hit (*best)[K]; } truth;

static bool weigh(const int64_t *ids, const float *v, size_t n, void *ctx)
{
    truth *t = ctx;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 2 * QUESTIONS; k++) {
            float s = dot(v + i * (size_t)t->dim, t->q + k * t->dim, t->dim);
            store_hit *h = t->best[k];
            if (s <= h[K - 1].score) continue;
            int at = K - 1;
            for (; at > 0 && h[at - 1].score < s; at--) h[at] = h[at - 1];
            h[at] = (store_hit){ids[i], s};
        }
    return true;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(store *s, int64_t model, const source *g)
{
    store_error e = {{0}};
    float *q = malloc(2 * QUESTIONS * (size_t)g->dim * sizeof *q);
    for (int k = 0; k < QUESTIONS; k++) {
        photo_vector(g, g->n + (uint64_t)k, q + k * g->dim);
        text_vector(g, (uint64_t)k, q + (QUESTIONS + k) * g->dim);
    }
    store_hit (*best)[K] = calloc(2 * QUESTIONS, sizeof *best);
    for (int k = 0; k < 2 * QUESTIONS; k++)
        for (int j = 0; j < K; j++) best[k][j].score = -2;
    truth t = {g->dim, q, best};
    double start = now();
    if (store_vectors_each(s, model, NULL, weigh, &t, &e)) die("read", &e);
    fflush(stdout);
    printf("truth by reading everything: %.1f s\n", now() - start);
    for (int group = 0; group < 2; group++) {
        double ms[QUESTIONS];
        int hit = 0;
        for (int k = 0; k < QUESTIONS; k++) {
            store_hit h[K];
            size_t n;
            int number = group * QUESTIONS + k;
            start = now();
            if (store_search(s, model, q + number * g->dim, K, NULL, h, &n, &e)) die("search", &e);
            ms[k] = 1e3 * (now() - start);
            for (size_t i = 0; i < n; i++)
                for (int j = 0; j < K; j++) hit += h[i].photo_id == best[number][j].photo_id;
        }
        qsort(ms, QUESTIONS, sizeof *ms, ascending);
        printf("%s questions: recall@10 %.4f; warm search, median %.2f ms, 95 %% %.2f ms\n", group ? "text " : "photo",
               hit / (double)(QUESTIONS * K), ms[QUESTIONS / 2], ms[QUESTIONS * 95 / 100]);
    }
    free(best);
    free(q);
}

static int cold_search(const char *db, const char *file)
{
    double start = now();
    store_error e = {{0}};
    store *s;
    store_model m;
    store_hit h[K];
    size_t n;
    FILE *f = fopen(file, "rb");
    static float q[8192];
    if (!f || store_open(db, STORE_READ, &s, &e) || store_model_current(s, &m, &e)) die("open", &e);
    if (fread(q, sizeof *q, (size_t)m.dim, f) != (size_t)m.dim) die("question", NULL);
    fclose(f);
    if (store_search(s, m.id, q, K, NULL, h, &n, &e)) die("search", &e);
    store_close(s);
    double took = 1e3 * (now() - start);
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    printf("%.2f %ld\n", took, r.ru_maxrss);
    return 0;
}

static void cold(const char *self, const char *db, const source *g)
{
    for (int group = 0; group < 2; group++) {
        char file[4200], command[16000];
        double ms[COLD];
        long rss = 0;
        snprintf(file, sizeof file, "%s.question", db);
        float *v = malloc((size_t)g->dim * sizeof *v);
        for (int i = 0; i < COLD; i++) {
            if (group) text_vector(g, (uint64_t)i, v);
            else photo_vector(g, g->n + (uint64_t)i, v);
            FILE *f = fopen(file, "wb");
            if (!f || fwrite(v, sizeof *v, (size_t)g->dim, f) != (size_t)g->dim || fclose(f)) die(file, NULL);
            snprintf(command, sizeof command, "'%s' '%s' search '%s'", self, db, file);
            FILE *p = popen(command, "r");
            long r;
            if (!p || fscanf(p, "%lf %ld", &ms[i], &r) != 2 || pclose(p)) die("cold search", NULL);
            if (r > rss) rss = r;
        }
        unlink(file);
        free(v);
        qsort(ms, COLD, sizeof *ms, ascending);
        printf("%s questions, a fresh process each: median %.2f ms, best %.2f ms; maximum resident set %ld MB\n",
               group ? "text " : "photo", ms[COLD / 2], ms[0], rss >> 10);
    }
}

static void open_source(const char *what, const char *more, int dim, source *g)
{
    uint64_t texts;
    *g = (source){.dim = dim, .n = strtoull(what, NULL, 10)};
    if (strstr(what, ".npy")) {
        g->photos = read_npy(what, dim, &g->n);
        g->texts = read_npy(more, dim, &texts);
        if (g->n <= QUESTIONS * SCENE) die(what, NULL);
        g->n -= QUESTIONS * SCENE;
    } else if (!made_shape_open(more, dim, &g->shape)) die(more, NULL);
}

static store_model model_row(const char *dir)
{
    clip_error e = {0};
    clip_model *files;
    char *full = realpath(dir, NULL);
    if (!full || clip_model_open(full, &files, &e)) {
        fprintf(stderr, "%s: %s\n", dir, e.text);
        exit(2);
    }
    const clip_model_info *i = clip_model_describe(files);
    store_model m = {.precision = "f32", .dim = i->dim};
    snprintf(m.name, sizeof m.name, "%s", i->name);
    snprintf(m.dir, sizeof m.dir, "%s", full);
    snprintf(m.fingerprint, sizeof m.fingerprint, "%s", i->fingerprint);
    clip_model_close(files);
    free(full);
    return m;
}

static void make_cache(store *s, int64_t model)
{
    store_error e = {{0}};
    store_cache_info c;
    struct rusage r;
    double start = now();
    if (store_cache_update(s, model, false, NULL, NULL, &e)) die("cache", &e);
    double took = now() - start;
    if (store_cache_describe(s, model, &c, &e)) die("describe", &e);
    getrusage(RUSAGE_SELF, &r);
    if (c.exists) printf("cache %s, %lld MB, ", c.kind, (long long)(c.bytes >> 20));
    else printf("no cache: every search reads all vectors, ");
    printf("made in %.1f s; maximum resident set %ld MB\n", took, r.ru_maxrss >> 10);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[2], "search")) return cold_search(argv[1], argv[3]);
    bool measured = argc >= 5 && !strcmp(argv[2], "measure");
    if (argc < 5 || (!measured && strcmp(argv[2], "make")))
        return fprintf(stderr, "bench_store DB make|measure N|A.npy MODEL [SHAPE|TEXTS.npy [DIR]]\n"), 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    store_error e = {{0}};
    store *s;
    source g;
    store_model wanted = model_row(argv[4]), m;
    open_source(argv[3], argc > 5 ? argv[5] : "tests/bench/made_vectors.tsv", wanted.dim, &g);
    if (store_open(argv[1], STORE_CREATE, &s, &e)) die("open", &e);
    bool there = !store_model_current(s, &m, NULL) && m.vectors >= (int64_t)g.n;
    char *dir = argc > 6 ? realpath(argv[6], NULL) : NULL;
    int64_t model = there ? m.id : fill(s, &g, wanted, dir);
    make_cache(s, model);
    if (measured) measure(s, model, &g);
    store_close(s);
    if (measured) cold(argv[0], argv[1], &g);
    made_shape_close(&g.shape);
    free(g.photos);
    free(g.texts);
    free(dir);
    return 0;
}
