/* tokenizer.c: words out of clean text, and byte pairs merged into tokens.
 *
 * Words are found as open_clip's pattern finds them, case-insensitive, at each place the first that fits:
 *
 *     <start_of_text> | <end_of_text> | 's | 't | 're | 've | 'm | 'll | 'd | [\p{L}]+ | [\p{N}] | [^\s\p{L}\p{N}]+
 *
 * The two special names are open_clip's own; OpenAI's <|startoftext|> is ordinary text to open_clip, and so here. Two
 * oddities of its `regex` module are kept: the long s (U+017F) counts as an s in "'s" and in the names, since the match
 * is case-insensitive; and U+0345, a mark whose capital is a letter, fits none of the three classes and is dropped.
 *
 * Each word's bytes become tokens, the last one in its word-final form, and neighbours are merged by rank: the pair with
 * the lowest rank everywhere in the word, from the left, and then the next. A heap of (rank, place) gives that order in
 * n log n: entries that have gone stale are known by the rank that their place now has. Pairs that a merge makes enter
 * the heap only after all of the same rank are done, because the reference finishes one rank before it looks again;
 * for vocabularies in which a pair can come before its own parts that makes a difference. Merging stops when the context
 * is full, between words. A word is never cut: its last letters can decide about its first tokens. */
#include "engine/model/tokenizer.h"
#include "engine/error.h"
#include "engine/model/text_clean.h"
#include "engine/model/unigram.h"
#include "engine/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define CONTEXT_MAX 4096
#define SMALL_WORD 128 /* bytes that need no memory from the heap */

struct clip_tokenizer {
    clip_vocabulary vocabulary;
    int context_length;
    clip_text_rules rules;
    clip_pieces *pieces; /* NULL: byte pairs */
};

clip_status clip_tokenizer_create(clip_vocabulary *v, int context_length, const char *name, clip_tokenizer **out,
                                  clip_error *err) {
    clip_status s = CLIP_OK;
    clip_tokenizer *t = NULL;
    if (context_length < 2 || context_length > CONTEXT_MAX)
        s = clip_fail(err, CLIP_E_LIMIT, "%s: a context of %d tokens; 2 to %d are possible", name, context_length, CONTEXT_MAX);
    else if (!(t = calloc(1, sizeof *t))) s = clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory for the vocabulary", name);
    if (s) clip_vocabulary_finish(v);
    else *t = (clip_tokenizer){.vocabulary = *v, .context_length = context_length};
    *out = t;
    return s;
}

clip_status clip_tokenizer_open(const char *dir, int context_length, int vocab_size, clip_tokenizer **out, clip_error *err) {
    clip_vocabulary v;
    *out = NULL;
    clip_status s = clip_vocabulary_open(dir, vocab_size, &v, err);
    return s ? s : clip_tokenizer_create(&v, context_length, dir, out, err);
}

clip_status clip_tokenizer_open_pieces(const char *dir, const clip_text_config *text, clip_tokenizer **out, clip_error *err) {
    clip_pieces *pieces;
    *out = NULL;
    clip_status s = clip_pieces_open(dir, text->vocab, &pieces, err);
    if (s) return s;
    *out = calloc(1, sizeof **out);
    if (*out) {
        **out = (clip_tokenizer){.context_length = text->context, .rules = text->rules, .pieces = pieces};
        return CLIP_OK;
    }
    clip_pieces_close(pieces);
    return clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory for the vocabulary", dir);
}

void clip_tokenizer_close(clip_tokenizer *t) {
    if (t) clip_vocabulary_finish(&t->vocabulary);
    if (t) clip_pieces_close(t->pieces);
    free(t);
}

int32_t clip_tokenizer_start_id(const clip_tokenizer *t) { return t->vocabulary.start_id; }
int32_t clip_tokenizer_end_id(const clip_tokenizer *t) { return t->pieces ? t->pieces->end_id : t->vocabulary.end_id; }

/* ---- words ------------------------------------------------------------------------------------------------------- */

typedef enum kind { SPACE, LETTER, NUMBER, SIGN, NOTHING } kind;

static kind kind_of(uint32_t c) {
    if (c < 0x80) {
        if (c == ' ') return SPACE; /* the only white space that cleaning leaves */
        if (c >= '0' && c <= '9') return NUMBER;
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? LETTER : SIGN;
    }
    if (c == 0x345) return NOTHING;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return LETTER;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: return NUMBER;
    default: return SIGN;
    }
}

/* Whether cp[0..n) begins with the lower-case word; *exact: without a long s. */
static size_t begins_with(const uint32_t *cp, size_t n, const char *word, bool *exact) {
    size_t i = 0;
    *exact = true;
    for (; word[i]; i++) {
        if (i == n) return 0;
        if (cp[i] == 0x17F && word[i] == 's') *exact = false;
        else if (cp[i] != (uint32_t)word[i]) return 0;
    }
    return i;
}

static size_t contraction(const uint32_t *cp, size_t n) {
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    bool exact;
    size_t length = 0;
    for (size_t i = 0; !length && i < sizeof endings / sizeof *endings; i++) length = begins_with(cp, n, endings[i], &exact);
    return length;
}

/* The length of the word at cp[0], which is no space; *special: the id that stands for it as a whole, or -1. */
static size_t next_word(const clip_tokenizer *t, const uint32_t *cp, size_t n, int32_t *special) {
    size_t length = 0;
    bool exact;
    *special = -1;
    if (cp[0] == '\'') length = contraction(cp, n);
    if (cp[0] == '<') {
        int32_t id = t->vocabulary.start_id;
        length = begins_with(cp, n, "<start_of_text>", &exact);
        if (!length) {
            id = t->vocabulary.end_id;
            length = begins_with(cp, n, "<end_of_text>", &exact);
        }
        if (length && exact) *special = id;
    }
    if (length) return length;
    kind first = kind_of(cp[0]);
    length = 1;
    if (first == LETTER || first == SIGN)
        while (length < n && kind_of(cp[length]) == first) length++;
    return length;
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

#define NONE UINT32_MAX

typedef struct piece {
    int32_t id;
    uint32_t before, after; /* places of the neighbours, or NONE */
    uint32_t rank;          /* of this piece with the next; CLIP_NO_RANK also when this piece is gone */
} piece;

/* A word being merged. */
typedef struct word {
    const clip_vocabulary *v;
    piece *pieces;      /* [n] one a byte */
    uint64_t *heap;     /* [heap_n] rank << 32 | place, smallest first; room for 3n: n - 1 pairs, and two more a merge */
    size_t heap_n;
    uint32_t *later;    /* [later_n] places whose pair enters the heap after this rank; room for 2n */
    size_t later_n;
} word;

static void push(word *w, uint64_t key) {
    size_t i = w->heap_n++;
    for (; i > 0 && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static uint64_t pop(word *w) {
    uint64_t top = w->heap[0], key = w->heap[--w->heap_n];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < w->heap_n) {
        if (child + 1 < w->heap_n && w->heap[child + 1] < w->heap[child]) child++;
        if (key <= w->heap[child]) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = key;
    return top;
}

/* Looks the pair at `place` up anew. */
static void rank_pair(word *w, uint32_t place) {
    if (place == NONE) return;
    piece *p = &w->pieces[place];
    p->rank = p->after == NONE ? CLIP_NO_RANK : clip_vocabulary_rank(w->v, p->id, w->pieces[p->after].id);
    if (p->rank != CLIP_NO_RANK) w->later[w->later_n++] = place;
}

static void merge_at(word *w, uint32_t place) {
    piece *p = &w->pieces[place], *gone = &w->pieces[p->after];
    p->id = w->v->whole[p->rank];
    p->after = gone->after;
    gone->rank = CLIP_NO_RANK;
    if (p->after != NONE) w->pieces[p->after].before = place;
    rank_pair(w, p->before);
    rank_pair(w, place);
}

static void push_later(word *w) {
    for (size_t i = 0; i < w->later_n; i++) {
        uint32_t place = w->later[i], rank = w->pieces[place].rank;
        if (rank != CLIP_NO_RANK) push(w, (uint64_t)rank << 32 | place);
    }
    w->later_n = 0;
}

static void merge_all(word *w) {
    while (w->heap_n > 0) {
        uint64_t rank = w->heap[0] >> 32;
        while (w->heap_n > 0 && w->heap[0] >> 32 == rank) {
            uint32_t place = (uint32_t)pop(w);
            if (w->pieces[place].rank == rank) merge_at(w, place);
        }
        push_later(w);
    }
}

static void set_bytes(word *w, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n;
        w->pieces[i] = (piece){.id = last ? w->v->final[bytes[i]] : w->v->inner[bytes[i]],
                               .before = i == 0 ? NONE : (uint32_t)i - 1, .after = last ? NONE : (uint32_t)i + 1};
    }
    for (size_t i = 0; i < n; i++) rank_pair(w, (uint32_t)i);
    push_later(w);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

typedef struct ids {
    int32_t *id;
    size_t n, room;
} ids;

/* cp[0..length) as bytes into `bytes`, which has room for 4 a code point. */
static size_t spell(const uint32_t *cp, size_t length, uint8_t *bytes) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++) n += clip_utf8_write(cp[i], bytes + n);
    return n;
}

static void merge_word(const clip_vocabulary *v, const uint8_t *bytes, size_t n, piece *pieces, uint64_t *heap, uint32_t *later,
                       ids *out) {
    word w = {.v = v, .pieces = pieces, .heap = heap, .later = later};
    set_bytes(&w, bytes, n);
    merge_all(&w);
    for (uint32_t i = 0; i != NONE && out->n < out->room; i = pieces[i].after) out->id[out->n++] = pieces[i].id;
}

static bool add_long_word(const clip_vocabulary *v, const uint32_t *cp, size_t length, ids *out) {
    size_t room = 4 * length;
    uint8_t *bytes = malloc(room);
    size_t n = bytes ? spell(cp, length, bytes) : 0;
    piece *pieces = malloc((n + 1) * sizeof *pieces);
    uint64_t *heap = malloc((3 * n + 1) * sizeof *heap);
    uint32_t *later = malloc((2 * n + 1) * sizeof *later);
    bool ok = bytes && pieces && heap && later;
    if (ok) merge_word(v, bytes, n, pieces, heap, later, out);
    free(bytes);
    free(pieces);
    free(heap);
    free(later);
    return ok;
}

static bool add_word(const clip_vocabulary *v, const uint32_t *cp, size_t length, ids *out) {
    uint8_t bytes[SMALL_WORD];
    piece pieces[SMALL_WORD];
    uint64_t heap[3 * SMALL_WORD];
    uint32_t later[2 * SMALL_WORD];
    if (length > SMALL_WORD / 4) return add_long_word(v, cp, length, out);
    merge_word(v, bytes, spell(cp, length, bytes), pieces, heap, later, out);
    return true;
}

static bool add_words(const clip_tokenizer *t, const clip_text *text, ids *out) {
    int32_t special;
    for (size_t i = 0, length; i < text->n && out->n < out->room; i += length) {
        const uint32_t *cp = text->cp + i;
        kind k = kind_of(cp[0]);
        length = 1;
        if (k == SPACE || k == NOTHING) continue;
        length = next_word(t, cp, text->n - i, &special);
        if (special >= 0) out->id[out->n++] = special;
        else if (!add_word(&t->vocabulary, cp, length, out)) return false;
    }
    return true;
}

static clip_status encode_words(const clip_tokenizer *t, const clip_text *clean, size_t bytes, ids *out, clip_error *err) {
    out->id[out->n++] = t->vocabulary.start_id;
    if (!add_words(t, clean, out))
        return clip_fail(err, CLIP_E_MEMORY, "not enough memory for a word in a text of %zu bytes", bytes);
    out->id[out->n++] = t->vocabulary.end_id;
    return CLIP_OK;
}

static clip_status encode_pieces(const clip_tokenizer *t, const clip_text *clean, ids *out, clip_error *err) {
    uint8_t fixed[1024], *bytes = 4 * clean->n <= sizeof fixed ? fixed : malloc(4 * clean->n);
    if (!bytes) return clip_fail(err, CLIP_E_MEMORY, "not enough memory for a text of %zu characters", clean->n);
    clip_status s = clip_unigram_encode(t->pieces, bytes, spell(clean->cp, clean->n, bytes), out->id, out->room, &out->n, err);
    while (out->n < (size_t)t->context_length) out->id[out->n++] = t->pieces->end_id;
    if (bytes != fixed) free(bytes);
    return s;
}

clip_status clip_tokenizer_encode(const clip_tokenizer *t, const char *text, int32_t *id, size_t room, size_t *n,
                                  clip_error *err) {
    size_t bytes = strnlen(text, CLIP_TEXT_MAX_BYTES + 1);
    *n = 0;
    if (room < (size_t)t->context_length)
        return clip_fail(err, CLIP_E_ARGUMENT, "room for %zu token ids, but the context is %d", room, t->context_length);
    if (bytes > CLIP_TEXT_MAX_BYTES)
        return clip_fail(err, CLIP_E_LIMIT, "a text of more than %zu bytes; shorten it", CLIP_TEXT_MAX_BYTES);
    clip_text clean;
    clip_text_init(&clean);
    ids out = {.id = id, .room = (size_t)t->context_length - 1};
    clip_status s = clip_text_clean(text, bytes, t->rules, &clean, err);
    if (!s) s = t->pieces ? encode_pieces(t, &clean, &out, err) : encode_words(t, &clean, bytes, &out, err);
    clip_text_finish(&clean);
    if (!s) *n = out.n;
    return s;
}
