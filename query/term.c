/* term.c: how a question is spelled.
 *
 * The spelling is rclip's, because people know it: a number and a colon before a term weigh it, and what begins as a
 * path does is an image. A file name alone ("beach.jpg") is words: nobody should get another answer because a file of
 * that name lies in the current folder. "text:" and "image:" say it outright where the spelling would mislead, and "concept:" names what was learned. */
#include "query/term.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float MOST_WEIGHT = 1000;

/* The length of "WEIGHT:" at s, or 0. Digits with at most one point, perhaps a sign: no exponents, no "inf", no hex. */
static size_t weight_length(const char *s)
{
    size_t n = *s == '-' || *s == '+', digits = 0, points = 0;
    for (; (s[n] >= '0' && s[n] <= '9') || s[n] == '.'; n++) {
        if (s[n] == '.') points++;
        else digits++;
    }
    if (!digits || points > 1 || s[n] != ':') return 0;
    char after = s[n + 1];
    return (after >= '0' && after <= '9') || after == ' ' ? 0 : n + 1;
}

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool looks_like_path(const char *s)
{
    return starts_with(s, "/") || starts_with(s, "./") || starts_with(s, "../") || starts_with(s, "~/");
}

static bool blank(const char *s)
{
    return s[strspn(s, " \t\r\n\v\f")] == 0;
}

const char *query_term_parse(const char *argument, query_term *out)
{
    *out = (query_term){.kind = QUERY_TEXT, .weight = 1, .body = argument};
    size_t n = weight_length(argument);
    if (n) {
        out->weight = strtof(argument, NULL);
        out->body = argument + n;
        if (!(fabsf(out->weight) <= MOST_WEIGHT)) return "its weight is larger than 1000";
        if (out->weight == 0) return "its weight is 0, so it would say nothing";
    }
    if (starts_with(out->body, "text:")) {
        out->body += 5;
    } else if (starts_with(out->body, "image:")) {
        out->body += 6;
        out->kind = QUERY_IMAGE;
    } else if (starts_with(out->body, "concept:")) {
        out->body += 8;
        out->kind = QUERY_CONCEPT;
    } else if (looks_like_path(out->body)) {
        out->kind = QUERY_IMAGE;
    }
    if (out->kind == QUERY_IMAGE ? !*out->body : blank(out->body)) return "it is empty";
    return NULL;
}

static query_term *one_more(query_terms *t)
{
    query_term *items = realloc(t->items, (t->n + 1) * sizeof *items);
    if (!items) return NULL;
    t->items = items;
    return &items[t->n++];
}

const char *query_terms_add(query_terms *t, const char *argument, float sign)
{
    query_term term;
    const char *wrong = query_term_parse(argument, &term);
    if (wrong) return wrong;
    query_term *place = one_more(t);
    if (!place) return "memory ran out";
    term.weight *= sign;
    *place = term;
    return NULL;
}

const char *query_terms_add_concept(query_terms *t, const char *name)
{
    query_term *place = blank(name) ? NULL : one_more(t);
    if (!place) return blank(name) ? "it is empty" : "memory ran out";
    *place = (query_term){.kind = QUERY_CONCEPT, .weight = 1, .body = name};
    return NULL;
}

/* An operand that says of itself what it is: an image, or a term with a weight or a prefix. */
static bool stands_alone(const char *word)
{
    return weight_length(word) || starts_with(word, "text:") || starts_with(word, "image:") || starts_with(word, "concept:") || looks_like_path(word);
}

const char *query_terms_from_words(char *const *words, size_t n, query_terms *out)
{
    size_t room = 1;
    for (size_t i = 0; i < n; i++) room += strlen(words[i]) + 1;
    char *end = out->joined = malloc(room);
    if (!end) return "memory ran out";
    *end = 0;
    for (size_t i = 0; i < n; i++) {
        if (stands_alone(words[i])) {
            const char *wrong = query_terms_add(out, words[i], 1);
            if (wrong) return wrong;
            continue;
        }
        if (end > out->joined) *end++ = ' ';
        end = stpcpy(end, words[i]);
    }
    if (n && end == out->joined && !out->n) return "it is empty";
    if (end == out->joined) return NULL;
    if (blank(out->joined)) return "it is empty";
    query_term *place = one_more(out);
    if (!place) return "memory ran out";
    *place = (query_term){.kind = QUERY_TEXT, .weight = 1, .body = out->joined};
    return NULL;
}

void query_terms_finish(query_terms *t)
{
    free(t->items);
    free(t->joined);
    *t = (query_terms){0};
}
