/* settings.c: options that a person always wants: a file with one option a line.
 *
 * As in ripgrep's file a line is one argument's worth and nothing is quoted; "[search]" begins the options of one command.
 * Lines are kept as arguments and read by the command's own table, so that whatever may be typed may stand there and is
 * checked as if it had been typed; a complaint names the file and the line. What is typed comes later and wins. */
#include "cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MOST = 64 << 10 };

/* $XDG_CONFIG_HOME/clipsearch/config; a relative variable is to be ignored, says the specification. */
static char *config_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = NULL;
    bool named = config && config[0] == '/';
    int n = named ? asprintf(&path, "%s/clipsearch/config", config)
                  : asprintf(&path, "%s/.config/clipsearch/config", home && *home ? home : "");
    return n < 0 ? NULL : path;
}

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') text++;
    for (size_t n = strlen(text); n && strchr(" \t\r", text[n - 1]);) text[--n] = 0;
    return text;
}

/* "--top 20" -> "--top=20", "-k 20" -> "-k20". */
static char *as_argument(const char *line)
{
    size_t name = strcspn(line, " \t=");
    const char *value = line + name + strspn(line + name, " \t");
    char *argument = NULL;
    bool letter = line[1] != '-', has = *value;
    if (line[name] == '=') value = line + name + 1;
    if (asprintf(&argument, "%.*s%s%s", (int)name, line, has && !letter ? "=" : "", value) < 0) return NULL;
    return argument;
}

static int complain(const cli *c, int line, const char *what)
{
    return cli_fail("%s, line %d: %s\n--no-config leaves that file out.", c->config, line, what);
}

static int add(cli *c, const char *section, int line, const char *text)
{
    cli_setting *more = realloc(c->settings, (c->n_settings + 1) * sizeof *more);
    if (!more) return cli_fail("memory ran out");
    c->settings = more;
    cli_setting *s = &more[c->n_settings++];
    *s = (cli_setting){strdup(section), as_argument(text), line};
    return s->section && s->argument ? 0 : cli_fail("memory ran out");
}

/* `section` is where the line stands; a heading changes it. */
static int read_line(cli *c, const cli_command *commands, char *text, int line, const char **section)
{
    text = trim(text);
    size_t n = strlen(text);
    if (!n || *text == '#') return 0;
    if (*text == '[' && text[n - 1] == ']') {
        text[n - 1] = 0;
        for (*section = NULL; commands->name && !*section; commands++)
            if (strcmp(commands->name, text + 1) == 0) *section = commands->name;
        return *section ? 0 : complain(c, line, "there is no such command");
    }
    if (*text != '-' || n < 2 || strcmp(text, "--") == 0)
        return complain(c, line, "neither an option such as --top 20, nor a heading such as [search], nor a # remark");
    return add(c, *section, line, text);
}

int cli_config_read(cli *c, const cli_command *commands)
{
    char *text = NULL, *next;
    const char *section = "";
    int status = 0, line = 0;
    FILE *f = NULL;
    if (!(c->config = config_path()) || !(text = malloc(BYTES_MOST + 1))) status = cli_fail("memory ran out");
    else if (!(f = fopen(c->config, "re"))) {
        if (errno != ENOENT && errno != ENOTDIR) status = cli_fail("cannot read %s: %s", c->config, strerror(errno));
    } else {
        size_t n = fread(text, 1, BYTES_MOST + 1, f);
        if (ferror(f)) status = cli_fail("cannot read %s: %s", c->config, strerror(errno));
        else if (n > BYTES_MOST || memchr(text, 0, n)) status = cli_fail("%s is no list of options: larger than 64 KB, or binary", c->config);
        else text[n] = 0;
        for (char *at = text; f && !status && at; at = next) {
            if ((next = strchr(at, '\n'))) *next++ = 0;
            status = read_line(c, commands, at, ++line, &section);
        }
    }
    if (f) fclose(f);
    free(text);
    return status;
}

void cli_config_finish(cli *c)
{
    for (size_t i = 0; i < c->n_settings; i++) {
        free(c->settings[i].section);
        free(c->settings[i].argument);
    }
    free(c->settings);
    free(c->config);
}
