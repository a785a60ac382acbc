/* scan.h: vectors as they lie in the database, one after the other. */
#ifndef SCAN_H
#define SCAN_H

#include "store/filter.h"

/* Called with dim half-precision floats, valid during the call; anything but STORE_OK ends the scan and is its result. */
typedef store_status (*scan_each)(int64_t photo_id, const void *f16, void *ctx, store_error *err);

/* Vectors of present photos that satisfy the filter, in order of photo. */
STORE_MUST_USE store_status scan_all(store *s, const store_model *m, const filter *f, scan_each each, void *ctx,
                                     store_error *err);
/* The same for those written after `seq`, in order of writing. */
STORE_MUST_USE store_status scan_newer(store *s, const store_model *m, int64_t seq, const filter *f, scan_each each,
                                       void *ctx, store_error *err);
/* Every vector of the model up to and including `seq`, whatever its photo's state, in order of photo. */
STORE_MUST_USE store_status scan_raw(store *s, const store_model *m, int64_t seq, scan_each each, void *ctx,
                                     store_error *err);

#endif
