/* places.c: where things lie: the user's data, models, the model that comes with the program.
 *
 * The bundled model is looked for beside the running program first and at compiled-in places last, so that a program
 * that was built, installed, or unpacked somewhere else finds its own model before another's. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *format_new(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *format_new(const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    if (vasprintf(&text, format, list) < 0) text = NULL;
    va_end(list);
    return text;
}

/* The XDG specification: a relative XDG_DATA_HOME is invalid and to be ignored. */
char *cli_data_home(void)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && data[0] == '/') return format_new("%s/clipsearch", data);
    return format_new("%s/.local/share/clipsearch", home && *home ? home : "");
}

char *cli_hub_endpoint(void)
{
    const char *named = getenv("HF_ENDPOINT");
    char *endpoint = strdup(named && *named ? named : "https://huggingface.co");
    for (size_t n = endpoint ? strlen(endpoint) : 0; n && endpoint[n - 1] == '/'; n--) endpoint[n - 1] = 0;
    return endpoint;
}

const char *cli_hub_token(void)
{
    const char *token = getenv("HF_TOKEN");
    return token && *token ? token : NULL;
}

char *cli_hub_cache(void)
{
    const char *hub = getenv("HF_HUB_CACHE"), *hf = getenv("HF_HOME"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (hub && *hub) return strdup(hub);
    if (hf && *hf) return format_new("%s/hub", hf);
    if (cache && cache[0] == '/') return format_new("%s/huggingface/hub", cache);
    return format_new("%s/.cache/huggingface/hub", home && *home ? home : "");
}

static bool is_directory(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A folder with a configuration in it: the word "default" must not match just any folder of that name. */
static bool is_model(const char *dir)
{
    static const char *const configs[] = {"config.json", "open_clip_config.json"};
    for (int i = 0; dir && i < 2; i++) {
        char *path = format_new("%s/%s", dir, configs[i]);
        bool there = path && access(path, F_OK) == 0;
        free(path);
        if (there) return true;
    }
    return false;
}

static char *program_folder(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
    return strdup(path);
}

static char *bundled_model(void)
{
    char *folder = program_folder();
    char *places[] = {folder ? format_new("%s/../share/clipsearch/models/default", folder) : NULL,
                      folder ? format_new("%s/../models/default", folder) : NULL,
                      strdup(CLIPSEARCH_DATA_DIR "/models/default"), strdup(CLIPSEARCH_SOURCE_DIR "/models/default")};
    char *found = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!found && is_model(places[i])) found = realpath(places[i], NULL);
        free(places[i]);
    }
    free(folder);
    return found;
}

/* OpenAI's own names, "ViT-L/14@336px", are those of open_clip in other letters, and their weights are called so. */
static char *openai_model(const char *home, const char *name)
{
    char *dir = format_new("%s/models/%s", home, name), *p = dir ? dir + strlen(dir) - strlen(name) : NULL, *whole = NULL;
    size_t n = p ? strlen(p) : 0;
    if (n > 2 && strcmp(p + n - 2, "px") == 0) p[n - 2] = 0;
    for (; p && *p; p++)
        if (*p == '/' || *p == '@') *p = '-';
    if (dir) whole = format_new("%s/openai", dir);
    free(dir);
    return whole;
}

char *cli_model_dir(const char *name_or_dir, clip_error *err)
{
    const char *name = name_or_dir ? name_or_dir : "default";
    char *home = cli_data_home(), *installed = home ? format_new("%s/models/%s", home, name) : NULL, *found = NULL;
    if (strchr(name, '/')) {
        if (is_directory(name)) found = realpath(name, NULL);
        else if (is_model(installed)) found = realpath(installed, NULL); /* "ViT-B-32/openai" */
    } else if (name_or_dir && is_model(installed)) {
        found = realpath(installed, NULL);
    } else if (strcmp(name, "default") == 0) {
        found = bundled_model();
    } else if (is_model(name)) {
        found = realpath(name, NULL);
    }
    char *openai = !found && home ? openai_model(home, name) : NULL;
    if (is_model(openai)) found = realpath(openai, NULL);
    free(openai);
    if (!found && err && !err->text[0]) {
        if (strcmp(name, "default") == 0)
            snprintf(err->text, sizeof err->text, "the model that comes with clipsearch is not where it was installed "
                     "(%s/models/default); install again, or name a model's folder: --model DIR", CLIPSEARCH_DATA_DIR);
        else
            snprintf(err->text, sizeof err->text, "there is no model \"%.120s\": not a folder, and not in %.200s/models; "
                     "`clipsearch model list` shows what is here and what can be pulled", name, home ? home : "");
    }
    free(installed);
    free(home);
    return found;
}

/* ---- absolute paths ---- */

static void clean(char *path) /* absolute; takes out "", "." and ".." in place */
{
    char *out = path;
    for (const char *p = path; *p;) {
        while (*p == '/') p++;
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out > path && *--out != '/') continue;
        } else if (n && !(n == 1 && *p == '.')) {
            *out++ = '/';
            memmove(out, p, n);
            out += n;
        }
        p += n;
    }
    if (out == path) *out++ = '/';
    *out = 0;
}

static char *without_links(const char *path)
{
    char *cwd = path[0] == '/' ? strdup("") : getcwd(NULL, 0), *whole = cwd ? format_new("%s/%s", cwd, path) : NULL;
    free(cwd);
    if (whole) clean(whole);
    return whole;
}

char *cli_absolute_link(const char *path)
{
    char *whole = without_links(path), *slash = whole ? strrchr(whole, '/') : NULL, *joined = NULL;
    if (!slash || slash == whole) return whole;
    *slash = 0;
    char *folder = realpath(whole, NULL);
    if (folder) joined = format_new("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, slash + 1);
    *slash = '/';
    free(folder);
    if (!joined) return whole;
    free(whole);
    return joined;
}

char *cli_absolute(const char *path)
{
    char *whole = realpath(path, NULL);
    return whole ? whole : cli_absolute_link(path);
}
