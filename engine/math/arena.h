/* arena.h: one block of memory cut into 64-byte aligned pieces. Internal to engine/.
 *
 * The same function that hands out the pieces is run twice: first with no memory, to learn how much is needed, then with
 * it. So a workspace is laid out in one place and cannot disagree with its size. */
#ifndef CLIP_ARENA_H
#define CLIP_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct clip_arena {
    char *base;   /* NULL while measuring */
    size_t used;  /* SIZE_MAX once a size overflowed */
} clip_arena;

/* count x each bytes; NULL while measuring. */
static inline void *clip_arena_take(clip_arena *a, size_t count, size_t each)
{
    size_t bytes, at = a->used;
    if (at == SIZE_MAX || __builtin_mul_overflow(count, each, &bytes) || bytes > (size_t)PTRDIFF_MAX - 64 - at) {
        a->used = SIZE_MAX;
        return NULL;
    }
    a->used = at + ((bytes + 63) & ~(size_t)63);
    return a->base ? a->base + at : NULL;
}

static inline float *clip_arena_floats(clip_arena *a, size_t count) { return clip_arena_take(a, count, sizeof(float)); }

/* 64-byte aligned, to be freed with free(); NULL when there is no memory. */
void *clip_aligned_alloc(size_t bytes);

#endif
