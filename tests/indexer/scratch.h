/* scratch.h: a folder of its own for every test, gone afterwards. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[64];

static inline int scratch_make(void **state) {
    strcpy(scratch, "/tmp/clipsearch-test-XXXXXX");
    return !mkdtemp(scratch);
}

static inline int scratch_drop(const char *path, const struct stat *st, int type, struct FTW *f) {
    (void)st; (void)type; (void)f;
    return remove(path);
}

static inline int scratch_remove(void **state) { return nftw(scratch, scratch_drop, 16, FTW_DEPTH | FTW_PHYS); }

static inline const char *at(const char *relative) {
    static char path[8][5000];
    static int turn;
    char *p = path[turn++ & 7];
    snprintf(p, sizeof path[0], "%s/%s", scratch, relative);
    return p;
}

/* Writes a file, with the folders that it needs. */
static inline void put(const char *relative, const void *bytes, size_t n) {
    char path[5000];
    snprintf(path, sizeof path, "%s", at(relative));
    for (char *s = path + strlen(scratch) + 1; (s = strchr(s, '/')); *s++ = '/') { *s = 0; mkdir(path, 0777); }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *relative, const char *text) { put(relative, text, strlen(text)); }

static inline int open_scratch(void) {
    int fd = open(scratch, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    return fd;
}

#endif
