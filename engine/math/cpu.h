/* cpu.h: what this CPU can do. Internal to engine/. */
#ifndef CLIP_CPU_H
#define CLIP_CPU_H

#include <stdbool.h>

typedef struct clip_cpu {
    bool avx2, fma, f16c, avx512, vnni, bf16;
} clip_cpu;

clip_cpu clip_cpu_get(void);

/* Cores that this process may run on; at least 1. */
int clip_cpu_cores(void);

#endif
