/* json_read.c: see json_read.h. JSON's depth is limited by jansson itself (2,048), its length by whoever read the file. */
#include "engine/model/json_read.h"

#include <string.h>

void clip_json_fail(clip_json_reader *r, clip_status s, const char *key, const char *what)
{
    if (r->status) return;
    r->status = clip_fail(r->err, s, "%s: \"%s\" %s", r->name, key, what);
}

json_t *clip_json_parse(clip_json_reader *r, const char *text, size_t n)
{
    json_error_t why;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(root)) return root;
    if (!r->status)
        r->status = root ? clip_fail(r->err, CLIP_E_FORMAT, "%s: not a JSON object", r->name)
                         : clip_fail(r->err, CLIP_E_FORMAT, "%s: line %d: %s", r->name, why.line, why.text);
    json_decref(root);
    return NULL;
}

static const json_t *member(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

static int take_int(clip_json_reader *r, const json_t *v, const char *key, int absent, int min, int max)
{
    if (!v) return absent;
    if (!json_is_integer(v)) return clip_json_fail(r, CLIP_E_FORMAT, key, "is not a whole number"), absent;
    json_int_t n = json_integer_value(v);
    if (n < min || n > max) return clip_json_fail(r, CLIP_E_LIMIT, key, "is outside what is possible"), absent;
    return (int)n;
}

int clip_json_int(clip_json_reader *r, const json_t *object, const char *key, int absent, int min, int max)
{
    return take_int(r, member(object, key), key, absent, min, max);
}

int clip_json_square(clip_json_reader *r, const json_t *object, const char *key, int absent, int min, int max)
{
    const json_t *v = member(object, key);
    if (!json_is_array(v)) return take_int(r, v, key, absent, min, max);
    int a = take_int(r, json_array_get(v, 0), key, absent, min, max);
    for (size_t i = 1; i < json_array_size(v); i++)
        if (take_int(r, json_array_get(v, i), key, absent, min, max) != a)
            clip_json_fail(r, CLIP_E_UNSUPPORTED, key, "is not square");
    return a;
}

static double take_real(clip_json_reader *r, const json_t *v, const char *key, double absent, double min, double max)
{
    if (!v) return absent;
    if (!json_is_number(v)) return clip_json_fail(r, CLIP_E_FORMAT, key, "is not a number"), absent;
    double x = json_number_value(v);
    if (!(x >= min && x <= max)) return clip_json_fail(r, CLIP_E_LIMIT, key, "is outside what is possible"), absent;
    return x;
}

double clip_json_real(clip_json_reader *r, const json_t *object, const char *key, double absent, double min, double max)
{
    return take_real(r, member(object, key), key, absent, min, max);
}

void clip_json_triple(clip_json_reader *r, const json_t *object, const char *key, const float absent[3], double min,
                      double max, float out[3])
{
    const json_t *v = member(object, key);
    if (json_is_array(v) && json_array_size(v) != 3) clip_json_fail(r, CLIP_E_FORMAT, key, "does not have three numbers");
    for (size_t i = 0; i < 3; i++)
        out[i] = (float)take_real(r, json_is_array(v) ? json_array_get(v, i) : v, key, absent[i], min, max);
}

bool clip_json_bool(clip_json_reader *r, const json_t *object, const char *key, bool absent)
{
    const json_t *v = member(object, key);
    if (v && !json_is_boolean(v)) clip_json_fail(r, CLIP_E_FORMAT, key, "is neither true nor false");
    return json_is_boolean(v) ? json_is_true(v) : absent;
}

const char *clip_json_string(clip_json_reader *r, const json_t *object, const char *key, const char *absent)
{
    const json_t *v = member(object, key);
    if (v && !json_is_string(v)) clip_json_fail(r, CLIP_E_FORMAT, key, "is not a string");
    return json_is_string(v) ? json_string_value(v) : absent;
}

const json_t *clip_json_object(clip_json_reader *r, const json_t *object, const char *key)
{
    const json_t *v = member(object, key);
    if (v && !json_is_object(v)) clip_json_fail(r, CLIP_E_FORMAT, key, "is not an object");
    return json_is_object(v) ? v : NULL;
}

bool clip_json_is_set(const json_t *object, const char *key)
{
    const json_t *v = member(object, key);
    if (!v || json_is_false(v)) return false;
    if (json_is_number(v)) return json_number_value(v) != 0;
    if (json_is_string(v)) return json_string_value(v)[0] != 0;
    return json_is_true(v) || json_array_size(v) > 0 || json_object_size(v) > 0;
}
