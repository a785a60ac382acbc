/* pipeline.c: decoder threads -> one encoder thread -> the calling thread, which writes.
 *
 *   next() ─► decoder ─┐                  (each: open, read, hash, known? else decode into a row of its own)
 *   next() ─► decoder ─┼─► filling batch ─► encoder ─► ready batches ─► write()   one batch, one transaction
 *   next() ─► decoder ─┘    rows + items      (a spare batch takes the filling one's place)        │
 *      ▲                                                                                           │
 *      └─────────────────────────── again (a vector that was promised is gone) ────────────────────┘
 *
 * Why threads of three kinds and not equal workers with an encoder each: an encoder holds its tower's packed weights,
 * 1.2 GB for ViT-L/14 in f32, so there can be only one, and it uses every core while it runs. The decoders are as many
 * and run at a lower priority (a nice value of their own, which Linux keeps by thread): whenever the encoder has a
 * batch it gets the cores, and in the gaps the decoders get them; neither waits for the other as long as one batch is
 * full ahead.
 *
 * Measured on two cores of an EPYC (Zen 4), bundled model in f32, files in the page cache: 1,200 photos of 0.2
 * megapixels in 4.0 s (300/s, encoding is nine tenths of the work) and 150 of 12 megapixels in 2.1 s (70/s, half of it
 * decoding), 1.8 and 1.9 cores busy. Decoders as nice as the encoder, or nicer by 10: the same within noise. An
 * encoder of one thread beside two decoders: 6.6 s and 2.4 s. Three decoders: the same and 2.4 s.
 *
 * A row is decoded into the decoder's own memory and copied into the batch when it is known to be good: 150 kB against
 * milliseconds of decoding, and in return a broken photo leaves no hole and a batch is always full.
 *
 * The encoder is started when the first batch is full, while the decoders go on: packing a ViT-B/32's weights takes half a second of one
 * core, which they would otherwise wait for. A run whose files are all known never touches the weights.
 *
 * Memory is bounded: four batches, a row a decoder, and a budget for files and pictures in flight. A photo that
 * alone exceeds the budget is decoded alone (limits.max_memory bounds it).
 *
 * A vector with a value that is not finite spoils its whole batch in the encoder's eyes: the batch is then encoded one
 * by one and only the culprit fails. */
#include "indexer/pipeline.h"
#include "indexer/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { BATCHES = 4, ITEMS_PER_ROW = 4, DECODER_NICENESS = 5 };

typedef struct batch {
    indexer_result *items; size_t n_items;
    uint8_t *rows; size_t n_rows; /* [max_batch][row_bytes] */
    float *vectors;               /* [max_batch][dim] */
    struct timespec since;        /* of its first item */
    struct batch *next;
} batch;

typedef struct flow {
    const indexer_pipeline *p;
    size_t room_rows, room_items;
    pthread_mutex_t lock;
    pthread_cond_t work;          /* decoders: something to take, or room in the filling batch, or memory */
    pthread_cond_t filled;        /* the encoder */
    pthread_cond_t ready;         /* the calling thread */
    batch all[BATCHES];
    batch *filling, *spare, *encoded, **encoded_tail;
    indexer_job *redo; size_t n_redo, redo_room;
    bool exhausted, stop, failed;
    size_t in_flight;             /* taken and not yet written */
    size_t decoding;              /* taken and not yet in a batch */
    int decoders_alive;
    int64_t memory_used; int pictures; /* the budget, and how many pictures are being decoded under it */
    clip_error *err;
} flow;

/* ---- time -------------------------------------------------------------------------------------------------------- */

static struct timespec now_plus(double seconds) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + (int64_t)(seconds * 1e9);
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

static bool is_past(const struct timespec *t) {
    struct timespec n = now_plus(0);
    return n.tv_sec > t->tv_sec || (n.tv_sec == t->tv_sec && n.tv_nsec >= t->tv_nsec);
}

/* ---- the memory budget ------------------------------------------------------------------------------------------- */

/* Two steps: the file's bytes first, then the picture's. Whoever waits for the second holds only file bytes, all of
 * which fit the budget, and when no picture is being decoded the next one goes ahead whatever its size: no deadlock. */
static void take_file_memory(flow *q, int64_t bytes) {
    pthread_mutex_lock(&q->lock);
    while (!q->stop && q->memory_used > 0 && q->memory_used + bytes > q->p->memory) pthread_cond_wait(&q->work, &q->lock);
    q->memory_used += bytes;
    pthread_mutex_unlock(&q->lock);
}

static void take_picture_memory(flow *q, int64_t bytes) {
    pthread_mutex_lock(&q->lock);
    while (!q->stop && q->pictures > 0 && q->memory_used + bytes > q->p->memory) pthread_cond_wait(&q->work, &q->lock);
    q->memory_used += bytes;
    q->pictures++;
    pthread_mutex_unlock(&q->lock);
}

static void give_memory(flow *q, int64_t bytes, bool picture) {
    pthread_mutex_lock(&q->lock);
    q->memory_used -= bytes;
    if (picture) q->pictures--;
    pthread_cond_broadcast(&q->work);
    pthread_mutex_unlock(&q->lock);
}

/* What decoding may hold at once. JPEG is read by lines and scaled while it is decoded, but a progressive one keeps
 * all its coefficients, two bytes each, at 4:4:4 three for a pixel. Of the others, most hold the whole picture. */
static int64_t picture_bytes(const clip_photo *f) {
    int64_t pixels = (int64_t)f->width * f->height;
    return pixels * (f->format == CLIP_FORMAT_JPEG ? 6 : 4);
}

/* ---- one file ---------------------------------------------------------------------------------------------------- */

static void say(indexer_result *r, indexer_outcome o, const char *why) {
    r->outcome = o;
    snprintf(r->reason, sizeof r->reason, "%s", why);
}

static bool is_as_seen(int fd, const indexer_job *j) {
    struct stat st;
    return !fstat(fd, &st) && st.st_size == j->size && indexer_mtime_ns(&st) == j->mtime_ns;
}

/* An open file's bytes, all of them and of one moment. False: r says why not. */
static bool read_whole(flow *q, const indexer_job *j, indexer_result *r, uint8_t **bytes, size_t *n) {
    clip_error e = {0};
    int fd = openat(j->root_fd, j->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (j->follow_symlinks ? 0 : O_NOFOLLOW));
    if (fd < 0) {
        say(r, errno == ENOENT || errno == ENOTDIR ? INDEXER_VANISHED : INDEXER_UNREAD, strerror(errno));
        return false;
    }
    bool steady = is_as_seen(fd, j);
    clip_status s = steady ? clip_file_read(fd, "the file", &q->p->limits, bytes, n, &e) : CLIP_OK;
    if (s) say(r, s == CLIP_E_IO || s == CLIP_E_MEMORY ? INDEXER_UNREAD : INDEXER_BROKEN, e.text);
    steady = steady && is_as_seen(fd, j);
    if (!steady) say(r, INDEXER_UNREAD, "changed while it was being read: the next run takes it");
    close(fd);
    if (!s && steady) return true;
    free(*bytes);
    *bytes = NULL;
    return false;
}

/* The pixels. Content that is no picture at all, whatever its name promised, gets plain words. */
static void decode(flow *q, const uint8_t *bytes, size_t n, indexer_result *r, uint8_t *row) {
    clip_error e = {0};
    clip_photo facts = {0};
    clip_format f = clip_format_sniff(bytes, n);
    r->photo.format = f;
    if (!n) { say(r, INDEXER_BROKEN, "the file is empty"); return; }
    if (f == CLIP_FORMAT_UNKNOWN) { say(r, INDEXER_BROKEN, "its content is no picture of a known kind"); return; }
    int64_t memory = clip_photo_probe(bytes, n, &q->p->limits, &facts, NULL) ? 0 : picture_bytes(&facts);
    take_picture_memory(q, memory);
    clip_status s = q->p->coder->to_row(q->p->coder->ctx, bytes, n, &q->p->limits, row, &r->photo, &e);
    give_memory(q, memory, true);
    if (r->photo.format == CLIP_FORMAT_UNKNOWN) r->photo.format = f;
    if (s) say(r, s == CLIP_E_MEMORY ? INDEXER_UNREAD : INDEXER_BROKEN, e.text[0] ? e.text : clip_status_name(s));
    else r->outcome = INDEXER_ENCODED;
}

static void hash_of(const uint8_t *bytes, size_t n, uint8_t out[16]) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(bytes, n));
    memcpy(out, c.digest, 16);
}

static void do_job(flow *q, const indexer_job *j, indexer_result *r, uint8_t *row) {
    uint8_t *bytes = NULL;
    size_t n = 0;
    int64_t most = q->p->limits.max_bytes ? (int64_t)q->p->limits.max_bytes : INT64_MAX;
    int64_t memory = j->size < most ? j->size : 0; /* what is too large is refused before it is read */
    *r = (indexer_result){.job = *j};
    take_file_memory(q, memory);
    if (read_whole(q, j, r, &bytes, &n)) {
        hash_of(bytes, n, r->hash);
        r->hashed = true;
        if (!j->must_encode && q->p->known(r->hash, q->p->ctx)) r->outcome = INDEXER_KNOWN;
        else decode(q, bytes, n, r, row);
    }
    free(bytes);
    give_memory(q, memory, false);
}

/* ---- decoders ---------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static bool take_job(flow *q, indexer_job *j) {
    if (q->n_redo) { *j = q->redo[--q->n_redo]; return true; }
    if (!q->exhausted && !q->p->next(j, q->p->ctx)) q->exhausted = true;
    return !q->exhausted;
}

static bool is_full(const flow *q, const batch *b) { return b->n_rows == q->room_rows || b->n_items == q->room_items; }

static void put_in_batch(flow *q, const indexer_result *r, const uint8_t *row) {
    while (!q->failed && (!q->filling || is_full(q, q->filling))) pthread_cond_wait(&q->work, &q->lock);
    q->decoding--;
    batch *b = q->filling;
    if (q->failed) return;
    if (!b->n_items) b->since = now_plus(q->p->flush_seconds);
    indexer_result *to = &b->items[b->n_items++];
    *to = *r;
    if (r->outcome == INDEXER_ENCODED) {
        size_t i = b->n_rows++;
        memcpy(b->rows + i * q->p->coder->row_bytes, row, q->p->coder->row_bytes);
        to->vector = b->vectors + i * (size_t)q->p->coder->dim;
    }
    pthread_cond_signal(&q->filled);
}

static void *decoder(void *arg) {
    flow *q = arg;
    indexer_job j;
    indexer_result *r = malloc(sizeof *r);
    uint8_t *row = malloc(q->p->coder->row_bytes);
    id_t me = (id_t)syscall(SYS_gettid);
    setpriority(PRIO_PROCESS, me, getpriority(PRIO_PROCESS, me) + DECODER_NICENESS);
    pthread_mutex_lock(&q->lock);
    if (!r || !row) q->failed = q->stop = true;
    while (!q->stop) {
        if (take_job(q, &j)) {
            q->in_flight++; q->decoding++;
            pthread_mutex_unlock(&q->lock);
            do_job(q, &j, r, row);
            pthread_mutex_lock(&q->lock);
            put_in_batch(q, r, row);
        } else if (!q->in_flight) break; /* nothing left that could come back */
        else {
            pthread_cond_signal(&q->filled); /* the encoder may be waiting for a job that will not come */
            pthread_cond_wait(&q->work, &q->lock);
        }
    }
    q->decoders_alive--;
    pthread_cond_broadcast(&q->work);
    pthread_cond_broadcast(&q->filled);
    pthread_cond_broadcast(&q->ready);
    pthread_mutex_unlock(&q->lock);
    free(row);
    free(r);
    return NULL;
}

/* ---- the encoder ------------------------------------------------------------------------------------------------- */

/* Under the lock: the next batch to encode, or NULL at the end. */
static batch *take_filled(flow *q) {
    for (;;) {
        batch *b = q->filling;
        if (q->failed) return NULL;
        bool any = b && b->n_items, idle = !q->decoding && (q->stop || (q->exhausted && !q->n_redo));
        if (any && (is_full(q, b) || idle || is_past(&b->since))) {
            q->filling = q->spare;
            if (q->spare) q->spare = q->spare->next;
            pthread_cond_broadcast(&q->work);
            return b;
        }
        if (!any && !q->decoders_alive) return NULL;
        if (any) pthread_cond_timedwait(&q->filled, &q->lock, &b->since);
        else pthread_cond_wait(&q->filled, &q->lock);
    }
}

/* One by one: what fails alone is at fault alone. */
static clip_status encode_each(const indexer_coder *c, batch *b, clip_error *err) {
    for (size_t i = 0, k = 0; i < b->n_items; i++) {
        if (b->items[i].outcome != INDEXER_ENCODED) continue;
        size_t row = k++;
        clip_error e = {0};
        clip_status s = c->encode(c->ctx, b->rows + row * c->row_bytes, 1, b->vectors + row * (size_t)c->dim, &e);
        if (s == CLIP_E_INTERNAL) say(&b->items[i], INDEXER_BROKEN, e.text[0] ? e.text : "its vector is not finite");
        else if (s) { if (err) *err = e; return s; }
    }
    return CLIP_OK;
}

static clip_status encode_batch(const indexer_coder *c, batch *b, clip_error *err) {
    if (!b->n_rows) return CLIP_OK;
    clip_status s = c->encode(c->ctx, b->rows, b->n_rows, b->vectors, err);
    if (s != CLIP_E_INTERNAL) return s;
    if (err) err->text[0] = 0;
    return encode_each(c, b, err);
}

static void *encoder(void *arg) {
    flow *q = arg;
    const indexer_coder *c = q->p->coder;
    clip_error e = {0};
    bool started = !c->start;
    batch *b;
    pthread_mutex_lock(&q->lock);
    while ((b = take_filled(q))) {
        pthread_mutex_unlock(&q->lock);
        clip_status s = started || !b->n_rows ? CLIP_OK : c->start(c->ctx, &e);
        if (b->n_rows) started = true;
        if (!s) s = encode_batch(c, b, &e);
        pthread_mutex_lock(&q->lock);
        b->next = NULL;
        *q->encoded_tail = b;
        q->encoded_tail = &b->next;
        if (s) { q->failed = q->stop = true; if (q->err) *q->err = e; }
        pthread_cond_broadcast(&q->ready);
        if (s) pthread_cond_broadcast(&q->work);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* ---- the calling thread ------------------------------------------------------------------------------------------ */

static bool push_redo(flow *q, const indexer_job *j) {
    if (q->n_redo == q->redo_room) {
        size_t room = q->redo_room ? 2 * q->redo_room : 16;
        indexer_job *more = realloc(q->redo, room * sizeof *more);
        if (!more) return false;
        q->redo = more; q->redo_room = room;
    }
    q->redo[q->n_redo] = *j;
    q->redo[q->n_redo++].must_encode = true;
    return true;
}

/* Under the lock: the batch was written. What is to be done again goes back; the batch becomes a spare or the filling
 * one. */
static void recycle(flow *q, batch *b) {
    for (size_t i = 0; i < b->n_items; i++)
        if (b->items[i].again && !push_redo(q, &b->items[i].job)) q->failed = q->stop = true;
    q->in_flight -= b->n_items;
    b->n_items = b->n_rows = 0;
    if (!q->filling) q->filling = b;
    else { b->next = q->spare; q->spare = b; }
    pthread_cond_broadcast(&q->work);
    pthread_cond_signal(&q->filled);
}

static batch *take_encoded(flow *q) {
    batch *b = q->encoded;
    if (!b) return NULL;
    q->encoded = b->next;
    if (!q->encoded) q->encoded_tail = &q->encoded;
    return b;
}

static void write_batches(flow *q) {
    batch *b;
    while (!q->failed && (b = take_encoded(q))) {
        pthread_mutex_unlock(&q->lock);
        int bad = q->p->write(b->items, b->n_items, q->p->ctx);
        pthread_mutex_lock(&q->lock);
        if (bad) q->failed = q->stop = true;
        recycle(q, b);
    }
}

/* Writes what comes out until nothing more can come. True: the owner asked to stop. */
static bool attend(flow *q) {
    bool stopped = false;
    pthread_mutex_lock(&q->lock);
    while (!q->failed && (q->in_flight || q->decoders_alive)) {
        struct timespec until = now_plus(0.1);
        if (!q->encoded) pthread_cond_timedwait(&q->ready, &q->lock, &until);
        write_batches(q);
        pthread_mutex_unlock(&q->lock);
        bool stop = q->p->tick(q->p->ctx);
        pthread_mutex_lock(&q->lock);
        if (stop && !q->stop) {
            stopped = q->stop = true;
            pthread_cond_broadcast(&q->work);
            pthread_cond_broadcast(&q->filled);
        }
    }
    q->stop = true;
    pthread_cond_broadcast(&q->work);
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
    return stopped;
}

/* ---- making and ending ------------------------------------------------------------------------------------------- */

static bool flow_init(flow *q, const indexer_pipeline *p, clip_error *err) {
    const indexer_coder *c = p->coder;
    pthread_condattr_t a;
    *q = (flow){.p = p, .err = err, .room_rows = (size_t)c->max_batch, .room_items = (size_t)c->max_batch * ITEMS_PER_ROW};
    q->encoded_tail = &q->encoded;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&q->work, &a);
    pthread_cond_init(&q->filled, &a);
    pthread_cond_init(&q->ready, &a);
    pthread_condattr_destroy(&a);
    for (int i = 0; i < BATCHES; i++) {
        batch *b = &q->all[i];
        b->items = malloc(q->room_items * sizeof *b->items);
        b->rows = malloc(q->room_rows * c->row_bytes);
        b->vectors = malloc(q->room_rows * (size_t)c->dim * sizeof *b->vectors);
        if (!b->items || !b->rows || !b->vectors) return false;
        if (i) { b->next = q->spare; q->spare = b; }
    }
    q->filling = &q->all[0];
    return true;
}

static void flow_finish(flow *q) {
    for (int i = 0; i < BATCHES; i++) { free(q->all[i].items); free(q->all[i].rows); free(q->all[i].vectors); }
    free(q->redo);
    pthread_cond_destroy(&q->ready);
    pthread_cond_destroy(&q->filled);
    pthread_cond_destroy(&q->work);
    pthread_mutex_destroy(&q->lock);
}

static int start_decoders(flow *q, pthread_t *threads, int n) {
    int started = 0;
    pthread_mutex_lock(&q->lock);
    while (started < n && !pthread_create(&threads[started], NULL, decoder, q)) { started++; q->decoders_alive++; }
    pthread_mutex_unlock(&q->lock);
    return started;
}

static void refuse(flow *q) {
    pthread_mutex_lock(&q->lock);
    q->failed = q->stop = true;
    pthread_mutex_unlock(&q->lock);
    if (q->err && !q->err->text[0]) snprintf(q->err->text, sizeof q->err->text, "not enough memory or threads to index");
}

indexer_pipeline_end indexer_pipeline_run(const indexer_pipeline *p, clip_error *err) {
    flow q;
    pthread_t encoder_thread, *threads = calloc((size_t)p->decoders, sizeof *threads);
    bool stopped = false, ready = flow_init(&q, p, err) && threads;
    int n = ready ? start_decoders(&q, threads, p->decoders) : 0;
    bool encoding = n > 0 && !pthread_create(&encoder_thread, NULL, encoder, &q);
    if (!encoding) refuse(&q);
    if (ready) stopped = attend(&q);
    if (encoding) pthread_join(encoder_thread, NULL);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    bool failed = q.failed;
    flow_finish(&q);
    free(threads);
    return failed ? INDEXER_PIPELINE_FAILED : stopped ? INDEXER_PIPELINE_STOPPED : INDEXER_PIPELINE_DONE;
}
