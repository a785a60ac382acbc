/* pickle.h: what a pickle says about tensors, as plain data. Internal to engine/.
 *
 * A pickle is a program for a small machine, and Python's own reader lets it call anything. This one builds values and calls
 * nothing: of classes and functions it knows only those by which PyTorch writes down tensors, dictionaries and modules
 * (pickle.c lists them), and each makes a value here; any other name refuses the file. */
#ifndef CLIP_PICKLE_H
#define CLIP_PICKLE_H

#include <stdint.h>

#include "engine/error.h"

typedef enum clip_pickle_kind {
    CLIP_PICKLE_NONE = 0, CLIP_PICKLE_BOOL, CLIP_PICKLE_INT, CLIP_PICKLE_FLOAT,
    CLIP_PICKLE_TEXT,
    CLIP_PICKLE_TUPLE, CLIP_PICKLE_LIST,
    CLIP_PICKLE_DICT,      /* items: key, value, key, value, ... */
    CLIP_PICKLE_GLOBAL,    /* text: "module name"; of a TorchScript class "module\nname" */
    CLIP_PICKLE_OBJECT,    /* a module of TorchScript; text: its class; items: attributes, as a dictionary's */
    CLIP_PICKLE_STORAGE,   /* items: what its persistent id says */
    CLIP_PICKLE_TENSOR     /* items: the arguments of torch._utils._rebuild_tensor_v2 */
} clip_pickle_kind;

typedef struct clip_pickle_value {
    clip_pickle_kind kind;
    uint32_t n, room;       /* items, and how many there is memory for */
    union {
        int64_t number;     /* BOOL, INT; a FLOAT's value is not kept */
        uint32_t *items;    /* numbers of values */
    };
    const char *text;       /* not terminated; lies in the pickle */
    uint32_t length;        /* of text */
} clip_pickle_value;

typedef struct clip_pickle {
    clip_pickle_value *values;
    uint32_t count, root;   /* root: the value that the pickle is */
} clip_pickle;

/* `bytes` must outlive the result; `name` is used in messages. Values may refer to each other in circles. */
CLIP_MUST_USE clip_status clip_pickle_parse(const char *name, const uint8_t *bytes, size_t n, clip_pickle *out, clip_error *err);
void clip_pickle_finish(clip_pickle *p);

/* A dictionary's or object's member, NULL when it has none of that name or is neither. */
const clip_pickle_value *clip_pickle_member(const clip_pickle *p, const clip_pickle_value *dict, const char *key);
/* Item i of a tuple or list, NULL when there is none. */
const clip_pickle_value *clip_pickle_item(const clip_pickle *p, const clip_pickle_value *list, uint32_t i);
bool clip_pickle_is(const clip_pickle_value *v, clip_pickle_kind kind, const char *text);

#endif
