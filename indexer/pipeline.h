/* pipeline.h: files in, vectors out, with both cores busy. Private to indexer/. It knows no store: its owner says
 * which files come next, which contents are known, and takes the results. */
#ifndef INDEXER_PIPELINE_H
#define INDEXER_PIPELINE_H

#include "engine/clip.h"

typedef struct indexer_job {
    int root_fd;
    const char *path;        /* relative to it; lives as long as the pipeline */
    bool follow_symlinks;
    bool must_encode;        /* do not look for a vector of the same content */
    int64_t size, mtime_ns;  /* as the walk saw them */
    size_t tag;              /* the owner's */
} indexer_job;

typedef enum indexer_outcome {
    INDEXER_ENCODED,   /* hash, photo and vector are filled */
    INDEXER_KNOWN,     /* `known` said yes to its hash: nothing was decoded */
    INDEXER_BROKEN,    /* cannot be decoded: reason, photo.format; final until the file changes */
    INDEXER_VANISHED,  /* gone since the walk: nothing to say */
    INDEXER_UNREAD     /* could not be read, or changed while it was read: reason; to be tried again at the next run */
} indexer_outcome;

typedef struct indexer_result {
    indexer_job job;
    indexer_outcome outcome;
    bool again;              /* set by the owner's `write`: take the job back and encode it whatever is known */
    bool hashed;
    uint8_t hash[16];
    clip_photo photo;
    const float *vector;     /* [dim], in the batch */
    char reason[512];
} indexer_result;

/* The engine as the pipeline sees it, so that tests can put a stubborn one in its place. */
typedef struct indexer_coder {
    size_t row_bytes;
    int dim, max_batch;
    clip_status (*to_row)(void *ctx, const uint8_t *bytes, size_t n, const clip_limits *l, uint8_t *row, clip_photo *info,
                          clip_error *err);                                             /* from many threads at once */
    clip_status (*start)(void *ctx, clip_error *err); /* NULL, or: once before the first encode, from its thread */
    clip_status (*encode)(void *ctx, const uint8_t *rows, size_t n, float *out, clip_error *err); /* from one thread */
    void *ctx;
} indexer_coder;

typedef struct indexer_pipeline {
    const indexer_coder *coder;
    int decoders;                /* threads */
    int64_t memory;              /* bytes that files and pictures being decoded may take */
    clip_limits limits;
    double flush_seconds;        /* a batch is not held back longer than this by slow reading */
    bool (*next)(indexer_job *job, void *ctx);              /* false: no more; called under a lock, so it must be quick */
    bool (*known)(const uint8_t hash[16], void *ctx);       /* from decoder threads */
    int (*write)(indexer_result *results, size_t n, void *ctx); /* from the calling thread; nonzero ends the run */
    bool (*tick)(void *ctx);                                /* from the calling thread, ten times a second; true: stop */
    void *ctx;
} indexer_pipeline;

typedef enum indexer_pipeline_end {
    INDEXER_PIPELINE_DONE, INDEXER_PIPELINE_STOPPED, INDEXER_PIPELINE_FAILED
} indexer_pipeline_end;

/* FAILED: err says what, unless it was `write` that ended the run. */
indexer_pipeline_end indexer_pipeline_run(const indexer_pipeline *p, clip_error *err);

#endif
