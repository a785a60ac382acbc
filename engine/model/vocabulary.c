/* vocabulary.c: vocab.json and merges.txt (or tokenizer.json) compiled into tables of ids.
 *
 *     vocab.json        {"TOKEN": ID, ...}   256 bytes, the same 256 with "</w>", one token a merge, start, end
 *     merges.txt        "#version: 0.2", then one merge a line, "LEFT RIGHT", the earliest first
 *     tokenizer.json    the same two as .model.vocab and .model.merges, a merge being "LEFT RIGHT" or ["LEFT", "RIGHT"]
 *
 * A token is spelt with one printable character for each byte (GPT-2's table: a byte that is printable in Latin-1 is
 * itself, the others follow from U+0100 on).
 *
 * Merging needs no spelling, only ids: what a byte is, and what two neighbours become. So the spellings live only while
 * the files are read, as hashes: each look-up compares 43 bits of XXH3 beside the slot that the other bits chose. Two
 * honest tokens never agree in those; in a dishonest file they could, which would be refused as a repeated token or would
 * give it merges that it might as well have written down.
 *
 * Time from the closed files to the finished tables, one core of a busy Zen 4, best of 100: 49,408 tokens 3.2 ms, 16,384
 * tokens 0.9 ms; jansson alone takes 16 ms for the first vocab.json. On the way: the first version 5.2; look-ups in batches,
 * so that the next ones' memory is on its way, 4.9; scratch memory in huge pages, 3.2.
 *
 * Hostile files: sizes are capped before memory is taken, every id and every name is checked, and a chain of colliding
 * hashes longer than PROBES_MAX is refused, so that the time stays linear. */
#include "engine/model/vocabulary.h"
#include "engine/error.h"
#include "engine/model/json_scan.h"
#include "engine/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define FILE_MAX ((off_t)64 << 20)
#define TOKEN_MAX 512   /* bytes of a spelling; CLIP's longest has 30 */
#define PROBES_MAX 512  /* a table half full of honest hashes needs fewer than 50 */
#define ID_BITS 21

#define BATCH 32        /* look-ups under way at once; see below */

typedef clip_json_string spelling;

typedef struct token {
    spelling s;
    uint64_t hash;
    int32_t id;
} token;

typedef struct merge {
    spelling left, right;
    uint64_t left_hash, right_hash, pair;
} merge;

typedef struct builder {
    clip_vocabulary *v;
    clip_error *err;
    const char *json_name, *merges_name;
    int vocab_size;
    uint64_t *slots;    /* [mask + 1] high bits of the spelling's hash | id + 1; 0 empty */
    uint64_t mask;
    uint64_t *hashes;   /* [vocab_size] the spelling's hash by id; 0: there is no such token */
    size_t merges_room;
    size_t waiting;     /* how many of the batch are filled */
    union { token tokens[BATCH]; merge merges[BATCH]; };
} builder;

/* ---- memory for a few milliseconds ------------------------------------------------------------------------------- */

/* Zeroed. In huge pages where the system has them: 800 page faults would take a third of the whole time. */
static void *scratch(size_t n) {
    const size_t huge = (size_t)2 << 20;
    if (n < huge / 4) return calloc(n, 1);
    size_t room = (n + huge - 1) / huge * huge;
    void *p = aligned_alloc(huge, room);
#ifdef MADV_HUGEPAGE
    if (p) madvise(p, room, MADV_HUGEPAGE);
#endif
    return p ? memset(p, 0, n) : NULL;
}

/* ---- spelling to id, while the files are read -------------------------------------------------------------------- */

/* Nearly all spellings have at most 16 bytes. Reading all 16 and masking what is not theirs takes no branch on the length,
 * which is as good as random and would cost more than all the rest. XXH3 for the others. Never 0. */
static uint64_t hash_spelling(const uint8_t *p, size_t n) {
    if (n > 16) return XXH3_64bits(p, n);
    uint64_t low, high;
    memcpy(&low, p, 8);
    memcpy(&high, p + 8, 8);
    low &= n >= 8 ? UINT64_MAX : ((uint64_t)1 << 8 * n) - 1;
    high &= n <= 8 ? 0 : UINT64_MAX >> 8 * (16 - n);
    unsigned __int128 product = (unsigned __int128)(low ^ 0x9E3779B97F4A7C15u ^ n) * (high ^ 0xD6E8FEB86659FD93u);
    uint64_t hash = ((uint64_t)product ^ (uint64_t)(product >> 64)) * 0xBF58476D1CE4E5B9u;
    return hash ? hash : 1;
}

/* The slot that holds the hash, or the empty one where it belongs; NULL when the chain is too long. */
static uint64_t *find_slot(const builder *b, uint64_t hash) {
    for (uint64_t i = 0; i < PROBES_MAX; i++) {
        uint64_t *slot = &b->slots[(hash + i) & b->mask];
        if (*slot == 0 || *slot >> ID_BITS == hash >> ID_BITS) return slot;
    }
    return NULL;
}

static int32_t id_of_hash(const builder *b, uint64_t hash) {
    const uint64_t *slot = find_slot(b, hash);
    return slot && *slot ? (int32_t)(*slot & ((1u << ID_BITS) - 1)) - 1 : -1;
}

static int32_t id_of(const builder *b, const uint8_t *p, size_t n) { return id_of_hash(b, hash_spelling(p, n)); }

static void prefetch_slot(const builder *b, uint64_t hash) { __builtin_prefetch(&b->slots[hash & b->mask]); }

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static clip_status not_json(builder *b, const char *name) {
    return clip_fail(b->err, CLIP_E_FORMAT, "%s: not a vocabulary in JSON, or cut short", name);
}

static clip_status add_token(builder *b, const token *t) {
    int n = (int)t->s.n;
    if (t->s.n == 0 || t->s.n > TOKEN_MAX)
        return clip_fail(b->err, CLIP_E_FORMAT, "%s: a token of %zu bytes (id %d); 1 to %d are possible", b->json_name, t->s.n,
                         t->id, TOKEN_MAX);
    if (t->id >= b->vocab_size)
        return clip_fail(b->err, CLIP_E_FORMAT, "%s: token \"%.*s\" has id %d, but the model has %d tokens; the files do not "
                         "belong together", b->json_name, n, t->s.p, t->id, b->vocab_size);
    if (b->hashes[t->id])
        return clip_fail(b->err, CLIP_E_FORMAT, "%s: two tokens have id %d, one of them \"%.*s\"", b->json_name, t->id, n, t->s.p);
    uint64_t *slot = find_slot(b, t->hash);
    if (!slot) return clip_fail(b->err, CLIP_E_FORMAT, "%s: the tokens collide as no real ones do", b->json_name);
    if (*slot) return clip_fail(b->err, CLIP_E_FORMAT, "%s: token \"%.*s\" comes twice", b->json_name, n, t->s.p);
    *slot = t->hash >> ID_BITS << ID_BITS | (uint64_t)(t->id + 1);
    b->hashes[t->id] = t->hash;
    return CLIP_OK;
}

static clip_status add_tokens(builder *b) {
    clip_status s = CLIP_OK;
    for (size_t i = 0; !s && i < b->waiting; i++) s = add_token(b, &b->tokens[i]);
    b->waiting = 0;
    return s;
}

static clip_status read_vocab(builder *b, clip_json *j) {
    bool first = true;
    clip_status s = CLIP_OK;
    if (!clip_json_take(j, '{')) return not_json(b, b->json_name);
    while (!s && clip_json_more(j, '}', &first)) {
        token *t = &b->tokens[b->waiting++];
        if (!clip_json_take_string(j, &t->s) || !clip_json_take(j, ':') || !clip_json_take_int(j, &t->id))
            return not_json(b, b->json_name);
        t->hash = hash_spelling(t->s.p, t->s.n);
        prefetch_slot(b, t->hash);
        if (b->waiting == BATCH) s = add_tokens(b);
    }
    if (!s && j->failed) s = not_json(b, b->json_name);
    return s ? s : add_tokens(b);
}

/* The printable character that spells a byte. */
static uint32_t byte_character(int byte) {
    if ((byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD)) return (uint32_t)byte;
    if (byte <= 0x20) return 0x100 + (uint32_t)byte;
    return byte == 0xAD ? 0x143 : 0x121 + (uint32_t)(byte - 0x7F);
}

static clip_status find_bytes(builder *b) {
    for (int byte = 0; byte < 256; byte++) {
        uint8_t s[8 + CLIP_VOCABULARY_SLACK];
        size_t n = clip_utf8_write(byte_character(byte), s);
        memcpy(s + n, "</w>", 4);
        b->v->inner[byte] = id_of(b, s, n);
        b->v->final[byte] = id_of(b, s, n + 4);
        bool inner = b->v->inner[byte] >= 0;
        if (!inner || b->v->final[byte] < 0)
            return clip_fail(b->err, CLIP_E_FORMAT, "%s: there is no token \"%.*s\" for the byte 0x%02X; this is not a vocabulary "
                             "in CLIP's form", b->json_name, (int)(inner ? n + 4 : n), s, (unsigned)byte);
    }
    return CLIP_OK;
}

/* OpenAI's and Hugging Face's name of a special token, or open_clip's. */
static clip_status find_special(builder *b, const char *name, const char *other, int32_t *id) {
    uint8_t s[CLIP_VOCABULARY_SLACK + 16] = {0};
    *id = id_of(b, memcpy(s, name, strlen(name)), strlen(name));
    if (*id < 0) *id = id_of(b, memcpy(s, other, strlen(other)), strlen(other));
    if (*id >= 0) return CLIP_OK;
    return clip_fail(b->err, CLIP_E_FORMAT, "%s: there is no token \"%s\"", b->json_name, name);
}

static clip_status find_fixed(builder *b) {
    clip_status s = find_bytes(b);
    if (!s) s = find_special(b, "<|startoftext|>", "<start_of_text>", &b->v->start_id);
    if (!s) s = find_special(b, "<|endoftext|>", "<end_of_text>", &b->v->end_id);
    return s;
}

/* ---- pairs to ranks ---------------------------------------------------------------------------------------------- */

/* Three quarters full at most, so that CLIP's 49,408 tokens and 48,894 merges take half a megabyte each and not one. */
static uint64_t slots_for(size_t n) {
    uint64_t slots = 16;
    while (slots < n + n / 3) slots *= 2;
    return slots;
}

static uint64_t pair_key(int32_t left, int32_t right) { return (uint64_t)left << 44 | (uint64_t)right << 24; }

static uint64_t hash_pair(uint64_t pair) {
    pair = (pair >> 24) * 0x9E3779B97F4A7C15u;
    return (pair ^ pair >> 29) * 0xBF58476D1CE4E5B9u >> 32;
}

uint32_t clip_vocabulary_rank(const clip_vocabulary *v, int32_t left, int32_t right) {
    uint64_t key = pair_key(left, right), hash = hash_pair(key);
    for (uint64_t i = 0; i < PROBES_MAX; i++) {
        uint64_t slot = v->pairs[(hash + i) & v->pair_mask];
        if (slot == 0) break;
        if ((slot ^ key) >> 24 == 0) return (uint32_t)(slot & 0xFFFFFF) - 1;
    }
    return CLIP_NO_RANK;
}

static clip_status add_pair(builder *b, uint64_t pair) {
    uint64_t hash = hash_pair(pair);
    for (uint64_t i = 0; i < PROBES_MAX; i++) {
        uint64_t *slot = &b->v->pairs[(hash + i) & b->v->pair_mask];
        if (*slot && (*slot ^ pair) >> 24 == 0)
            return clip_fail(b->err, CLIP_E_FORMAT, "%s: merge %u repeats merge %u", b->merges_name, (unsigned)(pair & 0xFFFFFF),
                             (unsigned)(*slot & 0xFFFFFF));
        if (*slot) continue;
        *slot = pair;
        return CLIP_OK;
    }
    return clip_fail(b->err, CLIP_E_FORMAT, "%s: the merges collide as no real ones do", b->merges_name);
}

/* ---- merges ------------------------------------------------------------------------------------------------------ */

/* Tables for at most `most` merges. */
static clip_status make_merges_room(builder *b, size_t most) {
    clip_vocabulary *v = b->v;
    b->merges_room = most < CLIP_VOCABULARY_MAX ? most : CLIP_VOCABULARY_MAX;
    v->pair_mask = slots_for(b->merges_room) - 1;
    v->whole = malloc((b->merges_room + 1) * sizeof *v->whole);
    v->pairs = calloc(v->pair_mask + 1, sizeof *v->pairs);
    return v->whole && v->pairs ? CLIP_OK : clip_fail(b->err, CLIP_E_MEMORY, "%s: not enough memory", b->merges_name);
}

/* Most often the token that the previous merge's token is followed by: then its hash lies at hand. */
static int32_t id_of_whole(const builder *b, spelling left, spelling right) {
    uint8_t bytes[2 * TOKEN_MAX + CLIP_VOCABULARY_SLACK];
    bool few = left.n <= 16 && right.n <= 16; /* a copy of fixed length is one instruction */
    memcpy(bytes, left.p, few ? 16 : left.n);
    memcpy(bytes + left.n, right.p, few ? 16 : right.n);
    uint64_t hash = hash_spelling(bytes, left.n + right.n);
    uint32_t rank = b->v->merge_count;
    int32_t next = rank > 0 ? b->v->whole[rank - 1] + 1 : 0;
    return next < b->vocab_size && b->hashes[next] == hash ? next : id_of_hash(b, hash);
}

static clip_status resolve_merge(builder *b, merge *m) {
    unsigned number = b->v->merge_count + 1;
    if (number > b->merges_room)
        return clip_fail(b->err, CLIP_E_LIMIT, "%s: more than %d merges", b->merges_name, CLIP_VOCABULARY_MAX);
    int32_t left = id_of_hash(b, m->left_hash), right = id_of_hash(b, m->right_hash), whole = id_of_whole(b, m->left, m->right);
    if (left < 0 || right < 0 || whole < 0)
        return clip_fail(b->err, CLIP_E_FORMAT, "%s: merge %u, \"%.*s %.*s\", names a token that the vocabulary does not have",
                         b->merges_name, number, (int)m->left.n, m->left.p, (int)m->right.n, m->right.p);
    b->v->whole[b->v->merge_count++] = whole;
    m->pair = pair_key(left, right) | number;
    __builtin_prefetch(&b->v->pairs[hash_pair(m->pair) & b->v->pair_mask]);
    return CLIP_OK;
}

static clip_status add_merges(builder *b) {
    clip_status s = CLIP_OK;
    for (size_t i = 0; !s && i < b->waiting; i++) s = resolve_merge(b, &b->merges[i]);
    for (size_t i = 0; !s && i < b->waiting; i++) s = add_pair(b, b->merges[i].pair);
    b->waiting = 0;
    return s;
}

static clip_status queue_merge(builder *b, spelling left, spelling right) {
    if (left.n == 0 || right.n == 0 || left.n > TOKEN_MAX || right.n > TOKEN_MAX)
        return clip_fail(b->err, CLIP_E_FORMAT, "%s: merge %zu is not of the form LEFT RIGHT", b->merges_name,
                         b->v->merge_count + b->waiting + 1);
    merge *m = &b->merges[b->waiting++];
    *m = (merge){left, right, hash_spelling(left.p, left.n), hash_spelling(right.p, right.n), 0};
    prefetch_slot(b, m->left_hash);
    prefetch_slot(b, m->right_hash);
    return b->waiting == BATCH ? add_merges(b) : CLIP_OK;
}

/* "LEFT RIGHT"; two parts of no length when there is no space, which queue_merge refuses. */
static void split_pair(const uint8_t *p, size_t n, spelling *left, spelling *right) {
    const uint8_t *space = memchr(p, ' ', n), *end = p + n;
    *left = *right = (spelling){p, 0};
    if (!space) return;
    *left = (spelling){p, (size_t)(space - p)};
    *right = (spelling){space + 1, (size_t)(end - space - 1)};
}

static clip_status read_merges_txt(builder *b, const uint8_t *p, size_t n) {
    const uint8_t *end = p + n, *next;
    spelling left, right;
    size_t lines = 1;
    for (const uint8_t *q = p; (q = memchr(q, '\n', (size_t)(end - q))); q++) lines++;
    clip_status s = make_merges_room(b, lines);
    for (bool first = true; !s && p < end; p = next, first = false) {
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
        next = stop ? stop + 1 : end;
        if (!stop) stop = end;
        if (stop > p && stop[-1] == '\r') stop--;
        if (stop == p || (first && stop - p >= 8 && memcmp(p, "#version", 8) == 0)) continue;
        split_pair(p, (size_t)(stop - p), &left, &right);
        s = queue_merge(b, left, right);
    }
    return s ? s : add_merges(b);
}

static bool take_pair(clip_json *j, spelling *left, spelling *right) {
    if (clip_json_peek(j) == '[')
        return clip_json_take(j, '[') && clip_json_take_string(j, left) && clip_json_take(j, ',') &&
               clip_json_take_string(j, right) && clip_json_take(j, ']');
    if (!clip_json_take_string(j, left)) return false;
    split_pair(left->p, left->n, left, right);
    return true;
}

static clip_status read_merges_json(builder *b, clip_json *j) {
    bool first = true;
    spelling left, right;
    clip_json ahead = *j;
    size_t most = 0;
    for (clip_json_take(&ahead, '['); clip_json_more(&ahead, ']', &first); most++) clip_json_skip(&ahead);
    clip_status s = make_merges_room(b, most);
    first = true;
    if (!s && !clip_json_take(j, '[')) s = not_json(b, b->merges_name);
    while (!s && clip_json_more(j, ']', &first))
        s = take_pair(j, &left, &right) ? queue_merge(b, left, right) : not_json(b, b->merges_name);
    if (!s && j->failed) s = not_json(b, b->merges_name);
    return s ? s : add_merges(b);
}

/* ---- tokenizer.json ---------------------------------------------------------------------------------------------- */

static bool is_word(spelling s, const char *word) { return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0; }

/* Where the two lie in the file, in whatever order; they are read afterwards. */
static bool find_parts(clip_json *j, clip_json *vocab, clip_json *merges, bool inside_model) {
    bool first = true;
    spelling key;
    if (!clip_json_take(j, '{')) return false;
    while (clip_json_more(j, '}', &first)) {
        if (!clip_json_take_string(j, &key) || !clip_json_take(j, ':')) return false;
        if (!inside_model && is_word(key, "model")) {
            if (!find_parts(j, vocab, merges, true)) return false;
            continue;
        }
        if (inside_model && is_word(key, "vocab")) *vocab = *j;
        if (inside_model && is_word(key, "merges")) *merges = *j;
        if (!clip_json_skip(j)) return false;
    }
    return !j->failed;
}

static clip_status read_tokenizer_json(builder *b, clip_json *j) {
    clip_json vocab = {0}, merges = {0};
    if (!find_parts(j, &vocab, &merges, false)) return not_json(b, b->json_name);
    if (!vocab.p || !merges.p)
        return clip_fail(b->err, CLIP_E_UNSUPPORTED, "%s: no model.vocab and model.merges; only byte-pair vocabularies in CLIP's "
                         "form can be read", b->json_name);
    clip_status s = read_vocab(b, &vocab);
    if (!s) s = find_fixed(b);
    return s ? s : read_merges_json(b, &merges);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

clip_status clip_vocabulary_parse(uint8_t *json, size_t json_bytes, const char *json_name, const uint8_t *merges,
                                  size_t merges_bytes, const char *merges_name, int vocab_size, clip_vocabulary *v,
                                  clip_error *err) {
    memset(v, 0, sizeof *v);
    if (vocab_size < 1 || vocab_size > CLIP_VOCABULARY_MAX)
        return clip_fail(err, CLIP_E_LIMIT, "%s: a model with %d tokens; 1 to %d are possible", json_name, vocab_size,
                         CLIP_VOCABULARY_MAX);
    builder b = {.v = v, .err = err, .json_name = json_name, .merges_name = merges_name, .vocab_size = vocab_size};
    clip_json j = {json, json + json_bytes, false};
    size_t slots = (size_t)slots_for((size_t)vocab_size);
    b.mask = slots - 1;
    b.slots = scratch((slots + (size_t)vocab_size) * sizeof *b.slots);
    b.hashes = b.slots ? b.slots + slots : NULL;
    clip_status s = b.slots ? CLIP_OK : clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory", json_name);
    if (!s && !merges) s = read_tokenizer_json(&b, &j);
    else if (!s) {
        s = read_vocab(&b, &j);
        if (!s) s = find_fixed(&b);
        if (!s) s = read_merges_txt(&b, merges, merges_bytes);
    }
    free(b.slots);
    if (s) clip_vocabulary_finish(v);
    return s;
}

void clip_vocabulary_finish(clip_vocabulary *v) {
    free(v->whole);
    free(v->pairs);
    memset(v, 0, sizeof *v);
}

typedef struct input {
    const char *path;
    int fd;
    size_t n;
    uint8_t *bytes;
} input;

/* O_NONBLOCK: a pipe of that name must not hold us up. */
static clip_status open_input(input *in, const char *path, clip_error *err) {
    struct stat st;
    in->path = path;
    in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in->fd < 0 || fstat(in->fd, &st)) return clip_fail(err, CLIP_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: not a regular file", path);
    if (st.st_size > FILE_MAX) return clip_fail(err, CLIP_E_LIMIT, "%s: larger than %d MiB", path, (int)(FILE_MAX >> 20));
    in->n = (size_t)st.st_size;
    return CLIP_OK;
}

/* Read, not mapped: a mapped file that shrinks would kill us, and strings are decoded in place. */
static clip_status read_input(input *in, uint8_t *room, clip_error *err) {
    size_t got = 0;
    in->bytes = room;
    while (got < in->n) {
        ssize_t n = read(in->fd, room + got, in->n - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return clip_fail(err, CLIP_E_IO, "%s: %s", in->path, strerror(errno));
        if (n == 0) break;
        got += (size_t)n;
    }
    in->n = got;
    return CLIP_OK;
}

static bool join(char *path, size_t room, const char *dir, const char *name) {
    int n = snprintf(path, room, "%s/%s", dir, name);
    return n > 0 && (size_t)n < room;
}

clip_status clip_vocabulary_open(const char *dir, int vocab_size, clip_vocabulary *v, clip_error *err) {
    char vocab[4096], merges[4096], single[4096];
    input json = {.fd = -1}, text = {.fd = -1};
    memset(v, 0, sizeof *v);
    if (!join(vocab, sizeof vocab, dir, "vocab.json") || !join(merges, sizeof merges, dir, "merges.txt") ||
        !join(single, sizeof single, dir, "tokenizer.json"))
        return clip_fail(err, CLIP_E_ARGUMENT, "%.64s...: the path is too long", dir);
    bool two = access(vocab, F_OK) == 0 && access(merges, F_OK) == 0;
    if (!two && access(single, F_OK))
        return clip_fail(err, CLIP_E_IO, "%s: no vocabulary: vocab.json and merges.txt, or tokenizer.json, must lie there", dir);
    uint8_t *room = NULL;
    clip_status s = open_input(&json, two ? vocab : single, err);
    if (!s && two) s = open_input(&text, merges, err);
    size_t second = json.n + CLIP_VOCABULARY_SLACK;
    if (!s && !(room = scratch(second + text.n + CLIP_VOCABULARY_SLACK)))
        s = clip_fail(err, CLIP_E_MEMORY, "%s: not enough memory", json.path);
    if (!s) s = read_input(&json, room, err);
    if (!s && two) s = read_input(&text, room + second, err);
    if (!s) s = clip_vocabulary_parse(json.bytes, json.n, json.path, text.bytes, text.n, two ? merges : single, vocab_size, v, err);
    if (json.fd >= 0) close(json.fd);
    if (text.fd >= 0) close(text.fd);
    free(room);
    return s;
}
