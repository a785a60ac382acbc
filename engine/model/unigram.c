/* unigram.c: sentencepiece's normaliser and its unigram model (Kudo, "Subword Regularization", 2018, arXiv 1804.10959).
 *
 * Normalising: at each place the longest rule's string stands for what the rule matches, else one character for itself; spaces
 * are dropped at the ends, one is kept of several, each is written as U+2581, and one is put before everything.
 *
 * Encoding: of all ways to cut the text into pieces the one with the greatest sum of scores, by Viterbi from the front: for each
 * place that characters end at, the best piece that ends there. A character that is no piece by itself may also stand alone, as
 * unknown, ten below the least score. Of equal sums the one found first stays: pieces are tried by where they begin, the
 * shorter first. Sums are floats as sentencepiece's are, so that rounding decides as it does there. Neighbouring unknown
 * characters are one unknown piece, or with byte fallback each byte a piece of its own. */
#include "engine/model/unigram.h"

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/utf8.h"

#define SMALL 512            /* normalised bytes that need no memory from the heap */
#define MOST ((size_t)8 << 20)
#define STRING_MOST 1024     /* of a rule; real ones have a few dozen bytes */

static const uint8_t space_sign[] = {0xE2, 0x96, 0x81}; /* U+2581 */
enum { SIGN = sizeof space_sign };

/* ---- normalising ------------------------------------------------------------------------------------------------- */

typedef struct normalised {
    uint8_t *p;
    size_t n, room;
    uint8_t fixed[SMALL];
    clip_status status;      /* CLIP_E_LIMIT or CLIP_E_MEMORY once it did not fit */
} normalised;

static void put(normalised *t, const uint8_t *p, size_t n)
{
    if (t->status) return;
    if (t->n + n > MOST) {
        t->status = CLIP_E_LIMIT;
        return;
    }
    if (t->n + n > t->room) {
        size_t room = t->room;
        while (room < t->n + n) room *= 2;
        uint8_t *more = realloc(t->p == t->fixed ? NULL : t->p, room);
        if (!more) {
            t->status = CLIP_E_MEMORY;
            return;
        }
        if (t->p == t->fixed) memcpy(more, t->fixed, t->n);
        t->p = more;
        t->room = room;
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static uint32_t unit(const clip_charsmap *m, uint32_t i)
{
    const uint8_t *p = m->units + 4 * (size_t)i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t offset(uint32_t u) { return u >> 10 << ((u & 1u << 9) >> 6); }

/* The longest rule that text[0..n) begins with: how many bytes it takes, and the place of its string; 0 for none. A unit holds
 * a label in its low byte, an offset to its children, and whether one of them is a value; a value has its highest bit set. */
static size_t longest_rule(const clip_charsmap *m, const uint8_t *text, size_t n, uint32_t *string)
{
    size_t longest = 0;
    if (!m->unit_count) return 0;
    uint32_t at = offset(unit(m, 0));
    for (size_t i = 0; i < n; i++) {
        at ^= text[i];
        if (at >= m->unit_count) break;
        uint32_t u = unit(m, at);
        if ((u & (1u << 31 | 0xFF)) != text[i]) break;
        at ^= offset(u);
        if (!(u >> 8 & 1)) continue;
        if (at >= m->unit_count) break;
        longest = i + 1;
        *string = unit(m, at) & 0x7FFFFFFF;
    }
    return longest;
}

static size_t longest_user_piece(const clip_pieces *v, const uint8_t *text, size_t n)
{
    size_t longest = 0;
    uint64_t hash = CLIP_PIECES_HASH;
    for (size_t i = 0; i < n && i < v->longest; i++) {
        hash = clip_pieces_hash(hash, text[i]);
        int32_t id = clip_pieces_find(v, hash, text, i + 1);
        if (id >= 0 && v->piece[id].kind == CLIP_PIECE_USER) longest = i + 1;
    }
    return longest;
}

typedef struct part {
    const uint8_t *p;        /* [n] what stands for the next `taken` bytes */
    size_t n, taken;
} part;

static part next_part(const clip_pieces *v, const uint8_t *text, size_t n)
{
    static const uint8_t replacement[] = {0xEF, 0xBF, 0xBD};
    uint32_t string = 0;
    size_t taken = v->has_user_pieces ? longest_user_piece(v, text, n) : 0;
    if (taken) return (part){text, taken, taken};
    taken = longest_rule(&v->map, text, n, &string);
    if (taken && string < v->map.string_bytes) {
        const uint8_t *p = v->map.strings + string;
        return (part){p, strnlen((const char *)p, STRING_MOST), taken}; /* a NUL is the last of all strings */
    }
    taken = clip_utf8_length(text, text + n);
    if (!taken) return (part){replacement, sizeof replacement, 1};
    return (part){text, taken, taken};
}

static void put_escaped(const clip_pieces *v, normalised *out, const part *p, size_t from)
{
    for (size_t i = from; i < p->n; i++)
        if (p->p[i] == ' ' && v->escape_spaces) put(out, space_sign, SIGN);
        else put(out, p->p + i, 1);
}

static void drop_last_spaces(const clip_pieces *v, normalised *out)
{
    const uint8_t *space = v->escape_spaces ? space_sign : (const uint8_t *)" ";
    size_t n = v->escape_spaces ? SIGN : 1;
    while (out->n >= n && memcmp(out->p + out->n - n, space, n) == 0) out->n -= n;
}

static void normalise(const clip_pieces *v, const uint8_t *text, size_t n, normalised *out)
{
    bool after_space = v->remove_extra_spaces;
    size_t at = 0;
    for (part p; at < n && v->remove_extra_spaces; at += p.taken) {
        p = next_part(v, text + at, n - at);
        if (p.n != 1 || p.p[0] != ' ') break;
    }
    if (at == n) return;
    if (v->dummy_prefix) put_escaped(v, out, &(part){(const uint8_t *)" ", 1, 0}, 0);
    for (part p; at < n && !out->status; at += p.taken) {
        size_t from = 0;
        p = next_part(v, text + at, n - at);
        while (after_space && from < p.n && p.p[from] == ' ') from++;
        put_escaped(v, out, &p, from);
        if (from < p.n) after_space = p.p[p.n - 1] == ' ';
        after_space = after_space && v->remove_extra_spaces;
    }
    if (v->remove_extra_spaces) drop_last_spaces(v, out);
}

/* ---- the best pieces --------------------------------------------------------------------------------------------- */

/* The best way to the place that it stands for: its last piece begins at `start`. */
typedef struct step {
    float score;
    uint32_t start;
    uint32_t next;           /* on the best way of all: where the next piece ends */
    int32_t id;              /* -1: no way leads here */
} step;

static size_t character_length(uint8_t first)
{
    return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

static void try_piece(step *to, float score, size_t start, int32_t id)
{
    if (to->id < 0 || score > to->score) *to = (step){score, (uint32_t)start, 0, id};
}

/* A user's piece costs less than any other. */
static float score_of(const clip_piece *p) { return p->kind == CLIP_PIECE_USER ? -0.1f : p->score; }

static void find_best(const clip_pieces *v, const uint8_t *text, size_t n, step *steps)
{
    for (size_t i = 0; i <= n; i++) steps[i].id = -1;
    steps[0].score = 0;
    for (size_t start = 0, length; start < n; start += length) {
        uint64_t hash = CLIP_PIECES_HASH;
        float here = steps[start].score;
        bool single = false;
        length = character_length(text[start]);
        if (length > n - start) length = n - start;
        for (size_t i = 0; i < n - start && i < v->longest; i++) {
            hash = clip_pieces_hash(hash, text[start + i]);
            int32_t id = clip_pieces_find(v, hash, text + start, i + 1);
            if (id < 0) continue;
            try_piece(&steps[start + i + 1], score_of(&v->piece[id]) + here, start, id);
            if (i + 1 == length) single = true;
        }
        if (!single) try_piece(&steps[start + length], v->unknown_score + here, start, v->unknown_id);
    }
}

static size_t put_ids(const clip_pieces *v, const uint8_t *text, size_t n, step *steps, int32_t *ids, size_t room)
{
    size_t count = 0;
    bool after_unknown = false;
    for (size_t end = n; end > 0; end = steps[end].start) steps[steps[end].start].next = (uint32_t)end;
    for (size_t at = 0; at < n && count < room; at = steps[at].next) {
        size_t end = steps[at].next;
        int32_t id = steps[end].id;
        bool unknown = id == v->unknown_id;
        if (unknown && v->byte_fallback) {
            for (size_t i = at; i < end && count < room; i++)
                ids[count++] = v->byte_id[text[i]] >= 0 ? v->byte_id[text[i]] : v->unknown_id;
        } else if (!unknown || !after_unknown) ids[count++] = id;
        after_unknown = unknown;
    }
    return count;
}

clip_status clip_unigram_encode(const clip_pieces *v, const uint8_t *utf8, size_t n, int32_t *ids, size_t room, size_t *count,
                                clip_error *err)
{
    step fixed[SMALL + 1], *steps = fixed;
    normalised text = {.room = SMALL};
    text.p = text.fixed;
    *count = 0;
    normalise(v, utf8, n, &text);
    clip_status s = text.status;
    if (!s && text.n > SMALL && !(steps = malloc((text.n + 1) * sizeof *steps))) s = CLIP_E_MEMORY;
    if (!s) {
        find_best(v, text.p, text.n, steps);
        *count = put_ids(v, text.p, text.n, steps, ids, room);
    }
    if (steps != fixed) free(steps);
    if (text.p != text.fixed) free(text.p);
    if (s == CLIP_E_LIMIT) return clip_fail(err, s, "a text that normalises to more than %zu bytes; shorten it", MOST);
    return s ? clip_fail(err, s, "not enough memory for a text of %zu bytes", n) : CLIP_OK;
}
