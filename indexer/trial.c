/* trial.c: which arithmetic a run's photos are computed in.
 *
 * What the user asked for, always. With "auto" a library stays in what its vectors are in, as long as this CPU has that; a new one takes the
 * fastest that keeps any model's vectors. What is faster still, 8-bit integers, keeps some models' and loses others', which no one can tell
 * from a model's name: so it is tried on the library's own first photos, and taken if their vectors hardly change.
 *
 * It is tried once: in the first run that has TRIAL_RUN photos or more to read while the library has fewer than that. Such a run wins back
 * what the trial costs (the first batch is encoded twice, and one tower more is made: 2 core-seconds for a ViT-B/32, of which a photo
 * saves 0.03), and hardly any vectors of another precision lie beside. It takes the first batch of TRIAL_PHOTOS or more. */
#include "indexer/run.h"

#include <stdio.h>
#include <string.h>

enum { TRIAL_RUN = 100, TRIAL_PHOTOS = 16 };

static clip_precision precision_of(const char *name) {
    clip_precision p = CLIP_F32;
    while (p < CLIP_AUTO && strcmp(name, clip_precision_name(p)) != 0) p++;
    return p;
}

/* 1: the library has tried before, 0: not, -1: failed. */
static int has_tried(run *r) {
    store_trial t;
    store_error e = {0};
    return r->model_id ? run_found(r, store_trial_get(r->s, r->model_id, &t, &e), &e) : 0;
}

int run_choose_precision(run *r, clip_precision *out) {
    clip_precision usual = clip_precision_here(r->m, CLIP_AUTO), own = precision_of(r->known.precision);
    *out = r->o->precision;
    if (r->o->precision != CLIP_AUTO) return 0;
    *out = usual;
    if (r->known.vectors && own != CLIP_AUTO && own != usual && clip_precision_here(r->m, own) == own) {
        *out = own;
        return 0;
    }
    if (r->n_jobs < TRIAL_RUN || r->known.vectors >= TRIAL_RUN) return 0;
    r->to_try = clip_precision_to_try(r->m);
    int tried = r->to_try == CLIP_AUTO ? 0 : has_tried(r);
    if (tried) r->to_try = CLIP_AUTO;
    return tried < 0 ? -1 : 0;
}

static int keep(run *r, const clip_trial *t) {
    store_trial *kept = &r->report->trial;
    store_error e = {0};
    *kept = (store_trial){.photos = (int)t->photos, .mean = t->mean, .least = t->least, .kept = t->kept};
    snprintf(kept->tried, sizeof kept->tried, "%s", clip_precision_name(t->tried));
    snprintf(kept->against, sizeof kept->against, "%s", clip_precision_name(t->against));
    if (t->kept && run_put_model(r, kept->tried)) return -1;
    return store_trial_put(r->s, r->model_id, kept, &e) ? run_fail(r, "%s", e.text) : 0;
}

clip_status run_encode(run *r, clip_image_encoder *en, const uint8_t *rows, size_t n, float *out, clip_error *err) {
    if (r->to_try == CLIP_AUTO || n < TRIAL_PHOTOS) return clip_image_encode(en, rows, n, out, err);
    clip_trial t;
    clip_status s = clip_image_encoder_try(en, r->to_try, rows, n, out, &t, err);
    if (s == CLIP_E_INTERNAL) return s; /* a photo of this batch spoils it: the next one will do */
    r->to_try = CLIP_AUTO;
    if (s) return s;
    pthread_mutex_lock(&r->store_lock);
    int bad = keep(r, &t);
    pthread_mutex_unlock(&r->store_lock);
    if (bad && r->err) *err = *r->err;
    return bad ? CLIP_E_IO : CLIP_OK;
}
