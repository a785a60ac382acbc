/* command_duplicates.c: `clipsearch duplicates`: shows copies, never touches them. */
#include "query/conditions.h"
#include "query/duplicates.h"
#include "query/explain.h"
#include "query/print.h"
#include "query/query.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of 128 copies at a half to a quarter of the size or at JPEG quality 30, the bundled model puts 126 above this, 109 above
 * 0.95, all above 0.8. What else lies above is told by the pixels, at the price of decoding it. */
#define THRESHOLD 0.9

static const cli_usage usage = {
    .command = "duplicates",
    .summary = "Find photos that are copies of each other.",
    .details =
        "Copies are photos with the same bytes, and photos that show the same picture in another size, quality or "
        "format. Whatever else resembles, such as the next frame of a series, is not a copy: photos that are near in "
        "meaning (--threshold) are compared by their pixels too. Their files must be there for that.\n"
        "\n"
        "Each group is shown with its best copy first: the one with the most pixels, then the most bytes, then the "
        "oldest. A line is what the photo is (best; exact: the same bytes as the best; near: the same picture), a tab, "
        "its size in pixels, a tab, in bytes, a tab, its path; an empty line ends a group. With --paths or -0 a line is "
        "the path alone, and an empty one ends a group. --copies leaves out the best of each group, and the empty lines. "
        "Nothing is ever deleted.\n"
        "\n"
        "--json prints one object a group, {\"photos\": [...]}: each photo with \"copy\" (best, exact, near), \"score\" (its "
        "cosine with the best), \"distance\" (0 to 64: how many signs of the pixels' frequencies differ; null where only "
        "bytes were compared), and the fields of `search --json`.\n"
        "\n"
        QUERY_CONDITIONS_HELP,
    .examples = "clipsearch duplicates\n"
                "clipsearch duplicates --in ~/Pictures/2023 --json | jq -r '.photos[].path'\n"
                "clipsearch duplicates --copies -0 | xargs -0 trash-put",
    .exits = "0  duplicates were found\n"
             "1  there are none\n"
             "2  an error, which stderr explains\n",
};

static const char *const words[] = {"", "best", "exact", "near"};

/* By group; the best first, the others by path. */
static int in_order(const void *x, const void *y, void *ctx)
{
    const query_copy_photo *copies = ctx, *a = &copies[*(const size_t *)x], *b = &copies[*(const size_t *)y];
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if ((a->kind == QUERY_COPY_BEST) != (b->kind == QUERY_COPY_BEST)) return a->kind == QUERY_COPY_BEST ? -1 : 1;
    return strcmp(a->path, b->path);
}

static json_t *photo_json(const query_duplicates *d, size_t place, size_t best)
{
    const query_copy_photo *p = &d->copies[place], *b = &d->copies[best];
    bool looked = p->look && b->look;
    json_t *o = json_object();
    json_object_set_new(o, "copy", json_string(words[p->kind]));
    json_object_set_new(o, "score", json_real(round((double)d->photos.items[place].score * 1e6) / 1e6));
    json_object_set_new(o, "distance", looked ? json_integer(query_pixels_distance(p->look, b->look)) : json_null());
    query_json_photo(o, &d->photos.items[place].photo, p->path);
    return o;
}

static void print_line(const query_duplicates *d, size_t place, const query_style *style)
{
    const query_copy_photo *p = &d->copies[place];
    const store_photo *photo = &d->photos.items[place].photo;
    if (!style->paths && !style->zero)
        printf("%s\t%dx%d\t%lld\t", words[p->kind], photo->width, photo->height, (long long)photo->size);
    query_print_path(stdout, p->path, style);
}

static void print_group(const query_duplicates *d, const size_t *places, size_t n, const query_style *style, bool copies_only)
{
    json_t *list = style->json ? json_array() : NULL;
    for (size_t i = 0; i < n; i++) {
        if (copies_only && i == 0) continue;
        if (list) json_array_append_new(list, photo_json(d, places[i], places[0]));
        else print_line(d, places[i], style);
    }
    if (list) cli_print_json(stdout, json_pack("{s:o}", "photos", list));
    else if (!copies_only) putc(style->zero ? 0 : '\n', stdout);
}

static int print_groups(query_duplicates *d, const query_style *style, bool copies_only)
{
    size_t n = 0;
    size_t *places = malloc((d->photos.n + 1) * sizeof *places);
    if (!places) return cli_fail("memory ran out");
    for (size_t i = 0; i < d->photos.n; i++)
        if (d->copies[i].kind != QUERY_COPY_NONE) places[n++] = i;
    qsort_r(places, n, sizeof *places, in_order, d->copies);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && d->copies[places[to]].group == d->copies[places[from]].group;) to++;
        print_group(d, places + from, to - from, style, copies_only);
    }
    free(places);
    return 0;
}

static void say_sum(cli *c, const query_duplicates *d)
{
    char groups[32], copies[32], bytes[32], unread[32];
    int64_t n = 0, size = 0;
    for (size_t i = 0; i < d->photos.n; i++)
        if (d->copies[i].kind > QUERY_COPY_BEST) n++, size += d->photos.items[i].photo.size;
    if (d->unread) cli_say(c, "%s photos could not be looked at: only exact copies of them are shown", cli_count((int64_t)d->unread, unread));
    if (!d->groups) cli_say(c, "no duplicates found");
    else if (c->verbose)
        cli_say(c, "%s groups; the copies that are not the best: %s, %s", cli_count((int64_t)d->groups, groups),
                cli_count(n, copies), cli_bytes(size, bytes));
}

static int run(cli *c, const query_filter *filter, double threshold, const query_style *style, bool copies_only)
{
    query_library l;
    query_duplicates d;
    int status = query_library_open(&l, c);
    if (!status) status = query_duplicates_find(&l, &filter->filter, threshold, &d);
    if (!status) {
        status = print_groups(&d, style, copies_only);
        say_sum(c, &d);
        if (!d.photos.n) query_explain_nothing(&l, filter);
        if (!status && !d.groups) status = 1;
        query_duplicates_finish(&d);
    }
    query_library_close(&l);
    return status;
}

int query_command_duplicates(struct cli *c, int argc, char **argv)
{
    double threshold = THRESHOLD;
    bool copies_only = false;
    query_filter filter;
    query_style style = {0};
    cli_option options[2 + QUERY_FILTER_OPTIONS + QUERY_STYLE_OPTIONS + 1] = {
        {"threshold", 't', CLI_DOUBLE, "C", "cosine from which photos are compared by pixels; 0.9", &threshold},
        {"copies", 0, CLI_FLAG, NULL, "leave out the best of each group", &copies_only}};
    int first;
    query_filter_init(&filter);
    query_filter_options(&filter, options + 2);
    query_style_options(&style, options + 2 + QUERY_FILTER_OPTIONS);
    int status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    style.paint = cli_paints(c, stdout);
    if (first < argc) status = cli_misuse(&usage, "\"%s\" is not needed; --in names a folder", argv[first]);
    else if (threshold < 0.5 || threshold > 1) status = cli_misuse(&usage, "--threshold needs a cosine from 0.5 to 1, not %g", threshold);
    else if (!(status = query_style_check(&style, &usage)) && !(status = query_filter_make(&filter, &usage)))
        status = run(c, &filter, threshold, &style, copies_only);
    query_filter_finish(&filter);
    return status;
}
