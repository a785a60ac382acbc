/* unigram.h: text to the ids of a sentencepiece unigram model. Internal to engine/. */
#ifndef CLIP_UNIGRAM_H
#define CLIP_UNIGRAM_H

#include "engine/model/pieces.h"

/* The first `room` ids of utf8[0..n), without any special ones, as sentencepiece gives them; *count of them. A text that the
 * normaliser makes longer than a few times a megabyte is refused with CLIP_E_LIMIT. */
CLIP_MUST_USE clip_status clip_unigram_encode(const clip_pieces *v, const uint8_t *utf8, size_t n, int32_t *ids, size_t room,
                                              size_t *count, clip_error *err);

#endif
