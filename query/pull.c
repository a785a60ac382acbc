/* pull.c: which files make a model, where they come from, and how they become one at once.
 *
 *     models/NAME.partial/           what is being fetched; left there after a break, gone on with by the same command
 *         revision                   the commit that the first answer named: all files are of that one
 *         lock                       held while a pull runs
 *     models/NAME/                   appears by one rename, after the engine has opened it
 *
 * The files, open_clip's form first because repositories that hold both keep the hub's own description of the other in
 * config.json; the weights last, so that what is missing is known before gigabytes have come:
 *     open_clip_config.json, open_clip_model.safetensors      config.json, preprocessor_config.json if any, model.safetensors
 *     vocab.json and merges.txt, or tokenizer.json            the same
 *
 * The hub's own cache, as its programs lay it out: models--OWNER--REPO/refs/REVISION holds a commit,
 * models--OWNER--REPO/snapshots/COMMIT/ the files. A model that is there becomes a folder of links to them. */
#include "query/pull.h"

#include "query/download.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_BYTES ((int64_t)4 << 20)
#define WORDS_BYTES ((int64_t)64 << 20)
#define WEIGHTS_BYTES ((int64_t)64 << 30)

typedef struct pull {
    const cli *c;
    const query_model_source *source;
    const query_pull_options *o;
    char *dest, *partial, *endpoint, *snapshot; /* snapshot: in the cache, or NULL */
    char revision[100];
    bool pinned;                                /* revision is a commit that the hub named */
    int lock;
    query_downloader *d;
    clip_error err;
} pull;

static char *join(const char *a, const char *b)
{
    char *path = NULL;
    return a && b && asprintf(&path, "%s/%s", a, b) >= 0 ? path : NULL;
}

static bool exists(const char *dir, const char *name)
{
    char *path = join(dir, name);
    bool there = path && access(path, R_OK) == 0;
    free(path);
    return there;
}

/* ---- folders ---- */

/* Every folder of the path, the last one included. */
static bool make_folders(const char *path)
{
    char *copy = strdup(path);
    bool ok = copy != NULL;
    for (char *p = copy ? copy + 1 : NULL; ok && p; ) {
        char *slash = strchr(p, '/');
        if (slash) *slash = 0;
        ok = mkdir(copy, 0777) == 0 || errno == EEXIST;
        if (slash) *slash = '/';
        p = slash ? slash + 1 : NULL;
    }
    free(copy);
    return ok;
}

/* A model's folder holds files and links, never folders: what else is there stays, and the folder with it. */
static void remove_folder(const char *dir)
{
    DIR *entries = opendir(dir);
    for (struct dirent *e; entries && (e = readdir(entries)); )
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) unlinkat(dirfd(entries), e->d_name, 0);
    if (entries) closedir(entries);
    rmdir(dir);
}

static bool open_partial(pull *p)
{
    char *lock = join(p->partial, "lock");
    if (!lock || !make_folders(p->partial) || (p->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0)
        snprintf(p->err.text, sizeof p->err.text, "%.400s: %s", p->partial, strerror(errno));
    else if (flock(p->lock, LOCK_EX | LOCK_NB))
        snprintf(p->err.text, sizeof p->err.text, "%.300s: another clipsearch is fetching this model", p->partial);
    free(lock);
    return !p->err.text[0];
}

/* ---- files ---- */

static void pin(pull *p)
{
    const char *commit = query_download_commit(p->d);
    char *path = join(p->partial, "revision");
    FILE *f = !p->pinned && commit[0] && path ? fopen(path, "w") : NULL;
    if (f) {
        p->pinned = fputs(commit, f) >= 0;
        if (fclose(f)) p->pinned = false;
        snprintf(p->revision, sizeof p->revision, "%s", commit);
    }
    free(path);
}

/* The commit of an earlier, broken run; without one, what it left may be of any. */
static void read_pin(pull *p)
{
    char *path = join(p->partial, "revision");
    FILE *f = path ? fopen(path, "r") : NULL;
    char commit[41] = "";
    if (f) {
        size_t n = fread(commit, 1, 40, f);
        fclose(f);
        if ((p->pinned = n == 40 && strspn(commit, "0123456789abcdef") == 40)) memcpy(p->revision, commit, sizeof commit);
    }
    free(path);
}

static query_download_result download(pull *p, const char *file, int64_t most)
{
    char revision[3 * sizeof p->revision], *to = revision, *url = NULL, *path = join(p->partial, file), size[32];
    query_download_result r = QUERY_DOWNLOAD_FAILED;
    struct stat st;
    for (const char *s = p->revision; *s; s++) /* the one letter of a revision that would divide the address */
        if (*s == '/') to = stpcpy(to, "%2F");
        else *to++ = *s;
    *to = 0;
    if (asprintf(&url, "%s/%s/resolve/%s/%s", p->endpoint, p->source->repo, revision, file) < 0) url = NULL;
    if (!url || !path) snprintf(p->err.text, sizeof p->err.text, "memory ran out");
    else r = query_download(p->d, url, path, most, &p->err);
    if (r == QUERY_DOWNLOADED) {
        pin(p);
        if (stat(path, &st) == 0)
            cli_say(p->c, "%s  %s%s", file, cli_bytes(st.st_size, size),
                    query_download_checked(p->d) ? "" : "  (the server names no hash to check it by)");
    }
    free(url);
    free(path);
    return r;
}

/* Puts one file into NAME.partial: a link into the cache, what an earlier run fetched, or the hub's. */
static query_download_result get(pull *p, const char *file, int64_t most)
{
    if (p->snapshot) {
        char *from = join(p->snapshot, file), *to = join(p->partial, file);
        query_download_result r = QUERY_DOWNLOADED;
        if (!from || !to || access(from, R_OK)) r = QUERY_DOWNLOAD_MISSING;
        else if ((unlink(to) && errno != ENOENT) || symlink(from, to)) r = QUERY_DOWNLOAD_FAILED;
        if (r) snprintf(p->err.text, sizeof p->err.text, "%.200s/%s: %s", p->snapshot, file, strerror(errno));
        free(from);
        free(to);
        return r;
    }
    if (p->pinned && exists(p->partial, file)) return QUERY_DOWNLOADED;
    return download(p, file, most);
}

static bool need(pull *p, const char *file, int64_t most) { return get(p, file, most) == QUERY_DOWNLOADED; }

/* May be missing: then what was said about it is taken back. */
static query_download_result may_have(pull *p, const char *file, int64_t most)
{
    query_download_result r = get(p, file, most);
    if (r == QUERY_DOWNLOAD_MISSING) p->err.text[0] = 0;
    return r;
}

static bool get_vocabulary(pull *p)
{
    query_download_result r = may_have(p, "vocab.json", WORDS_BYTES);
    if (r == QUERY_DOWNLOADED && (r = may_have(p, "merges.txt", WORDS_BYTES)) == QUERY_DOWNLOADED) return true;
    return r == QUERY_DOWNLOAD_MISSING && need(p, "tokenizer.json", WORDS_BYTES);
}

static bool get_model(pull *p)
{
    query_download_result r = may_have(p, "open_clip_config.json", CONFIG_BYTES);
    if (r == QUERY_DOWNLOAD_FAILED || !(r == QUERY_DOWNLOADED || need(p, "config.json", CONFIG_BYTES)) || !get_vocabulary(p))
        return false;
    if (r == QUERY_DOWNLOADED) {
        r = may_have(p, "open_clip_model.safetensors", WEIGHTS_BYTES);
        if (r != QUERY_DOWNLOAD_MISSING) return r == QUERY_DOWNLOADED;
        if (!need(p, "config.json", CONFIG_BYTES)) return false;
    }
    return may_have(p, "preprocessor_config.json", CONFIG_BYTES) != QUERY_DOWNLOAD_FAILED &&
           need(p, "model.safetensors", WEIGHTS_BYTES);
}

/* ---- the hub's cache ---- */

static char *find_snapshot(const query_model_source *s)
{
    char *cache = cli_hub_cache(), *folder = NULL, *path = NULL, commit[128] = "", *found = NULL;
    const char *slash = strchr(s->repo, '/');
    struct stat st;
    if (cache && asprintf(&folder, "%s/models--%.*s--%s", cache, (int)(slash - s->repo), s->repo, slash + 1) < 0) folder = NULL;
    if (folder && asprintf(&path, "%s/refs/%s", folder, s->revision) < 0) path = NULL;
    FILE *f = path ? fopen(path, "r") : NULL;
    if (f) {
        commit[fread(commit, 1, 64, f)] = 0;
        fclose(f);
        commit[strspn(commit, "0123456789abcdef")] = 0;
    } else if (strlen(s->revision) == 40 && strspn(s->revision, "0123456789abcdef") == 40) {
        memcpy(commit, s->revision, 41);
    }
    if (commit[0] && asprintf(&found, "%s/snapshots/%s", folder, commit) < 0) found = NULL;
    if (found && (stat(found, &st) || !S_ISDIR(st.st_mode))) free(found), found = NULL;
    free(cache);
    free(folder);
    free(path);
    char *absolute = found ? cli_absolute_link(found) : NULL;
    free(found);
    return absolute;
}

/* ---- becoming a model ---- */

static bool opens(pull *p)
{
    clip_model *m = NULL;
    bool ok = clip_model_open(p->partial, &m, &p->err) == CLIP_OK;
    clip_model_close(m);
    return ok;
}

static bool install(pull *p)
{
    static const char *const ours[] = {"lock", "revision", "open_clip_model.safetensors.part", "open_clip_model.safetensors.etag",
                                       "model.safetensors.part", "model.safetensors.etag"};
    char *old = NULL;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        char *path = join(p->partial, ours[i]);
        if (path) unlink(path);
        free(path);
    }
    if (asprintf(&old, "%s.old", p->dest) < 0) return snprintf(p->err.text, sizeof p->err.text, "memory ran out"), false;
    bool replaced = rename(p->dest, old) == 0, ok = rename(p->partial, p->dest) == 0;
    if (!ok) {
        snprintf(p->err.text, sizeof p->err.text, "%.400s: %s", p->dest, strerror(errno));
        if (replaced && rename(old, p->dest)) cli_warn("what was in %s is in %s now", p->dest, old);
    } else if (replaced) {
        remove_folder(old);
    }
    free(old);
    return ok;
}

/* Asked before a broken download is given up for it. */
static bool is_complete(const char *dir)
{
    bool weights = (exists(dir, "open_clip_config.json") && exists(dir, "open_clip_model.safetensors")) ||
                   (exists(dir, "config.json") && exists(dir, "model.safetensors"));
    return weights && ((exists(dir, "vocab.json") && exists(dir, "merges.txt")) || exists(dir, "tokenizer.json"));
}

static bool from_cache(pull *p)
{
    if (!is_complete(p->snapshot)) return snprintf(p->err.text, sizeof p->err.text, "it is not complete"), false;
    if (!open_partial(p)) return false;
    bool ok = get_model(p) && opens(p);
    if (!ok) remove_folder(p->partial);
    return ok && install(p);
}

static bool from_hub(pull *p)
{
    query_download_options o = {.token = cli_hub_token(), .timeout = p->o->timeout,
                                .progress = !p->c->quiet && isatty(STDERR_FILENO)};
    char found[sizeof p->err.text];
    if (!query_downloader_create(&o, &p->d, &p->err) || !open_partial(p)) return false;
    if (p->o->force) { /* nothing of an earlier run */
        remove_folder(p->partial);
        close(p->lock);
        if (!open_partial(p)) return false;
    }
    read_pin(p);
    if (!get_model(p)) return false;
    if (opens(p)) return install(p);
    remove_folder(p->partial);
    memcpy(found, p->err.text, sizeof found);
    snprintf(p->err.text, sizeof p->err.text, "%.100s cannot be used and was not kept: %.300s", p->source->repo, found);
    return false;
}

int query_pull(const cli *c, const query_model_source *source, const query_pull_options *o)
{
    pull p = {.c = c, .source = source, .o = o, .lock = -1};
    char *home = cli_data_home();
    bool ok = false;
    memcpy(p.revision, source->revision, sizeof p.revision);
    p.endpoint = cli_hub_endpoint();
    if (!home || asprintf(&p.dest, "%s/models/%s", home, source->name) < 0) p.dest = NULL;
    if (!p.dest || asprintf(&p.partial, "%s.partial", p.dest) < 0) p.partial = NULL;
    if (!p.partial || !p.endpoint) {
        snprintf(p.err.text, sizeof p.err.text, "memory ran out");
    } else if (!o->force && access(p.dest, F_OK) == 0) {
        cli_say(c, "%s is here already; --force fetches it again", source->name);
        ok = true;
    } else {
        if (!o->force && (p.snapshot = find_snapshot(source))) {
            if ((ok = from_cache(&p))) cli_say(c, "%s is used from %s", source->name, p.snapshot);
            else if (c->verbose) cli_warn("%s is of no use: %s", p.snapshot, p.err.text);
            free(p.snapshot);
            p.snapshot = NULL;
        }
        if (!ok) {
            if (p.lock >= 0) close(p.lock), p.lock = -1;
            p.err.text[0] = 0;
            ok = from_hub(&p);
        }
        if (ok) cli_say(c, "%s is here: clipsearch index --model %s", source->name, source->name);
    }
    if (p.lock >= 0) close(p.lock);
    query_downloader_destroy(p.d);
    free(home);
    free(p.dest);
    free(p.partial);
    free(p.endpoint);
    return ok ? 0 : cli_fail("%s", p.err.text);
}
