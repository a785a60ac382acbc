/* npy.h: NumPy's array file, for reading with numpy.load. */
#ifndef QUERY_NPY_H
#define QUERY_NPY_H

#include <stdint.h>
#include <stdio.h>

/* The header of a [n][dim] array of floats, format version 1.0; the floats follow it, row after row. */
void query_npy_begin(FILE *f, int64_t n, int dim);

#endif
