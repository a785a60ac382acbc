/* thumbnail.h: a picture as JPEG bytes. */
#ifndef QUERY_THUMBNAIL_H
#define QUERY_THUMBNAIL_H

#include "engine/clip.h"

/* The JPEG is allocated, *n bytes. False when memory ran out. */
bool query_thumbnail_encode(const clip_picture *p, int quality, uint8_t **jpeg, size_t *n);

#endif
