/* model_folder.h: a model of the user's models folder that is being made, and appears when it is whole.
 *
 *     models/NAME.partial/     what is there so far; `lock` in it is held by whoever makes it
 *     models/NAME/             appears by one rename */
#ifndef QUERY_MODEL_FOLDER_H
#define QUERY_MODEL_FOLDER_H

#include "cli/cli.h"

typedef struct query_model_folder {
    char *dest, *partial; /* owned */
    int lock;             /* -1: not held */
} query_model_folder;

/* name: relative, never climbing out (query_model_name_harmless). False and err filled when memory ran out. */
CLIP_MUST_USE bool query_model_folder_init(query_model_folder *f, const char *name, clip_error *err);
/* Makes the partial folder, or takes one over that an earlier run left, and locks it. */
CLIP_MUST_USE bool query_model_folder_open(query_model_folder *f, clip_error *err);
/* Whether the engine can open what is there. */
CLIP_MUST_USE bool query_model_folder_opens(const query_model_folder *f, clip_error *err);
/* The partial folder becomes the model, in the place of the one that was there. */
CLIP_MUST_USE bool query_model_folder_install(query_model_folder *f, clip_error *err);
/* Gives the partial folder up. */
void query_model_folder_discard(query_model_folder *f);
void query_model_folder_finish(query_model_folder *f);

/* "DIR/NAME", allocated; and whether it can be read. */
char *query_path_join(const char *dir, const char *name);
bool query_file_exists(const char *dir, const char *name);

#endif
