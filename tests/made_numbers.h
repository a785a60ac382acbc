/* made_numbers.h: numbers from a stated generator, the same on every machine: splitmix64 (Steele, Lea, Flood, OOPSLA 2014), and from
 * it nearly normal ones. */
#ifndef MADE_NUMBERS_H
#define MADE_NUMBERS_H

#include <stdint.h>

static inline uint64_t made_bits(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The sum of twelve numbers of 0 to 1, less six: of unit variance. */
static inline float made_normal(uint64_t *seed)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += (double)(made_bits(seed) >> 11) * 0x1p-53;
    return (float)(sum - 6);
}

#endif
