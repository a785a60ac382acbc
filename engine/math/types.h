/* types.h: the number formats that weights and activations come in. Internal to engine/. */
#ifndef CLIP_TYPES_H
#define CLIP_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef enum clip_type { CLIP_T_F32 = 0, CLIP_T_F16, CLIP_T_BF16, CLIP_T_U8, CLIP_T_S8, CLIP_T_S16, CLIP_T_S32 } clip_type;

static inline size_t clip_type_size(clip_type t)
{
    return t == CLIP_T_F32 || t == CLIP_T_S32 ? 4 : t == CLIP_T_F16 || t == CLIP_T_BF16 || t == CLIP_T_S16 ? 2 : 1;
}

/* The nonlinearity between two linear layers. The wrong GELU raises no error and costs accuracy, so it is always named. */
typedef enum clip_activation {
    CLIP_ACT_NONE = 0,
    CLIP_ACT_GELU,       /* x/2 (1 + erf(x/sqrt 2)) */
    CLIP_ACT_GELU_TANH,  /* its tanh approximation */
    CLIP_ACT_QUICK_GELU, /* x sigmoid(1.702 x): OpenAI's */
    CLIP_ACT_RELU6,
    CLIP_ACT_RELU
} clip_activation;

#endif
