/* bench_scale.c: what scaled JPEG decoding changes: each photo's vector as it is indexed, against its vector from all pixels.
 *
 *     bench_scale MODEL PHOTO... [--list]
 *
 * Prints how many photos were compared, and the least, the first percentile's, and the mean cosine; with --list one line a
 * photo, COSINE<tab>WIDTHxHEIGHT<tab>NAME. Files that are no JPEG, or that cannot be read, are passed over and counted. The
 * arithmetic is f32. Exit status 1 when a cosine is below 0.999. */
#include "engine/clip.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static clip_error error;

static int die(const char *what)
{
    fprintf(stderr, "bench_scale: %s %s\n", what, error.text);
    exit(2);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* rows: [2][image_size][image_size][3], scaled and exact. */
static bool read_both(const clip_model *m, const char *name, uint8_t *rows, size_t row_bytes, clip_photo *info)
{
    const clip_limits scaled = {0}, exact = {.exact_decode = true};
    clip_error ignored = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && !clip_file_read(fd, name, &scaled, &bytes, &n, &ignored) &&
              clip_format_sniff(bytes, n) == CLIP_FORMAT_JPEG &&
              !clip_photo_to_row(m, bytes, n, &scaled, rows, info, &ignored) &&
              !clip_photo_to_row(m, bytes, n, &exact, rows + row_bytes, info, &ignored);
    if (fd >= 0) close(fd);
    free(bytes);
    return ok;
}

static double cosine(const float *v /* [2][dim] */, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)v[i] * (double)v[dim + i];
    return sum;
}

static void report(double *cosines, size_t n, size_t passed_over)
{
    double sum = 0;
    qsort(cosines, n, sizeof *cosines, by_value);
    for (size_t i = 0; i < n; i++) sum += cosines[i];
    printf("%zu photos (%zu files passed over): least %.6f, first percentile %.6f, mean %.6f\n", n, passed_over, cosines[0],
           cosines[n / 100], sum / (double)n);
}

int main(int argc, char **argv)
{
    if (argc < 3) die("usage: bench_scale MODEL PHOTO... [--list]");
    clip_model *m;
    clip_image_encoder *e;
    const clip_encoder_options o = {.precision = CLIP_F32, .max_batch = 2};
    if (clip_model_open(argv[1], &m, &error) || clip_image_encoder_create(m, &o, &e, &error)) die(argv[1]);
    const clip_model_info *info = clip_model_describe(m);
    size_t row = (size_t)info->image_size * (size_t)info->image_size * 3, dim = (size_t)info->dim, n = 0, passed_over = 0;
    bool list = strcmp(argv[argc - 1], "--list") == 0;
    uint8_t *rows = malloc(2 * row);
    float *vectors = malloc(2 * dim * sizeof *vectors);
    double *cosines = malloc((size_t)argc * sizeof *cosines);
    if (!rows || !vectors || !cosines) die("memory ran out");
    for (int i = 2; i < argc - list; i++) {
        clip_photo photo = {0};
        if (!read_both(m, argv[i], rows, row, &photo)) { passed_over++; continue; }
        if (clip_image_encode(e, rows, 2, vectors, &error)) die(argv[i]);
        cosines[n++] = cosine(vectors, dim);
        if (list) printf("%.6f\t%dx%d\t%s\n", cosines[n - 1], photo.width, photo.height, argv[i]);
    }
    if (!n) die("none of these is a JPEG that can be read");
    report(cosines, n, passed_over);
    int status = cosines[0] < 0.999;
    free(cosines);
    free(vectors);
    free(rows);
    clip_image_encoder_destroy(e);
    clip_model_close(m);
    return status;
}
