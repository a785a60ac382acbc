/* clip.h: CLIP image and text encoders. Bytes and words in, unit vectors out.
 *
 * The nouns
 *   model    a directory as Hugging Face or open_clip publishes it, opened: configuration, mapped weights, vocabulary
 *   encoder  one tower made ready to run: packed weights and one workspace
 *   row      one photo as the image tower wants it: image_size x image_size pixels, 3 bytes R G B, rows top to bottom
 *   vector   dim floats of unit length; the cosine of two vectors is their dot product
 *
 * Ownership    Whatever a create/open call returns belongs to the caller, who gives it to the matching destroy/close;
 *              both accept NULL. A model must outlive its encoders. Strings inside clip_model_info belong to the model.
 * Threads      An open model is immutable and may be shared by any number of threads. An encoder belongs to one thread at a
 *              time and uses up to `threads` threads of its own while it runs. The clip_image_* functions keep no state
 *              and may run in many threads at once.
 * Errors       Every call that can fail returns a status, 0 being success, and fills `err` (which may be NULL) with one
 *              line: what happened, to which file, what to do. Nothing is printed, nothing exits, no environment variable
 *              is read by this library.
 * Cost         Opening a model maps its files and reads only the configuration and the weight file's header; an encoder
 *              touches only its own tower's pages. Encoding photos allocates nothing, nor do texts of a few hundred letters.
 *
 * Use
 *     clip_model *m; clip_text_encoder *t; clip_error e = {0}; float v[1024];
 *     if (clip_model_open("models/default", &m, &e) ||
 *         clip_text_encoder_create(m, &(clip_encoder_options){.threads = 2}, &t, &e) ||
 *         clip_text_encode(t, &(const char *){"a bird on a tree trunk"}, 1, v, &e)) { puts(e.text); return 1; }
 *     // v holds clip_model_describe(m)->dim floats
 *     clip_text_encoder_destroy(t); clip_model_close(m);
 *
 * Method: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, arXiv 2103.00020. */
#ifndef CLIP_H
#define CLIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIP_MUST_USE __attribute__((warn_unused_result))

typedef enum clip_status {
    CLIP_OK = 0,
    CLIP_E_IO,          /* the system refused: open, read, map */
    CLIP_E_FORMAT,      /* the bytes are not what they claim to be, or broken */
    CLIP_E_UNSUPPORTED, /* well formed, but of a kind that this library does not know */
    CLIP_E_LIMIT,       /* larger than a limit allows: nothing was allocated for it */
    CLIP_E_MEMORY,
    CLIP_E_ARGUMENT,    /* the caller's fault */
    CLIP_E_INTERNAL     /* an arithmetic library failed, a vector was not finite */
} clip_status;

typedef struct clip_error {
    char text[512]; /* one line without a newline; "" when nothing failed; the first error wins */
} clip_error;

/* "input/output", "format", ... : a stable word for each status, for logs and tests. */
const char *clip_status_name(clip_status s);

/* ---- models ---------------------------------------------------------------------------------------------------- */

typedef struct clip_model clip_model;

typedef struct clip_model_info {
    const char *dir;          /* as given to clip_model_open */
    const char *name;         /* the directory's last component */
    const char *image_arch;   /* "ViT 12x768/32", "EfficientNet-Lite0", ... : for people */
    const char *text_arch;
    const char *file_form;    /* "huggingface" or "open_clip" */
    char fingerprint[33];     /* 32 hex digits: identifies weights and configuration, not the directory's name */
    int dim;                  /* length of a vector */
    int image_size;           /* pixels, both sides of a row */
    int context_length;       /* tokens, start and end included */
    int vocab_size;
    float logit_scale;        /* exp of the stored value, at most 100 in CLIP */
    float logit_bias;         /* 0 for CLIP; SigLIP has one: then sigmoid(logit_scale * cosine + logit_bias) is the probability
                                 that text and photo belong together */
    bool has_image, has_text;
    int64_t image_params, text_params;
} clip_model_info;

CLIP_MUST_USE clip_status clip_model_open(const char *dir, clip_model **out, clip_error *err);
void clip_model_close(clip_model *m);
const clip_model_info *clip_model_describe(const clip_model *m);

/* The nonlinearity of both towers, where only the user knows it. */
typedef enum clip_gelu { CLIP_GELU_UNKNOWN = 0, CLIP_GELU_QUICK, CLIP_GELU_EXACT } clip_gelu;

/* Makes a model of a file that PyTorch wrote (torch.save or TorchScript, a zip archive; or a NAME.index.json that lists several beside
 * it), in the folder `dir`, which must exist: configuration and weights, which must not be there yet, but no vocabulary. Nothing in
 * the file is ever run. The configuration is the one in the folder `beside` (NULL: none; may be dir); where there is none, or the
 * file is TorchScript, or `gelu` is given, it is told from the tensors' shapes (open_clip's names only); CLIP_E_ARGUMENT when that
 * needs a `gelu`. What the tensors do not show, mean and deviation of the pixels and the way of resizing, is OpenAI's then; *assumed
 * (NULL: nobody asks) is true where that is a guess, the file being no TorchScript. After a failure dir holds fragments. */
CLIP_MUST_USE clip_status clip_model_import(const char *file, const char *beside, const char *dir, clip_gelu gelu, bool *assumed,
                                            clip_error *err);

/* ---- encoders -------------------------------------------------------------------------------------------------- */

/* What an image encoder computes its products in; sums are f32, or exact. An encoder takes the nearest that this CPU and the
 * model's tower have, and says which: bf16 needs AVX-512 BF16, int16 AVX2 and no ResNet; both are f32 otherwise.
 * CLIP_INT8 is 8-bit integers for a ViT on a CPU with AVX2 or VNNI, and int16 for other towers. */
typedef enum clip_precision { CLIP_F32 = 0, CLIP_BF16, CLIP_INT16, CLIP_INT8, CLIP_AUTO } clip_precision;

const char *clip_precision_name(clip_precision p); /* "f32", "bf16", "int16", "int8", "auto" */
#define CLIP_PRECISION_CHOICE "f32|bf16|int16|int8|auto" /* the same, in the enum's order */

typedef struct clip_encoder_options {
    int threads;              /* 0: one for each core */
    int max_batch;            /* images or texts computed at once; 0: a measured default */
    clip_precision precision; /* arithmetic asked for; CLIP_AUTO takes the fastest on this CPU that keeps any model's vectors */
    bool as_vnni;             /* CLIP_INT8 as a CPU with VNNI does it, on others too: for tests of exactness */
} clip_encoder_options;

typedef struct clip_image_encoder clip_image_encoder;
typedef struct clip_text_encoder clip_text_encoder;

CLIP_MUST_USE clip_status clip_image_encoder_create(const clip_model *m, const clip_encoder_options *o,
                                                    clip_image_encoder **out, clip_error *err);
void clip_image_encoder_destroy(clip_image_encoder *e);
int clip_image_encoder_max_batch(const clip_image_encoder *e);
clip_precision clip_image_encoder_precision(const clip_image_encoder *e); /* what it really runs in */

/* rows: [n][image_size][image_size][3] bytes; out: [n][dim] unit vectors. Any n: larger than max_batch is done in parts.
 * CLIP_E_INTERNAL if a vector came out with a value that is not finite: nothing of that batch may then be kept. */
CLIP_MUST_USE clip_status clip_image_encode(clip_image_encoder *e, const uint8_t *rows, size_t n, float *out,
                                            clip_error *err);

/* What an encoder that is asked for `asked` would run in here. */
clip_precision clip_precision_here(const clip_model *m, clip_precision asked);

/* What is faster here than what CLIP_AUTO takes, but keeps some models' vectors and not others': CLIP_AUTO for nothing. */
clip_precision clip_precision_to_try(const clip_model *m);

typedef struct clip_trial {
    clip_precision tried, against;
    size_t photos;
    double mean, least;       /* cosine between both vectors of a photo */
    bool kept;
} clip_trial;

/* Encodes the n rows in what e runs in and in `tried`, and leaves e running in `tried` if their vectors are so close (CLIP_TRIAL_MEAN and
 * _LEAST), else as it was. out: the rows' vectors in what e then runs in. There are never two towers at once. CLIP_E_INTERNAL: a row's
 * vector is not finite, and e is as it was; after another error e can only be destroyed. */
CLIP_MUST_USE clip_status clip_image_encoder_try(clip_image_encoder *e, clip_precision tried, const uint8_t *rows, size_t n,
                                                 float *out, clip_trial *t, clip_error *err);
#define CLIP_TRIAL_MEAN 0.9998
#define CLIP_TRIAL_LEAST 0.999

CLIP_MUST_USE clip_status clip_text_encoder_create(const clip_model *m, const clip_encoder_options *o,
                                                   clip_text_encoder **out, clip_error *err);
void clip_text_encoder_destroy(clip_text_encoder *e);

/* texts: n strings of UTF-8 (bytes that are not UTF-8 are replaced by U+FFFD); out: [n][dim] unit vectors.
 * A text longer than the context is cut, as CLIP does. */
CLIP_MUST_USE clip_status clip_text_encode(clip_text_encoder *e, const char *const *texts, size_t n, float *out,
                                           clip_error *err);

/* The token ids of one text, start and end included: ids[0..*n). `room` is at least context_length. */
CLIP_MUST_USE clip_status clip_tokenize(const clip_model *m, const char *text, int32_t *ids, size_t room, size_t *n,
                                        clip_error *err);

/* ---- photos ---------------------------------------------------------------------------------------------------- */

typedef enum clip_format {
    CLIP_FORMAT_UNKNOWN = 0, CLIP_FORMAT_JPEG, CLIP_FORMAT_PNG, CLIP_FORMAT_WEBP, CLIP_FORMAT_HEIC, CLIP_FORMAT_AVIF,
    CLIP_FORMAT_TIFF, CLIP_FORMAT_GIF, CLIP_FORMAT_RAW
} clip_format;

const char *clip_format_name(clip_format f); /* "jpeg", "png", ...; "unknown" */

/* By the first bytes, never by a name. 32 bytes are enough; CLIP_FORMAT_UNKNOWN is an answer, not an error. */
clip_format clip_format_sniff(const uint8_t *bytes, size_t n);

/* Whether this build can decode the format. */
bool clip_format_supported(clip_format f);

typedef struct clip_limits {  /* a zero means the default */
    uint64_t max_bytes;       /* of the file; default 256 MiB */
    uint64_t max_pixels;      /* width x height as stored; default 256 Mi */
    uint64_t max_memory;      /* bytes that decoding it may hold at once, the file's own not counted; default 1 GiB */
    int max_scans;            /* of a progressive JPEG; default 100 */
    bool exact_decode;        /* no scaled JPEG decoding: slower, what the reference does */
} clip_limits;

typedef struct clip_photo {
    clip_format format;
    int width, height;        /* pixels, after turning */
    int orientation;          /* EXIF 1..8 as found; 1 when absent */
    bool truncated;           /* part of the picture was missing; the rows that exist were used */
    char taken[20];           /* "2023-07-14 18:30:00", the camera's own clock; "" when absent */
    char camera[96];          /* make and model, UTF-8, the make not repeated; "" when absent */
    bool has_gps;
    double latitude, longitude; /* degrees, north and east positive */
} clip_photo;

/* Reads a regular file whole through fd, never mapping it. CLIP_E_LIMIT above limits->max_bytes. The caller frees *bytes.
 * The bytes are followed by none: *n is the length. CLIP_E_UNSUPPORTED for pipes, sockets, devices and folders.
 * `name` is used in messages only. */
CLIP_MUST_USE clip_status clip_file_read(int fd, const char *name, const clip_limits *limits, uint8_t **bytes, size_t *n,
                                         clip_error *err);

/* Facts about a photo without decoding its pixels: format, size, orientation, EXIF. */
CLIP_MUST_USE clip_status clip_photo_probe(const uint8_t *bytes, size_t n, const clip_limits *limits, clip_photo *out,
                                           clip_error *err);

/* Decodes a photo, turns it by its EXIF orientation, resizes and crops it as model `m` prescribes into one row of
 * image_size * image_size * 3 bytes. `info` may be NULL. */
CLIP_MUST_USE clip_status clip_photo_to_row(const clip_model *m, const uint8_t *bytes, size_t n,
                                            const clip_limits *limits, uint8_t *row, clip_photo *info, clip_error *err);

/* A decoded picture, turned, RGB, for looking at: its longer side is at most max_side (0: full size). */
typedef struct clip_picture {
    uint8_t *rgb;             /* [height][width][3]; freed by clip_picture_finish */
    int width, height;
} clip_picture;

CLIP_MUST_USE clip_status clip_picture_decode(const uint8_t *bytes, size_t n, const clip_limits *limits, int max_side,
                                              clip_picture *out, clip_photo *info, clip_error *err);
void clip_picture_finish(clip_picture *p);

/* ---- the machine ----------------------------------------------------------------------------------------------- */

/* NULL when this CPU can run this build; otherwise one line that says which instructions are missing. */
const char *clip_cpu_problem(void);

/* "AVX-512 VNNI bf16", "AVX2 FMA F16C", ... : what dispatch found. */
const char *clip_cpu_describe(void);

#endif
