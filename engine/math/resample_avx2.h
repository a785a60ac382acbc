/* resample_avx2.h: present on x86-64 with a compiler that knows function targets; see resample_avx2.c. */
#ifndef CLIP_RESAMPLE_AVX2_H
#define CLIP_RESAMPLE_AVX2_H

#include "engine/math/resample.h"

#if defined(__x86_64__)
#define CLIP_RESAMPLE_HAVE_AVX2 1
extern const clip_resample_kernels clip_resample_avx2;
#endif

#endif
