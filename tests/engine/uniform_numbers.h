/* uniform_numbers.h: operands for tests of arithmetic: the same numbers in every run, from -1 to 1. */
#ifndef UNIFORM_NUMBERS_H
#define UNIFORM_NUMBERS_H

#include <stdint.h>

#include "engine/math/arena.h"

static uint32_t seed = 1;

static float uniform(void) /* Numerical Recipes' linear congruence */
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1;
}

static float *numbers(size_t n)
{
    float *p = clip_aligned_alloc(n * sizeof *p + 64);
    for (size_t i = 0; i < n; i++) p[i] = uniform();
    return p;
}

#endif
