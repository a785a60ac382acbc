/* pull.c: which files make a model, and where they come from. model_folder.c makes them appear at once.
 *
 *     models/NAME.partial/revision   the commit that the first answer named: all files are of that one
 *
 * The files; the weights come last, so that what is missing is known before gigabytes have come, and of several kinds of them
 * the first that is there (`weights` below):
 *     open_clip_config.json          config.json, preprocessor_config.json if any
 *     vocab.json and merges.txt, or spiece.model, or tokenizer.json
 *     weights as safetensors in one file, or in several that an index lists, or as PyTorch's .bin, which is turned into safetensors
 *
 * The hub's own cache, as its programs lay it out: models--OWNER--REPO/refs/REVISION holds a commit,
 * models--OWNER--REPO/snapshots/COMMIT/ the files. A model that is there becomes a folder of links to them. */
#include "query/pull.h"

#include "query/download.h"
#include "query/model_folder.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_BYTES ((int64_t)4 << 20)
#define WORDS_BYTES ((int64_t)64 << 20)
#define WEIGHTS_BYTES ((int64_t)64 << 30)

typedef struct pull {
    const cli *c;
    const query_model_source *source;
    const query_pull_options *o;
    query_model_folder folder;
    char *endpoint, *snapshot;                  /* snapshot: in the cache, or NULL */
    char revision[100];
    bool pinned;                                /* revision is a commit that the hub named */
    query_downloader *d;
    clip_error err;
} pull;

/* ---- files ---- */

static void pin(pull *p)
{
    const char *commit = query_download_commit(p->d);
    char *path = query_path_join(p->folder.partial, "revision");
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
    char *path = query_path_join(p->folder.partial, "revision");
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
    char revision[3 * sizeof p->revision], *to = revision, *url = NULL, *path = query_path_join(p->folder.partial, file), size[32];
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
        char *from = query_path_join(p->snapshot, file), *to = query_path_join(p->folder.partial, file);
        query_download_result r = QUERY_DOWNLOADED;
        if (!from || !to || access(from, R_OK)) r = QUERY_DOWNLOAD_MISSING;
        else if ((unlink(to) && errno != ENOENT) || symlink(from, to)) r = QUERY_DOWNLOAD_FAILED;
        if (r) snprintf(p->err.text, sizeof p->err.text, "%.200s/%s: %s", p->snapshot, file, strerror(errno));
        free(from);
        free(to);
        return r;
    }
    if (p->pinned && query_file_exists(p->folder.partial, file)) return QUERY_DOWNLOADED;
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

/* CLIP's byte pairs in two files, SigLIP's pieces in one, or either as a tokenizer.json. */
static bool get_vocabulary(pull *p)
{
    query_download_result r = may_have(p, "vocab.json", WORDS_BYTES);
    if (r == QUERY_DOWNLOADED && (r = may_have(p, "merges.txt", WORDS_BYTES)) == QUERY_DOWNLOADED) return true;
    if (r == QUERY_DOWNLOAD_MISSING && (r = may_have(p, "spiece.model", WORDS_BYTES)) == QUERY_DOWNLOADED) return true;
    return r == QUERY_DOWNLOAD_MISSING && need(p, "tokenizer.json", WORDS_BYTES);
}

/* ---- weights ---- */

/* In the order in which they are taken, with the configuration that each goes by. */
static const struct {
    const char *config, *file, *shards; /* shards: the ending of the files that an index lists */
    bool pickled;
} weights[] = {
    {"open_clip_config.json", "open_clip_model.safetensors", NULL, false},
    {"config.json", "model.safetensors", NULL, false},
    {"open_clip_config.json", "open_clip_model.safetensors.index.json", ".safetensors", false},
    {"config.json", "model.safetensors.index.json", ".safetensors", false},
    {"open_clip_config.json", "open_clip_pytorch_model.bin", NULL, true},
    {"config.json", "pytorch_model.bin", NULL, true},
    {"config.json", "pytorch_model.bin.index.json", ".bin", true},
};
enum { WEIGHTS = sizeof weights / sizeof *weights, MAX_SHARDS = 64 };

/* False when memory ran out. */
static bool drop_file(const pull *p, const char *file)
{
    char *path = query_path_join(p->folder.partial, file);
    if (path) unlink(path);
    free(path);
    return path != NULL;
}

/* The names come from elsewhere and become addresses and paths. */
static bool is_shard_name(const char *name, const char *end)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t n = name ? strlen(name) : 0, m = strlen(end);
    return n > m && n < 200 && name[0] != '.' && strspn(name, letters) == n && strcmp(name + n - m, end) == 0;
}

/* Fetches the files that the index lists, whose names have this ending, or with `drop` removes them again. */
static bool get_shards(pull *p, const char *index, const char *end, bool drop)
{
    char *path = query_path_join(p->folder.partial, index);
    const char *tensor, *names[MAX_SHARDS];
    json_t *root = path ? json_load_file(path, JSON_REJECT_DUPLICATES, NULL) : NULL, *name;
    size_t n = 0;
    bool ok = json_is_object(json_object_get(root, "weight_map"));
    json_object_foreach(json_object_get(root, "weight_map"), tensor, name) {
        size_t i = 0;
        const char *file = json_string_value(name);
        ok = ok && is_shard_name(file, end);
        while (ok && i < n && strcmp(names[i], file) != 0) i++;
        if (ok && i == n && (ok = n < MAX_SHARDS)) names[n++] = file;
    }
    if (!ok) snprintf(p->err.text, sizeof p->err.text, "%.100s/%s does not say which files the model is in", p->source->repo, index);
    for (size_t i = 0; ok && i < n; i++) ok = drop ? drop_file(p, names[i]) : need(p, names[i], WEIGHTS_BYTES);
    json_decref(root);
    free(path);
    return ok;
}

/* PyTorch's file, or the several that an index lists, becomes one that can be mapped; what an interrupted run left of that goes first. */
static bool turn_into_safetensors(pull *p, const char *file, const char *shards)
{
    char *from = query_path_join(p->folder.partial, file);
    bool ok = from && drop_file(p, "open_clip_model.safetensors") && drop_file(p, "model.safetensors");
    if (!ok) snprintf(p->err.text, sizeof p->err.text, "memory ran out");
    ok = ok && clip_model_import(from, p->folder.partial, p->folder.partial, CLIP_GELU_UNKNOWN, NULL, &p->err) == CLIP_OK;
    ok = ok && (!shards || get_shards(p, file, shards, true)) && drop_file(p, file);
    free(from);
    return ok;
}

/* Hugging Face's form, which a repository in open_clip's is asked for only where that has no weights as safetensors. */
static query_download_result get_hub_config(pull *p, bool needed)
{
    query_download_result r = needed ? get(p, "config.json", CONFIG_BYTES) : may_have(p, "config.json", CONFIG_BYTES);
    if (r == QUERY_DOWNLOADED && may_have(p, "preprocessor_config.json", CONFIG_BYTES) == QUERY_DOWNLOAD_FAILED) return QUERY_DOWNLOAD_FAILED;
    return r;
}

static bool get_weights(pull *p, int i)
{
    if (weights[i].shards && !get_shards(p, weights[i].file, weights[i].shards, false)) return false;
    return !weights[i].pickled || turn_into_safetensors(p, weights[i].file, weights[i].shards);
}

static bool get_model(pull *p)
{
    query_download_result open_clip = may_have(p, "open_clip_config.json", CONFIG_BYTES), hub = QUERY_DOWNLOAD_MISSING;
    bool asked = open_clip == QUERY_DOWNLOAD_MISSING;
    if (asked) hub = get_hub_config(p, true);
    if (open_clip == QUERY_DOWNLOAD_FAILED || (asked && hub != QUERY_DOWNLOADED) || !get_vocabulary(p)) return false;
    for (int i = 0; i < WEIGHTS; i++) {
        bool of_open_clip = weights[i].config[0] == 'o';
        if (!of_open_clip && !asked && (asked = true) && (hub = get_hub_config(p, false)) == QUERY_DOWNLOAD_FAILED) return false;
        if ((of_open_clip ? open_clip : hub) != QUERY_DOWNLOADED) continue;
        query_download_result r = may_have(p, weights[i].file, weights[i].shards ? CONFIG_BYTES : WEIGHTS_BYTES);
        if (r != QUERY_DOWNLOAD_MISSING) return r == QUERY_DOWNLOADED && get_weights(p, i);
    }
    snprintf(p->err.text, sizeof p->err.text, "%.150s: a configuration, but no weights: neither safetensors nor PyTorch's .bin", p->source->repo);
    return false;
}

/* Asked of the cache, before a broken download is given up for it. */
static bool is_complete(const char *dir)
{
    bool there = false;
    for (int i = 0; i < WEIGHTS && !there; i++)
        there = query_file_exists(dir, weights[i].config) && query_file_exists(dir, weights[i].file);
    return there && ((query_file_exists(dir, "vocab.json") && query_file_exists(dir, "merges.txt")) ||
                     query_file_exists(dir, "spiece.model") || query_file_exists(dir, "tokenizer.json"));
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

/* ---- all of it ---- */

static bool from_cache(pull *p)
{
    bool ok = query_model_folder_open(&p->folder, &p->err) && get_model(p) && query_model_folder_opens(&p->folder, &p->err);
    if (ok) return query_model_folder_install(&p->folder, &p->err);
    query_model_folder_discard(&p->folder);
    return false;
}

static bool from_hub(pull *p)
{
    query_download_options o = {.token = cli_hub_token(), .timeout = p->o->timeout,
                                .progress = !p->c->quiet && isatty(STDERR_FILENO)};
    char found[sizeof p->err.text];
    if (!query_downloader_create(&o, &p->d, &p->err) || !query_model_folder_open(&p->folder, &p->err)) return false;
    if (p->o->force) { /* nothing of an earlier run */
        query_model_folder_discard(&p->folder);
        if (!query_model_folder_open(&p->folder, &p->err)) return false;
    }
    read_pin(p);
    if (!get_model(p)) return false;
    if (query_model_folder_opens(&p->folder, &p->err)) return query_model_folder_install(&p->folder, &p->err);
    query_model_folder_discard(&p->folder);
    memcpy(found, p->err.text, sizeof found);
    snprintf(p->err.text, sizeof p->err.text, "%.100s cannot be used and was not kept: %.300s", p->source->repo, found);
    return false;
}

int query_pull(const cli *c, const query_model_source *source, const query_pull_options *o)
{
    pull p = {.c = c, .source = source, .o = o};
    bool ok = false;
    memcpy(p.revision, source->revision, sizeof p.revision);
    p.endpoint = cli_hub_endpoint();
    if (!query_model_folder_init(&p.folder, source->name, &p.err) || !p.endpoint) {
        snprintf(p.err.text, sizeof p.err.text, "memory ran out");
    } else if (!o->force && access(p.folder.dest, F_OK) == 0) {
        cli_say(c, "%s is here already; --force fetches it again", source->name);
        ok = true;
    } else {
        if (!o->force && (p.snapshot = find_snapshot(source))) {
            if (!is_complete(p.snapshot)) snprintf(p.err.text, sizeof p.err.text, "it is not complete");
            else ok = from_cache(&p);
            if (ok) cli_say(c, "%s is used from %s", source->name, p.snapshot);
            else if (c->verbose) cli_warn("%s is of no use: %s", p.snapshot, p.err.text);
            free(p.snapshot);
            p.snapshot = NULL;
        }
        if (!ok) {
            p.err.text[0] = 0;
            ok = from_hub(&p);
        }
        if (ok) cli_say(c, "%s is here: clipsearch index --model %s", source->name, source->name);
    }
    query_downloader_destroy(p.d);
    query_model_folder_finish(&p.folder);
    free(p.endpoint);
    return ok ? 0 : cli_fail("%s", p.err.text);
}
