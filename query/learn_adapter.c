/* learn_adapter.c: `clipsearch learn --adapt CAPTIONS [FOLDER]`: photos and captions to vectors, what adapter.c makes of them, and
 * keeping that. */
#include "query/learn_adapter.h"
#include "query/captions.h"
#include "query/encode_photos.h"
#include "query/photo_vectors.h"
#include "query/progress_line.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PHOTOS_LEAST = 50 };

typedef struct task {
    query_library l;
    query_captions captions;
    float *photos, *texts;   /* [n_photos][dim], [n][dim]; closed up where photos cannot be read */
    uint32_t *own;           /* [n] */
    size_t n_photos, n_texts;
    query_adapter adapter;
    query_adapted how;
} task;

static int read_photos(task *t, uint8_t *states)
{
    const query_photo_list list = {.paths = t->captions.photos, .n = t->captions.n_photos};
    int64_t *ids = malloc((list.n + 1) * sizeof *ids);
    int status = ids ? query_photo_vectors(&t->l, &list, t->photos, ids, states) : cli_fail("memory ran out");
    free(ids);
    return status;
}

/* Closes the gaps that unreadable photos and their captions leave. */
static void leave_out(task *t, const uint8_t *states, size_t dim)
{
    size_t *place = t->captions.own; /* of each caption's photo; photos move forward only */
    for (size_t i = 0, photo = SIZE_MAX; i < t->captions.n; i++) {
        size_t from = place[i];
        if (states[from] != QUERY_PHOTO_OK) continue;
        if (from != photo) memmove(t->photos + t->n_photos++ * dim, t->photos + from * dim, dim * sizeof *t->photos);
        photo = from;
        memmove(t->texts + t->n_texts * dim, t->texts + i * dim, dim * sizeof *t->texts);
        t->own[t->n_texts++] = (uint32_t)(t->n_photos - 1);
    }
}

static int read_all(task *t)
{
    size_t n = t->captions.n, dim = (size_t)t->l.model.dim;
    const char **words = malloc((n + 1) * sizeof *words);
    uint8_t *states = calloc(t->captions.n_photos + 1, 1);
    t->photos = malloc((t->captions.n_photos + 1) * dim * sizeof *t->photos);
    t->texts = malloc((n + 1) * dim * sizeof *t->texts);
    t->own = malloc((n + 1) * sizeof *t->own);
    int status = words && states && t->photos && t->texts && t->own ? 0 : cli_fail("memory ran out");
    for (size_t i = 0; !status && i < n; i++) words[i] = t->captions.items[i].text;
    if (!status) status = read_photos(t, states);
    if (!status) status = query_library_open_encoder(&t->l);
    if (!status) status = query_encode_texts(&t->l.encoder, words, n, t->texts);
    if (!status) leave_out(t, states, dim);
    if (!status && t->n_photos < t->captions.n_photos)
        cli_warn("photos that could not be read, left out with their captions: %zu", t->captions.n_photos - t->n_photos);
    if (!status && t->n_photos < PHOTOS_LEAST)
        status = cli_fail("%zu photos with captions are too few to learn from; %d are the least", t->n_photos, PHOTOS_LEAST);
    free(words);
    free(states);
    return status;
}

static void report(size_t done, size_t total, void *ctx)
{
    (void)total;
    query_progress_show(ctx, done);
}

static int train(task *t)
{
    const query_captioned c = {t->photos, t->texts, t->own, t->n_photos, t->n_texts, t->l.model.dim};
    query_progress_line progress = query_progress_begin(t->l.c, "Learning", QUERY_ADAPTER_REPORTS);
    bool ok = query_adapter_make(c.dim, &t->adapter) && query_adapter_learn(&t->adapter, &c, report, &progress, &t->how);
    cli_draw_end();
    return ok ? 0 : cli_fail("memory ran out");
}

static int keep(task *t)
{
    store *s = NULL;
    store_error err = {0};
    store_adapter a = {.dim = t->l.model.dim, .rank = QUERY_ADAPTER_RANK, .maps = t->adapter.down, .photos = (int64_t)t->n_photos,
                       .captions = (int64_t)t->n_texts, .gain = t->how.gain};
    memcpy(a.fingerprint, t->l.model.fingerprint, sizeof a.fingerprint);
    query_library_close(&t->l);
    int status = query_store_open(t->l.c, STORE_WRITE, &s);
    if (!status && store_adapter_put(s, &a, &err)) status = cli_fail("%s", err.text);
    store_close(s);
    return status;
}

static void tell(const task *t, bool kept, bool json)
{
    const query_adapted *h = &t->how;
    char count[32];
    if (json) {
        cli_print_json(stdout, json_pack("{s:s, s:I, s:I, s:b, s:i, s:[f, f, f], s:[f, f, f], s:f, s:f, s:f}", "fingerprint", t->l.model.fingerprint,
                                         "photos", (json_int_t)t->n_photos, "captions", (json_int_t)t->n_texts, "kept", kept, "rounds", h->rounds,
                                         "before", h->before[0], h->before[1], h->before[2], "after", h->after[0], h->after[1], h->after[2],
                                         "gain", h->gain, "low", h->low, "high", h->high));
        return;
    }
    cli_say(t->l.c, "held-out captions that find their photo among the first 1, 5, 10 of %s: %.1f, %.1f, %.1f %% before, %.1f, %.1f, %.1f %% after",
            cli_count((int64_t)t->n_photos, count), 100 * h->before[0], 100 * h->before[1], 100 * h->before[2], 100 * h->after[0], 100 * h->after[1], 100 * h->after[2]);
    cli_say(t->l.c, "mean gain in reciprocal rank %+.4f (95 %%: %+.4f to %+.4f): %s", h->gain, h->low, h->high,
            kept ? "kept; clipsearch search uses it from now on, --no-adapt leaves it out" : "nothing is sure to be gained, and nothing was kept");
}

int query_adapter_teach(cli *c, const char *captions, const char *folder, bool json)
{
    task t = {0};
    int status = query_captions_open(captions, folder, &t.captions);
    if (!status) status = query_library_open(&t.l, c);
    if (!status) status = read_all(&t);
    if (!status) status = train(&t);
    bool gains = !status && t.how.low > 0;
    if (gains) status = keep(&t);
    if (!status) tell(&t, gains, json);
    query_library_close(&t.l);
    query_captions_close(&t.captions);
    query_adapter_finish(&t.adapter);
    free(t.photos);
    free(t.texts);
    free(t.own);
    return status ? status : gains ? 0 : 1;
}

int query_adapter_drop(cli *c)
{
    query_library l;
    store *s = NULL;
    store_error err = {0};
    int64_t forgotten = 0;
    int status = query_library_open(&l, c);
    query_library_close(&l);
    if (!status) status = query_store_open(c, STORE_WRITE, &s);
    if (!status && store_adapter_forget(s, l.model.fingerprint, &forgotten, &err)) status = cli_fail("%s", err.text);
    store_close(s);
    if (!status && !forgotten) cli_warn("nothing was learned from captions for the model %s", l.model.name);
    return status ? status : forgotten ? 0 : 1;
}

int query_adapter_open(query_library *l, query_adapter *out)
{
    store_adapter kept;
    store_error err = {0};
    *out = (query_adapter){0};
    store_status st = store_adapter_get(l->store, l->model.fingerprint, l->model.dim, &kept, &err);
    if (st == STORE_E_NOT_FOUND) return 0;
    if (st) return cli_fail("%s", err.text);
    if (kept.rank != QUERY_ADAPTER_RANK) {
        store_adapter_finish(&kept);
        return cli_fail("what was learned from captions is of another version: learn it again, or type \"clipsearch learn --unadapt\"");
    }
    *out = (query_adapter){.dim = kept.dim, .down = kept.maps, .up = kept.maps + (size_t)kept.dim * QUERY_ADAPTER_RANK};
    return 0;
}
