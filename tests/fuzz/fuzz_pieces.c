/* fuzz_pieces.c: no sentencepiece model makes its reader, or whoever encodes by it, crash, hang or give an id that it has not.
 *
 * The input is a text, a zero byte and the model's file: a protocol buffer, or JSON where it begins with '{'. */
#include "engine/model/unigram.h"

#include <stdlib.h>
#include <string.h>

enum { VOCAB_SIZE = 300, ROOM = 64 };

static void encode(const clip_pieces *v, const uint8_t *text, size_t n)
{
    int32_t ids[ROOM];
    size_t count;
    if (clip_unigram_encode(v, text, n, ids, ROOM, &count, NULL)) return;
    if (count > ROOM) abort();
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= VOCAB_SIZE || (uint32_t)ids[i] >= v->count) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    if (!zero) return 0;
    size_t n = size - (size_t)(zero + 1 - data);
    uint8_t *file = malloc(n + 1), *text = malloc((size_t)(zero - data) + 1);
    clip_pieces *v;
    clip_error err = {0};
    if (!file || !text) abort();
    memcpy(file, zero + 1, n);
    memcpy(text, data, (size_t)(zero - data)); /* a copy of its own, so that reading beyond it is seen */
    clip_status s = n && file[0] == '{' ? clip_pieces_parse_json(file, n, "a", VOCAB_SIZE, &v, &err)
                                        : clip_pieces_parse(file, n, "a", VOCAB_SIZE, &v, &err);
    if (!s != (err.text[0] == '\0')) abort(); /* a failure has a message, a success none */
    if (!s) encode(v, text, (size_t)(zero - data));
    clip_pieces_close(v);
    free(text);
    return 0;
}
