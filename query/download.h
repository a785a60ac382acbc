/* download.h: one file from the hub onto the disk, whole and checked, or a reason why not. */
#ifndef QUERY_DOWNLOAD_H
#define QUERY_DOWNLOAD_H

#include "engine/clip.h"

typedef struct query_downloader query_downloader;

typedef struct query_download_options {
    const char *token;  /* sent to the host of the address only, never to where that host redirects; may be NULL */
    int timeout;        /* seconds without a byte after which a connection counts as broken */
    bool progress;      /* a line on the terminal */
} query_download_options;

typedef enum query_download_result { QUERY_DOWNLOADED, QUERY_DOWNLOAD_MISSING, QUERY_DOWNLOAD_FAILED } query_download_result;

bool query_download_possible(void); /* false in a build without libcurl */

/* Loads libcurl, which costs 7 to 9 ms and is why it is not linked. options must stay. */
CLIP_MUST_USE bool query_downloader_create(const query_download_options *o, query_downloader **out, clip_error *err);
void query_downloader_destroy(query_downloader *d);

/* Writes path.part, goes on with one that an earlier call left, and renames it to path once its length and the hub's hash
 * agree. At most max_bytes. MISSING: the server knows no such file (404); err is filled then too. */
CLIP_MUST_USE query_download_result query_download(query_downloader *d, const char *url, const char *path, int64_t max_bytes,
                                                   clip_error *err);

/* The commit that the hub named in its last answer: 40 hex digits, or "". */
const char *query_download_commit(const query_downloader *d);
/* Whether the last file came with a hash to check it by. */
bool query_download_checked(const query_downloader *d);

#endif
