/* command_similar.c: `clipsearch similar IMAGE`. */
#include "query/find.h"
#include "query/query.h"

static const cli_usage usage = {
    .command = "similar",
    .arguments = "IMAGE",
    .summary = "Find the photos that look like an example.",
    .details =
        "IMAGE is any photo file, in the library or not; - reads one from standard input. A photo of the library is "
        "not shown among its own results; copies of it are. The vector of an indexed photo is used as it is stored, "
        "so that not even its file must be there.\n"
        "\n"
        QUERY_ACT_HELP "\n"
        "\n"
        QUERY_CONDITIONS_HELP,
    .several_models = true,
    .examples = "clipsearch similar ~/Pictures/sunset.jpg\n"
                "curl -s https://example.org/cat.jpg | clipsearch similar - -k 5 --paths",
};

int query_command_similar(struct cli *c, int argc, char **argv)
{
    query_find find;
    cli_option options[QUERY_FIND_OPTIONS + 1] = {0};
    int first;
    query_find_init(&find);
    query_find_options(&find, options);
    int status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    query_term term = {.kind = QUERY_IMAGE, .weight = 1, .body = argv[first]};
    find.not_itself = true;
    if (argc - first != 1 || !*argv[first]) status = cli_misuse(&usage, "name one image: clipsearch similar IMAGE");
    else status = query_find_run(&find, c, &usage, &term, 1);
    query_find_finish(&find);
    return status;
}
