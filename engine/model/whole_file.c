/* whole_file.c: see whole_file.h. O_NONBLOCK: a pipe of that name must not hold us up. */
#include "engine/model/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static clip_status read_all(int fd, const char *path, size_t most, char **bytes, size_t *n, clip_error *err)
{
    struct stat st;
    if (fstat(fd, &st)) return clip_fail(err, CLIP_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return clip_fail(err, CLIP_E_FORMAT, "%s: not a regular file", path);
    if ((uint64_t)st.st_size > most)
        return clip_fail(err, CLIP_E_LIMIT, "%s: %lld bytes; such a file has at most %zu", path, (long long)st.st_size, most);
    *bytes = malloc((size_t)st.st_size + 1);
    if (!*bytes) return clip_fail(err, CLIP_E_MEMORY, "%s: out of memory", path);
    while (*n < (size_t)st.st_size) {
        ssize_t got = read(fd, *bytes + *n, (size_t)st.st_size - *n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return clip_fail(err, CLIP_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0) break;
        *n += (size_t)got;
    }
    return CLIP_OK;
}

clip_status clip_whole_file_read(const char *path, size_t most, char **bytes, size_t *n, clip_error *err)
{
    *bytes = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    clip_status s = fd < 0 ? clip_fail(err, CLIP_E_IO, "%s: %s", path, strerror(errno)) : read_all(fd, path, most, bytes, n, err);
    if (fd >= 0) close(fd);
    if (s) {
        free(*bytes);
        *bytes = NULL;
    }
    return s;
}
