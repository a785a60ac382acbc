/* help.c: what --help prints, made from the same table that parses, so that no option can be without its line. */
#include "cli/table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 80, MOST_LEFT = 28 };

const char cli_exits[] = "0  found, or done\n"
                         "1  nothing found\n"
                         "2  an error, which stderr explains\n";

/* Prints words from column `at`, breaking lines at WIDTH and indenting what follows. Ends with a newline. */
static void print_wrapped(FILE *f, const char *text, size_t n, int at, int indent)
{
    bool first = true;
    for (size_t i = 0; i < n;) {
        size_t word = i;
        while (word < n && !isspace((unsigned char)text[word])) word++;
        if (!first && at + 1 + (int)(word - i) > WIDTH) fprintf(f, "\n%*s", indent, ""), at = indent, first = true;
        at += fprintf(f, "%s%.*s", first ? "" : " ", (int)(word - i), text + i);
        first = false;
        for (i = word; i < n && isspace((unsigned char)text[i]);) i++;
    }
    putc('\n', f);
}

/* Paragraphs are parted by empty lines and filled; a line that begins with a space is left as it is. */
void cli_help_text(FILE *f, const char *text, int indent)
{
    while (text && *text) {
        size_t n = 0;
        if (*text == '\n' || *text == ' ') {
            n = strcspn(text, "\n");
            fprintf(f, "%*s%.*s\n", n ? indent : 0, "", (int)n, text);
        } else {
            while (text[n] && !(text[n] == '\n' && (text[n + 1] == '\n' || text[n + 1] == ' '))) n++;
            fprintf(f, "%*s", indent, "");
            print_wrapped(f, text, n, indent, indent);
        }
        text += n + (text[n] == '\n');
    }
}

static int option_left(const cli_option *o, char *room, size_t size)
{
    char letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    return snprintf(room, size, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
}

void cli_help_options(FILE *f, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) {
        char left[128];
        int n = option_left(o, left, sizeof left);
        if (n > MOST_LEFT) fprintf(f, "  %s\n  %*s  ", left, MOST_LEFT, "");
        else fprintf(f, "  %-*s  ", MOST_LEFT, left);
        print_wrapped(f, o->help, strlen(o->help), MOST_LEFT + 4, MOST_LEFT + 4);
    }
}

static void print_help(FILE *f, const cli_usage *u, const cli_option *options)
{
    cli_globals g = {0};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    fprintf(f, "Usage: clipsearch %s [OPTION]...%s%s\n\n", u->command, u->arguments ? " " : "",
            u->arguments ? u->arguments : "");
    print_wrapped(f, u->summary, strlen(u->summary), 0, 0);
    if (options && options->name) {
        fputs("\nOptions:\n", f);
        cli_help_options(f, options);
    }
    fputs("\nOptions of every command:\n", f);
    cli_help_options(f, global);
    if (u->details) {
        putc('\n', f);
        cli_help_text(f, u->details, 0);
    }
    if (u->examples) {
        fputs("\nExamples:\n", f);
        for (const char *p = u->examples; *p; p += strcspn(p, "\n"), p += *p == '\n')
            fprintf(f, "  %.*s\n", (int)strcspn(p, "\n"), p);
    }
    fputs("\nExit status:\n", f);
    for (const char *p = u->exits ? u->exits : cli_exits; *p; p += strcspn(p, "\n"), p += *p == '\n')
        fprintf(f, "  %.*s\n", (int)strcspn(p, "\n"), p);
}

void cli_version(FILE *f)
{
    fprintf(f, "clipsearch %s\nprocessor: %s\nreads:", CLIPSEARCH_VERSION, clip_cpu_describe());
    for (clip_format format = CLIP_FORMAT_JPEG; format <= CLIP_FORMAT_RAW; format++)
        if (clip_format_supported(format)) fprintf(f, " %s", clip_format_name(format));
    putc('\n', f);
}

void cli_describe(FILE *f, cli_form form, const cli_usage *u, const cli_option *options)
{
    switch (form) {
    case CLI_PARSE: break;
    case CLI_HELP: print_help(f, u, options); break;
    case CLI_SUMMARY: fprintf(f, "  %-11s %s\n", u->command, u->summary); break;
    case CLI_MAN: cli_man(f, u, options); break;
    case CLI_MAN_ENTRY: cli_man_entry(f, u); break;
    case CLI_BASH:
    case CLI_ZSH:
    case CLI_FISH: cli_complete(f, form, u, options); break;
    }
}
