/* cache.h: the FAISS file of one model: described by a row of the library, found, opened, searched, brought up to date.
 *
 * table caches   model_id
 *                generation   counts the files made for this model; part of the file's name
 *                seq          the file holds the vectors whose vectors.seq was at most this when it was made
 *                count        how many
 *                bytes        of the whole file
 *                hash         XXH3-128 of the digests (canonical form) of the front with the ids, then of each part
 *
 * file           photos.db.cache/vectors-MODEL-GENERATION.faiss, little endian
 *      0  8      "clipsix" and a zero
 *      8  u32    2, the version of this form
 *     12  u32    dim
 *     16  u64    generation
 *     24  u64    seq
 *     32  u64    count
 *     40  32     the model's fingerprint
 *     72         ids: u64 for each vector, ascending
 *                parts: FAISS indexes (see vec.c) of the vectors in that order, cut evenly so that they are read and searched
 *                by several threads; their number and sizes follow from count and dim. Zeros before each of them let its codes,
 *                which are nearly all of it, begin at a multiple of CACHE_PAGE */
#ifndef CACHE_H
#define CACHE_H

#include "store/library.h"
#include "store/vec.h"

typedef struct cache_row {
    int64_t generation, seq, count, bytes;
    uint8_t hash[16];
} cache_row;

enum { CACHE_FRONT = 72, CACHE_PARTS_MAX = 8, CACHE_PAGE = 4096 };

struct cache {
    int64_t model_id;
    int dim, parts, fd;
    char *path;
    cache_row row;
    uint8_t front[CACHE_FRONT];           /* as it must be */
    int64_t *ids;                         /* [count], NULL before the first pass over the file */
};

/* When to make a file: measured, see cache.c. Tests set smaller ones. */
typedef struct cache_rules {
    int64_t loose_max;   /* vectors outside the file that a search may read from the database */
    int64_t part_min;    /* vectors in a part, but for the only one */
    size_t chunk_bytes;  /* of a part's codes, read and searched at once */
} cache_rules;
extern cache_rules cache_rule;

/* STORE_E_NOT_FOUND: the model has no file. */
STORE_MUST_USE store_status cache_row_get(store *s, const store_model *m, cache_row *row, store_error *err);
STORE_MUST_USE store_status cache_row_put(store *s, int64_t model_id, const cache_row *row, store_error *err);
char *cache_file_path(const store *s, int64_t model_id, int64_t generation);

/* Of how many parts a file of `count` vectors is made, and the first vector of part i; cache_first(n, parts, parts) is n. */
int cache_parts(int64_t count);
int64_t cache_first(int64_t count, int parts, int i);
/* Where part i begins; of part `parts`: the length of the file. */
int64_t cache_part_at(int64_t count, int dim, int parts, int i);

void cache_front_make(uint8_t front[CACHE_FRONT], const store_model *m, const cache_row *row);

/* The file that the row describes, opened; *out stays the store's. *out is NULL, and `why` says why, when there is none that can
 * be used; *gone then tells that it has vanished, as it does when a writer replaces it between our look at the row and at
 * the folder. Only a lack of memory is an error. Its contents have not been looked at yet. */
typedef struct cache_doubt { char why[200]; bool gone; } cache_doubt;
STORE_MUST_USE store_status cache_open(store *s, const store_model *m, cache **out, cache_doubt *doubt, store_error *err);
/* The same of an open file, which becomes the cache's or is closed; `path` is for `why`. */
STORE_MUST_USE store_status cache_open_fd(int fd, const char *path, const store_model *m, const cache_row *r, cache **out,
                                          cache_doubt *doubt, store_error *err);
void cache_close(cache *c);

/* The `want` best by approximate score, best first. The whole file is read and compared with its checksum, in every search:
 * *sound tells whether it agrees, and `doubt` why not; nothing is found then. */
typedef struct candidate { int64_t id; float score; } candidate;
STORE_MUST_USE store_status cache_find(cache *c, const float *query, size_t want, candidate *out, size_t *found, bool *sound,
                                       cache_doubt *doubt, store_error *err);
/* The same without a search. */
STORE_MUST_USE store_status cache_verify(cache *c, bool *sound, cache_doubt *doubt, store_error *err);
/* cache_open and cache_verify: *out is NULL, and the store has none, where the file is not sound. */
STORE_MUST_USE store_status cache_open_sound(store *s, const store_model *m, cache **out, cache_doubt *doubt, store_error *err);

/* Vectors of present photos that are not in the file (row NULL: there is none), and vectors in the file that are of no use. */
STORE_MUST_USE store_status cache_measure(store *s, const store_model *m, const cache_row *row, int64_t *delta, int64_t *dead,
                                          store_error *err);

/* Runs task(ctx, i) for i in 0..n-1 on up to as many threads as there are cores. */
void cache_parallel(int n, void (*task)(void *ctx, int i), void *ctx);

/* cache_build.c: makes a new file and its row; without vectors the row goes. */
STORE_MUST_USE store_status cache_build(store *s, const store_model *m, void (*progress)(int64_t, int64_t, void *), void *ctx,
                                        store_error *err);

/* cache_read.c: a stream over a part of a file that keeps the checksum of what was read. One a thread. */
typedef struct cache_stream cache_stream;
cache_stream *cache_stream_open(int fd, int64_t at, int64_t bytes);
/* The next n bytes; false when there are no such. */
bool cache_stream_read(cache_stream *s, void *to, size_t n);
/* For FAISS: first the head [n], which is not the file's and must stay, then the file's next `bytes`, then its end. */
FILE *cache_stream_file(cache_stream *s, const uint8_t *head, size_t n, int64_t bytes);
/* Where FAISS keeps those bytes, so that the next ones can be read into their place; NULL where it is a shared library. */
void *cache_stream_table(const cache_stream *s);
/* Reads what is left, closes, and gives the digest of all; false when the file was shorter or could not be read. */
bool cache_stream_close(cache_stream *s, uint8_t digest[16]);
void cache_digest(const void *bytes, size_t n, uint8_t digest[16]);
/* The checksum of a whole file of r->count vectors, as its row holds it. */
bool cache_file_hash(int fd, int dim, const cache_row *r, uint8_t hash[16]);

#endif
