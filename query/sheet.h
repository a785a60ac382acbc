/* sheet.h: the results as one page to look at. */
#ifndef QUERY_SHEET_H
#define QUERY_SHEET_H

#include "query/rank.h"
#include "query/term.h"

/* Writes one HTML file that needs nothing else: a small picture, score, date and link for each hit, in their order. Reports
 * what goes wrong: 0 or 2. */
int query_sheet_write(const cli *c, const char *file, const query_term *terms, size_t n, const query_hits *h);

/* ---- apart so that they can be tested ---- */

/* Text for HTML: & < > " ' as entities; what is not UTF-8, and control characters, as U+FFFD. */
void query_sheet_text(FILE *f, const char *text);
/* file:// and the path, every byte but letters, digits and -._~/ as %XX (RFC 3986, RFC 8089). */
void query_sheet_link(FILE *f, const char *path);

#endif
