/* test_golden.c: what others have published for OpenAI's ViT-B/32, on their pictures, against this engine. The weights (605 MB) and
 * the pictures are nobody's to commit, so the places are given by the environment, and what is not there is skipped by name:
 *
 *     CLIPSEARCH_GOLDEN_MODEL      a folder with OpenAI's ViT-B/32 in either form
 *     CLIPSEARCH_GOLDEN_PICTURES   a folder with
 *         CLIP.png                 of the README of github.com/openai/CLIP: probabilities 0.9928, 0.0042, 0.0030 for three texts
 *         000000039769.png         of COCO val2017, two cats; transformers' own test of CLIPModel has the logits 24.5701, 19.3049
 *         openai-notebook-8/       cosine-matrix.csv and images/NAME.png or .jpg: the 8 x 8 matrix in OpenAI's notebook
 *         preprocess/              franz-kafka.jpg and expected_preprocessed_image.npy; needs any model of 224 pixels, OpenAI's
 *                                  mean and deviation
 *
 * A TAP program of its own, because meson takes a skipped case of cmocka's for a failure. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "engine/clip.h"

enum { CASES = 4, MOST = 8, MOST_DIM = 1024 };

static int number;
static bool failed;
static const char *pictures;
static clip_model *model;

static void result(bool ok, const char *what, const char *format, ...)
{
    va_list list;
    printf("%s %d - %s\n", ok ? "ok" : "not ok", ++number, what);
    if (!ok) {
        va_start(list, format);
        printf("# ");
        vprintf(format, list);
        printf("\n");
        va_end(list);
        failed = true;
    }
}

static void skip(const char *what, const char *why) { printf("ok %d - %s # SKIP %s\n", ++number, what, why); }

static bool picture_path(const char *name, char path[4096])
{
    snprintf(path, 4096, "%s/%s", pictures ? pictures : "", name);
    return pictures && access(path, R_OK) == 0;
}

/* ---- pictures and texts as vectors ---- */

static void die(const char *what, const clip_error *err)
{
    printf("Bail out! %s: %s\n", what, err->text);
    exit(1);
}

static uint8_t *read_row(const char *path)
{
    clip_error err = {0};
    uint8_t *bytes, *row = malloc((size_t)clip_model_describe(model)->image_size * (size_t)clip_model_describe(model)->image_size * 3);
    size_t n;
    int fd = open(path, O_RDONLY);
    clip_limits exact = {.exact_decode = true};
    if (fd < 0 || !row || clip_file_read(fd, path, NULL, &bytes, &n, &err) || clip_photo_to_row(model, bytes, n, &exact, row, NULL, &err))
        die(path, &err);
    close(fd);
    free(bytes);
    return row;
}

static void encode_pictures(char paths[][4096], int n, float *out)
{
    clip_image_encoder *e;
    clip_error err = {0};
    if (clip_image_encoder_create(model, NULL, &e, &err)) die("image encoder", &err);
    for (int i = 0; i < n; i++) {
        uint8_t *row = read_row(paths[i]);
        if (clip_image_encode(e, row, 1, out + i * clip_model_describe(model)->dim, &err)) die(paths[i], &err);
        free(row);
    }
    clip_image_encoder_destroy(e);
}

static void encode_texts(const char *const *texts, int n, float *out)
{
    clip_text_encoder *e;
    clip_error err = {0};
    if (clip_text_encoder_create(model, NULL, &e, &err) || clip_text_encode(e, texts, (size_t)n, out, &err)) die("texts", &err);
    clip_text_encoder_destroy(e);
}

static double cosine(const float *a, const float *b)
{
    double s = 0;
    for (int i = 0; i < clip_model_describe(model)->dim; i++) s += (double)a[i] * b[i];
    return s;
}

/* Scaled cosines of one picture with some texts. */
static void logits(char path[1][4096], const char *const *texts, int n, double *out)
{
    float image[MOST_DIM], text[MOST * MOST_DIM];
    encode_pictures(path, 1, image);
    encode_texts(texts, n, text);
    for (int i = 0; i < n; i++) out[i] = (double)clip_model_describe(model)->logit_scale * cosine(image, text + i * clip_model_describe(model)->dim);
}

/* ---- what was published ---- */

static void readme(const char *what)
{
    static const char *const texts[] = {"a diagram", "a dog", "a cat"};
    static const double want[] = {0.9927937, 0.00421068, 0.00299572};
    char path[1][4096];
    double l[3], sum = 0, worst = 0;
    if (!model) return skip(what, "CLIPSEARCH_GOLDEN_MODEL names no model");
    if (!picture_path("CLIP.png", path[0])) return skip(what, "CLIPSEARCH_GOLDEN_PICTURES has no CLIP.png");
    logits(path, texts, 3, l);
    for (int i = 0; i < 3; i++) sum += exp(l[i] - l[0]);
    for (int i = 0; i < 3; i++) worst = fmax(worst, fabs(exp(l[i] - l[0]) / sum - want[i]));
    result(worst < 2e-3, what, "a probability differs by %g", worst);
}

static void two_cats(const char *what)
{
    static const char *const texts[] = {"a photo of a cat", "a photo of a dog"};
    char path[1][4096];
    double l[2];
    if (!model) return skip(what, "CLIPSEARCH_GOLDEN_MODEL names no model");
    if (!picture_path("000000039769.png", path[0])) return skip(what, "CLIPSEARCH_GOLDEN_PICTURES has no 000000039769.png");
    logits(path, texts, 2, l);
    result(fabs(l[0] / 24.5701 - 1) < 2e-3 && fabs(l[1] / 19.3049 - 1) < 2e-3, what, "logits %.4f, %.4f", l[0], l[1]);
}

/* The first line names the pictures, each of the others begins with a text. */
static bool read_matrix(FILE *f, char names[MOST][64], char texts[MOST][128], double want[MOST][MOST])
{
    char line[512];
    if (!fgets(line, sizeof line, f)) return false;
    strtok(line, ",");
    for (int i = 0; i < MOST; i++) {
        char *name = strtok(NULL, ",\r\n");
        if (!name || snprintf(names[i], sizeof names[i], "%s", name) >= (int)sizeof names[i]) return false;
    }
    for (int i = 0; i < MOST; i++) {
        char *text = fgets(line, sizeof line, f) ? strtok(line, ",") : NULL;
        if (!text || snprintf(texts[i], sizeof texts[i], "%s", text) >= (int)sizeof texts[i]) return false;
        for (int j = 0; j < MOST; j++) {
            char *number_text = strtok(NULL, ",\r\n");
            if (!number_text) return false;
            want[i][j] = strtod(number_text, NULL);
        }
    }
    return true;
}

static void notebook(const char *what)
{
    static float images[MOST * MOST_DIM], texts[MOST * MOST_DIM];
    char path[4096], names[MOST][64], words[MOST][128];
    static char paths[MOST][4096];
    const char *lines[MOST];
    double want[MOST][MOST], worst = 0;
    if (!model) return skip(what, "CLIPSEARCH_GOLDEN_MODEL names no model");
    if (!picture_path("openai-notebook-8/cosine-matrix.csv", path)) return skip(what, "CLIPSEARCH_GOLDEN_PICTURES has no openai-notebook-8");
    FILE *f = fopen(path, "r");
    bool ok = f && read_matrix(f, names, words, want);
    if (f) fclose(f);
    for (int i = 0; i < MOST && ok; i++) {
        char name[128];
        lines[i] = words[i];
        snprintf(name, sizeof name, "openai-notebook-8/images/%s.png", names[i]);
        if (picture_path(name, paths[i])) continue;
        snprintf(name, sizeof name, "openai-notebook-8/images/%s.jpg", names[i]);
        ok = picture_path(name, paths[i]);
    }
    if (!ok) return result(false, what, "the matrix or a picture of it cannot be read");
    encode_pictures(paths, MOST, images);
    encode_texts(lines, MOST, texts);
    int dim = clip_model_describe(model)->dim;
    for (int i = 0; i < MOST; i++)
        for (int j = 0; j < MOST; j++) worst = fmax(worst, fabs(cosine(texts + i * dim, images + j * dim) - want[i][j]));
    result(worst <= 0.0125, what, "a cosine differs by %g", worst); /* printed with two decimals, read off a picture */
}

/* Float numbers [1][3][224][224] behind a header of which bytes 8 and 9 say the length. */
static float *read_npy(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t head[10];
    float *x = malloc(3 * 224 * 224 * sizeof *x);
    bool ok = f && x && fread(head, 1, 10, f) == 10 && !fseek(f, 10 + head[8] + 256 * head[9], SEEK_SET) &&
              fread(x, sizeof *x, 3 * 224 * 224, f) == 3 * 224 * 224;
    if (f) fclose(f);
    if (ok) return x;
    free(x);
    return NULL;
}

static void pixels(const char *what)
{
    static const double mean[] = {0.48145466, 0.4578275, 0.40821073}, deviation[] = {0.26862954, 0.26130258, 0.27577711};
    char photo[4096], npy[4096];
    if (!model || clip_model_describe(model)->image_size != 224) return skip(what, "CLIPSEARCH_GOLDEN_MODEL names no model of 224 pixels");
    if (!picture_path("preprocess/franz-kafka.jpg", photo) || !picture_path("preprocess/expected_preprocessed_image.npy", npy))
        return skip(what, "CLIPSEARCH_GOLDEN_PICTURES has no preprocess");
    float *want = read_npy(npy);
    uint8_t *row = read_row(photo);
    double worst = 0;
    for (int i = 0; want && i < 3 * 224 * 224; i++) {
        int channel = i % 3, place = i / 3;
        double got = (row[i] / 255.0 - mean[channel]) / deviation[channel];
        worst = fmax(worst, fabs(got - want[channel * 224 * 224 + place]) * deviation[channel] * 255);
    }
    result(want && worst < 1.5, what, "a pixel differs by %.2f of 255", worst); /* another JPEG decoder may round otherwise */
    free(want);
    free(row);
}

int main(void)
{
    const char *dir = getenv("CLIPSEARCH_GOLDEN_MODEL");
    clip_error err = {0};
    pictures = getenv("CLIPSEARCH_GOLDEN_PICTURES");
    printf("1..%d\n", CASES);
    if (dir && *dir && clip_model_open(dir, &model, &err)) die(dir, &err);
    readme("the README's three probabilities");
    two_cats("the logits of two cats");
    notebook("the notebook's 64 cosines");
    pixels("the pixels that a photo becomes");
    clip_model_close(model);
    return failed;
}
