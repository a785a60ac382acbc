/* bench_photo.c [FILE...]: what a photo costs on its way to a row of 224 x 224, and what scaled decoding changes.
 *
 * For each file: milliseconds of one core with scaled and with exact decoding (best of five), and the peak signal-to-noise
 * ratio between the two rows. Without files: the resizer alone on 12 megapixels, plain and fast kernels. */
#include "engine/image/resize.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 224, ROW = SIZE * SIZE * 3, TIMES = 5 };

static const clip_resize_spec spec = {.size = SIZE};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double decode_time(const uint8_t *bytes, size_t n, bool exact, uint8_t *row, clip_photo *info, clip_error *e)
{
    const clip_limits limits = {.exact_decode = exact};
    double best = 1e9;
    for (int i = 0; i < TIMES; i++) {
        double start = now();
        if (clip_image_to_row(&spec, bytes, n, &limits, row, info, e)) return -1;
        best = fmin(best, now() - start);
    }
    return best;
}

static double psnr(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (int i = 0; i < ROW; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return 10 * log10(255.0 * 255.0 * ROW / fmax(sum, 1));
}

static int bench_file(const char *path)
{
    static uint8_t scaled[ROW], exact[ROW];
    clip_error e = {0};
    clip_photo info;
    uint8_t *bytes = NULL;
    size_t n;
    int fd = open(path, O_RDONLY);
    double a = -1, b = -1;
    if (!clip_file_read(fd, path, NULL, &bytes, &n, &e)) {
        a = decode_time(bytes, n, false, scaled, &info, &e);
        if (a >= 0) b = decode_time(bytes, n, true, exact, &info, &e);
    }
    if (b >= 0)
        printf("%5d x %-5d %-5s scaled %7.2f ms, exact %7.2f ms, %5.1f dB  %s\n", info.width, info.height,
               clip_format_name(info.format), a, b, psnr(scaled, exact), path);
    else printf("%s: %s\n", path, e.text);
    free(bytes);
    if (fd >= 0) close(fd);
    return b < 0;
}

static void bench_kernels(const clip_resample_kernels *k, int orientation)
{
    enum { W = 4000, H = 3000 };
    static uint8_t row[ROW];
    bool swaps = clip_orientation_swaps(orientation);
    clip_frame f = clip_frame_of_spec(&spec, swaps ? H : W, swaps ? W : H);
    clip_stored s = {.width = W, .height = H, .true_w = W, .true_h = H, .orientation = orientation};
    double best = 1e9;
    for (int i = 0; i < TIMES; i++) {
        double start = now();
        clip_resizer *r = clip_resizer_create(&f, &s, k, row);
        for (int y = 0; r && y < H; y++) {
            memset(clip_resizer_row(r), y, W * 3);
            clip_resizer_push(r);
        }
        clip_resizer_destroy(r);
        best = fmin(best, now() - start);
    }
    printf("resize 4000 x 3000 to 224, orientation %d, %-4s %7.2f ms\n", orientation, k->name, best);
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) failed |= bench_file(argv[i]);
    for (int o = 1; argc < 2 && o <= 6; o += 5) {
        bench_kernels(&clip_resample_c, o);
        bench_kernels(clip_resample_pick(), o);
    }
    return failed;
}
