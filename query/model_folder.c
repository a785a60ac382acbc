/* model_folder.c: one rename makes a model, one takes it back. */
#include "query/model_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

char *query_path_join(const char *a, const char *b)
{
    char *path = NULL;
    return a && b && asprintf(&path, "%s/%s", a, b) >= 0 ? path : NULL;
}

bool query_file_exists(const char *dir, const char *name)
{
    char *path = query_path_join(dir, name);
    bool there = path && access(path, R_OK) == 0;
    free(path);
    return there;
}

/* Every folder of the path, the last one included; the library may come to lie beside it (see store.c). */
static bool make_folders(const char *path)
{
    char *copy = strdup(path);
    bool ok = copy != NULL;
    for (char *p = copy ? copy + 1 : NULL; ok && p; ) {
        char *slash = strchr(p, '/');
        if (slash) *slash = 0;
        ok = mkdir(copy, 0700) == 0 || errno == EEXIST;
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

bool query_model_folder_init(query_model_folder *f, const char *name, clip_error *err)
{
    char *home = cli_data_home();
    *f = (query_model_folder){.lock = -1};
    if (!home || asprintf(&f->dest, "%s/models/%s", home, name) < 0) f->dest = NULL;
    if (!f->dest || asprintf(&f->partial, "%s.partial", f->dest) < 0) f->partial = NULL;
    free(home);
    if (!f->partial) snprintf(err->text, sizeof err->text, "memory ran out");
    return f->partial != NULL;
}

static void unlock(query_model_folder *f)
{
    if (f->lock >= 0) close(f->lock);
    f->lock = -1;
}

bool query_model_folder_open(query_model_folder *f, clip_error *err)
{
    char *lock = query_path_join(f->partial, "lock");
    unlock(f);
    if (!lock || !make_folders(f->partial) || (f->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0)
        snprintf(err->text, sizeof err->text, "%.400s: %s", f->partial, strerror(errno));
    else if (flock(f->lock, LOCK_EX | LOCK_NB))
        snprintf(err->text, sizeof err->text, "%.300s: another clipsearch is fetching this model", f->partial);
    free(lock);
    return !err->text[0];
}

bool query_model_folder_opens(const query_model_folder *f, clip_error *err)
{
    clip_model *m = NULL;
    bool ok = clip_model_open(f->partial, &m, err) == CLIP_OK;
    clip_model_close(m);
    return ok;
}

/* What only served the making. */
static void remove_tools(const char *dir)
{
    DIR *entries = opendir(dir);
    for (struct dirent *e; entries && (e = readdir(entries)); ) {
        size_t n = strlen(e->d_name);
        bool tool = !strcmp(e->d_name, "lock") || !strcmp(e->d_name, "revision") || (n > 5 && !strcmp(e->d_name + n - 5, ".part")) ||
                    (n > 5 && !strcmp(e->d_name + n - 5, ".etag"));
        if (tool) unlinkat(dirfd(entries), e->d_name, 0);
    }
    if (entries) closedir(entries);
}

bool query_model_folder_install(query_model_folder *f, clip_error *err)
{
    char *old = NULL;
    remove_tools(f->partial);
    if (asprintf(&old, "%s.old", f->dest) < 0) return snprintf(err->text, sizeof err->text, "memory ran out"), false;
    bool replaced = rename(f->dest, old) == 0, ok = rename(f->partial, f->dest) == 0;
    if (!ok) {
        snprintf(err->text, sizeof err->text, "%.400s: %s", f->dest, strerror(errno));
        if (replaced && rename(old, f->dest)) cli_warn("what was in %s is in %s now", f->dest, old);
    } else if (replaced) {
        remove_folder(old);
    }
    free(old);
    return ok;
}

void query_model_folder_discard(query_model_folder *f) { remove_folder(f->partial); }

void query_model_folder_finish(query_model_folder *f)
{
    unlock(f);
    free(f->dest);
    free(f->partial);
}
