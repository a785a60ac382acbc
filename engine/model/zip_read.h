/* zip_read.h: where the files of a zip archive lie that were stored without compression. Internal to engine/. */
#ifndef CLIP_ZIP_READ_H
#define CLIP_ZIP_READ_H

#include <stdint.h>

#include "engine/error.h"

typedef struct clip_zip_entry {
    const char *name;       /* not terminated: name_length bytes of the archive */
    size_t name_length;
    const uint8_t *data;    /* NULL: compressed or encrypted */
    size_t size;
    uint32_t crc;           /* as the archive says; nothing here compares it */
} clip_zip_entry;

typedef struct clip_zip {
    clip_zip_entry *entries; /* in order of name, each name once */
    size_t count;
} clip_zip;

/* `bytes` must outlive the result; `name` is used in messages. */
CLIP_MUST_USE clip_status clip_zip_open(const char *name, const uint8_t *bytes, size_t n, clip_zip *out, clip_error *err);
void clip_zip_close(clip_zip *z);

const clip_zip_entry *clip_zip_find(const clip_zip *z, const char *name); /* NULL when there is none */

#endif
