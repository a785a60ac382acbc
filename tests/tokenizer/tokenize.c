/* tokenize.c: the tokenizer as a filter, for against_open_clip.py, against_sentencepiece.py and for a look by hand.
 *
 *     tokenize DIR [CONTEXT]    reads texts that end in NUL, writes one line of ids for each
 *     tokenize --pieces RULES DIR [CONTEXT]    the same with SigLIP's pieces; RULES is a number of clip_text_rules
 *     tokenize --time DIR       opens the vocabulary again and again; the best and the median time */
#include "engine/model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VOCAB_SIZE (1 << 20)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int order(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

static int time_opening(const char *dir) {
    enum { RUNS = 101 };
    double took[RUNS];
    clip_error err = {0};
    clip_tokenizer *t;
    for (int i = 0; i < RUNS; i++) {
        double start = now();
        if (clip_tokenizer_open(dir, 77, 49408, &t, &err)) return fprintf(stderr, "%s\n", err.text), 2;
        took[i] = now() - start;
        clip_tokenizer_close(t);
    }
    double first = took[0];
    qsort(took, RUNS, sizeof *took, order);
    printf("opening %s: first %.2f ms, best %.2f ms, median %.2f ms\n", dir, first, took[0], took[RUNS / 2]);
    return 0;
}

int main(int argc, char **argv) {
    clip_error err = {0};
    clip_tokenizer *t;
    clip_text_config pieces = {.vocab = VOCAB_SIZE};
    if (argc == 3 && strcmp(argv[1], "--time") == 0) return time_opening(argv[2]);
    if (argc > 3 && strcmp(argv[1], "--pieces") == 0) {
        pieces.rules = (clip_text_rules)atoi(argv[2]);
        argc -= 2, argv += 2;
    }
    int context = pieces.context = argc > 2 ? atoi(argv[2]) : 77;
    if (argc < 2 || (pieces.rules ? clip_tokenizer_open_pieces(argv[1], &pieces, &t, &err)
                                : clip_tokenizer_open(argv[1], context, VOCAB_SIZE, &t, &err)))
        return fprintf(stderr, "%s\n", argc < 2 ? "usage: tokenize DIR [CONTEXT]" : err.text), 2;
    int32_t *ids = malloc((size_t)context * sizeof *ids);
    char *text = NULL;
    size_t room = 0, n;
    while (ids && getdelim(&text, &room, '\0', stdin) > 0) {
        if (clip_tokenizer_encode(t, text, ids, (size_t)context, &n, &err)) return fprintf(stderr, "%s\n", err.text), 2;
        for (size_t i = 0; i < n; i++) printf("%s%d", i ? " " : "", ids[i]);
        putchar('\n');
    }
    free(text);
    free(ids);
    clip_tokenizer_close(t);
    return 0;
}
