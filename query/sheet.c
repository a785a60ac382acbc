/* sheet.c: a contact sheet.
 *
 * One file without scripts and without links to anything but the photos, so that it can be kept, mailed, and opened years
 * later; the pictures are inside as data. Names of files are hostile text: escaped as text, percent-encoded in links, and the
 * page's own policy forbids everything but its style and its data. Light or dark is the reader's choice. */
#include "query/sheet.h"
#include "query/parallel.h"
#include "query/picture_file.h"
#include "query/thumbnail.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

enum { SIDE = 400, QUALITY = 80 };

typedef struct small { char *base64; int width, height; } small;
typedef struct sheet { const query_hits *hits; small *pictures; } sheet;

static const char style[] =
    ":root{color-scheme:light dark;--back:#fafafa;--card:#fff;--line:#ddd;--text:#1a1a1a;--soft:#5f5f5f;--link:#0b57d0}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#141414;--card:#1f1f1f;--line:#333;--text:#eaeaea;--soft:#a3a3a3;--link:#8ab4f8}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;padding:24px;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif}\n"
    "h1{margin:0 0 4px;font-size:22px;font-weight:600;overflow-wrap:anywhere}\n"
    "p{margin:0 0 20px;color:var(--soft)}\n"
    "main{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(240px,100%),1fr))}\n"
    "figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;overflow:hidden;display:flex;flex-direction:column}\n"
    "figure>a{display:block;aspect-ratio:4/3;background:var(--line)}\n"
    "img{width:100%;height:100%;object-fit:contain;display:block}\n"
    ".none{display:flex;height:100%;align-items:center;justify-content:center;color:var(--soft)}\n"
    "figcaption{padding:8px 12px 12px;font-size:13px;color:var(--soft)}\n"
    "figcaption a{display:block;color:var(--link);text-decoration:none;overflow-wrap:anywhere}\n"
    "a:hover,a:focus-visible{text-decoration:underline}\n"
    "b{color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}\n"
    "@media print{body{padding:0}figure{break-inside:avoid}}\n";

void query_sheet_text(FILE *f, const char *text)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    while (*p) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate(p, (utf8proc_ssize_t)strnlen((const char *)p, 4), &cp);
        if (n <= 0 || cp < 32 || (cp >= 127 && cp < 160)) fputs("\xef\xbf\xbd", f);
        else if (cp == '&') fputs("&amp;", f);
        else if (cp == '<') fputs("&lt;", f);
        else if (cp == '>') fputs("&gt;", f);
        else if (cp == '"') fputs("&quot;", f);
        else if (cp == '\'') fputs("&#39;", f);
        else fwrite(p, 1, (size_t)n, f);
        p += n > 0 ? n : 1;
    }
}

void query_sheet_link(FILE *f, const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    fputs("file://", f);
    for (; *path; path++) {
        if (strchr(plain, *path)) putc(*path, f);
        else fprintf(f, "%%%02X", (unsigned char)*path);
    }
}

/* ---- pictures ---- */

/* A photo that cannot be read has no picture on the page. */
static bool make_picture(size_t i, int worker, void *ctx)
{
    sheet *s = ctx;
    clip_picture p;
    clip_error ignored = {0};
    uint8_t *jpeg = NULL;
    size_t n = 0;
    if (query_picture_file(s->hits->items[i].where, SIDE, &p, &ignored) == CLIP_OK && query_thumbnail_encode(&p, QUALITY, &jpeg, &n))
        s->pictures[i] = (small){cli_base64(jpeg, n), p.width, p.height};
    free(jpeg);
    clip_picture_finish(&p);
    return true;
}

/* ---- the page ---- */

static void put_title(FILE *f, const query_term *terms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i) fputs(terms[i].weight < 0 ? " \xe2\x88\x92 " : " + ", f);
        if (fabsf(terms[i].weight) != 1) fprintf(f, "%g \xc3\x97 ", (double)fabsf(terms[i].weight));
        query_sheet_text(f, terms[i].body);
    }
}

static void put_date(FILE *f, const store_photo *p)
{
    char day[32] = "";
    time_t seconds = (time_t)(p->mtime_ns / 1000000000);
    struct tm parts;
    if (p->taken) snprintf(day, sizeof "YYYY-MM-DD HH:MM", "%s", p->taken);
    else if (localtime_r(&seconds, &parts)) strftime(day, sizeof day, "%Y-%m-%d (file)", &parts);
    query_sheet_text(f, day);
}

static void put_hit(FILE *f, const query_hit *h, const small *picture)
{
    const char *slash = strrchr(h->where, '/');
    fputs("<figure><a tabindex=\"-1\" href=\"", f);
    query_sheet_link(f, h->where);
    fputs("\">", f);
    if (picture->base64)
        fprintf(f, "<img alt=\"\" width=\"%d\" height=\"%d\" src=\"data:image/jpeg;base64,%s\">", picture->width, picture->height, picture->base64);
    else fputs("<span class=\"none\">cannot be read</span>", f);
    fprintf(f, "</a><figcaption><b>%.4f</b> \xc2\xb7 ", (double)h->score);
    put_date(f, &h->photo);
    fputs("<a href=\"", f);
    query_sheet_link(f, h->where);
    fputs("\" title=\"", f);
    query_sheet_text(f, h->where);
    fputs("\">", f);
    query_sheet_text(f, slash ? slash + 1 : h->where);
    fputs("</a></figcaption></figure>\n", f);
}

static void put_page(FILE *f, const query_term *terms, size_t n, const sheet *s)
{
    char count[32];
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>", f);
    put_title(f, terms, n);
    fprintf(f, "</title>\n<style>\n%s</style></head>\n<body><h1>", style);
    put_title(f, terms, n);
    fprintf(f, "</h1>\n<p>%s photo%s, found by clipsearch. The number is the cosine between question and photo.</p>\n<main>\n",
            cli_count((int64_t)s->hits->n, count), s->hits->n == 1 ? "" : "s");
    for (size_t i = 0; i < s->hits->n; i++) put_hit(f, &s->hits->items[i], &s->pictures[i]);
    fputs("</main></body></html>\n", f);
}

static int write_file(const char *file, const query_term *terms, size_t n, const sheet *s)
{
    FILE *f = fopen(file, "wb");
    char *name = cli_quote_path(file);
    if (f) put_page(f, terms, n, s);
    bool failed = !f || ferror(f);
    if (f && fclose(f)) failed = true;
    if (failed) cli_fail("cannot write %s: %s", name ? name : file, strerror(errno));
    free(name);
    return failed ? 2 : 0;
}

int query_sheet_write(const cli *c, const char *file, const query_term *terms, size_t n, const query_hits *h)
{
    sheet s = {h, calloc(h->n + 1, sizeof *s.pictures)};
    if (!s.pictures) return cli_fail("memory ran out");
    if (h->n) query_parallel(query_threads(c->threads, h->n), h->n, make_picture, &s, NULL, NULL);
    int status = write_file(file, terms, n, &s);
    for (size_t i = 0; i < h->n; i++) free(s.pictures[i].base64);
    free(s.pictures);
    return status;
}
