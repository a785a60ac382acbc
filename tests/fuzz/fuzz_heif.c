/* fuzz_heif.c: bytes that claim to be a HEIC or AVIF. */
#include "fuzz_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

/* libheif 1.15 forgets what dav1d holds when it refuses a picture: 80 bytes for each, not ours to free. */
const char *__lsan_default_suppressions(void) { return "leak:libdav1d\n"; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_decoder(data, size); }
