/* error.h: how the engine's files report a failure. Internal to engine/. */
#ifndef CLIP_ERROR_H
#define CLIP_ERROR_H

#include "engine/clip.h"

/* Writes the message into err, unless err is NULL or already holds one (the first error wins), and returns s, so that a
 * failing function can end in `return clip_fail(err, CLIP_E_FORMAT, "%s: ...", name)`. Always one line of UTF-8 that is
 * safe on a terminal: control characters, which a file's name or a hostile file may bring, come out as \n, \t or \x1b, bytes that
 * are not UTF-8 as \xff. */
clip_status clip_fail(clip_error *err, clip_status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
