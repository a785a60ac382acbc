/* pieces.h: a sentencepiece vocabulary of unigrams, compiled for look-up. Internal to engine/.
 *
 * Ownership  clip_pieces_open and clip_pieces_parse* give, clip_pieces_close takes back (and accepts NULL).
 * Threads    Immutable once open. */
#ifndef CLIP_PIECES_H
#define CLIP_PIECES_H

#include "engine/clip.h"

typedef enum clip_piece_kind {
    CLIP_PIECE_NORMAL = 1, CLIP_PIECE_UNKNOWN, CLIP_PIECE_CONTROL, CLIP_PIECE_USER, CLIP_PIECE_UNUSED, CLIP_PIECE_BYTE
} clip_piece_kind; /* as the file counts them */

typedef struct clip_piece {
    const uint8_t *p;        /* [n] UTF-8, into the file's bytes */
    uint32_t n;
    float score;             /* log probability */
    clip_piece_kind kind;
} clip_piece;

/* A rule of the normaliser is "these bytes become that string": Darts-clone's double array, whose values are places in
 * `strings`, each ended by a NUL. Without rules text stays as it is. */
typedef struct clip_charsmap {
    const uint8_t *units;    /* [unit_count] little-endian 32-bit units, at any alignment */
    size_t unit_count;
    const uint8_t *strings;  /* [string_bytes], the last of which is a NUL */
    size_t string_bytes;
} clip_charsmap;

typedef struct clip_pieces {
    uint8_t *bytes;          /* owned; what all else points into */
    uint8_t *decoded;        /* owned; the charsmap where it was base64 */
    clip_piece *piece;       /* [count], by id */
    uint32_t count;
    uint64_t *slots;         /* [mask + 1] hash's high half | id + 1; 0 empty; open addressing; what text can contain */
    uint64_t mask;
    uint32_t longest;        /* bytes of the longest piece in there */
    int32_t unknown_id, end_id, byte_id[256]; /* byte_id: -1 where there is none */
    float unknown_score;
    bool byte_fallback, dummy_prefix, remove_extra_spaces, escape_spaces, has_user_pieces;
    clip_charsmap map;
} clip_pieces;

/* spiece.model or tokenizer.model in `dir`, else a tokenizer.json with a unigram model. Pieces with ids from vocab_size on are
 * never given: the multilingual file has a hundred more than its models have rows. */
CLIP_MUST_USE clip_status clip_pieces_open(const char *dir, int vocab_size, clip_pieces **out, clip_error *err);
void clip_pieces_close(clip_pieces *v);

/* The same from memory; `bytes` came from malloc and belong to the vocabulary, on failure too. `name` is for messages. */
CLIP_MUST_USE clip_status clip_pieces_parse(uint8_t *bytes, size_t n, const char *name, int vocab_size, clip_pieces **out,
                                            clip_error *err);
CLIP_MUST_USE clip_status clip_pieces_parse_json(uint8_t *bytes, size_t n, const char *name, int vocab_size, clip_pieces **out,
                                                 clip_error *err);

/* Hashes of growing prefixes, and the id of the piece that is spelt p[0..n), or -1. */
#define CLIP_PIECES_HASH 0xCBF29CE484222325u
static inline uint64_t clip_pieces_hash(uint64_t hash, uint8_t byte) { return (hash ^ byte) * 0x100000001B3u; }
int32_t clip_pieces_find(const clip_pieces *v, uint64_t hash, const uint8_t *p, size_t n);

/* For the two readers: each adds its pieces in the order of ids and finishes. */
CLIP_MUST_USE clip_status clip_pieces_add(clip_pieces *v, size_t *room, clip_piece piece, const char *name, clip_error *err);
CLIP_MUST_USE clip_status clip_pieces_finish(clip_pieces *v, int vocab_size, const char *name, clip_error *err);
CLIP_MUST_USE clip_status clip_pieces_set_map(clip_pieces *v, const uint8_t *map, size_t n, const char *name, clip_error *err);

#endif
