/* show.c: a page is written beside the lines; commands stand in their place; a preview comes after each line. */
#include "query/show.h"
#include "query/preview.h"
#include "query/sheet.h"

void query_show_options(query_show *s, cli_option *rows)
{
    query_style_options(&s->style, rows);
    query_act_options(&s->act, rows + QUERY_STYLE_OPTIONS);
    cli_option *o = rows + QUERY_STYLE_OPTIONS + QUERY_ACT_OPTIONS;
    o[0] = (cli_option){"preview", 'p', CLI_FLAG, NULL, "draw the photos in the terminal", &s->preview};
    o[1] = (cli_option){"preview-form", 0, CLI_CHOICE, "auto|symbols|sixel|kitty|iterm", "how; auto: as the environment tells", &s->preview_form};
    o[2] = (cli_option){"html", 0, CLI_STRING, "FILE", "write a page with small pictures as well", &s->html};
}

int query_show_check(const query_show *s, const cli_usage *u)
{
    int status = query_style_check(&s->style, u);
    if (status) return status;
    bool form = s->style.paths || s->style.zero || s->style.json;
    if (s->preview && (s->style.zero || s->style.json)) return cli_misuse(u, "--preview is for reading: it goes with neither --print0 nor --json");
    if (query_act_wanted(&s->act) && (form || s->preview)) return cli_misuse(u, "with --exec and --exec-batch nothing is printed: leave out --paths, --print0, --json and --preview");
    if (s->html && !*s->html) return cli_misuse(u, "--html needs the name of a file");
    return query_act_check(&s->act, u);
}

static int print_with_previews(const query_show *s, const query_style *style, const query_hits *h)
{
    query_preview *p = NULL;
    int status = query_preview_open((query_preview_form)s->preview_form, &p);
    for (size_t i = 0; i < h->n && !status; i++) {
        query_hits one = {&h->items[i], 1};
        query_print_hits(stdout, &one, style);
        query_preview_draw(p, stdout, h->items[i].where);
    }
    query_preview_close(p);
    return status;
}

int query_show_run(const query_show *s, const cli *c, const query_term *terms, size_t n, const query_hits *h)
{
    int status = s->html ? query_sheet_write(c, s->html, terms, n, h) : 0;
    if (status) return status;
    if (query_act_wanted(&s->act)) return query_act_run(&s->act, h);
    query_style style = s->style;
    style.paint = cli_paints(c, stdout);
    if (s->preview) return print_with_previews(s, &style, h);
    query_print_hits(stdout, h, &style);
    return 0;
}

void query_show_finish(query_show *s)
{
    query_act_finish(&s->act);
}
