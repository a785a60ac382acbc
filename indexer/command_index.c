/* command_index.c: `clipsearch index`.
 *
 * stdout has the summary in words, or with --json
 *     {"event": "new"|"changed"|"moved"|"returned"|"missing"|"reembedded"|"failed", "path": ..., "reason": ...}   a file each
 *     {"event": "summary", "new": N, "changed": N, ..., "seconds": S, "interrupted": B, "dry_run": B}              at the end
 * where "trial" is null, or in the run that tried a faster arithmetic {"tried", "against", "photos", "mean", "least", "kept"};
 * "path" is "path_base64" if it is not UTF-8 and "reason" is there when there is one. stderr has the progress line,
 * remarks about folders and the failures with their reasons; files that failed for one reason (a format that this
 * build does not read) are told once, with their number.
 *
 * Which model. Without --model the library's own, from where it was when it was used; a model that is gone, or that is
 * another one now, is never replaced silently, because its vectors and the new ones cannot be compared and embedding a
 * library takes hours. With --model, both live side by side; the new one becomes the one that searches use only when
 * the old one cannot be opened and the new one has a vector for as many photos.
 *
 * Away from a terminal the process is nice, for the processor and for the disk: a nightly run must not be felt. */
#include "cli/cli.h"
#include "indexer/command_progress.h"
#include "indexer/indexer.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REASONS = 10 };

typedef struct failures { char *reason, *path; int64_t n; } failures;

typedef struct command {
    cli *c;
    bool json, dry_run;
    progress bar;
    failures list[REASONS]; size_t n_list; /* by reason */
    int64_t more;                          /* failed for yet other reasons */
} command;

static const char *const fate_names[INDEXER_FATES] = {
    [INDEXER_NEW] = "new", [INDEXER_CHANGED] = "changed", [INDEXER_SAME] = "unchanged", [INDEXER_MOVED] = "moved",
    [INDEXER_GONE] = "missing", [INDEXER_RETURNED] = "returned", [INDEXER_FAILED] = "failed",
    [INDEXER_REEMBEDDED] = "reembedded",
};

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_signal;

static void on_signal(int sig) { stop_signal = sig; }

/* The first signal asks, the second one kills. One that our parent had us ignore stays ignored. */
static void watch_signal(int sig, bool watch) {
    struct sigaction a = {.sa_flags = SA_RESETHAND}, before;
    if (sigaction(sig, NULL, &before) || before.sa_handler == SIG_IGN) return;
    if (watch) a.sa_handler = on_signal;
    else a.sa_handler = SIG_DFL;
    sigemptyset(&a.sa_mask);
    sigaction(sig, &a, NULL);
}

static void watch_signals(bool watch) {
    watch_signal(SIGINT, watch);
    watch_signal(SIGTERM, watch);
}

static bool on_stop(void *ctx) {
    command *k = ctx;
    if (!stop_signal) return false;
    cli_say(k->c, "finishing what has been read; once more to stop at once");
    return true;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void on_progress(const indexer_report *so_far, int64_t done, int64_t total, void *ctx) {
    command *k = ctx;
    if (k->json) fflush(stdout); /* a program that reads us follows the run */
    progress_show(&k->bar, total < 0 ? "Looking for photos" : "Reading photos", "photos", done, total);
}

static void on_remark(const char *line, void *ctx) {
    cli_warn("%s", line);
}

static void note_failure(command *k, const char *path, const char *reason) {
    for (size_t i = 0; i < k->n_list; i++)
        if (!strcmp(k->list[i].reason, reason)) { k->list[i].n++; return; }
    if (k->n_list == REASONS) { k->more++; return; }
    failures *f = &k->list[k->n_list];
    *f = (failures){strdup(reason), cli_quote_path(path), 1};
    if (f->reason && f->path) k->n_list++;
    else { free(f->reason); free(f->path); k->more++; }
}

static void on_fate(indexer_fate f, const char *absolute, const char *reason, void *ctx) {
    command *k = ctx;
    if (f == INDEXER_FAILED) note_failure(k, absolute, reason ? reason : "unknown");
    if (!k->json && !(k->c->verbose && !k->c->quiet)) return;
    cli_draw_end();
    if (!k->json) {
        printf("%s\t", fate_names[f]);
        cli_print_path(stdout, absolute);
        putchar('\n');
        return;
    }
    json_t *o = json_pack("{s:s}", "event", fate_names[f]);
    cli_json_path(o, absolute);
    if (reason) json_object_set_new(o, "reason", json_string(reason));
    cli_print_json(stdout, o);
}

/* ---- the summary ------------------------------------------------------------------------------------------------- */

static void print_failures(command *k) {
    char n[32];
    for (size_t i = 0; i < k->n_list; i++) {
        const failures *f = &k->list[i];
        if (f->n == 1) fprintf(stderr, "  %s: ", f->path);
        else fprintf(stderr, "  %s files, the first %s: ", cli_count(f->n, n), f->path);
        cli_print_text(stderr, f->reason);
        putc('\n', stderr);
    }
    if (k->more) fprintf(stderr, "  and %s more: clipsearch status --failed lists them\n", cli_count(k->more, n));
}

static void add_count(char *line, size_t room, int64_t n, const char *what) {
    char number[32];
    size_t used = strlen(line);
    if (n) snprintf(line + used, room - used, "%s%s %s", used ? ", " : "", cli_count(n, number), what);
}

static void print_words(command *k, const indexer_report *r) {
    char line[512] = "", other[512] = "", n[32];
    static const struct { indexer_fate f; const char *did, *would; } order[] = {
        {INDEXER_NEW, "new", "new"}, {INDEXER_CHANGED, "changed", "changed"}, {INDEXER_MOVED, "moved", "moved"},
        {INDEXER_RETURNED, "returned", "returned"}, {INDEXER_SAME, "unchanged", "unchanged"},
        {INDEXER_REEMBEDDED, "embedded for this model", "to embed for this model"},
        {INDEXER_GONE, "missing", "missing"}, {INDEXER_FAILED, "failed", "failed"}};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        add_count(line, sizeof line, r->count[order[i].f], k->dry_run ? order[i].would : order[i].did);
    printf("%s%s", k->dry_run ? "Would be: " : "", line[0] ? line : "no photos found");
    printf("%s %.*f s\n", k->dry_run ? "; looked for" : " in", r->seconds < 10, r->seconds);
    add_count(other, sizeof other, r->still_failed,
              "failed before and have not changed (clipsearch status --failed lists them)");
    add_count(other, sizeof other, r->truncated, "cut short, indexed from what is there");
    add_count(other, sizeof other, r->unreadable_folders, "folders not readable");
    add_count(other, sizeof other, r->roots_absent, r->roots_absent == 1 ? "folder not there" : "folders not there");
    add_count(other, sizeof other, k->c->verbose ? r->not_photos : 0, "files that are no photos");
    if (other[0]) printf("%s\n", other);
    fflush(stdout);
    if (r->count[INDEXER_FAILED] && !k->c->quiet) {
        fprintf(stderr, "%s failed:\n", cli_count(r->count[INDEXER_FAILED], n));
        print_failures(k);
    }
}

static void say_trial(const command *k, const store_trial *t) {
    if (!t->photos) return;
    cli_say(k->c, "photos are computed in %s from now on: tried on %d, %s %s (cosine %.6f on average, %.6f at least)",
            t->kept ? t->tried : t->against, t->photos, t->tried, t->kept ? "keeps their vectors" : "would change their vectors",
            t->mean, t->least);
}

static json_t *trial_json(const store_trial *t) {
    if (!t->photos) return json_null();
    return json_pack("{s:s,s:s,s:i,s:f,s:f,s:b}", "tried", t->tried, "against", t->against, "photos", t->photos, "mean", t->mean,
                     "least", t->least, "kept", t->kept);
}

static void print_summary(command *k, const indexer_report *r) {
    json_t *o;
    say_trial(k, &r->trial);
    if (!k->json) {
        if (!k->c->quiet) print_words(k, r);
        return;
    }
    o = json_pack("{s:s}", "event", "summary");
    for (int f = 0; f < INDEXER_FATES; f++) json_object_set_new(o, fate_names[f], json_integer(r->count[f]));
    json_object_set_new(o, "still_failed", json_integer(r->still_failed));
    json_object_set_new(o, "truncated", json_integer(r->truncated));
    json_object_set_new(o, "not_photos", json_integer(r->not_photos));
    json_object_set_new(o, "unreadable_folders", json_integer(r->unreadable_folders));
    json_object_set_new(o, "roots_absent", json_integer(r->roots_absent));
    json_object_set_new(o, "encoded", json_integer(r->encoded));
    json_object_set_new(o, "trial", trial_json(&r->trial));
    json_object_set_new(o, "seconds", json_real(r->seconds));
    json_object_set_new(o, "interrupted", json_boolean(r->interrupted));
    json_object_set_new(o, "dry_run", json_boolean(k->dry_run));
    cli_print_json(stdout, o);
}


/* ---- the model --------------------------------------------------------------------------------------------------- */

typedef struct chosen {
    clip_model *m;
    bool replaces;      /* the library's model cannot be opened any more */
    store_model old;    /* the library's, id 0 when it has none */
} chosen;

static bool is_model(const clip_model *m, const store_model *stored) {
    return !strcmp(clip_model_describe(m)->fingerprint, stored->fingerprint);
}

/* The library's own model: where it was, or the bundled default if that is the same. */
static int open_own_model(chosen *ch) {
    clip_error e = {0}, ignored = {0};
    bool there = !clip_model_open(ch->old.dir, &ch->m, &e);
    if (there && is_model(ch->m, &ch->old)) return 0;
    clip_model_close(ch->m);
    ch->m = NULL;
    char *dir = cli_model_dir(NULL, &ignored);
    bool bundled = dir && !clip_model_open(dir, &ch->m, &ignored);
    free(dir);
    if (bundled && is_model(ch->m, &ch->old)) return 0;
    clip_model_close(ch->m);
    ch->m = NULL;
    if (there)
        cli_fail("%s holds another model now than the one that this library was indexed with (%s)", ch->old.dir,
                 ch->old.name);
    else cli_fail("the model that this library was indexed with cannot be opened: %s", e.text);
    return cli_fail("Give the folder where it is now with --model DIR%s", bundled
        ? ", or embed all photos again with the bundled one: clipsearch index --model default" : "");
}

static int open_model(command *k, store *s, chosen *ch) {
    clip_error e = {0};
    store_error se = {0};
    if (!s || store_model_current(s, &ch->old, &se)) ch->old.id = 0;
    if (!k->c->model && ch->old.id) return open_own_model(ch);
    char *dir = cli_model_dir(k->c->model, &e);
    bool ok = dir && !clip_model_open(dir, &ch->m, &e);
    free(dir);
    if (!ok) return cli_fail("%s", e.text);
    const clip_model_info *info = clip_model_describe(ch->m);
    if (!info->has_image) return cli_fail("the model %s cannot encode photos: it has no image tower", info->name);
    if (!ch->old.id || is_model(ch->m, &ch->old)) return 0;
    clip_model *old = NULL;
    ch->replaces = clip_model_open(ch->old.dir, &old, &(clip_error){0}) || !is_model(old, &ch->old);
    clip_model_close(old);
    if (ch->replaces || k->dry_run) return 0;
    cli_say(k->c, "searches use the model %s; to search with this one type: clipsearch model use %s", ch->old.name,
            info->name);
    return store_model_use(s, ch->old.id, &se) ? cli_fail("%s", se.text) : 0; /* a second model leaves no doubt which one */
}

/* After a whole run: a model that replaces one that is lost takes its place when it knows as many photos. */
static void take_over(store *s, const chosen *ch, command *k) {
    store_model *all = NULL;
    size_t n = 0;
    store_error e = {0};
    const store_model *mine = NULL, *old = NULL;
    if (!ch->replaces || store_models(s, &all, &n, &e)) return;
    for (size_t i = 0; i < n; i++) {
        if (all[i].id == ch->old.id) old = &all[i];
        else if (is_model(ch->m, &all[i])) mine = &all[i];
    }
    if (mine && old && mine->vectors >= old->vectors && !store_model_use(s, mine->id, &e))
        cli_say(k->c, "searches use the model %s from now on", mine->name);
    free(all);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void be_nice(void) {
    enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_CLASS_IDLE = 3, IOPRIO_CLASS_SHIFT = 13 };
    if (isatty(STDERR_FILENO)) return;
    setpriority(PRIO_PROCESS, 0, 10);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT);
}

static void on_waiting(const char *line, void *ctx) { cli_warn("%s; waiting", line); }

/* The library: a dry run only reads it, and does without where there is none. */
static int open_library(command *k, const indexer_options *o, store **s) {
    store_error e = {0};
    store_mode mode = o->n_folders ? STORE_CREATE : STORE_WRITE;
    store_status st = k->dry_run ? store_open(k->c->db, STORE_READ, s, &e)
                                 : store_open_wait(k->c->db, mode, -1, on_waiting, k, s, &e);
    if (st == STORE_E_NOT_FOUND && !o->n_folders)
        return cli_fail("nothing has been indexed yet (there is no %s): name a folder, as in: clipsearch index ~/Pictures",
                        k->c->db);
    return !st || (k->dry_run && st == STORE_E_NOT_FOUND) ? 0 : cli_fail("%s", e.text);
}

static void on_cache(int64_t done, int64_t total, void *ctx) {
    progress_show(&((command *)ctx)->bar, "Preparing searches", "vectors", done, total);
}

static int update_cache(command *k, store *s) {
    store_model now;
    store_error e = {0};
    if (store_model_current(s, &now, &e)) return 0; /* nothing was ever encoded */
    int bad = store_cache_update(s, now.id, false, on_cache, k, &e);
    cli_draw_end();
    return bad ? cli_fail("%s", e.text) : 0;
}

static int run(command *k, store *s, const chosen *ch, const indexer_options *o) {
    indexer_events ev = {on_progress, on_fate, on_remark, on_stop, k};
    indexer_report r;
    clip_error e = {0};
    watch_signals(true);
    int bad = indexer_run(s, ch->m, o, &ev, &r, &e);
    watch_signals(false);
    cli_draw_end();
    if (bad) {
        if (r.encoded) print_summary(k, &r);
        return cli_fail("%s", e.text);
    }
    if (s && !k->dry_run && !r.interrupted) {
        take_over(s, ch, k);
        bad = update_cache(k, s);
    }
    print_summary(k, &r);
    if (!r.interrupted) return bad;
    cli_say(k->c, "stopped; what was read is kept, and the same command goes on from there");
    return 130;
}

static const cli_usage usage;

/* The list of --files-from, if there is one, as absolute names. */
static int read_names(cli_names *names, indexer_options *o) {
    int status = cli_names_read(names, &usage, 0, NULL);
    if (status || !names->from) return status;
    char **files = calloc(names->n + 1, sizeof *files);
    if (!files) return cli_fail("memory ran out");
    o->files = (const char *const *)files;
    for (; o->n_files < names->n; o->n_files++)
        if (!(files[o->n_files] = cli_absolute_link(names->items[o->n_files]))) return cli_fail("memory ran out");
    return 0;
}

static const cli_usage usage = {
    .command = "index", .arguments = "[DIR...]", .summary = "Index folders of photos, or bring the library up to date.",
    .details =
        "Every photo below each DIR is read once and remembered by what is on it; afterwards only new and changed files are "
        "opened. Without a DIR all folders that were ever indexed are brought up to date.\n\n"
        "A photo whose file is gone is kept as missing and comes back with it. A folder that is not there, such as an unplugged "
        "drive, changes nothing; a drive that is mounted elsewhere is recognised.\n\n"
        "Left out: hidden files, folders that hold a file named .nomedia, what files named .ignore say (in the words of "
        ".gitignore), recycle bins and thumbnail folders. Options hold for one run, so lasting rules belong in such a file; "
        "what was indexed before it was left out stays until `clipsearch forget`.\n\n"
        "--precision auto takes the fastest arithmetic that keeps every model's vectors on this CPU, and stays in what a library has. In the "
        "first run with 100 photos or more, 8-bit integers are tried on the first 16, where they are faster, and taken if these photos' vectors "
        "hardly change (cosine 0.9998 on average, 0.999 at least); `clipsearch status` tells.\n\n"
        "--files-from reads only the photos on a list, of each DIR, or without one of the folders of the library; names of "
        "folders and of what is no photo are passed over, and a photo that is gone is marked missing. Such a run is quick "
        "because it looks at nothing else.\n\n"
        "Ctrl-C finishes what has been read; the same command goes on from there.",
    .examples = "clipsearch index ~/Pictures\n"
                "clipsearch index --exclude '*.png' --exclude Screenshots/ ~/Pictures /mnt/photos\n"
                "find ~/Pictures -newer stamp -print0 | clipsearch index --files-from - -0\n"
                "clipsearch index --dry-run",
    .exits = "0    done; files that could not be read are counted and remembered\n"
             "2    an error, which stderr explains\n"
             "130  interrupted; the same command goes on from there\n",
};

int indexer_command_index(struct cli *c, int argc, char **argv) {
    command k = {.c = c};
    cli_list excludes = {0};
    indexer_options o = {0};
    int memory = 0, precision = CLIP_AUTO, first;
    cli_names names = {0};
    enum { OWN = 9 };
    cli_option options[OWN + CLI_NAMES_OPTIONS + 1] = {
        {"exclude", 'E', CLI_LIST, "GLOB", "leave out files and folders of this name or path below DIR; may be given again",
         &excludes},
        {"hidden", 'H', CLI_FLAG, NULL, "index hidden files and folders too", &o.hidden},
        {"follow-symlinks", 'L', CLI_FLAG, NULL, "follow symbolic links", &o.follow_symlinks},
        {"dry-run", 'n', CLI_FLAG, NULL, "say what would be done, and do nothing", &o.dry_run},
        {"retry", 0, CLI_FLAG, NULL, "read again what failed in earlier runs (say, with more --memory)", &o.retry},
        {"exact-decode", 0, CLI_FLAG, NULL, "decode JPEG at full size: slower, and as the reference does", &o.exact_decode},
        {"precision", 0, CLI_CHOICE, CLIP_PRECISION_CHOICE, "arithmetic of the image encoder", &precision},
        {"memory", 0, CLI_INT, "MB", "memory for photos being read (default: a quarter of the machine's, at most 1536)",
         &memory},
        {"json", 0, CLI_FLAG, NULL, "one JSON object a file and one at the end", &k.json}};
    cli_names_options(&names, options + OWN);
    int left = cli_parse(c, &usage, options, argc, argv, &first);
    if (left >= 0) return left;
    o.folders = (const char *const *)argv + first;
    o.n_folders = (size_t)(argc - first);
    o.excludes = excludes.items; o.n_excludes = excludes.n;
    o.threads = c->threads; o.memory_mb = memory; o.precision = (clip_precision)precision;
    k.dry_run = o.dry_run;
    store *s = NULL;
    chosen ch = {0};
    int status = memory < 0 ? cli_misuse(&usage, "--memory wants a number above 0") : read_names(&names, &o);
    if (!status) status = open_library(&k, &o, &s);
    if (!status) status = open_model(&k, s, &ch);
    if (!status) {
        be_nice();
        progress_init(&k.bar, !c->quiet && !k.json);
        status = run(&k, s, &ch, &o);
    }
    for (size_t i = 0; i < k.n_list; i++) { free(k.list[i].reason); free(k.list[i].path); }
    clip_model_close(ch.m);
    store_close(s);
    cli_list_finish(&excludes);
    for (size_t i = 0; i < o.n_files; i++) free((char *)o.files[i]);
    free((void *)o.files);
    cli_names_finish(&names);
    return status;
}
