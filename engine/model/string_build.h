/* string_build.h: text that grows. Internal to engine/. */
#ifndef CLIP_STRING_BUILD_H
#define CLIP_STRING_BUILD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct clip_string {
    char *text; /* owned; NULL while it is empty */
    size_t n, room;
    bool failed; /* memory ran out: what was added since is lost */
} clip_string;

void clip_string_add(clip_string *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
