/* fingerprint.c: 128 bits that change when a model's vectors would.
 *
 * Hashing a whole model costs a second for every gigabyte, at every start. What tells two models apart lies in far less:
 *
 *     the weight file's header         names, types, shapes and places of all tensors
 *     the configuration files          byte for byte
 *     64 bytes from the middle of every tensor, or all of a smaller one
 *
 * Training, converting or pruning changes every tensor, so one sample from each is plenty; a flipped bit elsewhere is a
 * broken download, which checksums are for. The function is XXH3-128 with seed 0, so the value is the same on every machine. */
#include "engine/model/fingerprint.h"

#include <stdio.h>
#include <xxhash.h>

#define SAMPLE 64

clip_status clip_fingerprint(const clip_safetensors *s, const clip_text_file *files, int n, char out[33], clip_error *err)
{
    size_t length;
    const void *header = clip_safetensors_header(s, &length);
    XXH3_state_t *state = XXH3_createState();
    if (!state) return clip_fail(err, CLIP_E_MEMORY, "out of memory");
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, header, length);
    for (int i = 0; i < n; i++)
        if (files[i].bytes) XXH3_128bits_update(state, files[i].bytes, files[i].n);
    for (size_t i = 0; i < clip_safetensors_count(s); i++) {
        const clip_tensor *t = clip_safetensors_at(s, i);
        size_t take = t->bytes < SAMPLE ? t->bytes : SAMPLE;
        if (take) XXH3_128bits_update(state, (const char *)t->data + (t->bytes - take) / 2, take);
    }
    XXH128_hash_t h = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
    return CLIP_OK;
}
