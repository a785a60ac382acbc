/* crew.c: see crew.h. Everything goes through `next`: a piece is taken by raising it, which fails where the leader has meanwhile
 * put up another product. The leader does so only when every piece is done, so that whoever holds one may read the product. */
#include "engine/math/crew.h"

#include <sched.h>

/* Pieces of a product: enough that a helper which comes late leaves little to wait for. Of 512 outputs by 512 inputs in f32 each
 * is 128 KB of weights. */
enum { PIECES = 8 };

static void relax(int *spins)
{
#if defined __x86_64__ || defined __i386__
    if (++*spins < 2000) {
        __builtin_ia32_pause();
        return;
    }
#endif
    sched_yield(); /* somebody else may need this core */
}

/* The number of a piece, or -1 where all are taken. */
static int take(clip_crew *c)
{
    uint64_t v = atomic_load_explicit(&c->next, memory_order_acquire);
    while ((uint32_t)v < PIECES)
        if (atomic_compare_exchange_weak_explicit(&c->next, &v, v + 1, memory_order_acq_rel, memory_order_acquire)) return (int)(uint32_t)v;
    return -1;
}

/* Of columns that go in pairs, as the kernels take them. */
static int column(int columns, int piece) { return piece == PIECES ? columns : (int)((int64_t)columns * piece / PIECES / 2 * 2); }

static bool work(clip_crew *c)
{
    int i = take(c);
    if (i < 0) return false;
    int first = column(c->columns, i), end = column(c->columns, i + 1);
    if (first < end) c->piece(c->product, first, end);
    atomic_fetch_add_explicit(&c->done, 1, memory_order_release);
    return true;
}

void clip_crew_run(clip_crew *c, clip_crew_piece piece, const void *product, int columns)
{
    uint64_t number = (atomic_load_explicit(&c->next, memory_order_relaxed) >> 32) + 1;
    int spins = 0;
    c->piece = piece;
    c->product = product;
    c->columns = columns;
    atomic_store_explicit(&c->done, 0, memory_order_relaxed);
    atomic_store_explicit(&c->next, number << 32, memory_order_release);
    while (work(c)) { }
    while (atomic_load_explicit(&c->done, memory_order_acquire) < PIECES) relax(&spins);
}

void clip_crew_end(clip_crew *c) { atomic_store_explicit(&c->ended, true, memory_order_release); }

void clip_crew_help(clip_crew *c)
{
    for (int spins = 0; !atomic_load_explicit(&c->ended, memory_order_acquire);)
        if (work(c)) spins = 0;
        else relax(&spins);
}
