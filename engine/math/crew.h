/* crew.h: several threads at the columns of one product after another, for the sake of a single text. Internal to engine/.
 *
 * A text's tower is some seventy products of a few hundred microseconds, too short to wake a thread for each: so the helpers
 * stay awake between them, for as long as one text takes. A product is cut into pieces that whoever is free takes; a helper
 * that comes late, or that the system does not run, costs nothing but its share. Where there are many texts, the pool gives
 * each thread texts of its own instead.
 *
 * Threads  One thread leads: clip_crew_run and clip_crew_end are its alone. Any number may help, with clip_crew_help. */
#ifndef CLIP_CREW_H
#define CLIP_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Columns first .. end-1 of a product. */
typedef void (*clip_crew_piece)(const void *product, int first, int end);

typedef struct clip_crew {
    _Atomic uint64_t next;     /* number of the product << 32 | the piece that nobody has taken yet */
    atomic_int done;           /* pieces of this product that are finished */
    atomic_bool ended;
    clip_crew_piece piece;     /* the product; read only by who has a piece of it */
    const void *product;
    int columns;
} clip_crew;

#define CLIP_CREW_INIT {.next = UINT32_MAX}

/* All columns, in pieces of an even number; returns when they are there. */
void clip_crew_run(clip_crew *c, clip_crew_piece piece, const void *product, int columns);
/* There are no more products: the helpers return. */
void clip_crew_end(clip_crew *c);
void clip_crew_help(clip_crew *c);

#endif
