/* complete.c: what bash, zsh and fish complete, from the tables that parse.
 *
 * What an option's value is follows from the word that help shows for it: a list of words (CLI_CHOICE), a folder
 * ("DIR"), a file ("FILE", "IMAGE", "TERM"), or anything else, which is not completed. Operands are files, except where
 * a command's arguments begin with words of its own ("list | info ... | use ..."). */
#include "cli/table.h"

#include <string.h>

typedef enum value { NOTHING, ANYTHING, WORDS, FOLDERS, FILES } value;

static value value_of(const cli_option *o)
{
    if (o->kind == CLI_FLAG) return NOTHING;
    if (o->kind == CLI_CHOICE) return WORDS;
    if (strstr(o->value, "DIR")) return FOLDERS;
    if (strstr(o->value, "FILE") || strstr(o->value, "IMAGE") || strstr(o->value, "TERM")) return FILES;
    return ANYTHING;
}

static void put_words(FILE *f, const char *words) /* a|b|c as a b c */
{
    for (; *words; words++) putc(*words == '|' ? ' ' : *words, f);
}

/* The words of its own that a command's first operand may be; nothing when it has none. */
static void put_first_words(FILE *f, const char *arguments)
{
    for (const char *p = arguments ? arguments : ""; *p >= 'a' && *p <= 'z';) {
        size_t n = strcspn(p, " ");
        fprintf(f, "%.*s ", (int)n, p);
        p = strstr(p, " | ");
        if (!p) return;
        p += 3;
    }
}

static bool has_first_words(const cli_usage *u)
{
    return u->arguments && *u->arguments >= 'a' && *u->arguments <= 'z';
}

/* Text within single quotes: of the shell, and of zsh's brackets and colons where `zsh`. */
static void put_text(FILE *f, const char *text, bool zsh)
{
    for (; *text; text++) {
        if (*text == '\'') fputs("'\\''", f);
        else if (zsh && strchr("[]:\\", *text)) fprintf(f, "\\%c", *text);
        else putc(*text, f);
    }
}

/* ---- bash ---- */

static void bash_values(FILE *f, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) {
        value v = value_of(o);
        if (v == NOTHING) continue;
        fprintf(f, "                --%s", o->name);
        if (o->letter) fprintf(f, "|-%c", o->letter);
        fputs(") ", f);
        if (v == WORDS) {
            fputs("_clipsearch_words \"", f);
            put_words(f, o->value);
            fputs("\"", f);
        } else {
            fputs(v == FOLDERS ? "_clipsearch_folders" : v == FILES ? "_clipsearch_files" : ":", f);
        }
        fputs("; return;;\n", f);
    }
}

static void bash_names(FILE *f, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) fprintf(f, " --%s", o->name);
}

static void bash_command(FILE *f, const cli_usage *u, const cli_option *options, const cli_option *global)
{
    fprintf(f, "        %s)\n            case $previous in\n", u->command);
    bash_values(f, options);
    bash_values(f, global);
    fputs("            esac\n            options=\"", f);
    bash_names(f, options);
    bash_names(f, global);
    fputs("\"\n            words=\"", f);
    put_first_words(f, u->arguments);
    fputs("\";;\n", f);
}

static void bash_begin(FILE *f, const cli_option *global)
{
    fputs("# bash completion for clipsearch; made by `clipsearch --generate bash`.\n"
          "_clipsearch_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$current\"); }\n"
          "_clipsearch_files() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); }\n"
          "_clipsearch_folders() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$current\"); }\n"
          "_clipsearch() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= options= words= i\n"
          "    # bash divides --name=value at the sign\n"
          "    if [[ $current == = ]]; then current=\n"
          "    elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "            =) ((i++));;\n"
          "            ", f);
    const char *between = "";
    for (const cli_option *o = global; o->name; o++)
        if (o->value) fprintf(f, "%s--%s", between, o->name), between = "|";
    fputs(") [[ ${COMP_WORDS[i+1]} == = ]] || ((i++));;\n"
          "            -*) ;;\n"
          "            *) command=${COMP_WORDS[i]}; break;;\n"
          "        esac\n"
          "    done\n"
          "    case $command in\n", f);
}

static void bash_end(FILE *f, const cli_command *commands, const cli_option *global)
{
    fputs("        '')\n            case $previous in\n", f);
    bash_values(f, global);
    fputs("            esac\n            options=\"", f);
    bash_names(f, global);
    fputs("\"\n            words=\"help", f);
    for (const cli_command *k = commands; k->name; k++) fprintf(f, " %s", k->name);
    fputs("\";;\n        help) words=\"", f);
    for (const cli_command *k = commands; k->name; k++) fprintf(f, "%s ", k->name);
    fputs("\";;\n    esac\n"
          "    if [[ $current == -* ]]; then _clipsearch_words \"$options\"\n"
          "    elif [[ -n $words ]]; then _clipsearch_words \"$words\"\n"
          "    else _clipsearch_files; fi\n"
          "}\n"
          "complete -F _clipsearch clipsearch\n", f);
}

/* ---- zsh ---- */

static void zsh_options(FILE *f, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) {
        value v = value_of(o);
        const char *star = o->kind == CLI_LIST || o->kind == CLI_MANY ? "*" : "", *plus = v ? "+" : "", *equals = v ? "=" : "";
        fputs(" \\\n                ", f);
        if (o->letter && !*star) fprintf(f, "'(-%c --%s)'", o->letter, o->name);
        if (o->letter) fprintf(f, "%s{-%c%s,--%s%s}'[", *star ? "\\*" : "", o->letter, plus, o->name, equals);
        else fprintf(f, "'%s--%s%s[", star, o->name, equals);
        put_text(f, o->help, true);
        fputs("]", f);
        if (v) {
            fputs(":", f);
            put_text(f, v == WORDS ? o->name : o->value, true);
            fputs(":", f);
        }
        if (v == WORDS) fputs("(", f), put_words(f, o->value), fputs(")", f);
        if (v == FOLDERS) fputs("_directories", f);
        if (v == FILES) fputs("_files", f);
        fputs("'", f);
    }
}

static void zsh_command(FILE *f, const cli_usage *u, const cli_option *options, const cli_option *global)
{
    fprintf(f, "        %s)\n            _arguments -s", u->command);
    zsh_options(f, options);
    zsh_options(f, global);
    if (has_first_words(u)) {
        fputs(" \\\n                '1:action:(", f);
        put_first_words(f, u->arguments);
        fputs(")' '*:file:_files';;\n", f);
    } else {
        fputs(u->arguments ? " \\\n                '*:file:_files';;\n" : ";;\n", f);
    }
}

static void zsh_begin(FILE *f, const cli_option *global)
{
    fputs("#compdef clipsearch\n# zsh completion for clipsearch; made by `clipsearch --generate zsh`.\n"
          "_clipsearch() {\n"
          "    local context state line curcontext=$curcontext\n"
          "    typeset -A opt_args\n"
          "    _arguments -C -s", f);
    zsh_options(f, global);
    fputs(" \\\n                '1:command:->command' '*::argument:->argument' && return\n"
          "    if [[ $state == command ]]; then\n"
          "        _clipsearch_commands\n"
          "        return\n"
          "    fi\n"
          "    case $words[1] in\n"
          "        help) _clipsearch_commands;;\n", f);
}

static void zsh_end(FILE *f, const cli_command *commands)
{
    fputs("    esac\n}\n_clipsearch_commands() {\n    local -a commands=(help", f);
    for (const cli_command *k = commands; k->name; k++) fprintf(f, " %s", k->name);
    fputs(")\n    compadd -a commands\n}\n_clipsearch \"$@\"\n", f);
}

/* ---- fish ---- */

static void fish_options(FILE *f, const char *condition, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) {
        value v = value_of(o);
        fprintf(f, "complete -c clipsearch%s -l %s", condition, o->name);
        if (o->letter) fprintf(f, " -s %c", o->letter);
        if (v == WORDS) fputs(" -x -a '", f), put_words(f, o->value), fputs("'", f);
        if (v == FOLDERS) fputs(" -x -a '(__fish_complete_directories)'", f);
        if (v == FILES) fputs(" -r -F", f);
        if (v == ANYTHING) fputs(" -x", f);
        fputs(" -d '", f);
        put_text(f, o->help, false);
        fputs("'\n", f);
    }
}

static void fish_command(FILE *f, const cli_usage *u, const cli_option *options)
{
    char condition[96];
    fprintf(f, "complete -c clipsearch -n __fish_use_subcommand -f -a %s -d '", u->command);
    put_text(f, u->summary, false);
    fputs("'\n", f);
    snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", u->command);
    fish_options(f, condition, options);
    if (!has_first_words(u)) return;
    fprintf(f, "complete -c clipsearch%s -f -a '", condition);
    put_first_words(f, u->arguments);
    fputs("'\n", f);
}

static void fish_begin(FILE *f, const cli_command *commands, const cli_option *global)
{
    fputs("# fish completion for clipsearch; made by `clipsearch --generate fish`.\n", f);
    fish_options(f, "", global);
    fputs("complete -c clipsearch -n __fish_use_subcommand -f -a help -d 'Explain a command'\n"
          "complete -c clipsearch -n '__fish_seen_subcommand_from help' -f -a '", f);
    for (const cli_command *k = commands; k->name; k++) fprintf(f, "%s ", k->name);
    fputs("'\n", f);
}

/* ---- */

void cli_complete(FILE *f, cli_form shell, const cli_usage *u, const cli_option *options)
{
    cli_globals g = {0};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    if (shell == CLI_BASH) bash_command(f, u, options, global);
    if (shell == CLI_ZSH) zsh_command(f, u, options, global);
    if (shell == CLI_FISH) fish_command(f, u, options);
}

void cli_complete_begin(FILE *f, cli_form shell, const cli_command *commands)
{
    cli_globals g = {0};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    if (shell == CLI_BASH) bash_begin(f, global);
    if (shell == CLI_ZSH) zsh_begin(f, global);
    if (shell == CLI_FISH) fish_begin(f, commands, global);
}

void cli_complete_end(FILE *f, cli_form shell, const cli_command *commands)
{
    cli_globals g = {0};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    if (shell == CLI_BASH) bash_end(f, commands, global);
    if (shell == CLI_ZSH) zsh_end(f, commands);
}
