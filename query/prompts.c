/* prompts.c: the sentences in which a label is asked for.
 *
 * A bare word is not what CLIP saw in training: "A photo of a {}." gains over a point on ImageNet, and the average of many
 * sentences three more (Radford et al. 2021, section 3.1.4). imagenet80 are the paper's own eighty, and simple7 the seven of
 * them that its authors found to do about as well. */
#include "query/prompts.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const size_t FILE_MOST = 1 << 20;

static const char *const none[] = {"{}"};

static const char *const simple7[] = {
    "itap of a {}.", "a bad photo of the {}.", "a origami {}.", "a photo of the large {}.", "a {} in a video game.",
    "art of the {}.", "a photo of the small {}."};

static const char *const imagenet80[] = {
    "a bad photo of a {}.", "a photo of many {}.", "a sculpture of a {}.", "a photo of the hard to see {}.",
    "a low resolution photo of the {}.", "a rendering of a {}.", "graffiti of a {}.", "a bad photo of the {}.",
    "a cropped photo of the {}.", "a tattoo of a {}.", "the embroidered {}.", "a photo of a hard to see {}.",
    "a bright photo of a {}.", "a photo of a clean {}.", "a photo of a dirty {}.", "a dark photo of the {}.",
    "a drawing of a {}.", "a photo of my {}.", "the plastic {}.", "a photo of the cool {}.",
    "a close-up photo of a {}.", "a black and white photo of the {}.", "a painting of the {}.", "a painting of a {}.",
    "a pixelated photo of the {}.", "a sculpture of the {}.", "a bright photo of the {}.", "a cropped photo of a {}.",
    "a plastic {}.", "a photo of the dirty {}.", "a jpeg corrupted photo of a {}.", "a blurry photo of the {}.",
    "a photo of the {}.", "a good photo of the {}.", "a rendering of the {}.", "a {} in a video game.",
    "a photo of one {}.", "a doodle of a {}.", "a close-up photo of the {}.", "a photo of a {}.", "the origami {}.",
    "the {} in a video game.", "a sketch of a {}.", "a doodle of the {}.", "a origami {}.",
    "a low resolution photo of a {}.", "the toy {}.", "a rendition of the {}.", "a photo of the clean {}.",
    "a photo of a large {}.", "a rendition of a {}.", "a photo of a nice {}.", "a photo of a weird {}.",
    "a blurry photo of a {}.", "a cartoon {}.", "art of a {}.", "a sketch of the {}.", "a embroidered {}.",
    "a pixelated photo of a {}.", "itap of the {}.", "a jpeg corrupted photo of the {}.", "a good photo of a {}.",
    "a plushie {}.", "a photo of the nice {}.", "a photo of the small {}.", "a photo of the weird {}.",
    "the cartoon {}.", "art of the {}.", "a drawing of the {}.", "a photo of the large {}.",
    "a black and white photo of a {}.", "the plushie {}.", "a dark photo of a {}.", "itap of a {}.",
    "graffiti of the {}.", "a toy {}.", "itap of my {}.", "a photo of a cool {}.", "a photo of a small {}.",
    "a tattoo of the {}."};

#define SET(words) {#words, words, sizeof words / sizeof *words, NULL, NULL}
static const query_prompts sets[] = {SET(none), SET(simple7), SET(imagenet80)};

/* Where a sentence has its gap, and how long it is written: {} here and in the paper, {c} in CLIP benchmark's files. */
static const char *gap(const char *sentence, size_t *length)
{
    const char *at = strstr(sentence, "{}"), *other = strstr(sentence, "{c}");
    if (!at || (other && other < at)) at = other;
    *length = at ? (size_t)(strchr(at, '}') - at) + 1 : 0;
    return at;
}

static int read_lines(const char *path, query_prompts *p)
{
    size_t lines = 0, length;
    for (const char *s = p->text; (s = strchr(s, '\n')); s++) lines++;
    p->owned = malloc((lines + 1) * sizeof *p->owned);
    if (!p->owned) return cli_fail("memory ran out");
    p->items = p->owned;
    int number = 0;
    for (char *line = p->text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        number++;
        if (!*line) continue;
        if (!gap(line, &length)) return cli_fail("%s: line %d has no {} where the label could go", path, number);
        p->owned[p->n++] = line;
    }
    return p->n ? 0 : cli_fail("%s: no sentences; one a line, with {} where the label goes", path);
}

static int read_file(const char *path, query_prompts *p)
{
    FILE *f = fopen(path, "rb");
    if (!f) return cli_fail("cannot read the sentences in %s: %s (the sets that are known: none, simple7, imagenet80)", path, strerror(errno));
    p->text = calloc(FILE_MOST + 1, 1);
    size_t n = p->text ? fread(p->text, 1, FILE_MOST + 1, f) : 0;
    int status = !p->text ? cli_fail("memory ran out") : ferror(f) ? cli_fail("cannot read %s: %s", path, strerror(errno)) : 0;
    fclose(f);
    if (!status && n > FILE_MOST) status = cli_fail("%s: larger than 1 MiB", path);
    if (!status && strlen(p->text) != n) status = cli_fail("%s: not a text file", path);
    return status ? status : read_lines(path, p);
}

int query_prompts_open(const char *name, query_prompts *out)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcmp(sets[i].name, name) == 0) {
            *out = sets[i];
            return 0;
        }
    *out = (query_prompts){.name = name};
    int status = read_file(name, out);
    if (status) query_prompts_close(out);
    return status;
}

void query_prompts_close(query_prompts *p)
{
    free(p->text);
    free(p->owned);
    *p = (query_prompts){0};
}

char *query_prompt_fill(const char *sentence, const char *label)
{
    size_t length;
    char *out = NULL;
    const char *at = gap(sentence, &length);
    if (!at) return strdup(sentence);
    if (asprintf(&out, "%.*s%s%s", (int)(at - sentence), sentence, label, at + length) < 0) return NULL;
    return out;
}
