/* vocabulary.h: a byte-pair vocabulary, compiled for look-up by id. Internal to engine/. */
#ifndef CLIP_VOCABULARY_H
#define CLIP_VOCABULARY_H

#include "engine/clip.h"

#define CLIP_VOCABULARY_MAX (1 << 20) /* tokens, and as many merges: the largest published has 250,000 */

#define CLIP_NO_RANK UINT32_MAX

typedef struct clip_vocabulary {
    int32_t start_id, end_id;
    int32_t inner[256];  /* the id of a byte inside a word */
    int32_t final[256];  /* the id of a byte that ends a word */
    int32_t *whole;      /* [merge_count] what the two parts of a merge become, by rank */
    uint32_t merge_count;
    uint64_t *pairs;     /* [pair_mask + 1] left id, right id, rank + 1 in 20, 20 and 24 bits; 0 empty; open addressing */
    uint64_t pair_mask;
} clip_vocabulary;

/* Reads vocab.json and merges.txt in `dir`, or tokenizer.json where vocab.json is absent. Every id is below vocab_size. */
CLIP_MUST_USE clip_status clip_vocabulary_open(const char *dir, int vocab_size, clip_vocabulary *v, clip_error *err);
void clip_vocabulary_finish(clip_vocabulary *v);

/* The rank of the merge of (left, right), or CLIP_NO_RANK. The lower the rank, the earlier. */
uint32_t clip_vocabulary_rank(const clip_vocabulary *v, int32_t left, int32_t right);

/* The same from memory; the bytes are changed. merges may be NULL: then `json` is a tokenizer.json. The names are for
 * messages. Behind the bytes of both lie CLIP_VOCABULARY_SLACK more that may be read and do not count. */
#define CLIP_VOCABULARY_SLACK 16
CLIP_MUST_USE clip_status clip_vocabulary_parse(uint8_t *json, size_t json_bytes, const char *json_name, const uint8_t *merges,
                                                size_t merges_bytes, const char *merges_name, int vocab_size,
                                                clip_vocabulary *v, clip_error *err);

#endif
