/* manual.c: manual pages from the tables that parse, in man(7), so that a page cannot be out of date.
 *
 * In the text a backslash, a leading period or quote, and the hyphen (which roff would turn into a dash that no shell
 * knows) are escaped. */
#include "cli/table.h"

#include <string.h>

static void put_roff(FILE *f, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool first = i == 0 || text[i - 1] == '\n';
        if (text[i] == '\\') fputs("\\e", f);
        else if (text[i] == '-') fputs("\\-", f);
        else if (first && (text[i] == '.' || text[i] == '\'')) fprintf(f, "\\&%c", text[i]);
        else putc(text[i], f);
    }
}

static void put_line(FILE *f, const char *text)
{
    put_roff(f, text, strlen(text));
    putc('\n', f);
}

static void put_title(FILE *f, const char *command)
{
    fputs(".TH \"CLIPSEARCH", f);
    for (const char *p = command ? command : ""; *p; p++) {
        if (p == command) fputs("\\-", f);
        putc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, f);
    }
    fprintf(f, "\" 1 \"\" \"clipsearch %s\" \"User Commands\"\n", CLIPSEARCH_VERSION);
}

static void put_options(FILE *f, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) {
        fputs(".TP\n", f);
        if (o->letter) fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
        fputs("\\fB\\-\\-", f);
        put_roff(f, o->name, strlen(o->name));
        fputs("\\fR", f);
        if (o->value) {
            fputs(" \\fI", f);
            put_roff(f, o->value, strlen(o->value));
            fputs("\\fR", f);
        }
        putc('\n', f);
        put_line(f, o->help);
    }
}

/* "N  meaning" lines, or any other table of a word and its meaning. */
static void put_table(FILE *f, const char *lines)
{
    for (const char *p = lines; *p;) {
        const char *gap = strstr(p, "  ");
        size_t n = strcspn(p, "\n"), word = gap && gap < p + n ? (size_t)(gap - p) : n;
        fputs(".TP\n", f);
        put_roff(f, p, word);
        putc('\n', f);
        while (word < n && p[word] == ' ') word++;
        put_roff(f, p + word, n - word);
        putc('\n', f);
        p += n + (p[n] == '\n');
    }
}

static void put_paragraphs(FILE *f, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        put_roff(f, text, n);
        putc('\n', f);
        text += n;
        while (*text == '\n') text++;
        if (*text) fputs(".PP\n", f);
    }
}

void cli_man(FILE *f, const cli_usage *u, const cli_option *options)
{
    cli_globals g = {0};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    put_title(f, u->command);
    fprintf(f, ".SH NAME\nclipsearch\\-%s \\- ", u->command);
    put_line(f, u->summary);
    fprintf(f, ".SH SYNOPSIS\n\\fBclipsearch %s\\fR [\\fIOPTION\\fR]... ", u->command);
    put_line(f, u->arguments ? u->arguments : "");
    if (u->details) {
        fputs(".SH DESCRIPTION\n", f);
        put_paragraphs(f, u->details);
    }
    if (options && options->name) {
        fputs(".SH OPTIONS\n", f);
        put_options(f, options);
    }
    fputs(".SH \"OPTIONS OF EVERY COMMAND\"\n", f);
    put_options(f, global);
    if (u->examples) {
        fputs(".SH EXAMPLES\n.nf\n", f);
        put_line(f, u->examples);
        fputs(".fi\n", f);
    }
    fputs(".SH \"EXIT STATUS\"\n", f);
    put_table(f, u->exits ? u->exits : cli_exits);
    fputs(".SH \"SEE ALSO\"\n\\fBclipsearch\\fR(1)\n", f);
}

static const char environment[] =
    "CLIPSEARCH_DB  the library to use, where --db does not name one\n"
    "CLIPSEARCH_MODEL  the model to use, where --model does not name one\n"
    "NO_COLOR  no colours, where it is set and --color does not say otherwise\n"
    "XDG_CONFIG_HOME  settings lie in its file clipsearch/config; ~/.config when not set\n"
    "XDG_DATA_HOME  libraries and models lie in its folder clipsearch; ~/.local/share when not set\n"
    "HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE, HF_HOME  Hugging Face, for clipsearch model pull\n";

static const char files[] =
    "~/.local/share/clipsearch/library.db  the library: one SQLite file\n"
    "~/.local/share/clipsearch/library.db.cache  search caches, which are made again when they are lost\n"
    "~/.config/clipsearch/config  settings: one option a line as it is typed, below a heading such as [search]\n"
    "~/.local/share/clipsearch/models  the user's models, one folder each\n";

void cli_man_begin(FILE *f, const char *summary)
{
    put_title(f, NULL);
    fputs(".SH NAME\nclipsearch \\- ", f);
    put_line(f, summary);
    fputs(".SH SYNOPSIS\n\\fBclipsearch\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH COMMANDS\n", f);
}

void cli_man_end(FILE *f)
{
    cli_globals g = {0};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    fputs(".SH OPTIONS\n", f);
    put_options(f, global);
    fputs(".SH \"EXIT STATUS\"\n", f);
    put_table(f, cli_exits);
    fputs(".SH ENVIRONMENT\n", f);
    put_table(f, environment);
    fputs(".SH FILES\n", f);
    put_table(f, files);
}

void cli_man_entry(FILE *f, const cli_usage *u)
{
    fprintf(f, ".TP\n\\fBclipsearch\\-%s\\fR(1)\n", u->command);
    put_line(f, u->summary);
}
