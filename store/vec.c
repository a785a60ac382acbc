/* vec.c: the only file that knows FAISS, through its C API.
 *
 * The index is a product quantiser with one 4-bit code a dimension, searched by FAISS's "fast scan", which keeps its tables
 * in vector registers (André, Kermarrec, Le Scouarnec, "Cache locality is not enough", VLDB 2015). It reads half a byte a
 * dimension, of all vectors: there are no lists that a search might fail to look into. Its scores are off by about a tenth of
 * their spread, so what it names are candidates, which search.c weighs again and knows when there were enough.
 *
 * Why not IVF with mapped lists, which was tried first: a text's vector lies off the cone of the photos' vectors and has its
 * best photos all over their lists. With vectors of ViT-B/32 (1,213 photos, 2,148 texts; 50,000 vectors of a model fitted to
 * the photos; 512 lists) 99 % of the ten best photos of a text lay in its nearest 347 lists, of another photo in 146; with
 * photos in tight groups 220 and 25. Reading two thirds of the lists, mapped, costs more than reading all 4-bit codes:
 *
 *   200,000 x 512, one thread, CPU time          scan      candidates that hold the ten best in 99 / 99.9 % of cases
 *     PQ512x4fs (this)                           1.9 ms     49 / 155 for texts, 41 / 110 for photos
 *     PQ256x4fs                                  0.9 ms     1039 / 3850, 326 / 1492
 *     OPQ128,PQ128x4fs                           0.5 ms     2910 / 6819, 564 / 1915; ten minutes of training
 *     SQ4                                        30 ms      49 / 69
 *     SQ8                                        13 ms      10 / 21
 *     SQfp16                                     9 ms       10 / 10
 *   mapping and unmapping pages of lists: 0.17 ms a MB, for 2 to 4 times as many bytes; look-up of a candidate in the
 *   database: 4 microseconds
 *
 * A part as FAISS writes it ("IPfs"), which vec_head_check compares field by field:
 *
 *   head   "IPfs", d int32, ntotal int64, 2 x int64, trained u8, metric int32
 *          quantiser: d u64, M u64 (= d), bits u64 (4), n u64 (16 d), n floats: the values of each dimension's codes
 *          implem int32 (0), bbs int32 (32), qbs int32 (0), ntotal2 u64, M2 u64, n u64 bytes of codes
 *   codes  blocks of 32 vectors */
#include "store/vec.h"

#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <faiss/c_api/utils/distances_c.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The OpenMP runtime's own, by hand: clang comes without <omp.h>. */
int omp_get_max_threads(void);
void omp_set_num_threads(int);

enum { CODES = 16 };

struct vec_maker {
    FaissIndex *index;
    int dim;
};

struct vec_part {
    FaissIndex *index;
    int64_t count;
};

static store_status no_memory(store_error *err)
{
    if (err && !err->text[0]) snprintf(err->text, sizeof err->text, "out of memory: close other programs and try again");
    return STORE_E_MEMORY;
}

/* FAISS's own words; an exception of std::bad_alloc has only its name. */
static store_status failed(const char *what, store_error *err)
{
    const char *why = faiss_get_last_error();
    if (why && strstr(why, "bad_alloc")) return no_memory(err);
    if (err && !err->text[0]) snprintf(err->text, sizeof err->text, "FAISS could not %s: %.300s", what, why ? why : "no reason");
    return STORE_E_INTERNAL;
}

/* Everything is done by the calling thread; cache.c searches several parts at once. FAISS opens an OpenMP team even for the
 * tables of one query, and training is hundreds of small problems of one dimension each: the team's threads then spend far
 * more time on waiting for each other than on work (the tests of the cache took 35 s of two busy cores instead of 3). */
static int alone(void)
{
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return threads;
}

void vec_kind(int dim, char *text, size_t room) { snprintf(text, room, "PQ%dx4fs", dim); }

/* ---- making ------------------------------------------------------------------------------------------------------ */

store_status vec_maker_create(int dim, const float *sample, size_t n, vec_maker **out, store_error *err)
{
    char kind[32];
    *out = NULL;
    vec_maker *m = calloc(1, sizeof *m);
    if (!m) return no_memory(err);
    m->dim = dim;
    vec_kind(dim, kind, sizeof kind);
    store_status st = STORE_OK;
    int threads = alone();
    faiss_set_distance_compute_blas_threshold(INT_MAX); /* vectors of one dimension gain nothing; see faiss_link.c */
    if (faiss_index_factory(&m->index, dim, kind, METRIC_INNER_PRODUCT)) st = failed("make an index", err);
    if (!st && faiss_Index_train(m->index, (idx_t)n, sample)) st = failed("find the values of codes", err);
    omp_set_num_threads(threads);
    if (st) vec_maker_destroy(m);
    else *out = m;
    return st;
}

void vec_maker_destroy(vec_maker *m)
{
    if (!m) return;
    if (m->index) faiss_Index_free(m->index);
    free(m);
}

store_status vec_maker_add(vec_maker *m, const float *x, size_t n, store_error *err)
{
    int threads = alone();
    bool ok = !n || !faiss_Index_add(m->index, (idx_t)n, x);
    omp_set_num_threads(threads);
    return ok ? STORE_OK : failed("encode vectors", err);
}

store_status vec_maker_write(vec_maker *m, FILE *f, store_error *err)
{
    if (faiss_write_index(m->index, f)) return failed("write its index", err);
    return faiss_Index_reset(m->index) ? failed("empty its index", err) : STORE_OK;
}

/* ---- what a part looks like -------------------------------------------------------------------------------------- */

enum { INDEX_HEADER = 4 + 4 + 8 + 16 + 1 + 4, AT_VALUES = INDEX_HEADER + 4 * 8, BEHIND_VALUES = 3 * 4 + 3 * 8 };

size_t vec_head_bytes(int dim) { return AT_VALUES + sizeof(float) * CODES * (size_t)dim + BEHIND_VALUES; }

static uint64_t padded_count(int64_t count) { return ((uint64_t)count + VEC_BLOCK - 1) / VEC_BLOCK * VEC_BLOCK; }
static uint64_t padded_dim(int dim) { return ((uint64_t)dim + 1) / 2 * 2; }

size_t vec_code_bytes(int dim, int64_t count) { return padded_count(count) * padded_dim(dim) / 2; }

int64_t vec_part_bytes(int dim, int64_t count) { return (int64_t)(vec_head_bytes(dim) + vec_code_bytes(dim, count)); }

static bool is32(const uint8_t *p, uint32_t v) { return !memcmp(p, &v, 4); }
static bool is64(const uint8_t *p, uint64_t v) { return !memcmp(p, &v, 8); }

bool vec_head_check(const uint8_t *p, int dim, int64_t count)
{
    uint64_t d = (uint64_t)dim, m2 = padded_dim(dim), n2 = padded_count(count);
    const uint8_t *q = p + INDEX_HEADER, *s = p + AT_VALUES + sizeof(float) * CODES * d;
    return !memcmp(p, "IPfs", 4) && is32(p + 4, (uint32_t)dim) && is64(p + 8, (uint64_t)count) && p[32] == 1 &&
           is32(p + 33, METRIC_INNER_PRODUCT) && is64(q, d) && is64(q + 8, d) && is64(q + 16, 4) && is64(q + 24, CODES * d) &&
           is32(s, 0) && is32(s + 4, VEC_BLOCK) && is32(s + 8, 0) && is64(s + 12, n2) && is64(s + 20, m2) &&
           is64(s + 28, n2 * m2 / 2);
}

static void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

void vec_head_resize(uint8_t *p, int dim, int64_t count)
{
    uint8_t *s = p + AT_VALUES + sizeof(float) * CODES * (size_t)dim;
    put64(p + 8, (uint64_t)count);
    put64(s + 12, padded_count(count));
    put64(s + 28, vec_code_bytes(dim, count));
}

/* ---- searching --------------------------------------------------------------------------------------------------- */

store_status vec_part_read(FILE *f, int dim, int64_t count, vec_part **out, store_error *err)
{
    *out = NULL;
    vec_part *p = calloc(1, sizeof *p);
    if (!p) return no_memory(err);
    store_status st = STORE_OK;
    p->count = count;
    if (faiss_read_index(f, 0, &p->index)) st = failed("read its index", err);
    else if (faiss_Index_d(p->index) != dim || faiss_Index_ntotal(p->index) != count) st = failed("find the size that was expected", err);
    if (st) vec_part_close(p);
    else *out = p;
    return st;
}

void vec_part_close(vec_part *p)
{
    if (!p) return;
    if (p->index) faiss_Index_free(p->index);
    free(p);
}

store_status vec_part_search(const vec_part *p, const float *query, size_t k, float *scores, int64_t *places, size_t *found,
                             store_error *err)
{
    *found = 0;
    if (k > (size_t)p->count) k = (size_t)p->count;
    int threads = alone();
    bool ok = !k || !faiss_Index_search(p->index, 1, query, (idx_t)k, scores, places);
    omp_set_num_threads(threads);
    if (!ok) return failed("search", err);
    for (size_t i = 0; i < k; i++) {
        if (places[i] < 0 || places[i] >= p->count || scores[i] != scores[i]) continue;
        scores[*found] = scores[i];
        places[(*found)++] = places[i];
    }
    return STORE_OK;
}
