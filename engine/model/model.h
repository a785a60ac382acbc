/* model.h: an open model, as clip.c and the towers see it. Internal to engine/. */
#ifndef CLIP_MODEL_H
#define CLIP_MODEL_H

#include <pthread.h>

#include "engine/model/efficientnet.h"
#include "engine/model/resnet.h"
#include "engine/model/tokenizer.h"
#include "engine/model/weights.h"

struct clip_model {
    clip_model_info info;
    clip_config config;
    clip_safetensors *file;
    clip_vit_weights vit;                   /* bound when config.image.kind says so and info.has_image */
    clip_efficientnet_weights efficientnet;
    clip_resnet_weights resnet;
    clip_text_weights text;                 /* bound when info.has_text */
    char *dir, *name, image_arch[48], text_arch[48];
    pthread_mutex_t lock;                   /* guards: */
    clip_tokenizer *tokenizer;              /* opened by the first who needs it: indexing never does */
};

/* The tokenizer, which belongs to the model. */
CLIP_MUST_USE clip_status clip_model_tokenizer(const clip_model *m, clip_tokenizer **out, clip_error *err);

#endif
