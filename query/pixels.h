/* pixels.h: are two pictures the same one? Told from a few of their pixels, whatever their sizes and formats. */
#ifndef QUERY_PIXELS_H
#define QUERY_PIXELS_H

#include "engine/clip.h"

enum { QUERY_PIXELS_SIDE = 32, QUERY_PIXELS_CELLS = 16 };

typedef struct query_pixels {
    uint64_t hash;         /* signs of the luma's low frequencies */
    uint8_t mean[QUERY_PIXELS_CELLS][QUERY_PIXELS_CELLS][3]; /* R G B of the picture cut into 16 x 16 cells */
    float shape;           /* width / height */
} query_pixels;

/* The picture must have a pixel. */
void query_pixels_of(const clip_picture *p, query_pixels *out);
/* How many of the 64 signs differ. */
int query_pixels_distance(const query_pixels *a, const query_pixels *b);
/* The same picture, possibly of another size, quality or format. */
bool query_pixels_same(const query_pixels *a, const query_pixels *b);

#endif
