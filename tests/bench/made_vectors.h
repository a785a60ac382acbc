/* made_vectors.h: a stated generator of vectors shaped like a model's own.
 *
 * Shape  made_vectors.tsv, one axis a line, the axis along which photos differ most first: mean of photos, deviation between
 *        photos, deviation between parts of one photo, mean of texts, deviation of texts. Fitted by fit_vectors.py to the
 *        bundled model's vectors of 3,589 photos with 15 parts each (bench_crops.c) and of 1,000 captions.
 * Photo  mean + photo deviation x normal (the same for all photos of a scene) + part deviation x normal
 * Text   mean + text deviation x normal
 * Both are turned by one orthogonal map, so that all dimensions vary alike, and brought to unit length. With fewer dimensions
 * than the shape has axes, the first axes are taken. Everything follows from the numbers given: no state, no clock. */
#ifndef MADE_VECTORS_H
#define MADE_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct made_shape {
    int dim;
    float *axis[5]; /* [dim] each */
    float *sign;    /* [2 dim] */
} made_shape;

/* False when the file holds no shape of at least dim axes. */
bool made_shape_open(const char *path, int dim, made_shape *out);
void made_shape_close(made_shape *s);

void made_photo(const made_shape *s, uint64_t number, uint64_t scene, float *v);
void made_text(const made_shape *s, uint64_t number, float *v);

#endif
