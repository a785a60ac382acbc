/* fuzz_torch.c: any bytes as a file of PyTorch's. What opens must be usable: every tensor's numbers are read, and a configuration
 * is told from its shapes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/model/torch_config.h"
#include "engine/model/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    clip_torch_file *f = NULL;
    clip_error err = {0};
    clip_file_form form;
    char *json = NULL;
    if (clip_torch_parse("fuzz", bytes, n, &f, &err)) return 0;
    volatile uint32_t sum = 0;
    for (size_t i = 0; i < clip_torch_count(f); i++) {
        const clip_torch_tensor *t = clip_torch_at(f, i);
        if (clip_torch_find(f, t->name) != t) __builtin_trap();
        for (int64_t at = 0; at < t->count; at += 100) {
            uint8_t room[800];
            size_t m = t->count - at < 100 ? (size_t)(t->count - at) : 100;
            clip_torch_read(t, at, m, room);
            for (size_t j = 0; j < m * t->unit; j++) sum += room[j];
        }
    }
    if (clip_torch_verify(f, &err) == CLIP_OK) sum++;
    if (clip_torch_form(f, &form, &err) == CLIP_OK && clip_torch_deduce(f, true, &json, &err) == CLIP_OK) free(json);
    clip_torch_close(f);
    return 0;
}
