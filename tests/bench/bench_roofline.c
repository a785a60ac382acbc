/* bench_roofline.c: bench_roofline [THREADS]: the roofline alone; see roofline.h. */
#include "tests/bench/roofline.h"

#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads < 1) bench_die("bench_roofline [THREADS]");
    bench_machine();
    bench_figure("gemm_f32", roofline_gemm(threads, CLIP_T_F32) / 1e9, "Gop/s", "%d threads", threads);
    double bf16 = roofline_gemm(threads, CLIP_T_BF16);
    if (bf16 > 0) bench_figure("gemm_bf16", bf16 / 1e9, "Gop/s", "%d threads", threads);
    bench_figure("memory", roofline_bandwidth(threads) / 1e9, "GB/s", "%d threads", threads);
    return 0;
}
