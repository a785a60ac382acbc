/* test_towers.c: every layer of every kind of tower gives what PyTorch gives, in both file forms and all weight types.
 *
 * Measured with AVX-512 against PyTorch in f64: the largest error of a layer is 1e-6 of its largest number in the
 * transformers; in an EfficientNet it grows with depth, because a random network without its trained norms amplifies every
 * rounding, up to 2e-4 behind 33 blocks. The limits below leave that room and no more. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/math/dnn.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"
#include "made_model.h"

#define LEAST_COSINE 0.999999
#define MOST_ERROR 5e-4        /* of the layer's largest number; 1e-5 in a transformer */

#define MOST_LAYERS 64

/* What the taps of one run gave: layer by layer, an image's rows behind those of the image before. */
typedef struct watcher {
    const char *tower; /* "image" or "text" */
    made_reference reference;
    struct {
        char name[32];
        float *x;
        size_t rows, width;
    } layers[MOST_LAYERS];
    int next, count;
    double least_cosine, most_error;
} watcher;

/* A tower that takes images one at a time comes by with each of them; every image begins with its embedding. */
static void tap(void *context, const char *layer, const float *x, size_t rows, size_t width)
{
    watcher *w = context;
    if (!strcmp(layer, "embedding")) w->next = 0;
    assert_true(w->next < MOST_LAYERS);
    int i = w->next++;
    if (i == w->count) w->count++;
    snprintf(w->layers[i].name, sizeof w->layers[i].name, "%s", layer);
    w->layers[i].x = realloc(w->layers[i].x, (w->layers[i].rows + rows) * width * sizeof *x);
    memcpy(w->layers[i].x + w->layers[i].rows * width, x, rows * width * sizeof *x);
    w->layers[i].rows += rows;
    w->layers[i].width = width;
}

static void compare(watcher *w, const char *layer, const float *x, size_t rows, size_t width)
{
    made_record r;
    char name[16] = {0};
    snprintf(name, sizeof name, "%s.%s", w->tower, layer);
    do assert_true(made_reference_next(&w->reference, &r)); /* the reference has both towers, image first */
    while (strncmp(r.name, w->tower, strlen(w->tower)));
    assert_memory_equal(r.name, name, sizeof name);
    assert_int_equal(r.rows, rows);
    assert_int_equal(r.width, width);
    double dot = 0, xx = 0, yy = 0, error = 0, largest = 0;
    for (uint32_t j = 0; j < r.n; j++) {
        double a = x[(uint64_t)j * rows * width / r.n], b = r.values[j];
        dot += a * b, xx += a * a, yy += b * b;
        error = fmax(error, fabs(a - b));
        largest = fmax(largest, fabs(b));
    }
    double cosine = dot / sqrt(xx * yy);
    if (!(cosine >= LEAST_COSINE && error <= MOST_ERROR * largest))
        fail_msg("%s of %zu x %zu: cosine %.8f, error %.2e of %.2e", name, rows, width, cosine, error, largest);
    w->least_cosine = fmin(w->least_cosine, cosine);
    w->most_error = fmax(w->most_error, error / largest);
}

static void compare_all(watcher *w)
{
    for (int i = 0; i < w->count; i++) {
        compare(w, w->layers[i].name, w->layers[i].x, w->layers[i].rows, w->layers[i].width);
        free(w->layers[i].x);
    }
}

static void unit(float *v, size_t n, size_t dim)
{
    for (size_t i = 0; i < n; i++, v += dim) {
        double s = 0;
        for (size_t d = 0; d < dim; d++) s += (double)v[d] * v[d];
        for (size_t d = 0; d < dim; d++) v[d] = (float)(v[d] / sqrt(s));
    }
}

static void image_tower(const clip_model *m, const clip_tower_options *o, watcher *w)
{
    clip_error err = {0};
    clip_image_tower *t;
    const clip_image_tower_kind *kind = clip_image_tower_of(m->config.image.kind);
    float *v = malloc(MADE_IMAGES * (size_t)m->config.dim * sizeof *v);
    uint8_t *images = made_images(m->config.image.size);
    if (kind->create(m, o, &t, &err)) fail_msg("%s", err.text);
    assert_true(kind->run(t, 0, images, MADE_IMAGES, v));
    unit(v, MADE_IMAGES, (size_t)m->config.dim);
    compare_all(w);
    compare(w, "vector", v, MADE_IMAGES, (size_t)m->config.dim);
    kind->destroy(t);
    free(images);
    free(v);
}

static void text_tower(const clip_model *m, const clip_tower_options *o, watcher *w)
{
    clip_error err = {0};
    clip_text_tower *t;
    float *v = malloc(MADE_TEXTS * (size_t)m->config.dim * sizeof *v);
    int32_t ids[MADE_TEXTS * 16];
    int starts[MADE_TEXTS + 1] = {0};
    for (int i = 0; i < MADE_TEXTS; i++) {
        size_t n;
        if (clip_tokenize(m, made_texts[i], ids + starts[i], 16, &n, &err)) fail_msg("%s", err.text);
        starts[i + 1] = starts[i] + (int)n;
    }
    if (clip_text_tower_create(m, o, &t, &err)) fail_msg("%s", err.text);
    clip_text_tower_run(t, 0, NULL, ids, starts, MADE_TEXTS, v);
    unit(v, MADE_TEXTS, (size_t)m->config.dim);
    compare_all(w);
    compare(w, "vector", v, MADE_TEXTS, (size_t)m->config.dim);
    clip_text_tower_destroy(t);
    free(v);
}

static void compare_towers(const clip_model *m, const char *name)
{
    for (int text = 0; text < 2; text++) {
        watcher w = {.tower = text ? "text" : "image", .reference = made_reference_open(name), .least_cosine = 1};
        clip_tower_options o = {.workers = 1, .batch = MADE_IMAGES, .tap = tap, .tap_context = &w};
        clip_dnn_use_threads(1);
        (text ? text_tower : image_tower)(m, &o, &w);
        printf("# %s, %s: %d layers, cosine %.8f, error %.1e\n", name, w.tower, w.count, w.least_cosine, w.most_error);
        assert_true(w.count >= 2);
        made_reference_close(&w.reference);
    }
}

static void both_towers_agree_with_pytorch(void **state)
{
    clip_model *m;
    clip_error err = {0};
    if (clip_model_open(made_model(*state), &m, &err)) fail_msg("%s", err.text);
    compare_towers(m, *state);
    clip_model_close(m);
}

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *bytes = malloc(1 << 16);
    assert_non_null(f);
    *n = fread(bytes, 1, 1 << 16, f);
    fclose(f);
    return bytes;
}

/* open_clip's SigLIP: the sizes of its image tower are timm's, by its name, and none of them is small. Here they are set to
 * what make_reference.py has; all else goes its ordinary way. */
static void timms_siglip_agrees_with_pytorch(void **state)
{
    const char *dir = made_model(*state);
    clip_error err = {0};
    clip_model m = {.dir = (char *)(uintptr_t)dir, .info = {.has_text = true}};
    char path[256];
    size_t n;
    snprintf(path, sizeof path, "%s/open_clip_config.json", dir);
    char *json = slurp(path, &n);
    if (clip_config_parse_open_clip(path, json, n, &m.config, &err)) fail_msg("%s", err.text);
    assert_true(m.config.image.attention_pool && m.config.text.padded && m.config.text.projection_bias);
    assert_int_equal(m.config.image.stack.act, CLIP_ACT_GELU);
    assert_int_equal(m.config.text.stack.act, CLIP_ACT_GELU_TANH);
    m.config.dim = 48;
    m.config.image.stack = (clip_stack_config){.width = 48, .layers = 2, .heads = 3, .mlp = 192, .act = CLIP_ACT_GELU, .eps = 1e-6f};
    snprintf(path, sizeof path, "%s/open_clip_model.safetensors", dir);
    if (clip_safetensors_open(path, &m.file, &err) || clip_vit_bind(m.file, &m.config, &m.vit, &err) ||
        clip_text_bind(m.file, &m.config, &m.text, &err))
        fail_msg("%s", err.text);
    compare_towers(&m, *state);
    clip_tokenizer_close(m.tokenizer);
    clip_safetensors_close(m.file);
    free(m.vit.blocks);
    free(m.text.blocks);
    free(json);
}

#define MODEL(name) {name, both_towers_agree_with_pytorch, NULL, NULL, (void *)(uintptr_t)name}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL("vit_quick_f32"), MODEL("vit_gelu_f16"), MODEL("vit_gelu_bf16"), MODEL("hf_quick_f16"), MODEL("hf_gelu_f32"),
        MODEL("vit_head80_f16"), MODEL("vit_tiny_f16"), MODEL("vit_slim_f16"),
        MODEL("lite0_mlp_f16"), MODEL("lite1_linear_bf16"), MODEL("lite2_linear_f32"), MODEL("lite3_mlp_f16"), MODEL("lite4_mlp_f16"),
        MODEL("resnet_quick_f16"), MODEL("resnet_gelu_f32"), MODEL("resnet_deep_bf16"),
        MODEL("hf_siglip_f32"), {"siglip_timm_f16", timms_siglip_agrees_with_pytorch, NULL, NULL, (void *)(uintptr_t)"siglip_timm_f16"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
