/* map.h: a file's bytes in memory, read when they are touched. Internal to engine/. */
#ifndef CLIP_MAP_H
#define CLIP_MAP_H

#include "engine/error.h"

/* Maps a regular file of at least `least` bytes, as every `what` ("safetensors file") has. munmap(*map, *n) ends it. */
CLIP_MUST_USE clip_status clip_file_map(const char *path, size_t least, const char *what, void **map, size_t *n, clip_error *err);
/* The same, and *fd stays open for reading. */
CLIP_MUST_USE clip_status clip_file_map_keep(const char *path, size_t least, const char *what, void **map, size_t *n, int *fd,
                                             clip_error *err);

#endif
