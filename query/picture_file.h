/* picture_file.h: a photo file to a small picture, for looking at. */
#ifndef QUERY_PICTURE_FILE_H
#define QUERY_PICTURE_FILE_H

#include "engine/clip.h"

/* CLIP_OK, or why not in err. The picture is freed by clip_picture_finish. */
CLIP_MUST_USE clip_status query_picture_file(const char *path, int max_side, clip_picture *out, clip_error *err);

#endif
