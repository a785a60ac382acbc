/* bench_learn.c: what `learn` is worth: average precision of a concept from a few examples, against the words alone and the
 * examples alone, over things that captions name.
 *
 *     bench_learn LIBRARY CAPTIONS CONCEPTS [DRAWS]
 *
 * The files are those of bench_cut.c. A photo shows a thing when two of its captions name it, and does not when none does; those with
 * one naming caption count neither way. Things that at least 20 photos show are taken. Each draw takes 5 and 10 of them as examples
 * (splitmix64, the draw's number as its seed); all other photos are the unlabelled ones, as in a library, and are ranked. Average
 * precision is the mean over the photos that show the thing of the precision at their place. F1 is that of the photos with a probability
 * of at least QUERY_RELEVANCE_CUT. Figures are means over things and draws, with 1.96 standard errors over the things. */
#include "query/ask_texts.h"
#include "query/concept.h"
#include "query/logistic.h"
#include "query/relevance.h"
#include "tests/made_numbers.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 4096, THINGS_MOST = 200, LEAST = 20, WAYS = 3 };

typedef struct photo { int64_t id; char *name; float *vector; char *captions; } photo;
typedef struct bench { cli c; query_library l; photo *photos; size_t n, dim; } bench;
typedef struct place { double score; int shows; } place;

static void *need(void *p) { if (!p) { fputs("memory ran out\n", stderr); exit(2); } return p; }
static void die(const char *what, const char *name) { fprintf(stderr, "bench_learn: %s %s\n", what, name); exit(2); }

/* ---- reading ---- */

static bool take(const int64_t *ids, const float *vectors, size_t n, void *ctx)
{
    bench *b = ctx;
    b->photos = need(realloc(b->photos, (b->n + n) * sizeof *b->photos));
    for (size_t i = 0; i < n; i++) {
        photo *p = &b->photos[b->n++];
        *p = (photo){.id = ids[i], .vector = need(malloc(b->dim * sizeof(float))), .captions = need(strdup(""))};
        memcpy(p->vector, vectors + i * b->dim, b->dim * sizeof(float));
    }
    return true;
}

static int by_name(const void *a, const void *b) { return strcmp(((const photo *)a)->name, ((const photo *)b)->name); }

static void name_photos(bench *b)
{
    store_error err = {0};
    for (size_t i = 0; i < b->n; i++) {
        store_photo p;
        if (store_photo_get(b->l.store, b->photos[i].id, &p, &err)) die(err.text, "");
        const char *slash = strrchr(p.path, '/');
        b->photos[i].name = need(strdup(slash ? slash + 1 : p.path));
        store_photo_finish(&p);
    }
    qsort(b->photos, b->n, sizeof *b->photos, by_name);
}

/* A caption becomes " word word \n". */
static void read_captions(bench *b, const char *file)
{
    char line[LINE], text[LINE + 4];
    FILE *f = fopen(file, "r");
    if (!f) die("cannot read", file);
    while (fgets(line, sizeof line, f)) {
        char *tab = strchr(line, '\t');
        if (!tab) continue;
        *tab = 0;
        photo key = {.name = line}, *p = bsearch(&key, b->photos, b->n, sizeof key, by_name);
        size_t n = 0;
        text[n++] = ' ';
        for (const char *s = tab + 1; *s; s++) {
            char c = isalpha((unsigned char)*s) ? (char)tolower((unsigned char)*s) : ' ';
            if (c != ' ' || text[n - 1] != ' ') text[n++] = c;
        }
        text[n++] = ' ', text[n++] = '\n', text[n] = 0;
        if (!p) continue;
        p->captions = need(realloc(p->captions, strlen(p->captions) + n + 1));
        strcat(p->captions, text);
    }
    fclose(f);
}

/* How many of the photo's captions name it, 2 meaning two or more. */
static int mentions(const photo *p, const char *words)
{
    int count = 0;
    for (const char *line = p->captions, *end; (end = strchr(line, '\n')); line = end + 1) {
        char copy[1024], *rest = copy, *word, wanted[64];
        bool named = false;
        snprintf(copy, sizeof copy, "%s", words);
        while ((word = strsep(&rest, " "))) {
            if (!*word || snprintf(wanted, sizeof wanted, " %s ", word) >= (int)sizeof wanted) continue;
            const char *at = strstr(line, wanted);
            named = named || (at && at < end);
        }
        count += named;
    }
    return count > 2 ? 2 : count;
}

/* ---- one draw ---- */

static int by_score(const void *a, const void *b)
{
    double x = ((const place *)a)->score, y = ((const place *)b)->score;
    return x < y ? 1 : x > y ? -1 : 0;
}

static double average_precision(place *p, size_t n)
{
    double found = 0, sum = 0;
    qsort(p, n, sizeof *p, by_score);
    for (size_t i = 0; i < n; i++)
        if (p[i].shows) sum += ++found / (double)(i + 1);
    return sum / found;
}

static double f1(const place *p, size_t n)
{
    double good = 0, kept = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        bool in = query_logistic_sigmoid(p[i].score) >= QUERY_RELEVANCE_CUT;
        kept += in, all += p[i].shows, good += in && p[i].shows;
    }
    return 2 * good / (kept + all);
}

/* Examples to the front of `order`. */
static void draw(const int *shows, size_t n, size_t shots, uint64_t seed, size_t *order)
{
    size_t front = 0;
    for (size_t i = 0; i < n; i++) order[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t j = made_bits(&seed) % i, was = order[i - 1];
        order[i - 1] = order[j], order[j] = was;
    }
    for (size_t i = 0; i < n && front < shots; i++)
        if (shows[order[i]] == 2) {
            size_t was = order[front];
            order[front++] = order[i], order[i] = was;
        }
}

/* ap[WAYS]: the words alone, the examples alone, both. */
static void try(bench *b, const float *words, const int *shows, size_t shots, uint64_t seed, double ap[WAYS], double *cut)
{
    size_t *order = need(malloc(b->n * sizeof *order)), n = 0;
    float *x = need(malloc(b->n * b->dim * sizeof *x)), *w = need(malloc(b->dim * sizeof *w));
    place *places = need(malloc(b->n * sizeof *places));
    draw(shows, b->n, shots, seed, order);
    for (size_t i = 0; i < b->n; i++) memcpy(x + i * b->dim, b->photos[order[i]].vector, b->dim * sizeof *x);
    for (int way = 0; way < WAYS; way++) {
        query_examples e = {.x = x, .yes = shots, .unlabelled = b->n - shots, .dim = (int)b->dim, .words = way == 2 ? words : NULL, .threads = 1};
        query_learned how = {0};
        if (way && !query_concept_learn(&e, w, &how)) die("memory ran out", "");
        n = 0;
        for (size_t i = shots; i < b->n; i++) {
            if (shows[order[i]] == 1) continue;
            double sum = how.bias;
            for (size_t d = 0; d < b->dim; d++) sum += (double)(way ? w : words)[d] * (double)x[i * b->dim + d];
            places[n++] = (place){sum, shows[order[i]] == 2};
        }
        ap[way] = average_precision(places, n);
    }
    *cut = f1(places, n);
    free(order);
    free(x);
    free(w);
    free(places);
}

/* ---- all of them ---- */

static void print_mean(const char *name, const double *values, size_t n)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    printf("  %-40s %.3f +- %.3f\n", name, mean, 1.96 * sqrt(squares / (double)(n - 1) / (double)n));
}

static void measure(bench *b, const char *file, size_t shots, size_t draws)
{
    static const char *const names[] = {"the words alone", "the examples alone", "both: clipsearch learn"};
    static double ap[WAYS][THINGS_MOST], gain[THINGS_MOST], cut[THINGS_MOST];
    char line[LINE], question[128], words[1024];
    size_t things = 0;
    FILE *f = fopen(file, "r");
    float *vector = need(malloc(b->dim * sizeof *vector));
    int *shows = need(malloc(b->n * sizeof *shows));
    if (!f) die("cannot read", file);
    while (fgets(line, sizeof line, f) && things < THINGS_MOST) {
        const char *text = question;
        size_t there = 0;
        if (line[0] == '#' || sscanf(line, "%127[^\t]\t%1023[^\n]", question, words) != 2) continue;
        for (size_t i = 0; i < b->n; i++) there += (shows[i] = mentions(&b->photos[i], words)) == 2;
        if (there < LEAST) continue;
        if (query_ask_texts(&b->l, NULL, &text, 1, vector)) exit(2);
        for (int w = 0; w < WAYS; w++) ap[w][things] = 0;
        cut[things] = 0;
        for (size_t d = 0; d < draws; d++) {
            double one[WAYS], c;
            try(b, vector, shows, shots, d, one, &c);
            for (int w = 0; w < WAYS; w++) ap[w][things] += one[w] / (double)draws;
            cut[things] += c / (double)draws;
        }
        gain[things] = ap[2][things] - ap[0][things];
        things++;
    }
    fclose(f);
    printf("%zu things, %zu examples, %zu draws, %zu photos\n", things, shots, draws, b->n);
    for (int w = 0; w < WAYS; w++) print_mean(names[w], ap[w], things);
    print_mean("learn's gain over the words", gain, things);
    print_mean("F1 of --cut", cut, things);
    free(vector);
    free(shows);
}

int main(int argc, char **argv)
{
    static bench b;
    store_error err = {0};
    if (argc < 4) die("type: bench_learn LIBRARY CAPTIONS CONCEPTS", "[DRAWS]");
    cli_init(&b.c);
    free(b.c.db);
    b.c.db = need(strdup(argv[1]));
    if (query_library_open(&b.l, &b.c)) return 2;
    b.dim = (size_t)b.l.model.dim;
    if (store_vectors_each(b.l.store, b.l.model.id, NULL, take, &b, &err)) die(err.text, "");
    name_photos(&b);
    read_captions(&b, argv[2]);
    size_t draws = argc > 4 ? (size_t)atoi(argv[4]) : 3;
    measure(&b, argv[3], 5, draws);
    measure(&b, argv[3], 10, draws);
    query_library_close(&b.l);
    cli_finish(&b.c);
    return 0;
}
