/* cache_build.c: a new FAISS file, made in one reading position of the database.
 *
 *   1  centroids   of a sample spread over the whole model, or those of the old file; none for an exact file
 *   2  lists       every vector is read once and given its list; those in the old file keep theirs
 *                  (in the same pass the best of some test questions are noted, to find how many lists a search must read)
 *   3  writing     every vector is read again and its bytes are put where its list goes; then the ids
 *   4  publishing  flush, rename, flush the folder; the row; then the old file goes
 *
 * FAISS alone would hold the whole index in memory (1.3 GB for a million vectors of 640). So it makes the head, and this
 * file puts the lists behind it: memory is the sample, twelve bytes a vector and one block.
 *
 * How many lists a search must read is measured on the library itself. Half of the questions are vectors of the library
 * mixed a little with others, as another photo would be; half are directions of no preference, which is how texts look to
 * photos: their vectors lie off the photos' cone and spread over its directions evenly, where photos prefer a few. (Vectors
 * of ViT-B/32, 1,213 photos and 2,148 texts: over a smooth model of the photos, 99 of 100 best photos of a text lay in the
 * nearest 347 of 512 lists, of such a direction in 374, of a photo in 146; over a clustered one in 220, 264 and 25.) For each
 * of the ten best photos of a question the rank of its list among the question's nearest is known, and a quantile of those
 * ranks is the answer. */
#include "store/cache.h"

#include "store/f16.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { ROUNDS = 10, BLOCK = 4096, QUESTIONS = 64, BEST = 10, MIXED = 24, LISTS_MAX = 8192, PROBES_MIN = 8 };
#define QUANTILE 0.995
#define MARGIN 1.25

typedef struct best { float score[BEST]; int64_t row[BEST]; int n; } best; /* row: counted in order of photo */
typedef struct known { int64_t id; int32_t list; } known;

typedef struct build {
    store *s;
    store_model m;
    cache *old;            /* lends its lists, or NULL */
    cache_row row;         /* of the new file */
    int64_t n;             /* vectors */
    int64_t code;          /* bytes of a vector in the file */
    float *sample;         /* [sample_n][dim] */
    int64_t sample_n, sample_room;
    vec_quantizer *q;
    float *centroids;      /* [lists][dim] */
    known *known;          /* [n_known] what the old file holds, by id */
    int64_t n_known, at_known;
    int32_t *list;         /* [n] in order of photo */
    int64_t *sizes;        /* [lists] */
    float *block;          /* [BLOCK][dim] vectors that wait for a list, and their rows */
    int64_t block_row[BLOCK], block_id[BLOCK], n_block;
    uint8_t *codes;        /* [BLOCK][code] */
    float *question;       /* [QUESTIONS][dim] */
    best found[QUESTIONS];
    uint8_t *head;         /* all of the file before the lists */
    int64_t *ids;          /* [n] in order of place: list by list */
    int64_t *first, *next_place; /* [lists] the place of a list's first vector; how many of its vectors are written */
    char *temp;
    int fd;
    void (*progress)(int64_t, int64_t, void *);
    void *ctx;
    int64_t done, steps;
} build;

static void tell(build *b, int64_t more)
{
    int64_t before = b->done;
    b->done += more;
    if (b->progress && (before >> 12 != b->done >> 12 || b->done == b->steps)) b->progress(b->done, b->steps, b->ctx);
}

static bool trained(const build *b) { return b->row.trained > 0; }

/* ---- reading ----------------------------------------------------------------------------------------------------- */

#define SOUND "FROM vectors WHERE key >= ? AND key < ? AND length(vector) = ?"

static void bind_sound(db_stmt *q, const build *b)
{
    db_int(q, b->m.id << STORE_PHOTO_BITS);
    db_int(q, (b->m.id + 1) << STORE_PHOTO_BITS);
    db_int(q, 2 * b->m.dim);
}

typedef struct row { int64_t i, id, seq; const void *f16; } row;
typedef store_status (*each_row)(build *b, const row *r, store_error *err);

/* Every sound vector of the model in order of photo, counted by row.i. */
static store_status read_rows(build *b, each_row each, store_error *err)
{
    db_stmt *q = db_prepare(b->s->db, "SELECT key, seq, vector " SOUND " ORDER BY key");
    bind_sound(q, b);
    store_status st = STORE_OK;
    int rc = DB_DONE;
    for (row r = {0}; !st && r.i < b->n && (rc = db_step(q)) == DB_ROW; r.i++) {
        size_t n;
        r.id = db_col_int(q, 0) & STORE_PHOTO_MASK;
        r.seq = db_col_int(q, 1);
        r.f16 = db_col_blob(q, 2, &n);
        st = each(b, &r, err);
    }
    db_release(q);
    return st ? st : rc == DB_FAILED ? db_fail(b->s->db, err) : STORE_OK;
}

static store_status count_rows(build *b, store_error *err)
{
    db_stmt *q = db_prepare(b->s->db, "SELECT count(*) " SOUND);
    bind_sound(q, b);
    store_status st = db_run_int(q, &b->n, err);
    if (st) return st;
    q = db_prepare(b->s->db, "SELECT seq FROM models WHERE id = ?");
    db_int(q, b->m.id);
    return db_run_int(q, &b->row.seq, err);
}

/* ---- 1: centroids ------------------------------------------------------------------------------------------------ */

static store_status keep_sample(build *b, const row *r, store_error *err)
{
    (void)err;
    if (r->i * b->sample_room / b->n < b->sample_n || b->sample_n == b->sample_room) return STORE_OK;
    f16_to_f32(r->f16, b->sample + b->sample_n++ * b->m.dim, (size_t)b->m.dim);
    return STORE_OK;
}

/* Spread evenly over the rows. */
static store_status take_sample(build *b, int64_t most, store_error *err)
{
    /* FAISS takes no more than 100,000 for its ranges, and the codec must see the same. */
    if (most > 100000) most = 100000;
    b->sample_room = b->n < most ? b->n : most;
    b->sample = malloc((size_t)b->sample_room * (size_t)b->m.dim * sizeof *b->sample);
    return b->sample ? read_rows(b, keep_sample, err) : store_no_memory(err);
}

/* About four times the square root of the size: the time to choose lists and the time to read them then grow alike. */
static int lists_for(int64_t n)
{
    int lists = 16;
    while (lists < LISTS_MAX && (int64_t)lists * lists < 8 * n) lists *= 2;
    return lists;
}

static store_status find_centroids(build *b, bool retrain, store_error *err)
{
    bool lend = !retrain && b->old && vec_centroids(b->old->file);
    bool exact = b->n <= cache_rule.exact_max;
    b->row.lists = lend ? b->old->row.lists : exact ? cache_rule.portions : lists_for(b->n);
    b->row.trained = lend ? b->old->row.trained : exact ? 0 : b->n;
    size_t size = (size_t)b->row.lists * (size_t)b->m.dim;
    b->centroids = calloc(size, sizeof *b->centroids);
    if (!b->centroids) return store_no_memory(err);
    store_status st = STORE_OK;
    if (lend) memcpy(b->centroids, vec_centroids(b->old->file), size * sizeof *b->centroids);
    if (trained(b)) {
        int64_t most = cache_rule.sample_bytes / ((int64_t)sizeof(float) * b->m.dim);
        st = take_sample(b, lend || most < b->row.lists ? BLOCK : most, err);
        if (!st && !lend)
            st = vec_train(b->sample, (size_t)b->sample_n, b->m.dim, b->row.lists, ROUNDS, b->centroids, err);
    }
    tell(b, b->n);
    b->row.bits = trained(b) ? 8 : 16;
    b->code = b->m.dim * b->row.bits / 8;
    if (st) return st;
    return vec_quantizer_create(b->centroids, b->m.dim, b->row.lists, b->row.bits, b->sample, (size_t)b->sample_n, &b->q, err);
}

/* ---- 2: lists ---------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const known *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* What the old file holds, where its centroids are kept. */
static store_status remember_old(build *b, store_error *err)
{
    if (!b->old || !trained(b) || b->row.trained != b->old->row.trained) return STORE_OK;
    vec_file *v = b->old->file;
    b->known = malloc((size_t)b->old->row.count * sizeof *b->known + 1);
    int64_t *ids = malloc((size_t)b->old->row.count * sizeof *ids + 1);
    bool ok = b->known && ids;
    for (int l = 0; l < vec_lists(v) && ok; l++) {
        vec_list_ids(v, l, ids);
        for (int64_t i = 0; i < vec_list_size(v, l); i++) b->known[b->n_known++] = (known){ids[i], l};
    }
    free(ids);
    if (!ok) return store_no_memory(err);
    qsort(b->known, (size_t)b->n_known, sizeof *b->known, by_id);
    return STORE_OK;
}

static int32_t known_list(build *b, const row *r)
{
    while (b->at_known < b->n_known && b->known[b->at_known].id < r->id) b->at_known++;
    bool found = b->at_known < b->n_known && b->known[b->at_known].id == r->id && r->seq <= b->old->row.seq;
    return found ? b->known[b->at_known].list : -1;
}

static void ask(build *b, const row *r)
{
    for (int k = 0; k < QUESTIONS; k++) {
        best *f = &b->found[k];
        float score = f16_dot(r->f16, b->question + (size_t)k * (size_t)b->m.dim, (size_t)b->m.dim);
        if (f->n == BEST && score <= f->score[BEST - 1]) continue;
        int at = f->n < BEST ? f->n++ : BEST - 1;
        for (; at > 0 && f->score[at - 1] < score; at--) {
            f->score[at] = f->score[at - 1];
            f->row[at] = f->row[at - 1];
        }
        f->score[at] = score;
        f->row[at] = r->i;
    }
}

static store_status assign_block(build *b, store_error *err)
{
    int64_t list[BLOCK];
    store_status st = vec_assign(b->q, b->block, (size_t)b->n_block, list, err);
    for (int64_t i = 0; i < b->n_block && !st; i++)
        b->list[b->block_row[i]] = (int32_t)(list[i] >= 0 && list[i] < b->row.lists ? list[i] : 0);
    b->n_block = 0;
    return st;
}

static store_status give_list(build *b, const row *r, store_error *err)
{
    tell(b, 1);
    if (!trained(b)) {
        b->list[r->i] = (int32_t)(r->i * b->row.lists / b->n);
        return STORE_OK;
    }
    ask(b, r);
    b->list[r->i] = known_list(b, r);
    if (b->list[r->i] >= 0) return STORE_OK;
    f16_to_f32(r->f16, b->block + b->n_block * b->m.dim, (size_t)b->m.dim);
    b->block_row[b->n_block++] = r->i;
    return b->n_block == BLOCK ? assign_block(b, err) : STORE_OK;
}

static store_status find_lists(build *b, store_error *err)
{
    b->list = malloc((size_t)b->n * sizeof *b->list + 1);
    b->sizes = calloc((size_t)b->row.lists, sizeof *b->sizes);
    b->block = malloc(BLOCK * (size_t)b->m.dim * sizeof *b->block);
    if (!b->list || !b->sizes || !b->block) return store_no_memory(err);
    store_status st = remember_old(b, err);
    if (!st) st = read_rows(b, give_list, err);
    if (!st && b->n_block) st = assign_block(b, err);
    for (int64_t i = 0; i < b->n && !st; i++) b->sizes[b->list[i]]++;
    free(b->known);
    b->known = NULL;
    return st;
}

/* ---- 2b: how many lists a search must read ----------------------------------------------------------------------- */

static uint64_t next(uint64_t *seed) /* splitmix64: Steele, Lea, Flood, OOPSLA 2014 */
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static const float *pick(const build *b, uint64_t *seed)
{
    return b->sample + (size_t)(next(seed) % (uint64_t)b->sample_n) * (size_t)b->m.dim;
}

/* x += weight * (y - mean) */
static void add_deviation(float *x, const float *y, const float *mean, float weight, int dim)
{
    for (int i = 0; i < dim; i++) x[i] += weight * (y[i] - mean[i]);
}

static void like_a_photo(const build *b, float *q, const float *mean, uint64_t *seed)
{
    memcpy(q, mean, (size_t)b->m.dim * sizeof *q);
    add_deviation(q, pick(b, seed), mean, 1, b->m.dim);
    for (int j = 0; j < MIXED; j++)
        add_deviation(q, pick(b, seed), mean, 0.5f / sqrtf(MIXED) * (next(seed) & 1 ? 1 : -1), b->m.dim);
}

/* Of unit length, a quarter of it along the photos' mean, the rest in any direction. */
static void like_a_text(float *q, const float *mean, int dim, uint64_t *seed)
{
    double length = 0, noise = 0;
    for (int i = 0; i < dim; i++) {
        q[i] = (float)(next(seed) >> 40) + (float)(next(seed) >> 40) - (float)(next(seed) >> 40) - (float)(next(seed) >> 40);
        noise += (double)q[i] * q[i];
        length += (double)mean[i] * mean[i];
    }
    for (int i = 0; i < dim; i++)
        q[i] = (float)(q[i] / sqrt(noise + 1e-30) + 0.25 * mean[i] / sqrt(length + 1e-30));
}

static store_status make_questions(build *b, store_error *err)
{
    int dim = b->m.dim;
    uint64_t seed = 1;
    b->question = calloc(QUESTIONS * (size_t)dim, sizeof *b->question);
    float *mean = calloc((size_t)dim, sizeof *mean);
    if (!b->question || !mean) {
        free(mean);
        return store_no_memory(err);
    }
    for (int64_t k = 0; k < b->sample_n; k++)
        for (int i = 0; i < dim; i++) mean[i] += b->sample[k * dim + i] / (float)b->sample_n;
    for (int k = 0; k < QUESTIONS; k++) {
        float *q = b->question + k * dim;
        if (k % 2) like_a_text(q, mean, dim, &seed);
        else like_a_photo(b, q, mean, &seed);
    }
    free(mean);
    return STORE_OK;
}

static int ascending(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static store_status find_probes(build *b, store_error *err)
{
    b->row.probes = b->row.lists;
    if (!trained(b)) return STORE_OK;
    size_t lists = (size_t)b->row.lists;
    int64_t *order = malloc(QUESTIONS * lists * sizeof *order);
    int *rank = malloc(lists * sizeof *rank), all[QUESTIONS * BEST], n = 0;
    store_status st = order && rank ? vec_order(b->q, b->question, QUESTIONS, order, err) : store_no_memory(err);
    for (int k = 0; k < QUESTIONS && !st; k++) {
        for (size_t i = 0; i < lists; i++)
            if (order[(size_t)k * lists + i] >= 0) rank[order[(size_t)k * lists + i]] = (int)i;
        for (int j = 0; j < b->found[k].n; j++) all[n++] = rank[b->list[b->found[k].row[j]]];
    }
    if (!st && n) {
        qsort(all, (size_t)n, sizeof *all, ascending);
        int probes = (int)((all[(int)(QUANTILE * (n - 1))] + 1) * MARGIN);
        if (probes < PROBES_MIN) probes = PROBES_MIN;
        if (probes < b->row.lists) b->row.probes = probes;
    }
    free(order);
    free(rank);
    return st;
}

/* ---- 3: writing -------------------------------------------------------------------------------------------------- */

static store_status make_head(build *b, store_error *err)
{
    uint8_t *faiss;
    size_t n;
    store_status st = vec_head_make(b->q, b->sizes, &faiss, &n, err);
    if (st) return st;
    size_t offset = CACHE_FRONT + (CACHE_ALIGN - (CACHE_FRONT + n) % CACHE_ALIGN) % CACHE_ALIGN;
    b->row.count = b->n;
    b->row.head_bytes = (int64_t)(offset + n);
    b->row.bytes = b->row.head_bytes + b->n * (b->code + 8);
    b->head = malloc(offset + n);
    if (b->head) {
        cache_front_make(b->head, &b->m, &b->row, (uint32_t)offset);
        memcpy(b->head + offset, faiss, n);
        cache_hash(b->head, offset + n, b->row.head_hash);
    }
    free(faiss);
    return b->head ? STORE_OK : store_no_memory(err);
}

static store_status write_failed(build *b, store_error *err)
{
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return store_fail(err, STORE_E_FULL, "%s: no space left on the disk for the search index (%lld MB). The library is "
                          "complete and can be searched, only slower", b->temp, (long long)(b->row.bytes >> 20) + 1);
    return store_fail(err, errno == EROFS || errno == EACCES ? STORE_E_READONLY : STORE_E_IO, "%s: %s", b->temp, strerror(errno));
}

static store_status create_temp(build *b, store_error *err)
{
    char *folder = store_path_beside(b->s, ".cache");
    b->temp = store_path_beside(b->s, ".cache/new-XXXXXX");
    if (!folder || !b->temp) {
        free(folder);
        return store_no_memory(err);
    }
    mkdir(folder, 0777); /* a failure shows in the next line */
    free(folder);
    b->fd = mkostemp(b->temp, O_CLOEXEC);
    if (b->fd < 0) return write_failed(b, err);
    mode_t mask = umask(0);
    umask(mask);
    fchmod(b->fd, 0666 & ~mask); /* readers may be other users */
    errno = posix_fallocate(b->fd, 0, b->row.bytes);
    return errno ? write_failed(b, err) : STORE_OK;
}

static store_status put(build *b, const void *bytes, size_t n, int64_t at, store_error *err)
{
    const uint8_t *p = bytes;
    while (n) {
        ssize_t done = pwrite(b->fd, p, n, at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return write_failed(b, err);
        p += done;
        at += done;
        n -= (size_t)done;
    }
    return STORE_OK;
}

/* Where list l begins: before it lie `first[l]` codes and ids. */
static int64_t list_at(const build *b, int l) { return b->row.head_bytes + b->first[l] * (b->code + 8); }

/* The next place in its list. */
static store_status put_code(build *b, int64_t i, int64_t id, const void *code, store_error *err)
{
    int l = b->list[i];
    int64_t within = b->next_place[l]++;
    b->ids[b->first[l] + within] = id;
    tell(b, 1);
    return put(b, code, (size_t)b->code, list_at(b, l) + within * b->code, err);
}

static store_status put_block(build *b, store_error *err)
{
    store_status st = vec_encode(b->q, b->block, (size_t)b->n_block, b->codes, err);
    for (int64_t i = 0; i < b->n_block && !st; i++)
        st = put_code(b, b->block_row[i], b->block_id[i], b->codes + i * b->code, err);
    b->n_block = 0;
    return st;
}

static store_status put_row(build *b, const row *r, store_error *err)
{
    if (b->row.bits == 16) return put_code(b, r->i, r->id, r->f16, err);
    f16_to_f32(r->f16, b->block + b->n_block * b->m.dim, (size_t)b->m.dim);
    b->block_row[b->n_block] = r->i;
    b->block_id[b->n_block++] = r->id;
    return b->n_block == BLOCK ? put_block(b, err) : STORE_OK;
}

static store_status write_lists(build *b, store_error *err)
{
    size_t lists = (size_t)b->row.lists;
    b->ids = malloc((size_t)b->n * sizeof *b->ids + 1);
    b->first = calloc(lists, sizeof *b->first);
    b->next_place = calloc(lists, sizeof *b->next_place);
    b->codes = malloc(BLOCK * (size_t)b->code);
    if (!b->ids || !b->first || !b->next_place || !b->codes) return store_no_memory(err);
    for (size_t l = 1; l < lists; l++) b->first[l] = b->first[l - 1] + b->sizes[l - 1];
    store_status st = put(b, b->head, (size_t)b->row.head_bytes, 0, err);
    if (!st) st = read_rows(b, put_row, err);
    if (!st && b->n_block) st = put_block(b, err);
    for (size_t l = 0; l < lists && !st; l++) {
        if (b->next_place[l] != b->sizes[l]) st = store_fail(err, STORE_E_INTERNAL, "vectors changed while they were read");
        else st = put(b, b->ids + b->first[l], 8 * (size_t)b->sizes[l], list_at(b, (int)l) + b->sizes[l] * b->code, err);
    }
    return st;
}

/* ---- 4: publishing ----------------------------------------------------------------------------------------------- */

static store_status flush_and_rename(build *b, const char *path, const char *folder, store_error *err)
{
    if (!cache_hash_fd(b->fd, b->row.bytes, b->row.file_hash) || fsync(b->fd) || rename(b->temp, path)) return write_failed(b, err);
    int d = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d < 0) return write_failed(b, err);
    fsync(d); /* some file systems cannot; the row then comes to naught and the file is made again */
    close(d);
    return STORE_OK;
}

/* Older files of this model, and what killed builds left behind. */
static void sweep(build *b, const char *folder)
{
    char mine[64], current[96];
    snprintf(mine, sizeof mine, "vectors-%lld-", (long long)b->m.id);
    snprintf(current, sizeof current, "%s%lld.faiss", mine, (long long)b->row.generation);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        bool old = !strncmp(e->d_name, mine, strlen(mine)) && strcmp(e->d_name, current);
        if (old || !strncmp(e->d_name, "new-", 4)) unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) closedir(d);
}

static store_status publish(build *b, store_error *err)
{
    char *path = cache_file_path(b->s, b->m.id, b->row.generation), *folder = store_path_beside(b->s, ".cache");
    store_status st = path && folder ? flush_and_rename(b, path, folder, err) : store_no_memory(err);
    bool opened = false;
    if (!st) st = store_step_begin(b->s, &opened, err);
    if (!st) st = store_step_end(b->s, opened, cache_row_put(b->s, b->m.id, &b->row, err), err);
    if (!st) sweep(b, folder);
    free(folder);
    free(path);
    return st;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void finish(build *b)
{
    if (b->fd >= 0) close(b->fd);
    if (b->temp) unlink(b->temp); /* gone already when it was published */
    vec_quantizer_destroy(b->q);
    void *all[] = {b->sample, b->centroids, b->known, b->list, b->sizes, b->block, b->question, b->head, b->ids, b->first,
                   b->next_place, b->codes, b->temp};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    free(b);
}

static store_status read_and_write(build *b, bool retrain, store_error *err)
{
    store_status st = count_rows(b, err);
    b->steps = 3 * b->n;
    if (!st && b->n == 0) return STORE_E_NOT_FOUND;
    if (!st) st = find_centroids(b, retrain, err);
    if (!st && trained(b)) st = make_questions(b, err);
    if (!st) st = find_lists(b, err);
    if (!st) st = find_probes(b, err);
    if (!st) st = make_head(b, err);
    if (!st) st = create_temp(b, err);
    return st ? st : write_lists(b, err);
}

static store_status drop_row(store *s, int64_t model_id, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "DELETE FROM caches WHERE model_id = ?");
    db_int(q, model_id);
    return db_run(q, err);
}

store_status cache_build(store *s, const store_model *m, cache *old, bool retrain, void (*progress)(int64_t, int64_t, void *),
                         void *ctx, store_error *err)
{
    build *b = calloc(1, sizeof *b);
    if (!b) return store_no_memory(err);
    b->s = s;
    b->m = *m;
    b->old = old;
    b->fd = -1;
    b->progress = progress;
    b->ctx = ctx;
    cache_row before;
    bool opened = false;
    store_status st = store_look_begin(s, &opened, err);
    if (!st) {
        store_status had = cache_row_get(s, m, &before, err);
        b->row.generation = had ? 1 : before.generation + 1;
        st = had == STORE_E_NOT_FOUND ? STORE_OK : had;
    }
    if (!st) st = read_and_write(b, retrain, err);
    store_look_end(s, opened);
    if (!st) st = publish(b, err);
    else if (st == STORE_E_NOT_FOUND) st = drop_row(s, m->id, err); /* no vectors, no file */
    finish(b);
    return st;
}
