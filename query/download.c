/* download.c: libcurl behind one call.
 *
 * libcurl is opened when the first file is asked for, because linking it would cost every search 7 to 9 ms. The hashes are
 * libnettle's.
 *
 *     PATH.part    the bytes so far            PATH.etag    the hub's hash of the whole file
 *
 * Going on after a break. The hub redirects big files to another host whose own ETag is something else, so an If-Range with
 * the hub's value would never match there. Instead the request asks for a range, and the answer's hash is compared with
 * PATH.etag while its headers pass, before a byte is kept: another value means another file, and the request is made again
 * from the start. A server that ignores the range answers 200, and the file begins again. What was put together from
 * several answers is checked by its hash in the end; if that fails, it is fetched once more in one piece.
 *
 * The hash. X-Linked-Etag is the SHA-256 of a large file; the ETag of a small one is its git blob's SHA-1. */
#include "query/download.h"

#ifdef CLIPSEARCH_PULL

#include "cli/cli.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REDIRECTS = 5, BREAKS = 5, REQUESTS = 200, WAITS = 2, LONGEST_WAIT = 120, ERROR_BODY = 64 << 10 };

struct query_downloader {
    const query_download_options *o;
    void *library;
    CURL *handle;
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*perform)(CURL *);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
    void (*cleanup)(CURL *);
    const char *(*text)(CURLcode);
    char commit[41];
    bool checked;
};

typedef enum refusal { NONE, ANOTHER_FILE, TOO_LARGE, WRONG_RANGE, NO_ROOM } refusal;

typedef struct transfer {
    query_downloader *d;
    const char *url, *path;
    char *part, *etag_path;
    clip_error *err;
    int fd;
    int64_t max, have, at, range_start, length, linked_size; /* -1: not told */
    int64_t discarded;
    int status;
    bool begun, linked, restarted;
    char etag[80], kept[80];
    refusal refused;
    int system_error;
    double started, drawn;
} transfer;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool say(clip_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(clip_error *err, const char *format, ...)
{
    va_list list;
    if (!err || err->text[0]) return false;
    va_start(list, format);
    vsnprintf(err->text, sizeof err->text, format, list);
    va_end(list);
    return false;
}

/* ---- the library ---- */

static bool load(query_downloader *d, clip_error *err)
{
    CURLcode (*global)(long);
    CURL *(*init)(void);
    if (!(d->library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL)) &&
        !(d->library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL)))
        return say(err, "libcurl is missing, without which nothing can be downloaded (%s); install libcurl4", dlerror());
    struct { void *to; const char *name; } calls[] = {
        {&global, "curl_global_init"}, {&init, "curl_easy_init"}, {&d->setopt, "curl_easy_setopt"},
        {&d->perform, "curl_easy_perform"}, {&d->getinfo, "curl_easy_getinfo"}, {&d->cleanup, "curl_easy_cleanup"},
        {&d->text, "curl_easy_strerror"}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *f = dlsym(d->library, calls[i].name);
        if (!f) return say(err, "libcurl is too old: it lacks %s", calls[i].name);
        memcpy(calls[i].to, &f, sizeof f);
    }
    if (global(CURL_GLOBAL_DEFAULT) || !(d->handle = init())) return say(err, "libcurl did not start");
    return true;
}

bool query_download_possible(void) { return true; }

bool query_downloader_create(const query_download_options *o, query_downloader **out, clip_error *err)
{
    query_downloader *d = *out = calloc(1, sizeof *d);
    if (!d) return say(err, "memory ran out");
    d->o = o;
    if (load(d, err)) return true;
    query_downloader_destroy(d);
    *out = NULL;
    return false;
}

/* The library stays loaded: those that it stands on register things that only the program's end takes away. */
void query_downloader_destroy(query_downloader *d)
{
    if (d && d->handle) d->cleanup(d->handle);
    free(d);
}

const char *query_download_commit(const query_downloader *d) { return d->commit; }
bool query_download_checked(const query_downloader *d) { return d->checked; }

/* ---- answers as they come ---- */

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

/* A header's value without quotes and W/, cut to fit. */
static bool header(const char *line, size_t n, const char *name, char *value, size_t room)
{
    size_t m = strlen(name);
    if (n <= m || strncasecmp(line, name, m) != 0 || line[m] != ':') return false;
    const char *p = line + m + 1, *end = line + n;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    while (end > p && strchr("\r\n \t", end[-1])) end--;
    if (end - p > 2 && p[0] == 'W' && p[1] == '/') p += 2;
    if (end - p >= 2 && *p == '"' && end[-1] == '"') p++, end--;
    size_t length = (size_t)(end - p) < room - 1 ? (size_t)(end - p) : room - 1;
    memcpy(value, p, length);
    value[length] = 0;
    return true;
}

static int64_t number(const char *s)
{
    char *end;
    errno = 0;
    long long x = strtoll(s, &end, 10);
    return end == s || errno || x < 0 ? -1 : (int64_t)x;
}

static size_t on_header(char *line, size_t one, size_t n, void *user)
{
    transfer *t = user;
    char value[80];
    (void)one;
    if (n > 9 && strncmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', n);
        t->status = space && space + 3 < line + n ? (int)number(space + 1) : 0;
        t->range_start = t->length = -1;
    } else if (header(line, n, "X-Linked-Etag", value, sizeof value)) {
        if (!t->linked) memcpy(t->etag, value, sizeof value); /* the hub's own answer comes before any other host's */
        t->linked = true;
    } else if (header(line, n, "ETag", value, sizeof value)) {
        if (!t->linked) memcpy(t->etag, value, sizeof value);
    } else if (header(line, n, "X-Linked-Size", value, sizeof value)) {
        if (t->linked_size < 0) t->linked_size = number(value);
    } else if (header(line, n, "X-Repo-Commit", value, sizeof value)) {
        if (!t->d->commit[0] && is_hex(value, 40)) memcpy(t->d->commit, value, 41);
    } else if (header(line, n, "Content-Length", value, sizeof value)) {
        t->length = number(value);
    } else if (header(line, n, "Content-Range", value, sizeof value)) {
        t->range_start = strncmp(value, "bytes ", 6) == 0 ? number(value + 6) : -1;
    }
    return n;
}

static bool stop(transfer *t, refusal why)
{
    t->refused = why;
    return false;
}

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f) return false;
    bool ok = fputs(text, f) >= 0;
    return !fclose(f) && ok;
}

/* The first byte of a file's answer: does it belong to what is there? */
static bool begin(transfer *t)
{
    int64_t whole;
    t->begun = true;
    if (t->status == 206) {
        if (!t->have || t->range_start != t->have) return stop(t, WRONG_RANGE);
        if (strcmp(t->etag, t->kept) != 0) return stop(t, ANOTHER_FILE);
        t->at = t->have;
    } else {
        if (ftruncate(t->fd, 0) || !write_text(t->etag_path, t->etag)) {
            t->system_error = errno;
            return stop(t, NO_ROOM);
        }
        memcpy(t->kept, t->etag, sizeof t->kept);
        t->at = 0;
    }
    whole = t->length < 0 ? -1 : t->at + t->length;
    if (whole > t->max || t->linked_size > t->max) return stop(t, TOO_LARGE);
    return lseek(t->fd, t->at, SEEK_SET) == t->at || stop(t, NO_ROOM);
}

static size_t on_body(char *bytes, size_t one, size_t n, void *user)
{
    transfer *t = user;
    (void)one;
    if (t->status != 200 && t->status != 206) /* an error's page: nobody reads it, and it may be endless */
        return (t->discarded += (int64_t)n) > ERROR_BODY ? 0 : n;
    if (!t->begun && !begin(t)) return 0;
    if (t->at + (int64_t)n > t->max) return stop(t, TOO_LARGE), 0;
    for (size_t done = 0; done < n;) {
        ssize_t w = write(t->fd, bytes + done, n - done);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return t->system_error = errno, stop(t, NO_ROOM), 0;
        done += (size_t)w;
        t->at += w;
    }
    return n;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int on_progress(void *user, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up)
{
    transfer *t = user;
    char a[32], b[32], c[32];
    double time = now(), passed = time - t->started;
    (void)total, (void)up_total, (void)up;
    if (!t->d->o->progress || !t->begun || t->length < 0 || passed < 0.5 || time - t->drawn < 0.1 || done <= 0) return 0;
    t->drawn = time;
    double rate = (double)done / passed;
    cli_draw("%s  %s of %s, %s/s, %.0f s left", last_part(t->path), cli_bytes(t->at, a),
             cli_bytes(t->at - done + t->length, b), cli_bytes((int64_t)rate, c), (double)(t->length - done) / rate);
    return 0;
}

/* ---- one request ---- */

static void read_kept(transfer *t)
{
    struct stat st;
    FILE *f = fopen(t->etag_path, "r");
    size_t n = f ? fread(t->kept, 1, sizeof t->kept - 1, f) : 0;
    if (f) fclose(f);
    t->kept[n] = 0;
    t->have = n && fstat(t->fd, &st) == 0 ? (int64_t)st.st_size : 0; /* nothing to compare with: from the start */
}

static CURLcode request(transfer *t)
{
    query_downloader *d = t->d;
    char range[40];
    const char *protocols = strncmp(t->url, "https:", 6) == 0 ? "https" : "http,https";
    read_kept(t);
    t->status = 0, t->begun = t->linked = false, t->refused = NONE, t->discarded = 0, t->etag[0] = 0;
    t->range_start = t->length = t->linked_size = -1;
    t->at = t->have;
    t->started = now();
    snprintf(range, sizeof range, "%lld-", (long long)t->have);
    CURL *h = d->handle;
    d->setopt(h, CURLOPT_URL, t->url);
    d->setopt(h, CURLOPT_USERAGENT, "clipsearch/" CLIPSEARCH_VERSION);
    d->setopt(h, CURLOPT_NOSIGNAL, 1L);
    d->setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
    d->setopt(h, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    d->setopt(h, CURLOPT_PROTOCOLS_STR, protocols);
    d->setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, protocols); /* never from https to http */
    d->setopt(h, CURLOPT_CONNECTTIMEOUT, (long)d->o->timeout);
    d->setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    d->setopt(h, CURLOPT_LOW_SPEED_TIME, (long)d->o->timeout);
    d->setopt(h, CURLOPT_RANGE, t->have ? range : NULL);
    if (d->o->token) { /* as libcurl's own credential, which it keeps from other hosts, not as a header of ours */
        d->setopt(h, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        d->setopt(h, CURLOPT_XOAUTH2_BEARER, d->o->token);
    }
    d->setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    d->setopt(h, CURLOPT_HEADERDATA, t);
    d->setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    d->setopt(h, CURLOPT_WRITEDATA, t);
    d->setopt(h, CURLOPT_NOPROGRESS, 0L);
    d->setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    d->setopt(h, CURLOPT_XFERINFODATA, t);
    CURLcode code = d->perform(h);
    if (code == CURLE_OK && t->status == 200 && !t->begun && !begin(t)) code = CURLE_WRITE_ERROR; /* an empty file */
    cli_draw_end();
    return code;
}

/* ---- is it whole? ---- */

static void hex_of(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool hash_agrees(transfer *t, int64_t size)
{
    bool sha256 = is_hex(t->kept, 64), git = is_hex(t->kept, 40);
    struct sha256_ctx a;
    struct sha1_ctx b;
    uint8_t digest[SHA256_DIGEST_SIZE], *room = malloc(1 << 20);
    char found[2 * SHA256_DIGEST_SIZE + 1], head[40];
    t->d->checked = sha256 || git;
    if (!t->d->checked || !room) return free(room), t->d->checked == false;
    sha256_init(&a);
    sha1_init(&b);
    sha1_update(&b, (size_t)snprintf(head, sizeof head, "blob %lld", (long long)size) + 1, (const uint8_t *)head);
    int64_t at = 0;
    for (ssize_t n; (n = pread(t->fd, room, 1 << 20, at)) > 0; at += n) {
        if (sha256) sha256_update(&a, (size_t)n, room);
        else sha1_update(&b, (size_t)n, room);
    }
    free(room);
    if (sha256) sha256_digest(&a, SHA256_DIGEST_SIZE, digest);
    else sha1_digest(&b, SHA1_DIGEST_SIZE, digest);
    hex_of(digest, sha256 ? SHA256_DIGEST_SIZE : SHA1_DIGEST_SIZE, found);
    return at == size && strcmp(found, t->kept) == 0;
}

static bool is_whole(transfer *t)
{
    struct stat st;
    return fstat(t->fd, &st) == 0 && (t->linked_size < 0 || st.st_size == t->linked_size) && hash_agrees(t, st.st_size);
}

static void start_again(transfer *t)
{
    if (ftruncate(t->fd, 0)) t->system_error = errno;
    unlink(t->etag_path);
}

static query_download_result finish(transfer *t)
{
    if (fsync(t->fd) || rename(t->part, t->path)) {
        say(t->err, "%s: %s", t->path, strerror(errno));
        return QUERY_DOWNLOAD_FAILED;
    }
    unlink(t->etag_path);
    return QUERY_DOWNLOADED;
}

/* ---- what went wrong ---- */

static query_download_result refused_by_status(transfer *t)
{
    int s = t->status;
    if (s == 404) say(t->err, "%s: the server has no such file (404)", t->url);
    else if ((s == 401 || s == 403) && t->d->o->token)
        say(t->err, "%s: refused (%d); HF_TOKEN is not accepted there, or the model does not exist, or its terms must be "
            "accepted on its page first", t->url, s);
    else if (s == 401 || s == 403)
        say(t->err, "%s: refused (%d); the model does not exist, or it needs a token: set HF_TOKEN", t->url, s);
    else if (s == 429) say(t->err, "%s: too many requests (429); try again later", t->url);
    else say(t->err, "%s: the server answered %d", t->url, s);
    return s == 404 ? QUERY_DOWNLOAD_MISSING : QUERY_DOWNLOAD_FAILED;
}

static query_download_result refused_by_us(transfer *t)
{
    char a[32];
    if (t->refused == NO_ROOM)
        say(t->err, "%s: %s; what is there stays, and the same command goes on from it", t->part,
            strerror(t->system_error ? t->system_error : EIO));
    else if (t->refused == TOO_LARGE)
        say(t->err, "%s: larger than the %s that such a file may have", t->url, cli_bytes(t->max, a));
    else say(t->err, "%s: the server sent a part of something else than what was asked for", t->url);
    return QUERY_DOWNLOAD_FAILED;
}

static bool is_break(CURLcode code, int status)
{
    switch (code) {
    case CURLE_OK: return status >= 500;
    case CURLE_PARTIAL_FILE: case CURLE_RECV_ERROR: case CURLE_SEND_ERROR: case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT: case CURLE_HTTP2: case CURLE_HTTP2_STREAM: case CURLE_COULDNT_CONNECT:
        return true;
    default: return false;
    }
}

static void wait_seconds(const transfer *t, long seconds)
{
    if (t->d->o->progress && seconds > 1) cli_warn("the server asks to wait %ld s", seconds);
    sleep((unsigned)seconds);
}

/* -1: ask again; else the result. */
static int judge(transfer *t, CURLcode code, int *breaks, int *waits)
{
    bool answered = code == CURLE_OK || code == CURLE_WRITE_ERROR, body = t->status == 200 || t->status == 206;
    curl_off_t after = 0;
    if (!t->restarted && (t->refused == ANOTHER_FILE || t->refused == WRONG_RANGE)) {
        t->restarted = true;
        return start_again(t), -1;
    }
    if (t->refused) return (int)refused_by_us(t);
    if (code == CURLE_OK && (body || (t->status == 416 && t->have))) {
        if (is_whole(t)) return (int)finish(t);
        bool again = t->have && !t->restarted; /* put together from several answers: once more in one piece */
        start_again(t);
        t->restarted = true;
        if (again) return -1;
        say(t->err, "%s: what came is not what the hub describes (its length or hash differs); nothing of it was kept", t->url);
        return QUERY_DOWNLOAD_FAILED;
    }
    if (answered && (t->status == 429 || t->status == 503) && *waits < WAITS) {
        t->d->getinfo(t->d->handle, CURLINFO_RETRY_AFTER, &after);
        if (after <= LONGEST_WAIT) return ++*waits, wait_seconds(t, after > 0 ? (long)after : 1), -1;
    }
    if (is_break(code, t->status)) {
        *breaks = t->begun && t->at > t->have ? 1 : *breaks + 1; /* one that got on does not count against the next */
        if (*breaks < BREAKS && !(code == CURLE_COULDNT_CONNECT && *breaks > 2)) return sleep(1), -1;
    }
    if (answered) return (int)refused_by_status(t);
    say(t->err, "%s: %s; the same command goes on where this one stopped", t->url, t->d->text(code));
    return QUERY_DOWNLOAD_FAILED;
}

query_download_result query_download(query_downloader *d, const char *url, const char *path, int64_t max_bytes, clip_error *err)
{
    transfer t = {.d = d, .url = url, .path = path, .max = max_bytes, .err = err, .fd = -1};
    int result = -1, breaks = 0, waits = 0;
    if (asprintf(&t.part, "%s.part", path) < 0) t.part = NULL;
    if (asprintf(&t.etag_path, "%s.etag", path) < 0) t.etag_path = NULL;
    if (!t.part || !t.etag_path) say(err, "memory ran out"), result = QUERY_DOWNLOAD_FAILED;
    else if ((t.fd = open(t.part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)) < 0)
        say(err, "%s: %s", t.part, strerror(errno)), result = QUERY_DOWNLOAD_FAILED;
    for (int asked = 0; result < 0; asked++) {
        if (asked < REQUESTS) result = judge(&t, request(&t), &breaks, &waits);
        else say(err, "%s: given up after %d broken connections", url, REQUESTS), result = QUERY_DOWNLOAD_FAILED;
    }
    if (t.fd >= 0) {
        struct stat st;
        if (result != QUERY_DOWNLOADED && fstat(t.fd, &st) == 0 && st.st_size == 0) unlink(t.part);
        close(t.fd);
    }
    free(t.part);
    free(t.etag_path);
    return (query_download_result)result;
}

#else

#include <stdio.h>

bool query_download_possible(void) { return false; }

bool query_downloader_create(const query_download_options *o, query_downloader **out, clip_error *err)
{
    *out = NULL;
    if (err) snprintf(err->text, sizeof err->text, "this build cannot download: libcurl and nettle were not there when it was made");
    return false;
}

void query_downloader_destroy(query_downloader *d) {}

query_download_result query_download(query_downloader *d, const char *url, const char *path, int64_t max_bytes, clip_error *err)
{
    return QUERY_DOWNLOAD_FAILED;
}

const char *query_download_commit(const query_downloader *d) { return ""; }
bool query_download_checked(const query_downloader *d) { return false; }

#endif
