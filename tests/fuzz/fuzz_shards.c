/* fuzz_shards.c: any bytes as the index of a model in several files. None of the files is there, so that nothing ever opens; the
 * first byte chooses the form. */
#include <stddef.h>
#include <stdint.h>

#include "engine/model/safetensors.h"
#include "engine/model/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    clip_safetensors *s = NULL;
    clip_torch_file *f = NULL;
    clip_error err = {0};
    if (!n) return 0;
    const char *json = (const char *)bytes + 1;
    clip_status st = bytes[0] & 1 ? clip_torch_shards_open("/dev/null/x.index.json", json, n - 1, &f, &err)
                                  : clip_shards_open("/dev/null/x.index.json", json, n - 1, &s, &err);
    if (st == CLIP_OK || !err.text[0]) __builtin_trap();
    return 0;
}
