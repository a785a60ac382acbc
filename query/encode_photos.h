/* encode_photos.h: many photos' vectors at once, without a library. */
#ifndef QUERY_ENCODE_PHOTOS_H
#define QUERY_ENCODE_PHOTOS_H

#include "query/encode.h"

typedef enum query_photo_state {
    QUERY_PHOTO_OK = 0,
    QUERY_PHOTO_NONE,    /* a file of another kind */
    QUERY_PHOTO_BROKEN   /* reported on stderr, the first few */
} query_photo_state;

/* The vectors of n files, in their order; rows of files that are no photos are zero. Decoder threads feed the encoder, which
 * is made here in the precision asked for, unless there is one already. Reports what goes wrong: 0 or the exit status. */
int query_encode_photos(query_encoder *e, const char *const *paths, size_t n, clip_precision precision,
                        float *out /* [n][dim] */, uint8_t *states /* [n] query_photo_state */);

/* The same, with done(first, count, ctx) after each batch, when out and states hold it; a status other than 0 ends the whole. */
int query_encode_photos_each(query_encoder *e, const char *const *paths, size_t n, clip_precision precision, float *out /* [n][dim] */,
                             uint8_t *states /* [n] */, int (*done)(size_t first, size_t count, void *ctx), void *ctx);

/* Makes e->image where there is none. */
int query_encode_photos_ready(query_encoder *e, clip_precision precision);

#endif
