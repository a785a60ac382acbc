/* string_build.c: vsnprintf, twice where the first time there was no room. */
#include "engine/model/string_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void clip_string_add(clip_string *s, const char *format, ...)
{
    for (int pass = 0; pass < 2 && !s->failed; pass++) {
        va_list list;
        va_start(list, format);
        int more = vsnprintf(s->text ? s->text + s->n : NULL, s->room - s->n, format, list);
        va_end(list);
        if (more >= 0 && s->n + (size_t)more < s->room) {
            s->n += (size_t)more;
            return;
        }
        size_t room = more < 0 ? 0 : 2 * (s->n + (size_t)more) + 64;
        char *bigger = room ? realloc(s->text, room) : NULL;
        if (!bigger) s->failed = true;
        else s->text = bigger, s->room = room;
    }
}
