/* eval_zeroshot.c: `clipsearch eval zeroshot FOLDER`.
 *
 *     FOLDER/CLASS/...   the photos of a class, at any depth; hidden files and files of other kinds are passed over
 *     --names FILE       lines CLASS<tab>NAME: what to call a class; without it the folder's name with spaces for _
 *
 * top-k: the share of photos whose class is among the k whose words are nearest. Mean per class: every class counts the same,
 * however many photos it has; its interval takes the classes for a sample of classes. */
#include "query/encode_photos.h"
#include "query/eval.h"
#include "query/open_library.h"
#include "query/zeroshot.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MOST = 16, TOP = 5 };

typedef struct group { char *folder, *label; double photos, top1, top5; } group; /* a class */

typedef struct task {
    query_eval *v;
    const char *folder;
    group *groups;         /* [n_groups] by folder name */
    size_t n_groups;
    char **paths;          /* [n] */
    size_t *owner;         /* [n] group */
    size_t n, room;
    size_t left_out;       /* photos that cannot be read */
    query_prompts prompts;
} task;

/* ---- the photos ---- */

static int add_file(task *t, char *path, size_t owner)
{
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 1024;
        char **paths = realloc(t->paths, room * sizeof *paths);
        if (paths) t->paths = paths;
        size_t *owners = paths ? realloc(t->owner, room * sizeof *owners) : NULL;
        if (owners) t->owner = owners;
        if (!owners) {
            free(path);
            return cli_fail("memory ran out");
        }
        t->room = room;
    }
    t->paths[t->n] = path;
    t->owner[t->n++] = owner;
    return 0;
}

static int not_hidden(const struct dirent *d) { return d->d_name[0] != '.'; }

static int add_folder(task *t, const char *folder, size_t owner, int depth);

/* Takes the path over. */
static int add_entry(task *t, char *path, size_t owner, int depth)
{
    struct stat st;
    int status = 0;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) return add_file(t, path, owner);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && depth < DEPTH_MOST) status = add_folder(t, path, owner, depth + 1);
    free(path);
    return status;
}

static int add_folder(task *t, const char *folder, size_t owner, int depth)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, not_hidden, alphasort), status = 0;
    if (n < 0) return cli_fail("cannot read the folder %s: %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        if (!status && asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) status = cli_fail("memory ran out");
        else if (!status) status = add_entry(t, path, owner, depth);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* ---- the classes ---- */

static char *spaced(const char *folder)
{
    char *label = strdup(folder);
    for (char *p = label; p && *p; p++)
        if (*p == '_') *p = ' ';
    return label;
}

static int add_class(task *t, const char *name)
{
    char *path = NULL;
    struct stat st;
    if (asprintf(&path, "%s/%s", t->folder, name) < 0) return cli_fail("memory ran out");
    int status = 0;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        group *g = &t->groups[t->n_groups++];
        *g = (group){.folder = strdup(name), .label = spaced(name)};
        status = g->folder && g->label ? add_folder(t, path, t->n_groups - 1, 0) : cli_fail("memory ran out");
    }
    free(path);
    return status;
}

static int find_classes(task *t)
{
    struct dirent **entries = NULL;
    int n = scandir(t->folder, &entries, not_hidden, alphasort), status = 0;
    if (n < 0) return cli_fail("cannot read the folder %s: %s", t->folder, strerror(errno));
    t->groups = calloc((size_t)n + 1, sizeof *t->groups);
    if (!t->groups) status = cli_fail("memory ran out");
    for (int i = 0; i < n; i++) {
        if (!status) status = add_class(t, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (!status && t->n_groups < 2) status = cli_fail("%s: fewer than two folders; each class has a folder of its own there", t->folder);
    return status;
}

static group *find_group(task *t, const char *folder)
{
    for (size_t i = 0; i < t->n_groups; i++)
        if (strcmp(t->groups[i].folder, folder) == 0) return &t->groups[i];
    return NULL;
}

/* A line of --names; classes of which there is no folder are passed over. */
static int set_name(task *t, char *line, size_t number, size_t *found)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (!*line) return 0;
    char *tab = strchr(line, '\t');
    if (!tab || tab == line || !tab[1]) return cli_fail("%s: line %zu is not CLASS<tab>NAME", t->v->names, number);
    *tab = '\0';
    group *g = find_group(t, line);
    if (!g) return 0;
    free(g->label);
    g->label = strdup(tab + 1);
    *found += 1;
    return g->label ? 0 : cli_fail("memory ran out");
}

static int read_names(task *t)
{
    FILE *f = fopen(t->v->names, "r");
    if (!f) return cli_fail("cannot read %s: %s", t->v->names, strerror(errno));
    char *line = NULL;
    size_t room = 0, number = 0, found = 0;
    int status = 0;
    while (!status && getline(&line, &room, f) >= 0) status = set_name(t, line, ++number, &found);
    if (!status && ferror(f)) status = cli_fail("cannot read %s: %s", t->v->names, strerror(errno));
    free(line);
    fclose(f);
    if (!status && found < t->n_groups)
        cli_warn("%s names %zu of the %zu classes; the others keep their folders' names", t->v->names, found, t->n_groups);
    return status;
}

/* ---- measure ---- */

static void count_photo(task *t, group *own, const float *labels, const float *vector, int dim, float *scores)
{
    size_t top[TOP], k = t->n_groups < TOP ? t->n_groups : TOP, right = (size_t)(own - t->groups);
    query_zeroshot_scores(labels, t->n_groups, dim, vector, scores);
    query_zeroshot_top(scores, t->n_groups, k, top);
    own->photos++;
    own->top1 += top[0] == right;
    for (size_t i = 0; i < k; i++) own->top5 += top[i] == right;
}

static int count_photos(task *t, const float *labels, const float *vectors, const uint8_t *states)
{
    int dim = query_encoder_dim(&t->v->encoder);
    float *scores = malloc(t->n_groups * sizeof *scores); /* [n_groups] */
    if (!scores) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->n; i++) {
        t->left_out += states[i] == QUERY_PHOTO_BROKEN;
        if (states[i] == QUERY_PHOTO_OK) count_photo(t, &t->groups[t->owner[i]], labels, vectors + i * (size_t)dim, dim, scores);
    }
    free(scores);
    if (t->left_out) cli_warn("photos that could not be read, left out: %zu", t->left_out);
    return 0;
}

static int embed_labels(task *t, float *out)
{
    const char **names = malloc(t->n_groups * sizeof *names);
    if (!names) return cli_fail("memory ran out");
    for (size_t i = 0; i < t->n_groups; i++) names[i] = t->groups[i].label;
    int status = query_zeroshot_embed(&t->v->encoder, names, t->n_groups, &t->prompts, out);
    free(names);
    return status;
}

static int encode_and_count(task *t)
{
    size_t dim = (size_t)query_encoder_dim(&t->v->encoder);
    float *labels = malloc(t->n_groups * dim * sizeof *labels); /* [n_groups][dim] */
    float *vectors = malloc((t->n + 1) * dim * sizeof *vectors); /* [n][dim] */
    uint8_t *states = calloc(t->n + 1, 1);
    int status = labels && vectors && states ? 0 : cli_fail("memory ran out");
    if (!status) status = embed_labels(t, labels);
    if (!status) status = query_encode_photos(&t->v->encoder, (const char *const *)t->paths, t->n, t->v->precision, vectors, states);
    if (!status) status = count_photos(t, labels, vectors, states);
    free(labels);
    free(vectors);
    free(states);
    return status;
}

/* ---- report ---- */

typedef struct summary { double photos, top1, top5; query_share mean; size_t classes; } summary;

static int summarise(task *t, summary *s)
{
    double *shares = malloc(t->n_groups * sizeof *shares);
    if (!shares) return cli_fail("memory ran out");
    *s = (summary){0};
    for (size_t i = 0; i < t->n_groups; i++) {
        const group *g = &t->groups[i];
        if (!(g->photos > 0)) continue; /* its words compete all the same */
        s->photos += g->photos, s->top1 += g->top1, s->top5 += g->top5;
        shares[s->classes++] = g->top1 / g->photos;
    }
    s->mean = query_share_mean(shares, s->classes);
    free(shares);
    return 0;
}

static json_t *class_json(const group *g)
{
    json_t *one = json_object();
    if (cli_is_utf8(g->folder)) json_object_set_new(one, "class", json_string(g->folder));
    if (cli_is_utf8(g->label)) json_object_set_new(one, "label", json_string(g->label));
    json_object_set_new(one, "photos", json_integer((json_int_t)g->photos));
    json_object_set_new(one, "top1", json_integer((json_int_t)g->top1));
    json_object_set_new(one, "top5", json_integer((json_int_t)g->top5));
    return one;
}

static void print_json(task *t, const summary *s)
{
    json_t *object = json_object(), *classes = json_array();
    query_eval_json_head(object, t->v, "zeroshot");
    json_object_set_new(object, "templates", json_string(t->prompts.name));
    json_object_set_new(object, "photos", json_integer((json_int_t)s->photos));
    json_object_set_new(object, "left_out", json_integer((json_int_t)t->left_out));
    query_share_json(object, "top1", query_share_of(s->top1, s->photos));
    query_share_json(object, "top5", query_share_of(s->top5, s->photos));
    query_share_json(object, "mean_per_class", s->mean);
    for (size_t i = 0; i < t->n_groups; i++) json_array_append_new(classes, class_json(&t->groups[i]));
    json_object_set_new(object, "classes", classes);
    cli_print_json(stdout, object);
}

static void print_table(task *t, const summary *s)
{
    char a[32], b[32], room[48];
    cli_say(t->v->c, "%s photos, %s classes, %zu sentences for each (%s), model %s; 95 %% intervals: Wilson's; for the mean, as if the "
            "classes were drawn from many", cli_count((int64_t)s->photos, a), cli_count((int64_t)t->n_groups, b), t->prompts.n,
            t->prompts.name, clip_model_describe(t->v->encoder.model)->name);
    printf("top-1           %s\n", query_share_text(query_share_of(s->top1, s->photos), room));
    if (t->n_groups > TOP) printf("top-5           %s\n", query_share_text(query_share_of(s->top5, s->photos), room));
    printf("mean per class  %s\n", query_share_text(s->mean, room));
}

static int print_summary(task *t)
{
    summary s = {0};
    int status = summarise(t, &s);
    if (!status && !(s.photos > 0)) status = cli_fail("%s: no photo in its folders could be read", t->folder);
    if (status) return status;
    if (t->v->json) print_json(t, &s);
    else print_table(t, &s);
    return 0;
}

int query_eval_zeroshot(query_eval *v, const char *folder)
{
    task t = {.v = v, .folder = folder};
    int status = query_prompts_open(v->templates ? v->templates : "simple7", &t.prompts);
    if (!status) status = find_classes(&t);
    if (!status && v->names) status = read_names(&t);
    if (!status) status = query_default_encoder(v->c, &v->encoder);
    if (!status) status = encode_and_count(&t);
    if (!status) status = print_summary(&t);
    for (size_t i = 0; i < t.n_groups; i++) free(t.groups[i].folder), free(t.groups[i].label);
    for (size_t i = 0; i < t.n; i++) free(t.paths[i]);
    free(t.groups);
    free(t.paths);
    free(t.owner);
    query_prompts_close(&t.prompts);
    return status;
}
