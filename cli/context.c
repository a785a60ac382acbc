/* context.c: what the environment says, and what we say: one prefix, one stream, one line each. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? strdup(value) : NULL;
}

void cli_init(cli *c)
{
    *c = (cli){.db = from_environment("CLIPSEARCH_DB"), .model = from_environment("CLIPSEARCH_MODEL")};
    c->db_named = c->db != NULL;
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    c->plain = (no_color && *no_color) || !terminal || !*terminal || strcmp(terminal, "dumb") == 0;
    if (c->db) return;
    char *home = cli_data_home();
    if (home && asprintf(&c->db, "%s/library.db", home) < 0) c->db = NULL;
    free(home);
}

void cli_finish(cli *c)
{
    free(c->db);
    free(c->model);
    for (size_t i = 0; i < c->n_models; i++) free(c->models[i]);
    free(c->models);
    cli_config_finish(c);
    *c = (cli){0};
}

bool cli_paints(const cli *c, FILE *f)
{
    if (c->color != CLI_COLOR_AUTO) return c->color == CLI_COLOR_ALWAYS;
    return !c->plain && isatty(fileno(f));
}

/* Messages quote names of files and of what is in them; such text must not steer the terminal. */
static void put_harmless(FILE *f, const char *text, const char *let_through)
{
    for (size_t n; *text; text += n ? n : 1) {
        n = strchr(let_through, *text) ? 1 : cli_printable(text);
        if (n) fwrite(text, 1, n, f);
        else fprintf(f, "\\%03o", (unsigned char)*text);
    }
}

void cli_print_text(FILE *f, const char *text) { put_harmless(f, text, ""); }

/* ---- one line that is drawn over and over: whoever speaks meanwhile takes it away first ---- */

static bool drawn; /* guarded by stderr's lock */

void cli_draw(const char *format, ...)
{
    va_list list;
    flockfile(stderr);
    putc('\r', stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputs("\033[K", stderr);
    fflush(stderr);
    drawn = true;
    funlockfile(stderr);
}

void cli_draw_end(void)
{
    flockfile(stderr);
    if (drawn) fputs("\r\033[K", stderr);
    drawn = false;
    funlockfile(stderr);
}

static void say(const char *format, va_list list)
{
    char *text = NULL;
    fflush(stdout); /* so that results and remarks come in their order where both reach one terminal */
    if (vasprintf(&text, format, list) < 0) text = NULL;
    flockfile(stderr); /* decoder threads speak too */
    cli_draw_end();
    fputs("clipsearch: ", stderr);
    put_harmless(stderr, text ? text : "memory ran out", "\n\t");
    putc('\n', stderr);
    funlockfile(stderr);
    free(text);
}

int cli_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(format, list);
    va_end(list);
    return 2;
}

void cli_warn(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(format, list);
    va_end(list);
}

void cli_say(const cli *c, const char *format, ...)
{
    va_list list;
    if (c->quiet) return;
    va_start(list, format);
    say(format, list);
    va_end(list);
}

int cli_misuse(const cli_usage *u, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const char *command = u->command ? u->command : "", *gap = u->command ? " " : "";
    return cli_fail("%s%s%s\nTry: clipsearch%s%s --help", command, u->command ? ": " : "", text, gap, command);
}

bool cli_can_ask(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool cli_ask(const char *question)
{
    char answer[16];
    if (!cli_can_ask()) return false;
    fflush(stdout);
    fprintf(stderr, "%s [y/N] ", question);
    if (!fgets(answer, sizeof answer, stdin)) return false;
    answer[strcspn(answer, "\n")] = 0;
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}
