#include "store/cache.h"

#include <string.h>

void cache_close(cache *c) { (void)c; }

store_status store_cache_update(store *s, int64_t model_id, bool force, void (*progress)(int64_t, int64_t, void *), void *ctx,
                                store_error *err)
{
    (void)force; (void)progress; (void)ctx;
    store_model m;
    return model_get(s, model_id, &m, err);
}

store_status store_cache_describe(store *s, int64_t model_id, store_cache_info *out, store_error *err)
{
    store_model m;
    memset(out, 0, sizeof *out);
    store_status st = model_get(s, model_id, &m, err);
    if (!st) out->delta = m.vectors;
    return st;
}
