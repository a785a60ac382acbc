/* fuzz_query.c: everything that is typed as part of a question: terms, joined words, dates, places. One input is a list of
 * arguments, parted by new lines. */
#include "query/conditions.h"
#include "query/term.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_one(const char *argument)
{
    double latitude, longitude, km;
    query_term t;
    if (!query_term_parse(argument, &t) && (!*t.body || t.weight == 0)) abort();
    if (query_near_parse(argument, &latitude, &longitude, &km) && !(km > 0)) abort();
    query_date_valid(argument);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 64 };
    char *text = malloc(size + 1), *words[MOST];
    size_t n = 0;
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (char *p = text; p && n < MOST;) {
        words[n++] = p;
        p = strchr(p, '\n');
        if (p) *p++ = 0;
    }
    query_terms terms = {0};
    if (!query_terms_from_words(words, n, &terms) && !terms.n) abort();
    for (size_t i = 0; i < n; i++) {
        query_terms_add(&terms, words[i], -1);
        try_one(words[i]);
    }
    query_terms_finish(&terms);
    free(text);
    return 0;
}
