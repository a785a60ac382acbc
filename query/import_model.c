/* import_model.c: what is beside a model's file, what it will be called, and where its vocabulary comes from.
 *
 * PyTorch's files hold no vocabulary. It is taken from the first of these places that has one which fits the model:
 *     --tokenizer DIR     the file's own folder     the user's models     Hugging Face's cache
 * It fits when the engine accepts it for the model's number of tokens and, with CLIP's own 49,408, when a sentence gets the ids
 * that it has everywhere, because a wrong vocabulary raises no error and finds nothing. */
#include "query/import_model.h"

#include "query/known_models.h"
#include "query/model_folder.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLIP_TOKENS = 49408 };

typedef struct import {
    const cli *c;
    const query_import_options *o;
    char *file, *beside, *name; /* owned */
    query_model_folder folder;
    char *vocabulary;           /* the folder that it came from; owned */
    bool assumed;               /* how photos are prepared is a guess */
    clip_error err;
} import;

static bool fail(import *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(import *m, const char *format, ...)
{
    va_list list;
    if (m->err.text[0]) return false;
    va_start(list, format);
    vsnprintf(m->err.text, sizeof m->err.text, format, list);
    va_end(list);
    return false;
}

/* ---- which file, which name ---- */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Of a folder, the weights that its configuration goes with. */
static bool find_in_folder(import *m, const char *dir)
{
    static const char *const pairs[][2] = {{"open_clip_config.json", "open_clip_pytorch_model.bin"}, {"config.json", "pytorch_model.bin"},
                                           {"config.json", "pytorch_model.bin.index.json"}};
    for (int i = 0; i < 3; i++) {
        if (!query_file_exists(dir, pairs[i][0]) || !query_file_exists(dir, pairs[i][1])) continue;
        m->beside = strdup(dir);
        m->file = query_path_join(dir, pairs[i][1]);
        return m->file && m->beside ? true : fail(m, "memory ran out");
    }
    if (query_file_exists(dir, "open_clip_model.safetensors") || query_file_exists(dir, "model.safetensors"))
        return fail(m, "%.300s: a model as it is, which needs no import: --model DIR takes it", dir);
    return fail(m, "%.200s: neither config.json with pytorch_model.bin nor open_clip_config.json with open_clip_pytorch_model.bin in it; "
                "name the file itself", dir);
}

static bool find_file(import *m, const char *path)
{
    if (is_folder(path)) return find_in_folder(m, path);
    const char *slash = strrchr(path, '/');
    m->file = strdup(path);
    m->beside = slash ? strndup(path, (size_t)(slash - path + 1)) : strdup(".");
    return m->file && m->beside ? true : fail(m, "memory ran out");
}

static bool is_called_so_everywhere(const char *base)
{
    return !strcmp(base, "pytorch_model.bin") || !strcmp(base, "open_clip_pytorch_model.bin") || !strcmp(base, "pytorch_model.bin.index.json");
}

/* "dir/ViT-B-32.pt" is ViT-B-32; files that are called the same everywhere have their folder's name. */
static char *name_of(const char *path)
{
    char *whole = cli_absolute_link(path), *base = whole ? strrchr(whole, '/') + 1 : NULL;
    if (base && !is_folder(path) && is_called_so_everywhere(base)) {
        base[-1] = 0;
        char *slash = strrchr(whole, '/');
        base = slash ? slash + 1 : whole;
    } else if (base && !is_folder(path)) {
        char *point = strrchr(base, '.');
        if (point && point > base) *point = 0;
    }
    for (char *p = base; p && *p; p++) /* what a model's name cannot have, as in ViT-L-14@336px */
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *p)) *p = '-';
    char *name = base ? strdup(base) : NULL;
    free(whole);
    return name;
}

/* ---- vocabulary ---- */

static bool copy_file(const char *from_dir, const char *to_dir, const char *name)
{
    char *from = query_path_join(from_dir, name), *to = query_path_join(to_dir, name), bytes[1 << 16];
    FILE *in = from ? fopen(from, "rb") : NULL, *out = in && to ? fopen(to, "wb") : NULL;
    size_t n = 0, all = 0;
    bool ok = out != NULL;
    while (ok && (n = fread(bytes, 1, sizeof bytes, in)) > 0 && (all += n) < (64u << 20)) ok = fwrite(bytes, 1, n, out) == n;
    ok = ok && n == 0 && !ferror(in);
    if (in) fclose(in);
    if (out && fclose(out)) ok = false;
    free(from);
    free(to);
    return ok;
}

static void remove_vocabulary(const import *m)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer.json"};
    for (int i = 0; i < 3; i++) {
        char *path = query_path_join(m->folder.partial, names[i]);
        if (path) unlink(path);
        free(path);
    }
}

static bool fits(const import *m, clip_error *err)
{
    static const int32_t cat[] = {49406, 320, 1125, 539, 320, 2368, 49407};
    clip_model *model = NULL;
    if (clip_model_open(m->folder.partial, &model, err)) return false;
    const clip_model_info *info = clip_model_describe(model);
    size_t n = 0, room = (size_t)info->context_length;
    int32_t *ids = calloc(room + 8, sizeof *ids);
    bool ok = ids && clip_tokenize(model, "a photo of a cat", ids, room, &n, err) == CLIP_OK;
    if (ok && info->vocab_size == CLIP_TOKENS && room >= 7 && (n != 7 || memcmp(ids, cat, sizeof cat))) {
        snprintf(err->text, sizeof err->text, "as many tokens as CLIP has, but not CLIP's");
        ok = false;
    }
    free(ids);
    clip_model_close(model);
    return ok;
}

/* Copies what is in dir into the model, and takes it back when it does not fit. */
static bool try_vocabulary(import *m, const char *dir, clip_error *err)
{
    bool two = query_file_exists(dir, "vocab.json") && query_file_exists(dir, "merges.txt"), ok;
    if (!two && !query_file_exists(dir, "tokenizer.json")) {
        snprintf(err->text, sizeof err->text, "neither vocab.json and merges.txt nor tokenizer.json in it");
        return false;
    }
    if (two) ok = copy_file(dir, m->folder.partial, "vocab.json") && copy_file(dir, m->folder.partial, "merges.txt");
    else ok = copy_file(dir, m->folder.partial, "tokenizer.json");
    if (!ok) snprintf(err->text, sizeof err->text, "its vocabulary cannot be copied");
    ok = ok && fits(m, err);
    if (ok) m->vocabulary = strdup(dir);
    else remove_vocabulary(m);
    return ok;
}

/* The folders below `base`, so many levels deep. */
static bool search_vocabulary(import *m, const char *base, int depth)
{
    struct dirent **entries = NULL;
    bool found = false;
    int n = scandir(base, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        clip_error ignored = {0};
        char *dir = entries[i]->d_name[0] == '.' || found ? NULL : query_path_join(base, entries[i]->d_name);
        if (dir && is_folder(dir) && strcmp(dir, m->folder.partial) != 0)
            found = try_vocabulary(m, dir, &ignored) || (depth > 1 && search_vocabulary(m, dir, depth - 1));
        free(dir);
        free(entries[i]);
    }
    free(entries);
    return found;
}

static bool find_vocabulary(import *m)
{
    clip_error why = {0}, ignored = {0};
    if (m->o->tokenizer)
        return try_vocabulary(m, m->o->tokenizer, &why) || fail(m, "%.200s: not this model's vocabulary: %.250s", m->o->tokenizer, why.text);
    if (try_vocabulary(m, m->beside, &ignored)) return true;
    char *home = cli_data_home(), *models = query_path_join(home, "models"), *cache = cli_hub_cache();
    bool found = (models && search_vocabulary(m, models, 2)) || (cache && search_vocabulary(m, cache, 3)); /* models--X/snapshots/COMMIT */
    free(home);
    free(models);
    free(cache);
    return found || fail(m, "the vocabulary is missing: neither beside the file, nor in a model that is here, nor in Hugging Face's cache; "
                         "fetch vocab.json and merges.txt, which every CLIP shares, from openai/clip-vit-base-patch32 on Hugging Face into a "
                         "folder, and name that: --tokenizer DIR");
}

/* ---- all of it ---- */

static bool make(import *m)
{
    if (!query_model_folder_open(&m->folder, &m->err)) return false;
    query_model_folder_discard(&m->folder); /* what an earlier run left */
    if (!query_model_folder_open(&m->folder, &m->err)) return false;
    clip_status s = clip_model_import(m->file, m->beside, m->folder.partial, m->o->gelu, &m->assumed, &m->err);
    size_t n = strlen(m->err.text);
    if (s == CLIP_E_ARGUMENT) snprintf(m->err.text + n, sizeof m->err.text - n, ": --activation quickgelu or --activation gelu");
    if (s || !query_model_folder_opens(&m->folder, &m->err)) return false;
    return find_vocabulary(m) && query_model_folder_install(&m->folder, &m->err);
}

int query_import_model(const cli *c, const char *path, const query_import_options *o)
{
    import m = {.c = c, .o = o, .folder = {.lock = -1}};
    bool ok = find_file(&m, path);
    if (ok && !(m.name = o->name ? strdup(o->name) : name_of(path))) ok = fail(&m, "memory ran out");
    if (ok && !query_model_name_fits(m.name))
        ok = fail(&m, "%.200s is no name for a model: letters, digits and - _ . in one or two parts; --name NAME", m.name);
    ok = ok && query_model_folder_init(&m.folder, m.name, &m.err);
    if (ok && !o->force && access(m.folder.dest, F_OK) == 0)
        ok = fail(&m, "there is a model %.200s already; --force replaces it, --name NAME keeps both", m.name);
    if (ok) {
        ok = make(&m);
        if (!ok && m.folder.lock >= 0) query_model_folder_discard(&m.folder);
    }
    if (ok && c->verbose) cli_say(c, "the vocabulary is that of %s", m.vocabulary);
    if (ok && m.assumed)
        cli_say(c, "the file does not say how photos are to be prepared: OpenAI's mean, deviation and resizing are taken; if the model was trained "
                "with others, change preprocess_cfg in %s/open_clip_config.json before you index", m.folder.dest);
    if (ok) cli_say(c, "%s is here: clipsearch index --model %s", m.name, m.name);
    query_model_folder_finish(&m.folder);
    free(m.file);
    free(m.beside);
    free(m.name);
    free(m.vocabulary);
    return ok ? 0 : cli_fail("%s", m.err.text);
}
