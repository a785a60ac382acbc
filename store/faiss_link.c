/* faiss_link.c: two things that FAISS is linked with, for the sake of a search that is over in a few milliseconds.
 *
 * BLAS. FAISS names thirteen functions of BLAS and LAPACK, in code that our index never runs. Linked, OpenBLAS would be loaded
 * at every start and its threads spin from then on: 100,000 vectors of 640, a fresh process on two cores, processor time
 * 59 ms with it, 37 ms with its threads turned off. So the names are ours, and OpenBLAS is loaded when one is called.
 *
 * Memory. An index that is made grows tables of 8 MB and more, and touching them page by page is half of a processor's time:
 * they get huge pages. FAISS allocates them with posix_memalign; the linker sends its calls here (--wrap in meson.build). */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- BLAS -------------------------------------------------------------------------------------------------------- */

typedef void *p;

static void *find(const char *name)
{
    static void *library;
    if (!library) library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libblas.so.3", RTLD_NOW | RTLD_LOCAL);
    void *f = library ? dlsym(library, name) : NULL;
    if (!f) __builtin_trap(); /* Fortran's functions cannot fail, and none of them is called */
    return f;
}

/* Fortran passes everything by address. */
#define ARGS_6 p a, p b, p c, p d, p e, p f
#define NAMES_6 a, b, c, d, e, f
#define ARGS_7 ARGS_6, p g
#define NAMES_7 NAMES_6, g
#define ARGS_8 ARGS_7, p h
#define NAMES_8 NAMES_7, h
#define ARGS_9 ARGS_8, p i
#define NAMES_9 NAMES_8, i
#define ARGS_10 ARGS_9, p j
#define NAMES_10 NAMES_9, j
#define ARGS_13 ARGS_10, p k, p l, p m
#define NAMES_13 NAMES_10, k, l, m
#define ARGS_14 ARGS_13, p n
#define NAMES_14 NAMES_13, n

#define FORWARD(name, count)                                                                                               \
    int name(ARGS_##count);                                                                                                \
    int name(ARGS_##count) { return ((int (*)(ARGS_##count))find(#name))(NAMES_##count); }

FORWARD(sgemm_, 13)
FORWARD(dgemm_, 13)
FORWARD(ssyrk_, 10)
FORWARD(sgeqrf_, 8)
FORWARD(sorgqr_, 9)
FORWARD(sgesvd_, 14)
FORWARD(dgesvd_, 14)
FORWARD(dsyev_, 9)
FORWARD(sgetrf_, 6)
FORWARD(dgetrf_, 6)
FORWARD(sgetri_, 7)
FORWARD(dgetri_, 7)
FORWARD(sgelsd_, 14)

/* ---- memory ------------------------------------------------------------------------------------------------------ */

enum { HUGE_PAGE = 2 << 20 };

int __real_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (size < 2 * HUGE_PAGE || alignment > HUGE_PAGE) return __real_posix_memalign(out, alignment, size);
    int failure = __real_posix_memalign(out, HUGE_PAGE, size);
    if (!failure) madvise(*out, size, MADV_HUGEPAGE); /* where it is refused, pages are small */
    return failure;
}
