/* bench_text.c: a text tower alone, as a search uses it: one text, in a process that has just begun; then again and again; then many.
 *
 *     bench_text MODEL [--threads N] [--rounds N] [--dump PREFIX] [TEXT...]
 *
 * One text is bound by memory, for every weight is used for a few tokens: its share is the weights' bytes a second of what
 * the machine reads from memory in the same run. Many texts at once are bound by products: their share is that of the f32 product.
 * --dump writes PREFIX.ids (a line of token ids a text) and PREFIX.vectors (floats) for a peer to encode the same. */
#include "tests/bench/roofline.h"

#include "engine/clip.h"
#include "engine/model/model.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS_MOST = 1000, IDS_MOST = 4096, MANY = 64 };

static const char *const own_texts[] = {"a photo of a dog", "a red bus on a bridge", "two children at the beach", "a bird on a tree trunk",
                                        "mountains behind a lake at sunset", "a guitar", "people at a table with food and glasses", "snow"};

static double view_bytes(clip_view v) { return (double)v.count * (double)clip_type_size(v.type); }

/* What one text reads of the weights: all but the embeddings of the tokens that it does not have. */
static double weight_bytes(const clip_model *m)
{
    const clip_text_weights *t = &m->text;
    double n = view_bytes(t->projection.w);
    for (int i = 0; i < m->config.text.stack.layers; i++) {
        const clip_block_weights *b = &t->blocks[i];
        for (int j = 0; j < 3; j++) n += view_bytes(b->qkv[j]);
        n += view_bytes(b->out) + view_bytes(b->fc1) + view_bytes(b->fc2);
    }
    return n;
}

/* Of the blocks' products; attention among a dozen tokens is next to nothing. */
static double token_operations(const clip_model *m)
{
    const clip_stack_config *s = &m->config.text.stack;
    return 2.0 * s->layers * (4.0 * s->width * s->width + 2.0 * s->width * s->mlp);
}

static size_t count_tokens(const clip_model *m, const char *const *texts, int n)
{
    static int32_t ids[IDS_MOST];
    size_t all = 0, one;
    clip_error e = {0};
    for (int i = 0; i < n; i++) {
        if (clip_tokenize(m, texts[i], ids, IDS_MOST, &one, &e)) bench_die("%s", e.text);
        all += one;
    }
    return all;
}

static clip_text_encoder *make_encoder(const clip_model *m, int threads, int batch)
{
    clip_error e = {0};
    clip_text_encoder *t;
    if (clip_text_encoder_create(m, &(clip_encoder_options){.threads = threads, .max_batch = batch}, &t, &e)) bench_die("%s", e.text);
    return t;
}

static double encode(clip_text_encoder *t, const char *const *texts, int n, float *out)
{
    clip_error e = {0};
    double start = bench_now();
    if (clip_text_encode(t, texts, (size_t)n, out, &e)) bench_die("%s", e.text);
    return bench_now() - start;
}

static void measure_one(const clip_model *m, int threads, const char *const *texts, int n, int rounds, float *out)
{
    double took[ROUNDS_MOST], start = bench_now(), bytes = weight_bytes(m);
    clip_text_encoder *t = make_encoder(m, threads, 1);
    double made = bench_now() - start;
    bench_figure("first", 1e3 * (made + encode(t, texts, 1, out)), "ms", "encoder made in %.2f ms, and the first text", 1e3 * made);
    double first_peak = bench_peak_megabytes();
    for (int i = 0; i < rounds; i++) took[i] = encode(t, &texts[i % n], 1, out);
    double median = bench_median(took, rounds), memory = roofline_bandwidth(threads);
    bench_figure("text", 1e3 * median, "ms", "median of %d, one at a time; %.1f tokens on average", rounds, (double)count_tokens(m, texts, n) / n);
    bench_figure("memory", memory / 1e9, "GB/s", "%d threads: the roofline", threads);
    bench_figure("share", 100 * bytes / median / memory, "%", "of it: %.1f MB of weights a text", bytes / 1e6);
    bench_figure("peak", first_peak, "MB", "after the first text");
    clip_text_encoder_destroy(t);
}

static void measure_many(const clip_model *m, int threads, const char *const *texts, int n)
{
    const char *many[MANY];
    size_t dim = (size_t)clip_model_describe(m)->dim;
    float *out = malloc(MANY * dim * sizeof *out);
    double took[20];
    if (!out) bench_die("out of memory");
    for (int i = 0; i < MANY; i++) many[i] = texts[i % n];
    clip_text_encoder *t = make_encoder(m, threads, MANY);
    for (int i = 0; i < 20; i++) took[i] = encode(t, many, MANY, out);
    double median = bench_median(took, 20), gemm = roofline_gemm(threads, CLIP_T_F32);
    double ops = token_operations(m) * (double)count_tokens(m, many, MANY);
    bench_figure("texts", MANY / median, "/s", "%d at once, %d threads", MANY, threads);
    bench_figure("gemm_f32", gemm / 1e9, "Gop/s", "the roofline");
    bench_figure("share_many", 100 * ops / median / gemm, "%", "of it");
    clip_text_encoder_destroy(t);
    free(out);
}

static void dump(const clip_model *m, const char *prefix, const char *const *texts, int n)
{
    static int32_t ids[IDS_MOST];
    char path[4200];
    size_t dim = (size_t)clip_model_describe(m)->dim, length;
    clip_error e = {0};
    float *out = malloc((size_t)n * dim * sizeof *out);
    clip_text_encoder *t = make_encoder(m, 1, n);
    if (!out) bench_die("out of memory");
    encode(t, texts, n, out);
    snprintf(path, sizeof path, "%s.vectors", prefix);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(out, dim * sizeof *out, (size_t)n, f) != (size_t)n || fclose(f)) bench_die("%s: cannot be written", path);
    snprintf(path, sizeof path, "%s.ids", prefix);
    if (!(f = fopen(path, "w"))) bench_die("%s: cannot be written", path);
    for (int i = 0; i < n; i++) {
        if (clip_tokenize(m, texts[i], ids, IDS_MOST, &length, &e)) bench_die("%s", e.text);
        for (size_t j = 0; j < length; j++) fprintf(f, "%d%c", ids[j], j + 1 < length ? ' ' : '\n');
    }
    if (fclose(f)) bench_die("%s: cannot be written", path);
    clip_text_encoder_destroy(t);
    free(out);
}

int main(int argc, char **argv)
{
    int threads = (int)sysconf(_SC_NPROCESSORS_ONLN), rounds = 50, i = 2;
    const char *prefix = NULL, *const *texts = own_texts;
    int n = (int)(sizeof own_texts / sizeof *own_texts);
    clip_error err = {0};
    clip_model *m;
    if (argc < 2) bench_die("bench_text MODEL [--threads N] [--rounds N] [--dump PREFIX] [TEXT...]");
    for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
        if (!strcmp(argv[i], "--threads")) threads = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--rounds")) rounds = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--dump")) prefix = argv[i + 1];
        else bench_die("unknown option %s", argv[i]);
    }
    if (threads < 1 || rounds < 1 || rounds > ROUNDS_MOST) bench_die("a number is out of range");
    if (argc > i) texts = (const char *const *)argv + i, n = argc - i;
    double start = bench_now();
    if (clip_model_open(argv[1], &m, &err)) bench_die("%s", err.text);
    bench_machine();
    float *out = malloc((size_t)clip_model_describe(m)->dim * sizeof *out);
    if (!out) bench_die("out of memory");
    bench_figure("opened", 1e3 * (bench_now() - start), "ms", "%s", clip_model_describe(m)->text_arch);
    measure_one(m, threads, texts, n, rounds, out);
    measure_many(m, threads, texts, n);
    if (prefix) dump(m, prefix, texts, n);
    free(out);
    clip_model_close(m);
    return 0;
}
