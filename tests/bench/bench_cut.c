/* bench_cut.c: what --cut is worth: precision and recall over concepts that are in a library and as many that are not, against
 * the best single cosine.
 *
 *     bench_cut LIBRARY CAPTIONS CONCEPTS [--fit | --folders]
 *
 * LIBRARY   a library that holds the photos of CAPTIONS, found by their file names
 * CAPTIONS  NAME<tab>CAPTION a line, several for a photo
 * CONCEPTS  QUESTION<tab>WORD WORD ... a line: a caption with one of the words names the concept (bench_cut.tsv)
 *
 * A photo shows a concept when two of its captions name it, and does not when none does; those with one naming caption
 * count neither way. A concept is present when four photos show it; absent ones are of two kinds: others, that no photo
 * shows, as many as there are present ones; and the present ones themselves after every photo that names them was taken
 * out, which is harder because what goes with them is still there, and unkind because captions leave things out. For an
 * absent concept, precision is 1 when nothing is returned and else 0. Figures are means over concepts: precision over
 * all, recall over present ones, F1 = 2PR / (P + R), and the share of absent concepts that return nothing. The cosine
 * is the one that is best in hindsight, on these very photos; the cut is the one in relevance.h.
 *
 * --folders: each folder holds the photos of one concept and has its name (class_folders.sh makes such); a photo shows that one,
 * and any other that a caption of it names counts neither way.
 *
 * --fit prints the three numbers of relevance.c for these photos: logistic regression by Newton's method over all three
 * kinds. */
#include "query/ask_texts.h"
#include "query/relevance.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MOST = 8192, LINE = 4096, CONCEPTS_MOST = 1000, PRESENT_LEAST = 4 };

typedef struct photo { int64_t id; char *name, *folder; char *captions; size_t n_captions; float mean, spread; float *vector; } photo;
typedef struct concept { char question[128]; char words[1024]; int *mentions; size_t shown; } concept;
typedef struct trial { size_t concept; int kind; size_t n; float *cosine, *height; int *mentions; double *score; } trial;
enum { PRESENT, OTHER, REMOVED };

typedef struct bench {
    cli c;
    query_library l;
    query_bank bank;
    photo *photos;
    size_t n_photos, room, dim;
    concept concepts[CONCEPTS_MOST];
    size_t n_concepts;
    trial *trials;
    size_t n_trials;
    bool folders;
} bench;

static void *need(void *p) { if (!p) { fputs("memory ran out\n", stderr); exit(2); } return p; }
static int die(const char *what, const char *name) { fprintf(stderr, "bench_cut: %s %s\n", what, name); exit(2); }

/* ---- reading ---- */

static bool take(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    bench *b = ctx;
    for (size_t i = 0; i < n; i++) {
        if (b->n_photos == b->room) b->photos = need(realloc(b->photos, (b->room = b->room ? 2 * b->room : 1024) * sizeof *b->photos));
        photo *p = &b->photos[b->n_photos++];
        *p = (photo){.vector = need(malloc(b->dim * sizeof(float))), .captions = need(strdup(""))};
        memcpy(p->vector, vectors + i * b->dim, b->dim * sizeof(float));
        query_bank_level(&b->bank, p->vector, &p->mean, &p->spread);
        p->spread = p->spread > 0 ? p->spread : 1;
        p->id = ids[i]; /* its name is asked for later */
    }
    return true;
}

static int by_name(const void *a, const void *b) { return strcmp(((const photo *)a)->name, ((const photo *)b)->name); }

static void name_photos(bench *b)
{
    store_error err = {0};
    for (size_t i = 0; i < b->n_photos; i++) {
        store_photo p;
        if (store_photo_get(b->l.store, b->photos[i].id, &p, &err)) die(err.text, "");
        char *slash = strrchr(p.path, '/'), *before = slash ? (*slash = 0, strrchr(p.path, '/')) : NULL;
        b->photos[i].name = need(strdup(slash ? slash + 1 : p.path));
        b->photos[i].folder = need(strdup(before ? before + 1 : slash ? p.path : ""));
        store_photo_finish(&p);
    }
    qsort(b->photos, b->n_photos, sizeof *b->photos, by_name);
}

/* A caption is kept as " word word ... " in lower case, each ended by a new line. */
static void read_captions(bench *b, const char *file)
{
    char line[LINE];
    FILE *f = fopen(file, "r");
    if (!f) die("cannot read", file);
    while (fgets(line, sizeof line, f)) {
        char *tab = strchr(line, '\t');
        if (!tab) continue;
        *tab = 0;
        photo key = {.name = line}, *p = bsearch(&key, b->photos, b->n_photos, sizeof key, by_name);
        if (!p) continue;
        char text[LINE + 4] = " ";
        size_t n = 1;
        for (const char *s = tab + 1; *s; s++) {
            char c = isalpha((unsigned char)*s) ? (char)tolower((unsigned char)*s) : ' ';
            if (c != ' ' || text[n - 1] != ' ') text[n++] = c;
        }
        text[n++] = ' ', text[n++] = '\n', text[n] = 0;
        p->captions = need(realloc(p->captions, strlen(p->captions) + n + 1));
        strcat(p->captions, text);
        p->n_captions++;
    }
    fclose(f);
}

static bool names(const char *caption, const char *end, const char *words)
{
    char copy[1024], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", words);
    while ((word = strsep(&rest, " \n"))) {
        char wanted[64];
        if (!*word || snprintf(wanted, sizeof wanted, " %s ", word) >= (int)sizeof wanted) continue;
        const char *at = strstr(caption, wanted);
        if (at && at < end) return true;
    }
    return false;
}

static int mentions(const photo *p, const char *words)
{
    int n = 0;
    for (const char *line = p->captions, *end; (end = strchr(line, '\n')); line = end + 1) n += names(line, end, words);
    return n;
}

static int shows(const bench *b, const photo *p, const concept *c)
{
    int n = mentions(p, c->words);
    return !b->folders ? n : strcmp(p->folder, c->question) == 0 ? 2 : n > 0;
}

static void read_concepts(bench *b, const char *file)
{
    char line[LINE];
    FILE *f = fopen(file, "r");
    if (!f) die("cannot read", file);
    while (fgets(line, sizeof line, f) && b->n_concepts < CONCEPTS_MOST) {
        concept *c = &b->concepts[b->n_concepts];
        if (line[0] == '#' || sscanf(line, "%127[^\t]\t%1023[^\n]", c->question, c->words) != 2) continue;
        c->mentions = need(malloc((b->n_photos + 1) * sizeof *c->mentions));
        for (size_t i = 0; i < b->n_photos; i++) c->shown += (c->mentions[i] = shows(b, &b->photos[i], c)) >= 2;
        b->n_concepts++;
    }
    fclose(f);
}

/* ---- trials ---- */

static void add_trial(bench *b, size_t which, int kind, const float *question)
{
    const concept *c = &b->concepts[which];
    trial *t = &b->trials[b->n_trials++];
    *t = (trial){.concept = which, .kind = kind, .cosine = need(malloc(b->n_photos * sizeof(float))), .height = need(malloc(b->n_photos * sizeof(float))),
                 .mentions = need(malloc(b->n_photos * sizeof(int))), .score = need(malloc(b->n_photos * sizeof(double)))};
    for (size_t i = 0; i < b->n_photos; i++) {
        const photo *p = &b->photos[i];
        float cosine = 0;
        if (!p->n_captions || (kind != PRESENT && c->mentions[i])) continue;
        for (size_t d = 0; d < b->dim; d++) cosine += p->vector[d] * question[d];
        t->cosine[t->n] = cosine;
        t->height[t->n] = query_height(cosine, p->mean, p->spread);
        t->mentions[t->n++] = c->mentions[i];
    }
}

static void make_trials(bench *b)
{
    size_t present = 0, others = 0;
    b->trials = need(malloc((2 * b->n_concepts + 1) * sizeof *b->trials));
    for (size_t i = 0; i < b->n_concepts; i++) {
        present += b->concepts[i].shown >= PRESENT_LEAST;
        others += b->concepts[i].shown == 0;
    }
    size_t left[2] = {present < others ? present : others, present < others ? present : others};
    for (size_t i = 0; i < b->n_concepts; i++) {
        const char *text = b->concepts[i].question;
        float question[DIM_MOST];
        bool there = b->concepts[i].shown >= PRESENT_LEAST;
        if ((!there && b->concepts[i].shown) || !left[there]) continue;
        left[there]--;
        if (query_ask_texts(&b->l, NULL, &text, 1, question)) exit(2);
        if (!there) add_trial(b, i, OTHER, question);
        else add_trial(b, i, PRESENT, question), add_trial(b, i, REMOVED, question);
    }
}

static float best_of(const trial *t)
{
    float best = -INFINITY;
    for (size_t i = 0; i < t->n; i++) best = fmaxf(best, t->height[i]);
    return best;
}

/* ---- figures ---- */

typedef struct figures { double precision, recall, f1, empty; } figures;

static figures measure(const bench *b, int absent, double bar)
{
    figures f = {0};
    double present = 0, all = 0;
    for (size_t i = 0; i < b->n_trials; i++) {
        const trial *t = &b->trials[i];
        size_t good = 0, bad = 0, shown = 0;
        if (t->kind != PRESENT && t->kind != absent) continue;
        for (size_t p = 0; p < t->n; p++) {
            bool kept = t->score[p] >= bar;
            shown += t->mentions[p] >= 2;
            good += kept && t->mentions[p] >= 2;
            bad += kept && (t->mentions[p] == 0);
        }
        all++;
        if (t->kind != PRESENT) {
            f.empty += bad == 0;
            f.precision += bad == 0;
            continue;
        }
        present++;
        f.precision += good + bad ? (double)good / (double)(good + bad) : 0;
        f.recall += (double)good / (double)shown;
    }
    f.precision /= all, f.recall /= present, f.empty /= all - present;
    f.f1 = f.precision + f.recall > 0 ? 2 * f.precision * f.recall / (f.precision + f.recall) : 0;
    return f;
}

static void print_row(const char *name, double bar, figures f)
{
    printf("| %-32s | %6.3f | %5.1f %% | %5.1f %% | %.3f | %5.1f %% |\n", name, bar, 100 * f.precision, 100 * f.recall, f.f1, 100 * f.empty);
}

static void print_table(bench *b, int absent, const char *title)
{
    double best_bar = 0;
    figures best = {.f1 = -1};
    printf("\n%s\n\n| method                           |    bar | precision | recall | F1 | absent: nothing |\n|---|---|---|---|---|---|\n", title);
    for (size_t i = 0; i < b->n_trials; i++)
        for (size_t p = 0; p < b->trials[i].n; p++) b->trials[i].score[p] = (double)b->trials[i].cosine[p];
    for (double bar = -0.2; bar < 0.8; bar += 0.002) {
        figures f = measure(b, absent, bar);
        if (f.f1 > best.f1) best = f, best_bar = bar;
    }
    print_row("best fixed cosine, in hindsight", best_bar, best);
    for (size_t i = 0; i < b->n_trials; i++) {
        float top = best_of(&b->trials[i]);
        for (size_t p = 0; p < b->trials[i].n; p++) b->trials[i].score[p] = query_relevance(b->trials[i].height[p], top);
    }
    print_row("--cut", QUERY_RELEVANCE_CUT, measure(b, absent, QUERY_RELEVANCE_CUT));
    for (double bar = 0.05; bar < 0.55; bar += bar < 0.14 ? 0.05 : 0.1) print_row("--min-relevance", bar, measure(b, absent, bar));
}

/* Solves the 3 x 3 system a x = y in place. */
static void solve(double a[3][4])
{
    for (int i = 0; i < 3; i++)
        for (int r = 0; r < 3; r++) {
            double k = r == i ? 0 : a[r][i] / a[i][i];
            for (int c = i; c < 4; c++) a[r][c] -= k * a[i][c];
        }
    for (int i = 0; i < 3; i++) a[i][3] /= a[i][i];
}

static void fit(const bench *b)
{
    double w[3] = {1, 0, -5};
    for (int step = 0; step < 50; step++) {
        double a[3][4] = {{1e-6, 0, 0, 0}, {0, 1e-6, 0, 0}, {0, 0, 1e-6, 0}};
        for (size_t i = 0; i < b->n_trials; i++) {
            const trial *t = &b->trials[i];
            double x[3] = {0, (double)best_of(t), 1};
            for (size_t p = 0; p < t->n; p++) {
                if (t->mentions[p] == 1) continue;
                x[0] = (double)t->height[p];
                double r = 1 / (1 + exp(-(w[0] * x[0] + w[1] * x[1] + w[2]))), s = fmax(r * (1 - r), 1e-9);
                for (int j = 0; j < 3; j++) {
                    for (int k = 0; k < 3; k++) a[j][k] += s * x[j] * x[k];
                    a[j][3] += x[j] * ((t->mentions[p] >= 2) - r);
                }
            }
        }
        solve(a);
        for (int j = 0; j < 3; j++) w[j] += a[j][3];
    }
    printf("\nHEIGHT = %.3f, BEST = %.3f, LEVEL = %.3f\n", w[0], w[1], w[2]);
}

int main(int argc, char **argv)
{
    static bench b;
    store_error err = {0};
    if (argc < 4) die("type: bench_cut LIBRARY CAPTIONS CONCEPTS", "[--fit | --folders]");
    cli_init(&b.c);
    free(b.c.db);
    b.c.db = need(strdup(argv[1]));
    if (query_library_open(&b.l, &b.c) || query_bank_open(&b.l, &b.bank)) return 2;
    b.folders = argc > 4 && strcmp(argv[4], "--folders") == 0;
    b.dim = (size_t)b.l.model.dim;
    if (store_vectors_each(b.l.store, b.l.model.id, NULL, take, &b, &err)) return die(err.text, "");
    name_photos(&b);
    read_captions(&b, argv[2]);
    read_concepts(&b, argv[3]);
    make_trials(&b);
    size_t present = 0;
    for (size_t i = 0; i < b.n_trials; i++) present += b.trials[i].kind == PRESENT;
    printf("model %s, %zu photos, %zu concepts present, as many absent\n", b.l.model.name, b.n_photos, present);
    print_table(&b, OTHER, "absent: concepts that no photo shows");
    print_table(&b, REMOVED, "absent: the same concepts, their photos taken out");
    if (argc > 4 && !b.folders) fit(&b);
    query_bank_close(&b.bank);
    query_library_close(&b.l);
    cli_finish(&b.c);
    return 0;
}
