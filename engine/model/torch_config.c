/* torch_config.c: an architecture from the shapes of its tensors, as OpenAI's own loader does it.
 *
 *     what              where it shows
 *     vector            text_projection [width][dim]
 *     text              positional_embedding [context][width], token_embedding.weight [vocab][width], number of blocks,
 *                       mlp.c_fc of the first; heads are width / 64, in every CLIP that was published
 *     ViT               visual.conv1.weight [width][3][patch][patch], visual.positional_embedding [1 + side^2][width], blocks
 *     ResNet            visual.layer1.0.conv1.weight [width]..., number of blocks in each of the four layers,
 *                       visual.attnpool.positional_embedding [1 + side^2][32 width]: the image is 32 side pixels
 *
 * What does not show: the activation, which the caller must know; the width of a head, 64 but for the ViTs of 1280 (H/14), 1408
 * (g/14) and 1664 (bigG/14), whose sixteen heads are open_clip's configuration; and mean, deviation and way of resizing, for
 * which OpenAI's are taken. */
#include "engine/model/torch_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/string_build.h"

clip_status clip_torch_form(const clip_torch_file *f, clip_file_form *out, clip_error *err)
{
    bool open_clip = clip_torch_find(f, "token_embedding.weight") || clip_torch_find(f, "text.token_embedding.weight");
    *out = open_clip ? CLIP_FORM_OPEN_CLIP : CLIP_FORM_HUGGINGFACE;
    if (open_clip || clip_torch_find(f, "text_model.embeddings.token_embedding.weight")) return CLIP_OK;
    return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: not a CLIP model: its %zu tensors have neither open_clip's names nor Hugging Face's "
                     "(the first is %.60s)", clip_torch_path(f), clip_torch_count(f), clip_torch_at(f, 0)->name);
}

typedef struct shapes {
    const clip_torch_file *f;
    const char *text; /* prefix of the text tower */
    clip_status status;
    clip_error *err;
} shapes;

/* Size i of a tensor that must have so many dimensions; at least 1, at most a million. */
static int size_of(shapes *s, const char *prefix, const char *name, int dims, int i)
{
    char whole[128];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    const clip_torch_tensor *t = s->status ? NULL : clip_torch_find(s->f, whole);
    if (t && t->dims == dims && t->size[i] >= 1 && t->size[i] <= 1000000) return (int)t->size[i];
    if (!s->status)
        s->status = clip_fail(s->err, CLIP_E_UNSUPPORTED, "%s: tensor %s %s: not a CLIP that can be told from its tensors; an "
                              "open_clip_config.json beside it would say what it is", clip_torch_path(s->f), whole,
                              t ? "has an unusual shape" : "is missing");
    return 1;
}

/* How many of "prefix0suffix", "prefix1suffix", ... there are, from 0 on. */
static int count(const shapes *s, const char *prefix, const char *suffix)
{
    char name[160];
    for (int n = 0; n < 1000; n++) {
        snprintf(name, sizeof name, "%s%d%s", prefix, n, suffix);
        if (!clip_torch_find(s->f, name)) return n;
    }
    return 1000;
}

/* The side of a square of n - 1 positions. */
static int side_of(shapes *s, int n)
{
    int side = 0;
    while ((side + 1) * (side + 1) <= n - 1) side++;
    if (!s->status && (side < 1 || side > 1000 || side * side != n - 1))
        s->status = clip_fail(s->err, CLIP_E_UNSUPPORTED, "%s: %d positions are no square image", clip_torch_path(s->f), n - 1);
    return side;
}

/* A ratio of which config.c makes this mlp again, rounding down. */
static double ratio(int mlp, int width) { return mlp % width ? (mlp + 0.5) / width : (double)mlp / width; }

static void write_vit(shapes *s, clip_string *out)
{
    static const char blocks[] = "visual.transformer.resblocks.";
    int width = size_of(s, "", "visual.conv1.weight", 4, 0), patch = size_of(s, "", "visual.conv1.weight", 4, 2);
    int side = side_of(s, size_of(s, "", "visual.positional_embedding", 2, 0)), mlp = size_of(s, blocks, "0.mlp.c_fc.weight", 2, 0);
    int head = width == 1280 || width == 1408 || width == 1664 ? width / 16 : width < 64 ? width : 64;
    if (patch > 128) patch = 128;
    clip_string_add(out, "{\"image_size\": %d, \"layers\": %d, \"width\": %d, \"head_width\": %d, \"mlp_ratio\": %.17g, \"patch_size\": %d}",
            side * patch, count(s, blocks, ".ln_1.weight"), width, head, ratio(mlp, width), patch);
}

static void write_resnet(shapes *s, clip_string *out)
{
    int width = size_of(s, "", "visual.layer1.0.conv1.weight", 4, 0);
    int side = side_of(s, size_of(s, "", "visual.attnpool.positional_embedding", 2, 0));
    clip_string_add(out, "{\"image_size\": %d, \"layers\": [%d, %d, %d, %d], \"width\": %d}", 32 * side,
            count(s, "visual.layer1.", ".conv1.weight"), count(s, "visual.layer2.", ".conv1.weight"),
            count(s, "visual.layer3.", ".conv1.weight"), count(s, "visual.layer4.", ".conv1.weight"), width);
}

static void write_text(shapes *s, clip_string *out)
{
    char blocks[64];
    snprintf(blocks, sizeof blocks, "%stransformer.resblocks.", s->text);
    int width = size_of(s, s->text, "positional_embedding", 2, 1), mlp = size_of(s, blocks, "0.mlp.c_fc.weight", 2, 0);
    clip_string_add(out, "{\"context_length\": %d, \"vocab_size\": %d, \"width\": %d, \"heads\": %d, \"layers\": %d, \"mlp_ratio\": %.17g}",
            size_of(s, s->text, "positional_embedding", 2, 0), size_of(s, s->text, "token_embedding.weight", 2, 0), width,
            width < 64 ? 1 : width / 64, count(s, blocks, ".ln_1.weight"), ratio(mlp, width));
}

clip_status clip_torch_deduce(const clip_torch_file *f, bool quick_gelu, char **json, clip_error *err)
{
    clip_string out = {0};
    shapes s = {f, clip_torch_find(f, "text.token_embedding.weight") ? "text." : "", CLIP_OK, err};
    clip_string_add(&out, "{\"model_cfg\": {\"embed_dim\": %d, \"quick_gelu\": %s,\n  \"vision_cfg\": ",
                    size_of(&s, s.text, "text_projection", 2, 1), quick_gelu ? "true" : "false");
    if (clip_torch_find(f, "visual.layer1.0.conv1.weight")) write_resnet(&s, &out);
    else write_vit(&s, &out);
    clip_string_add(&out, ",\n  \"text_cfg\": ");
    write_text(&s, &out);
    clip_string_add(&out, "},\n \"preprocess_cfg\": {\"mean\": [0.48145466, 0.4578275, 0.40821073], \"std\": [0.26862954, 0.26130258, 0.27577711],\n"
                    "  \"interpolation\": \"bicubic\", \"resize_mode\": \"shortest\"}}\n");
    if (out.failed && !s.status) s.status = clip_fail(err, CLIP_E_MEMORY, "out of memory");
    if (s.status) free(out.text);
    else *json = out.text;
    return s.status;
}
