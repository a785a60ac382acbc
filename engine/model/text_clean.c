/* text_clean.c: the cleaning that open_clip does before it looks for words.
 *
 * CLIP was trained on text that went through ftfy.fix_text, html.unescape twice, white space collapsed and lower case. A
 * query that is not cleaned the same way gets other tokens, silently: "dog's" with a typographer's apostrophe falls apart
 * differently. So this follows the reference step by step, in its order:
 *
 *     fix_text     line by line, and each line again and again until nothing changes:
 *                    1. character references that end in a semicolon, unless a '<' has been seen: then the text is HTML
 *                    2. repair of text decoded by the wrong encoding                        NOT DONE, see below
 *                    3. C1 controls read as Windows-1252    4. Latin ligatures apart
 *                    5. full and half width forms           6. curly quotes straight
 *                    7. line breaks (CR, CR LF, U+2028 ...) 8. terminal escapes out
 *                    9. control characters out             10. NFC
 *     unescape     HTML 5's own rules, semicolon or not, twice
 *     collapse     runs of white space to one space, none at the ends
 *     lower        Unicode's full mapping with the final sigma
 *
 * SigLIP's canonical form, as open_clip has it, takes ASCII punctuation out before the lower case, _ being a space; Hugging Face's
 * own does nothing of fix_text and unescape, makes a space of U+2581, lower case letter by letter, and takes _ out too.
 *
 * What differs from the reference:
 *   - Step 2 is left out. It is a statistical guess that acts on mojibake only, such as "voilÃ " for "voilà".
 *   - A line is repaired at most CLEAN_PASSES times. The reference has no bound, and "&amp;amp;amp;..." takes one pass a
 *     level: a megabyte of it would take hours.
 *   - Unicode's tables are utf8proc's (15.0 in Debian 12). The reference mixes those of its Python (3.11: 14.0; lower case,
 *     NFC) with those of its `regex` module; characters younger than either are treated differently.
 *   - A reference such as &#99999...; with more than 4300 digits is U+FFFD; Python raises an error.
 *
 * All steps work on arrays of code points and are linear in the text's length; sorting the marks of one letter is too. */
#include "engine/model/text_clean.h"
#include "engine/error.h"
#include "engine/model/html_entities.h"
#include "engine/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define CLEAN_PASSES 32
#define SEGMENT_MAX 1000000 /* ftfy's max_decode_length */

/* ---- arrays of code points --------------------------------------------------------------------------------------- */

void clip_text_init(clip_text *t) {
    t->cp = t->fixed;
    t->n = 0;
    t->room = sizeof t->fixed / sizeof *t->fixed;
}

void clip_text_finish(clip_text *t) {
    if (t->cp != t->fixed) free(t->cp);
    clip_text_init(t);
}

/* Makes room for `more` code points. The text's length is capped by the caller and no step makes it longer than fourfold,
 * so that these sizes cannot overflow. */
static bool reserve(clip_text *t, size_t more) {
    if (more <= t->room - t->n) return true;
    size_t room = t->room;
    while (room - t->n < more) room *= 2;
    uint32_t *p = realloc(t->cp == t->fixed ? NULL : t->cp, room * sizeof *p);
    if (!p) return false;
    if (t->cp == t->fixed) memcpy(p, t->fixed, t->n * sizeof *p);
    t->cp = p;
    t->room = room;
    return true;
}

/* Callers have reserved. */
static inline void put(clip_text *t, uint32_t c) { t->cp[t->n++] = c; }

static bool append(clip_text *t, const uint32_t *cp, size_t n) {
    if (!reserve(t, n)) return false;
    memcpy(t->cp + t->n, cp, n * sizeof *cp);
    t->n += n;
    return true;
}

static void swap(clip_text **a, clip_text **b) {
    clip_text *t = *a;
    *a = *b;
    *b = t;
}

static bool decode(const char *utf8, size_t n, clip_text *out) {
    const uint8_t *p = (const uint8_t *)utf8, *end = p + n;
    if (!reserve(out, n)) return false;
    while (p < end) p += clip_utf8_read(p, end, &out->cp[out->n++]);
    return true;
}

/* ---- character references ---------------------------------------------------------------------------------------- */

/* C1 controls as Windows-1252, which is how browsers read &#146; and how ftfy reads a stray U+0092. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
    0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};

static bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }
static bool is_letter(uint32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

static int hex_value(uint32_t c) {
    if (is_digit(c)) return (int)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)(c - 'a') + 10 : -1;
}

/* What a numeric reference stands for; false: for nothing at all. HTML 5, "numeric character reference end state". */
static bool numeric_value(uint32_t number, uint32_t *value) {
    bool nonchar = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
    bool control = number < 0x20 && number != '\t' && number != '\n' && number != '\f' && number != '\r';
    *value = number;
    if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) *value = CLIP_UTF8_REPLACEMENT;
    else if (number >= 0x80 && number < 0xA0) *value = windows_1252[number - 0x80];
    else if (nonchar || control || number == 0x7F) return false;
    return true;
}

/* Reads the digits of "&#..." from cp[0..n), which follow the '#'. Returns how many code points they take (with the x of
 * hexadecimal), 0 when there is no digit. */
static size_t read_number(const uint32_t *cp, size_t n, uint32_t *number) {
    uint32_t base = n > 0 && (cp[0] | 0x20) == 'x' ? 16 : 10;
    size_t first = base == 16, i = first;
    *number = 0;
    for (; i < n; i++) {
        int digit = base == 16 ? hex_value(cp[i]) : is_digit(cp[i]) ? (int)(cp[i] - '0') : -1;
        if (digit < 0) break;
        if (*number <= 0x10FFFF) *number = *number * base + (uint32_t)digit; /* stays there once it is too large */
    }
    return i == first ? 0 : i;
}

static void put_utf8(clip_text *out, const char *utf8) {
    const uint8_t *p = (const uint8_t *)utf8, *end = p + strlen(utf8);
    for (uint32_t c; p < end; put(out, c)) p += clip_utf8_read(p, end, &c);
}

/* ftfy's rule: cp[0] is '&'; "&name;" or "&#number;" of at most 24 letters and digits. Returns its length when it stood
 * for something that is now in `out`, else 0. */
static size_t strict_reference(const uint32_t *cp, size_t n, clip_text *out) {
    size_t first = n > 1 && cp[1] == '#' ? 2 : 1, i = first;
    char name[25];
    for (; i < n && i - first < 24 && (is_digit(cp[i]) || is_letter(cp[i])); i++) name[i - first] = (char)cp[i];
    if (i == first || i == n || cp[i] != ';') return 0;
    name[i - first] = '\0';
    if (first == 1) {
        clip_entity_kind kind;
        const char *value = clip_html_entity(name, &kind);
        if (!value) return 0;
        put_utf8(out, value);
        return i + 1;
    }
    uint32_t number, value;
    if (read_number(cp + 2, i - 2, &number) != i - 2) return 0;
    if (!numeric_value(number, &value)) return i + 1;
    if (value == ';') return 0; /* as ftfy does */
    put(out, value);
    return i + 1;
}

/* HTML 5's rule for "&name", semicolon or not: the whole name, else the longest beginning that counts without one. The
 * name is up to 32 code points of any script, but those that are known are ASCII. */
static size_t loose_name(const uint32_t *cp, size_t n, clip_text *out) {
    char name[CLIP_ENTITY_NAME_MAX + 1];
    clip_entity_kind kind;
    size_t i = 1;
    for (; i < n && i <= CLIP_ENTITY_NAME_MAX && (is_letter(cp[i]) || is_digit(cp[i])); i++) name[i - 1] = (char)cp[i];
    bool semicolon = i < n && cp[i] == ';';
    for (size_t length = i - 1; length >= 2; length--) {
        name[length] = '\0';
        const char *value = clip_html_entity(name, &kind);
        if (!value || kind == CLIP_ENTITY_CAPITALS) continue;
        bool whole = semicolon && length == i - 1;
        if (kind == CLIP_ENTITY_SEMICOLON && !whole) continue;
        put_utf8(out, value);
        return 1 + length + whole;
    }
    return 0;
}

static size_t loose_reference(const uint32_t *cp, size_t n, clip_text *out) {
    uint32_t number, value;
    if (n < 2 || cp[1] != '#') return loose_name(cp, n, out);
    size_t digits = read_number(cp + 2, n - 2, &number);
    if (digits == 0) return 0;
    if (numeric_value(number, &value)) put(out, value);
    size_t length = 2 + digits;
    return length + (length < n && cp[length] == ';');
}

/* No reference is shorter than what it stands for, so that room for the text is room enough. */
static bool unescape(const clip_text *in, clip_text *out, size_t (*reference)(const uint32_t *, size_t, clip_text *)) {
    out->n = 0;
    if (!reserve(out, in->n)) return false;
    for (size_t i = 0; i < in->n;) {
        size_t taken = in->cp[i] == '&' ? reference(in->cp + i, in->n - i, out) : 0;
        if (taken == 0) put(out, in->cp[i++]);
        i += taken;
    }
    return true;
}

/* ---- single characters ------------------------------------------------------------------------------------------- */

static const struct { uint16_t from; char to[5]; } ligatures[] = {
    {0x0132, "IJ"}, {0x0133, "ij"}, {0x0149, "\xCA\xBCn"}, {0x01C4, "D\xC5\xBD"}, {0x01C5, "D\xC5\xBE"}, {0x01C6, "d\xC5\xBE"},
    {0x01C7, "LJ"}, {0x01C8, "Lj"}, {0x01C9, "lj"}, {0x01CA, "NJ"}, {0x01CB, "Nj"}, {0x01CC, "nj"}, {0x01F1, "DZ"}, {0x01F2, "Dz"},
    {0x01F3, "dz"}, {0xFB00, "ff"}, {0xFB01, "fi"}, {0xFB02, "fl"}, {0xFB03, "ffi"}, {0xFB04, "ffl"}, {0xFB05, "\xC5\xBFt"},
    {0xFB06, "st"}};

static const char *ligature(uint32_t c) {
    if (c < 0x0132 || (c > 0x01F3 && c < 0xFB00) || c > 0xFB06) return NULL;
    for (size_t i = 0; i < sizeof ligatures / sizeof *ligatures; i++)
        if (ligatures[i].from == c) return ligatures[i].to;
    return NULL;
}

static uint32_t straight_quote(uint32_t c) {
    if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) return '\'';
    if (c >= 0x201C && c <= 0x201F) return '"';
    return c;
}

/* Full and half width forms: the compatibility mapping of this one block, and the ideographic space. At most two. */
static void put_width(uint32_t c, clip_text *out) {
    utf8proc_int32_t wide[8];
    int boundary = UTF8PROC_BOUNDCLASS_START;
    if (c == 0x3000) c = ' ';
    if (c < 0xFF01 || c > 0xFFEF) {
        put(out, straight_quote(c));
        return;
    }
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, wide, 8, UTF8PROC_COMPAT | UTF8PROC_COMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; i < n && i < 8; i++) put(out, straight_quote((uint32_t)wide[i]));
}

/* Steps 3 to 7. Each maps one character, none makes a character that an earlier one would map, and so they can go hand in
 * hand. U+0085 never gets as far as the line breaks: step 3 makes it an ellipsis. */
static bool fix_characters(const clip_text *in, clip_text *out) {
    out->n = 0;
    if (!reserve(out, 3 * in->n)) return false;
    for (size_t i = 0; i < in->n; i++) {
        uint32_t c = in->cp[i];
        if (c < 0x80 && c != '\r') {
            put(out, c);
            continue;
        }
        if (c < 0xA0 && c >= 0x80) c = windows_1252[c - 0x80];
        if (c == '\r' && i + 1 < in->n && in->cp[i + 1] == '\n') continue;
        if (c == '\r' || c == 0x2028 || c == 0x2029) c = '\n';
        const char *apart = ligature(c);
        if (!apart) put_width(c, out);
        else if (c == 0x0149) put_utf8(out, "'n"); /* its apostrophe is one of the curly ones */
        else put_utf8(out, apart);
    }
    return true;
}

/* The length of a terminal escape at cp[0], which is ESC: "[", digits of any script and semicolons, one ASCII letter. */
static size_t terminal_escape(const uint32_t *cp, size_t n) {
    size_t i = 2;
    if (n < 3 || cp[1] != '[') return 0;
    while (i < n && (cp[i] == ';' || utf8proc_category((utf8proc_int32_t)cp[i]) == UTF8PROC_CATEGORY_ND)) i++;
    return i < n && is_letter(cp[i]) ? i + 1 : 0;
}

static bool is_control(uint32_t c) {
    return c < 0x09 || c == 0x0B || (c >= 0x0E && c < 0x20) || c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFC);
}

/* Steps 8 and 9, in place. */
static void drop_controls(clip_text *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->n;) {
        size_t escape = t->cp[i] == 0x1B ? terminal_escape(t->cp + i, t->n - i) : 0;
        if (escape == 0 && !is_control(t->cp[i])) t->cp[kept++] = t->cp[i];
        i += escape ? escape : 1;
    }
    t->n = kept;
}

/* ---- NFC --------------------------------------------------------------------------------------------------------- */

static unsigned combining_class(uint32_t c) {
    return c < 0x300 ? 0 : (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* Sorts a letter's marks by combining class, equal ones kept in order. utf8proc's own normaliser swaps neighbours, which
 * takes hours for a megabyte of marks; this counts. `spare` has room for n. */
static void sort_marks(uint32_t *marks, size_t n, uint32_t *spare) {
    size_t place[257] = {0};
    for (size_t i = 0; i < n; i++) place[combining_class(marks[i]) + 1]++;
    for (size_t k = 1; k < 257; k++) place[k] += place[k - 1];
    for (size_t i = 0; i < n; i++) spare[place[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, spare, n * sizeof *marks);
}

static void order_marks(clip_text *t, uint32_t *spare) {
    for (size_t i = 0; i < t->n;) {
        size_t first = i;
        bool sorted = true;
        unsigned last = 0;
        for (unsigned k; i < t->n && (k = combining_class(t->cp[i])) != 0; last = k, i++) sorted = sorted && k >= last;
        if (!sorted) sort_marks(t->cp + first, i - first, spare);
        if (i == first) i++;
    }
}

/* Step 10. Canonical decomposition of one code point has at most four. */
static bool normalize(const clip_text *in, clip_text *out) {
    out->n = 0;
    if (!reserve(out, 8 * in->n + 4)) return false; /* the second half is the sort's */
    for (size_t i = 0; i < in->n; i++) {
        int boundary = UTF8PROC_BOUNDCLASS_START;
        utf8proc_ssize_t n = 1;
        if (in->cp[i] < 0xC0) out->cp[out->n] = in->cp[i];
        else
            n = utf8proc_decompose_char((utf8proc_int32_t)in->cp[i], (utf8proc_int32_t *)out->cp + out->n, 4,
                                        UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundary);
        out->n += n > 0 && n <= 4 ? (size_t)n : 0;
    }
    order_marks(out, out->cp + 4 * in->n + 4);
    utf8proc_ssize_t n = utf8proc_normalize_utf32((utf8proc_int32_t *)out->cp, (utf8proc_ssize_t)out->n,
                                                  UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n >= 0) out->n = (size_t)n;
    return true;
}

/* ---- fix_text ---------------------------------------------------------------------------------------------------- */

/* No step changes plain ASCII without controls, carriage returns and '&'. */
static bool is_plain(const uint32_t *cp, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (cp[i] >= 0x7F || cp[i] == '&' || (cp[i] < 0x20 && cp[i] != '\n' && cp[i] != '\t')) return false;
    return true;
}

static bool is_below(const clip_text *t, uint32_t limit) {
    for (size_t i = 0; i < t->n; i++)
        if (t->cp[i] >= limit) return false;
    return true;
}

/* Repairs *text until it stays as it is; *text, *a and *b may change places. */
static bool fix_segment(clip_text **text, clip_text **a, clip_text **b, bool references) {
    for (int pass = 0; pass < CLEAN_PASSES; pass++) {
        clip_text *now = *text;
        if (references) {
            if (!unescape(now, *a, strict_reference)) return false;
            now = *a;
        }
        if (!fix_characters(now, *b)) return false;
        drop_controls(*b);
        if (is_below(*b, 0x300)) swap(a, b); /* NFC leaves everything below U+0300 alone */
        else if (!normalize(*b, *a)) return false;
        if ((*a)->n == (*text)->n && memcmp((*a)->cp, (*text)->cp, (*a)->n * sizeof *(*a)->cp) == 0) break;
        swap(text, a);
    }
    return true;
}

static bool fix_text(const clip_text *in, clip_text *out) {
    bool references = true, ok = false;
    clip_text one, two, three, *text = &one, *a = &two, *b = &three;
    clip_text_init(&one);
    clip_text_init(&two);
    clip_text_init(&three);
    out->n = 0;
    for (size_t at = 0, n; at < in->n; at += n) {
        const uint32_t *cp = in->cp + at;
        size_t limit = in->n - at < SEGMENT_MAX ? in->n - at : SEGMENT_MAX;
        for (n = 0; n < limit && cp[n] != '\n'; n++) references = references && cp[n] != '<';
        if (n < limit) n++; /* the line break belongs to its line */
        if (is_plain(cp, n)) {
            if (!append(out, cp, n)) goto done;
            continue;
        }
        text->n = 0;
        if (!append(text, cp, n) || !fix_segment(&text, &a, &b, references) || !append(out, text->cp, text->n)) goto done;
    }
    ok = true;
done:
    clip_text_finish(&one);
    clip_text_finish(&two);
    clip_text_finish(&three);
    return ok;
}

/* ---- white space and lower case ---------------------------------------------------------------------------------- */

/* Python's str.isspace(). */
static bool is_space(uint32_t c) {
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static void collapse_space(clip_text *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!is_space(t->cp[i])) t->cp[kept++] = t->cp[i];
        else if (kept > 0 && t->cp[kept - 1] != ' ') t->cp[kept++] = ' ';
    }
    if (kept > 0 && t->cp[kept - 1] == ' ') kept--;
    t->n = kept;
}

/* Unicode's Case_Ignorable: marks, format characters, modifiers, and the punctuation that stands inside words. */
static bool is_case_ignorable(uint32_t c) {
    static const uint16_t inside[] = {0x27, 0x2E, 0x3A, 0xB7, 0x387, 0x55F, 0x5F4, 0x2018, 0x2019, 0x2024, 0x2027, 0xFE13, 0xFE52,
                                      0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_ME: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: break;
    }
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (inside[i] == c) return true;
    return false;
}

/* Unicode's Cased, of what is not Case_Ignorable: the letters with case, and those that Other_Lowercase and
 * Other_Uppercase add: ordinals, Roman numerals, letters in circles and squares. */
static bool is_cased(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: return true;
    default: break;
    }
    return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9) ||
           (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/* Unicode's Final_Sigma: a cased letter before it and none after it, case-ignorable characters between not counted. The
 * next sigma ends the search, so that a text of them is still linear. */
static bool is_final_sigma(const clip_text *t, size_t at) {
    size_t i = at;
    while (i > 0 && is_case_ignorable(t->cp[i - 1])) i--;
    if (i == 0 || !is_cased(t->cp[i - 1])) return false;
    for (i = at + 1; i < t->n && is_case_ignorable(t->cp[i]);) i++;
    return i == t->n || !is_cased(t->cp[i]);
}

static bool lower_case(const clip_text *in, bool final_sigma, clip_text *out) {
    out->n = 0;
    if (!reserve(out, 2 * in->n)) return false;
    for (size_t i = 0; i < in->n; i++) {
        uint32_t c = in->cp[i];
        if (c < 0x80) c += c >= 'A' && c <= 'Z' ? 0x20 : 0;
        else if (c == 0x03A3) c = final_sigma && is_final_sigma(in, i) ? 0x03C2 : 0x03C3;
        else if (c == 0x0130) put(out, 'i'), c = 0x0307; /* the one letter whose lower case is two */
        else c = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
        put(out, c);
    }
    return true;
}

/* ---- SigLIP's canonical form ------------------------------------------------------------------------------------- */

static void replace(clip_text *t, uint32_t from, uint32_t to) {
    for (size_t i = 0; i < t->n; i++)
        if (t->cp[i] == from) t->cp[i] = to;
}

static void drop_punctuation(clip_text *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t c = t->cp[i];
        bool other = c <= ' ' || c >= 0x7F || is_digit(c) || is_letter(c);
        if (other) t->cp[kept++] = c;
    }
    t->n = kept;
}

static bool plain_form(clip_text *in, clip_text *out) {
    replace(in, 0x2581, ' ');
    if (!lower_case(in, false, out)) return false;
    drop_punctuation(out);
    collapse_space(out);
    return true;
}

static bool repair(clip_text *text, clip_text *other) {
    return fix_text(text, other) && unescape(other, text, loose_reference) && unescape(text, other, loose_reference);
}

/* What `rules` make of repaired text. */
static bool shape(clip_text *text, clip_text_rules rules, clip_text *out) {
    if (rules == CLIP_TEXT_CANONICAL) {
        replace(text, '_', ' ');
        drop_punctuation(text);
    }
    if (rules == CLIP_TEXT_CANONICAL || rules == CLIP_TEXT_AS_IT_IS) { /* the lower case of white space is white space */
        out->n = 0;
        if (rules == CLIP_TEXT_AS_IT_IS ? !append(out, text->cp, text->n) : !lower_case(text, true, out)) return false;
        collapse_space(out);
        return true;
    }
    collapse_space(text);
    return lower_case(text, true, out);
}

clip_status clip_text_clean(const char *utf8, size_t n, clip_text_rules rules, clip_text *out, clip_error *err) {
    clip_text other;
    clip_text_init(&other);
    out->n = 0;
    bool ok = decode(utf8, n, rules == CLIP_TEXT_PLAIN ? &other : out);
    if (ok && rules == CLIP_TEXT_PLAIN) ok = plain_form(&other, out);
    else if (ok) ok = repair(out, &other) && shape(&other, rules, out);
    clip_text_finish(&other);
    return ok ? CLIP_OK : clip_fail(err, CLIP_E_MEMORY, "not enough memory to read a text of %zu bytes", n);
}
