/* encode_dump.c: encode_dump MODEL OUT.f32 [options] [--rows FILE.u8] [--texts FILE]: unit vectors as raw floats, photos'
 * rows and lines of text alike, and what they cost. The scripts that compare with PyTorch run it; so can anyone.
 *
 *     --threads N   --batch N   --precision P   --repeat N: encode N times, print the best */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/clip.h"

static clip_error error;

static void die(const char *what)
{
    fprintf(stderr, "encode_dump: %s %s\n", what, error.text);
    exit(2);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void) { return seconds(CLOCK_MONOTONIC); }

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) die(path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n + 1);
    if (!bytes || fread(bytes, 1, *n, f) != *n) die(path);
    bytes[*n] = 0;
    fclose(f);
    return bytes;
}

/* The kernel's own mark of the resident set; getrusage would count what the parent had before exec. */
static double peak_megabytes(void)
{
    char line[256];
    long kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %ld", &kilobytes);
    if (f) fclose(f);
    return (double)kilobytes / 1024;
}

static void report(const char *what, size_t n, double create, double best, double cpu)
{
    fprintf(stderr, "%s: %zu in %.4f s, %.2f a second; %.3f ms of CPU each; made in %.4f s; peak %.1f MB\n", what, n, best,
            (double)n / best, cpu * 1000 / (double)n, create, peak_megabytes());
}

static void photos(const clip_model *m, const clip_encoder_options *o, const char *path, int repeat, FILE *out)
{
    clip_image_encoder *e;
    size_t bytes, size = (size_t)clip_model_describe(m)->image_size, dim = (size_t)clip_model_describe(m)->dim;
    uint8_t *rows = (uint8_t *)slurp(path, &bytes);
    size_t n = bytes / (size * size * 3);
    float *v = malloc(n * dim * sizeof *v);
    double t0 = now(), best = 1e30, cpu = 1e30;
    if (clip_image_encoder_create(m, o, &e, &error)) die("");
    double create = now() - t0;
    for (int i = 0; i < repeat; i++) {
        double c0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
        t0 = now();
        if (clip_image_encode(e, rows, n, v, &error)) die("");
        if (now() - t0 < best) best = now() - t0;
        if (seconds(CLOCK_PROCESS_CPUTIME_ID) - c0 < cpu) cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - c0;
    }
    report("photos", n, create, best, cpu);
    fwrite(v, sizeof *v, n * dim, out);
    clip_image_encoder_destroy(e);
    free(rows);
    free(v);
}

static void texts(const clip_model *m, const clip_encoder_options *o, const char *path, int repeat, FILE *out)
{
    clip_text_encoder *e;
    size_t bytes, n = 0, dim = (size_t)clip_model_describe(m)->dim;
    char *all = slurp(path, &bytes);
    const char **lines = malloc((bytes + 1) * sizeof *lines);
    for (char *p = strtok(all, "\n"); p; p = strtok(NULL, "\n")) lines[n++] = p;
    float *v = malloc(n * dim * sizeof *v);
    double t0 = now(), best = 1e30, cpu = 1e30;
    if (clip_text_encoder_create(m, o, &e, &error)) die("");
    double create = now() - t0;
    for (int i = 0; i < repeat; i++) {
        double c0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
        t0 = now();
        if (clip_text_encode(e, lines, n, v, &error)) die("");
        if (i == 0) fprintf(stderr, "first pass over the texts: %.4f s\n", now() - t0);
        if (now() - t0 < best) best = now() - t0;
        if (seconds(CLOCK_PROCESS_CPUTIME_ID) - c0 < cpu) cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - c0;
    }
    report("texts", n, create, best, cpu);
    fwrite(v, sizeof *v, n * dim, out);
    clip_text_encoder_destroy(e);
    free(all);
    free(lines);
    free(v);
}

int main(int argc, char **argv)
{
    clip_encoder_options o = {0};
    int repeat = 1;
    clip_model *m;
    if (argc < 3) die("MODEL OUT.f32 [--threads N] [--batch N] [--precision P] [--repeat N] [--rows FILE] [--texts FILE]");
    double t0 = now();
    if (clip_model_open(argv[1], &m, &error)) die("");
    fprintf(stderr, "%s, %s; %s; opened in %.4f s\n", clip_model_describe(m)->image_arch, clip_model_describe(m)->text_arch,
            clip_cpu_describe(), now() - t0);
    FILE *out = fopen(argv[2], "wb");
    if (!out) die(argv[2]);
    for (int i = 3; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--threads")) o.threads = atoi(value);
        else if (!strcmp(argv[i], "--batch")) o.max_batch = atoi(value);
        else if (!strcmp(argv[i], "--repeat")) repeat = atoi(value);
        else if (!strcmp(argv[i], "--precision"))
            for (o.precision = CLIP_F32; o.precision < CLIP_AUTO && strcmp(value, clip_precision_name(o.precision)); o.precision++) {}
        else if (!strcmp(argv[i], "--rows")) photos(m, &o, value, repeat, out);
        else if (!strcmp(argv[i], "--texts")) texts(m, &o, value, repeat, out);
        else die(argv[i]);
    }
    fclose(out);
    clip_model_close(m);
    return 0;
}
