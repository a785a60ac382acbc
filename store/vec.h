/* vec.h: FAISS, narrowed to what the cache needs: an index of 4-bit codes that is made in parts, written, read and searched.
 *
 * Threads  A vec_maker belongs to one thread. A vec_part may be searched by several threads at once. */
#ifndef VEC_H
#define VEC_H

#include "store/store.h"

#include <stdio.h>

/* ---- making ------------------------------------------------------------------------------------------------------ */

typedef struct vec_maker vec_maker;

/* Finds the codes' values from sample [n][dim]; a thousand are enough, and FAISS complains on stderr below
 * VEC_SAMPLE_MIN. */
enum { VEC_SAMPLE_MIN = 640 };
STORE_MUST_USE store_status vec_maker_create(int dim, const float *sample, size_t n, vec_maker **out, store_error *err);
void vec_maker_destroy(vec_maker *m);
/* x [n][dim] */
STORE_MUST_USE store_status vec_maker_add(vec_maker *m, const float *x, size_t n, store_error *err);
/* What was added since the last call, as a part of exactly vec_part_bytes(dim, count) bytes; the maker is then empty. */
STORE_MUST_USE store_status vec_maker_write(vec_maker *m, FILE *f, store_error *err);

int64_t vec_part_bytes(int dim, int64_t count);

/* ---- searching --------------------------------------------------------------------------------------------------- */

typedef struct vec_part vec_part;

/* A part's first bytes, as many as vec_head_bytes says, must be those that vec_maker_write gives for this dim and this many
 * vectors. FAISS believes what it reads, so nothing is given to it that has not passed. */
size_t vec_head_bytes(int dim);
bool vec_head_check(const uint8_t *head, int dim, int64_t count);

/* The codes lie in blocks of VEC_BLOCK vectors, so that any run of blocks, and what is left at the end, is an index of its own
 * once a head stands before it: the part's own, changed to say `count`. */
enum { VEC_BLOCK = 32 };
size_t vec_code_bytes(int dim, int64_t count);
void vec_head_resize(uint8_t *head, int dim, int64_t count);

/* Reads such an index of `count` vectors from `f`, which begins with its head. */
STORE_MUST_USE store_status vec_part_read(FILE *f, int dim, int64_t count, vec_part **out, store_error *err);
void vec_part_close(vec_part *p);

/* The k best by approximate score, best first: places[i] counts the vectors in the order in which they were added. */
STORE_MUST_USE store_status vec_part_search(const vec_part *p, const float *query, size_t k, float *scores, int64_t *places,
                                            size_t *found, store_error *err);

/* "PQ640x4fs": FAISS's own name for such an index. */
void vec_kind(int dim, char *text, size_t room);

#endif
