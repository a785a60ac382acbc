/* roofline.c: see roofline.h. The product is the engine's own call, so the roofline is what its layers could reach if nothing lay
 * between two products. */
#include "tests/bench/roofline.h"

#include "engine/clip.h"
#include "engine/math/arena.h"
#include "engine/math/dnn.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double bench_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_now(void) { return bench_seconds(CLOCK_MONOTONIC); }

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* The kernel's own mark; getrusage would count what the parent had before exec. */
double bench_peak_megabytes(void)
{
    char line[256];
    long kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %ld", &kilobytes);
    if (f) fclose(f);
    return (double)kilobytes / 1024;
}

void bench_figure(const char *name, double value, const char *unit, const char *remark, ...)
{
    char text[512];
    va_list a;
    va_start(a, remark);
    vsnprintf(text, sizeof text, remark, a);
    va_end(a);
    printf("%s\t%.5g\t%s\t%s\n", name, value, unit, text);
    fflush(stdout);
}

void bench_machine(void)
{
    char line[256], name[200] = "unknown CPU";
    double load = 0;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %199[^\n]", name) == 1) break;
    if (f) fclose(f);
    if (getloadavg(&load, 1) < 1) load = -1;
    fprintf(stderr, "%s (%s), %ld cores, load %.1f\n", name, clip_cpu_describe(), sysconf(_SC_NPROCESSORS_ONLN), load);
}

void bench_die(const char *format, ...)
{
    va_list a;
    va_start(a, format);
    vfprintf(stderr, format, a);
    va_end(a);
    fputc('\n', stderr);
    exit(2);
}

/* ---- threads that start together ------------------------------------------------------------------------------------- */

typedef struct share {
    void (*work)(void *what);
    void *what;
    pthread_barrier_t *start;
    double took;
} share;

static void *run_share(void *argument)
{
    share *s = argument;
    pthread_barrier_wait(s->start);
    double begin = bench_seconds(CLOCK_THREAD_CPUTIME_ID);
    s->work(s->what);
    s->took = bench_seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    return NULL;
}

/* Seconds of the slowest thread, by its own clock: the work has no waits, and what else runs on the machine is not counted, so
 * that the roofline is never too low. `size`: bytes from one thread's `what` to the next one's. */
static double together(int threads, void (*work)(void *), void *what, size_t size)
{
    pthread_t *id = malloc((size_t)threads * sizeof *id);
    share *s = malloc((size_t)threads * sizeof *s);
    pthread_barrier_t start;
    if (!id || !s || pthread_barrier_init(&start, NULL, (unsigned)threads)) bench_die("out of memory");
    for (int i = 0; i < threads; i++) {
        s[i] = (share){work, (char *)what + (size_t)i * size, &start, 0};
        if (pthread_create(&id[i], NULL, run_share, &s[i])) bench_die("no thread could be started");
    }
    for (int i = 0; i < threads; i++) pthread_join(id[i], NULL);
    double took = 0;
    for (int i = 0; i < threads; i++) took = s[i].took > took ? s[i].took : took;
    pthread_barrier_destroy(&start);
    free(id);
    free(s);
    return took;
}

/* ---- products -------------------------------------------------------------------------------------------------------- */

typedef struct product {
    clip_dnn *dnn;
    clip_matmul *matmul;
    clip_packed *weights;
    void *x, *y, *scratch;
    int times;
} product;

static void multiply(void *what)
{
    product *p = what;
    clip_dnn_use_threads(1);
    for (int i = 0; i < p->times; i++)
        if (!clip_matmul_run(p->matmul, p->weights, p->x, p->y, p->scratch)) bench_die("a product failed");
}

static void make_product(product *p, const clip_matmul_spec *s)
{
    clip_error e = {0};
    size_t rows = (size_t)s->rows, in = (size_t)s->in, out = (size_t)s->out;
    float *w = calloc(in * out, sizeof *w);
    for (size_t i = 0; w && i < in * out; i++) w[i] = (float)(i % 13) * 0.01f;
    if (!w || clip_dnn_create(&p->dnn, &e) || clip_matmul_create(p->dnn, s, NULL, &p->matmul, &e) ||
        clip_packed_create(p->matmul, w, NULL, &p->weights, &e))
        bench_die("%s", e.text);
    p->x = clip_aligned_alloc(rows * in * sizeof(float));
    p->y = clip_aligned_alloc(rows * out * sizeof(float));
    p->scratch = clip_aligned_alloc(clip_matmul_scratch(p->matmul));
    if (!p->x || !p->y || !p->scratch) bench_die("out of memory");
    memset(p->x, 0, rows * in * sizeof(float));
    free(w);
}

static void free_product(product *p)
{
    clip_packed_destroy(p->weights);
    clip_matmul_destroy(p->matmul);
    clip_dnn_destroy(p->dnn);
    free(p->x);
    free(p->y);
    free(p->scratch);
}

static double measure_shape(int threads, clip_type type, int rows, int in, int out)
{
    clip_matmul_spec s = {.rows = rows, .in = in, .out = out, .type = type, .y_type = CLIP_T_F32};
    product *p = calloc((size_t)threads, sizeof *p);
    double ops = 2.0 * rows * in * out * threads, best = 0;
    if (!p) bench_die("out of memory");
    int before = clip_dnn_use_threads(1);
    for (int i = 0; i < threads; i++) make_product(&p[i], &s);
    for (int i = 0; i < threads; i++) p[i].times = 2;
    double once = together(threads, multiply, p, sizeof *p) / 2;
    int times = (int)(0.05 / once) + 1;
    for (int i = 0; i < threads; i++) p[i].times = times;
    for (int round = 0; round < 5; round++) {
        double rate = ops * times / together(threads, multiply, p, sizeof *p);
        if (rate > best) best = rate;
    }
    for (int i = 0; i < threads; i++) free_product(&p[i]);
    clip_dnn_use_threads(before);
    free(p);
    return best;
}

double roofline_gemm(int threads, clip_type type)
{
    static const int shapes[][3] = {{400, 768, 2304}, {400, 768, 768}, {400, 768, 3072}, {400, 3072, 768}};
    double best = 0;
    if (type == CLIP_T_BF16 && !clip_dnn_has_bf16()) return 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int part = 1; part <= 4; part *= 4) {
            double rate = measure_shape(threads, type, shapes[i][0] / part, shapes[i][1], shapes[i][2]);
            if (rate > best) best = rate;
        }
    return best;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------- */

enum { PIECE = 256 << 20 };

typedef struct reader { const uint64_t *bytes; uint64_t sum; } reader;

static void read_piece(void *what)
{
    reader *r = what;
    uint64_t s[8] = {0};
    for (size_t i = 0; i < PIECE / sizeof *r->bytes; i += 8)
        for (int j = 0; j < 8; j++) s[j] += r->bytes[i + (size_t)j];
    for (int j = 0; j < 8; j++) r->sum += s[j];
}

double roofline_bandwidth(int threads)
{
    reader *r = calloc((size_t)threads, sizeof *r);
    uint64_t *all = malloc((size_t)threads * PIECE);
    double best = 0;
    if (!r || !all) bench_die("out of memory");
    memset(all, 1, (size_t)threads * PIECE);
    for (int i = 0; i < threads; i++) r[i].bytes = all + (size_t)i * (PIECE / sizeof *all);
    for (int round = 0; round < 5; round++) {
        double rate = (double)threads * PIECE / together(threads, read_piece, r, sizeof *r);
        if (rate > best) best = rate;
    }
    if (r[0].sum == 1) puts(""); /* so that the reading is not left out */
    free(all);
    free(r);
    return best;
}
