/* vec.h: FAISS, narrowed to what the cache needs: centroids, the list that a vector belongs to, and a file whose lists are
 * mapped and searched.
 *
 * Threads  A vec_file may be searched by one thread at a time; it uses threads of its own. */
#ifndef VEC_H
#define VEC_H

#include "store/store.h"

typedef struct vec_quantizer vec_quantizer; /* centroids (which list a vector belongs to) and the form of its code */
typedef struct vec_file vec_file;           /* an index whose lists stay in their file */

/* Spherical k-means over x [n][dim]; centroids [lists][dim]. n must be at least `lists`. */
STORE_MUST_USE store_status vec_train(const float *x, size_t n, int dim, int lists, int rounds, float *centroids,
                                      store_error *err);
/* bits 16: codes are half-precision numbers as they lie in the database. bits 8: bytes, for which each dimension's range is
 * taken from sample [n][dim]. */
STORE_MUST_USE store_status vec_quantizer_create(const float *centroids, int dim, int lists, int bits, const float *sample,
                                                 size_t n, vec_quantizer **out, store_error *err);
void vec_quantizer_destroy(vec_quantizer *q);
/* list[i]: the list of x[i], x being [n][dim]. */
STORE_MUST_USE store_status vec_assign(vec_quantizer *q, const float *x, size_t n, int64_t *list, store_error *err);
/* codes [n][dim * bits / 8] of x [n][dim]. */
STORE_MUST_USE store_status vec_encode(vec_quantizer *q, const float *x, size_t n, uint8_t *codes, store_error *err);
/* order [n][lists]: all lists, nearest first. */
STORE_MUST_USE store_status vec_order(vec_quantizer *q, const float *x, size_t n, int64_t *order, store_error *err);

/* FAISS's file up to where the lists' bytes begin, for lists of these sizes; freed by the caller. What follows is for each
 * list in turn its codes and its ids (8 bytes each). */
STORE_MUST_USE store_status vec_head_make(const vec_quantizer *q, const int64_t *sizes, uint8_t **bytes, size_t *n,
                                          store_error *err);
/* Whether a head is one that vec_head_make gives for these figures, and the lists behind it fill `data` bytes exactly.
 * FAISS believes what it reads, so nothing is given to it that this has not passed. */
typedef struct vec_figures { int dim, lists, bits; int64_t count; uint64_t data; } vec_figures;
bool vec_head_check(const uint8_t *bytes, size_t n, const vec_figures *f);

/* Opens the index that begins at `offset` of the file; fd stays the caller's. */
STORE_MUST_USE store_status vec_open(int fd, int64_t offset, vec_file **out, store_error *err);
void vec_close(vec_file *v);
int vec_lists(const vec_file *v);
int64_t vec_list_size(const vec_file *v, int list);
void vec_list_ids(const vec_file *v, int list, int64_t *ids);
/* The centroids of an open file, [lists][dim], borrowed. */
const float *vec_centroids(const vec_file *v);

/* The k best of the `probes` nearest lists (all of them where probes >= lists), best first; ids may repeat only if the file
 * repeats them. *found <= k. */
STORE_MUST_USE store_status vec_search(vec_file *v, const float *query, size_t k, int probes, int threads, float *scores,
                                       int64_t *ids, size_t *found, store_error *err);

#endif
