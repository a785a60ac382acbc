/* cli.h: what every command shares: options, places, streams, messages.
 *
 * The nouns
 *   command   a name and a function; each describes itself to cli_parse with a usage and a table of options
 *   option    one row of that table: parsing, --help, the manual and the shells' completions all come from it
 *   context   struct cli: what the global options and the environment said
 *
 * stdout is data, stderr is conversation. Exit status: 0 found or done, 1 nothing found, 2 an error, 130 interrupted.
 * The only code that reads environment variables: CLIPSEARCH_DB, CLIPSEARCH_MODEL, XDG_DATA_HOME, XDG_CONFIG_HOME, HOME,
 * NO_COLOR, TERM,
 * and for Hugging Face HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME. No locale is ever
 * set: numbers are written with a point, and names compare by bytes.
 *
 * Ownership  Strings in struct cli belong to it. Lists own their arrays, not their strings, which point into argv.
 * Threads    Everything here belongs to the main thread, but for messages and cli_draw.
 *
 * Use
 *     int k = 10; bool json = false;
 *     const cli_usage u = {"find", "QUERY...", "Find photos", NULL, NULL, NULL};
 *     const cli_option o[] = {{"top", 'k', CLI_INT, "N", "how many", &k}, {"json", 0, CLI_FLAG, NULL, "...", &json}, {0}};
 *     int first, left = cli_parse(c, &u, o, argc, argv, &first);
 *     if (left >= 0) return left;
 *     // the operands are argv[first..argc) */
#ifndef CLI_H
#define CLI_H

#include "engine/clip.h"
#include "store/store.h"

#include <stdio.h>

/* What cli_parse does besides parsing: describe the command instead. Only cli_main sets it. */
typedef enum cli_form {
    CLI_PARSE = 0, CLI_HELP, CLI_SUMMARY, CLI_MAN, CLI_MAN_ENTRY, CLI_BASH, CLI_ZSH, CLI_FISH
} cli_form;

typedef enum cli_color { CLI_COLOR_AUTO, CLI_COLOR_ALWAYS, CLI_COLOR_NEVER } cli_color; /* in the order of the option's words */

/* One line of the file of settings, as an argument; section "" is before all headings. Owned. */
typedef struct cli_setting { char *section, *argument; int line; } cli_setting;

typedef struct cli {
    char *db;          /* --db, else CLIPSEARCH_DB, else $XDG_DATA_HOME/clipsearch/library.db; owned */
    bool db_named;     /* the user chose it */
    char *model;       /* --model or CLIPSEARCH_MODEL as given; NULL: the library's, else the bundled default; owned */
    char **models;     /* every --model of the command line, for commands that take several; owned, as each of them */
    size_t n_models;
    int threads;       /* --threads; 0: one for each core */
    bool quiet, verbose;
    int color;         /* cli_color: --color */
    bool plain;        /* the environment wants no colours: NO_COLOR, or a dumb terminal */
    cli_form form;
    char *config;      /* the file of settings; owned, as they are */
    cli_setting *settings;
    size_t n_settings;
} cli;

void cli_init(cli *c);   /* defaults and environment */
void cli_finish(cli *c);

/* ---- commands ------------------------------------------------------------------------------------------------------ */

/* A table of these ends with a NULL name. argv[0] is the command's name; the result is the exit status. */
typedef struct cli_command {
    const char *name;
    int (*run)(cli *c, int argc, char **argv);
} cli_command;

/* The whole program: streams, global options, the command that argv names, stdout's last bytes. Returns main's status. */
int cli_main(const cli_command *commands, int argc, char **argv);

/* ---- options: one table a command, from which parsing, --help, completions and the manual are made ---------------- */

typedef enum cli_kind {
    CLI_FLAG, CLI_INT, CLI_DOUBLE, CLI_STRING,
    CLI_LIST,   /* may be given again; options may share one list, which then keeps their order */
    CLI_MANY,   /* the same, and takes the arguments that follow too, up to the next option */
    CLI_CHOICE, /* one of the words of `value`, "portrait|landscape"; the target int receives its place, from 0 */
    CLI_COMMAND /* a command for another program: all that follows, up to an argument ";", into a list */
} cli_kind;

typedef struct cli_option {
    const char *name;   /* long name without dashes; a table ends with a NULL name */
    char letter;        /* short name or 0 */
    cli_kind kind;
    const char *value;  /* the word for its argument in help: "N", "DIR"; NULL for a flag */
    const char *help;   /* one line */
    void *target;       /* bool *, int *, double *, const char **, cli_list * */
} cli_option;

typedef struct cli_list {
    const char **items;       /* point into argv */
    const char **from;        /* the name of the option that brought each: outlives the table */
    size_t n;
} cli_list;
void cli_list_finish(cli_list *l); /* frees the arrays */

typedef struct cli_usage {
    const char *command;   /* "search" */
    const char *arguments; /* "QUERY..." */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs for --help; may be NULL */
    const char *examples;  /* lines; may be NULL */
    const char *exits;     /* lines "N  meaning" where they differ from the usual ones; NULL: the usual ones */
    bool several_models;   /* --model may be given again */
} cli_usage;

/* Parses argv[1..]: the command's options, the global ones, -- and operands in any order. Returns -1 to go on, with
 * *first_operand the index of the first operand (operands are moved to the end, argv[argc] stays NULL); otherwise the
 * exit status to leave with (--help printed: 0; a wrong option reported: 2). On leaving, lists are already freed. */
int cli_parse(cli *c, const cli_usage *u, const cli_option *options, int argc, char **argv, int *first_operand);

/* "clipsearch: COMMAND: " + text + where help is; returns 2. For arguments that options alone cannot check. */
int cli_misuse(const cli_usage *u, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- lists of names ------------------------------------------------------------------------------------------------- */

/* The two options --files-from and -0 of commands that take names of files, and what they bring. */
typedef struct cli_names {
    const char *from;   /* --files-from; NULL: not given */
    bool zero;          /* -0 */
    char **items;       /* [n + 1], ends with NULL; the operands point into argv, the others into text */
    size_t n;
    char *text;
} cli_names;

enum { CLI_NAMES_OPTIONS = 2 };
/* Writes CLI_NAMES_OPTIONS rows, without an end. */
void cli_names_options(cli_names *l, cli_option *rows);
/* The operands, then the names of the list: one a line, or each ended by a zero byte; empty ones are passed over. 0, or 2
 * and a report. */
int cli_names_read(cli_names *l, const cli_usage *u, int n_operands, char **operands);
void cli_names_finish(cli_names *l);

/* ---- places -------------------------------------------------------------------------------------------------------- */

/* The directory of model `name_or_dir` (a directory; a name under the user's models folder; "default"); NULL means the
 * bundled default. Allocated; on failure NULL and a message in err. */
char *cli_model_dir(const char *name_or_dir, clip_error *err);
char *cli_data_home(void); /* $XDG_DATA_HOME/clipsearch, allocated */

/* Hugging Face, by its own variables: where it is (without a slash at the end; allocated), with which token (NULL: none),
 * and where its own programs keep what they fetched (allocated). */
char *cli_hub_endpoint(void);
const char *cli_hub_token(void);
char *cli_hub_cache(void);

/* The absolute form of a path: its real one where it exists; else made absolute, with . and .. taken out by their
 * letters, so that a file on an unplugged drive can still be named. Allocated; NULL when memory ran out. */
char *cli_absolute(const char *path);
/* The same for a name that may be a symbolic link, which stays one: its folder's real path and its own name. */
char *cli_absolute_link(const char *path);

/* ---- messages ------------------------------------------------------------------------------------------------------ */

/* "clipsearch: " + text + newline on stderr; what is not printable comes out as \ooo. cli_fail returns 2, so that a command can `return cli_fail(...)`. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_say(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3))); /* not when quiet */

/* The candidate nearest to what was typed, or NULL when none is near. next(i) gives the i-th, NULL at the end. */
const char *cli_nearest(const char *typed, const char *(*next)(size_t i, const void *ctx), const void *ctx);

/* A line on stderr that is drawn again in its place, for work that takes long: the caller has seen that it is a terminal. Messages
 * take it away, and cli_draw_end does. */
void cli_draw(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_draw_end(void);

/* Asks on the terminal; anything but y or yes is no. False at once where stdin or stderr is no terminal. */
bool cli_ask(const char *question);
bool cli_can_ask(void);

/* ---- output -------------------------------------------------------------------------------------------------------- */

/* A path on a line: raw into a pipe, and as `ls` quotes it on a terminal when it is not plain text. No newline added. */
void cli_print_path(FILE *f, const char *path);
/* A text that is no path and that somebody else may have written, on one line: what is not printable comes out as \ooo. */
void cli_print_text(FILE *f, const char *text);
/* Whether lines for people on this stream are coloured: --color, else where it is a terminal that can, without NO_COLOR. */
bool cli_paints(const cli *c, FILE *f);
/* cli_print_path with its folders in blue. */
void cli_paint_path(FILE *f, const char *path);
/* As cli_print_path does on a terminal, for messages: quoted whatever the stream is. Allocated; NULL when memory ran out. */
char *cli_quote_path(const char *path);
bool cli_is_utf8(const char *bytes);
/* Adds "path" to a jansson object (void * to keep jansson out of this header), or "path_base64" where it is not UTF-8. */
void cli_json_path(void *json_object, const char *path);
/* Standard base64 with padding, allocated; NULL when memory ran out. */
char *cli_base64(const void *bytes, size_t n);
/* The object on one line, and drops the reference. Reals with nine digits, which is enough for every float. */
void cli_print_json(FILE *f, void *json);
/* 1,234,567 and 1.2 MB: for people. Results lie in `room`, which is returned. */
const char *cli_count(int64_t n, char room[32]);
const char *cli_bytes(int64_t n, char room[32]);

#endif
