/* search.c: the k nearest photos, always those of this moment.
 *
 * Small libraries (no FAISS file) and narrow filters are searched exactly over the vectors in the database. Otherwise:
 *
 *   1  the delta: vectors written after the file was made are read from the database and weighed
 *   2  the base: FAISS names candidates, more than k. They are looked up, the best first: gone, replaced, missing or filtered-out
 *      ones fall away, and the others are weighed again with the database's own numbers, so that one function gives every score
 *      and copies of one photo tie exactly, wherever their vectors lie
 *   3  enough? How FAISS's scores differ from ours, on average and in spread, is seen on the candidates so far. What comes after
 *      one of them scores no more than it does; if the k-th hit is above that by the average and some spreads,
 *      nothing is missing, ties included, and the others need not be looked up.
 *      If none is left, four times as many are asked for, until asking costs more than the exact search
 *
 * FAISS 1.7.3's C API has no search parameters and so no filter of its own; step 3 is what makes a wide filter exact about
 * its number of hits, and the exact search what a narrow one gets. */
#include "store/cache.h"
#include "store/f16.h"
#include "store/scan.h"
#include "store/topk.h"

#include <math.h>
#include <stdlib.h>

/* Looking up a candidate costs what reading ten vectors in their order costs. 256 candidates are nearly always
 * enough for the ten best; see vec.c. */
enum { MORE = 216, CANDIDATES_MAX = 4096 };

/* A search ends among its candidates once their differences are so many that the spread is known; the best of them are also those
 * that FAISS flatters, so a margin more is kept than at their end. With 64 and 5 spreads the tests of small dimensions miss
 * photos, with 96 they do not. */
enum { DIFFERENCES_MIN = 128, SPREADS_AMONG = 5, SPREADS_AT_END = 4 };

typedef struct search {
    store *s;
    store_model m;
    const float *query; /* [dim] */
    float length;       /* of the query */
    filter f;
    topk best;          /* from the delta, or from everything */
} search;

static store_status weigh(int64_t id, const void *f16, void *ctx, store_error *err)
{
    search *h = ctx;
    return topk_push(&h->best, id, f16_dot(f16, h->query, (size_t)h->m.dim), err);
}

static store_status check_query(search *h, store_error *err)
{
    double s = 0;
    for (int i = 0; i < h->m.dim; i++) s += (double)h->query[i] * h->query[i];
    h->length = (float)sqrt(s);
    return isfinite(s) ? STORE_OK : store_fail(err, STORE_E_ARGUMENT, "the query's vector holds numbers that are not finite");
}

/* ---- candidates from the file ------------------------------------------------------------------------------------ */

/* How our scores differ from FAISS's. */
typedef struct differences { double sum, squares; size_t n; } differences;

static void compare(differences *d, float ours, float theirs)
{
    double x = (double)ours - theirs;
    d->sum += x;
    d->squares += x * x;
    d->n++;
}

/* By how much a photo that was not looked at may surpass the last that was. */
static float surprise(const differences *d, double spreads)
{
    if (!d->n) return 0;
    double mean = d->sum / (double)d->n, variance = d->squares / (double)d->n - mean * mean;
    return (float)(mean + spreads * sqrt(variance > 0 ? variance : 0));
}

/* No photo whose score by FAISS is at most `score` is among the best. */
static bool is_settled(const search *h, const topk *t, const differences *d, double spreads, float score)
{
    return t->n == t->k && topk_bar(t) > score + surprise(d, spreads) + 1e-6f * h->length;
}

/* The look-ups of candidates. Without a filter a photo's row is asked for only where its score is good enough. */
typedef struct looking {
    db_stmt *vector, *photo;    /* photo NULL: the first one knows it all */
    char *sql;
} looking;

static store_status look_prepare(search *h, looking *l, store_error *err)
{
    *l = (looking){0};
    if (h->f.length) {
        l->sql = filter_sql(&h->f, "SELECT v.vector, p.state = 0", " FROM vectors v CROSS JOIN photos p ON p.id = ? "
                            "WHERE v.key = ? AND v.seq <= ?");
        if (!l->sql) return store_no_memory(err);
        l->vector = db_prepare_once(h->s->db, l->sql);
        return STORE_OK;
    }
    l->vector = db_prepare(h->s->db, "SELECT vector FROM vectors WHERE key = ? AND seq <= ?");
    l->photo = db_prepare(h->s->db, "SELECT state = 0 FROM photos WHERE id = ?");
    return STORE_OK;
}

static void look_finish(looking *l)
{
    if (l->vector) db_release(l->vector);
    if (l->photo) db_release(l->photo);
    free(l->sql);
}

/* DB_ROW: q stands on the vector's row. */
static int look_up(search *h, const looking *l, const cache_row *row, int64_t id)
{
    db_again(l->vector);
    if (!l->photo) {
        filter_bind(&h->f, l->vector);
        db_int(l->vector, id);
    }
    db_int(l->vector, h->m.id << STORE_PHOTO_BITS | (id & STORE_PHOTO_MASK));
    db_int(l->vector, row->seq);
    return db_step(l->vector);
}

/* Whether the photo is there and passes the filter. */
static int is_wanted(const looking *l, int64_t id, bool *wanted)
{
    *wanted = !l->photo && db_col_int(l->vector, 1);
    if (!l->photo) return DB_ROW;
    db_again(l->photo);
    db_int(l->photo, id);
    int rc = db_step(l->photo);
    *wanted = rc == DB_ROW && db_col_int(l->photo, 0);
    return rc;
}

/* Looks the candidates up, best first, until the hits are final, and weighs those that hold into `t`. Filtered-out ones are
 * compared too: the more the better. *settled: what was not looked up is not among the best. */
static store_status verify(search *h, const cache_row *row, const candidate *c, size_t n, topk *t, differences *d, bool *settled,
                           store_error *err)
{
    looking l;
    store_status st = look_prepare(h, &l, err);
    int rc = DB_DONE;
    *settled = false;
    for (size_t i = 0; i < n && !st && rc != DB_FAILED; i++) {
        *settled = d->n >= DIFFERENCES_MIN && is_settled(h, t, d, SPREADS_AMONG, c[i].score);
        if (*settled) break;
        if ((rc = look_up(h, &l, row, c[i].id)) != DB_ROW) continue;
        size_t bytes;
        bool wanted = false;
        const void *v = db_col_blob(l.vector, 0, &bytes);
        if (bytes != 2 * (size_t)h->m.dim) continue;
        float score = f16_dot(v, h->query, (size_t)h->m.dim);
        compare(d, score, c[i].score);
        if (score >= topk_bar(t)) rc = is_wanted(&l, c[i].id, &wanted);
        if (wanted) st = topk_push(t, c[i].id, score, err);
    }
    look_finish(&l);
    return st ? st : rc == DB_FAILED ? db_fail(h->s->db, err) : STORE_OK;
}

typedef struct asking {
    candidate *c;
    size_t want;
    bool enough;   /* the hits are final */
    bool hopeless; /* further rounds would cost more than they save */
} asking;

static store_status ask(search *h, cache *c, asking *a, topk *t, store_error *err)
{
    size_t found;
    bool sound;
    cache_doubt doubt;
    store_status st = cache_find(c, h->query, a->want, a->c, &found, &sound, &doubt, err);
    a->hopeless = !sound;
    if (st || a->hopeless) return st;
    float last = found ? a->c[found - 1].score : -INFINITY;
    differences d = {0};
    topk_copy(t, &h->best);
    bool settled;
    st = verify(h, &c->row, a->c, found, t, &d, &settled, err);
    if (st) return st;
    bool all = found < a->want; /* the file holds no more */
    a->enough = all || settled || is_settled(h, t, &d, SPREADS_AT_END, last);
    a->hopeless = !a->enough && 4 * a->want > CANDIDATES_MAX;
    return STORE_OK;
}

/* *done stays false where the exact search has to do it. */
static store_status search_file(search *h, cache *c, store_hit *hits, size_t *n, bool *done, store_error *err)
{
    asking a = {.want = 4 * h->best.k + MORE, .c = malloc(CANDIDATES_MAX * sizeof *a.c)};
    a.hopeless = a.want > CANDIDATES_MAX;
    topk t = {0};
    store_status st = a.c ? topk_init(&t, h->s, h->best.k, err) : store_no_memory(err);
    if (!st && !a.hopeless) st = scan_newer(h->s, &h->m, c->row.seq, &h->f, weigh, h, err);
    while (!st && !a.enough && !a.hopeless) {
        st = ask(h, c, &a, &t, err);
        a.want *= 4;
    }
    if (!st && a.enough) st = topk_take(&t, hits, n, err);
    *done = a.enough;
    topk_finish(&t);
    free(a.c);
    return st;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static store_status search_all(search *h, store_hit *hits, size_t *n, store_error *err)
{
    size_t k = h->best.k;
    topk_finish(&h->best);
    store_status st = topk_init(&h->best, h->s, k, err);
    if (!st) st = scan_all(h->s, &h->m, &h->f, weigh, h, err);
    return st ? st : topk_take(&h->best, hits, n, err);
}

/* One attempt within one reading position; *gone: the file was replaced meanwhile, so look again. */
static store_status attempt(search *h, int64_t model_id, size_t k, const store_filter *f, store_hit *hits, size_t *n,
                            bool *gone, store_error *err)
{
    cache *c = NULL;
    cache_doubt doubt = {{0}, false};
    bool opened = false, done = false;
    store_status st = store_look_begin(h->s, &opened, err);
    if (!st) st = model_get(h->s, model_id, &h->m, err);
    if (!st) st = check_query(h, err);
    if (!st) st = filter_build(h->s, f, &h->f, err);
    if (!st && (int64_t)k > h->m.vectors) k = (size_t)h->m.vectors; /* no more than that can be found */
    if (!st) st = topk_init(&h->best, h->s, k, err);
    if (!st) st = cache_open(h->s, &h->m, &c, &doubt, err);
    *gone = *gone && doubt.gone;
    if (!*gone) {
        if (!st && c && k) st = search_file(h, c, hits, n, &done, err);
        if (!st && !done && k) st = search_all(h, hits, n, err);
    }
    topk_finish(&h->best);
    filter_finish(&h->f);
    store_look_end(h->s, opened);
    return st;
}

store_status store_search(store *s, int64_t model_id, const float *query, size_t k, const store_filter *f, store_hit *hits,
                          size_t *n, store_error *err)
{
    *n = 0;
    store_status st = STORE_OK;
    bool gone = true;
    for (int i = 0; i < 3 && gone && !st; i++) {
        search h = {.s = s, .query = query};
        gone = i < 2;
        st = attempt(&h, model_id, k, f, hits, n, &gone, err);
    }
    return st;
}
