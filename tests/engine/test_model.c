/* test_model.c: which model directories open, what is said about them, and that a file which does not fit is refused with the
 * tensor's name, what it has and what was expected. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/clip.h"
#include "engine/model/config.h"
#include "engine/model/safetensors.h"
#include "engine/model/weights.h"
#include "made_model.h"

/* ---- helpers ---------------------------------------------------------------------------------------------------- */

static char *path_in(const char *dir, const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static unsigned char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*n + 1);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    bytes[*n] = 0;
    fclose(f);
    return bytes;
}

static void spill(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Replaces text by text of the same length. */
static void edit(const char *path, const char *from, const char *to)
{
    size_t n;
    unsigned char *bytes = slurp(path, &n);
    assert_int_equal(strlen(from), strlen(to));
    unsigned char *at = memmem(bytes, n, from, strlen(from));
    if (!at) fail_msg("%s is not in %s", from, path);
    memcpy(at, to, strlen(to));
    spill(path, bytes, n);
    free(bytes);
}

static void assert_refused(const char *dir, clip_status want, const char *first, const char *second)
{
    clip_model *m = NULL;
    clip_error err = {0};
    clip_status s = clip_model_open(dir, &m, &err);
    if (s != want) fail_msg("%s: %s, %s", clip_status_name(s), err.text, clip_status_name(want));
    if (!strstr(err.text, first) || !strstr(err.text, second)) fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.text, first, second);
    assert_null(strchr(err.text, '\n'));
}

static clip_model *open_model(const char *dir)
{
    clip_model *m = NULL;
    clip_error err = {0};
    if (clip_model_open(dir, &m, &err)) fail_msg("%s", err.text);
    return m;
}

/* The bytes of a safetensors file with this header, of which `data` zeros follow; freed by the caller. */
static unsigned char *with_header(const char *header, size_t data)
{
    size_t n = strlen(header);
    unsigned char *bytes = calloc(1, 8 + n + data);
    uint64_t length = n;
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, n);
    return bytes;
}

static clip_status parse(const char *header, size_t data, clip_error *err)
{
    size_t n = strlen(header);
    unsigned char *bytes = with_header(header, data);
    clip_safetensors *s = NULL;
    clip_status st = clip_safetensors_parse("x.safetensors", bytes, 8 + n + data, &s, err);
    clip_safetensors_close(s);
    free(bytes);
    return st;
}

static void assert_header(const char *header, size_t data, clip_status want, const char *says)
{
    clip_error err = {0};
    clip_status s = parse(header, data, &err);
    if (s != want || !strstr(err.text, says)) fail_msg("%s gives %s: %s", header, clip_status_name(s), err.text);
}

/* ---- what opens ------------------------------------------------------------------------------------------------- */

static void a_model_is_described(void **state)
{
    clip_model *m = open_model(made_model("vit_quick_f32"));
    const clip_model_info *i = clip_model_describe(m);
    assert_string_equal(i->name, "vit_quick_f32");
    assert_string_equal(i->file_form, "open_clip");
    assert_string_equal(i->image_arch, "ViT 3x64/8");
    assert_string_equal(i->text_arch, "transformer 3x48");
    assert_int_equal(i->dim, 24);
    assert_int_equal(i->image_size, 32);
    assert_int_equal(i->context_length, 16);
    assert_int_equal(i->vocab_size, 514);
    assert_true(i->has_image && i->has_text);
    assert_int_equal(i->image_params, 64 * 192 + 64 + 17 * 64 + 4 * 64 + 64 * 24 + 3 * (12 * 64 * 64 + 13 * 64));
    assert_float_equal(i->logit_scale, 14.2428f, 1e-3);
    assert_int_equal(strlen(i->fingerprint), 32);
    clip_model_close(m);

    m = open_model(made_model("hf_quick_f16"));
    assert_string_equal(clip_model_describe(m)->file_form, "huggingface");
    clip_model_close(m);
    m = open_model(made_model("lite0_mlp_f16"));
    assert_string_equal(clip_model_describe(m)->image_arch, "EfficientNet-Lite0");
    assert_float_equal(clip_model_describe(m)->logit_bias, 0, 0);
    clip_model_close(m);
    m = open_model(made_model("hf_siglip_f32"));
    assert_string_equal(clip_model_describe(m)->image_arch, "ViT 2x144/8, pooled");
    assert_int_equal(clip_model_describe(m)->dim, 144);
    assert_true(clip_model_describe(m)->logit_bias != 0);
    clip_model_close(m);
}

static void closing_nothing_is_allowed(void **state)
{
    clip_model_close(NULL);
    clip_image_encoder_destroy(NULL);
    clip_text_encoder_destroy(NULL);
}

static void the_name_is_the_last_component(void **state)
{
    char dir[160];
    snprintf(dir, sizeof dir, "%s///", made_model("vit_gelu_bf16"));
    clip_model *m = open_model(dir);
    assert_string_equal(clip_model_describe(m)->name, "vit_gelu_bf16");
    clip_model_close(m);
}

static void the_fingerprint_follows_weights_and_configuration_alone(void **state)
{
    char first[33];
    clip_model *m = open_model(made_model_copy("vit_gelu_bf16", "print-a"));
    strcpy(first, clip_model_describe(m)->fingerprint);
    clip_model_close(m);
    m = open_model(made_model_copy("vit_gelu_bf16", "print-b"));
    assert_string_equal(first, clip_model_describe(m)->fingerprint);
    clip_model_close(m);

    const char *dir = made_model_copy("vit_gelu_bf16", "print-c");
    edit(path_in(dir, "open_clip_config.json"), "\"interpolation\": \"bicubic\"", "\"interpolation\":\"bilinear\"");
    m = open_model(dir);
    assert_string_not_equal(first, clip_model_describe(m)->fingerprint);
    clip_model_close(m);

    dir = made_model_copy("vit_gelu_bf16", "print-d");
    size_t n;
    unsigned char *bytes = slurp(path_in(dir, "open_clip_model.safetensors"), &n);
    for (size_t i = n / 2; i < n; i++) bytes[i] ^= 1; /* behind the header */
    spill(path_in(dir, "open_clip_model.safetensors"), bytes, n);
    free(bytes);
    m = open_model(dir);
    assert_string_not_equal(first, clip_model_describe(m)->fingerprint);
    clip_model_close(m);
}

static void one_tower_is_enough(void **state)
{
    clip_error err = {0};
    clip_text_encoder *t = NULL;
    clip_image_encoder *e = NULL;
    const char *dir = made_model_copy("hf_gelu_f32", "image-only");
    edit(path_in(dir, "model.safetensors"), "text_model.embeddings.token_embedding.weight", "text_model.embeddings.token_embedding.weighs");
    clip_model *m = open_model(dir);
    assert_true(clip_model_describe(m)->has_image && !clip_model_describe(m)->has_text);
    assert_int_equal(clip_text_encoder_create(m, NULL, &t, &err), CLIP_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no text tower"));
    clip_model_close(m);

    dir = made_model_copy("hf_gelu_f32", "text-only");
    edit(path_in(dir, "model.safetensors"), "vision_model.embeddings.patch_embedding.weight", "vision_model.embeddings.patch_embedding.weighs");
    m = open_model(dir);
    assert_true(!clip_model_describe(m)->has_image && clip_model_describe(m)->has_text);
    err.text[0] = 0;
    assert_int_equal(clip_image_encoder_create(m, NULL, &e, &err), CLIP_E_UNSUPPORTED);
    assert_int_equal(clip_text_encoder_create(m, NULL, &t, NULL), CLIP_OK);
    clip_text_encoder_destroy(t);
    clip_model_close(m);
}

/* ---- what does not ---------------------------------------------------------------------------------------------- */

static void an_absent_model_is_named(void **state)
{
    assert_refused("/nonexistent/model", CLIP_E_IO, "/nonexistent/model", "no model here");
    const char *dir = made_model_copy("vit_gelu_bf16", "absent");
    unlink(path_in(dir, "open_clip_model.safetensors"));
    assert_refused(dir, CLIP_E_IO, "open_clip_model.safetensors", "No such file");
}

static void a_tensor_that_does_not_fit_is_named(void **state)
{
    const char *dir = made_model_copy("vit_quick_f32", "missing"), *file = path_in(dir, "open_clip_model.safetensors");
    edit(file, "visual.transformer.resblocks.1.ln_2.weight", "visual.transformer.resblocks.1.ln_2.weighs");
    assert_refused(dir, CLIP_E_FORMAT, "visual.transformer.resblocks.1.ln_2.weight is missing", "[64]");

    dir = made_model_copy("vit_quick_f32", "shape");
    edit(path_in(dir, "open_clip_model.safetensors"), "\"text_projection\":{\"dtype\":\"F32\",\"shape\":[48,24]",
         "\"text_projection\":{\"dtype\":\"F32\",\"shape\":[24,48]");
    assert_refused(dir, CLIP_E_FORMAT, "text_projection has the shape [24, 48]", "[48, 24]");

    dir = made_model_copy("vit_quick_f32", "type");
    edit(path_in(dir, "open_clip_model.safetensors"), "\"visual.proj\":{\"dtype\":\"F32\"", "\"visual.proj\":{\"dtype\":\"I32\"");
    assert_refused(dir, CLIP_E_UNSUPPORTED, "visual.proj has the type I32", "F16");

    dir = made_model_copy("lite0_mlp_f16", "lite");
    edit(path_in(dir, "open_clip_config.json"), "tf_efficientnet_lite0", "tf_efficientnet_lite2");
    assert_refused(dir, CLIP_E_FORMAT, "visual.trunk.blocks.1.2.conv_pw.weight is missing", "[144, 24, 1, 1]");
}

static void every_truncation_is_refused(void **state)
{
    const char *dir = made_model_copy("vit_gelu_bf16", "truncated"), *file = path_in(dir, "open_clip_model.safetensors");
    size_t n;
    unsigned char *bytes = slurp(file, &n);
    for (size_t keep = 0; keep < n; keep += keep < 200 ? 1 : 997) {
        clip_safetensors *s = NULL;
        clip_error err = {0};
        unsigned char *part = malloc(keep ? keep : 1); /* its own block, so that a sanitizer sees a read behind it */
        memcpy(part, bytes, keep);
        clip_status st = clip_safetensors_parse("part", part, keep, &s, &err);
        free(part);
        if (st != CLIP_E_FORMAT) fail_msg("%zu of %zu bytes: %s", keep, n, clip_status_name(st));
    }
    assert_int_equal(truncate(file, (off_t)n - 1), 0);
    assert_refused(dir, CLIP_E_FORMAT, "truncated", "tensor");
    free(bytes);
}

#define T(name, dtype, shape, begin, end) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void hostile_headers_are_refused(void **state)
{
    assert_header("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F16", "[]", 8, 10) ",\"__metadata__\":{\"x\":\"y\"}}", 10, CLIP_OK, "");
    assert_header("{}", 0, CLIP_OK, "");
    assert_header("{" T("a", "F32", "[0]", 0, 0) "," T("b", "F32", "[1]", 0, 4) "}", 4, CLIP_OK, "");
    assert_header("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", 12, CLIP_E_FORMAT, "tensor b overlaps");
    assert_header("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 12, 20) "}", 20, CLIP_E_FORMAT, "tensor b begins after a gap");
    assert_header("{" T("a", "F32", "[2]", 0, 8) "}", 9, CLIP_E_FORMAT, "1 bytes after");
    assert_header("{" T("a", "F32", "[2]", 0, 8) "," T("a", "F32", "[2]", 8, 16) "}", 16, CLIP_E_FORMAT, "duplicate");
    assert_header("{" T("a", "F32", "[3]", 0, 8) "}", 8, CLIP_E_FORMAT, "tensor a has 8 bytes");
    assert_header("{" T("a", "F32", "[2]", 8, 0) "}", 8, CLIP_E_FORMAT, "tensor a has impossible offsets");
    assert_header("{" T("a", "F32", "[2]", -8, 0) "}", 8, CLIP_E_FORMAT, "tensor a has impossible offsets");
    assert_header("{" T("a", "F32", "[2]", 0, 9223372036854775807) "}", 8, CLIP_E_FORMAT, "truncated");
    assert_header("{" T("a", "F32", "[2]", 0, 9223372036854775808) "}", 8, CLIP_E_FORMAT, "broken header");
    assert_header("{" T("a", "F32", "[-2]", 0, 8) "}", 8, CLIP_E_FORMAT, "tensor a has an impossible shape");
    assert_header("{" T("a", "F32", "[2.0]", 0, 8) "}", 8, CLIP_E_FORMAT, "tensor a has an impossible shape");
    assert_header("{" T("a", "F32", "[4294967296,4294967296]", 0, 0) "}", 0, CLIP_E_FORMAT, "tensor a has an impossible shape");
    assert_header("{" T("a", "F32", "[4611686018427387904]", 0, 0) "}", 0, CLIP_E_FORMAT, "tensor a has 0 bytes");
    assert_header("{" T("a", "F32", "[1,1,1,1,1,1,1]", 0, 4) "}", 4, CLIP_E_FORMAT, "tensor a has no shape");
    assert_header("{" T("a", "F31", "[1]", 0, 4) "}", 4, CLIP_E_UNSUPPORTED, "unknown type F31");
    assert_header("{\"a\":7}", 0, CLIP_E_UNSUPPORTED, "tensor a");
    assert_header("[1]", 0, CLIP_E_FORMAT, "no JSON object");
    assert_header("{\"a\n\":", 0, CLIP_E_FORMAT, "broken header");
}

/* An empty tensor may have any other sizes, and a message must hold them. */
static void the_longest_shape_fits_its_message(void **state)
{
#define LONG "9223372036854775807"
    static const char header[] = "{" T("a", "F32", "[0," LONG "," LONG "," LONG ",100000000000," LONG "]", 0, 0) "}";
    clip_safetensors *s = NULL;
    clip_error err = {0};
    clip_view v;
    unsigned char *bytes = with_header(header, 0);
    assert_int_equal(clip_safetensors_parse("x", bytes, 8 + strlen(header), &s, NULL), CLIP_OK);
    assert_int_equal(clip_weights_take(s, "a", 1, &(int64_t){7}, &v, &err), CLIP_E_FORMAT);
    if (!strstr(err.text, "[0, " LONG ", " LONG ", " LONG ", 100000000000, " LONG "], but the configuration asks for [7]")) fail_msg("%s", err.text);
    clip_safetensors_close(s);
    free(bytes);
}

static void a_huge_header_costs_no_memory(void **state)
{
    clip_error err = {0};
    clip_safetensors *s = NULL;
    unsigned char bytes[64] = {0};
    memset(bytes, 0xff, 8);
    assert_int_equal(clip_safetensors_parse("x", bytes, sizeof bytes, &s, &err), CLIP_E_FORMAT);
    const size_t n = (size_t)5 << 20;
    unsigned char *large = malloc(n + 8);
    memset(large, '[', n + 8);
    memcpy(large, &(uint64_t){n}, 8);
    assert_int_equal(clip_safetensors_parse("x", large, n + 8, &s, NULL), CLIP_E_LIMIT);
    memcpy(large, &(uint64_t){1 << 20}, 8); /* a million brackets deep */
    assert_int_equal(clip_safetensors_parse("x", large, n + 8, &s, NULL), CLIP_E_FORMAT);
    free(large);
}

static void what_is_not_a_file_is_refused(void **state)
{
    const char *dir = made_model_copy("vit_gelu_bf16", "fifo"), *file = path_in(dir, "open_clip_model.safetensors");
    unlink(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_refused(dir, CLIP_E_FORMAT, "not a regular file", "safetensors");
    unlink(file);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_refused(dir, CLIP_E_FORMAT, "not a regular file", "safetensors");
    rmdir(file);
    spill(file, "", 0);
    assert_refused(dir, CLIP_E_FORMAT, "no safetensors file", "0 bytes");
}

/* ---- configurations --------------------------------------------------------------------------------------------- */

static clip_status open_clip(const char *vision, const char *text, const char *rest, const char *preprocess, clip_config *c, clip_error *err)
{
    char json[2048];
    snprintf(json, sizeof json, "{\"model_cfg\":{\"embed_dim\":512,\"vision_cfg\":{%s},\"text_cfg\":{%s}%s},\"preprocess_cfg\":{%s}}",
             vision, text, rest, preprocess);
    return clip_config_parse_open_clip("c.json", json, strlen(json), c, err);
}

static void open_clip_defaults_are_open_clips(void **state)
{
    clip_config c;
    clip_error err = {0};
    assert_int_equal(open_clip("", "", "", "", &c, &err), CLIP_OK);
    assert_int_equal(c.image.stack.width, 768);
    assert_int_equal(c.image.stack.heads, 12);
    assert_int_equal(c.image.stack.mlp, 3072);
    assert_int_equal(c.image.patch, 16);
    assert_int_equal(c.image.size, 224);
    assert_int_equal(c.text.context, 77);
    assert_int_equal(c.text.vocab, 49408);
    assert_int_equal(c.text.stack.heads, 8);
    assert_int_equal(c.image.stack.act, CLIP_ACT_GELU);
    assert_int_equal(c.image.fit, CLIP_FIT_SHORTEST);
    assert_float_equal(c.image.mean[0], 0.48145466f, 1e-7);

    assert_int_equal(open_clip("\"width\":1280,\"head_width\":80,\"layers\":32,\"patch_size\":14", "", ",\"quick_gelu\":true",
                               "\"mean\":[0.5,0.5,0.5],\"std\":0.5,\"resize_mode\":\"squash\",\"interpolation\":\"bilinear\"", &c, &err), CLIP_OK);
    assert_int_equal(c.image.stack.heads, 16);
    assert_int_equal(c.text.stack.act, CLIP_ACT_QUICK_GELU);
    assert_int_equal(c.image.fit, CLIP_FIT_SQUASH);
    assert_true(c.image.bilinear);
    assert_float_equal(c.image.std[2], 0.5f, 0);

    assert_int_equal(open_clip("\"image_size\":288,\"width\":80,\"layers\":[4,6,10,6],\"patch_size\":null", "", "", "\"size\":288", &c, &err), CLIP_OK);
    assert_int_equal(c.image.kind, CLIP_IMAGE_RESNET);
    assert_int_equal(c.image.stages[2], 10);
    assert_int_equal(c.image.stack.heads, 40);
}

#define SIGLIP "\"image_size\":384,\"timm_model_name\":\"vit_so400m_patch14_siglip_384.webli\""
#define SIGLIP_TEXT "\"no_causal_mask\":true,\"pool_type\":\"last\""

static void siglips_sizes_come_from_its_name(void **state)
{
    static const char json[] = "{\"model_cfg\":{\"embed_dim\":1152,\"init_logit_bias\":-10,\"vision_cfg\":{" SIGLIP
        ",\"timm_pool\":\"map\",\"timm_proj\":\"none\"},\"text_cfg\":{" SIGLIP_TEXT ",\"context_length\":64,\"proj_bias\":true}}}";
    clip_config c;
    clip_error err = {0};
    if (clip_config_parse_open_clip("c", json, sizeof json - 1, &c, &err)) fail_msg("%s", err.text);
    assert_true(c.image.attention_pool && c.text.padded && c.text.projection_bias);
    assert_int_equal(c.image.stack.width, 1152);
    assert_int_equal(c.image.stack.heads, 16); /* 72 wide */
    assert_int_equal(c.image.stack.mlp, 4304);
    assert_int_equal(c.image.stack.act, CLIP_ACT_GELU);
    assert_int_equal(c.image.patch, 14);
    assert_int_equal(c.image.size, 384);
    assert_int_equal(c.text.rules, CLIP_TEXT_CANONICAL);
    assert_int_equal(open_clip("", SIGLIP_TEXT ",\"hf_tokenizer_name\":\"x\",\"act_kwargs\":{\"approximate\":\"tanh\"}", "", "", &c, &err), CLIP_OK);
    assert_int_equal(c.text.rules, CLIP_TEXT_AS_IT_IS);
    assert_int_equal(c.text.stack.act, CLIP_ACT_GELU_TANH);
    assert_int_equal(c.image.stack.act, CLIP_ACT_GELU);
}

static void what_would_change_the_arithmetic_is_refused_by_name(void **state)
{
    static const struct { const char *vision, *text, *rest, *preprocess, *says; } bad[] = {
        {"\"layers\":[3,4,6]", "", "", "", "layers"}, {"\"layers\":[3,4,6,0],\"width\":64", "", "", "", "layers"},
        {"\"layers\":[3,4,6,1e9],\"width\":64", "", "", "", "layers"}, {"\"layers\":[3,4,6,3]", "", "", "", "width"},
        {"\"layers\":[3,4,6,3],\"width\":64,\"head_width\":2049", "", "", "", "head_width"},
        {"\"layers\":[3,4,6,3],\"width\":64,\"image_size\":255", "", "", "", "image_size"}, {"\"pool_type\":\"avg\"", "", "", "", "pool_type"},
        {"\"ls_init_value\":0.1", "", "", "", "ls_init_value"}, {"\"attentional_pool\":true", "", "", "", "attentional_pool"},
        {"\"no_ln_pre\":true", "", "", "", "no_ln_pre"}, {"\"timm_model_name\":\"convnext_tiny\"", "", "", "", "timm_model_name"},
        {"\"timm_model_name\":\"tf_efficientnet_lite7\"", "", "", "", "timm_model_name"},
        {"\"timm_model_name\":\"tf_efficientnet_lite0\",\"timm_pool\":\"abs_attn\"", "", "", "", "timm_pool"},
        {"\"timm_model_name\":\"tf_efficientnet_lite0\",\"timm_proj\":\"x\"", "", "", "", "timm_proj"},
        {"\"width\":-1", "", "", "", "width"}, {"\"width\":1e3", "", "", "", "width"}, {"\"width\":100000", "", "", "", "width"},
        {"\"patch_size\":0", "", "", "", "patch_size"}, {"\"image_size\":[224,200]", "", "", "", "image_size"}, {"\"image_size\":4096", "", "", "", "image_size"},
        {"\"head_width\":9999", "", "", "", "head_width"}, {"\"mlp_ratio\":0", "", "", "", "mlp_ratio"},
        {"", "\"no_causal_mask\":true", "", "", "pool_type"}, {"", "\"hf_model_name\":\"roberta\"", "", "", "hf_model_name"},
        {"", "\"pool_type\":\"last\"", "", "", "pool_type"}, {"", "\"heads\":7", "", "", "heads"}, {"", "\"vocab_size\":1", "", "", "vocab_size"},
        {"", "\"context_length\":100000", "", "", "context_length"}, {"", "\"proj_bias\":1", "", "", "proj_bias"},
        {"", "\"act_kwargs\":{\"approximate\":\"x\"}", "", "", "act_kwargs"}, {"", "\"act_kwargs\":{\"inplace\":true}", "", "", "act_kwargs"},
        {"", SIGLIP_TEXT ",\"tokenizer_kwargs\":{\"clean\":\"x\"}", "", "", "clean"}, {"", SIGLIP_TEXT ",\"vocab_size\":256000", "", "", "SigLIP 2"},
        {SIGLIP ",\"timm_pool\":\"map\",\"timm_proj\":\"none\"", "", "", "", "embed_dim"}, {SIGLIP ",\"timm_pool\":\"avg\"", "", "", "", "timm_pool"},
        {SIGLIP ",\"timm_pool\":\"map\"", "", "", "", "timm_proj"}, {"\"timm_model_name\":\"vit_base_patch16_siglip_gap_224\"", "", "", "", "timm_model_name"},
        {"\"timm_model_name\":\"vit_base_patch999_siglip_224\"", "", "", "", "timm_model_name"},
        {"\"timm_model_name\":\"vit_tiny_patch16_siglip_224\"", "", "", "", "timm_model_name"},
        {"", "", ",\"multimodal_cfg\":{\"x\":1}", "", "multimodal_cfg"}, {"", "", ",\"quick_gelu\":1", "", "quick_gelu"},
        {"", "", "", "\"size\":[256,256]", "size"}, {"", "", "", "\"mean\":[1,2]", "mean"}, {"", "", "", "\"std\":[0,0,0]", "std"},
        {"", "", "", "\"interpolation\":\"nearest\"", "interpolation"}, {"", "", "", "\"resize_mode\":\"x\"", "resize_mode"}, {"", "", "", "\"mode\":\"L\"", "mode"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clip_config c;
        clip_error err = {0};
        clip_status s = open_clip(bad[i].vision, bad[i].text, bad[i].rest, bad[i].preprocess, &c, &err);
        if (!s || !strstr(err.text, bad[i].says) || !strstr(err.text, "c.json"))
            fail_msg("case %zu (%s): %s, %s", i, bad[i].says, clip_status_name(s), err.text);
    }
}

static clip_status hugging(const char *config, const char *pre, clip_config *c, clip_error *err)
{
    return clip_config_parse_huggingface("config.json", config, strlen(config), pre, pre ? strlen(pre) : 0, c, err);
}

static void hugging_face_defaults_are_transformers(void **state)
{
    clip_config c;
    clip_error err = {0};
    assert_int_equal(hugging("{\"model_type\":\"clip\",\"vision_config\":{},\"text_config\":{}}", NULL, &c, &err), CLIP_OK);
    assert_int_equal(c.dim, 512);
    assert_int_equal(c.image.patch, 32);
    assert_int_equal(c.image.stack.mlp, 3072);
    assert_int_equal(c.text.stack.width, 512);
    assert_int_equal(c.image.stack.act, CLIP_ACT_QUICK_GELU);
    assert_int_equal(hugging("{\"vision_config\":{\"hidden_act\":\"gelu\"}}", "{\"size\":224,\"crop_size\":224,\"resample\":2,\"do_center_crop\":true}", &c, &err), CLIP_OK);
    assert_int_equal(c.image.stack.act, CLIP_ACT_GELU);
    assert_true(c.image.bilinear);
    assert_int_equal(hugging("{\"vision_config\":{}}", "{\"size\":{\"height\":224,\"width\":224},\"do_center_crop\":false}", &c, &err), CLIP_OK);
    assert_int_equal(c.image.fit, CLIP_FIT_SQUASH);
    assert_int_equal(hugging("{\"vision_config\":{}}", "{\"size\":{\"shortest_edge\":256},\"crop_size\":{\"height\":224,\"width\":224}}", &c, &err), CLIP_OK);
    assert_int_equal(c.image.resize_to, 256);
}

static void hugging_faces_siglip_has_defaults_of_its_own(void **state)
{
    clip_config c;
    clip_error err = {0};
    if (hugging("{\"model_type\":\"siglip\",\"vision_config\":{},\"text_config\":{}}", NULL, &c, &err)) fail_msg("%s", err.text);
    assert_true(c.image.attention_pool && c.text.padded && c.text.projection_bias);
    assert_int_equal(c.dim, 768);
    assert_int_equal(c.image.patch, 16);
    assert_int_equal(c.text.context, 64);
    assert_int_equal(c.text.vocab, 32000);
    assert_int_equal(c.text.stack.heads, 12);
    assert_int_equal(c.text.stack.act, CLIP_ACT_GELU_TANH);
    assert_float_equal(c.text.stack.eps, 1e-6f, 0);
    assert_int_equal(c.text.rules, CLIP_TEXT_PLAIN);
    assert_int_equal(c.image.fit, CLIP_FIT_SQUASH);
    assert_float_equal(c.image.mean[1], 0.5f, 0);
}

static void hugging_faces_other_models_are_refused(void **state)
{
    static const struct { const char *config, *pre, *says; } bad[] = {
        {"{\"model_type\":\"siglip2\",\"vision_config\":{}}", NULL, "SigLIP 2"},
        {"{\"model_type\":\"siglip\",\"vision_config\":{\"vision_use_head\":false}}", NULL, "vision_use_head"}, {"{\"model_type\":\"siglip\",\"text_config\":{\"hidden_size\":384}}", NULL, "embed_dim"},
        {"{\"model_type\":\"siglip\",\"text_config\":{\"vocab_size\":256000}}", NULL, "SigLIP 2"}, {"{\"model_type\":\"bert\",\"text_config\":{}}", NULL, "model_type"},
         {"{}", NULL, "vision_config"}, {"[]", NULL, "not a JSON object"}, {"{", NULL, "line 1"},
        {"{\"vision_config\":{\"hidden_act\":\"relu\"}}", NULL, "hidden_act"}, {"{\"vision_config\":{\"num_attention_heads\":7}}", NULL, "heads"},
        {"{\"vision_config\":{\"num_channels\":1}}", NULL, "num_channels"}, {"{\"vision_config\":7}", NULL, "vision_config"},
        {"{\"vision_config\":{}}", "{\"resample\":0}", "resample"}, {"{\"vision_config\":{}}", "{\"do_normalize\":false}", "do_normalize"},
        {"{\"vision_config\":{}}", "{\"crop_size\":100}", "crop_size"}, {"{\"vision_config\":{}}", "{\"size\":{\"height\":1,\"width\":2}}", "size"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clip_config c;
        clip_error err = {0};
        clip_status s = hugging(bad[i].config, bad[i].pre, &c, &err);
        if (!s || !strstr(err.text, bad[i].says)) fail_msg("case %zu (%s): %s, %s", i, bad[i].says, clip_status_name(s), err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_described),
        cmocka_unit_test(closing_nothing_is_allowed),
        cmocka_unit_test(the_name_is_the_last_component),
        cmocka_unit_test(the_fingerprint_follows_weights_and_configuration_alone),
        cmocka_unit_test(one_tower_is_enough),
        cmocka_unit_test(an_absent_model_is_named),
        cmocka_unit_test(a_tensor_that_does_not_fit_is_named),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(the_longest_shape_fits_its_message),
        cmocka_unit_test(a_huge_header_costs_no_memory),
        cmocka_unit_test(what_is_not_a_file_is_refused),
        cmocka_unit_test(open_clip_defaults_are_open_clips),
        cmocka_unit_test(siglips_sizes_come_from_its_name),
        cmocka_unit_test(what_would_change_the_arithmetic_is_refused_by_name),
        cmocka_unit_test(hugging_face_defaults_are_transformers),
        cmocka_unit_test(hugging_faces_siglip_has_defaults_of_its_own),
        cmocka_unit_test(hugging_faces_other_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
