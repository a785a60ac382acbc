/* command_search.c: `clipsearch search QUERY...`. */
#include "query/find.h"
#include "query/query.h"
#include "query/saved.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const cli_usage usage = {
    .command = "search",
    .arguments = "QUERY...",
    .summary = "Find the photos that show what the words say.",
    .details =
        "All words together are one text: quotes around them are needed only for the shell's sake. A path that begins "
        "with /, ./, ../ or ~/ is an image to start from. --add and --subtract bring further terms, text or image, "
        "into the question. A number and a colon before a term weigh it, as in 0.5:./sunset.jpg; text: and image: "
        "before it say what it is where that could be mistaken. concept:NAME is what clipsearch learn was taught; --concept NAME adds it.\n"
        "\n"
        "A result is the score, a tab, and the photo's absolute path, the best first. The score is the cosine between "
        "question and photo. Which score is a good one depends on the model and the question, so compare scores "
        "within one answer.\n"
        "\n"
        "--cut shows what is relevant and nothing else: all of it unless -k says how much, and exit status 1 when nothing is. "
        "Relevance is a probability, from how far a photo's score lies above its scores for neutral sentences, and from how "
        "far the library's best does. It is a weak model's estimate: --min-relevance moves the line from its 0.25. "
        "A concept's relevance is its own probability. It is known for questions of words alone, for one concept, and for "
        "both with --all; --json shows it as \"relevance\".\n"
        "\n"
        "--sort orders what was chosen and chooses nothing: the best are found first. --templates averages a text over many sentences "
        "such as \"a photo of the small {}.\", which helps with names of things; the average is remembered.\n"
        "\n"
        "--model may be given again: the score is then the mean over the models, of the photos that were indexed with all of "
        "them.\n"
        "\n"
        "--save NAME keeps the question with its options in the library, and @NAME asks it again; further options may "
        "follow. --saved prints the name, a tab, and the arguments (--json: \"name\", \"arguments\").\n"
        "\n"
        QUERY_ACT_HELP "\n"
        "\n"
        QUERY_CONDITIONS_HELP,
    .several_models = true,
    .examples = "clipsearch search a bird on a tree trunk\n"
                "clipsearch search \"dogs at a window\" -k 3 --json\n"
                "clipsearch search beach --add 0.5:./sunset.jpg --subtract people\n"
                "clipsearch search dog --add frisbee --all\n"
                "clipsearch search an elephant --cut --sort date\n"
                "clipsearch search beach --add 0.5:concept:grandma\n"
                "clipsearch search birds --cut --save birds; clipsearch search @birds --after 2024\n"
                "clipsearch search a red bus --model ViT-B-32 --model ViT-L-14\n"
                "clipsearch search flowers --in ~/Pictures/garden --after 2023-04 --before 2023-07\n"
                "clipsearch search harbour --preview\n"
                "clipsearch search harbour -k 50 --html harbour.html\n"
                "clipsearch search mountains --exec-batch feh",
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
        float sign = strcmp(more->from[i], "subtract") == 0 ? -1 : 1;
        bool concept = strcmp(more->from[i], "concept") == 0;
        status = report(more->items[i], concept ? query_terms_add_concept(terms, more->items[i])
                                                : query_terms_add(terms, more->items[i], sign));
    }
    if (!status && !terms->n) status = cli_misuse(&usage, "say what to look for: clipsearch search QUERY...");
    return status;
}

typedef struct arguments {
    query_find find;
    query_terms terms;
    cli_list more;
    const char *save, *unsave;
    bool saved;
} arguments;

static void finish(arguments *a)
{
    query_terms_finish(&a->terms);
    query_find_finish(&a->find);
    cli_list_finish(&a->more);
}

static int parse(cli *c, arguments *a, int argc, char **argv, int *first)
{
    enum { OWN = 11 };
    *a = (arguments){0};
    query_find_init(&a->find);
    cli_option options[OWN + QUERY_FIND_OPTIONS + 1] = {
        {"add", 'a', CLI_LIST, "TERM", "add a text or an image to the question", &a->more},
        {"subtract", 's', CLI_LIST, "TERM", "take a text or an image away from it", &a->more},
        {"concept", 0, CLI_LIST, "NAME", "add what clipsearch learn was taught", &a->more},
        {"all", 0, CLI_FLAG, NULL, "every term must match: the score is the least of theirs", &a->find.all},
        {"cut", 0, CLI_FLAG, NULL, "only what is relevant, and nothing when nothing is", &a->find.cut},
        {"min-relevance", 0, CLI_DOUBLE, "P", "the same from this probability on, 0 to 1", &a->find.min_relevance},
        {"templates", 0, CLI_STRING, "SET|FILE", "put texts into sentences: none, simple7, imagenet80, or a file's", &a->find.templates},
        {"no-adapt", 0, CLI_FLAG, NULL, "texts as the model has them, without what clipsearch learn --adapt taught", &a->find.no_adapt},
        {"save", 0, CLI_STRING, "NAME", "keep this question; clipsearch search @NAME asks it again", &a->save},
        {"saved", 0, CLI_FLAG, NULL, "list the questions that are kept", &a->saved},
        {"unsave", 0, CLI_STRING, "NAME", "keep that question no longer", &a->unsave}};
    query_find_options(&a->find, options + OWN);
    return cli_parse(c, &usage, options, argc, argv, first);
}

/* argv without --save, as it is to be kept. */
static int save(cli *c, const char *name, int argc, char **argv)
{
    char **words = malloc((size_t)argc * sizeof *words);
    size_t n = 0;
    if (!words) return cli_fail("memory ran out");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            free(words);
            return cli_misuse(&usage, "a question with -- cannot be saved; write text: before words that begin with a dash");
        }
        if (strcmp(argv[i], "--save") == 0) i++;
        else if (strncmp(argv[i], "--save=", 7)) words[n++] = argv[i];
    }
    int status = query_saved_put(c, name, words, n);
    free(words);
    return status;
}

/* What is meant stays as it is spelled (see term.c), but a file of that name was perhaps meant. */
static void tell_of_file(const cli *c, const char *words)
{
    struct stat st;
    if (stat(words, &st) || !S_ISREG(st.st_mode)) return;
    char *path = NULL, *name = asprintf(&path, "./%s", words) < 0 ? NULL : cli_quote_path(path);
    if (name) cli_say(c, "these words are also the name of a file; for photos like that one, type: clipsearch search %s", name);
    free(name);
    free(path);
}

static int ask(cli *c, arguments *a, int n_words, char **words, int argc, char **given)
{
    int status = read_terms(n_words, words, &a->more, &a->terms);
    if (!status && n_words == 1 && a->terms.items[0].body == a->terms.joined) tell_of_file(c, words[0]);
    if (!status && a->save && (!*a->save || *a->save == '@'))
        status = cli_misuse(&usage, "--save needs a name without @");
    if (!status && a->save) status = save(c, a->save, argc, given);
    return status ? status : query_find_run(&a->find, c, &usage, a->terms.items, a->terms.n);
}

/* The command line with @NAME (operand number `at`) replaced by what was kept under that name. */
static int expand(cli *c, const char *name, int argc, char **argv, int (*run)(cli *, int, char **, bool))
{
    char **kept = NULL, **all = NULL;
    size_t n = 0;
    int used = 0, status = query_saved_get(c, name, &kept, &n);
    if (!status && !(all = calloc((size_t)argc + n + 1, sizeof *all))) status = cli_fail("memory ran out");
    if (!status) {
        all[used++] = argv[0];
        for (size_t i = 0; i < n; i++) all[used++] = kept[i];
        for (int i = 1; i < argc; i++)
            if (argv[i][0] != '@' || strcmp(argv[i] + 1, name)) all[used++] = argv[i];
        status = run(c, used, all, false);
    }
    for (size_t i = 0; i < n; i++) free(kept[i]);
    free(kept);
    free(all);
    return status;
}

static int search(cli *c, int argc, char **argv, bool may_expand)
{
    arguments a;
    int first, status = -1;
    char **given = malloc(((size_t)argc + 1) * sizeof *given); /* before parsing moves the operands */
    if (!given) return cli_fail("memory ran out");
    memcpy(given, argv, ((size_t)argc + 1) * sizeof *given);
    if ((status = parse(c, &a, argc, argv, &first)) < 0) {
        int n = argc - first;
        char **words = argv + first;
        if (a.saved && (n || a.save || a.unsave)) status = cli_misuse(&usage, "--saved stands alone");
        else if (a.saved) status = query_saved_list(c, a.find.show.style.json);
        else if (a.unsave) status = n ? cli_misuse(&usage, "--unsave stands alone") : query_saved_remove(c, a.unsave);
        else if (may_expand && n == 1 && words[0][0] == '@' && words[0][1]) status = expand(c, words[0] + 1, argc, given, search);
        else status = ask(c, &a, n, words, argc, given);
        finish(&a);
    }
    free(given);
    return status;
}

int query_command_search(struct cli *c, int argc, char **argv)
{
    return search(c, argc, argv, true);
}
