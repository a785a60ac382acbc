/* command_search.c: `clipsearch search QUERY...`. */
#include "query/find.h"
#include "query/query.h"

#include <string.h>

static const cli_usage usage = {
    .command = "search",
    .arguments = "QUERY...",
    .summary = "Find the photos that show what the words say.",
    .details =
        "All words together are one text: quotes around them are needed only for the shell's sake. A path that begins "
        "with /, ./, ../ or ~/ is an image to start from. --add and --subtract bring further terms, text or image, "
        "into the question. A number and a colon before a term weigh it, as in 0.5:./sunset.jpg; text: and image: "
        "before it say what it is where that could be mistaken.\n"
        "\n"
        "A result is the score, a tab, and the photo's absolute path, the best first. The score is the cosine between "
        "question and photo. Which score is a good one depends on the model and the question, so compare scores "
        "within one answer.\n"
        "\n"
        QUERY_CONDITIONS_HELP,
    .examples = "clipsearch search a bird on a tree trunk\n"
                "clipsearch search \"dogs at a window\" -k 3 --json\n"
                "clipsearch search beach --add 0.5:./sunset.jpg --subtract people\n"
                "clipsearch search flowers --in ~/Pictures/garden --after 2023-04 --before 2023-07\n"
                "clipsearch search -0 mountains | xargs -0 feh",
};

/* What is wrong with an argument, or 0. */
static int report(const char *argument, const char *wrong)
{
    return wrong ? cli_misuse(&usage, "cannot use the term \"%s\": %s", argument, wrong) : 0;
}

static int read_terms(int n_words, char **words, const cli_list *more, query_terms *terms)
{
    int status = report(n_words ? words[0] : "", query_terms_from_words(words, (size_t)n_words, terms));
    for (size_t i = 0; i < more->n && !status; i++) {
        float sign = strcmp(more->from[i]->name, "subtract") == 0 ? -1 : 1;
        status = report(more->items[i], query_terms_add(terms, more->items[i], sign));
    }
    if (!status && !terms->n) status = cli_misuse(&usage, "say what to look for: clipsearch search QUERY...");
    return status;
}

int query_command_search(struct cli *c, int argc, char **argv)
{
    query_find find;
    query_terms terms = {0};
    cli_list more = {0};
    cli_option options[2 + QUERY_FIND_OPTIONS + 1] = {
        {"add", 'a', CLI_LIST, "TERM", "add a text or an image to the question", &more},
        {"subtract", 's', CLI_LIST, "TERM", "take a text or an image away from it", &more}};
    int first;
    query_find_init(&find);
    query_find_options(&find, options + 2);
    int status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    status = read_terms(argc - first, argv + first, &more, &terms);
    if (!status) status = query_find_run(&find, c, &usage, terms.items, terms.n);
    query_terms_finish(&terms);
    query_find_finish(&find);
    cli_list_finish(&more);
    return status;
}
