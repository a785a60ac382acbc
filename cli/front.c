/* front.c: from main's arguments to a command, and the manners of a process.
 *
 * Streams first: where a standard stream arrives closed, the first file that we open would take its number, and a
 * message would be written into somebody's photo library. So the gaps are filled at once, with /dev/null opened the
 * wrong way round: using them fails, as using a closed stream does.
 *
 * SIGPIPE keeps its default: `clipsearch search ... | head -1` ends quietly. Where the parent has set it to be ignored,
 * EPIPE is met at the end and is quiet too. Any other failure to write stdout is an error: results were lost. */
#include "cli/table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const cli_usage program = {
    .arguments = "COMMAND",
    .summary = "Find photos by what is on them: by words, or by an example.",
};

static void fill_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            int got = open("/dev/null", fd ? O_RDONLY : O_WRONLY);
            if (got != fd && got >= 0) close(got);
        }
}

/* The status to leave with, once everything that was printed has really been written. */
static int close_output(int status)
{
    bool failed = ferror(stdout);
    errno = 0;
    if (fclose(stdout) == 0 && !failed) return status;
    if (errno == EPIPE) return status;
    return cli_fail("cannot write the results: %s", errno ? strerror(errno) : "the output was cut off");
}

static const cli_command *find_command(const cli_command *commands, const char *name)
{
    for (const cli_command *k = commands; k->name; k++)
        if (strcmp(k->name, name) == 0) return k;
    return NULL;
}

static const char *command_name(size_t i, const void *ctx)
{
    return ((const cli_command *)ctx)[i].name;
}

static int unknown_command(const cli_command *commands, const char *name)
{
    const char *near = cli_nearest(name, command_name, commands);
    if (near) return cli_fail("there is no command \"%s\"; did you mean %s?", name, near);
    return cli_fail("there is no command \"%s\"; `clipsearch help` lists them, and `clipsearch search %s` would search "
                    "for it", name, name);
}

static void describe_each(cli *c, cli_form form, const cli_command *commands)
{
    for (const cli_command *k = commands; k->name; k++) {
        char *argv[] = {(char *)k->name, NULL};
        c->form = form;
        k->run(c, 1, argv);
    }
}

static int print_overview(cli *c, const cli_command *commands)
{
    cli_globals g = {0};
    cli_option global[CLI_GLOBALS + 1];
    cli_global_table(&g, global);
    printf("Usage: clipsearch COMMAND [OPTION]...\n\n%s\n\nCommands:\n", program.summary);
    describe_each(c, CLI_SUMMARY, commands);
    fputs("\nOptions of every command:\n", stdout);
    cli_help_options(stdout, global);
    fputs("\nTo begin:\n"
          "  clipsearch index ~/Pictures\n"
          "  clipsearch search \"a bird on a tree trunk\"\n"
          "\n`clipsearch help COMMAND` explains one command.\n", stdout);
    return 0;
}

static int describe_one(cli *c, cli_form form, const cli_command *commands, const char *name)
{
    const cli_command *k = find_command(commands, name);
    if (!k) return unknown_command(commands, name);
    char *argv[] = {(char *)k->name, NULL};
    c->form = form;
    return k->run(c, 1, argv);
}

/* `clipsearch --generate man [COMMAND] | bash | zsh | fish`: for the build alone, so no help tells of it. */
static int generate(cli *c, const cli_command *commands, const char *what, const char *name)
{
    static const struct { const char *name; cli_form form; } shells[] = {
        {"bash", CLI_BASH}, {"zsh", CLI_ZSH}, {"fish", CLI_FISH}};
    if (what && strcmp(what, "man") == 0) {
        if (name) return describe_one(c, CLI_MAN, commands, name);
        cli_man_begin(stdout, program.summary);
        describe_each(c, CLI_MAN_ENTRY, commands);
        cli_man_end(stdout);
        return 0;
    }
    for (size_t i = 0; what && i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(what, shells[i].name) != 0) continue;
        cli_complete_begin(stdout, shells[i].form, commands);
        describe_each(c, shells[i].form, commands);
        cli_complete_end(stdout, shells[i].form, commands);
        return 0;
    }
    return cli_fail("--generate needs man, bash, zsh or fish");
}

static bool wants_config(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--no-config") == 0) return false;
    return true;
}

static int run(cli *c, const cli_command *commands, int argc, char **argv)
{
    int first;
    bool version = false;
    if (argc > 1 && strcmp(argv[1], "--generate") == 0)
        return generate(c, commands, argv[2], argc > 2 ? argv[3] : NULL);
    int status = wants_config(argc, argv) ? cli_config_read(c, commands) : 0;
    if (!status) status = cli_read(c, &program, NULL, true, argc, argv, &first, &version);
    if (status >= 0) return status;
    if (version) return cli_version(stdout), 0;
    const char *name = argv[first];
    if (!name) return print_overview(c, commands);
    const char *topic = argv[first + 1];
    if (strcmp(name, "help") == 0)
        return topic ? describe_one(c, CLI_HELP, commands, topic) : print_overview(c, commands);
    const cli_command *k = find_command(commands, name);
    if (!k) return unknown_command(commands, name);
    if (!c->db) return cli_fail("memory ran out");
    return k->run(c, argc - first, argv + first);
}

int cli_main(const cli_command *commands, int argc, char **argv)
{
    cli c;
    fill_streams();
    const char *problem = clip_cpu_problem();
    if (problem) return cli_fail("%s", problem);
    cli_init(&c);
    int status = run(&c, commands, argc, argv);
    cli_finish(&c);
    return close_output(status);
}
