/* json_read.h: values out of a JSON object that somebody else wrote, with a range for every number. Internal to engine/.
 *
 * A reader keeps the first failure, so that a form can be read field after field and checked once at the end. */
#ifndef CLIP_JSON_READ_H
#define CLIP_JSON_READ_H

#include <jansson.h>

#include "engine/error.h"

typedef struct clip_json_reader {
    const char *name;     /* of the file */
    clip_error *err;
    clip_status status;   /* CLIP_OK until something fails */
} clip_json_reader;

/* The whole text; NULL when it is no JSON object. The caller gives it to json_decref. */
json_t *clip_json_parse(clip_json_reader *r, const char *text, size_t n);

/* The member `key`, or `absent` where there is none or it is null. Any `object` may be NULL: then nothing is there. */
int clip_json_int(clip_json_reader *r, const json_t *object, const char *key, int absent, int min, int max);
double clip_json_real(clip_json_reader *r, const json_t *object, const char *key, double absent, double min, double max);
bool clip_json_bool(clip_json_reader *r, const json_t *object, const char *key, bool absent);
const char *clip_json_string(clip_json_reader *r, const json_t *object, const char *key, const char *absent);
const json_t *clip_json_object(clip_json_reader *r, const json_t *object, const char *key); /* NULL when absent */

/* One number, or an array of equal ones: 224 or [224, 224]. */
int clip_json_square(clip_json_reader *r, const json_t *object, const char *key, int absent, int min, int max);

/* Three numbers, or one for all three. */
void clip_json_triple(clip_json_reader *r, const json_t *object, const char *key, const float absent[3], double min,
                      double max, float out[3]);

/* Whether the member is there and neither null, false, 0, "" nor empty. */
bool clip_json_is_set(const json_t *object, const char *key);

void clip_json_fail(clip_json_reader *r, clip_status s, const char *key, const char *what);

#endif
