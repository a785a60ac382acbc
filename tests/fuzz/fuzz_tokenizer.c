/* fuzz_tokenizer.c: every text has ids, from the start token to the end token, within the context and the vocabulary.
 *
 * The vocabulary is the 512 byte tokens and merges of all pairs of a few letters, made here. */
#include "engine/model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 16, VOCAB_SIZE = 1024 };

/* Bytes as \u escapes: GPT-2's printable characters. */
static int character(int byte) {
    int others = 0;
    for (int b = 0; b < byte; b++) others += b <= 0x20 || (b >= 0x7F && b <= 0xA0) || b == 0xAD;
    return byte <= 0x20 || (byte >= 0x7F && byte <= 0xA0) || byte == 0xAD ? 0x100 + others : byte;
}

static clip_tokenizer *make_tokenizer(void) {
    static const char letters[] = "abcdsm'!";
    static char json[1 << 16], merges[1 << 14];
    int n = sprintf(json, "{"), m = 0, id = 0;
    for (int b = 0; b < 256; b++) n += sprintf(json + n, "\"\\u%04x\":%d,\"\\u%04x</w>\":%d,", character(b), 2 * b, character(b), 2 * b + 1);
    id = 512;
    for (const char *a = letters; *a; a++)
        for (const char *b = letters; *b; b++) {
            n += sprintf(json + n, "\"%c%c\":%d,\"%c%c</w>\":%d,", *a, *b, id, *a, *b, id + 1);
            m += sprintf(merges + m, "%c %c\n%c %c</w>\n", *a, *b, *a, *b);
            id += 2;
        }
    n += sprintf(json + n, "\"<|startoftext|>\":%d,\"<|endoftext|>\":%d}", id, id + 1);
    clip_vocabulary v;
    clip_tokenizer *t;
    clip_error err = {0};
    if (clip_vocabulary_parse((uint8_t *)json, (size_t)n, "json", (uint8_t *)merges, (size_t)m, "merges", VOCAB_SIZE, &v, &err) ||
        clip_tokenizer_create(&v, CONTEXT, "fuzz", &t, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static clip_tokenizer *t;
    int32_t ids[CONTEXT];
    size_t n;
    if (!t) t = make_tokenizer();
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (clip_tokenizer_encode(t, text, ids, CONTEXT, &n, NULL) == CLIP_OK) {
        if (n < 2 || n > CONTEXT || ids[0] != clip_tokenizer_start_id(t) || ids[n - 1] != clip_tokenizer_end_id(t)) abort();
        for (size_t i = 0; i < n; i++)
            if (ids[i] < 0 || ids[i] >= VOCAB_SIZE) abort();
    }
    free(text);
    return 0;
}
