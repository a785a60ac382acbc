/* faiss_link.c: three things that FAISS is linked with, for the sake of a search that is over in a few milliseconds.
 *
 * BLAS. FAISS names thirteen functions of BLAS and LAPACK, in code that our index never runs. Linked, OpenBLAS would be loaded
 * at every start and its threads spin from then on: 100,000 vectors of 640, a fresh process on two cores, processor time
 * 59 ms with it, 37 ms with its threads turned off. So the names are ours, and OpenBLAS is loaded when one is called.
 *
 * Memory. An index is read into tables of 8 MB and more, and touching them page by page took half of a search's processor time
 * (100,000 vectors: 32 ms in the kernel, 15 ms with huge pages). FAISS allocates them with posix_memalign; the linker sends
 * its calls here (--wrap in meson.build).
 *
 * Files. FAISS can map inverted lists and nothing else. But the memory that it asks for is ours to choose: when a part of a
 * cache is read, the pages of the file itself are laid over the table, private and in place, and the stream that FAISS then
 * reads from (cache_read.c) finds the bytes already there and only hashes them. Nothing is cleared and nothing is copied. Where
 * a system or another version of FAISS does something else, the table is ordinary memory and is read into. */
#include "store/faiss_link.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; others take the pages one by one */
#endif

int __real_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);

static _Thread_local faiss_link_table expected, laid;

void faiss_link_expect(int fd, int64_t at, size_t bytes)
{
    laid = (faiss_link_table){0};
    expected = (faiss_link_table){.fd = fd, .at = at, .bytes = bytes};
}

faiss_link_table faiss_link_laid(void)
{
    expected = (faiss_link_table){0};
    return laid;
}

bool faiss_link_is_there(const void *to, size_t n, int fd, int64_t at)
{
    const char *place = to, *start = laid.memory;
    return start && fd == laid.fd && place >= start && n <= laid.bytes && (size_t)(place - start) <= laid.bytes - n &&
           at - laid.at == place - start;
}

/* Ordinary pages again, which is what free() expects to get. */
void faiss_link_lift(const faiss_link_table *t)
{
    if (t->memory) mmap(t->memory, t->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static bool is_expected(size_t size)
{
    long page = sysconf(_SC_PAGESIZE);
    return expected.bytes >= (size_t)page && size >= expected.bytes && size / 2 < expected.bytes && size % (size_t)page == 0 &&
           expected.at % page == 0;
}

static int lay_over(void **out, size_t size)
{
    int failure = __real_posix_memalign(out, (size_t)sysconf(_SC_PAGESIZE), size);
    if (failure) return failure;
    laid = expected;
    expected = (faiss_link_table){0};
    void *there = mmap(*out, laid.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, laid.fd, laid.at);
    laid.memory = *out;
    if (there != MAP_FAILED) madvise(there, laid.bytes, MADV_POPULATE_READ);
    else {
        faiss_link_lift(&laid); /* a failure may have left a hole */
        laid.memory = NULL;
    }
    return 0;
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (is_expected(size)) return lay_over(out, size);
    if (size < 2 * HUGE_PAGE || alignment > HUGE_PAGE) return __real_posix_memalign(out, alignment, size);
    int failure = __real_posix_memalign(out, HUGE_PAGE, size);
    if (!failure) madvise(*out, size, MADV_HUGEPAGE); /* where it is refused, pages are small */
    return failure;
}
