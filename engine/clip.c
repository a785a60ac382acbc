/* clip.c: the public face of the engine; see clip.h. Chooses towers, splits what the caller brings into what a tower takes,
 * and makes unit vectors of what comes out. Models are opened in model/model.c, photos decoded in image/. */
#include "engine/clip.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/image/image.h"
#include "engine/math/cpu.h"
#include "engine/math/crew.h"
#include "engine/math/dnn.h"
#include "engine/math/int16.h"
#include "engine/math/int8.h"
#include "engine/math/pool.h"
#include "engine/model/model.h"
#include "engine/model/tower.h"

struct clip_image_encoder {
    const clip_model *model;
    const clip_image_tower_kind *kind;
    clip_image_tower *tower;
    clip_tower_options options;
    clip_pool *pool;
    int max_batch;
    int pass;             /* images that a worker takes at once */
    clip_precision precision;
};

/* One thread's tokens, and what went wrong there. */
typedef struct text_desk {
    int32_t *ids;         /* [rows + context] */
    int *starts;          /* [pass + 1] */
    clip_error error;
    clip_status status;
} text_desk;

struct clip_text_encoder {
    const clip_model *model;
    clip_tokenizer *tokenizer;
    clip_text_tower *tower;
    clip_pool *pool;
    int pass;             /* texts that a worker takes at once */
    int workers;
    text_desk *desks;     /* [workers] */
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

/* Enough that every worker has several passes to take, so that none waits long for the last. */
#define DEFAULT_PASSES 4
#define DEFAULT_IMAGES 16
#define MOST_IMAGES 256

/* bf16 where the CPU multiplies it: with the bundled model on 1,000 photos its vectors keep a cosine of 0.9998 to f32's on
 * average and 0.9990 at least, in 0.63 of the time; a ViT-B/32 takes 0.54. */
static clip_precision choose_precision(clip_precision asked, bool as_vnni, const clip_image_tower_kind *kind)
{
    clip_cpu cpu = clip_cpu_get();
    bool narrow = kind->narrow && clip_int16_is_fast();
    bool narrowest = kind->narrow == CLIP_INT8 && (as_vnni || clip_int8_is_fast() || clip_dnn_has_vnni());
    switch (asked) {
    case CLIP_F32: break;
    case CLIP_BF16: return clip_dnn_has_bf16() ? CLIP_BF16 : CLIP_F32;
    case CLIP_INT8:
        if (narrowest) return CLIP_INT8;
        return narrow ? CLIP_INT16 : CLIP_F32;
    case CLIP_INT16: return narrow ? CLIP_INT16 : CLIP_F32;
    case CLIP_AUTO:
        if (clip_dnn_has_bf16()) return CLIP_BF16;
        return narrow && !cpu.avx512 ? CLIP_INT16 : CLIP_F32;
    }
    return CLIP_F32;
}

const char *clip_precision_name(clip_precision p)
{
    static const char *const names[] = {"f32", "bf16", "int16", "int8", "auto"};
    return (unsigned)p < sizeof names / sizeof *names ? names[p] : "unknown";
}

clip_precision clip_precision_here(const clip_model *m, clip_precision asked)
{
    return m->info.has_image ? choose_precision(asked, false, clip_image_tower_of(m->config.image.kind)) : CLIP_F32;
}

/* Our own product of 8-bit integers is 2.4 times as fast as AVX2's f32, and 1.6 times as fast as our 16-bit one; oneDNN's with VNNI is 3.7
 * times as fast as AVX-512's f32 and 1.8 times as fast as its bf16. With AVX-512 and without VNNI nothing was measured. */
clip_precision clip_precision_to_try(const clip_model *m)
{
    bool eight = m->info.has_image && clip_image_tower_of(m->config.image.kind)->narrow == CLIP_INT8;
    bool fast = clip_dnn_has_vnni() || (clip_int8_is_fast() && !clip_cpu_get().avx512);
    return eight && fast ? CLIP_INT8 : CLIP_AUTO;
}

/* In e->precision. */
static clip_status make_tower(clip_image_encoder *e, clip_error *err)
{
    e->options.precision = e->precision;
    int before = clip_dnn_use_threads(1);
    clip_status s = e->kind->create(e->model, &e->options, &e->tower, err);
    clip_dnn_use_threads(before);
    return s;
}

static clip_status make_workers(clip_image_encoder *e, int threads, bool as_vnni, clip_error *err)
{
    e->pass = e->kind->batch < e->max_batch ? e->kind->batch : e->max_batch;
    int passes = (e->max_batch + e->pass - 1) / e->pass, workers = threads < passes ? threads : passes;
    e->options = (clip_tower_options){.workers = workers, .batch = e->pass, .as_vnni = as_vnni};
    clip_status s = make_tower(e, err);
    return s ? s : clip_pool_create(workers, &e->pool, err);
}

clip_status clip_image_encoder_create(const clip_model *m, const clip_encoder_options *o, clip_image_encoder **out,
                                      clip_error *err)
{
    if (!m->info.has_image) return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: this model has no image tower", m->dir);
    clip_image_encoder *e = calloc(1, sizeof *e);
    if (!e) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    int threads = threads_for(o);
    e->model = m;
    e->kind = clip_image_tower_of(m->config.image.kind);
    e->max_batch = o && o->max_batch > 0 ? o->max_batch : DEFAULT_PASSES * threads * e->kind->batch;
    if (!o || o->max_batch <= 0) e->max_batch = e->max_batch > DEFAULT_IMAGES ? DEFAULT_IMAGES : e->max_batch;
    if (e->max_batch > MOST_IMAGES) e->max_batch = MOST_IMAGES;
    bool as_vnni = o && o->as_vnni;
    e->precision = choose_precision(o ? o->precision : CLIP_AUTO, as_vnni, e->kind);
    clip_status s = make_workers(e, threads, as_vnni, err);
    if (s) clip_image_encoder_destroy(e);
    else *out = e;
    return s;
}

void clip_image_encoder_destroy(clip_image_encoder *e)
{
    if (!e) return;
    clip_pool_destroy(e->pool);
    if (e->tower) e->kind->destroy(e->tower);
    free(e);
}

int clip_image_encoder_max_batch(const clip_image_encoder *e) { return e->max_batch; }
clip_precision clip_image_encoder_precision(const clip_image_encoder *e) { return e->precision; }

/* The images of one call: whole passes first, what is left one by one. */
typedef struct image_work {
    clip_image_encoder *e;
    const uint8_t *rows;
    float *out;
    size_t passes;
} image_work;

static bool encode_pass(void *context, int worker, int i)
{
    const image_work *w = context;
    const clip_image_encoder *e = w->e;
    size_t size = (size_t)e->model->config.image.size, dim = (size_t)e->model->config.dim, pass = (size_t)e->pass;
    bool whole = (size_t)i < w->passes;
    size_t first = whole ? (size_t)i * pass : w->passes * pass + ((size_t)i - w->passes);
    clip_dnn_use_threads(1);
    return e->kind->run(e->tower, worker, w->rows + first * size * size * 3, whole ? e->pass : 1, w->out + first * dim);
}

clip_status clip_image_encode(clip_image_encoder *e, const uint8_t *rows, size_t n, float *out, clip_error *err)
{
    size_t size = (size_t)e->model->config.image.size, dim = (size_t)e->model->config.dim, pass = (size_t)e->pass;
    size_t most = (size_t)e->max_batch;
    int before = clip_dnn_use_threads(1);
    bool ok = true;
    for (size_t i = 0; i < n && ok; i += most) {
        size_t part = n - i < most ? n - i : most;
        image_work w = {e, rows + i * size * size * 3, out + i * dim, part / pass};
        ok = clip_pool_run(e->pool, encode_pass, &w, (int)(part / pass + part % pass));
    }
    clip_dnn_use_threads(before);
    if (!ok) return clip_fail(err, CLIP_E_INTERNAL, "%s: oneDNN failed while encoding photos", e->model->dir);
    return normalise(e->model, out, n, err);
}

/* ---- narrow arithmetic on trial ---------------------------------------------------------------------------------- */

static clip_status change_precision(clip_image_encoder *e, clip_precision p, clip_error *err)
{
    e->kind->destroy(e->tower);
    e->tower = NULL;
    e->precision = p;
    clip_status s = make_tower(e, err);
    return s == CLIP_E_INTERNAL ? CLIP_E_UNSUPPORTED : s; /* not a row's fault */
}

/* Of unit vectors. */
static void compare(const float *a, const float *b, size_t dim, clip_trial *t)
{
    t->mean = 0, t->least = 1;
    for (size_t i = 0; i < t->photos; i++) {
        double cosine = 0;
        for (size_t d = 0; d < dim; d++) cosine += (double)a[i * dim + d] * b[i * dim + d];
        t->mean += cosine / (double)t->photos;
        if (cosine < t->least) t->least = cosine;
    }
}

/* Where the line lies: at a mean of 0.9998 about 94 % of the ten best stay, at 0.9993 91 % (a trained ViT-S/14 among 400 photos; random
 * weights lose less). That is what a person would notice first: cosines of 0.99, enough for learning and labels, are long passed by then. */
clip_status clip_image_encoder_try(clip_image_encoder *e, clip_precision tried, const uint8_t *rows, size_t n, float *out,
                                   clip_trial *t, clip_error *err)
{
    size_t dim = (size_t)e->model->config.dim;
    float *narrow = malloc(n * dim * sizeof *narrow);
    *t = (clip_trial){.tried = tried, .against = e->precision, .photos = n};
    if (!narrow) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    clip_status s = clip_image_encode(e, rows, n, out, err);
    if (!s) s = change_precision(e, tried, err);
    clip_status other = s ? s : clip_image_encode(e, rows, n, narrow, NULL); /* one that is not finite speaks against it, no more */
    if (!other) compare(out, narrow, dim, t);
    t->kept = !other && t->mean >= CLIP_TRIAL_MEAN && t->least >= CLIP_TRIAL_LEAST;
    if (t->kept) memcpy(out, narrow, n * dim * sizeof *out);
    else if (!s) s = change_precision(e, t->against, err);
    free(narrow);
    return s;
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

/* Texts in a pass: with a dozen tokens each they fill the tower's rows. */
#define TEXTS_IN_PASS 16
#define DEFAULT_TEXTS 64
#define MOST_TEXTS 4096

static clip_status make_desks(clip_text_encoder *e, clip_error *err)
{
    size_t room = (size_t)(clip_text_tower_rows(e->tower) + e->model->config.text.context);
    e->desks = calloc((size_t)e->workers, sizeof *e->desks);
    for (int i = 0; e->desks && i < e->workers; i++) {
        e->desks[i].ids = malloc(room * sizeof *e->desks[i].ids);
        e->desks[i].starts = malloc(((size_t)e->pass + 1) * sizeof *e->desks[i].starts);
        if (!e->desks[i].ids || !e->desks[i].starts) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    }
    return e->desks ? CLIP_OK : clip_fail(err, CLIP_E_MEMORY, "out of memory");
}

/* A search asks for one text: then all workers compute it together. */
static clip_status make_text_tower(clip_text_encoder *e, clip_error *err)
{
    clip_status s = clip_model_tokenizer(e->model, &e->tokenizer, err);
    if (!s) s = clip_pool_create(e->workers, &e->pool, err);
    if (!s) s = clip_text_tower_create(e->model, &(clip_tower_options){.workers = e->workers, .batch = e->pass}, &e->tower, err);
    return s ? s : make_desks(e, err);
}

clip_status clip_text_encoder_create(const clip_model *m, const clip_encoder_options *o, clip_text_encoder **out,
                                     clip_error *err)
{
    clip_text_encoder *e = calloc(1, sizeof *e);
    if (!e) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    int most = o && o->max_batch > 0 ? o->max_batch : DEFAULT_TEXTS, threads = threads_for(o);
    if (most > MOST_TEXTS) most = MOST_TEXTS;
    e->model = m;
    e->pass = most < TEXTS_IN_PASS ? most : TEXTS_IN_PASS;
    e->workers = (most + e->pass - 1) / e->pass;
    if (e->workers > threads) e->workers = threads;
    clip_status s = make_text_tower(e, err);
    if (s) clip_text_encoder_destroy(e);
    else *out = e;
    return s;
}

void clip_text_encoder_destroy(clip_text_encoder *e)
{
    if (!e) return;
    clip_pool_destroy(e->pool);
    clip_text_tower_destroy(e->tower);
    for (int i = 0; e->desks && i < e->workers; i++) {
        free(e->desks[i].ids);
        free(e->desks[i].starts);
    }
    free(e->desks);
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

/* Puts the tokens of as many texts on the desk as the tower's rows take, at least one; returns how many, 0 after a failure. */
static int gather(const clip_text_encoder *e, text_desk *d, const char *const *texts, int n)
{
    size_t context = (size_t)e->model->config.text.context, rows = (size_t)clip_text_tower_rows(e->tower), at = 0;
    int used = 0;
    d->starts[0] = 0;
    while (used < n) {
        size_t length = 0;
        d->status = clip_tokenizer_encode(e->tokenizer, texts[used], d->ids + at, context, &length, &d->error);
        if (d->status) return 0;
        if (!e->model->config.text.padded) length = useful_length(d->ids + at, length);
        if (at + length > rows) break;
        at += length;
        d->starts[++used] = (int)at;
    }
    return used;
}

typedef struct text_work {
    clip_text_encoder *e;
    const char *const *texts;
    size_t n;
    float *out;
    clip_crew *crew;      /* all workers at one pass, or NULL: each at its own */
} text_work;

static bool encode_texts(void *context, int worker, int i)
{
    const text_work *w = context;
    clip_text_encoder *e = w->e;
    size_t dim = (size_t)e->model->config.dim, at = (size_t)i * (size_t)e->pass;
    size_t end = at + (size_t)e->pass < w->n ? at + (size_t)e->pass : w->n;
    while (at < end) {
        int used = gather(e, &e->desks[worker], w->texts + at, (int)(end - at));
        if (!used) return false;
        clip_text_tower_run(e->tower, worker, w->crew, e->desks[worker].ids, e->desks[worker].starts, used, w->out + at * dim);
        at += (size_t)used;
    }
    return true;
}

/* Piece 0 leads, the others help. */
static bool encode_together(void *context, int worker, int i)
{
    text_work *w = context;
    if (i) {
        clip_crew_help(w->crew);
        return true;
    }
    bool ok = encode_texts(context, worker, 0);
    clip_crew_end(w->crew);
    return ok;
}

static bool encode_all(clip_text_encoder *e, text_work *w)
{
    clip_crew crew = CLIP_CREW_INIT;
    size_t passes = (w->n + (size_t)e->pass - 1) / (size_t)e->pass;
    if (passes != 1) return clip_pool_run(e->pool, encode_texts, w, (int)passes);
    w->crew = &crew;
    return clip_pool_run(e->pool, encode_together, w, e->workers);
}

clip_status clip_text_encode(clip_text_encoder *e, const char *const *texts, size_t n, float *out, clip_error *err)
{
    const size_t most = (size_t)INT_MAX / 2 * (size_t)e->pass;
    text_work w = {.e = e, .texts = texts, .n = n, .out = out};
    if (n > most) return clip_fail(err, CLIP_E_LIMIT, "%zu texts in one call; the limit is %zu", n, most);
    for (int i = 0; i < e->workers; i++) e->desks[i].status = CLIP_OK, e->desks[i].error.text[0] = 0;
    if (!encode_all(e, &w))
        for (int i = 0; i < e->workers; i++)
            if (e->desks[i].status) return clip_fail(err, e->desks[i].status, "%s", e->desks[i].error.text);
    return normalise(e->model, out, n, err);
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
