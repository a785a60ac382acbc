/* encode_photos.c: many photos' vectors at once, without a library.
 *
 * Two batches of rows. Decoder threads take the files in their order and fill one batch while the encoder works on the other;
 * a thread that is ahead waits until the rows that it would overwrite have been encoded. A file that is no photo leaves its
 * row empty: the encoder computes it all the same and its vector is cleared, which keeps every place fixed. */
#include "query/encode_photos.h"
#include "query/progress_line.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCHES = 2, THREADS_MOST = 64, REPORTS_MOST = 10 };

typedef struct decoding {
    const clip_model *model;
    const char *const *paths;
    uint8_t *states;       /* [n] */
    uint8_t *rows;         /* [BATCHES][batch][side][side][3] */
    size_t n, batch, row_bytes;
    pthread_mutex_t lock;  /* of all below */
    pthread_cond_t moved;
    size_t next;           /* the next file to be taken */
    size_t encoded;        /* batches that are done with */
    size_t left[BATCHES];  /* files of the batch in that place that are not decoded yet */
    size_t reports;
    bool stop;
    int (*done)(size_t first, size_t count, void *ctx); /* told after each batch; NULL: nobody */
    void *ctx;
} decoding;

static uint8_t *row_of(const decoding *d, size_t i)
{
    return d->rows + i % (BATCHES * d->batch) * d->row_bytes; /* [side][side][3] */
}

static size_t batch_length(const decoding *d, size_t batch)
{
    size_t first = batch * d->batch;
    return d->n - first < d->batch ? d->n - first : d->batch;
}

static void report(decoding *d, const char *name, const char *text)
{
    pthread_mutex_lock(&d->lock);
    size_t number = d->reports++;
    pthread_mutex_unlock(&d->lock);
    if (number < REPORTS_MOST) cli_warn("%s: %s", name, text);
    else if (number == REPORTS_MOST) cli_warn("more photos cannot be read; the others are not listed");
}

static query_photo_state decode_bytes(decoding *d, const uint8_t *bytes, size_t n, uint8_t *row, clip_error *err)
{
    if (clip_format_sniff(bytes, n) == CLIP_FORMAT_UNKNOWN) return QUERY_PHOTO_NONE;
    return clip_photo_to_row(d->model, bytes, n, NULL, row, NULL, err) ? QUERY_PHOTO_BROKEN : QUERY_PHOTO_OK;
}

static query_photo_state decode(decoding *d, const char *path, uint8_t *row)
{
    clip_error err = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    query_photo_state state = QUERY_PHOTO_BROKEN;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) snprintf(err.text, sizeof err.text, "%s", strerror(errno));
    else if (!clip_file_read(fd, "the file", NULL, &bytes, &n, &err)) state = decode_bytes(d, bytes, n, row, &err);
    if (state != QUERY_PHOTO_OK) memset(row, 0, d->row_bytes);
    if (state == QUERY_PHOTO_BROKEN) {
        char *name = cli_quote_path(path);
        report(d, name ? name : path, err.text);
        free(name);
    }
    if (fd >= 0) close(fd);
    free(bytes);
    return state;
}

/* The next file whose row is free, or n when there is none. */
static size_t take(decoding *d)
{
    pthread_mutex_lock(&d->lock);
    size_t i = d->stop ? d->n : d->next;
    if (i < d->n) d->next++;
    while (i < d->n && !d->stop && i / d->batch >= d->encoded + BATCHES) pthread_cond_wait(&d->moved, &d->lock);
    if (d->stop) i = d->n;
    pthread_mutex_unlock(&d->lock);
    return i;
}

static void *decode_files(void *p)
{
    decoding *d = p;
    for (size_t i; (i = take(d)) < d->n;) {
        d->states[i] = (uint8_t)decode(d, d->paths[i], row_of(d, i));
        pthread_mutex_lock(&d->lock);
        if (--d->left[i / d->batch % BATCHES] == 0) pthread_cond_broadcast(&d->moved);
        pthread_mutex_unlock(&d->lock);
    }
    return NULL;
}

static void await_batch(decoding *d, size_t batch)
{
    pthread_mutex_lock(&d->lock);
    while (d->left[batch % BATCHES]) pthread_cond_wait(&d->moved, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

/* The place is free for the batch after next. */
static void release_batch(decoding *d, size_t batch, bool stop)
{
    pthread_mutex_lock(&d->lock);
    d->encoded = batch + 1;
    d->stop = d->stop || stop;
    if ((batch + BATCHES) * d->batch < d->n) d->left[batch % BATCHES] = batch_length(d, batch + BATCHES);
    pthread_cond_broadcast(&d->moved);
    pthread_mutex_unlock(&d->lock);
}

static int encode_batches(query_encoder *e, decoding *d, float *out)
{
    size_t dim = (size_t)query_encoder_dim(e);
    int status = 0;
    query_progress_line progress = query_progress_begin(e->c, "Reading photos", d->n);
    for (size_t batch = 0, first = 0; first < d->n && !status; first += d->batch, batch++) {
        clip_error err = {0};
        size_t length = batch_length(d, batch);
        float *vectors = out + first * dim; /* [length][dim] */
        await_batch(d, batch);
        if (clip_image_encode(e->image, row_of(d, first), length, vectors, &err)) status = cli_fail("cannot encode the photos: %s", err.text);
        for (size_t i = 0; i < length; i++)
            if (d->states[first + i] != QUERY_PHOTO_OK) memset(vectors + i * dim, 0, dim * sizeof *vectors);
        if (!status && d->done) status = d->done(first, length, d->ctx);
        release_batch(d, batch, status != 0);
        query_progress_show(&progress, first + length);
    }
    cli_draw_end();
    return status;
}

int query_encode_photos_ready(query_encoder *e, clip_precision precision)
{
    clip_error err = {0};
    const clip_encoder_options o = {.threads = e->c->threads, .precision = precision};
    if (!e->image && clip_image_encoder_create(e->model, &o, &e->image, &err))
        return cli_fail("cannot use the model's image tower: %s", err.text);
    return 0;
}

/* With as many decoders as the encoder has threads: between batches the one waits for the other anyway. */
static int run(query_encoder *e, decoding *d, float *out)
{
    pthread_t threads[THREADS_MOST];
    long cores = e->c->threads > 0 ? e->c->threads : sysconf(_SC_NPROCESSORS_ONLN);
    int wanted = cores < 1 ? 1 : cores > THREADS_MOST ? THREADS_MOST : (int)cores, running = 0, status = 0;
    while (running < wanted && pthread_create(&threads[running], NULL, decode_files, d) == 0) running++;
    if (!running) status = cli_fail("cannot start a thread");
    else status = encode_batches(e, d, out);
    for (int i = 0; i < running; i++) pthread_join(threads[i], NULL);
    return status;
}

int query_encode_photos(query_encoder *e, const char *const *paths, size_t n, clip_precision precision, float *out, uint8_t *states)
{
    return query_encode_photos_each(e, paths, n, precision, out, states, NULL, NULL);
}

int query_encode_photos_each(query_encoder *e, const char *const *paths, size_t n, clip_precision precision, float *out, uint8_t *states,
                             int (*done)(size_t first, size_t count, void *ctx), void *ctx)
{
    int status = n ? query_encode_photos_ready(e, precision) : 0;
    if (status || !n) return status;
    size_t side = (size_t)clip_model_describe(e->model)->image_size;
    decoding d = {.model = e->model, .paths = paths, .states = states, .n = n, .row_bytes = side * side * 3, .done = done, .ctx = ctx,
                  .batch = (size_t)clip_image_encoder_max_batch(e->image)};
    d.rows = malloc(BATCHES * d.batch * d.row_bytes); /* [BATCHES][batch][side][side][3] */
    if (!d.rows) return cli_fail("memory ran out");
    for (size_t k = 0; k < BATCHES && k * d.batch < n; k++) d.left[k] = batch_length(&d, k);
    pthread_mutex_init(&d.lock, NULL);
    pthread_cond_init(&d.moved, NULL);
    status = run(e, &d, out);
    pthread_cond_destroy(&d.moved);
    pthread_mutex_destroy(&d.lock);
    free(d.rows);
    return status;
}
