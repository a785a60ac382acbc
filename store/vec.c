/* vec.c: the only file that knows FAISS, through its C API.
 *
 * The index is IVF with scalar-quantised codes and no residuals (the factory's IVFn,SQ... would encode residuals, whose
 * rounding differs from that of the vectors in the database). Half-precision codes are the database's blobs, byte for byte;
 * 8-bit codes take half the space and are for files that are not read whole. Measured, one thread, 100,000 x 512: fp16
 * 4.6 ms, 8 bits 6.8, 8 bits of one range 12, 6 bits 22, 4 bits 15. To have the ten best among the candidates in 999 of 1000
 * cases, 10 candidates of fp16 are enough, 23 of 8 bits, 79 of 4 bits, and 1000 to 4000 of a product quantiser of 2 bits a
 * dimension (PQ256x4fs: 0.5 ms a scan, but it cannot be mapped, and text questions go far deeper in it than others).
 *
 * Only IVF lists can stay in their file and be mapped; flat codes are read whole at every start. The flag that maps them is
 * 0x646f0008 (IO_FLAG_MMAP in C++); the C header's FAISS_IO_FLAG_MMAP is 1, which reads everything without a word.
 *
 * The lists are written by cache_build.c straight from the database, because FAISS would want all of them in memory. So FAISS
 * writes the empty, trained index, and its last section (the list sizes, 32 bytes when all are empty) is replaced:
 *
 *   head   "IwSq"  d int32, ntotal int64, 2 x int64, trained u8, metric int32       ntotal is set here
 *          nlist u64, nprobe u64
 *          "IxFI"  d int32, ntotal int64, 2 x int64, trained u8, metric int32, n u64, n floats    centroids
 *          direct map: type u8 (0), n u64 (0)
 *          quantizer: type int32, rangestat int32, its argument float, d u64, code_size u64,
 *                     n u64 (0, or 2 d for 8 bits), n floats (lowest value and width of each dimension)
 *          code_size u64, by_residual u8 (0)
 *          "ilar"  nlist u64, code_size u64, "full", n u64, n sizes u64                            written here
 *   data   for each list: codes, ids
 *
 * One query is searched by threads of our own, each over a share of the lists: FAISS splits a single query over threads only
 * in a mode that its C API cannot set. */
#include "store/vec.h"

#include <faiss/c_api/Clustering_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/IndexScalarQuantizer_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_io_c.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAP_LISTS = 0x646f0008, THREADS_MAX = 16 };

struct vec_quantizer {
    FaissIndexFlatIP *flat;
    FaissIndexScalarQuantizer *codec; /* NULL for 16 bits */
    const float *sample;              /* [n][dim], the caller's */
    size_t n;
    int dim, lists, bits;
};

struct vec_file {
    FaissIndex *index;
    FaissIndexIVF *ivf;
    int dim, lists; /* as the file says */
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

/* ---- centroids --------------------------------------------------------------------------------------------------- */

static store_status flat_create(const float *centroids, int dim, int lists, FaissIndexFlatIP **out, store_error *err)
{
    *out = NULL;
    if (faiss_IndexFlatIP_new_with(out, dim)) return failed("make an index of centroids", err);
    if (lists && faiss_Index_add(*out, lists, centroids)) {
        faiss_IndexFlatIP_free(*out);
        *out = NULL;
        return failed("keep the centroids", err);
    }
    return STORE_OK;
}

store_status vec_train(const float *x, size_t n, int dim, int lists, int rounds, float *centroids, store_error *err)
{
    FaissClusteringParameters p;
    faiss_ClusteringParameters_init(&p);
    p.niter = rounds;
    p.spherical = 1;
    p.min_points_per_centroid = 1; /* it would warn on stderr */
    p.max_points_per_centroid = 1 << 20;
    FaissClustering *c = NULL;
    FaissIndexFlatIP *flat = NULL;
    store_status st = flat_create(NULL, dim, 0, &flat, err);
    if (!st && (faiss_Clustering_new_with_params(&c, dim, lists, &p) || faiss_Clustering_train(c, (idx_t)n, x, flat)))
        st = failed("find centroids", err);
    float *found = NULL;
    size_t size = 0;
    if (!st) faiss_Clustering_centroids(c, &found, &size);
    if (!st && size != (size_t)lists * (size_t)dim) st = failed("find enough centroids", err);
    if (!st) memcpy(centroids, found, size * sizeof *centroids);
    if (c) faiss_Clustering_free(c);
    if (flat) faiss_IndexFlatIP_free(flat);
    return st;
}

store_status vec_quantizer_create(const float *centroids, int dim, int lists, int bits, const float *sample, size_t n,
                                  vec_quantizer **out, store_error *err)
{
    *out = NULL;
    vec_quantizer *q = calloc(1, sizeof *q);
    if (!q) return no_memory(err);
    *q = (vec_quantizer){.sample = sample, .n = n, .dim = dim, .lists = lists, .bits = bits};
    store_status st = flat_create(centroids, dim, lists, &q->flat, err);
    if (!st && bits == 8 && (faiss_IndexScalarQuantizer_new_with(&q->codec, dim, QT_8bit, METRIC_INNER_PRODUCT) ||
                             faiss_Index_train(q->codec, (idx_t)n, sample)))
        st = failed("find the vectors' ranges", err);
    if (st) vec_quantizer_destroy(q);
    else *out = q;
    return st;
}

void vec_quantizer_destroy(vec_quantizer *q)
{
    if (!q) return;
    if (q->codec) faiss_IndexScalarQuantizer_free(q->codec);
    if (q->flat) faiss_IndexFlatIP_free(q->flat);
    free(q);
}

store_status vec_encode(vec_quantizer *q, const float *x, size_t n, uint8_t *codes, store_error *err)
{
    if (!q->codec) {
        if (err && !err->text[0]) snprintf(err->text, sizeof err->text, "half-precision codes come from the database");
        return STORE_E_ARGUMENT;
    }
    return n && faiss_Index_sa_encode(q->codec, (idx_t)n, x, codes) ? failed("encode vectors", err) : STORE_OK;
}

store_status vec_assign(vec_quantizer *q, const float *x, size_t n, int64_t *list, store_error *err)
{
    return n && faiss_Index_assign(q->flat, (idx_t)n, x, list, 1) ? failed("assign vectors to lists", err) : STORE_OK;
}

store_status vec_order(vec_quantizer *q, const float *x, size_t n, int64_t *order, store_error *err)
{
    float *scores = malloc(n * (size_t)q->lists * sizeof *scores);
    if (!scores) return no_memory(err);
    store_status st = STORE_OK;
    if (faiss_Index_search(q->flat, (idx_t)n, x, q->lists, scores, order)) st = failed("order the lists", err);
    free(scores);
    return st;
}

/* ---- the head of a file ------------------------------------------------------------------------------------------ */

enum {
    AT_NTOTAL = 8,
    INDEX_HEADER = 4 + 4 + 8 + 16 + 1 + 4,
    AT_CENTROIDS = INDEX_HEADER + 16 + INDEX_HEADER + 8,
    BEHIND_CENTROIDS = 9 + 4 + 4 + 4 + 8 + 8 + 8, /* to the ranges */
    BEHIND_RANGES = 8 + 1,
    EMPTY_TAIL = 4 + 8 + 8 + 4 + 8
};

/* What FAISS writes for an index without vectors. */
static store_status write_empty(const vec_quantizer *q, char **bytes, size_t *n, store_error *err)
{
    FaissIndexIVFScalarQuantizer *ivf = NULL;
    float *zero = calloc((size_t)q->dim, sizeof *zero);
    FILE *f = NULL;
    store_status st = zero ? STORE_OK : no_memory(err);
    *bytes = NULL;
    if (!st && faiss_IndexIVFScalarQuantizer_new_with_metric(&ivf, q->flat, (size_t)q->dim, (size_t)q->lists,
                                                             q->bits == 8 ? QT_8bit : QT_fp16, METRIC_INNER_PRODUCT, 0))
        st = failed("make an index", err);
    /* The same sample gives the same ranges as the codec's. Half precision has none: there this only sets a mark. */
    if (!st && faiss_Index_train(ivf, q->bits == 8 ? (idx_t)q->n : 1, q->bits == 8 ? q->sample : zero))
        st = failed("train an index", err);
    if (!st && !(f = open_memstream(bytes, n))) st = no_memory(err);
    if (!st && faiss_write_index(ivf, f)) st = failed("write an index", err);
    if (f && fclose(f) && !st) st = no_memory(err);
    if (ivf) faiss_IndexIVFScalarQuantizer_free(ivf);
    free(zero);
    return st;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, 8);
    return p + 8;
}

store_status vec_head_make(const vec_quantizer *q, const int64_t *sizes, uint8_t **bytes, size_t *n, store_error *err)
{
    char *empty;
    size_t length = 0;
    *bytes = NULL;
    store_status st = write_empty(q, &empty, &length, err);
    size_t keep = length >= EMPTY_TAIL ? length - EMPTY_TAIL : 0;
    *n = keep + EMPTY_TAIL + 8 * (size_t)q->lists;
    uint8_t *head = st ? NULL : malloc(*n);
    if (!st && !head) st = no_memory(err);
    if (!st) {
        uint64_t count = 0;
        memcpy(head, empty, keep);
        uint8_t *p = head + keep;
        memcpy(p, "ilar", 4);
        uint64_t code = (uint64_t)q->dim * (uint64_t)q->bits / 8;
        p = put64(put64(p + 4, (uint64_t)q->lists), code);
        memcpy(p, "full", 4);
        p = put64(p + 4, (uint64_t)q->lists);
        for (int i = 0; i < q->lists; i++) {
            p = put64(p, (uint64_t)sizes[i]);
            count += (uint64_t)sizes[i];
        }
        put64(head + AT_NTOTAL, count);
        vec_figures f = {q->dim, q->lists, q->bits, (int64_t)count, count * (code + 8)};
        if (vec_head_check(head, *n, &f)) {
            *bytes = head;
            head = NULL;
        } else {
            st = STORE_E_INTERNAL;
            if (err && !err->text[0])
                snprintf(err->text, sizeof err->text, "this FAISS writes its files in a form that clipsearch does not know: "
                         "searching goes on without a cache");
        }
    }
    free(head);
    free(empty);
    return st;
}

static bool is32(const uint8_t *p, uint32_t v) { return !memcmp(p, &v, 4); }
static bool is64(const uint8_t *p, uint64_t v) { return !memcmp(p, &v, 8); }

static bool index_header(const uint8_t *p, const char *name, int dim, uint64_t count)
{
    return !memcmp(p, name, 4) && is32(p + 4, (uint32_t)dim) && is64(p + 8, count) && p[32] == 1 &&
           is32(p + 33, METRIC_INNER_PRODUCT);
}

/* The quantizer's section; `ranges` floats of it were passed over. */
static bool codec_section(const uint8_t *s, uint64_t d, uint64_t ranges, int bits)
{
    uint64_t code = d * (uint64_t)bits / 8;
    const uint8_t *behind = s + BEHIND_CENTROIDS + 4 * ranges;
    return s[0] == 0 && is64(s + 1, 0) && is32(s + 9, bits == 8 ? QT_8bit : QT_fp16) && is64(s + 21, d) && is64(s + 29, code) &&
           is64(s + 37, ranges) && is64(behind, code) && behind[8] == 0;
}

/* "ilar" and sizes that add up to the count. */
static bool lists_section(const uint8_t *t, uint64_t lists, uint64_t code, uint64_t count)
{
    if (memcmp(t, "ilar", 4) || !is64(t + 4, lists) || !is64(t + 12, code) || memcmp(t + 20, "full", 4) || !is64(t + 24, lists))
        return false;
    for (uint64_t i = 0; i < lists; i++) {
        uint64_t size;
        memcpy(&size, t + EMPTY_TAIL + 8 * i, 8);
        if (size > count) return false;
        count -= size;
    }
    return count == 0;
}

bool vec_head_check(const uint8_t *p, size_t n, const vec_figures *f)
{
    if (f->dim < 1 || f->dim > 1 << 16 || f->lists < 1 || f->lists > 1 << 20 || f->count < 0) return false;
    if (f->bits != 8 && f->bits != 16) return false;
    uint64_t d = (uint64_t)f->dim, l = (uint64_t)f->lists, code = d * (uint64_t)f->bits / 8, ranges = f->bits == 8 ? 2 * d : 0;
    if (n != AT_CENTROIDS + 4 * d * l + BEHIND_CENTROIDS + 4 * ranges + BEHIND_RANGES + EMPTY_TAIL + 8 * l) return false;
    if (f->data / (code + 8) != (uint64_t)f->count || f->data % (code + 8)) return false;
    const uint8_t *c = p + INDEX_HEADER + 16, *s = p + AT_CENTROIDS + 4 * d * l;
    return index_header(p, "IwSq", f->dim, (uint64_t)f->count) && is64(p + INDEX_HEADER, l) &&
           index_header(c, "IxFI", f->dim, l) && is64(c + INDEX_HEADER, d * l) && codec_section(s, d, ranges, f->bits) &&
           lists_section(s + BEHIND_CENTROIDS + 4 * ranges + BEHIND_RANGES, l, code, (uint64_t)f->count);
}

/* ---- an open file ------------------------------------------------------------------------------------------------ */

store_status vec_open(int fd, int64_t offset, vec_file **out, store_error *err)
{
    *out = NULL;
    int copy = dup(fd);
    FILE *f = copy >= 0 ? fdopen(copy, "rb") : NULL;
    vec_file *v = calloc(1, sizeof *v);
    store_status st = v && f ? STORE_OK : no_memory(err);
    if (!st && fseek(f, (long)offset, SEEK_SET)) st = failed("find its place in the file", err);
    if (!st && faiss_read_index(f, MAP_LISTS, &v->index)) st = failed("read its file", err);
    if (!st && !(v->ivf = faiss_IndexIVF_cast(v->index))) st = failed("read its file as lists", err);
    if (f) fclose(f); /* the lists stay mapped */
    else if (copy >= 0) close(copy);
    if (st) {
        vec_close(v);
        return st;
    }
    v->dim = faiss_Index_d(v->index);
    v->lists = (int)faiss_IndexIVF_nlist(v->ivf);
    *out = v;
    return STORE_OK;
}

void vec_close(vec_file *v)
{
    if (!v) return;
    if (v->index) faiss_Index_free(v->index);
    free(v);
}

int vec_lists(const vec_file *v) { return v->lists; }
int64_t vec_list_size(const vec_file *v, int list) { return (int64_t)faiss_IndexIVF_get_list_size(v->ivf, (size_t)list); }
void vec_list_ids(const vec_file *v, int list, int64_t *ids) { faiss_IndexIVF_invlists_get_ids(v->ivf, (size_t)list, ids); }

const float *vec_centroids(const vec_file *v)
{
    float *x = NULL;
    size_t n = 0;
    FaissIndexFlat *flat = faiss_IndexFlat_cast(faiss_IndexIVF_quantizer(v->ivf));
    if (flat) faiss_IndexFlat_xb(flat, &x, &n);
    return n == (size_t)v->lists * (size_t)v->dim ? x : NULL;
}

/* ---- searching --------------------------------------------------------------------------------------------------- */

typedef struct share {
    pthread_t thread;
    bool started;
    vec_file *v;
    const float *query;
    idx_t *lists;   /* [room], -1 where there is none */
    float *near;    /* [room], unused without residuals */
    float *scores;  /* [k] */
    idx_t *ids;     /* [k], -1 where there is none */
    size_t k;
    int64_t load;
    int n, failed;
} share;

static void *search_share(void *arg)
{
    share *p = arg;
    p->failed = faiss_IndexIVF_search_preassigned(p->v->ivf, 1, p->query, (idx_t)p->k, p->lists, p->near, p->scores, p->ids, 0);
    return NULL;
}

static void share_finish(share *p, int n)
{
    for (int i = 0; i < n; i++) {
        free(p[i].lists);
        free(p[i].near);
        free(p[i].scores);
        free(p[i].ids);
    }
}

static bool share_init(share *p, int n, vec_file *v, const float *query, size_t k, int room)
{
    for (int i = 0; i < n; i++) {
        p[i] = (share){.v = v, .query = query, .k = k, .lists = malloc((size_t)room * sizeof(idx_t)),
                       .near = calloc((size_t)room, sizeof(float)), .scores = malloc(k * sizeof(float)),
                       .ids = malloc(k * sizeof(idx_t))};
        if (!p[i].lists || !p[i].near || !p[i].scores || !p[i].ids) return false;
        for (int j = 0; j < room; j++) p[i].lists[j] = -1;
    }
    return true;
}

typedef struct scored { float score; int64_t id; } scored;

static int best_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static store_status gather(const share *p, int n, size_t k, float *scores, int64_t *ids, size_t *found, store_error *err)
{
    scored *all = malloc((size_t)n * k * sizeof *all);
    if (!all) return no_memory(err);
    size_t m = 0;
    for (int i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++)
            if (p[i].ids[j] >= 0 && p[i].scores[j] == p[i].scores[j]) all[m++] = (scored){p[i].scores[j], p[i].ids[j]};
    qsort(all, m, sizeof *all, best_first);
    *found = m < k ? m : k;
    for (size_t j = 0; j < *found; j++) {
        scores[j] = all[j].score;
        ids[j] = all[j].id;
    }
    free(all);
    return STORE_OK;
}

/* Which lists to scan, nearest first; all of them in any order when all are wanted. */
static store_status choose(vec_file *v, const float *query, int probes, idx_t *lists, store_error *err)
{
    if (probes >= v->lists) {
        for (int i = 0; i < v->lists; i++) lists[i] = i;
        return STORE_OK;
    }
    float *near = malloc((size_t)probes * sizeof *near);
    if (!near) return no_memory(err);
    store_status st = STORE_OK;
    if (faiss_Index_search(faiss_IndexIVF_quantizer(v->ivf), 1, query, probes, near, lists)) st = failed("choose lists", err);
    free(near);
    return st;
}

/* Each list goes to the thread that has the least to do. */
static int deal(share *p, int n, vec_file *v, const idx_t *lists, int probes)
{
    int most = 0;
    for (int i = 0; i < probes; i++) {
        if (lists[i] < 0) continue;
        share *least = &p[0];
        for (int j = 1; j < n; j++)
            if (p[j].load < least->load) least = &p[j];
        least->lists[least->n++] = lists[i];
        least->load += vec_list_size(v, (int)lists[i]);
        if (least->n > most) most = least->n;
    }
    return most;
}

/* A thread costs about 50 microseconds, the time in which one scans 1 MB. */
static int threads_for(vec_file *v, const idx_t *lists, int probes, int wanted)
{
    int64_t bytes = 0;
    for (int i = 0; i < probes; i++)
        if (lists[i] >= 0) bytes += vec_list_size(v, (int)lists[i]) * 2 * v->dim;
    int64_t useful = bytes / (1 << 21) + 1;
    if (wanted > THREADS_MAX) wanted = THREADS_MAX;
    return useful < wanted ? (int)useful : wanted < 1 ? 1 : wanted;
}

store_status vec_search(vec_file *v, const float *query, size_t k, int probes, int threads, float *scores, int64_t *ids,
                        size_t *found, store_error *err)
{
    *found = 0;
    if (probes > v->lists) probes = v->lists;
    if (probes < 1 || k < 1) return STORE_OK;
    share p[THREADS_MAX] = {0};
    idx_t *lists = malloc((size_t)probes * sizeof *lists);
    store_status st = lists ? choose(v, query, probes, lists, err) : no_memory(err);
    int n = st ? 0 : threads_for(v, lists, probes, threads);
    if (!st && !share_init(p, n, v, query, k, probes)) st = no_memory(err);
    if (!st) {
        int most = deal(p, n, v, lists, probes);
        faiss_IndexIVF_set_nprobe(v->ivf, (size_t)(most ? most : 1));
        for (int i = 1; i < n; i++) p[i].started = !pthread_create(&p[i].thread, NULL, search_share, &p[i]);
        search_share(&p[0]);
        for (int i = 1; i < n; i++) {
            if (p[i].started) pthread_join(p[i].thread, NULL);
            else search_share(&p[i]);
        }
        for (int i = 0; i < n && !st; i++)
            if (p[i].failed) st = failed("search", err);
        if (!st) st = gather(p, n, k, scores, ids, found, err);
    }
    share_finish(p, n);
    free(lists);
    return st;
}
