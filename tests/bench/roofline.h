/* roofline.h: what this machine gives at best, measured in the same run as what is compared with it; and what the
 * benchmarks have in common.
 *
 * Figures go to stdout, one a line: NAME <tab> VALUE <tab> UNIT <tab> REMARK. Remarks about the run go to stderr. */
#ifndef BENCH_ROOFLINE_H
#define BENCH_ROOFLINE_H

#include "engine/math/types.h"

#include <stddef.h>
#include <time.h>

double bench_now(void);                /* seconds */
double bench_seconds(clockid_t clock);
double bench_median(double *x, int n); /* sorts x */
double bench_peak_megabytes(void);     /* maximum resident set of this process since exec */

void bench_figure(const char *name, double value, const char *unit, const char *remark, ...)
    __attribute__((format(printf, 4, 5)));
/* The CPU's name, its instructions as dispatch sees them, its cores, the load before the run. */
void bench_machine(void);
/* Prints to stderr and exits with 2. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Operations a second (a multiplication and an addition are two) of `threads` products at a time, one a thread, weights packed:
 * the best of the four shapes in ViT-B/32 at a batch of 8 and of a quarter of it. 0 where the type is not fast here. */
double roofline_gemm(int threads, clip_type type);

/* Bytes a second that `threads` threads read from memory, in pieces of 256 MB. */
double roofline_bandwidth(int threads);

#endif
