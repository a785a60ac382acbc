/* clip.c: the public face of the engine; see clip.h. Chooses towers, splits what the caller brings into what a tower takes,
 * and makes unit vectors of what comes out. Models are opened in model/model.c, photos decoded in image/. */
#include "engine/clip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/image/image.h"
#include "engine/math/cpu.h"
#include "engine/math/layers.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

struct clip_image_encoder {
    const clip_model *model;
    const clip_image_tower_kind *kind;
    clip_image_tower *tower;
    int threads, batch;
    clip_precision precision;
};

struct clip_text_encoder {
    const clip_model *model;
    clip_tokenizer *tokenizer;
    clip_text_tower *tower;
    int threads, batch;
    int32_t *ids;   /* [rows + context] */
    int *starts;    /* [batch + 1] */
};

static int threads_for(const clip_encoder_options *o)
{
    int n = o && o->threads > 0 ? o->threads : clip_cpu_cores();
    return n < 256 ? n : 256;
}

/* To unit length; a vector that is not finite, or has no length, is an error: kept, it would poison every search. */
static clip_status normalise(const clip_model *m, float *v, size_t n, clip_error *err)
{
    size_t dim = (size_t)m->config.dim;
    for (size_t i = 0; i < n; i++, v += dim) {
        double sum = 0;
        for (size_t d = 0; d < dim; d++) sum += (double)v[d] * v[d];
        if (!isfinite(sum) || sum <= 0)
            return clip_fail(err, CLIP_E_INTERNAL, "%s: the model gave a vector that is not finite; its weights may be broken",
                             m->dir);
        float scale = (float)(1 / sqrt(sum));
        for (size_t d = 0; d < dim; d++) v[d] *= scale;
    }
    return CLIP_OK;
}

/* ---- images ----------------------------------------------------------------------------------------------------- */

/* Eight photos fill the products' tiles; more only costs memory. */
#define DEFAULT_IMAGES 8
#define MOST_IMAGES 256

static clip_precision choose_precision(const clip_encoder_options *o)
{
    clip_precision asked = o ? o->precision : CLIP_AUTO;
    return asked == CLIP_BF16 && clip_cpu_get().bf16 ? CLIP_BF16 : CLIP_F32;
}

clip_status clip_image_encoder_create(const clip_model *m, const clip_encoder_options *o, clip_image_encoder **out,
                                      clip_error *err)
{
    if (!m->info.has_image) return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: this model has no image tower", m->dir);
    clip_image_encoder *e = calloc(1, sizeof *e);
    if (!e) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    e->model = m;
    e->kind = m->config.image.kind == CLIP_IMAGE_VIT ? &clip_vit_tower : &clip_efficientnet_tower;
    e->threads = threads_for(o);
    e->batch = o && o->max_batch > 0 ? o->max_batch : DEFAULT_IMAGES;
    if (e->batch > MOST_IMAGES) e->batch = MOST_IMAGES;
    e->precision = choose_precision(o);
    clip_tower_options t = {.threads = e->threads, .batch = e->batch, .precision = e->precision};
    int before = clip_threads_set(e->threads);
    clip_status s = e->kind->create(m, &t, &e->tower, err);
    clip_threads_set(before);
    if (s) clip_image_encoder_destroy(e);
    else *out = e;
    return s;
}

void clip_image_encoder_destroy(clip_image_encoder *e)
{
    if (!e) return;
    if (e->tower) e->kind->destroy(e->tower);
    free(e);
}

int clip_image_encoder_max_batch(const clip_image_encoder *e) { return e->batch; }
clip_precision clip_image_encoder_precision(const clip_image_encoder *e) { return e->precision; }

clip_status clip_image_encode(clip_image_encoder *e, const uint8_t *rows, size_t n, float *out, clip_error *err)
{
    size_t size = (size_t)e->model->config.image.size, dim = (size_t)e->model->config.dim;
    int before = clip_threads_set(e->threads);
    bool ok = true;
    for (size_t i = 0; i < n && ok; i += (size_t)e->batch) {
        int part = n - i < (size_t)e->batch ? (int)(n - i) : e->batch;
        ok = e->kind->run(e->tower, rows + i * size * size * 3, part, out + i * dim);
    }
    clip_threads_set(before);
    if (!ok) return clip_fail(err, CLIP_E_INTERNAL, "%s: oneDNN failed while encoding photos", e->model->dir);
    return normalise(e->model, out, n, err);
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

#define DEFAULT_TEXTS 32

clip_status clip_text_encoder_create(const clip_model *m, const clip_encoder_options *o, clip_text_encoder **out,
                                     clip_error *err)
{
    clip_tokenizer *tokenizer;
    clip_status s = clip_model_tokenizer(m, &tokenizer, err);
    if (s) return s;
    clip_text_encoder *e = calloc(1, sizeof *e);
    if (!e) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    e->model = m;
    e->tokenizer = tokenizer;
    e->threads = threads_for(o);
    e->batch = o && o->max_batch > 0 ? o->max_batch : DEFAULT_TEXTS;
    if (e->batch > MOST_IMAGES) e->batch = MOST_IMAGES;
    clip_tower_options t = {.threads = e->threads, .batch = e->batch, .precision = CLIP_F32};
    s = clip_text_tower_create(m, &t, &e->tower, err);
    if (!s) {
        size_t room = (size_t)(clip_text_tower_rows(e->tower) + m->config.text.context);
        e->ids = malloc(room * sizeof *e->ids);
        e->starts = malloc(((size_t)e->batch + 1) * sizeof *e->starts);
        if (!e->ids || !e->starts) s = clip_fail(err, CLIP_E_MEMORY, "out of memory");
    }
    if (s) clip_text_encoder_destroy(e);
    else *out = e;
    return s;
}

void clip_text_encoder_destroy(clip_text_encoder *e)
{
    if (!e) return;
    clip_text_tower_destroy(e->tower);
    free(e->ids);
    free(e->starts);
    free(e);
}

/* CLIP takes its feature at the largest id, the end token's, where it first occurs; what follows is never looked at. */
static size_t useful_length(const int32_t *ids, size_t n)
{
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (ids[i] > ids[at]) at = i;
    return at + 1;
}

/* Tokens of as many texts as one pass takes; *used of them. */
static clip_status gather(clip_text_encoder *e, const char *const *texts, size_t n, int *used, clip_error *err)
{
    size_t context = (size_t)e->model->config.text.context, rows = (size_t)clip_text_tower_rows(e->tower), at = 0;
    *used = 0;
    e->starts[0] = 0;
    while ((size_t)*used < n && *used < e->batch) {
        size_t length = 0;
        clip_status s = clip_tokenizer_encode(e->tokenizer, texts[*used], e->ids + at, context, &length, err);
        if (s) return s;
        length = useful_length(e->ids + at, length);
        if (at + length > rows) break;
        at += length;
        e->starts[++*used] = (int)at;
    }
    return CLIP_OK;
}

clip_status clip_text_encode(clip_text_encoder *e, const char *const *texts, size_t n, float *out, clip_error *err)
{
    size_t dim = (size_t)e->model->config.dim;
    int before = clip_threads_set(e->threads);
    clip_status s = CLIP_OK;
    for (size_t i = 0; i < n && !s;) {
        int part;
        s = gather(e, texts + i, n - i, &part, err);
        if (!s && !clip_text_tower_run(e->tower, e->ids, e->starts, part, out + i * dim))
            s = clip_fail(err, CLIP_E_INTERNAL, "%s: oneDNN failed while encoding text", e->model->dir);
        i += (size_t)part;
    }
    clip_threads_set(before);
    return s ? s : normalise(e->model, out, n, err);
}

clip_status clip_tokenize(const clip_model *m, const char *text, int32_t *ids, size_t room, size_t *n, clip_error *err)
{
    clip_tokenizer *t;
    clip_status s = clip_model_tokenizer(m, &t, err);
    return s ? s : clip_tokenizer_encode(t, text, ids, room, n, err);
}

/* ---- photos ----------------------------------------------------------------------------------------------------- */

clip_status clip_photo_to_row(const clip_model *m, const uint8_t *bytes, size_t n, const clip_limits *limits, uint8_t *row,
                              clip_photo *info, clip_error *err)
{
    const clip_image_config *c = &m->config.image;
    clip_resize_spec spec = {
        .mode = c->fit == CLIP_FIT_SQUASH    ? CLIP_RESIZE_SQUASH
                : c->fit == CLIP_FIT_LONGEST ? CLIP_RESIZE_LONGEST
                                             : CLIP_RESIZE_SHORTEST,
        .filter = c->bilinear ? CLIP_FILTER_BILINEAR : CLIP_FILTER_BICUBIC,
        .rounding = m->config.form == CLIP_FORM_HUGGINGFACE ? CLIP_CROP_FLOOR : CLIP_CROP_HALF_EVEN,
        .size = c->size,
        .resize_to = c->resize_to,
    };
    return clip_image_to_row(&spec, bytes, n, limits, row, info, err);
}
