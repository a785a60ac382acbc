/* fuzz_kept.c: any bytes behind the header of a file of photos' vectors. Byte 0 chooses the dimension; where the lowest bit of byte 1
 * is set, the records' checks are made right, so that what lies in them is believed. */
#include "query/kept_vectors.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 56, FIXED = 32, CHECK = 28 }; /* see kept_vectors.c */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t fnv(const uint8_t *p, size_t n, uint64_t h)
{
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static void mend(uint8_t *bytes, size_t size, size_t record)
{
    for (uint8_t *r = bytes; size >= record; r += record, size -= record) {
        uint64_t h = fnv(r + FIXED, record - FIXED, fnv(r, CHECK, 14695981039346656037u));
        uint32_t check = (uint32_t)(h ^ h >> 32);
        memcpy(r + CHECK, &check, sizeof check);
    }
}

static query_kept *open_file(const char *path, int dim)
{
    query_kept *k;
    if (query_kept_open(path, "0123456789abcdef0123456789abcdef", "f32", dim, &k)) __builtin_trap();
    return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    uint8_t body[4096], state;
    float vector[16] = {0.5f}, got[16];
    struct stat st;
    if (size < 2 || size - 2 > sizeof body) return 0;
    int dim = data[0] % 16 + 1, fd = memfd_create("fuzz", 0);
    size_t n = size - 2, record = FIXED + 4 * (size_t)dim;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    query_kept_close(open_file(path, dim)); /* the header */
    memcpy(body, data + 2, n);
    if (data[1] & 1) mend(body, n, record);
    if (pwrite(fd, body, n, HEADER) != (ssize_t)n) __builtin_trap();

    query_kept *k = open_file(path, dim);
    size_t count = query_kept_count(k);
    if (count > n / record || fstat(fd, &st) || (size_t)st.st_size != HEADER + n / record * record) __builtin_trap();
    query_kept_find(k, "a", 1, 2, got, &state);
    if (query_kept_add(k, "a", 1, 2, vector, QUERY_PHOTO_OK)) __builtin_trap();
    query_kept_close(k);
    k = open_file(path, dim);
    if (query_kept_count(k) != count + 1 || !query_kept_find(k, "a", 1, 2, got, &state) || state != QUERY_PHOTO_OK ||
        memcmp(got, vector, 4 * (size_t)dim)) __builtin_trap();
    query_kept_close(k);
    close(fd);
    return 0;
}
