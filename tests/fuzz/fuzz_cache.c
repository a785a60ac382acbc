/* fuzz_cache.c: any bytes as a search index, with a row that agrees with them, as a library from a stranger may bring. */
#include "store/cache.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t dim;
    if (size < CACHE_FRONT || size > 1 << 20) return 0;
    cache_rule.part_min = 400;
    cache_rule.chunk_bytes = 2048; /* several chunks a part */
    memcpy(&dim, data + 12, 4);
    if (dim < 1 || dim > 64) return 0;
    store_model m = {.id = 1, .dim = (int)dim};
    cache_row r = {.bytes = (int64_t)size};
    memcpy(&r.generation, data + 16, 8);
    memcpy(&r.seq, data + 24, 8);
    memcpy(&r.count, data + 32, 8);
    memcpy(m.fingerprint, data + 40, 32);
    if (r.count < 0 || r.count > 4096) return 0;
    int fd = memfd_create("fuzz", 0);
    cache *c = NULL;
    cache_doubt doubt = {{0}, false};
    if (write(fd, data, size) == (ssize_t)size && cache_file_hash(fd, m.dim, &r, r.hash) &&
        !cache_open_fd(dup(fd), "fuzz", &m, &r, &c, &doubt, NULL) && c) {
        float query[64];
        candidate best[20];
        size_t found;
        bool sound;
        for (int i = 0; i < 64; i++) query[i] = (float)(i % 7) - 3;
        if (!cache_find(c, query, 20, best, &found, &sound, &doubt, NULL) && found > 20) __builtin_trap();
    }
    cache_close(c);
    close(fd);
    return 0;
}
