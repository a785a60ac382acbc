/* pieces.c: sentencepiece's model file, and what both of its forms are compiled into.
 *
 * The file is a protocol buffer (sentencepiece_model.proto). What is read of it:
 *
 *     ModelProto       1  pieces, repeated           2  trainer_spec         3  normalizer_spec
 *     SentencePiece    1  piece, UTF-8               2  score, float         3  type: 1 normal, 2 unknown, 3 control,
 *                                                                               4 user defined, 5 unused, 6 byte
 *     TrainerSpec      3  model_type: 1 unigram      24 treat_whitespace_as_suffix       35 byte_fallback
 *     NormalizerSpec   2  precompiled_charsmap       3  add_dummy_prefix     4  remove_extra_whitespaces
 *                      5  escape_whitespaces
 *
 *     charsmap         u32 bytes of the double array | its units | strings, each with a NUL
 *
 * A protocol buffer is a row of fields: a varint (number << 3 | wire type), then a varint, 8 bytes, a varint and as many bytes,
 * or 4 bytes, for the types 0, 1, 2, 5. Unknown fields are passed over. A piece's id is its place.
 *
 * Looking a piece up goes by a hash that is lengthened byte by byte along the text, and compares the bytes. Hostile files:
 * every length is checked against what is left, and colliding hashes are refused, so that the time stays linear. */
#include "engine/model/pieces.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/model/whole_file.h"

#define FILE_MOST ((size_t)64 << 20)
#define PIECES_MOST (1u << 20)
#define PIECE_MOST 1024 /* bytes of one; sentencepiece's own default is 16 characters */
#define PROBES_MOST 512
#define UNKNOWN_PENALTY 10.0f

/* ---- look-up ----------------------------------------------------------------------------------------------------- */

/* FNV's low bits are its weakest. */
static uint64_t mix(uint64_t hash) { return (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9u; }

static bool is_spelt(const clip_pieces *v, uint32_t id, const uint8_t *p, size_t n)
{
    return v->piece[id].n == n && memcmp(v->piece[id].p, p, n) == 0;
}

/* The slot that holds the piece, or the empty one where it belongs; NULL when the chain is too long. */
static uint64_t *find_slot(const clip_pieces *v, uint64_t hash, const uint8_t *p, size_t n)
{
    hash = mix(hash);
    for (uint64_t i = 0; i < PROBES_MOST; i++) {
        uint64_t *slot = &v->slots[(hash + i) & v->mask];
        if (*slot == 0 || (*slot >> 32 == hash >> 32 && is_spelt(v, (uint32_t)*slot - 1, p, n))) return slot;
    }
    return NULL;
}

int32_t clip_pieces_find(const clip_pieces *v, uint64_t hash, const uint8_t *p, size_t n)
{
    const uint64_t *slot = find_slot(v, hash, p, n);
    return slot && *slot ? (int32_t)((uint32_t)*slot - 1) : -1;
}

/* ---- compiling --------------------------------------------------------------------------------------------------- */

clip_status clip_pieces_add(clip_pieces *v, size_t *room, clip_piece piece, const char *name, clip_error *err)
{
    if (v->count == PIECES_MOST) return clip_fail(err, CLIP_E_LIMIT, "%s: more than %u pieces", name, PIECES_MOST);
    if (piece.n == 0 || piece.n > PIECE_MOST)
        return clip_fail(err, CLIP_E_FORMAT, "%s: piece %u has %u bytes; 1 to %d are possible", name, v->count, piece.n, PIECE_MOST);
    if (v->count == *room) {
        *room = *room ? 2 * *room : 4096;
        clip_piece *more = realloc(v->piece, *room * sizeof *more);
        if (!more) return clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory", name);
        v->piece = more;
    }
    v->piece[v->count++] = piece;
    return CLIP_OK;
}

/* "<0x41>" */
static int byte_of(const clip_piece *p)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *high = p->n == 6 && p->p[3] ? strchr(digits, p->p[3]) : NULL, *low = high && p->p[4] ? strchr(digits, p->p[4]) : NULL;
    if (!low || memcmp(p->p, "<0x", 3) || p->p[5] != '>') return -1;
    return (int)(high - digits) * 16 + (int)(low - digits);
}

static clip_status insert(clip_pieces *v, uint32_t id, const char *name, clip_error *err)
{
    const clip_piece *p = &v->piece[id];
    uint64_t hash = CLIP_PIECES_HASH;
    for (uint32_t i = 0; i < p->n; i++) hash = clip_pieces_hash(hash, p->p[i]);
    uint64_t *slot = find_slot(v, hash, p->p, p->n);
    if (!slot) return clip_fail(err, CLIP_E_FORMAT, "%s: the pieces collide as no real ones do", name);
    if (*slot) return clip_fail(err, CLIP_E_FORMAT, "%s: piece \"%.*s\" comes twice", name, (int)p->n, p->p);
    *slot = mix(hash) >> 32 << 32 | (id + 1);
    if (p->n > v->longest) v->longest = p->n;
    if (p->kind == CLIP_PIECE_USER) v->has_user_pieces = true;
    return CLIP_OK;
}

/* What has a place of its own, and the least score, below which an unknown character's lies. */
static void find_special(clip_pieces *v, uint32_t usable)
{
    float least = FLT_MAX;
    v->unknown_id = v->end_id = -1;
    for (int i = 0; i < 256; i++) v->byte_id[i] = -1;
    for (uint32_t id = 0; id < v->count; id++) {
        const clip_piece *p = &v->piece[id];
        int byte = p->kind == CLIP_PIECE_BYTE ? byte_of(p) : -1;
        if (p->kind == CLIP_PIECE_NORMAL && p->score < least) least = p->score;
        if (id >= usable) continue;
        if (byte >= 0) v->byte_id[byte] = (int32_t)id;
        if (p->kind == CLIP_PIECE_UNKNOWN && v->unknown_id < 0) v->unknown_id = (int32_t)id;
        if (p->n == 4 && !memcmp(p->p, "</s>", 4)) v->end_id = (int32_t)id;
    }
    v->unknown_score = least - UNKNOWN_PENALTY;
}

clip_status clip_pieces_finish(clip_pieces *v, int vocab_size, const char *name, clip_error *err)
{
    uint32_t usable = vocab_size > 0 && (uint32_t)vocab_size < v->count ? (uint32_t)vocab_size : v->count;
    uint64_t slots = 256;
    clip_status s = CLIP_OK;
    find_special(v, usable);
    if (v->unknown_id < 0 || v->end_id < 0)
        return clip_fail(err, CLIP_E_FORMAT, "%s: the vocabulary has no piece for the unknown, or no \"</s>\"", name);
    while (slots < 2 * (uint64_t)usable) slots *= 2;
    v->mask = slots - 1;
    if (!(v->slots = calloc(slots, sizeof *v->slots))) return clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory", name);
    for (uint32_t id = 0; id < usable && !s; id++)
        if (v->piece[id].kind == CLIP_PIECE_NORMAL || v->piece[id].kind == CLIP_PIECE_USER) s = insert(v, id, name, err);
    return s;
}

clip_status clip_pieces_set_map(clip_pieces *v, const uint8_t *map, size_t n, const char *name, clip_error *err)
{
    if (n == 0) return CLIP_OK;
    uint64_t size = n < 4 ? n : (uint64_t)map[0] | (uint64_t)map[1] << 8 | (uint64_t)map[2] << 16 | (uint64_t)map[3] << 24;
    if (n < 4 || size > n - 4 || size % 4 || size == 0 || size == n - 4 || map[n - 1])
        return clip_fail(err, CLIP_E_FORMAT, "%s: the normaliser's rules are broken", name);
    v->map = (clip_charsmap){.units = map + 4, .unit_count = size / 4, .strings = map + 4 + size, .string_bytes = n - 4 - size};
    return CLIP_OK;
}

void clip_pieces_close(clip_pieces *v)
{
    if (!v) return;
    free(v->bytes);
    free(v->decoded);
    free(v->piece);
    free(v->slots);
    free(v);
}

/* ---- the protocol buffer ----------------------------------------------------------------------------------------- */

typedef struct field {
    uint32_t number, type;   /* type: 0 and 5 leave `value`, 2 leaves p[0..n) */
    uint64_t value;
    const uint8_t *p;
    size_t n;
} field;

typedef struct message {
    const uint8_t *p, *end;
    bool failed;
} message;

static uint64_t take_varint(message *m)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && m->p < m->end; shift += 7) {
        uint8_t byte = *m->p++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    m->failed = true;
    return 0;
}

static bool take_bytes(message *m, uint64_t n, field *f)
{
    if (n > (uint64_t)(m->end - m->p)) return !(m->failed = true);
    f->p = m->p;
    f->n = (size_t)n;
    m->p += n;
    return true;
}

/* The next field; false at the end or when it is none. */
static bool next_field(message *m, field *f)
{
    if (m->failed || m->p == m->end) return false;
    uint64_t key = take_varint(m);
    if (m->failed || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return !(m->failed = true);
    *f = (field){.number = (uint32_t)(key >> 3), .type = key & 7};
    if (f->type == 0) f->value = take_varint(m);
    else if (f->type == 2) {
        uint64_t n = take_varint(m);
        if (!m->failed) take_bytes(m, n, f);
    } else if (f->type != 1 && f->type != 5) m->failed = true;
    else if (take_bytes(m, f->type == 1 ? 8 : 4, f) && f->type == 5)
        f->value = (uint64_t)f->p[0] | (uint64_t)f->p[1] << 8 | (uint64_t)f->p[2] << 16 | (uint64_t)f->p[3] << 24;
    return !m->failed;
}

static bool read_piece(const field *of, clip_piece *out)
{
    message m = {of->p, of->p + of->n, false};
    field f;
    *out = (clip_piece){.kind = CLIP_PIECE_NORMAL};
    while (next_field(&m, &f)) {
        uint32_t bits = (uint32_t)f.value;
        if (f.number == 1 && f.type == 2) out->p = f.p, out->n = f.n > UINT32_MAX ? UINT32_MAX : (uint32_t)f.n;
        if (f.number == 2 && f.type == 5) memcpy(&out->score, &bits, sizeof bits);
        if (f.number == 3 && f.type == 0) out->kind = f.value >= 1 && f.value <= 6 ? (clip_piece_kind)f.value : CLIP_PIECE_UNUSED;
    }
    return !m.failed && out->score >= -FLT_MAX && out->score <= FLT_MAX;
}

static clip_status read_trainer(clip_pieces *v, const field *of, const char *name, clip_error *err)
{
    message m = {of->p, of->p + of->n, false};
    field f;
    while (next_field(&m, &f)) {
        if (f.type != 0) continue;
        if (f.number == 3 && f.value != 1)
            return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: a sentencepiece model of byte pairs, words or characters; only unigrams, "
                             "which SigLIP has, are supported", name);
        if (f.number == 24 && f.value)
            return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: treat_whitespace_as_suffix is set, which is not supported", name);
        if (f.number == 35) v->byte_fallback = f.value != 0;
    }
    return m.failed ? clip_fail(err, CLIP_E_FORMAT, "%s: trainer_spec is broken", name) : CLIP_OK;
}

static clip_status read_normalizer(clip_pieces *v, const field *of, const char *name, clip_error *err)
{
    message m = {of->p, of->p + of->n, false};
    clip_status s = CLIP_OK;
    field f;
    while (!s && next_field(&m, &f)) {
        if (f.number == 2 && f.type == 2) s = clip_pieces_set_map(v, f.p, f.n, name, err);
        if (f.number == 3 && f.type == 0) v->dummy_prefix = f.value != 0;
        if (f.number == 4 && f.type == 0) v->remove_extra_spaces = f.value != 0;
        if (f.number == 5 && f.type == 0) v->escape_spaces = f.value != 0;
    }
    if (!s && m.failed) s = clip_fail(err, CLIP_E_FORMAT, "%s: normalizer_spec is broken", name);
    return s;
}

static clip_status read_model(clip_pieces *v, size_t n, const char *name, clip_error *err)
{
    message m = {v->bytes, v->bytes + n, false};
    size_t room = 0;
    clip_status s = CLIP_OK;
    field f;
    while (!s && next_field(&m, &f)) {
        clip_piece piece;
        if (f.type != 2) continue;
        if (f.number == 1 && !read_piece(&f, &piece)) s = clip_fail(err, CLIP_E_FORMAT, "%s: piece %u is broken", name, v->count);
        else if (f.number == 1) s = clip_pieces_add(v, &room, piece, name, err);
        else if (f.number == 2) s = read_trainer(v, &f, name, err);
        else if (f.number == 3) s = read_normalizer(v, &f, name, err);
    }
    if (!s && (m.failed || !v->count)) s = clip_fail(err, CLIP_E_FORMAT, "%s: not a sentencepiece model, or cut short", name);
    return s;
}

clip_status clip_pieces_parse(uint8_t *bytes, size_t n, const char *name, int vocab_size, clip_pieces **out, clip_error *err)
{
    clip_pieces *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v) {
        free(bytes);
        return clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory", name);
    }
    *v = (clip_pieces){.bytes = bytes, .dummy_prefix = true, .remove_extra_spaces = true, .escape_spaces = true};
    clip_status s = read_model(v, n, name, err);
    if (!s) s = clip_pieces_finish(v, vocab_size, name, err);
    if (s) clip_pieces_close(v);
    else *out = v;
    return s;
}

/* ---- the folder -------------------------------------------------------------------------------------------------- */

clip_status clip_pieces_open(const char *dir, int vocab_size, clip_pieces **out, clip_error *err)
{
    static const char *const names[] = {"spiece.model", "tokenizer.model", "tokenizer.json"};
    enum { JSON = 2 };
    char path[4096], *bytes;
    int which = 0;
    size_t n;
    *out = NULL;
    do {
        int length = snprintf(path, sizeof path, "%s/%s", dir, names[which]);
        if (length < 0 || (size_t)length >= sizeof path)
            return clip_fail(err, CLIP_E_ARGUMENT, "%.64s...: the path is too long", dir);
    } while (access(path, F_OK) && ++which <= JSON);
    if (which > JSON)
        return clip_fail(err, CLIP_E_IO, "%s: no vocabulary: spiece.model, tokenizer.model or tokenizer.json must lie there", dir);
    clip_status s = clip_whole_file_read(path, FILE_MOST, &bytes, &n, err);
    if (s) return s;
    return which == JSON ? clip_pieces_parse_json((uint8_t *)bytes, n, path, vocab_size, out, err)
                         : clip_pieces_parse((uint8_t *)bytes, n, path, vocab_size, out, err);
}
