/* table.h: inside cli/ only. The rows that every command shares, and what is made of a command's rows. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/cli.h"

enum { CLI_GLOBALS = 9 }; /* rows of the global table, without its end */

/* Where the values of the global options are put while a command line is read. */
typedef struct cli_globals {
    const char *db;
    cli_list model;
    int threads, color;
    bool quiet, verbose, help, version, no_config;
} cli_globals;

/* Fills rows[0..CLI_GLOBALS] (the last one ends the table), pointing into g. */
void cli_global_table(cli_globals *g, cli_option rows[CLI_GLOBALS + 1]);

/* Reads options from argv[1..argc): those of `options` (NULL: none) and the global ones. With stop_at_operand it ends at
 * the first operand; else operands are moved to the end. -1 to go on, or the status to leave with. */
int cli_read(cli *c, const cli_usage *u, const cli_option *options, bool stop_at_operand, int argc, char **argv,
             int *first_operand, bool *version);

/* Reads the file of settings into c; no file is no error. 0, or 2 and a report. */
int cli_config_read(cli *c, const cli_command *commands);
void cli_config_finish(cli *c);

/* The length of the printable character at p, or 0 where the byte must be escaped. */
size_t cli_printable(const char *p);

/* Describes a command in the form asked for: --help, a line of the list of commands, or a page or completion. */
void cli_describe(FILE *f, cli_form form, const cli_usage *u, const cli_option *options);
void cli_version(FILE *f);
void cli_help_options(FILE *f, const cli_option *options);
void cli_help_text(FILE *f, const char *text, int indent);
void cli_man(FILE *f, const cli_usage *u, const cli_option *options);
/* The page of the program itself: what comes before its commands, one of them, what comes after. */
void cli_man_begin(FILE *f, const char *summary);
void cli_man_entry(FILE *f, const cli_usage *u);
void cli_man_end(FILE *f);
void cli_complete(FILE *f, cli_form shell, const cli_usage *u, const cli_option *options);

/* What comes before and after all commands in a shell's completion file. */
void cli_complete_begin(FILE *f, cli_form shell, const cli_command *commands);
void cli_complete_end(FILE *f, cli_form shell, const cli_command *commands);

extern const char cli_exits[]; /* the usual exit statuses, one "N  meaning" a line */

#endif
