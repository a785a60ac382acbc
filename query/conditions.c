/* conditions.c: every condition is checked before anything is opened, so that a mistyped date costs nothing and never
 * silently finds nothing. */
#include "query/conditions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The words of --format, with the names that files have; the second list says what the store calls each. */
#define FORMAT_WORDS "jpeg|jpg|png|webp|heic|avif|tiff|tif|gif|raw"
static const char *const formats[] = {"jpeg", "jpeg", "png", "webp", "heic", "avif", "tiff", "tiff", "gif", "raw"};

void query_filter_init(query_filter *f)
{
    *f = (query_filter){.format = -1, .shape = -1};
}

void query_filter_options(query_filter *f, cli_option *rows)
{
    const cli_option table[QUERY_FILTER_OPTIONS] = {
        {"in", 0, CLI_LIST, "DIR", "only photos in this folder or below; may be given again", &f->in},
        {"after", 0, CLI_STRING, "DATE", "only photos taken on this date or later", &f->after},
        {"before", 0, CLI_STRING, "DATE", "only photos taken before this date", &f->before},
        {"camera", 0, CLI_STRING, "NAME", "only photos whose camera's name has this in it", &f->camera},
        {"near", 0, CLI_STRING, "LAT,LON[,KM]", "only photos taken within KM (10) of a place", &f->near},
        {"format", 0, CLI_CHOICE, FORMAT_WORDS, "only photos of this kind of file", &f->format},
        {"orientation", 0, CLI_CHOICE, "portrait|landscape|square", "only photos of this shape", &f->shape},
        {"min-size", 0, CLI_INT, "PIXELS", "only photos whose longer side has this many", &f->min_size},
        {"tag", 0, CLI_LIST, "TAG", "only photos with this tag (see clipsearch tag); again: with all", &f->tags}};
    memcpy(rows, table, sizeof table);
}

/* ---- dates and places ---- */

/* Exactly `digits` digits at *s as a number, or -1. */
static int read_digits(const char **s, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*s)++) {
        if (**s < '0' || **s > '9') return -1;
        value = value * 10 + (**s - '0');
    }
    return value;
}

bool query_date_valid(const char *s)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = read_digits(&s, 4);
    if (year < 1) return false;
    if (!*s) return true;
    if (*s++ != '-') return false;
    int month = read_digits(&s, 2);
    if (month < 1 || month > 12) return false;
    if (!*s) return true;
    if (*s++ != '-') return false;
    int day = read_digits(&s, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return !*s && day >= 1 && day <= days[month - 1] && !(month == 2 && day == 29 && !leap);
}

bool query_near_parse(const char *text, double *latitude, double *longitude, double *km)
{
    double *const values[] = {latitude, longitude, km};
    *km = 10;
    for (int i = 0; i < 3; i++) {
        char *end;
        *values[i] = strtod(text, &end);
        if (end == text || !isfinite(*values[i])) return false;
        text = end + (*end == ',');
        if (!*end) return i >= 1 && fabs(*latitude) <= 90 && fabs(*longitude) <= 180 && *km > 0;
        if (*end != ',') return false;
    }
    return false;
}

/* ---- */

static int make_folders(query_filter *f, const cli_usage *u)
{
    if (!f->in.n) return 0;
    if (!(f->folders = calloc(f->in.n, sizeof *f->folders))) return cli_fail("memory ran out");
    for (size_t i = 0; i < f->in.n; i++)
        if (!*f->in.items[i]) return cli_misuse(u, "--in needs a folder");
        else if (!(f->folders[i] = cli_absolute(f->in.items[i]))) return cli_fail("memory ran out");
    f->filter.under = (const char *const *)f->folders;
    f->filter.n_under = f->in.n;
    return 0;
}

static int misdated(const cli_usage *u, const char *option, const char *text)
{
    return cli_misuse(u, "%s: \"%s\" is no date; write 2023, 2023-07 or 2023-07-14", option, text);
}

int query_filter_make(query_filter *f, const cli_usage *u)
{
    static const int shapes[] = {STORE_PORTRAIT, STORE_LANDSCAPE, STORE_SQUARE};
    store_filter *o = &f->filter;
    *o = (store_filter){.after = f->after, .before = f->before, .camera = f->camera, .min_side = f->min_size};
    if (f->after && !query_date_valid(f->after)) return misdated(u, "--after", f->after);
    if (f->before && !query_date_valid(f->before)) return misdated(u, "--before", f->before);
    if (f->min_size < 0) return cli_misuse(u, "--min-size needs 0 or more pixels, not %d", f->min_size);
    if (f->camera && !*f->camera) return cli_misuse(u, "--camera needs a part of a camera's name");
    if (f->near) {
        if (!query_near_parse(f->near, &o->latitude, &o->longitude, &o->km))
            return cli_misuse(u, "--near: \"%s\" is no place; write LAT,LON or LAT,LON,KM in degrees, as in 52.52,13.41,5",
                              f->near);
        o->near = true;
    }
    if (f->format >= 0) o->format = formats[f->format];
    if (f->shape >= 0) o->shape = shapes[f->shape];
    o->tags = f->tags.items;
    o->n_tags = f->tags.n;
    return make_folders(f, u);
}

void query_filter_finish(query_filter *f)
{
    for (size_t i = 0; f->folders && i < f->in.n; i++) free(f->folders[i]);
    free(f->folders);
    cli_list_finish(&f->in);
    cli_list_finish(&f->tags);
    query_filter_init(f);
}
