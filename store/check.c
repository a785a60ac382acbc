#include "store/library.h"
store_status store_check(store *s, bool repair, void (*finding)(const char *, bool, void *), void *ctx, int64_t *problems,
                         store_error *err)
{
    (void)repair; (void)finding; (void)ctx;
    *problems = 0;
    return db_exec(s->db, "PRAGMA quick_check", err);
}
