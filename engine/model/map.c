/* map.c: opening and mapping, with a reason for everything that can be in a file's place. */
#include "engine/model/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

clip_status clip_file_map_keep(const char *path, size_t least, const char *what, void **map, size_t *n, int *out, clip_error *err)
{
    struct stat st;
    int fd = *out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return clip_fail(err, CLIP_E_IO, "%s: %s", path, strerror(errno));
    clip_status s = CLIP_OK;
    if (fstat(fd, &st)) s = clip_fail(err, CLIP_E_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode)) s = clip_fail(err, CLIP_E_FORMAT, "%s: not a regular file", path);
    else if ((uint64_t)st.st_size < least)
        s = clip_fail(err, CLIP_E_FORMAT, "%s: %lld bytes are no %s", path, (long long)st.st_size, what);
    else if ((uint64_t)st.st_size > PTRDIFF_MAX) s = clip_fail(err, CLIP_E_LIMIT, "%s: too large for this machine", path);
    else {
        *n = (size_t)st.st_size;
        *map = mmap(NULL, *n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (*map == MAP_FAILED) s = clip_fail(err, CLIP_E_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    }
    if (s) close(fd);
    return s;
}

clip_status clip_file_map(const char *path, size_t least, const char *what, void **map, size_t *n, clip_error *err)
{
    int fd;
    clip_status s = clip_file_map_keep(path, least, what, map, n, &fd, err);
    if (!s) close(fd);
    return s;
}
