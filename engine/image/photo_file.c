/* photo_file.c: a photo's bytes, read and never mapped: a mapped file that shrinks while it is read kills the process.
 * The size is asked first and trusted only as a first guess; the file may grow or shrink meanwhile. */
#include "engine/image/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static clip_status check_kind(const struct stat *st, const char *name, uint64_t max, clip_error *err)
{
    if (!S_ISREG(st->st_mode)) {
        const char *what = S_ISDIR(st->st_mode)    ? "a folder"
                           : S_ISFIFO(st->st_mode) ? "a pipe"
                           : S_ISSOCK(st->st_mode) ? "a socket"
                                                   : "a device";
        return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: is %s, not a file", name, what);
    }
    if ((uint64_t)st->st_size > max)
        return clip_fail(err, CLIP_E_LIMIT, "%s: %lld bytes are more than the limit of %llu allows", name,
                         (long long)st->st_size, (unsigned long long)max);
    return CLIP_OK;
}

clip_status clip_file_read(int fd, const char *name, const clip_limits *limits, uint8_t **bytes, size_t *n, clip_error *err)
{
    uint64_t max = clip_limits_resolve(limits).max_bytes;
    uint8_t *buffer = NULL;
    *bytes = NULL;
    *n = 0;
    struct stat st;
    if (fstat(fd, &st)) return clip_fail(err, CLIP_E_IO, "%s: %s", name, strerror(errno));
    clip_status s = check_kind(&st, name, max, err);
    if (s) return s;

    size_t room = (size_t)st.st_size + 1, used = 0; /* one more, to see the end without another turn */
    buffer = malloc(room);
    if (!buffer) return clip_fail(err, CLIP_E_MEMORY, "%s: no memory for %zu bytes", name, room);
    for (;;) {
        ssize_t got = pread(fd, buffer + used, room - used, (off_t)used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            s = clip_fail(err, CLIP_E_IO, "%s: %s", name, strerror(errno));
            break;
        }
        if (got == 0) break;
        used += (size_t)got;
        if (used < room) continue;
        s = clip_fail(err, CLIP_E_IO, "%s: grew while it was read; index it again when it is complete", name);
        break;
    }
    if (s) {
        free(buffer);
        return s;
    }
    *bytes = buffer;
    *n = used;
    return CLIP_OK;
}
