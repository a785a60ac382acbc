/* config.c: the two forms in which CLIP models describe themselves.
 *
 * open_clip, open_clip_config.json (defaults are open_clip 3's):
 *     model_cfg.embed_dim                    length of a vector
 *     model_cfg.quick_gelu                   activation of both towers: QuickGELU, else exact GELU
 *     model_cfg.vision_cfg                   image_size, layers 12, width 768, head_width 64, mlp_ratio 4, patch_size 16; or
 *                                            a ResNet's four layers [3, 4, 6, 3], width, head_width 64; or
 *                                            timm_model_name tf_efficientnet_lite0..4, timm_pool, timm_proj, timm_proj_bias; or
 *                                            timm_model_name vit_{base,large,so400m,giantopt}_patchN_siglip_N
 *     model_cfg.text_cfg                     context_length 77, vocab_size 49408, width 512, heads 8, layers 12, mlp_ratio 4
 *         SigLIP's:                          no_causal_mask, pool_type "last", proj_bias, act_kwargs.approximate,
 *                                            tokenizer_kwargs.clean "canonicalize" | "lower" | "whitespace"
 *     preprocess_cfg                         size, mean, std, interpolation, resize_mode
 *
 * Hugging Face, config.json of model_type "clip" (defaults are CLIPTextConfig's and CLIPVisionConfig's), and
 * preprocessor_config.json:
 *     projection_dim 512                     length of a vector
 *     {text,vision}_config                   hidden_size, intermediate_size, num_hidden_layers, num_attention_heads,
 *                                            hidden_act "quick_gelu" | "gelu" | ..., layer_norm_eps; vocab_size and
 *                                            max_position_embeddings; image_size and patch_size
 *     do_resize, size, do_center_crop, crop_size, resample, image_mean, image_std
 * or of model_type "siglip" (SiglipTextConfig's and SiglipVisionConfig's defaults): vectors of text_config's projection_size
 *
 * A wrong activation, resize or normalisation raises no error and costs accuracy. So whatever is set that would change the
 * arithmetic and is not implemented here is refused by name, never ignored. */
#include "engine/model/config.h"

#include <stdio.h>
#include <string.h>

#include "engine/model/json_read.h"

#define MAX_WIDTH 8192
#define MAX_LAYERS 128
#define MAX_HEADS 256
#define MAX_IMAGE 1024
#define MAX_CONTEXT 1024
#define MAX_VOCAB 1000000

static const float openai_mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
static const float openai_std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
static const float halves[3] = {0.5f, 0.5f, 0.5f}; /* SigLIP's, both */

/* Members that must not be set. */
static void refuse(clip_json_reader *r, const json_t *object, const char *const *keys)
{
    for (; *keys; keys++)
        if (clip_json_is_set(object, *keys)) clip_json_fail(r, CLIP_E_UNSUPPORTED, *keys, "is set, which is not supported");
}

/* A member that must have this value; `absent`: what it has where it is not given. */
static void demand(clip_json_reader *r, const json_t *object, const char *key, const char *absent, const char *value)
{
    const char *v = clip_json_string(r, object, key, absent);
    if (strcmp(v, value)) clip_json_fail(r, CLIP_E_UNSUPPORTED, key, "has a value that is not supported");
}

static void require(clip_json_reader *r, const json_t *object, const char *key, const char *value)
{
    demand(r, object, key, value, value);
}

static void check_stack(clip_json_reader *r, const clip_stack_config *s)
{
    if (s->width % s->heads) clip_json_fail(r, CLIP_E_FORMAT, "heads", "do not divide the width");
}

/* SigLIP 2 differs in its words alone: 256,000 byte pairs in sentencepiece's form. */
static void check_words(clip_json_reader *r, const clip_text_config *text)
{
    if (text->padded && text->vocab == 256000)
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "vocab_size", "is SigLIP 2's, whose tokenizer (Gemma's) is not supported; SigLIP is");
}

/* ---- open_clip ------------------------------------------------------------------------------------------------- */

static const char *const custom_blocks[] = {"ls_init_value",    "qk_norm",    "scaled_cosine_attn", "scale_heads",
                                            "scale_attn_inner", "scale_attn", "scale_fc",           NULL};
static const char *const other_models[] = {"multimodal_cfg", "nonscalar_logit_scale", NULL};
static const char *const other_vision[] = {"attentional_pool", "no_ln_pre", "final_ln_after_pool", NULL};
static const char *const other_text[] = {"hf_model_name", "embed_cls", "final_ln_after_pool", "tokenizer_mode", NULL};

static void open_clip_stack(clip_json_reader *r, const json_t *cfg, clip_stack_config *s)
{
    refuse(r, cfg, custom_blocks);
    require(r, cfg, "block_type", "default");
    double ratio = clip_json_real(r, cfg, "mlp_ratio", 4, 0.01, 64);
    s->mlp = (int)(s->width * ratio);
    s->eps = (float)clip_json_real(r, clip_json_object(r, cfg, "norm_kwargs"), "eps", 1e-5, 0, 1);
    const json_t *kwargs = clip_json_object(r, cfg, "act_kwargs");
    const char *approximate = clip_json_string(r, kwargs, "approximate", "none");
    if (!strcmp(approximate, "tanh") && s->act == CLIP_ACT_GELU) s->act = CLIP_ACT_GELU_TANH;
    else if (strcmp(approximate, "none") || json_object_size(kwargs) > 1 || (kwargs && !json_object_get(kwargs, "approximate")))
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "act_kwargs", "has a value that is not supported");
    if (s->mlp < 1) clip_json_fail(r, CLIP_E_FORMAT, "mlp_ratio", "leaves nothing");
    check_stack(r, s);
}

static void open_clip_vit(clip_json_reader *r, const json_t *cfg, clip_image_config *image)
{
    refuse(r, cfg, other_vision);
    require(r, cfg, "pool_type", "tok");
    require(r, cfg, "pos_embed_type", "learnable");
    image->kind = CLIP_IMAGE_VIT;
    image->stack.width = clip_json_int(r, cfg, "width", 768, 1, MAX_WIDTH);
    image->stack.layers = clip_json_int(r, cfg, "layers", 12, 1, MAX_LAYERS);
    image->patch = clip_json_square(r, cfg, "patch_size", 16, 1, 128);
    int head = clip_json_int(r, cfg, "head_width", 64, 1, MAX_WIDTH);
    image->stack.heads = image->stack.width / head;
    if (image->stack.heads < 1 || image->stack.heads > MAX_HEADS) {
        clip_json_fail(r, CLIP_E_FORMAT, "head_width", "does not suit the width");
        image->stack.heads = 1;
    }
    open_clip_stack(r, cfg, &image->stack);
}

/* Features are 32 times as wide as the stem and, on each side, a 32nd of the image: five halvings, the first rounding up. */
static void open_clip_resnet(clip_json_reader *r, const json_t *cfg, clip_image_config *image)
{
    const json_t *layers = json_object_get(cfg, "layers");
    refuse(r, cfg, other_vision);
    image->kind = CLIP_IMAGE_RESNET;
    image->stack.width = clip_json_int(r, cfg, "width", 768, 2, MAX_WIDTH / 32);
    for (size_t i = 0; i < 4; i++) {
        json_int_t n = json_integer_value(json_array_get(layers, i));
        image->stages[i] = n >= 1 && n <= MAX_LAYERS ? (int)n : 0;
    }
    if (json_array_size(layers) != 4 || !image->stages[0] || !image->stages[1] || !image->stages[2] || !image->stages[3])
        clip_json_fail(r, CLIP_E_FORMAT, "layers", "are not four numbers of blocks");
    int features = 32 * image->stack.width, head = clip_json_int(r, cfg, "head_width", 64, 1, MAX_WIDTH);
    image->stack.heads = features / head;
    if (image->stack.heads < 1 || image->stack.heads > MAX_HEADS || features % image->stack.heads)
        clip_json_fail(r, CLIP_E_FORMAT, "head_width", "does not suit the width");
    if (image->size < 32 || image->size % 32 == 31)
        clip_json_fail(r, CLIP_E_FORMAT, "image_size", "does not suit a ResNet");
}

/* vit_NAME_patchN_siglip_N, whose sizes timm's source holds and no file; what follows a dot names weights. */
static bool siglip_sizes(const char *timm, clip_image_config *image)
{
    static const struct {
        const char *name;
        clip_stack_config stack;
    } all[] = {
        {"base", {768, 12, 12, 3072, CLIP_ACT_GELU, 1e-6f}},
        {"large", {1024, 24, 16, 4096, CLIP_ACT_GELU, 1e-6f}},
        {"so400m", {1152, 27, 16, 4304, CLIP_ACT_GELU, 1e-6f}},
        {"giantopt", {1536, 40, 16, 6144, CLIP_ACT_GELU_TANH, 1e-6f}},
    };
    char name[16], end = 0;
    int size, n = sscanf(timm, "vit_%15[a-z0-9]_patch%3d_siglip_%4d%c", name, &image->patch, &size, &end);
    for (size_t i = 0; i < sizeof all / sizeof *all && (n == 3 || (n == 4 && end == '.')); i++)
        if (!strcmp(all[i].name, name) && image->patch >= 1 && image->patch <= 128) {
            image->stack = all[i].stack;
            return true;
        }
    return false;
}

/* Vectors are as long as the tower is wide: nothing projects them. */
static void attention_pool(clip_json_reader *r, clip_config *out)
{
    out->image.kind = CLIP_IMAGE_VIT;
    out->image.attention_pool = true;
    if (out->image.stack.width != out->dim)
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "embed_dim", "or projection_size differs from the image tower's width, which attention pooling keeps");
}

static void open_clip_siglip(clip_json_reader *r, const json_t *cfg, clip_config *out)
{
    demand(r, cfg, "timm_pool", "avg", "map");
    demand(r, cfg, "timm_proj", "linear", "none");
    attention_pool(r, out);
}

static void open_clip_timm(clip_json_reader *r, const json_t *cfg, const char *timm, clip_image_config *image)
{
    static const char prefix[] = "tf_efficientnet_lite";
    const char *digit = timm + sizeof prefix - 1;
    if (strncmp(timm, prefix, sizeof prefix - 1) || *digit < '0' || *digit > '4' || (digit[1] && digit[1] != '.')) {
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "timm_model_name", "names an architecture that is not supported");
        return;
    }
    image->kind = CLIP_IMAGE_EFFICIENTNET_LITE;
    image->variant = *digit - '0';
    const char *pool = clip_json_string(r, cfg, "timm_pool", "avg"), *proj = clip_json_string(r, cfg, "timm_proj", "linear");
    if (strcmp(pool, "") && strcmp(pool, "avg"))
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "timm_pool", "has a value that is not supported");
    if (!strcmp(proj, "linear")) image->head = CLIP_HEAD_LINEAR;
    else if (!strcmp(proj, "mlp")) image->head = CLIP_HEAD_MLP;
    else if (!strcmp(proj, "none")) image->head = CLIP_HEAD_NONE;
    else clip_json_fail(r, CLIP_E_UNSUPPORTED, "timm_proj", "has a value that is not supported");
    image->head_bias = clip_json_bool(r, cfg, "timm_proj_bias", false);
}

/* Without a name of a tokenizer open_clip goes by the model's name and takes SigLIP's own, which canonicalises. */
static void open_clip_rules(clip_json_reader *r, const json_t *cfg, clip_text_config *text)
{
    const char *absent = clip_json_is_set(cfg, "hf_tokenizer_name") ? "whitespace" : "canonicalize";
    const char *clean = clip_json_string(r, clip_json_object(r, cfg, "tokenizer_kwargs"), "clean", absent);
    if (!strcmp(clean, "canonicalize")) text->rules = CLIP_TEXT_CANONICAL;
    else if (!strcmp(clean, "lower")) text->rules = CLIP_TEXT_LOWER;
    else if (!strcmp(clean, "whitespace")) text->rules = CLIP_TEXT_AS_IT_IS;
    else clip_json_fail(r, CLIP_E_UNSUPPORTED, "clean", "has a value that is not supported");
}

static void open_clip_text(clip_json_reader *r, const json_t *cfg, clip_text_config *text)
{
    refuse(r, cfg, other_text);
    text->padded = clip_json_bool(r, cfg, "no_causal_mask", false);
    demand(r, cfg, "pool_type", "argmax", text->padded ? "last" : "argmax");
    require(r, cfg, "proj_type", "linear");
    text->projection_bias = clip_json_bool(r, cfg, "proj_bias", false);
    if (text->padded) open_clip_rules(r, cfg, text);
    text->context = clip_json_int(r, cfg, "context_length", 77, 2, MAX_CONTEXT);
    text->vocab = clip_json_int(r, cfg, "vocab_size", 49408, 2, MAX_VOCAB);
    text->stack.width = clip_json_int(r, cfg, "width", 512, 1, MAX_WIDTH);
    text->stack.layers = clip_json_int(r, cfg, "layers", 12, 1, MAX_LAYERS);
    text->stack.heads = clip_json_int(r, cfg, "heads", 8, 1, MAX_HEADS);
    open_clip_stack(r, cfg, &text->stack);
    check_words(r, text);
}

static void open_clip_preprocess(clip_json_reader *r, const json_t *cfg, clip_image_config *image)
{
    clip_json_triple(r, cfg, "mean", openai_mean, -1, 2, image->mean);
    clip_json_triple(r, cfg, "std", openai_std, 1e-3, 10, image->std);
    require(r, cfg, "mode", "RGB");
    if (clip_json_square(r, cfg, "size", image->size, 1, MAX_IMAGE) != image->size)
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "size", "differs from the model's image_size");
    const char *filter = clip_json_string(r, cfg, "interpolation", "bicubic");
    const char *mode = clip_json_string(r, cfg, "resize_mode", "shortest");
    if (!strcmp(filter, "bilinear")) image->bilinear = true;
    else if (strcmp(filter, "bicubic") && strcmp(filter, "random"))
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "interpolation", "has a value that is not supported");
    if (!strcmp(mode, "squash")) image->fit = CLIP_FIT_SQUASH;
    else if (!strcmp(mode, "longest")) image->fit = CLIP_FIT_LONGEST;
    else if (strcmp(mode, "shortest")) clip_json_fail(r, CLIP_E_UNSUPPORTED, "resize_mode", "has a value that is not supported");
    if (image->fit == CLIP_FIT_LONGEST && clip_json_is_set(cfg, "fill_color"))
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "fill_color", "is set, which is not supported");
}

static void open_clip_model(clip_json_reader *r, const json_t *root, clip_config *out)
{
    const json_t *model = clip_json_object(r, root, "model_cfg");
    const json_t *vision = clip_json_object(r, model, "vision_cfg"), *text = clip_json_object(r, model, "text_cfg");
    if (!vision || !text) {
        clip_json_fail(r, CLIP_E_FORMAT, "model_cfg", "with vision_cfg and text_cfg is missing");
        return;
    }
    refuse(r, model, other_models);
    out->dim = clip_json_int(r, model, "embed_dim", 0, 1, MAX_WIDTH);
    if (!out->dim) clip_json_fail(r, CLIP_E_FORMAT, "embed_dim", "is missing");
    clip_activation act = clip_json_bool(r, model, "quick_gelu", false) ? CLIP_ACT_QUICK_GELU : CLIP_ACT_GELU;
    out->image.stack.act = out->text.stack.act = act;
    out->image.size = clip_json_square(r, vision, "image_size", 224, 1, MAX_IMAGE);
    const char *timm = clip_json_string(r, vision, "timm_model_name", "");
    if (siglip_sizes(timm, &out->image)) open_clip_siglip(r, vision, out);
    else if (*timm) open_clip_timm(r, vision, timm, &out->image);
    else if (json_is_array(json_object_get(vision, "layers"))) open_clip_resnet(r, vision, &out->image);
    else open_clip_vit(r, vision, &out->image);
    open_clip_text(r, text, &out->text);
    open_clip_preprocess(r, clip_json_object(r, root, "preprocess_cfg"), &out->image);
}

/* ---- Hugging Face ---------------------------------------------------------------------------------------------- */

/* `s` holds the defaults: CLIP's {width, layers, heads, mlp, QuickGELU, 1e-5}, or SigLIP's. */
static void huggingface_stack(clip_json_reader *r, const json_t *cfg, clip_stack_config *s)
{
    s->width = clip_json_int(r, cfg, "hidden_size", s->width, 1, MAX_WIDTH);
    s->mlp = clip_json_int(r, cfg, "intermediate_size", s->mlp, 1, 4 * MAX_WIDTH);
    s->layers = clip_json_int(r, cfg, "num_hidden_layers", s->layers, 1, MAX_LAYERS);
    s->heads = clip_json_int(r, cfg, "num_attention_heads", s->heads, 1, MAX_HEADS);
    s->eps = (float)clip_json_real(r, cfg, "layer_norm_eps", (double)s->eps, 0, 1);
    const char *act = clip_json_string(r, cfg, "hidden_act", s->act == CLIP_ACT_QUICK_GELU ? "quick_gelu" : "gelu_pytorch_tanh");
    if (!strcmp(act, "quick_gelu")) s->act = CLIP_ACT_QUICK_GELU;
    else if (!strcmp(act, "gelu")) s->act = CLIP_ACT_GELU;
    else if (!strcmp(act, "gelu_new") || !strcmp(act, "gelu_pytorch_tanh")) s->act = CLIP_ACT_GELU_TANH;
    else clip_json_fail(r, CLIP_E_UNSUPPORTED, "hidden_act", "has a value that is not supported");
    check_stack(r, s);
}

static void huggingface_siglip(clip_json_reader *r, const json_t *vision, const json_t *text, clip_config *out)
{
    out->text.padded = out->text.projection_bias = true;
    out->text.rules = CLIP_TEXT_PLAIN;
    out->dim = clip_json_int(r, text, "projection_size", out->text.stack.width, 1, MAX_WIDTH);
    if (!clip_json_bool(r, vision, "vision_use_head", true))
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "vision_use_head", "is off, which is not supported");
    attention_pool(r, out);
    check_words(r, &out->text);
}

static void huggingface_model(clip_json_reader *r, const json_t *root, clip_config *out)
{
    static const clip_stack_config clip_image = {768, 12, 12, 3072, CLIP_ACT_QUICK_GELU, 1e-5f},
                                   clip_text = {512, 12, 8, 2048, CLIP_ACT_QUICK_GELU, 1e-5f},
                                   siglip_both = {768, 12, 12, 3072, CLIP_ACT_GELU_TANH, 1e-6f};
    bool siglip = !strcmp(clip_json_string(r, root, "model_type", "clip"), "siglip");
    if (!strcmp(clip_json_string(r, root, "model_type", ""), "siglip2"))
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "model_type", "is SigLIP 2's, which is not supported; SigLIP is");
    if (!siglip) require(r, root, "model_type", "clip");
    const json_t *vision = clip_json_object(r, root, "vision_config"), *text = clip_json_object(r, root, "text_config");
    if (!vision && !text) clip_json_fail(r, CLIP_E_FORMAT, "vision_config", "and text_config are missing: not a CLIP model");
    out->image.stack = siglip ? siglip_both : clip_image;
    out->text.stack = siglip ? siglip_both : clip_text;
    huggingface_stack(r, vision, &out->image.stack);
    huggingface_stack(r, text, &out->text.stack);
    out->dim = clip_json_int(r, root, "projection_dim", 512, 1, MAX_WIDTH);
    out->image.kind = CLIP_IMAGE_VIT;
    out->image.size = clip_json_square(r, vision, "image_size", 224, 1, MAX_IMAGE);
    out->image.patch = clip_json_square(r, vision, "patch_size", siglip ? 16 : 32, 1, 128);
    if (clip_json_int(r, vision, "num_channels", 3, 1, 64) != 3)
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "num_channels", "is not 3");
    out->text.context = clip_json_int(r, text, "max_position_embeddings", siglip ? 64 : 77, 2, MAX_CONTEXT);
    out->text.vocab = clip_json_int(r, text, "vocab_size", siglip ? 32000 : 49408, 2, MAX_VOCAB);
    if (siglip) huggingface_siglip(r, vision, text, out);
}

/* "size": 224 | {"shortest_edge": 224} | {"height": 224, "width": 224} */
static int huggingface_size(clip_json_reader *r, const json_t *root, const char *key, int absent, bool *both)
{
    const json_t *size = json_object_get(root, key);
    if (!json_is_object(size)) return clip_json_square(r, root, key, absent, 1, MAX_IMAGE);
    int shortest = clip_json_int(r, size, "shortest_edge", 0, 1, MAX_IMAGE);
    if (shortest) return shortest;
    int height = clip_json_int(r, size, "height", absent, 1, MAX_IMAGE), width = clip_json_int(r, size, "width", absent, 1, MAX_IMAGE);
    if (height != width) clip_json_fail(r, CLIP_E_UNSUPPORTED, key, "is not square");
    *both = true;
    return height;
}

static void huggingface_preprocess(clip_json_reader *r, const json_t *root, clip_image_config *image)
{
    bool squash = image->attention_pool, unused = false;
    clip_json_triple(r, root, "image_mean", squash ? halves : openai_mean, -1, 2, image->mean);
    clip_json_triple(r, root, "image_std", squash ? halves : openai_std, 1e-3, 10, image->std);
    image->resize_to = huggingface_size(r, root, "size", image->size, &squash);
    int crop = huggingface_size(r, root, "crop_size", image->size, &unused);
    int resample = clip_json_int(r, root, "resample", 3, 0, 5);
    if (resample != 2 && resample != 3) clip_json_fail(r, CLIP_E_UNSUPPORTED, "resample", "is neither bilinear nor bicubic");
    image->bilinear = resample == 2;
    if (squash) image->fit = CLIP_FIT_SQUASH;
    if (!clip_json_bool(r, root, "do_resize", true) || !clip_json_bool(r, root, "do_normalize", true) ||
        !clip_json_bool(r, root, "do_rescale", true))
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "do_resize, do_rescale or do_normalize", "is off, which is not supported");
    bool crops = clip_json_bool(r, root, "do_center_crop", !image->attention_pool);
    if ((crops ? crop : image->resize_to) != image->size || (!crops && !squash) || image->resize_to < image->size)
        clip_json_fail(r, CLIP_E_UNSUPPORTED, "crop_size", "does not give the model's image_size");
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

clip_status clip_config_parse_open_clip(const char *name, const char *json, size_t n, clip_config *out, clip_error *err)
{
    clip_json_reader r = {name, err, CLIP_OK};
    json_t *root = clip_json_parse(&r, json, n);
    if (root) {
        memset(out, 0, sizeof *out);
        out->form = CLIP_FORM_OPEN_CLIP;
        open_clip_model(&r, root, out);
    }
    json_decref(root);
    return r.status;
}

clip_status clip_config_parse_huggingface(const char *name, const char *json, size_t n, const char *preprocessor,
                                          size_t preprocessor_n, clip_config *out, clip_error *err)
{
    clip_json_reader r = {name, err, CLIP_OK};
    json_t *root = clip_json_parse(&r, json, n);
    json_t *pre = root && preprocessor ? clip_json_parse(&r, preprocessor, preprocessor_n) : NULL;
    if (root && !r.status) {
        memset(out, 0, sizeof *out);
        out->form = CLIP_FORM_HUGGINGFACE;
        huggingface_model(&r, root, out);
        huggingface_preprocess(&r, pre, &out->image);
    }
    json_decref(root);
    json_decref(pre);
    return r.status;
}
