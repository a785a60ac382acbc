/* known_models.h: the models that `model list` names and `model pull` knows by name. */
#ifndef QUERY_KNOWN_MODELS_H
#define QUERY_KNOWN_MODELS_H

#include "engine/clip.h"

typedef struct query_known_model {
    const char *name;           /* as open_clip spells it, ARCHITECTURE/WEIGHTS; a NULL ends the table */
    const char *alias;          /* OpenAI's own name, or NULL */
    const char *repo;           /* on the hub */
    int px, dim;
    int params;                 /* of both towers, millions */
    double image_gmacs, text_gmacs;
    double imagenet;            /* zero-shot top-1, per cent; 0: not known here */
    double flickr;              /* Flickr30k, photo from caption, R@1, per cent; 0: not known here */
    const char *licence;
} query_known_model;

extern const query_known_model query_known_models[];

/* By name or alias, letter case ignored; NULL when it is none of them. */
const query_known_model *query_known_model_find(const char *name);

/* Whether a model of the user's may be called so: NAME or PUBLISHER/NAME of harmless letters, and nothing that means something. */
bool query_model_name_fits(const char *name);

/* What `model pull` was asked for. */
typedef struct query_model_source {
    char repo[200], revision[100]; /* "main" when none was named */
    char name[310];                /* under the user's models folder: relative, never climbing out of it */
} query_model_source;

/* A known name, or hf:OWNER/REPO[@REVISION]. Nothing but letters, digits and - _ . (in a revision also /) passes, and no
 * part begins with a dot, so that a name can neither leave the models folder nor change the address. */
CLIP_MUST_USE bool query_model_source_parse(const char *spec, query_model_source *out, clip_error *err);

#endif
