/* command_embed.c: `clipsearch embed`: the raw unit vectors, for other programs.
 *
 * Rows come in the order in which texts and images were given, which is why both options share one list. For an array
 * file everything is encoded before the first byte is written: half an array is worse than none. */
#include "query/open_library.h"
#include "query/npy.h"
#include "query/print.h"
#include "query/query.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_usage usage = {
    .command = "embed",
    .arguments = "[MORE...]",
    .summary = "Print the vectors of texts and images.",
    .details =
        "Each text or image gives one vector of unit length, in the order given. The cosine of two vectors is the sum "
        "of their products. After a single kind of option, further arguments are of that kind.\n"
        "\n"
        "--files-from names photos, as --image does.\n"
        "\n"
        "--json prints one object a line: \"text\", or \"path\" (\"path_base64\" where the name is not UTF-8), and "
        "\"vector\". --npy writes an array of 32-bit floats, one row each, that numpy.load reads.",
    .examples = "clipsearch embed --text \"a dog\" \"a cat\" --json\n"
                "clipsearch embed --image *.jpg --npy vectors.npy",
};

typedef struct item { bool image; const char *body; } item;

/* What was asked for, in its order: the options' list, then the operands, which take the kind of the only option used, then
 * the photos of --files-from. */
static int gather(const cli_list *given, int n_more, char **more, const cli_names *names, item *items)
{
    size_t n = 0, images = 0;
    for (size_t i = 0; i < given->n; i++) {
        bool image = strcmp(given->from[i], "image") == 0;
        items[n++] = (item){image, given->items[i]};
        images += image;
    }
    if (!n && (n_more || !names->from)) return cli_misuse(&usage, "say what to embed: --text T... or --image FILE...");
    if (n_more && images && images < n)
        return cli_misuse(&usage, "say --text or --image before \"%s\"", more[0]);
    for (int i = 0; i < n_more; i++) items[n++] = (item){images > 0, more[i]};
    for (size_t i = 0; i < names->n; i++) items[n++] = (item){true, names->items[i]};
    return 0;
}

static int encode_one(query_encoder *e, const item *it, float *vector)
{
    return it->image ? query_encode_image(e, it->body, vector) : query_encode_texts(e, &it->body, 1, vector);
}

static int print_lines(query_encoder *e, const item *items, size_t n)
{
    int dim = query_encoder_dim(e), status = 0;
    float *vector = malloc((size_t)dim * sizeof *vector); /* [dim] */
    if (!vector) return cli_fail("memory ran out");
    for (size_t i = 0; i < n && !status; i++) {
        if ((status = encode_one(e, &items[i], vector))) break;
        json_t *object = json_object();
        if (items[i].image) cli_json_path(object, items[i].body);
        else if (cli_is_utf8(items[i].body)) json_object_set_new(object, "text", json_string(items[i].body));
        else json_object_set_new(object, "text", json_null());
        query_print_vector_json(stdout, object, vector, dim);
    }
    free(vector);
    return status;
}

static int write_array(query_encoder *e, const item *items, size_t n, const char *path)
{
    size_t dim = (size_t)query_encoder_dim(e);
    bool standard = strcmp(path, "-") == 0;
    float *vectors = malloc(n * dim * sizeof *vectors); /* [n][dim] */
    int status = vectors ? 0 : cli_fail("memory ran out");
    for (size_t i = 0; i < n && !status; i++) status = encode_one(e, &items[i], vectors + i * dim);
    FILE *f = status ? NULL : standard ? stdout : fopen(path, "wb");
    if (!status && !f) status = cli_fail("cannot write %s: %s", path, strerror(errno));
    if (!status) {
        query_npy_begin(f, (int64_t)n, (int)dim);
        fwrite(vectors, dim * sizeof *vectors, n, f);
        bool failed = ferror(f);
        if (!standard && (fclose(f) || failed)) status = cli_fail("cannot write %s: %s", path, strerror(errno));
    }
    free(vectors);
    return status;
}

static int embed(cli *c, const cli_list *given, int n_more, char **more, const cli_names *names, const char *npy)
{
    query_encoder e = {0};
    size_t n = given->n + (size_t)n_more + names->n;
    item *items = malloc((n ? n : 1) * sizeof *items);
    int status = items ? gather(given, n_more, more, names, items) : cli_fail("memory ran out");
    if (!status) status = query_default_encoder(c, &e);
    if (!status) status = npy ? write_array(&e, items, n, npy) : print_lines(&e, items, n);
    query_encoder_close(&e);
    free(items);
    return status;
}

int query_command_embed(struct cli *c, int argc, char **argv)
{
    cli_list given = {0};
    bool json = false;
    const char *npy = NULL;
    cli_names names = {0};
    enum { OWN = 4 };
    cli_option options[OWN + CLI_NAMES_OPTIONS + 1] = {
        {"text", 't', CLI_LIST, "TEXT", "a text; may be given again", &given},
        {"image", 'i', CLI_LIST, "FILE", "a photo, or - for standard input; may be given again", &given},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object a line, the default", &json},
        {"npy", 0, CLI_STRING, "FILE", "write a NumPy array; - for standard output", &npy}};
    cli_names_options(&names, options + OWN);
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    if (json && npy) status = cli_misuse(&usage, "choose one of --json and --npy");
    else if (npy && strcmp(npy, "-") == 0 && isatty(STDOUT_FILENO))
        status = cli_misuse(&usage, "an array is not for a terminal; name a file: --npy FILE");
    else if (!(status = cli_names_read(&names, &usage, 0, NULL)))
        status = embed(c, &given, argc - first, argv + first, &names, npy);
    cli_names_finish(&names);
    cli_list_finish(&given);
    return status;
}
