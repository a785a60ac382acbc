/* resize.c: Pillow's antialiased resize as a stream, for photos that still have to be turned.
 *
 * Pillow resizes horizontally, rounds to 8 bits, then vertically. (Since release 13 it goes the other way round where the
 * height shrinks much more than the width, which only a squash can bring about; we keep to what models were trained with.)
 * Because of the rounding the order of the passes shows in the result, and the photo must be turned before all of it.
 * Turning twelve megapixels costs more than resizing them, so the turned order is kept and the pixels are not moved: for the
 * orientations that swap the axes, the turned photo's horizontal pass is our vertical one, and it comes first. A mirrored
 * axis has its weights computed in the turned photo and its windows mirrored back, since Pillow's own windows are not
 * symmetric to the last bit. Thus the result equals "turn, then Pillow" byte for byte, and only a window of rows is held:
 *
 *   upright   row --horizontal--> ring of narrow rows --vertical--> a row of the output
 *   swapped   row ------------->  ring of rows --vertical--> one row --horizontal--> a column of the output
 *
 * Only outputs inside the crop are computed, and taps of weight zero are dropped at the windows' ends (a pass that
 * changes nothing becomes a copy that way). */
#include "engine/image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- frames ---------------------------------------------------------------------------------------------------- */

/* Where the kept part begins when `kept` is centred in `resized`; negative when it is larger. */
static int64_t centre(int64_t resized, int kept, clip_crop_rounding rounding)
{
    int64_t margin = resized - kept;
    if (rounding == CLIP_CROP_FLOOR) return (margin - (margin < 0)) / 2;
    if (margin < 0) return -(-margin / 2); /* torchvision pads by the floor */
    int64_t half = margin / 2;
    return half + ((margin & 1) && (half & 1));
}

clip_frame clip_frame_of_spec(const clip_resize_spec *spec, int width, int height)
{
    int64_t to = spec->resize_to ? spec->resize_to : spec->size;
    clip_frame f = {.filter = spec->filter, .resized_w = to, .resized_h = to, .out_w = spec->size, .out_h = spec->size};
    if (spec->mode == CLIP_RESIZE_SHORTEST) {
        if (width > height) f.resized_w = to * width / height;
        else f.resized_h = to * height / width;
    } else if (spec->mode == CLIP_RESIZE_LONGEST) {
        double ratio = (double)(width > height ? width : height) / (double)to;
        f.resized_w = (int64_t)rint(width / ratio);
        f.resized_h = (int64_t)rint(height / ratio);
        if (f.resized_w < 1) f.resized_w = 1;
        if (f.resized_h < 1) f.resized_h = 1;
    }
    f.x = centre(f.resized_w, f.out_w, spec->rounding);
    f.y = centre(f.resized_h, f.out_h, spec->rounding);
    return f;
}

clip_frame clip_frame_to_fit(int max_side, int width, int height)
{
    clip_frame f = {.filter = CLIP_FILTER_BICUBIC, .out_w = width, .out_h = height};
    int longer = width > height ? width : height;
    if (max_side > 0 && longer > max_side) {
        f.out_w = (int)(((int64_t)width * max_side + longer / 2) / longer);
        f.out_h = (int)(((int64_t)height * max_side + longer / 2) / longer);
        if (f.out_w < 1) f.out_w = 1;
        if (f.out_h < 1) f.out_h = 1;
    }
    f.resized_w = f.out_w;
    f.resized_h = f.out_h;
    return f;
}

/* ---- one axis -------------------------------------------------------------------------------------------------- */

typedef struct axis {
    clip_taps taps;
    int size;      /* inputs */
    int out_begin; /* of the kept part: the first output that is not margin */
    bool mirrored;
} axis;

static double cubic(double x) /* a = -0.5 */
{
    x = fabs(x);
    if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0.0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Drops zeros at both ends, mirrors the window where asked, and files output i's weights. */
static void taps_set(axis *a, int i, int first, int n, const double *w)
{
    clip_taps *t = &a->taps;
    int32_t *to = t->weight + (size_t)i * (size_t)t->stride; /* [stride] */
    int16_t *split = t->split + (size_t)i * (size_t)t->stride * 2; /* [stride / 4][8] */
    for (int k = 0; k < n; k++) {
        double fixed = w[k] * (1 << CLIP_WEIGHT_BITS);
        to[a->mirrored ? n - 1 - k : k] = (int32_t)(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    if (a->mirrored) first = a->size - first - n;
    int zeros = 0;
    while (zeros < n - 1 && to[zeros] == 0) zeros++;
    memmove(to, to + zeros, (size_t)(n - zeros) * sizeof *to);
    memset(to + n - zeros, 0, (size_t)zeros * sizeof *to);
    n -= zeros;
    while (n > 1 && to[n - 1] == 0) n--;
    t->first[i] = first + zeros;
    t->n[i] = n;
    for (int k = 0; k < t->stride; k++) {
        split[k / 4 * 8 + k % 4] = (int16_t)(to[k] >> 11);
        split[k / 4 * 8 + 4 + k % 4] = (int16_t)(to[k] & 2047);
    }
}

/* Pillow's weights of outputs [begin, begin + count) of `resized`, over the inputs [in0, in1) of 0..size. */
static void taps_compute(axis *a, clip_resize_filter filter, float in0, float in1, int64_t resized, int64_t begin, double *w)
{
    double (*f)(double) = filter == CLIP_FILTER_BILINEAR ? triangle : cubic;
    double scale = (double)(in1 - in0) / (double)resized, wide = scale < 1.0 ? 1.0 : scale, narrow = 1.0 / wide;
    double support = (filter == CLIP_FILTER_BILINEAR ? 1.0 : 2.0) * wide;
    for (int i = 0; i < a->taps.count; i++) {
        double centre_at = in0 + ((double)(begin + i) + 0.5) * scale, sum = 0.0;
        int first = (int)(centre_at - support + 0.5), end = (int)(centre_at + support + 0.5);
        if (first < 0) first = 0;
        if (end > a->size) end = a->size;
        int n = end - first;
        for (int k = 0; k < n; k++) sum += w[k] = f((k + first - centre_at + 0.5) * narrow);
        for (int k = 0; k < n && sum != 0.0; k++) w[k] /= sum;
        taps_set(a, i, first, n, w);
    }
}

static bool axis_init(axis *a, clip_resize_filter filter, int size, double true_size, bool mirrored, int64_t resized,
                      int64_t skip, int out)
{
    int64_t begin = skip < 0 ? 0 : skip, end = skip + out > resized ? resized : skip + out;
    double scale = true_size / (double)resized;
    double reach = ceil((filter == CLIP_FILTER_BILINEAR ? 1.0 : 2.0) * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    int widest = reach < size ? (int)reach : size;
    *a = (axis){.size = size, .mirrored = mirrored, .out_begin = (int)(begin - skip)};
    a->taps.count = (int)(end - begin);
    a->taps.stride = (widest + 3) / 4 * 4;

    size_t count = (size_t)a->taps.count, stride = (size_t)a->taps.stride;
    double *w = malloc((size_t)widest * sizeof *w);
    a->taps.first = malloc(count * sizeof *a->taps.first);
    a->taps.n = malloc(count * sizeof *a->taps.n);
    a->taps.weight = calloc(count * stride, sizeof *a->taps.weight);
    a->taps.split = malloc(count * stride * 2 * sizeof *a->taps.split);
    bool ok = w && a->taps.first && a->taps.n && a->taps.weight && a->taps.split;
    float in0 = mirrored ? (float)(size - true_size) : 0.0f, in1 = mirrored ? (float)size : (float)true_size;
    if (ok) taps_compute(a, filter, in0, in1, resized, begin, w);
    free(w);
    return ok;
}

static void axis_finish(axis *a)
{
    free(a->taps.first);
    free(a->taps.n);
    free(a->taps.weight);
    free(a->taps.split);
}

static int axis_order(const axis *a, int step) /* outputs in the order in which the stream completes them */
{
    return a->mirrored ? a->taps.count - 1 - step : step;
}

/* The most inputs that must be at hand at once: from an output's first to the last that it or one before it waited for. */
static int axis_span(const axis *a)
{
    int most = 1, end = 0;
    for (int step = 0; step < a->taps.count; step++) {
        int i = axis_order(a, step), first = a->taps.first[i];
        if (first + a->taps.n[i] > end) end = first + a->taps.n[i];
        if (end - first > most) most = end - first;
    }
    return most;
}

/* The inputs that any output takes: [*begin, *end). */
static void axis_used(const axis *a, int *begin, int *end)
{
    *begin = a->size;
    *end = 0;
    for (int i = 0; i < a->taps.count; i++) {
        int first = a->taps.first[i], last = first + a->taps.n[i];
        if (first < *begin) *begin = first;
        if (last > *end) *end = last;
    }
}

/* ---- the stream ------------------------------------------------------------------------------------------------ */

struct clip_resizer {
    const clip_resample_kernels *kernels;
    axis x, y;              /* of the stored rows */
    bool swapped;           /* x of the stored rows is y of the output */
    int out_w, out_h;
    uint8_t *out;           /* [out_h][out_w][3] */
    uint8_t *row;           /* upright: the stored row. swapped: the vertical pass's result. [x.size][3] + slack */
    uint8_t *narrow;        /* swapped: the horizontal pass's result, [x.taps.count][3] */
    uint8_t *ring;          /* [ring_rows][ring_stride] */
    size_t ring_stride;
    int ring_rows;
    const uint8_t **window; /* [ring_rows + 1] */
    int seen;               /* stored rows so far */
    int done;               /* outputs of the y axis so far, in the order in which their windows end */
    int left, right;        /* swapped: the columns that the horizontal pass will read */
    int top;                /* the first row that is used */
};

void clip_resizer_destroy(clip_resizer *r)
{
    if (!r) return;
    axis_finish(&r->x);
    axis_finish(&r->y);
    free(r->row);
    free(r->narrow);
    free(r->ring);
    free(r->window);
    free(r);
}

static bool axes_init(clip_resizer *r, const clip_frame *f, const clip_stored *s)
{
    int o = s->orientation;
    bool mirror_x = o == 2 || o == 3 || o == 7 || o == 8, mirror_y = o == 3 || o == 4 || o == 6 || o == 7;
    r->swapped = clip_orientation_swaps(o);
    const int64_t resized[2] = {f->resized_w, f->resized_h}, skip[2] = {f->x, f->y};
    const int kept[2] = {f->out_w, f->out_h};
    int ax = r->swapped, ay = !r->swapped; /* which of the turned photo's axes */
    return axis_init(&r->x, f->filter, s->width, s->true_w, mirror_x, resized[ax], skip[ax], kept[ax]) &&
           axis_init(&r->y, f->filter, s->height, s->true_h, mirror_y, resized[ay], skip[ay], kept[ay]);
}

clip_resizer *clip_resizer_create(const clip_frame *f, const clip_stored *s, const clip_resample_kernels *k, uint8_t *out)
{
    clip_resizer *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    *r = (clip_resizer){.kernels = k, .out_w = f->out_w, .out_h = f->out_h, .out = out};
    if (!axes_init(r, f, s)) goto fail;

    size_t stored = (size_t)s->width * 3 + CLIP_RESAMPLE_SLACK, narrow = (size_t)r->x.taps.count * 3 + CLIP_RESAMPLE_SLACK;
    r->ring_rows = axis_span(&r->y);
    r->ring_stride = r->swapped ? stored : narrow;
    r->ring = calloc((size_t)r->ring_rows, r->ring_stride); /* the slack is read, though never used */
    r->row = calloc(1, stored);
    r->narrow = malloc(narrow);
    r->window = malloc(((size_t)r->ring_rows + 1) * sizeof *r->window);
    if (!r->ring || !r->row || !r->narrow || !r->window) goto fail;

    int bottom;
    axis_used(&r->x, &r->left, &r->right);
    axis_used(&r->y, &r->top, &bottom);
    memset(out, 0, (size_t)f->out_w * (size_t)f->out_h * 3);
    return r;
fail:
    clip_resizer_destroy(r);
    return NULL;
}

static uint8_t *ring_at(const clip_resizer *r, int row)
{
    return r->ring + (size_t)(row % r->ring_rows) * r->ring_stride;
}

uint8_t *clip_resizer_row(clip_resizer *r)
{
    return r->swapped ? ring_at(r, r->seen) : r->row;
}

bool clip_resizer_complete(const clip_resizer *r)
{
    return r->done == r->y.taps.count;
}

/* The narrow row that the y axis's output i makes becomes column `x` of the output. */
static void column_write(clip_resizer *r, int x)
{
    r->kernels->horizontal(&r->x.taps, r->row, r->narrow);
    for (int j = 0; j < r->x.taps.count; j++)
        memcpy(r->out + ((size_t)(r->x.out_begin + j) * (size_t)r->out_w + (size_t)x) * 3, r->narrow + 3 * j, 3);
}

static void output_make(clip_resizer *r, int i)
{
    const clip_taps *t = &r->y.taps;
    size_t from = r->swapped ? (size_t)r->left * 3 : 0;
    for (int k = 0; k < t->n[i]; k++) r->window[k] = ring_at(r, t->first[i] + k) + from;
    int at = r->y.out_begin + i;
    if (r->swapped) {
        r->kernels->vertical(t, i, r->window, (size_t)(r->right - r->left) * 3, r->row + from);
        column_write(r, at);
    } else {
        uint8_t *to = r->out + ((size_t)at * (size_t)r->out_w + (size_t)r->x.out_begin) * 3;
        r->kernels->vertical(t, i, r->window, (size_t)r->x.taps.count * 3, to);
    }
}

void clip_resizer_push(clip_resizer *r)
{
    if (clip_resizer_complete(r)) return;
    const clip_taps *t = &r->y.taps;
    if (!r->swapped && r->seen >= r->top) r->kernels->horizontal(&r->x.taps, r->row, ring_at(r, r->seen));
    r->seen++;
    while (r->done < t->count) {
        int i = axis_order(&r->y, r->done);
        if (t->first[i] + t->n[i] > r->seen) return;
        output_make(r, i);
        r->done++;
    }
}
