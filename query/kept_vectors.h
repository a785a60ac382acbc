/* kept_vectors.h: a file of photos' vectors, by which a run over many photos that was killed goes on where it stopped. */
#ifndef QUERY_KEPT_VECTORS_H
#define QUERY_KEPT_VECTORS_H

#include "query/encode_photos.h"

typedef struct query_kept query_kept;

/* Opens or makes the file for vectors of `dim` numbers by the model `fingerprint` in `precision`. A file of something else is
 * refused and left alone. Reports what goes wrong: 0 or the exit status. */
int query_kept_open(const char *file, const char *fingerprint, const char *precision, int dim, query_kept **out);
void query_kept_close(query_kept *k); /* NULL is fine */

/* What is known of the photo of this name, whose file has this size and time now. */
bool query_kept_find(const query_kept *k, const char *name, int64_t size, int64_t mtime_ns, float *vector /* [dim] */, uint8_t *state);
/* Adds it at the file's end. Not found by this handle until it is opened again. Reports what goes wrong: 0 or the status. */
int query_kept_add(query_kept *k, const char *name, int64_t size, int64_t mtime_ns, const float *vector /* [dim] */, uint8_t state);
size_t query_kept_count(const query_kept *k); /* records that were there when it was opened */

/* query_encode_photos with such a file, made where there is none; NULL: without. Names are kept relative to `folder`. */
int query_encode_photos_kept(query_encoder *e, const char *file, const char *folder, const char *const *paths, size_t n,
                             clip_precision precision, float *out /* [n][dim] */, uint8_t *states /* [n] */);

#endif
