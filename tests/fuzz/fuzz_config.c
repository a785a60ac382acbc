/* fuzz_config.c: any bytes as either form's configuration. What is accepted must be small enough to reckon with. The first
 * byte chooses the form; a Hugging Face input holds both files, split at the first NUL. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/model/config.h"

static void check(const clip_stack_config *s)
{
    if (s->width < 1 || s->width > 8192 || s->layers < 1 || s->layers > 128 || s->heads < 1 || s->width % s->heads ||
        s->mlp < 1 || s->act < CLIP_ACT_GELU || s->act > CLIP_ACT_QUICK_GELU || !(s->eps >= 0))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    clip_config c;
    clip_error err = {0};
    if (!n) return 0;
    const char *text = (const char *)bytes + 1;
    const char *split = memchr(text, 0, n - 1);
    size_t first = split ? (size_t)(split - text) : n - 1, rest = split ? n - 2 - first : 0;
    clip_status s = bytes[0] & 1 ? clip_config_parse_huggingface("fuzz", text, first, split ? split + 1 : NULL, rest, &c, &err)
                                 : clip_config_parse_open_clip("fuzz", text, n - 1, &c, &err);
    if (s) return 0;
    check(&c.text.stack);
    if (c.image.kind == CLIP_IMAGE_VIT) check(&c.image.stack);
    if (c.image.kind == CLIP_IMAGE_RESNET) {
        const clip_stack_config *k = &c.image.stack;
        if (k->width < 2 || k->width > 256 || k->heads < 1 || 32 * k->width % k->heads || c.image.size < 32) __builtin_trap();
        for (int i = 0; i < 4; i++)
            if (c.image.stages[i] < 1 || c.image.stages[i] > 128) __builtin_trap();
    }
    if (c.dim < 1 || c.image.size < 1 || c.image.size > 1024 || c.text.vocab < 2 || c.text.context < 2) __builtin_trap();
    for (int i = 0; i < 3; i++)
        if (!(c.image.std[i] > 0)) __builtin_trap();
    return 0;
}
