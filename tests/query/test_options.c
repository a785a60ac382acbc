/* test_options.c: command lines are read as the table says, and wrong ones are answered. What is said on stderr is
 * caught in a file. */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static cli c;
static int number, choice;
static double real;
static bool flag;
static const char *text;
static cli_list list;
static const cli_usage usage = {"find", "WHAT...", "Find.", NULL, NULL, NULL};
static const cli_option options[] = {
    {"top", 'k', CLI_INT, "N", "how many", &number},
    {"score", 0, CLI_DOUBLE, "S", "at least", &real},
    {"fast", 'f', CLI_FLAG, NULL, "hurry", &flag},
    {"name", 'n', CLI_STRING, "NAME", "a name", &text},
    {"add", 'a', CLI_LIST, "TERM", "more", &list},
    {"subtract", 's', CLI_LIST, "TERM", "less", &list},
    {"shape", 0, CLI_CHOICE, "round|square", "shape", &choice},
    {0}};

static char *argv_of[32];
static int argc_of, first;
static char said[4096];

/* Splits at spaces ("_" stands for an empty argument), parses, and keeps what was said. */
static int parse(const char *line)
{
    static char words[512];
    FILE *caught = tmpfile();
    int kept = dup(STDERR_FILENO);
    snprintf(words, sizeof words, "find %s", line);
    argc_of = 0;
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) argv_of[argc_of++] = strcmp(w, "_") == 0 ? "" : w;
    argv_of[argc_of] = NULL;
    cli_list_finish(&list);
    number = choice = -1, real = 0, flag = false, text = NULL, first = -1;
    fflush(stderr);
    dup2(fileno(caught), STDERR_FILENO);
    int status = cli_parse(&c, &usage, options, argc_of, argv_of, &first);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(caught);
    said[fread(said, 1, sizeof said - 1, caught)] = 0;
    fclose(caught);
    return status;
}

static int setup(void **state)
{
    unsetenv("CLIPSEARCH_DB");
    unsetenv("CLIPSEARCH_MODEL");
    cli_init(&c);
    return 0;
}

static int teardown(void **state)
{
    cli_list_finish(&list);
    cli_finish(&c);
    return 0;
}

static void every_spelling_of_a_value_is_understood(void **state)
{
    static const char *const lines[] = {"-k 7", "-k7", "--top 7", "--top=7", "-fk7", "-fk 7", "-qfk7"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(parse(lines[i]), -1);
        assert_int_equal(number, 7);
        assert_int_equal(first, argc_of);
    }
}

static void values_of_every_kind_arrive(void **state)
{
    assert_int_equal(parse("--score -0.25 --name=x=y -f --shape square -n _"), -1);
    assert_true(real == -0.25);
    assert_true(flag);
    assert_int_equal(choice, 1);
    assert_string_equal(text, "");
    assert_int_equal(parse("--name=x=y"), -1);
    assert_string_equal(text, "x=y");
}

static void a_list_keeps_order_and_origin(void **state)
{
    assert_int_equal(parse("--add 1 -s 2 -a3 --subtract=4"), -1);
    assert_int_equal(list.n, 4);
    assert_string_equal(list.items[2], "3");
    assert_string_equal(list.from[1], "subtract");
    assert_string_equal(list.from[2], "add");
}

static void operands_keep_their_order_wherever_they_stand(void **state)
{
    assert_int_equal(parse("a -k 3 b --fast c - d"), -1);
    assert_int_equal(argc_of - first, 5);
    assert_string_equal(argv_of[first], "a");
    assert_string_equal(argv_of[first + 2], "c");
    assert_string_equal(argv_of[first + 3], "-");
    assert_null(argv_of[argc_of]);
    assert_int_equal(number, 3);
    assert_true(flag);
}

static void two_dashes_end_the_options(void **state)
{
    assert_int_equal(parse("a -- -k --fast -- b"), -1);
    assert_int_equal(argc_of - first, 5);
    assert_string_equal(argv_of[first + 1], "-k");
    assert_string_equal(argv_of[first + 3], "--");
    assert_false(flag);
}

static void global_options_work_everywhere(void **state)
{
    assert_int_equal(parse("a --db /x.db --threads 3 -q --model m"), -1);
    assert_string_equal(c.db, "/x.db");
    assert_true(c.db_named);
    assert_string_equal(c.model, "m");
    assert_int_equal(c.threads, 3);
    assert_true(c.quiet);
    assert_int_equal(parse("b"), -1);
    assert_int_equal(c.threads, 3); /* what was said before the command holds */
}

static void wrong(const char *line, const char *expected)
{
    if (parse(line) != 2) fail_msg("%s was accepted", line);
    if (!strstr(said, expected)) fail_msg("%s: said \"%s\" and not \"%s\"", line, said, expected);
    assert_non_null(strstr(said, "Try: clipsearch find --help"));
    assert_null(list.items);
}

static void abbreviations_are_not_accepted_but_explained(void **state)
{
    wrong("--to 3", "there is no option --to; did you mean --top?");
    wrong("--sub x", "did you mean --subtract?");
    wrong("--thread 3", "did you mean --threads?");
}

static void typing_errors_get_a_suggestion(void **state)
{
    wrong("--tpo 3", "did you mean --top?");
    wrong("--scroe 3", "did you mean --score?");
    wrong("--fsat", "did you mean --fast?");
    wrong("-top 3", "did you mean --top?");
    wrong("--qiuet", "did you mean --quiet?");
}

static void what_is_like_nothing_gets_none(void **state)
{
    wrong("--xyzzy", "there is no option --xyzzy\n");
    wrong("-x", "there is no option -x\n");
}

static void values_that_do_not_fit_are_named(void **state)
{
    wrong("-k", "-k needs a value: -k N");
    wrong("--top", "--top needs a value: --top N");
    wrong("-k x", "-k needs a whole number, not \"x\"");
    wrong("-k 3x", "not \"3x\"");
    wrong("-k _", "not \"\"");
    wrong("-k 99999999999", "a whole number");
    wrong("--score nan", "--score needs a number");
    wrong("--score 1e999", "--score needs a number");
    wrong("--shape oval", "--shape needs one of round|square, not \"oval\"");
    wrong("--shape roun", "not \"roun\"");
    wrong("--fast=1", "--fast takes no value");
    wrong("--threads -1", "--threads needs 0 or more");
    wrong("--db _", "--db needs the name of a file");
}

static void lists_are_freed_when_a_later_option_is_wrong(void **state)
{
    wrong("--add 1 --add 2 --nonsense", "there is no option");
}

static void what_was_typed_cannot_steer_the_terminal(void **state)
{
    wrong("--\x1b[31mred", "\\033[31mred");
    assert_null(strchr(said, '\x1b'));
}

static void long_nonsense_is_survived(void **state)
{
    char line[400] = "--";
    memset(line + 2, 'x', 300);
    wrong(line, "there is no option --xxx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_spelling_of_a_value_is_understood, setup, teardown),
        cmocka_unit_test_setup_teardown(values_of_every_kind_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_keeps_order_and_origin, setup, teardown),
        cmocka_unit_test_setup_teardown(operands_keep_their_order_wherever_they_stand, setup, teardown),
        cmocka_unit_test_setup_teardown(two_dashes_end_the_options, setup, teardown),
        cmocka_unit_test_setup_teardown(global_options_work_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(abbreviations_are_not_accepted_but_explained, setup, teardown),
        cmocka_unit_test_setup_teardown(typing_errors_get_a_suggestion, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_like_nothing_gets_none, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_do_not_fit_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_freed_when_a_later_option_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_typed_cannot_steer_the_terminal, setup, teardown),
        cmocka_unit_test_setup_teardown(long_nonsense_is_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
