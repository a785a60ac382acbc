/* encode.h: words and pictures to vectors, each tower made when it is first needed. */
#ifndef QUERY_ENCODE_H
#define QUERY_ENCODE_H

#include "cli/cli.h"

typedef struct query_encoder {
    const cli *c;
    char *dir;                  /* owned */
    clip_model *model;          /* opened by open_library.c, which knows where it lies */
    clip_text_encoder *text;    /* made here, on demand, as the next one is */
    clip_image_encoder *image;
} query_encoder;

/* These report what goes wrong and return the exit status, or 0. The model must be open. */
int query_encode_texts(query_encoder *e, const char *const *texts, size_t n, float *out /* [n][dim] */);
int query_encode_image(query_encoder *e, const char *path, float *out /* [dim] */); /* "-": standard input */
int query_encoder_dim(const query_encoder *e);
void query_encoder_close(query_encoder *e);

#endif
