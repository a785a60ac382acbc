/* picture_file.c: opened as the indexer opens photos, so that a pipe or a device in a photo's place holds nobody up. */
#include "query/picture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

clip_status query_picture_file(const char *path, int max_side, clip_picture *out, clip_error *err)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    *out = (clip_picture){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        snprintf(err->text, sizeof err->text, "%s", strerror(errno));
        return CLIP_E_IO;
    }
    clip_status s = clip_file_read(fd, "the file", NULL, &bytes, &n, err);
    if (s == CLIP_OK) s = clip_picture_decode(bytes, n, NULL, max_side, out, NULL, err);
    free(bytes);
    close(fd);
    return s;
}
