/* tower.h: what every tower is to clip.c. Internal to engine/.
 *
 * A tower owns its packed weights and one workspace for each of its workers, made once; running it allocates nothing. Workers
 * run at the same time on different images: no layer waits for a slower core, and a core that decodes a photo meanwhile delays
 * nobody else. A new architecture is one more file that fills in a clip_image_tower_kind, and one line in clip.c. */
#ifndef CLIP_TOWER_H
#define CLIP_TOWER_H

#include "engine/clip.h"
#include "engine/math/crew.h"
#include "engine/model/config.h"

/* Called after each layer with its output, in tests only: [rows][width] floats. */
typedef void (*clip_tap)(void *context, const char *layer, const float *x, size_t rows, size_t width);

typedef struct clip_tower_options {
    int workers;               /* at least 1 */
    int batch;                 /* images, or texts, in one pass; at least 1 */
    clip_precision precision;  /* anything but CLIP_AUTO, already decided */
    bool as_vnni;              /* see clip_encoder_options */
    clip_tap tap;              /* NULL: none */
    void *tap_context;
} clip_tower_options;

typedef struct clip_image_tower clip_image_tower;

typedef struct clip_image_tower_kind {
    int batch; /* images in one pass at which the tower is fastest, by measurement */
    clip_precision narrow; /* the narrowest integers that it knows: CLIP_INT8 (and CLIP_INT16), CLIP_INT16, or CLIP_F32 for none */
    clip_status (*create)(const clip_model *m, const clip_tower_options *o, clip_image_tower **out, clip_error *err);
    /* images: [n][size][size][3] bytes, n being the batch or 1; out: [n][dim], not normalised. False when oneDNN failed. */
    bool (*run)(clip_image_tower *t, int worker, const uint8_t *images, int n, float *out);
    /* oneDNN's name of the implementation of the i-th product or convolution; NULL behind the last. For tests. */
    const char *(*kernel)(const clip_image_tower *t, int i);
    void (*destroy)(clip_image_tower *t);
} clip_image_tower_kind;

extern const clip_image_tower_kind clip_vit_tower;
extern const clip_image_tower_kind clip_efficientnet_tower;
extern const clip_image_tower_kind clip_resnet_tower;

/* The tower of each clip_image_kind. */
static inline const clip_image_tower_kind *clip_image_tower_of(clip_image_kind kind)
{
    return kind == CLIP_IMAGE_VIT ? &clip_vit_tower : kind == CLIP_IMAGE_RESNET ? &clip_resnet_tower : &clip_efficientnet_tower;
}

typedef struct clip_text_tower clip_text_tower;

clip_status clip_text_tower_create(const clip_model *m, const clip_tower_options *o, clip_text_tower **out, clip_error *err);
void clip_text_tower_destroy(clip_text_tower *t);

/* How many tokens one pass takes, in at most `batch` texts; at least the context's length. */
int clip_text_tower_rows(const clip_text_tower *t);

/* ids: the texts' tokens one after another, text i being ids[starts[i] .. starts[i+1]), each from its start token to its end
 * token, all inside the vocabulary. crew: whoever helps with the products, or NULL. out: [n][dim], not normalised. */
void clip_text_tower_run(clip_text_tower *t, int worker, clip_crew *crew, const int32_t *ids, const int *starts, int n, float *out);

#endif
