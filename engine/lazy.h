/* lazy.h: libraries that are loaded when they are needed: oneDNN by the first image tower, decoders by the first photo of their
 * format. Internal to engine/.
 *
 * libheif costs 5 to 7 ms to load, libtiff brings eight libraries along, oneDNN costs 1 to 2.5 ms: a text search, which needs
 * none of them, must not pay for them. Their headers are used at build time, their functions by name at run time. A decoder writes
 *
 *     #define SYMBOLS(X) X(WebPIUpdate) X(WebPIDelete)
 *     static struct { SYMBOLS(CLIP_LAZY_MEMBER) } webp;
 *     static const clip_lazy_symbol symbols[] = { SYMBOLS(CLIP_LAZY_SYMBOL) }; // with LIB defined as webp
 *
 * and calls webp.WebPIUpdate(...). What is loaded stays. */
#ifndef CLIP_LAZY_H
#define CLIP_LAZY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct clip_lazy_symbol {
    const char *name;
    void *at; /* a function pointer's address */
} clip_lazy_symbol;

#define CLIP_LAZY_MEMBER(f) __typeof__(f) *f;
#define CLIP_LAZY_SYMBOL(f) {#f, &LIB.f},

/* False when the library or one of the symbols is not there. For one thread at a time: call it by pthread_once. */
bool clip_lazy_load(const char *soname, const clip_lazy_symbol *symbols, size_t n);

#endif
