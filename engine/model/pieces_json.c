/* pieces_json.c: the same vocabulary out of a tokenizer.json.
 *
 *     model             {"type": "Unigram", "unk_id": 2, "vocab": [["PIECE", SCORE], ...], "byte_fallback": false}
 *     normalizer        {"precompiled_charsmap": BASE64} anywhere in its "normalizers"
 *     pre_tokenizer     Metaspace: "prepend_scheme" "never", or "add_prefix_space" false, means no space in front
 *     added_tokens      [{"id": N}, ...]: what text cannot be cut into
 *
 * What else a normalizer does there (lower case, punctuation) is done by the rules that the model's configuration asks for.
 * Rules of normalising are applied as sentencepiece applies them, the longest that fits at each place; the library behind
 * tokenizer.json applies them to whole graphemes, which gives other ids for some letters with marks. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/model/json_scan.h"
#include "engine/model/pieces.h"

#define NESTING_MOST 8

typedef struct reader {
    clip_pieces *v;
    const char *name;
    clip_error *err;
    size_t room;
    int32_t unknown;
} reader;

static bool is(clip_json_string s, const char *word) { return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0; }

/* The next member's key; false behind the last one. */
static bool next_member(clip_json *j, bool *first, clip_json_string *key)
{
    return clip_json_more(j, '}', first) && clip_json_take_string(j, key) && clip_json_take(j, ':');
}

static clip_status broken(const reader *r, const char *what)
{
    return clip_fail(r->err, CLIP_E_FORMAT, "%s: %s, or cut short", r->name, what);
}

/* true, false or anything else, which counts as false. */
static bool take_flag(clip_json *j)
{
    bool yes = clip_json_peek(j) == 't';
    return clip_json_skip(j) && yes;
}

/* ---- the normaliser ---------------------------------------------------------------------------------------------- */

static int sextet(uint8_t c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static clip_status set_map(reader *r, clip_json_string text)
{
    uint32_t bits = 0;
    size_t n = 0;
    while (text.n > 0 && text.p[text.n - 1] == '=') text.n--;
    uint8_t *out = malloc(text.n / 4 * 3 + 3);
    if (!out) return clip_fail(r->err, CLIP_E_MEMORY, "%s: not enough memory", r->name);
    free(r->v->decoded);
    r->v->decoded = out;
    r->v->map = (clip_charsmap){0};
    for (size_t i = 0; i < text.n; i++) {
        int six = sextet(text.p[i]);
        if (six < 0) return broken(r, "precompiled_charsmap is not base64");
        bits = bits << 6 | (uint32_t)six;
        if (i % 4) out[n++] = (uint8_t)(bits >> (2 * (3 - i % 4)));
    }
    return clip_pieces_set_map(r->v, out, n, r->name, r->err);
}

static clip_status read_normalizer(reader *r, clip_json *j, int depth)
{
    clip_json_string key, text;
    clip_status s = CLIP_OK;
    bool first = true;
    if (clip_json_peek(j) != '{') return clip_json_skip(j) ? CLIP_OK : broken(r, "normalizer is no JSON");
    if (depth == NESTING_MOST) return broken(r, "normalizer is nested too deeply");
    clip_json_take(j, '{');
    while (!s && next_member(j, &first, &key)) {
        bool element = true;
        if (is(key, "precompiled_charsmap") && clip_json_peek(j) == '"') {
            if (clip_json_take_string(j, &text)) s = set_map(r, text);
        } else if (is(key, "normalizers") && clip_json_take(j, '[')) {
            while (!s && clip_json_more(j, ']', &element)) s = read_normalizer(r, j, depth + 1);
        } else clip_json_skip(j);
    }
    return s || !j->failed ? s : broken(r, "normalizer is no JSON");
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static clip_status read_vocab(reader *r, clip_json *j)
{
    clip_status s = CLIP_OK;
    bool first = true;
    clip_json_take(j, '[');
    while (!s && clip_json_more(j, ']', &first)) {
        clip_json_string piece;
        double score = 0;
        if (clip_json_take(j, '[') && clip_json_take_string(j, &piece) && clip_json_take(j, ',') && clip_json_take_real(j, &score) &&
            clip_json_take(j, ']'))
            s = score < (double)-FLT_MAX || score > (double)FLT_MAX ? broken(r, "a score is beyond all measure")
              : clip_pieces_add(r->v, &r->room, (clip_piece){piece.p, piece.n > UINT32_MAX ? UINT32_MAX : (uint32_t)piece.n,
                                                             (float)score, CLIP_PIECE_NORMAL}, r->name, r->err);
    }
    return s || !j->failed ? s : broken(r, "model.vocab is no list of pieces with scores");
}

static clip_status read_model(reader *r, clip_json *j)
{
    clip_json_string key, type = {NULL, 0};
    clip_json vocab = {NULL, NULL, true};
    bool first = true;
    clip_json_take(j, '{');
    while (next_member(j, &first, &key)) {
        if (is(key, "vocab")) vocab = *j, clip_json_skip(j);
        else if (is(key, "type")) clip_json_take_string(j, &type);
        else if (is(key, "unk_id") && clip_json_peek(j) != 'n') clip_json_take_int(j, &r->unknown);
        else if (is(key, "byte_fallback")) r->v->byte_fallback = take_flag(j);
        else clip_json_skip(j);
    }
    if (j->failed) return broken(r, "model is no JSON");
    if (type.n && !is(type, "Unigram"))
        return clip_fail(r->err, CLIP_E_UNSUPPORTED, "%s: a vocabulary of the kind \"%.*s\"; only unigrams, which SigLIP has, are supported",
                         r->name, type.n > 40 ? 40 : (int)type.n, type.p);
    if (clip_json_peek(&vocab) != '[') return broken(r, "model.vocab is no list");
    return read_vocab(r, &vocab);
}

static clip_status read_pre_tokenizer(reader *r, clip_json *j)
{
    clip_json_string key, text;
    bool first = true;
    if (clip_json_peek(j) != '{') return clip_json_skip(j) ? CLIP_OK : broken(r, "pre_tokenizer is no JSON");
    clip_json_take(j, '{');
    while (next_member(j, &first, &key)) {
        if (is(key, "prepend_scheme") && clip_json_peek(j) == '"') {
            if (clip_json_take_string(j, &text) && is(text, "never")) r->v->dummy_prefix = false;
        } else if (is(key, "add_prefix_space") && clip_json_peek(j) == 'f') r->v->dummy_prefix = take_flag(j);
        else clip_json_skip(j);
    }
    return j->failed ? broken(r, "pre_tokenizer is no JSON") : CLIP_OK;
}

static void set_kind(clip_pieces *v, int32_t id, clip_piece_kind kind)
{
    if (id >= 0 && (uint32_t)id < v->count) v->piece[id].kind = kind;
}

static clip_status read_added(reader *r, clip_json *j)
{
    clip_json_string key;
    bool element = true;
    clip_json_take(j, '[');
    while (clip_json_more(j, ']', &element) && clip_json_take(j, '{')) {
        int32_t id = -1;
        bool first = true;
        while (next_member(j, &first, &key))
            if (is(key, "id")) clip_json_take_int(j, &id);
            else clip_json_skip(j);
        set_kind(r->v, id, CLIP_PIECE_CONTROL);
    }
    return j->failed ? broken(r, "added_tokens is no list of tokens") : CLIP_OK;
}

static void set_kinds(clip_pieces *v, int32_t unknown)
{
    for (uint32_t i = 0; v->byte_fallback && i < v->count; i++)
        if (v->piece[i].n == 6 && !memcmp(v->piece[i].p, "<0x", 3)) v->piece[i].kind = CLIP_PIECE_BYTE;
    set_kind(v, unknown, CLIP_PIECE_UNKNOWN);
}

/* The pieces first, then what is said about them, in whatever order the file has them. */
static clip_status read_all(reader *r, clip_json *j)
{
    static const char *const names[] = {"model", "added_tokens", "normalizer", "pre_tokenizer"};
    enum { MODEL, ADDED, NORMALIZER, PRE_TOKENIZER, PARTS };
    clip_json at[PARTS] = {{0}};
    clip_json_string key;
    bool first = true;
    clip_json_take(j, '{');
    while (next_member(j, &first, &key)) {
        for (int i = 0; i < PARTS; i++)
            if (is(key, names[i])) at[i] = *j;
        clip_json_skip(j);
    }
    if (j->failed || clip_json_peek(&at[MODEL]) != '{') return broken(r, "not a tokenizer in JSON");
    clip_status s = read_model(r, &at[MODEL]);
    if (!s && clip_json_peek(&at[ADDED]) == '[') s = read_added(r, &at[ADDED]);
    if (!s) set_kinds(r->v, r->unknown);
    if (!s && at[NORMALIZER].p) s = read_normalizer(r, &at[NORMALIZER], 0);
    if (!s && at[PRE_TOKENIZER].p) s = read_pre_tokenizer(r, &at[PRE_TOKENIZER]);
    return s;
}

clip_status clip_pieces_parse_json(uint8_t *bytes, size_t n, const char *name, int vocab_size, clip_pieces **out, clip_error *err)
{
    clip_pieces *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v) {
        free(bytes);
        return clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory", name);
    }
    *v = (clip_pieces){.bytes = bytes, .dummy_prefix = true, .remove_extra_spaces = true, .escape_spaces = true};
    reader r = {.v = v, .name = name, .err = err, .unknown = -1};
    clip_status s = read_all(&r, &(clip_json){bytes, bytes + n, false});
    if (!s) s = clip_pieces_finish(v, vocab_size, name, err);
    if (s) clip_pieces_close(v);
    else *out = v;
    return s;
}
