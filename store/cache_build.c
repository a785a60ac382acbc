/* cache_build.c: a new FAISS file, made in one reading position of the database.
 *
 *   1  the values of the codes from a sample spread over the model
 *   2  every vector is read and encoded, part by part; the parts are written as they are done, the ids before them
 *   3  flush, rename, flush the folder; the row; then older files go
 *
 * Memory: the sample, one part's codes (half a byte a dimension), eight bytes a vector and one block. */
#include "store/cache.h"

#include "store/f16.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Finding 16 values for each dimension takes FAISS 4 ms a dimension with 4096 vectors, 1 ms with 1024, and more of them gain
 * nothing. */
enum { BLOCK = 1024, SAMPLE = 1024 };

typedef struct build {
    store *s;
    store_model m;
    cache_row row;
    int parts;
    vec_maker *maker;
    float *sample;         /* [sample_n][dim] */
    int64_t sample_n, sample_room;
    float *block;          /* [BLOCK][dim] */
    size_t n_block;
    int64_t *ids;          /* [count] */
    int part;              /* the one that is being filled */
    char *temp;
    FILE *file;
    void (*progress)(int64_t, int64_t, void *);
    void *ctx;
    int64_t done;
} build;

/* The count of rows is the total: reading the sample takes no time beside encoding. */
static void tell(build *b)
{
    if (b->progress && (b->done % BLOCK == 0 || b->done == b->row.count)) b->progress(b->done, b->row.count, b->ctx);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

#define SOUND "FROM vectors WHERE key >= ? AND key < ? AND length(vector) = ?"

static void bind_sound(db_stmt *q, const build *b)
{
    db_int(q, b->m.id << STORE_PHOTO_BITS);
    db_int(q, (b->m.id + 1) << STORE_PHOTO_BITS);
    db_int(q, 2 * b->m.dim);
}

typedef struct row { int64_t i, id; const void *f16; } row;
typedef store_status (*each_row)(build *b, const row *r, store_error *err);

/* Every sound vector of the model in order of photo, counted by row.i. */
static store_status read_rows(build *b, each_row each, store_error *err)
{
    db_stmt *q = db_prepare(b->s->db, "SELECT key, vector " SOUND " ORDER BY key");
    bind_sound(q, b);
    store_status st = STORE_OK;
    int rc = DB_DONE;
    for (row r = {0}; !st && r.i < b->row.count && (rc = db_step(q)) == DB_ROW; r.i++) {
        size_t n;
        r.id = db_col_int(q, 0) & STORE_PHOTO_MASK;
        r.f16 = db_col_blob(q, 1, &n);
        st = each(b, &r, err);
    }
    db_release(q);
    return st ? st : rc == DB_FAILED ? db_fail(b->s->db, err) : STORE_OK;
}

static store_status count_rows(build *b, store_error *err)
{
    db_stmt *q = db_prepare(b->s->db, "SELECT count(*) " SOUND);
    bind_sound(q, b);
    store_status st = db_run_int(q, &b->row.count, err);
    if (st) return st;
    b->parts = cache_parts(b->row.count);
    q = db_prepare(b->s->db, "SELECT seq FROM models WHERE id = ?");
    db_int(q, b->m.id);
    return db_run_int(q, &b->row.seq, err);
}

/* ---- 1: the values of the codes ---------------------------------------------------------------------------------- */

static store_status keep_sample(build *b, const row *r, store_error *err)
{
    (void)err;
    if (r->i * b->sample_room / b->row.count < b->sample_n || b->sample_n == b->sample_room) return STORE_OK;
    f16_to_f32(r->f16, b->sample + b->sample_n++ * b->m.dim, (size_t)b->m.dim);
    return STORE_OK;
}

/* Spread evenly over the rows; of a small library all rows, and again from the first. */
static store_status learn(build *b, store_error *err)
{
    int64_t dim = b->m.dim;
    b->sample_room = b->row.count < SAMPLE ? b->row.count : SAMPLE;
    b->sample = malloc((size_t)(SAMPLE * dim) * sizeof *b->sample);
    if (!b->sample) return store_no_memory(err);
    store_status st = read_rows(b, keep_sample, err);
    for (int64_t i = 0; !st && b->sample_n < VEC_SAMPLE_MIN; i++)
        memcpy(b->sample + b->sample_n++ * dim, b->sample + i * dim, (size_t)dim * sizeof *b->sample);
    return st ? st : vec_maker_create(b->m.dim, b->sample, (size_t)b->sample_n, &b->maker, err);
}

/* ---- 2: encoding and writing ------------------------------------------------------------------------------------- */

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
    int fd = mkostemp(b->temp, O_CLOEXEC);
    if (fd < 0) return write_failed(b, err);
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask); /* readers may be other users */
    if (!(b->file = fdopen(fd, "w+b"))) {
        close(fd);
        return store_no_memory(err);
    }
    /* The space is asked for before anything is computed. */
    b->row.bytes = cache_part_at(b->row.count, b->m.dim, b->parts, b->parts);
    errno = posix_fallocate(fd, 0, b->row.bytes);
    return errno ? write_failed(b, err) : STORE_OK;
}

static store_status encode_block(build *b, store_error *err)
{
    store_status st = vec_maker_add(b->maker, b->block, b->n_block, err);
    b->n_block = 0;
    return st;
}

/* A full part goes to the file. */
static store_status end_part(build *b, store_error *err)
{
    store_error why = {{0}};
    store_status st = encode_block(b, err);
    if (st) return st;
    if (fseek(b->file, (long)cache_part_at(b->row.count, b->m.dim, b->parts, b->part), SEEK_SET)) return write_failed(b, err);
    st = vec_maker_write(b->maker, b->file, &why);
    b->part++;
    if (ferror(b->file)) return write_failed(b, err);
    return st ? store_fail(err, st, "%s", why.text) : STORE_OK;
}

static store_status encode(build *b, const row *r, store_error *err)
{
    b->ids[r->i] = r->id;
    f16_to_f32(r->f16, b->block + b->n_block++ * (size_t)b->m.dim, (size_t)b->m.dim);
    b->done = r->i + 1;
    tell(b);
    if (r->i + 1 == cache_first(b->row.count, b->parts, b->part + 1)) return end_part(b, err);
    return b->n_block == BLOCK ? encode_block(b, err) : STORE_OK;
}

static store_status write_file(build *b, store_error *err)
{
    uint8_t front[CACHE_FRONT];
    size_t n = (size_t)b->row.count;
    b->ids = malloc(n * sizeof *b->ids);
    b->block = malloc(BLOCK * (size_t)b->m.dim * sizeof *b->block);
    if (!b->ids || !b->block) return store_no_memory(err);
    store_status st = read_rows(b, encode, err);
    if (st) return st;
    cache_front_make(front, &b->m, &b->row);
    bool ok = ftell(b->file) == b->row.bytes && !fseek(b->file, 0, SEEK_SET) && fwrite(front, CACHE_FRONT, 1, b->file) == 1 &&
              fwrite(b->ids, sizeof *b->ids, n, b->file) == n && !fflush(b->file);
    if (ok) return STORE_OK;
    if (!ferror(b->file)) return store_fail(err, STORE_E_INTERNAL, "this FAISS writes its files in a form that clipsearch does not "
                                            "know: searching goes on without a search index");
    return write_failed(b, err);
}

/* ---- 3: publishing ----------------------------------------------------------------------------------------------- */

static store_status flush_and_rename(build *b, const char *path, const char *folder, store_error *err)
{
    if (!cache_file_hash(fileno(b->file), b->m.dim, &b->row, b->row.hash) || fsync(fileno(b->file)) || rename(b->temp, path)) return write_failed(b, err);
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
    if (b->file) fclose(b->file);
    if (b->temp) unlink(b->temp); /* gone already when it was published */
    vec_maker_destroy(b->maker);
    free(b->sample);
    free(b->block);
    free(b->ids);
    free(b->temp);
    free(b);
}

/* STORE_E_NOT_FOUND: there are no vectors. */
static store_status read_and_write(build *b, store_error *err)
{
    cache_row before;
    store_status st = cache_row_get(b->s, &b->m, &before, err);
    if (st && st != STORE_E_NOT_FOUND) return st;
    b->row.generation = st ? 1 : before.generation + 1;
    st = count_rows(b, err);
    if (!st && b->row.count == 0) return STORE_E_NOT_FOUND;
    if (!st) st = create_temp(b, err);
    if (!st) st = learn(b, err);
    return st ? st : write_file(b, err);
}

static store_status drop_row(store *s, int64_t model_id, store_error *err)
{
    db_stmt *q = db_prepare(s->db, "DELETE FROM caches WHERE model_id = ?");
    db_int(q, model_id);
    return db_run(q, err);
}

store_status cache_build(store *s, const store_model *m, void (*progress)(int64_t, int64_t, void *), void *ctx, store_error *err)
{
    build *b = calloc(1, sizeof *b);
    if (!b) return store_no_memory(err);
    b->s = s;
    b->m = *m;
    b->progress = progress;
    b->ctx = ctx;
    bool opened = false;
    store_status st = store_look_begin(s, &opened, err);
    if (!st) st = read_and_write(b, err);
    store_look_end(s, opened);
    if (!st) st = publish(b, err);
    else if (st == STORE_E_NOT_FOUND) st = drop_row(s, m->id, err);
    finish(b);
    return st;
}
