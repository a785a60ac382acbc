/* bench_store.c: how the store grows.
 *
 *   bench_store DB N [DIM]        makes a library of N photos, builds its cache and measures searches
 *   bench_store DB make N MODEL   makes it with the folder MODEL as its model, and leaves it for whoever measures `clipsearch search`
 *   bench_store DB search FILE    one cold search, used by the above: prints milliseconds and the maximum resident set
 *
 * Vectors: a stated generator shaped like real ones (open_clip ViT-B-32/openai on 1,213 photos: mean of length 0.73; half of
 * the variance in 23 directions, 80 % in 105, 95 % in 247). Deviations have variances proportional to 1 / (i + 12)^1.35 along
 * the axes, which are then turned so that all dimensions vary alike; half of the variance belongs to one of N / 25 + 1 scenes, so that
 * photos come in bursts. Questions: photos of unseen scenes; texts as directions without preference with a quarter of their
 * length along the mean. (Real texts rank photos along even directions as well; see store/cache_build.c.) */
#include "engine/clip.h"
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { QUESTIONS = 100, K = 10 };

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

static uint64_t bits(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Nearly normal, unit variance: the sum of four 16-bit numbers. */
static float normal(uint64_t *seed)
{
    uint64_t b = bits(seed);
    int s = (int)(b & 0xffff) + (int)(b >> 16 & 0xffff) + (int)(b >> 32 & 0xffff) + (int)(b >> 48) - 2 * 65535;
    return (float)s * (1.0f / 37836.0f);
}

typedef struct shape { int dim; float *deviation, *mean, *sign; } shape;

static void unit(float *v, int dim)
{
    double s = 0;
    for (int i = 0; i < dim; i++) s += (double)v[i] * v[i];
    float f = (float)(1 / sqrt(s));
    for (int i = 0; i < dim; i++) v[i] *= f;
}

static float *direction(int dim, uint64_t seed)
{
    float *v = malloc((size_t)dim * sizeof *v);
    for (int i = 0; i < dim; i++) v[i] = normal(&seed);
    unit(v, dim);
    return v;
}

static shape make_shape(int dim)
{
    shape s = {.dim = dim, .deviation = malloc((size_t)dim * sizeof(float)), .mean = direction(dim, 1)};
    double total = 0;
    for (int i = 0; i < dim; i++) total += pow(i + 12, -1.35);
    for (int i = 0; i < dim; i++) s.deviation[i] = (float)sqrt(0.46 * pow(i + 12, -1.35) / total);
    s.sign = direction(2 * dim, 10);
    for (int i = 0; i < 2 * dim; i++) s.sign[i] = s.sign[i] < 0 ? -1 : 1;
    return s;
}

/* An orthogonal map that mixes all dimensions: twice, signs, Walsh-Hadamard transforms of blocks, a permutation. */
static void turn(const shape *s, float *v)
{
    int d = s->dim, block = d & -d;
    float scale = 1 / sqrtf((float)block), t[8192];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < d; i++) v[i] *= s->sign[round * d + i];
        for (int b = 0; b < d; b += block)
            for (int h = 1; h < block; h *= 2)
                for (int i = b; i < b + block; i += 2 * h)
                    for (int j = i; j < i + h; j++) {
                        float x = v[j], y = v[j + h];
                        v[j] = x + y;
                        v[j + h] = x - y;
                    }
        for (int i = 0; i < d; i++) t[(int64_t)i * 7919 % d] = v[i] * scale;
        memcpy(v, t, (size_t)d * sizeof *v);
    }
}

static void make_photo(const shape *s, uint64_t number, uint64_t scene, float *v)
{
    uint64_t own = number * 0x2545f4914f6cdd1du + 7, shared = scene * 0x9e3779b97f4a7c15u + 3;
    for (int i = 0; i < s->dim; i++) v[i] = s->deviation[i] * 0.70711f * (normal(&own) + normal(&shared));
    turn(s, v);
    for (int i = 0; i < s->dim; i++) v[i] += 0.734f * s->mean[i];
    unit(v, s->dim);
}

static void make_text(const shape *s, uint64_t number, float *v)
{
    uint64_t seed = number + 1000003;
    for (int i = 0; i < s->dim; i++) v[i] = normal(&seed);
    unit(v, s->dim);
    for (int i = 0; i < s->dim; i++) v[i] = 0.97f * v[i] + 0.25f * s->mean[i];
    unit(v, s->dim);
}

/* ---- filling ----------------------------------------------------------------------------------------------------- */

static int64_t fill(store *s, const shape *g, uint64_t n, store_model m)
{
    store_error e = {{0}};
    int64_t root, model;
    char *prefix, path[64];
    if (store_root_place(s, "/bench", &root, &prefix, &e) || store_model_put(s, &m, &model, &e)) die("start", &e);
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
        make_photo(g, i, i * 2654435761u % (n / 25 + 1), v);
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

typedef struct truth { int dim; const float *q; store_hit (*best)[K]; } truth;

static bool weigh(const int64_t *ids, const float *v, size_t n, void *ctx)
{
    truth *t = ctx;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 2 * QUESTIONS; k++) {
            float s = 0;
            const float *a = v + i * (size_t)t->dim, *b = t->q + k * t->dim;
            for (int j = 0; j < t->dim; j++) s += a[j] * b[j];
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

static void measure(store *s, int64_t model, const shape *g)
{
    store_error e = {{0}};
    float *q = malloc(2 * QUESTIONS * (size_t)g->dim * sizeof *q);
    for (int k = 0; k < QUESTIONS; k++) {
        make_photo(g, (uint64_t)1 << 40 | (uint64_t)k, (uint64_t)1 << 41 | (uint64_t)k, q + k * g->dim);
        make_text(g, (uint64_t)k, q + (QUESTIONS + k) * g->dim);
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

static void cold(const char *self, const char *db, const shape *g)
{
    for (int group = 0; group < 2; group++) {
        char file[4200], command[16000];
        double ms[15];
        long rss = 0;
        snprintf(file, sizeof file, "%s.question", db);
        float *v = malloc((size_t)g->dim * sizeof *v);
        for (int i = 0; i < 15; i++) {
            if (group) make_text(g, 5000 + (uint64_t)i, v);
            else make_photo(g, (uint64_t)1 << 40 | (uint64_t)(5000 + i), (uint64_t)1 << 41 | (uint64_t)(5000 + i), v);
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
        qsort(ms, 15, sizeof *ms, ascending);
        printf("%s questions, a fresh process each: median %.2f ms, best %.2f ms; maximum resident set %ld MB\n",
               group ? "text " : "photo", ms[7], ms[0], rss >> 10);
    }
}

static int make(const char *db, uint64_t n, const char *dir)
{
    clip_error ce = {0};
    store_error e = {{0}};
    clip_model *model;
    store *s;
    char *full = realpath(dir, NULL);
    if (!full || clip_model_open(full, &model, &ce)) return fprintf(stderr, "%s: %s\n", dir, ce.text), 2;
    const clip_model_info *i = clip_model_describe(model);
    store_model m = {.precision = "f32", .dim = i->dim};
    snprintf(m.name, sizeof m.name, "%s", i->name);
    snprintf(m.dir, sizeof m.dir, "%s", full);
    snprintf(m.fingerprint, sizeof m.fingerprint, "%s", i->fingerprint);
    shape g = make_shape(i->dim);
    if (store_open(db, STORE_CREATE, &s, &e)) die("open", &e);
    int64_t id = fill(s, &g, n, m);
    double start = now();
    if (store_cache_update(s, id, true, NULL, NULL, &e)) die("cache", &e);
    printf("cache made in %.1f s\n", now() - start);
    store_close(s);
    clip_model_close(model);
    free(full);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[2], "make")) return make(argv[1], strtoull(argv[3], NULL, 10), argv[4]);
    if (argc == 4 && !strcmp(argv[2], "search")) return cold_search(argv[1], argv[3]);
    if (argc < 3) return fprintf(stderr, "bench_store DB N [DIM]\n"), 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    shape g = make_shape(argc > 3 ? atoi(argv[3]) : 640);
    uint64_t n = strtoull(argv[2], NULL, 10);
    store_error e = {{0}};
    store *s;
    if (store_open(argv[1], STORE_CREATE, &s, &e)) die("open", &e);
    store_model m;
    bool there = !store_model_current(s, &m, NULL) && m.vectors >= (int64_t)n;
    store_model made = {.name = "bench", .dir = "/bench", .fingerprint = "bench", .precision = "f32", .dim = g.dim};
    int64_t model = there ? m.id : fill(s, &g, n, made);
    double start = now();
    if (store_cache_update(s, model, true, NULL, NULL, &e)) die("cache", &e);
    store_cache_info c;
    if (store_cache_describe(s, model, &c, &e)) die("describe", &e);
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    printf("cache %s, %s, %lld MB, made in %.1f s; maximum resident set %ld MB\n", c.kind, c.exact ? "exact" : "not exact",
           (long long)(c.bytes >> 20), now() - start, r.ru_maxrss >> 10);
    measure(s, model, &g);
    store_close(s);
    cold(argv[0], argv[1], &g);
    return 0;
}
