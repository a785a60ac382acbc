/* bench_tower.c: an image tower alone, beside the roofline of this machine in the same run.
 *
 *     bench_tower MODEL [--threads N] [--batch N] [--precision f32|bf16|int16|int8|auto] [--rounds N] [--dump PREFIX] [PHOTO...]
 *
 * One call encodes a batch (8); a round is half a second of calls (7 rounds; the median counts). The roofline is measured before
 * and after the rounds, and the better one counts. Without photos the rows are noise, which costs the same. --dump writes PREFIX.rows (bytes) and PREFIX.vectors
 * (floats) of the batch, for a peer to encode the same.
 *
 * Operations of an image are counted layer by layer from the model's configuration, a multiplication and an addition as two. `nominal`
 * counts the whole tower as papers do, `done` what this program computes: of a ViT's last block only the class token's row is used,
 * so the others are not computed. Convolutions count without their zero borders left out. */
#include "tests/bench/roofline.h"

#include "engine/clip.h"
#include "engine/model/model.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH_MOST = 256, ROUNDS_MOST = 100 };

typedef struct options { clip_encoder_options encoder; int rounds; const char *dump; } options;

/* ---- operations ------------------------------------------------------------------------------------------------------ */

typedef struct operations { double nominal, done; } operations;

static operations count_vit(const clip_config *c)
{
    const clip_stack_config *s = &c->image.stack;
    double w = s->width, m = s->mlp, side = c->image.size / c->image.patch, patches = side * side, t = 1 + patches;
    double ends = patches * 3 * c->image.patch * c->image.patch * w + w * c->dim;
    double block = t * (4 * w * w + 2 * w * m) + 2 * t * t * w;
    double last = t * 2 * w * w + 2 * w * w + 2 * w * m + 2 * t * w;
    return (operations){2 * (ends + s->layers * block), 2 * (ends + (s->layers - 1) * block + last)};
}

static double count_conv(const clip_conv_weights *c, int *side)
{
    if (!c->out) return 0;
    *side = (*side + c->stride - 1) / c->stride;
    return (double)*side * *side * (double)c->w.count;
}

static operations count_efficientnet(const clip_model *m)
{
    const clip_efficientnet_weights *w = &m->efficientnet;
    int side = m->config.image.size;
    double n = count_conv(&w->stem, &side);
    for (int i = 0; i < w->count; i++) {
        n += count_conv(&w->blocks[i].expand, &side);
        n += count_conv(&w->blocks[i].depthwise, &side);
        n += count_conv(&w->blocks[i].shrink, &side);
    }
    n += count_conv(&w->head, &side) + (double)w->fc1.count + (double)w->fc2.count;
    return (operations){2 * n, 2 * n};
}

static operations count(const clip_model *m)
{
    if (m->config.image.kind == CLIP_IMAGE_VIT) return count_vit(&m->config);
    if (m->config.image.kind == CLIP_IMAGE_EFFICIENTNET_LITE) return count_efficientnet(m);
    return (operations){0, 0};
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static void read_photo(const clip_model *m, const char *path, uint8_t *row)
{
    clip_error e = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || clip_file_read(fd, path, NULL, &bytes, &n, &e) || clip_photo_to_row(m, bytes, n, NULL, row, NULL, &e))
        bench_die("%s: %s", path, fd < 0 ? "cannot be opened" : e.text);
    free(bytes);
    close(fd);
}

static uint8_t *make_rows(const clip_model *m, size_t row, int batch, char **photos, int n_photos)
{
    uint8_t *rows = malloc(row * (size_t)batch);
    uint32_t seed = 1;
    if (!rows) bench_die("out of memory");
    for (size_t i = 0; i < row * (size_t)batch; i++) rows[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (int i = 0; i < batch && i < n_photos; i++) read_photo(m, photos[i], rows + row * (size_t)i);
    return rows;
}

static void dump(const char *prefix, const char *end, const void *bytes, size_t n)
{
    char path[4200];
    snprintf(path, sizeof path, "%s.%s", prefix, end);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) bench_die("%s: cannot be written", path);
}

/* ---- measuring ------------------------------------------------------------------------------------------------------- */

typedef struct pace { double images, cpu; } pace; /* a second, and seconds of a core for one */

static pace run_round(clip_image_encoder *e, const uint8_t *rows, int batch, float *out)
{
    clip_error err = {0};
    double start = bench_now(), cpu = bench_seconds(CLOCK_PROCESS_CPUTIME_ID), end;
    int calls = 0;
    do {
        if (clip_image_encode(e, rows, (size_t)batch, out, &err)) bench_die("%s", err.text);
        calls++;
        end = bench_now();
    } while (end - start < 0.5);
    return (pace){calls * batch / (end - start), (bench_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (calls * batch)};
}

static void measure(const clip_model *m, const options *o, const uint8_t *rows)
{
    clip_error err = {0};
    clip_image_encoder *e;
    int batch = o->encoder.max_batch, threads = o->encoder.threads;
    size_t dim = (size_t)clip_model_describe(m)->dim;
    float *out = malloc((size_t)batch * dim * sizeof *out);
    double rate[ROUNDS_MOST], cpu[ROUNDS_MOST], start = bench_now();
    if (!out || clip_image_encoder_create(m, &o->encoder, &e, &err)) bench_die("%s", err.text);
    const char *precision = clip_precision_name(clip_image_encoder_precision(e));
    bench_figure("created", 1e3 * (bench_now() - start), "ms", "%s in %s", clip_model_describe(m)->image_arch, precision);
    run_round(e, rows, batch, out);
    double best = roofline_gemm(threads, CLIP_T_F32);
    for (int i = 0; i < o->rounds; i++) {
        pace p = run_round(e, rows, batch, out);
        rate[i] = p.images, cpu[i] = p.cpu;
    }
    double again = roofline_gemm(threads, CLIP_T_F32), median = bench_median(rate, o->rounds), core = bench_median(cpu, o->rounds);
    operations ops = count(m);
    if (again > best) best = again;
    bench_figure("images", median, "/s", "%s, batch %d, %d threads, best %.2f", precision, batch, threads, rate[o->rounds - 1]);
    bench_figure("cpu", 1e3 * core, "ms", "of one core for an image");
    bench_figure("gemm_f32", best / 1e9, "Gop/s", "the roofline");
    if (ops.done > 0)
        bench_figure("share", 100 * median * ops.done / best, "%", "of it, by the %.3f Gop an image that are computed; %.1f %% by the nominal %.3f",
                     ops.done / 1e9, 100 * median * ops.nominal / best, ops.nominal / 1e9);
    if (ops.done > 0) bench_figure("share_cpu", 100 * ops.done / core / (best / threads), "%", "the same by the cores' own clocks: what a busy machine takes away is not counted");
    bench_figure("peak", bench_peak_megabytes(), "MB", "this process, roofline included");
    if (o->dump) dump(o->dump, "vectors", out, (size_t)batch * dim * sizeof *out);
    clip_image_encoder_destroy(e);
    free(out);
}

static clip_precision precision_of(const char *name)
{
    for (clip_precision p = CLIP_F32; p <= CLIP_AUTO; p++)
        if (!strcmp(name, clip_precision_name(p))) return p;
    bench_die("unknown precision %s", name);
}

static int parse(int argc, char **argv, options *o)
{
    int i = 2;
    for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
        const char *v = argv[i + 1];
        if (!strcmp(argv[i], "--threads")) o->encoder.threads = atoi(v);
        else if (!strcmp(argv[i], "--batch")) o->encoder.max_batch = atoi(v);
        else if (!strcmp(argv[i], "--rounds")) o->rounds = atoi(v);
        else if (!strcmp(argv[i], "--dump")) o->dump = v;
        else if (!strcmp(argv[i], "--precision")) o->encoder.precision = precision_of(v);
        else bench_die("unknown option %s", argv[i]);
    }
    bool fits = o->encoder.threads > 0 && o->encoder.max_batch > 0 && o->encoder.max_batch <= BATCH_MOST && o->rounds > 0 && o->rounds <= ROUNDS_MOST;
    if (!fits) bench_die("a number is out of range");
    return i;
}

int main(int argc, char **argv)
{
    options o = {.encoder = {.threads = (int)sysconf(_SC_NPROCESSORS_ONLN), .max_batch = 8}, .rounds = 7};
    clip_error err = {0};
    clip_model *m;
    if (argc < 2) bench_die("bench_tower MODEL [--threads N] [--batch N] [--precision P] [--rounds N] [--dump PREFIX] [PHOTO...]");
    int first = parse(argc, argv, &o);
    if (clip_model_open(argv[1], &m, &err)) bench_die("%s", err.text);
    bench_machine();
    size_t side = (size_t)clip_model_describe(m)->image_size, row = side * side * 3;
    uint8_t *rows = make_rows(m, row, o.encoder.max_batch, argv + first, argc - first);
    if (o.dump) dump(o.dump, "rows", rows, row * (size_t)o.encoder.max_batch);
    measure(m, &o, rows);
    free(rows);
    clip_model_close(m);
    return 0;
}
