/* fingerprint.h: which weights and configuration these are. Internal to engine/. */
#ifndef CLIP_FINGERPRINT_H
#define CLIP_FINGERPRINT_H

#include "engine/model/safetensors.h"

/* Parts of files that the fingerprint covers besides the weights. */
typedef struct clip_text_file {
    char *bytes; /* NULL when there is no such file */
    size_t n;
} clip_text_file;

/* 32 hex digits and a NUL. */
CLIP_MUST_USE clip_status clip_fingerprint(const clip_safetensors *s, const clip_text_file *files, int n, char out[33],
                                           clip_error *err);

#endif
