/* copies.h: which photos are copies of which. Pure: candidates in, groups out. */
#ifndef QUERY_COPIES_H
#define QUERY_COPIES_H

#include "query/pixels.h"

typedef enum query_copy { QUERY_COPY_NONE = 0, QUERY_COPY_BEST, QUERY_COPY_EXACT, QUERY_COPY_NEAR } query_copy;

typedef struct query_copy_photo {
    const uint8_t *hash;         /* [16] of the content; NULL when unknown */
    int64_t pixels, bytes, modified;
    const char *taken, *path;    /* taken: "" when unknown */
    const query_pixels *look;    /* NULL when the pixels are not known: such a photo has exact copies only */
    /* The answer: */
    query_copy kind;             /* NONE: it has no copy */
    size_t group;                /* number of its group, from 0; groups by the path of their best */
} query_copy_photo;

typedef struct query_pair { uint32_t a, b; } query_pair;

/* True when a should be kept rather than b: more pixels, then more bytes, then older (by the camera's clock where
 * both have its date, else by the file's), then by path. */
bool query_copy_better(const query_copy_photo *a, const query_copy_photo *b);
bool query_copy_exact(const query_copy_photo *a, const query_copy_photo *b);

/* Sets kind and group of every photo. The pairs join the photos that may be copies; photos of a group are all the same as its
 * best one, not only as their neighbours. `groups` receives how many there are. False when memory ran out. */
bool query_copies_group(query_copy_photo *photos, size_t n, const query_pair *pairs, size_t n_pairs, size_t *groups);

#endif
