/* weights.c: the ways to name CLIP's tensors.
 *
 *     what            open_clip and OpenAI                       Hugging Face
 *     image tower     visual.                                    vision_model.
 *     text tower      (nothing), or text. in newer files         text_model.
 *     block N         transformer.resblocks.N.                   encoder.layers.N.
 *     q, k, v         attn.in_proj_weight, stacked               self_attn.{q,k,v}_proj.weight
 *     projections     visual.proj, text_projection [width][dim]  {visual,text}_projection.weight [dim][width]
 *
 * They differ in names, in stacking and in that transpose, and in nothing else; one table each says how.
 *
 * SigLIP's image tower is timm's in open_clip's files: visual.trunk., blocks.N., attn.qkv. stacked, and its pool
 *
 *     pool            attn_pool.                                 head.
 *     probe           latent [1][1][width]                       probe
 *     q, k, v         q., kv. stacked                            attention.in_proj_, stacked
 *     text head       text_projection. [dim][width] and bias     head. */
#include "engine/model/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"

typedef struct naming {
    const char *image, *text; /* prefixes of the towers */
    const char *block;        /* prefix of a block, before its number */
    const char *ln_1, *ln_2, *out, *fc1, *fc2;
    const char *qkv;          /* stacked, before "weight" and "bias"; or NULL and */
    const char *q, *k, *v;
    const char *class_embedding, *patches, *image_positions, *ln_pre, *ln_post;
    const char *tokens, *text_positions, *ln_final;
    const char *image_projection, *text_projection; /* full names */
    bool transposed;
} naming;

static const naming open_clip_names = {
    "visual.", "", "transformer.resblocks.",
    "ln_1.", "ln_2.", "attn.out_proj.", "mlp.c_fc.", "mlp.c_proj.",
    "attn.in_proj_", NULL, NULL, NULL,
    "class_embedding", "conv1.weight", "positional_embedding", "ln_pre.", "ln_post.",
    "token_embedding.weight", "positional_embedding", "ln_final.",
    "visual.proj", "text_projection", true,
};

static const naming open_clip_text_module_names = {
    "visual.", "text.", "transformer.resblocks.",
    "ln_1.", "ln_2.", "attn.out_proj.", "mlp.c_fc.", "mlp.c_proj.",
    "attn.in_proj_", NULL, NULL, NULL,
    "class_embedding", "conv1.weight", "positional_embedding", "ln_pre.", "ln_post.",
    "token_embedding.weight", "positional_embedding", "ln_final.",
    "visual.proj", "text.text_projection", true,
};

static const naming huggingface_names = {
    "vision_model.", "text_model.", "encoder.layers.",
    "layer_norm1.", "layer_norm2.", "self_attn.out_proj.", "mlp.fc1.", "mlp.fc2.",
    NULL, "self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj.",
    "embeddings.class_embedding", "embeddings.patch_embedding.weight", "embeddings.position_embedding.weight",
    "pre_layrnorm.", "post_layernorm.",
    "embeddings.token_embedding.weight", "embeddings.position_embedding.weight", "final_layer_norm.",
    "visual_projection.weight", "text_projection.weight", false,
};

static const naming timm_names = {
    .image = "visual.trunk.", .block = "blocks.",
    .ln_1 = "norm1.", .ln_2 = "norm2.", .out = "attn.proj.", .fc1 = "mlp.fc1.", .fc2 = "mlp.fc2.", .qkv = "attn.qkv.",
    .patches = "patch_embed.proj.weight", .image_positions = "pos_embed", .ln_post = "norm.",
};

static const naming *image_names(const clip_config *c)
{
    if (c->form == CLIP_FORM_HUGGINGFACE) return &huggingface_names;
    return c->image.attention_pool ? &timm_names : &open_clip_names;
}

static const naming *text_names(const clip_safetensors *s, const clip_config *c)
{
    if (c->form == CLIP_FORM_HUGGINGFACE) return &huggingface_names;
    return clip_safetensors_find(s, "text.token_embedding.weight") ? &open_clip_text_module_names : &open_clip_names;
}

/* ---- one tensor ------------------------------------------------------------------------------------------------ */

/* Brackets, and for each of the dimensions a number of at most 19 digits, a comma and a blank. */
enum { SHAPE_TEXT = 2 + 21 * CLIP_TENSOR_DIMS + 1 };

static void print_shape(char out[SHAPE_TEXT], int dims, const int64_t *size)
{
    size_t used = (size_t)snprintf(out, SHAPE_TEXT, "[");
    for (int i = 0; i < dims; i++)
        used += (size_t)snprintf(out + used, SHAPE_TEXT - used, "%s%" PRId64, i ? ", " : "", size[i]);
    snprintf(out + used, SHAPE_TEXT - used, "]");
}

clip_status clip_weights_take(const clip_safetensors *s, const char *name, int dims, const int64_t *size, clip_view *out,
                              clip_error *err)
{
    char has[SHAPE_TEXT], wants[SHAPE_TEXT];
    const char *path = clip_safetensors_path(s);
    const clip_tensor *t = clip_safetensors_find(s, name);
    print_shape(wants, dims, size);
    if (!t) return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s is missing; the configuration asks for %s", path, name, wants);
    print_shape(has, t->dims, t->size);
    if (t->dims != dims || memcmp(t->size, size, (size_t)dims * sizeof *size))
        return clip_fail(err, CLIP_E_FORMAT, "%s: tensor %s has the shape %s, but the configuration asks for %s", path, name,
                         has, wants);
    if (!t->is_weight)
        return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: tensor %s has the type %s, but weights must be F32, F16 or BF16", path,
                         name, t->dtype);
    *out = (clip_view){t->data, t->type, t->count};
    return CLIP_OK;
}

float clip_weights_scalar(const clip_safetensors *s, const char *name, float absent)
{
    const clip_tensor *t = clip_safetensors_find(s, name);
    if (!t || t->count != 1 || !t->is_weight) return absent;
    float x;
    clip_kernels_plain.to_f32(t->data, t->type, &x, 1);
    return x;
}

/* Takes tensors until one fails; the names are put together from parts. */
typedef struct binder {
    const clip_safetensors *s;
    const naming *names;
    clip_error *err;
    clip_status status;
    char prefix[96];
} binder;

static void take(binder *b, const char *part, const char *end, int dims, const int64_t *size, clip_view *out)
{
    char name[192];
    if (b->status) return;
    snprintf(name, sizeof name, "%s%s%s", b->prefix, part, end);
    b->status = clip_weights_take(b->s, name, dims, size, out, b->err);
}

static void take_vector(binder *b, const char *part, const char *end, int64_t n, clip_view *out)
{
    take(b, part, end, 1, &n, out);
}

static void take_matrix(binder *b, const char *part, const char *end, int64_t rows, int64_t cols, clip_view *out)
{
    take(b, part, end, 2, (int64_t[]){rows, cols}, out);
}

/* "PART" "weight" and "PART" "bias" of a linear layer. */
static void take_linear(binder *b, const char *part, int64_t rows, int64_t cols, clip_view *w, clip_view *bias)
{
    take_matrix(b, part, "weight", rows, cols, w);
    take_vector(b, part, "bias", rows, bias);
}

static clip_view slice(clip_view v, int64_t first, int64_t count)
{
    return (clip_view){(const char *)v.data + (size_t)first * clip_type_size(v.type), v.type, count};
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

/* Parts first .. 2 of q, k, v, stacked in one tensor. */
static void take_stacked(binder *b, const char *name, int64_t width, int first, clip_block_weights *w)
{
    clip_view all = {0}, bias = {0};
    take_linear(b, name, (3 - first) * width, width, &all, &bias);
    for (int i = first; i < 3 && !b->status; i++) {
        w->qkv[i] = slice(all, (i - first) * width * width, width * width);
        w->qkv_bias[i] = slice(bias, (i - first) * width, width);
    }
}

static void take_qkv(binder *b, int64_t width, clip_block_weights *w)
{
    const char *parts[] = {b->names->q, b->names->k, b->names->v};
    if (b->names->qkv) take_stacked(b, b->names->qkv, width, 0, w);
    else for (int i = 0; i < 3; i++) take_linear(b, parts[i], width, width, &w->qkv[i], &w->qkv_bias[i]);
}

static void take_block(binder *b, const clip_stack_config *c, clip_block_weights *w)
{
    const naming *n = b->names;
    take_vector(b, n->ln_1, "weight", c->width, &w->ln_1_gain);
    take_vector(b, n->ln_1, "bias", c->width, &w->ln_1_bias);
    take_qkv(b, c->width, w);
    take_linear(b, n->out, c->width, c->width, &w->out, &w->out_bias);
    take_vector(b, n->ln_2, "weight", c->width, &w->ln_2_gain);
    take_vector(b, n->ln_2, "bias", c->width, &w->ln_2_bias);
    take_linear(b, n->fc1, c->mlp, c->width, &w->fc1, &w->fc1_bias);
    take_linear(b, n->fc2, c->width, c->mlp, &w->fc2, &w->fc2_bias);
}

/* One more block than there are layers: room for the pool. */
static clip_block_weights *take_blocks(binder *b, const char *tower, const clip_stack_config *c)
{
    clip_block_weights *blocks = calloc((size_t)c->layers + 1, sizeof *blocks);
    if (!blocks && !b->status) b->status = clip_fail(b->err, CLIP_E_MEMORY, "out of memory");
    for (int i = 0; i < c->layers && !b->status; i++) {
        snprintf(b->prefix, sizeof b->prefix, "%s%s%d.", tower, b->names->block, i);
        take_block(b, c, &blocks[i]);
    }
    snprintf(b->prefix, sizeof b->prefix, "%s", tower);
    return blocks;
}

static void take_projection(binder *b, const char *name, int64_t width, int64_t dim, clip_projection *out)
{
    b->prefix[0] = 0;
    out->transposed = b->names->transposed;
    take_matrix(b, name, "", out->transposed ? width : dim, out->transposed ? dim : width, &out->w);
}

/* ---- towers ---------------------------------------------------------------------------------------------------- */

bool clip_weights_have_image(const clip_safetensors *s, const clip_config *c)
{
    char name[96];
    if (c->image.kind == CLIP_IMAGE_EFFICIENTNET_LITE) return clip_safetensors_find(s, "visual.trunk.conv_stem.weight");
    const naming *n = image_names(c);
    snprintf(name, sizeof name, "%s%s", n->image, n->patches);
    return clip_safetensors_find(s, name);
}

bool clip_weights_have_text(const clip_safetensors *s, const clip_config *c)
{
    char name[96];
    const naming *n = text_names(s, c);
    snprintf(name, sizeof name, "%s%s", n->text, n->tokens);
    return clip_safetensors_find(s, name);
}

clip_status clip_text_bind(const clip_safetensors *s, const clip_config *c, clip_text_weights *out, clip_error *err)
{
    const clip_text_config *t = &c->text;
    binder b = {s, text_names(s, c), err, CLIP_OK, ""};
    out->blocks = take_blocks(&b, b.names->text, &t->stack);
    take_matrix(&b, b.names->tokens, "", t->vocab, t->stack.width, &out->tokens);
    take_matrix(&b, b.names->text_positions, "", t->context, t->stack.width, &out->positions);
    take_vector(&b, b.names->ln_final, "weight", t->stack.width, &out->ln_gain);
    take_vector(&b, b.names->ln_final, "bias", t->stack.width, &out->ln_bias);
    const char *head = c->form == CLIP_FORM_HUGGINGFACE ? "head." : "text_projection.";
    if (t->projection_bias) take_linear(&b, head, c->dim, t->stack.width, &out->projection.w, &out->projection.bias);
    else take_projection(&b, b.names->text_projection, t->stack.width, c->dim, &out->projection);
    return b.status;
}

/* The pool as the block behind the last; see clip_vit_weights. */
static void take_pool(binder *b, const clip_config *c, clip_vit_weights *out)
{
    const clip_stack_config *s = &c->image.stack;
    int64_t width = s->width;
    bool timm = b->names == &timm_names;
    clip_block_weights *w = &out->blocks[s->layers];
    take_vector(b, b->names->ln_post, "weight", width, &w->ln_1_gain);
    take_vector(b, b->names->ln_post, "bias", width, &w->ln_1_bias);
    snprintf(b->prefix, sizeof b->prefix, "%s%s", b->names->image, timm ? "attn_pool." : "head.");
    take(b, timm ? "latent" : "probe", "", 3, (int64_t[]){1, 1, width}, &out->probe);
    if (timm) {
        take_linear(b, "q.", width, width, &w->qkv[0], &w->qkv_bias[0]);
        take_stacked(b, "kv.", width, 1, w);
    } else take_stacked(b, "attention.in_proj_", width, 0, w);
    take_linear(b, timm ? "proj." : "attention.out_proj.", width, width, &w->out, &w->out_bias);
    take_vector(b, timm ? "norm." : "layernorm.", "weight", width, &w->ln_2_gain);
    take_vector(b, timm ? "norm." : "layernorm.", "bias", width, &w->ln_2_bias);
    take_linear(b, "mlp.fc1.", s->mlp, width, &w->fc1, &w->fc1_bias);
    take_linear(b, "mlp.fc2.", width, s->mlp, &w->fc2, &w->fc2_bias);
}

/* What SigLIP's tower has that CLIP's has not; both its positions and its patches' bias have names of their own. */
static void take_pooled(binder *b, const clip_config *c, int64_t side, clip_vit_weights *out)
{
    int64_t width = c->image.stack.width;
    bool timm = b->names == &timm_names;
    take_vector(b, timm ? "patch_embed.proj.bias" : "embeddings.patch_embedding.bias", "", width, &out->patch_bias);
    if (timm) take(b, b->names->image_positions, "", 3, (int64_t[]){1, side * side, width}, &out->positions);
    else take_matrix(b, b->names->image_positions, "", side * side, width, &out->positions);
    if (!b->status) take_pool(b, c, out);
}

clip_status clip_vit_bind(const clip_safetensors *s, const clip_config *c, clip_vit_weights *out, clip_error *err)
{
    const clip_image_config *i = &c->image;
    int64_t width = i->stack.width, side = i->size / i->patch;
    binder b = {s, image_names(c), err, CLIP_OK, ""};
    const naming *n = b.names;
    if (!side) return clip_fail(err, CLIP_E_FORMAT, "%s: patches of %d pixels in an image of %d", clip_safetensors_path(s),
                                i->patch, i->size);
    out->blocks = take_blocks(&b, n->image, &i->stack);
    take(&b, n->patches, "", 4, (int64_t[]){width, 3, i->patch, i->patch}, &out->patches);
    if (i->attention_pool) {
        take_pooled(&b, c, side, out);
        return b.status;
    }
    take_vector(&b, n->class_embedding, "", width, &out->class_embedding);
    take_matrix(&b, n->image_positions, "", 1 + side * side, width, &out->positions);
    take_vector(&b, n->ln_pre, "weight", width, &out->ln_pre_gain);
    take_vector(&b, n->ln_pre, "bias", width, &out->ln_pre_bias);
    take_vector(&b, n->ln_post, "weight", width, &out->ln_post_gain);
    take_vector(&b, n->ln_post, "bias", width, &out->ln_post_bias);
    take_projection(&b, n->image_projection, width, c->dim, &out->projection);
    return b.status;
}
