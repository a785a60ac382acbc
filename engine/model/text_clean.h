/* text_clean.h: the cleaning that is done before words are looked for. Internal to engine/. */
#ifndef CLIP_TEXT_CLEAN_H
#define CLIP_TEXT_CLEAN_H

#include "engine/model/config.h"

/* Code points. A short text lives in `fixed` and takes no memory from the heap. */
typedef struct clip_text {
    uint32_t *cp;        /* [n] */
    size_t n, room;
    uint32_t fixed[512];
} clip_text;

void clip_text_init(clip_text *t);
void clip_text_finish(clip_text *t);

/* utf8[0..n) to clean code points: words with single spaces between them, as the rules have it. */
CLIP_MUST_USE clip_status clip_text_clean(const char *utf8, size_t n, clip_text_rules rules, clip_text *out, clip_error *err);

#endif
