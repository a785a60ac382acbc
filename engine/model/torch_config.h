/* torch_config.h: what a CLIP is, told from its tensors. Internal to engine/. */
#ifndef CLIP_TORCH_CONFIG_H
#define CLIP_TORCH_CONFIG_H

#include "engine/model/config.h"
#include "engine/model/torch_file.h"

/* Whose names the tensors have; CLIP_E_UNSUPPORTED when they are neither's. */
CLIP_MUST_USE clip_status clip_torch_form(const clip_torch_file *f, clip_file_form *out, clip_error *err);

/* An open_clip_config.json for a file in open_clip's form: allocated text. */
CLIP_MUST_USE clip_status clip_torch_deduce(const clip_torch_file *f, bool quick_gelu, char **json, clip_error *err);

#endif
