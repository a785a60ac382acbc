/* photo_vectors.h: the vectors of photos by name: the library's where it holds them, else encoded. */
#ifndef QUERY_PHOTO_VECTORS_H
#define QUERY_PHOTO_VECTORS_H

#include "query/open_library.h"
#include "query/photo_list.h"

/* Row i is of the i-th path; ids[i] is the indexed photo that it is, or 0. states as in encode_photos.h. Reports what goes wrong,
 * unreadable photos too: 0 or the exit status. */
int query_photo_vectors(query_library *l, const query_photo_list *photos, float *vectors /* [n][dim] */, int64_t *ids /* [n] */,
                        uint8_t *states /* [n] */);

#endif
