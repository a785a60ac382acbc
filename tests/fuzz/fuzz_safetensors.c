/* fuzz_safetensors.c: any bytes as a weight file. What opens must be usable: every tensor's bytes are read, and its shape, which
 * is none that a model asks for, is told. */
#include <stddef.h>
#include <stdint.h>

#include "engine/model/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    clip_safetensors *s = NULL;
    clip_error err = {0};
    if (clip_safetensors_parse("fuzz", bytes, n, &s, &err)) return 0;
    volatile uint32_t sum = 0;
    for (size_t i = 0; i < clip_safetensors_count(s); i++) {
        const clip_tensor *t = clip_safetensors_find(s, clip_safetensors_at(s, i)->name);
        const uint8_t *p = t->data;
        clip_view view;
        if (clip_weights_take(s, t->name, 1, &(int64_t){-1}, &view, &(clip_error){0}) == CLIP_OK) __builtin_trap();
        for (size_t j = 0; j < t->bytes; j++) sum += p[j];
        if (t->is_weight && t->bytes != (size_t)t->count * clip_type_size(t->type)) __builtin_trap();
    }
    clip_safetensors_close(s);
    return 0;
}
