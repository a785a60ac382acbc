/* config.h: what a model directory says about itself, in one form whoever wrote it. Internal to engine/. */
#ifndef CLIP_CONFIG_H
#define CLIP_CONFIG_H

#include "engine/error.h"
#include "engine/math/types.h"

typedef enum clip_file_form { CLIP_FORM_OPEN_CLIP = 0, CLIP_FORM_HUGGINGFACE } clip_file_form;

/* A stack of pre-norm attention blocks. */
typedef struct clip_stack_config {
    int width, layers, heads, mlp; /* width is a multiple of heads */
    clip_activation act;
    float eps;                     /* of its layer norms */
} clip_stack_config;

typedef enum clip_image_kind { CLIP_IMAGE_VIT = 0, CLIP_IMAGE_EFFICIENTNET_LITE, CLIP_IMAGE_RESNET } clip_image_kind;

typedef enum clip_head_kind { CLIP_HEAD_NONE = 0, CLIP_HEAD_LINEAR, CLIP_HEAD_MLP } clip_head_kind;

typedef struct clip_image_config {
    clip_image_kind kind;
    int size;                /* pixels, both sides */
    clip_stack_config stack; /* ViT; of a ResNet only the stem's width, and the heads of its pooling */
    int stages[4];           /* ResNet: blocks in each */
    int patch;               /* ViT; need not divide size: what is left over is not looked at */
    bool attention_pool;     /* ViT: SigLIP's; no class token and no norm before the blocks, the patches' convolution has a bias, and
                                a query that was learnt looks at all patches at the end, in place of a projection */
    int variant;             /* EfficientNet-Lite 0..4 */
    clip_head_kind head;     /* EfficientNet-Lite */
    bool head_bias;
    float mean[3], std[3];   /* of a pixel in 0..1 */
    enum { CLIP_FIT_SHORTEST = 0, CLIP_FIT_SQUASH, CLIP_FIT_LONGEST } fit;
    bool bilinear;           /* else bicubic */
    int resize_to;           /* 0: size */
} clip_image_config;

/* How a text is cleaned, and by what its words become ids. */
typedef enum clip_text_rules {
    CLIP_TEXT_CLIP = 0,      /* lower case; CLIP's byte pairs. All others: sentencepiece's unigrams, */
    CLIP_TEXT_AS_IT_IS,      /* white space collapsed */
    CLIP_TEXT_LOWER,         /* and lower case */
    CLIP_TEXT_CANONICAL,     /* lower case without punctuation, _ being a space */
    CLIP_TEXT_PLAIN          /* the same as Hugging Face does it: nothing repaired or unescaped before, _ dropped */
} clip_text_rules;

typedef struct clip_text_config {
    clip_stack_config stack;
    int context, vocab;
    bool padded;             /* SigLIP: filled up to the context, every token sees every other, and the last one is the feature */
    bool projection_bias;
    clip_text_rules rules;
} clip_text_config;

typedef struct clip_config {
    clip_file_form form;
    int dim;
    clip_image_config image;
    clip_text_config text;
} clip_config;

/* Both take JSON text; `name` is used in messages. Sizes that come out are positive and small enough to be multiplied in
 * 64 bits; what would change the arithmetic and is not known is refused. */
CLIP_MUST_USE clip_status clip_config_parse_open_clip(const char *name, const char *json, size_t n, clip_config *out,
                                                      clip_error *err);

/* `preprocessor` may be NULL: OpenAI's values then hold. */
CLIP_MUST_USE clip_status clip_config_parse_huggingface(const char *name, const char *json, size_t n,
                                                        const char *preprocessor, size_t preprocessor_n,
                                                        clip_config *out, clip_error *err);

#endif
