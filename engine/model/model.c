/* model.c: a model directory, opened.
 *
 *     form           configuration                                   weights
 *     open_clip      open_clip_config.json                           open_clip_model.safetensors
 *     Hugging Face   config.json, preprocessor_config.json if any    model.safetensors
 *
 * Large models come in several files, which NAME.safetensors.index.json lists.
 *
 * Some repositories hold both forms; then open_clip's is taken, whose configuration says more. Opening maps the weights and
 * checks every tensor's shape against the configuration, so that a model which opens also runs; nothing but headers is read.
 * The vocabulary is opened by whoever first needs it, because indexing never does. */
#include "engine/model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/model/fingerprint.h"
#include "engine/model/whole_file.h"

#define MAX_CONFIG_BYTES (1 << 20)

/* ---- files ------------------------------------------------------------------------------------------------------ */

static char *join(const char *dir, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static bool exists(const char *dir, const char *name)
{
    struct stat st;
    char *path = join(dir, name);
    bool found = path && !stat(path, &st);
    free(path);
    return found;
}

static clip_status read_file(const char *dir, const char *name, clip_text_file *out, clip_error *err)
{
    char *path = join(dir, name);
    clip_status s = path ? clip_whole_file_read(path, MAX_CONFIG_BYTES, &out->bytes, &out->n, err)
                         : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    free(path);
    return s;
}

/* In one file, or in several that an index lists. */
static bool has_weights(const char *dir, const char *name)
{
    char index[64];
    snprintf(index, sizeof index, "%s.index.json", name);
    return exists(dir, name) || exists(dir, index);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

/* One file, or where there is none the several that an index names. */
static clip_status open_weights(clip_model *m, const char *name, clip_error *err)
{
    char index[64];
    clip_text_file json = {0};
    snprintf(index, sizeof index, "%s.index.json", name);
    bool sharded = !exists(m->dir, name) && exists(m->dir, index);
    char *path = join(m->dir, sharded ? index : name);
    clip_status s = path ? CLIP_OK : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    if (!s && sharded) s = read_file(m->dir, index, &json, err);
    if (!s) s = sharded ? clip_shards_open(path, json.bytes, json.n, &m->file, err) : clip_safetensors_open(path, &m->file, err);
    free(json.bytes);
    free(path);
    return s;
}

static clip_status open_files(clip_model *m, clip_text_file files[2], clip_error *err)
{
    char name[512];
    clip_status s;
    if (exists(m->dir, "open_clip_config.json") &&
        (has_weights(m->dir, "open_clip_model.safetensors") || !has_weights(m->dir, "model.safetensors"))) {
        snprintf(name, sizeof name, "%s/open_clip_config.json", m->dir);
        s = read_file(m->dir, "open_clip_config.json", &files[0], err);
        if (!s) s = clip_config_parse_open_clip(name, files[0].bytes, files[0].n, &m->config, err);
        return s ? s : open_weights(m, "open_clip_model.safetensors", err);
    }
    if (!exists(m->dir, "config.json"))
        return clip_fail(err, CLIP_E_IO, "%s: no model here: neither open_clip_config.json nor config.json", m->dir);
    snprintf(name, sizeof name, "%s/config.json", m->dir);
    s = read_file(m->dir, "config.json", &files[0], err);
    if (!s && exists(m->dir, "preprocessor_config.json")) s = read_file(m->dir, "preprocessor_config.json", &files[1], err);
    if (!s) s = clip_config_parse_huggingface(name, files[0].bytes, files[0].n, files[1].bytes, files[1].n, &m->config, err);
    return s ? s : open_weights(m, "model.safetensors", err);
}

static clip_status bind(clip_model *m, clip_error *err)
{
    clip_status s = CLIP_OK;
    m->info.has_image = clip_weights_have_image(m->file, &m->config);
    m->info.has_text = clip_weights_have_text(m->file, &m->config);
    if (!m->info.has_image && !m->info.has_text)
        return clip_fail(err, CLIP_E_FORMAT, "%s: neither tower of the configuration is in it", clip_safetensors_path(m->file));
    if (m->info.has_image && m->config.image.kind == CLIP_IMAGE_VIT) s = clip_vit_bind(m->file, &m->config, &m->vit, err);
    if (m->info.has_image && m->config.image.kind == CLIP_IMAGE_EFFICIENTNET_LITE)
        s = clip_efficientnet_bind(m->file, &m->config, &m->efficientnet, err);
    if (m->info.has_image && m->config.image.kind == CLIP_IMAGE_RESNET)
        s = clip_resnet_bind(m->file, &m->config, &m->resnet, err);
    if (!s && m->info.has_text) s = clip_text_bind(m->file, &m->config, &m->text, err);
    return s;
}

static bool is_image_tensor(const char *name)
{
    return !strncmp(name, "visual.", 7) || !strncmp(name, "vision_model.", 13) || !strncmp(name, "visual_projection.", 18);
}

static void describe(clip_model *m)
{
    const clip_config *c = &m->config;
    const clip_stack_config *i = &c->image.stack, *t = &c->text.stack;
    clip_model_info *info = &m->info;
    if (c->image.kind == CLIP_IMAGE_VIT)
        snprintf(m->image_arch, sizeof m->image_arch, "ViT %dx%d/%d%s", i->layers, i->width, c->image.patch,
                 c->image.attention_pool ? ", pooled" : "");
    else if (c->image.kind == CLIP_IMAGE_RESNET)
        snprintf(m->image_arch, sizeof m->image_arch, "ResNet %d-%d-%d-%dx%d", c->image.stages[0], c->image.stages[1],
                 c->image.stages[2], c->image.stages[3], i->width);
    else snprintf(m->image_arch, sizeof m->image_arch, "EfficientNet-Lite%d", c->image.variant);
    snprintf(m->text_arch, sizeof m->text_arch, "transformer %dx%d", t->layers, t->width);
    for (size_t n = 0; n < clip_safetensors_count(m->file); n++) {
        const clip_tensor *tensor = clip_safetensors_at(m->file, n);
        if (tensor->is_weight) *(is_image_tensor(tensor->name) ? &info->image_params : &info->text_params) += tensor->count;
    }
    bool sigmoid = clip_safetensors_find(m->file, "logit_bias"); /* then nothing caps the scale */
    float scale = expf(clip_weights_scalar(m->file, "logit_scale", logf(1 / 0.07f)));
    info->logit_scale = scale < 100 || sigmoid ? scale : 100;
    info->logit_bias = clip_weights_scalar(m->file, "logit_bias", 0);
    if (!isfinite(info->logit_scale) || !isfinite(info->logit_bias)) info->logit_scale = 100, info->logit_bias = 0;
    info->dir = m->dir;
    info->name = m->name;
    info->image_arch = m->image_arch;
    info->text_arch = m->text_arch;
    info->file_form = c->form == CLIP_FORM_OPEN_CLIP ? "open_clip" : "huggingface";
    info->dim = c->dim;
    info->image_size = c->image.size;
    info->context_length = c->text.context;
    info->vocab_size = c->text.vocab;
}

static char *last_component(const char *dir)
{
    size_t end = strlen(dir);
    while (end > 1 && dir[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && dir[begin - 1] != '/') begin--;
    return strndup(dir + begin, end - begin);
}

clip_status clip_model_open(const char *dir, clip_model **out, clip_error *err)
{
    clip_text_file files[2] = {{0}};
    clip_model *m = calloc(1, sizeof *m);
    if (!m) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    pthread_mutex_init(&m->lock, NULL);
    m->dir = strdup(dir);
    m->name = last_component(dir);
    clip_status s = m->dir && m->name ? open_files(m, files, err) : clip_fail(err, CLIP_E_MEMORY, "out of memory");
    if (!s) s = bind(m, err);
    if (!s) s = clip_fingerprint(m->file, files, 2, m->info.fingerprint, err);
    if (!s) describe(m);
    free(files[0].bytes);
    free(files[1].bytes);
    if (s) clip_model_close(m);
    else *out = m;
    return s;
}

void clip_model_close(clip_model *m)
{
    if (!m) return;
    clip_tokenizer_close(m->tokenizer);
    free(m->vit.blocks);
    free(m->efficientnet.blocks);
    free(m->resnet.blocks);
    free(m->text.blocks);
    clip_safetensors_close(m->file);
    pthread_mutex_destroy(&m->lock);
    free(m->dir);
    free(m->name);
    free(m);
}

const clip_model_info *clip_model_describe(const clip_model *m) { return &m->info; }

clip_status clip_model_tokenizer(const clip_model *m, clip_tokenizer **out, clip_error *err)
{
    clip_model *own = (clip_model *)(uintptr_t)m; /* immutable but for this one field, which the lock guards */
    clip_status s = CLIP_OK;
    if (!m->info.has_text) return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: this model has no text tower", m->dir);
    pthread_mutex_lock(&own->lock);
    const clip_text_config *text = &m->config.text;
    if (!own->tokenizer)
        s = text->rules ? clip_tokenizer_open_pieces(m->dir, text, &own->tokenizer, err)
                        : clip_tokenizer_open(m->dir, text->context, text->vocab, &own->tokenizer, err);
    *out = own->tokenizer;
    pthread_mutex_unlock(&own->lock);
    return s;
}
