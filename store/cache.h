/* cache.h: the FAISS file of one model: described by a row of the library, found, opened, brought up to date.
 *
 * table caches   model_id
 *                generation   counts the files made for this model; part of the file's name
 *                seq          the file holds the vectors whose vectors.seq was at most this when it was made
 *                count        how many
 *                bytes        of the whole file
 *                bits         of a number: 16 (half precision, as in the database) or 8
 *                lists, probes   probes = lists: a search reads all of them and is exact
 *                trained      how many vectors there were when the centroids were found; 0: the lists are mere portions
 *                head_bytes, head_hash   XXH3-128 of all before the lists: checked whenever the file is opened
 *                file_hash    XXH3-128 of the whole file: checked by store_check
 *
 * file           photos.db.cache/vectors-MODEL-GENERATION.faiss, little endian
 *      0  8      "clipsix" and a zero
 *      8  u32    1, the version of this form
 *     12  u32    dim
 *     16  u64    generation
 *     24  u64    seq
 *     32  u64    count
 *     40  u32    lists
 *     44  u32    where FAISS's own file begins; from 80 to there: zeros, so that the lists begin at a multiple of 64
 *     48  32     the model's fingerprint
 *                FAISS's file (see vec.c): its head, then the lists */
#ifndef CACHE_H
#define CACHE_H

#include "store/library.h"
#include "store/vec.h"

typedef struct cache_row {
    int64_t generation, seq, count, bytes, trained, head_bytes;
    int bits, lists, probes;
    uint8_t head_hash[16], file_hash[16];
} cache_row;

struct cache {
    int64_t model_id;
    cache_row row;
    vec_file *file;
};

/* When to make a file and of what kind: measured, see cache.c. Tests set smaller ones. */
typedef struct cache_rules {
    int64_t loose_max;    /* vectors outside the file that a search may read from the database */
    int64_t exact_max;    /* up to this size all lists are read */
    int portions;         /* lists of an exact file */
    int64_t sample_bytes; /* of the vectors that centroids are found from */
} cache_rules;
extern cache_rules cache_rule;

/* STORE_E_NOT_FOUND: the model has no file. */
STORE_MUST_USE store_status cache_row_get(store *s, const store_model *m, cache_row *row, store_error *err);
STORE_MUST_USE store_status cache_row_put(store *s, int64_t model_id, const cache_row *row, store_error *err);
char *cache_file_path(const store *s, int64_t model_id, int64_t generation);

/* The file that the row describes; *out stays the store's. *out is NULL, and `why` says why, when there is none that can be
 * used; *gone then tells that it has vanished, as it does when a writer replaces it between our look at the row and at the
 * folder. Only a lack of memory is an error. */
typedef struct cache_doubt { char why[200]; bool gone; } cache_doubt;
STORE_MUST_USE store_status cache_open(store *s, const store_model *m, cache **out, cache_doubt *doubt, store_error *err);
void cache_close(cache *c);

void cache_hash(const void *bytes, size_t n, uint8_t hash[16]);
/* Of a whole file, which must be `bytes` long. */
bool cache_hash_fd(int fd, int64_t bytes, uint8_t hash[16]);
/* Reads the whole file and compares its checksum. */
bool cache_file_sound(store *s, int64_t model_id, const cache_row *row);

/* Vectors of present photos that are not in the file, and vectors in the file that are of no use. */
STORE_MUST_USE store_status cache_measure(store *s, const store_model *m, const cache_row *row, int64_t *delta, int64_t *dead,
                                          store_error *err);

/* cache_build.c: makes a new file and its row. `old` (may be NULL) lends its centroids where they are still good. */
STORE_MUST_USE store_status cache_build(store *s, const store_model *m, cache *old, bool retrain,
                                        void (*progress)(int64_t, int64_t, void *), void *ctx, store_error *err);
void cache_front_make(uint8_t *front, const store_model *m, const cache_row *row, uint32_t offset);
enum { CACHE_FRONT = 80, CACHE_ALIGN = 64 };

#endif
