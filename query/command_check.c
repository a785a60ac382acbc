/* command_check.c: `clipsearch check`: is the library whole? The store knows; here it is said. */
#include "query/open_library.h"
#include "query/query.h"

#include <jansson.h>

static const cli_usage usage = {
    .command = "check",
    .summary = "Check that the library is whole: database, vectors, cache.",
    .details =
        "Each finding is one line. Nothing is changed without --repair, which mends what it can without losing "
        "anything: what cannot be trusted is made again from the photos at the next `clipsearch index`.\n"
        "\n"
        "--json prints one object a finding: problem, and mended (true or false).",
    .examples = "clipsearch check\n"
                "clipsearch check --repair",
    .exits = "0  the library is whole, or was mended\n"
             "1  something is wrong with it\n"
             "2  an error, which stderr explains\n",
};

typedef struct findings { bool json; int64_t mended; } findings;

static void print_finding(const char *line, bool mended, void *ctx)
{
    findings *f = ctx;
    f->mended += mended;
    if (f->json) {
        json_t *object = json_object();
        json_t *text = json_string(line);
        json_object_set_new(object, "problem", text ? text : json_null());
        json_object_set_new(object, "mended", json_boolean(mended));
        cli_print_json(stdout, object);
    } else {
        cli_print_text(stdout, line);
        puts(mended ? " (mended)" : "");
    }
}

int query_command_check(struct cli *c, int argc, char **argv)
{
    bool repair = false;
    findings f = {0};
    const cli_option options[] = {
        {"repair", 0, CLI_FLAG, NULL, "mend what can be mended", &repair},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object a finding", &f.json},
        {0}};
    store *s = NULL;
    store_error err = {0};
    int64_t problems = 0;
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    if (first < argc) return cli_misuse(&usage, "\"%s\" is not needed", argv[first]);
    if ((status = query_store_open(c, repair ? STORE_WRITE : STORE_READ, &s))) return status;
    if (store_check(s, repair, print_finding, &f, &problems, &err)) status = cli_fail("%s", err.text);
    else if (!problems) cli_say(c, "the library is whole");
    else if (f.mended == problems) cli_say(c, "everything that was wrong is mended");
    else {
        cli_say(c, repair ? "not everything could be mended" : "to mend what can be mended, type: clipsearch check --repair");
        status = 1;
    }
    store_close(s);
    return status;
}
