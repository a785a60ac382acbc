/* command_eval.c: `clipsearch eval retrieval | zeroshot | probe`: how good a model is, on photos whose answers are known. */
#include "query/eval.h"
#include "query/query.h"

#include <jansson.h>
#include <string.h>

static const cli_usage usage = {
    .command = "eval",
    .arguments = "retrieval FILE DIR | zeroshot DIR | probe DIR",
    .summary = "Measure a model on photos whose answers are known.",
    .details =
        "retrieval: FILE holds a photo's name, a tab and a caption on each line; a photo may have several. Tells how "
        "often the right photo is among the first 1, 5 and 10 for its caption, and a right caption for its photo.\n"
        "\n"
        "zeroshot: DIR holds one folder for each class, named after it (_ stands for a space). Tells how often the right "
        "class is the first, and among the first 5, and the mean over the classes.\n"
        "\n"
        "probe: DIR as before. Learns a linear classifier of the model's vectors, logistic regression by L-BFGS whose strength "
        "is chosen on photos held out for that, and tests it on others: one part of five, or those of --test. Beside it stand the "
        "zero-shot figure on the same photos and what 1, 2, 4, 8 and 16 photos of each class teach, as the mean over five draws and "
        "their standard deviation.\n"
        "\n"
        "--cache keeps the photos' vectors in a file: a run that was killed goes on where it stopped, and the next one need not read "
        "the photos again. One file may serve several folders; it belongs to one model.\n"
        "\n"
        "Every figure comes with its 95 % interval. No library is needed and none is changed. --json prints one object: "
        "\"task\", \"model\", \"fingerprint\", \"precision\", \"photos\", \"left_out\", and for each figure \"value\", \"low\" and \"high\".",
    .examples = "clipsearch eval retrieval captions.tsv ~/flickr8k\n"
                "clipsearch eval zeroshot ~/caltech101 --templates imagenet80 --json\n"
                "clipsearch eval probe ~/caltech101 --cache caltech101.vectors",
};

void query_eval_json_head(void *object, query_eval *v, const char *task)
{
    const clip_model_info *m = clip_model_describe(v->encoder.model);
    json_object_set_new(object, "task", json_string(task));
    json_object_set_new(object, "model", cli_is_utf8(m->name) ? json_string(m->name) : json_null());
    json_object_set_new(object, "fingerprint", json_string(m->fingerprint));
    json_object_set_new(object, "precision", json_string(clip_precision_name(clip_image_encoder_precision(v->encoder.image))));
}

static int run(query_eval *v, int n, char **operands)
{
    if (n == 0) return cli_misuse(&usage, "say what to measure: retrieval, zeroshot or probe");
    bool retrieval = strcmp(operands[0], "retrieval") == 0, probe = strcmp(operands[0], "probe") == 0;
    if (!retrieval && !probe && strcmp(operands[0], "zeroshot")) return cli_misuse(&usage, "nothing is known of \"%s\"", operands[0]);
    if (n != (retrieval ? 3 : 2)) return cli_misuse(&usage, retrieval ? "retrieval takes FILE and DIR" : "%s takes one DIR", operands[0]);
    if (retrieval && (v->templates || v->names)) return cli_misuse(&usage, "--templates and --names are for zeroshot and probe");
    if (!probe && v->test) return cli_misuse(&usage, "--test is for probe");
    if (retrieval) return query_eval_retrieval(v, operands[1], operands[2]);
    return probe ? query_eval_probe(v, operands[1]) : query_eval_zeroshot(v, operands[1]);
}

int query_command_eval(struct cli *c, int argc, char **argv)
{
    int precision = CLIP_AUTO, first;
    query_eval v = {.c = c};
    const cli_option options[] = {
        {"templates", 0, CLI_STRING, "SET|FILE", "none, simple7 (the default), imagenet80, or sentences with {}", &v.templates},
        {"names", 0, CLI_STRING, "FILE", "CLASS<tab>NAME a line: what to call a folder's class", &v.names},
        {"precision", 0, CLI_CHOICE, CLIP_PRECISION_CHOICE, "arithmetic of the image encoder", &precision},
        {"test", 0, CLI_STRING, "DIR", "probe: a folder of its own to test on", &v.test},
        {"cache", 0, CLI_STRING, "FILE", "keep the photos' vectors there, and go on from it", &v.cache},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object", &v.json},
        {0}};
    int status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    v.precision = (clip_precision)precision;
    status = run(&v, argc - first, argv + first);
    query_encoder_close(&v.encoder);
    return status;
}
