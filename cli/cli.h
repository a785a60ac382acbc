/* cli.h: what every command shares: options, places, streams, messages.
 *
 * stdout is data, stderr is conversation. Exit status: 0 found or done, 1 nothing found, 2 an error, 130 interrupted.
 * The only code that reads environment variables: CLIPSEARCH_DB, CLIPSEARCH_MODEL, XDG_DATA_HOME, XDG_CACHE_HOME, HOME,
 * NO_COLOR. */
#ifndef CLI_H
#define CLI_H

#include "engine/clip.h"
#include "store/store.h"

#include <stdio.h>

typedef struct cli {
    char *db;          /* --db, else CLIPSEARCH_DB, else $XDG_DATA_HOME/clipsearch/library.db; owned */
    bool db_named;     /* the user chose it */
    char *model;       /* --model or CLIPSEARCH_MODEL as given; NULL: the library's, else the bundled default; owned */
    int threads;       /* --threads; 0: one for each core */
    bool quiet, verbose;
} cli;

void cli_init(cli *c);   /* defaults and environment */
void cli_finish(cli *c);

/* ---- options: one table a command, from which parsing, --help, completions and the manual are made ---------------- */

typedef enum cli_kind { CLI_FLAG, CLI_INT, CLI_DOUBLE, CLI_STRING, CLI_LIST } cli_kind;

typedef struct cli_list { const char **items; size_t n; } cli_list; /* items point into argv; array freed by cli_list_finish */
void cli_list_finish(cli_list *l);

typedef struct cli_option {
    const char *name;   /* long name without dashes; a table ends with a NULL name */
    char letter;        /* short name or 0 */
    cli_kind kind;
    const char *value;  /* the word for its argument in help: "N", "DIR"; NULL for a flag */
    const char *help;   /* one line */
    void *target;       /* bool *, int *, double *, const char **, cli_list * */
} cli_option;

typedef struct cli_usage {
    const char *command;   /* "search" */
    const char *arguments; /* "QUERY..." */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs for --help; may be NULL */
    const char *examples;  /* lines; may be NULL */
} cli_usage;

/* Parses argv[1..]: the command's options, the global ones, -- and operands in any order. Returns -1 to go on, with
 * *first_operand the index of the first operand (operands are moved to the end, argv[argc] stays NULL); otherwise the
 * exit status to leave with (--help printed: 0; a wrong option reported: 2). */
int cli_parse(cli *c, const cli_usage *u, const cli_option *options, int argc, char **argv, int *first_operand);

/* ---- places -------------------------------------------------------------------------------------------------------- */

/* The directory of model `name_or_dir` (a directory; a name under the user's models folder; "default"); NULL means the
 * bundled default. Allocated; on failure NULL and a message in err. */
char *cli_model_dir(const char *name_or_dir, clip_error *err);
char *cli_data_home(void); /* $XDG_DATA_HOME/clipsearch, allocated */

/* ---- messages ------------------------------------------------------------------------------------------------------ */

/* "clipsearch: " + text + newline on stderr. cli_fail returns 2, so that a command can `return cli_fail(...)`. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_say(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3))); /* not when quiet */

/* ---- output -------------------------------------------------------------------------------------------------------- */

/* A path on a line: raw into a pipe, and as `ls` quotes it on a terminal when it is not plain text. No newline added. */
void cli_print_path(FILE *f, const char *path);
bool cli_is_utf8(const char *bytes);
/* Adds "path" to a jansson object (void * to keep jansson out of this header), or "path_base64" where it is not UTF-8. */
void cli_json_path(void *json_object, const char *path);

#endif
