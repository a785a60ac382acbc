/* made_model.h: models whose weights follow from a rule, made on the spot. See make_reference.py, which has the same rule. */
#ifndef MADE_MODEL_H
#define MADE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define MADE_IMAGES 3
#define MADE_TEXTS 3

/* A folder for this process's files, removed with all in it at exit. */
const char *made_folder(void);

/* Makes the model tests/engine/models/NAME in a folder of its own, with a vocabulary of bytes; returns the folder. */
const char *made_model(const char *name);

/* A copy of that folder to be spoilt by the caller. */
const char *made_model_copy(const char *name, const char *as);

/* The numbers of one tensor by the same rule: *bytes of them, freed by the caller. dtype: "F32", "F16", "BF16" or "I64". */
uint8_t *made_numbers(const char *name, const char *dtype, int dims, const int64_t *size, size_t *bytes);

void made_vocabulary(const char *dir);                  /* of bytes, into a folder that is there */
uint8_t *made_images(int size);                         /* [MADE_IMAGES][size][size][3]; freed by the caller */
extern const char *const made_texts[MADE_TEXTS];

typedef struct made_record {
    char name[16];
    uint32_t rows, width, n;
    const float *values;                                /* [n] */
} made_record;

/* The next record of a model's reference, or 0 at the end. */
typedef struct made_reference {
    unsigned char *bytes;
    size_t length, at;
} made_reference;
made_reference made_reference_open(const char *name);
int made_reference_next(made_reference *r, made_record *out);
void made_reference_close(made_reference *r);

#endif
