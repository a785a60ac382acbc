/* library_fixture.h: a library in a folder of its own, with photos and vectors from a stated generator. */
#ifndef LIBRARY_FIXTURE_H
#define LIBRARY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/library.h"
#include "tests/made_numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
    char folder[256], db[300];
    store *s;
    int64_t root, model;
    int dim;
    store_error err;
} fixture;

/* Fails the test with the store's own words. */
#define OK(f, call) do { (f)->err.text[0] = 0; store_status ok_st = (call); \
    if (ok_st) fail_msg("%s: status %d: %s", #call, ok_st, (f)->err.text); } while (0)
#define FAILS(f, status, call) do { (f)->err.text[0] = 0; assert_int_equal((call), (status)); } while (0)

static inline float random_normal(uint64_t *seed)
{
    double u = ((double)(made_bits(seed) >> 11) + 0.5) * 0x1p-53, v = (double)(made_bits(seed) >> 11) * 0x1p-53;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static inline void normalise(float *v, int dim)
{
    double s = 0;
    for (int i = 0; i < dim; i++) s += (double)v[i] * v[i];
    for (int i = 0; i < dim; i++) v[i] = (float)(v[i] / sqrt(s));
}

/* Unit vectors around one common direction, as CLIP's lie in a cone. */
static inline void make_vector(uint64_t number, float *v, int dim)
{
    uint64_t seed = number * 7919 + 1;
    for (int i = 0; i < dim; i++) v[i] = random_normal(&seed) + (i == 0 ? 8 : 0);
    normalise(v, dim);
}

static inline void fixture_open(fixture *f, store_mode mode)
{
    OK(f, store_open(f->db, mode, &f->s, &f->err));
}

static inline void fixture_start(fixture *f, int dim)
{
    memset(f, 0, sizeof *f);
    /* In memory where that is possible: hundreds of libraries are made, and each flushes its files. */
    snprintf(f->folder, sizeof f->folder, "%s/store-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->db, sizeof f->db, "%s/photos.db", f->folder);
    f->dim = dim;
    fixture_open(f, STORE_CREATE);
    char *prefix;
    OK(f, store_root_place(f->s, "/photos", &f->root, &prefix, &f->err));
    free(prefix);
    store_model m = {.name = "tiny", .dir = "/models/tiny", .fingerprint = "0123456789abcdef", .precision = "f32", .dim = dim};
    OK(f, store_model_put(f->s, &m, &f->model, &f->err));
}

static inline void fixture_end(fixture *f)
{
    store_close(f->s);
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
}

/* Saves photo `number` at `path` within the open batch. */
static inline int64_t save_photo(fixture *f, const char *path, uint64_t number)
{
    store_photo p = {.root_id = f->root, .path = (char *)path, .size = 1000 + (int64_t)number,
                     .mtime_ns = 1700000000000000000 + (int64_t)number * 1000000000, .inode = number + 1,
                     .width = 400, .height = 300, .format = "jpeg"};
    memcpy(p.hash, &number, sizeof number);
    p.hash[15] = 1;
    int64_t id;
    OK(f, store_photo_save(f->s, &p, &id, &f->err));
    return id;
}

static inline int64_t save_with_vector(fixture *f, const char *path, uint64_t number)
{
    float v[STORE_MAX_DIM];
    int64_t id = save_photo(f, path, number);
    make_vector(number, v, f->dim);
    OK(f, store_vector_save(f->s, id, f->model, v, &f->err));
    return id;
}

/* Photos first .. first + n - 1 under "a/", in one batch. */
static inline void save_many(fixture *f, uint64_t first, uint64_t n)
{
    char path[64];
    OK(f, store_batch_begin(f->s, &f->err));
    for (uint64_t i = first; i < first + n; i++) {
        snprintf(path, sizeof path, "a/%06llu.jpg", (unsigned long long)i);
        save_with_vector(f, path, i);
    }
    OK(f, store_batch_commit(f->s, &f->err));
}

#endif
