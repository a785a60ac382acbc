/* npy.c: NumPy's file format, version 1.0.
 *
 *   offset 0   6 bytes   0x93 "NUMPY"
 *          6   2 bytes   1, 0
 *          8   2 bytes   length of what follows up to the data, little-endian
 *         10   text      a Python dictionary, spaces, a new line; ends at a multiple of 64
 *
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. The floats are written as this machine holds
 * them and described as such; every machine that we build for is little-endian, '<f4'. */
#include "query/npy.h"

#include <inttypes.h>

void query_npy_begin(FILE *f, int64_t n, int dim)
{
    char text[128];
    const uint16_t one = 1;
    char order = *(const uint8_t *)&one ? '<' : '>';
    int used = snprintf(text, sizeof text, "{'descr': '%cf4', 'fortran_order': False, 'shape': (%" PRId64 ", %d), }",
                        order, n, dim);
    int length = (10 + used + 1 + 63) / 64 * 64 - 10;
    fwrite("\x93NUMPY\1", 1, 8, f); /* with the literal's own zero as the minor version */
    putc(length & 255, f);
    putc(length >> 8, f);
    fprintf(f, "%s%*s\n", text, length - used - 1, "");
}
