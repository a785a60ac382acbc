/* cpu.c: what this CPU can do. The compiler's own check is used where it knows the name, because it also asks whether the
 * operating system saves the wide registers. AVX-512 means the set that every server since Skylake has: F, BW, DQ, VL.
 *
 * The engine itself runs anywhere, on its plain kernels at worst; it is FAISS, compiled for AVX2 in the usual build, that
 * would die of an illegal instruction. The front door asks clip_cpu_problem before anything else. */
#include "engine/math/cpu.h"

#include <sched.h>
#include <stdio.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "engine/clip.h"
#include "engine/math/kernels.h"

clip_cpu clip_cpu_get(void)
{
    clip_cpu c = {0};
#if defined(__x86_64__)
    unsigned a, b, cx = 0, d;
    c.avx2 = __builtin_cpu_supports("avx2");
    c.fma = __builtin_cpu_supports("fma");
    c.f16c = c.avx2 && __get_cpuid(1, &a, &b, &cx, &d) && (cx & bit_F16C);
    c.avx512 = c.fma && c.f16c && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    c.vnni = c.avx512 && __builtin_cpu_supports("avx512vnni");
    c.bf16 = c.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
    return c;
}

int clip_cpu_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

const char *clip_cpu_problem(void)
{
#if CLIP_BUILT_FOR_AVX2
    clip_cpu c = clip_cpu_get();
    if (!c.avx2) return "this CPU lacks AVX2, which this build needs: build with -Disa=generic";
    if (!c.fma) return "this CPU lacks FMA, which this build needs: build with -Disa=generic";
    if (!c.f16c) return "this CPU lacks F16C, which this build needs: build with -Disa=generic";
#endif
    return NULL;
}

const char *clip_cpu_describe(void)
{
    clip_cpu c = clip_cpu_get();
    if (c.bf16) return c.vnni ? "AVX-512 VNNI bf16" : "AVX-512 bf16";
    if (c.avx512) return c.vnni ? "AVX-512 VNNI" : "AVX-512";
    if (c.avx2) return c.fma && c.f16c ? "AVX2 FMA F16C" : "AVX2";
    return "no vector instructions that are used here";
}

const clip_kernels *clip_kernels_best(void)
{
#if defined(__x86_64__)
    clip_cpu c = clip_cpu_get();
    if (c.avx512) return &clip_kernels_avx512;
    if (c.avx2 && c.fma && c.f16c) return &clip_kernels_avx2;
#endif
    return &clip_kernels_plain;
}
