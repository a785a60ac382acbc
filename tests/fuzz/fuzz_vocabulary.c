/* fuzz_vocabulary.c: no bytes make the vocabulary's reader crash, hang or give an id that the model does not have.
 *
 * The input is vocab.json, a zero byte and merges.txt; without a zero byte it is a tokenizer.json. */
#include "engine/model/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { VOCAB_SIZE = 2000 };

/* In memory of its own, padded as clip_vocabulary_parse asks. */
static uint8_t *copy(const uint8_t *p, size_t n) {
    uint8_t *out = calloc(n + CLIP_VOCABULARY_SLACK, 1);
    return out ? memcpy(out, p, n) : NULL;
}

static void check(const clip_vocabulary *v) {
    int ok = v->start_id < VOCAB_SIZE && v->end_id < VOCAB_SIZE;
    for (int i = 0; i < 256; i++) ok = ok && v->inner[i] >= 0 && v->inner[i] < VOCAB_SIZE && v->final[i] >= 0 && v->final[i] < VOCAB_SIZE;
    for (uint32_t i = 0; i < v->merge_count; i++) ok = ok && v->whole[i] >= 0 && v->whole[i] < VOCAB_SIZE;
    for (int32_t i = 0; i < 64; i++) {
        uint32_t rank = clip_vocabulary_rank(v, v->inner[i], v->final[i + 1]);
        ok = ok && (rank == CLIP_NO_RANK || rank < v->merge_count);
    }
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t n = zero ? (size_t)(zero - data) : size;
    uint8_t *json = copy(data, n), *merges = zero ? copy(zero + 1, size - n - 1) : NULL;
    clip_vocabulary v;
    clip_error err = {0};
    if (json && (merges || !zero)) {
        clip_status s = clip_vocabulary_parse(json, n, "a", merges, zero ? size - n - 1 : 0, "b", VOCAB_SIZE, &v, &err);
        if (!s) check(&v);
        if (!s != (err.text[0] == '\0')) abort(); /* a failure has a message, a success none */
        if (!s) clip_vocabulary_finish(&v);
    }
    free(json);
    free(merges);
    return 0;
}
