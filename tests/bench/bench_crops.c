/* bench_crops.c: vectors of real photos and of parts of them, for bench_scale.
 *
 *   bench_crops MODEL FOLDER PARTS OUT.npy
 *
 * Writes [photos x PARTS][dim] f32: for each JPEG or PNG of FOLDER, in order of name, the photo itself and PARTS - 1 parts of
 * it, as large as a folder of ten times as many photos that resemble each other in places. A part covers 20 to 100 % of the
 * row that the model sees, with sides up to 4:3 of each other, half of them mirrored; the photo's place in the order is the
 * seed. Goes on where an unfinished OUT.npy ends. */
#include "engine/clip.h"
#include "tests/made_numbers.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 128 };

static void die(const char *what, const clip_error *e)
{
    fprintf(stderr, "%s: %s\n", what, e && e->text[0] ? e->text : "failed");
    exit(2);
}

static float uniform(uint64_t *seed)
{
    return (float)(made_bits(seed) >> 40) * 0x1p-24f;
}

typedef struct part { float x, y, w, h; bool mirrored; } part; /* shares of a row's side */

static part choose(uint64_t photo, int number)
{
    uint64_t seed = photo * 1000003 + (uint64_t)number;
    float area = 0.2f + 0.8f * uniform(&seed), ratio = expf((2 * uniform(&seed) - 1) * logf(4.0f / 3) / 2);
    part p = {.w = fminf(1, sqrtf(area) * ratio), .h = fminf(1, sqrtf(area) / ratio)};
    p.x = (1 - p.w) * uniform(&seed);
    p.y = (1 - p.h) * uniform(&seed);
    p.mirrored = uniform(&seed) < 0.5f;
    return p;
}

/* from, to [side][side][3]; linear between pixels, for it only enlarges */
static void cut(const uint8_t *from, int side, part p, uint8_t *to)
{
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            float u = p.x * (float)side + ((float)(p.mirrored ? side - 1 - x : x) + 0.5f) * p.w - 0.5f;
            float v = p.y * (float)side + ((float)y + 0.5f) * p.h - 0.5f;
            u = fmaxf(0, fminf((float)side - 1, u)), v = fmaxf(0, fminf((float)side - 1, v));
            int x0 = (int)u, y0 = (int)v, x1 = x0 + (x0 < side - 1), y1 = y0 + (y0 < side - 1);
            float fx = u - (float)x0, fy = v - (float)y0;
            for (int c = 0; c < 3; c++) {
                float top = from[(y0 * side + x0) * 3 + c] * (1 - fx) + from[(y0 * side + x1) * 3 + c] * fx;
                float low = from[(y1 * side + x0) * 3 + c] * (1 - fx) + from[(y1 * side + x1) * 3 + c] * fx;
                to[(y * side + x) * 3 + c] = (uint8_t)(top * (1 - fy) + low * fy + 0.5f);
            }
        }
}

static int photos_only(const struct dirent *d)
{
    const char *end = strrchr(d->d_name, '.');
    return end && (!strcasecmp(end, ".jpg") || !strcasecmp(end, ".jpeg") || !strcasecmp(end, ".png"));
}

static void write_header(FILE *f, int rows, int dim)
{
    char h[HEADER + 1], shape[96];
    snprintf(shape, sizeof shape, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, dim);
    snprintf(h, sizeof h, "\x93NUMPY\x01%c%c%c%-117s\n", 1, 1, 1, shape);
    h[7] = 0, h[8] = HEADER - 10, h[9] = 0;
    if (fwrite(h, HEADER, 1, f) != 1) die("write", NULL);
}

static void read_row(const clip_model *m, const char *folder, const char *name, uint8_t *row)
{
    char path[4400];
    clip_error e = {0};
    uint8_t *bytes;
    size_t n;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || clip_file_read(fd, path, NULL, &bytes, &n, &e) || clip_photo_to_row(m, bytes, n, NULL, row, NULL, &e))
        die(path, &e);
    close(fd);
    free(bytes);
}

int main(int argc, char **argv)
{
    clip_error e = {0};
    clip_model *m;
    clip_image_encoder *encoder;
    struct dirent **list;
    if (argc != 5) return fprintf(stderr, "bench_crops MODEL FOLDER PARTS OUT.npy\n"), 2;
    int parts = atoi(argv[3]), photos = scandir(argv[2], &list, photos_only, alphasort);
    if (photos < 1 || parts < 1) die(argv[2], NULL);
    if (clip_model_open(argv[1], &m, &e) ||
        clip_image_encoder_create(m, &(clip_encoder_options){.precision = CLIP_F32}, &encoder, &e)) die(argv[1], &e);
    int side = clip_model_describe(m)->image_size, dim = clip_model_describe(m)->dim;
    size_t pixels = (size_t)side * (size_t)side * 3, of_photo = (size_t)parts * (size_t)dim * sizeof(float);
    uint8_t *rows = malloc((size_t)parts * pixels);
    float *vectors = malloc(of_photo);
    FILE *f = fopen(argv[4], "ab");
    if (!f || !rows || !vectors) die(argv[4], NULL);
    long there = ftell(f);
    if (there == 0) write_header(f, photos * parts, dim);
    else if (ftruncate(fileno(f), HEADER + (there - HEADER) / (long)of_photo * (long)of_photo)) die(argv[4], NULL);
    for (int i = there > HEADER ? (int)((there - HEADER) / (long)of_photo) : 0; i < photos; i++) {
        read_row(m, argv[2], list[i]->d_name, rows);
        for (int j = 1; j < parts; j++) cut(rows, side, choose((uint64_t)i, j), rows + (size_t)j * pixels);
        if (clip_image_encode(encoder, rows, (size_t)parts, vectors, &e)) die(list[i]->d_name, &e);
        if (fwrite(vectors, of_photo, 1, f) != 1) die(argv[4], NULL);
        if (i % 100 == 99) fprintf(stderr, "\r%d of %d photos", i + 1, photos);
    }
    fprintf(stderr, "\n");
    clip_image_encoder_destroy(encoder);
    clip_model_close(m);
    return fclose(f) ? 2 : 0;
}
