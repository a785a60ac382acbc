/* whole_file.h: a small regular file, read into memory. Internal to engine/. */
#ifndef CLIP_WHOLE_FILE_H
#define CLIP_WHOLE_FILE_H

#include "engine/error.h"

/* The caller frees *bytes; *n bytes are the file's, and one more may be written. Refused above `most`, pipes and devices too.
 * Read, not mapped: a mapped file that shrinks would kill us. */
CLIP_MUST_USE clip_status clip_whole_file_read(const char *path, size_t most, char **bytes, size_t *n, clip_error *err);

#endif
