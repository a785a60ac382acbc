/* tokenizer.h: text to token ids, CLIP's or SigLIP's. Internal to engine/.
 *
 * CLIP's ids are those of open_clip's SimpleTokenizer with its default cleaning, for any vocabulary in CLIP's form. What is
 * the same, and the few things that are not, is written at the top of tokenizer.c and text_clean.c. SigLIP's are those of
 * sentencepiece (unigram.c) for the text in its canonical form.
 *
 * Ownership  clip_tokenizer_open gives, clip_tokenizer_close takes back (and accepts NULL).
 * Threads    Immutable once open: any number of threads may encode at once. */
#ifndef CLIP_TOKENIZER_H
#define CLIP_TOKENIZER_H

#include "engine/clip.h"
#include "engine/model/config.h"
#include "engine/model/pieces.h"
#include "engine/model/vocabulary.h"

/* A text longer than this many bytes is refused with CLIP_E_LIMIT. */
#define CLIP_TEXT_MAX_BYTES ((size_t)1 << 20)

typedef struct clip_tokenizer clip_tokenizer;

/* Reads the vocabulary of the model in `dir`: vocab.json and merges.txt, or where these are absent tokenizer.json.
 * context_length: tokens, start and end included, 2..4096. vocab_size: rows of the token embedding; a vocabulary with an
 * id outside 0..vocab_size-1 is refused. */
CLIP_MUST_USE clip_status clip_tokenizer_open(const char *dir, int context_length, int vocab_size,
                                              clip_tokenizer **out, clip_error *err);
void clip_tokenizer_close(clip_tokenizer *t);

/* The same over a vocabulary that has been read already and now belongs to the tokenizer, on failure too. `name` is used
 * in messages only. */
CLIP_MUST_USE clip_status clip_tokenizer_create(clip_vocabulary *v, int context_length, const char *name,
                                                clip_tokenizer **out, clip_error *err);

/* SigLIP's: the pieces of the model in `dir`, as `text` says. */
CLIP_MUST_USE clip_status clip_tokenizer_open_pieces(const char *dir, const clip_text_config *text, clip_tokenizer **out,
                                                     clip_error *err);

/* The ids of one text: start, the text's tokens, end; ids[0..*n), *n <= context_length. When the text is longer, its
 * tail is cut and the last id is the end's. SigLIP's have no start, and end tokens fill them up to the whole context.
 * `room` is at least context_length. Bytes that are not UTF-8 count as U+FFFD. */
CLIP_MUST_USE clip_status clip_tokenizer_encode(const clip_tokenizer *t, const char *text, int32_t *ids, size_t room,
                                                size_t *n, clip_error *err);

int32_t clip_tokenizer_start_id(const clip_tokenizer *t);
int32_t clip_tokenizer_end_id(const clip_tokenizer *t);

#endif
