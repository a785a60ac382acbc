/* filter.c: conditions become SQL, so that they act inside the search and SQLite's indexes serve them. Values are always
 * bound, never written into the text.
 *
 * under     ranges of the index (root, path): a folder holds what sorts between "a/" and "a0" (see paths.c)
 * dates     compared as text: "2023-07" sorts before every date in that month, so `after` takes the month in and `before`
 *           leaves it out
 * near      a box of latitudes through the index, then the great circle; longitudes are left to the circle, which knows
 *           the date line and the poles */
#include "store/filter.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's parser allows expressions 1000 deep; each folder and tag adds one. */
enum { TERMS_MAX = 400 };

static bool add(filter *f, const char *sql)
{
    size_t n = strlen(sql);
    if (f->length + n + 1 > f->room) {
        size_t room = 2 * (f->length + n + 1);
        char *w = realloc(f->where, room);
        if (!w) return false;
        f->where = w;
        f->room = room;
    }
    memcpy(f->where + f->length, sql, n + 1);
    f->length += n;
    return true;
}

static bool put(filter *f, filter_value v)
{
    if (f->n_values == f->values_room) {
        size_t room = f->values_room ? 2 * f->values_room : 8;
        filter_value *more = realloc(f->value, room * sizeof *more);
        if (!more) {
            free(v.text);
            return false;
        }
        f->value = more;
        f->values_room = room;
    }
    f->value[f->n_values++] = v;
    return true;
}

static bool put_int(filter *f, int64_t i) { return put(f, (filter_value){.kind = 'i', .i = i}); }
static bool put_real(filter *f, double r) { return put(f, (filter_value){.kind = 'r', .r = r}); }
static bool put_bytes(filter *f, char kind, const char *text)
{
    char *copy = strdup(text);
    return copy && put(f, (filter_value){.kind = kind, .text = copy, .n = strlen(copy)});
}

/* ---- one kind of condition each: false when memory is out ---------------------------------------------------------- */

static bool below(filter *f, const store_root *r, const char *folder)
{
    /* The first term must not be a constant, or SQLite would not use an index for the others. */
    if (f->where[f->length - 1] != '(' && !add(f, " OR ")) return false;
    if (!*folder) return add(f, "p.root_id = ?") && put_int(f, r->id);
    size_t room = strlen(folder) + 2;
    char *low = malloc(room), *high = malloc(room);
    bool ok = low && high;
    if (ok) {
        store_path_range(folder, low, high);
        ok = add(f, "(p.root_id = ? AND CAST(p.path AS BLOB) = ?)"
                    " OR (p.root_id = ? AND CAST(p.path AS BLOB) >= ? AND CAST(p.path AS BLOB) < ?)") &&
             put_int(f, r->id) && put_bytes(f, 'b', folder) && put_int(f, r->id) && put_bytes(f, 'b', low) &&
             put_bytes(f, 'b', high);
    }
    free(low);
    free(high);
    return ok;
}

static bool under_one(filter *f, const char *clean, const store_root *roots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *inside = store_path_below(roots[i].path, clean);
        if (inside ? !below(f, &roots[i], inside) : store_path_below(clean, roots[i].path) && !below(f, &roots[i], ""))
            return false;
    }
    return true;
}

static store_status under(filter *f, store *s, const store_filter *c, store_error *err)
{
    store_root *roots;
    size_t n;
    store_status st = store_roots(s, &roots, &n, err);
    if (st) return st;
    bool ok = add(f, " AND (");
    for (size_t i = 0; i < c->n_under && ok && !st; i++) {
        char *clean = store_path_clean(c->under[i]);
        if (!clean) st = store_fail(err, STORE_E_ARGUMENT, "%s: a folder to search in must be an absolute path", c->under[i]);
        else ok = under_one(f, clean, roots, n);
        free(clean);
    }
    ok = ok && add(f, f->where[f->length - 1] == '(' ? "0)" : ")");
    store_roots_free(roots, n);
    return st ? st : ok ? STORE_OK : store_no_memory(err);
}

/* "YYYY", "YYYY-MM", "YYYY-MM-DD" or with " HH:MM:SS". */
static bool is_date(const char *d)
{
    static const char form[] = "dddd-dd-dd dd:dd:dd";
    size_t n = strlen(d);
    if (n != 4 && n != 7 && n != 10 && n != 19) return false;
    for (size_t i = 0; i < n; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)d[i]) : d[i] != form[i]) return false;
    return true;
}

static store_status dates(filter *f, const store_filter *c, store_error *err)
{
    const char *bad = c->after && !is_date(c->after) ? c->after : c->before && !is_date(c->before) ? c->before : NULL;
    if (bad) return store_fail(err, STORE_E_ARGUMENT, "\"%s\" is no date: write YYYY, YYYY-MM, YYYY-MM-DD or "
                               "\"YYYY-MM-DD HH:MM:SS\"", bad);
    bool ok = (!c->after || (add(f, " AND p.date >= ?") && put_bytes(f, 't', c->after))) &&
              (!c->before || (add(f, " AND p.date < ?") && put_bytes(f, 't', c->before)));
    return ok ? STORE_OK : store_no_memory(err);
}

static store_status near(filter *f, const store_filter *c, store_error *err)
{
    bool sound = isfinite(c->latitude) && fabs(c->latitude) <= 90 && isfinite(c->longitude) && fabs(c->longitude) <= 360 &&
                 c->km >= 0 && !isinf(c->km);
    if (!sound) return store_fail(err, STORE_E_ARGUMENT, "%g, %g within %g km is no place: latitudes go from -90 to 90",
                                  c->latitude, c->longitude, c->km);
    double span = c->km / 111.0; /* a degree is 110.6 to 111.7 km, 111.19 on our sphere */
    bool ok = add(f, " AND p.latitude BETWEEN ? AND ? AND km(p.latitude, p.longitude, ?, ?) <= ?") &&
              put_real(f, c->latitude - span) && put_real(f, c->latitude + span) && put_real(f, c->latitude) &&
              put_real(f, c->longitude) && put_real(f, c->km);
    return ok ? STORE_OK : store_no_memory(err);
}

static bool plain(filter *f, const store_filter *c)
{
    static const char *const shape[] = {"", " AND p.height > p.width", " AND p.width > p.height",
                                        " AND p.width = p.height AND p.width > 0"};
    bool ok = true;
    if (c->camera) ok = ok && add(f, " AND instr(lower(p.camera), lower(?)) > 0") && put_bytes(f, 't', c->camera);
    if (c->format) ok = ok && add(f, " AND p.format = ?") && put_bytes(f, 't', c->format);
    if ((unsigned)c->shape < 4) ok = ok && add(f, shape[c->shape]);
    if (c->min_side > 0) ok = ok && add(f, " AND max(p.width, p.height) >= ?") && put_int(f, c->min_side);
    if (c->not_photo) ok = ok && add(f, " AND p.id <> ?") && put_int(f, c->not_photo);
    for (size_t i = 0; i < c->n_tags && ok; i++)
        ok = add(f, " AND EXISTS(SELECT 1 FROM tags WHERE photo_id = p.id AND tag = ?)") && put_bytes(f, 't', c->tags[i]);
    return ok;
}

store_status filter_build(store *s, const store_filter *c, filter *out, store_error *err)
{
    static const store_filter none;
    if (!c) c = &none;
    memset(out, 0, sizeof *out);
    if (c->n_under > TERMS_MAX || c->n_tags > TERMS_MAX)
        return store_fail(err, STORE_E_ARGUMENT, "too many folders or tags: at most %d", TERMS_MAX);
    store_status st = add(out, "") ? STORE_OK : store_no_memory(err);
    if (!st && c->n_under) st = under(out, s, c, err);
    if (!st) st = dates(out, c, err);
    if (!st && c->near) st = near(out, c, err);
    if (!st && !plain(out, c)) st = store_no_memory(err);
    if (st) filter_finish(out);
    return st;
}

void filter_finish(filter *f)
{
    for (size_t i = 0; i < f->n_values; i++) free(f->value[i].text);
    free(f->value);
    free(f->where);
    memset(f, 0, sizeof *f);
}

char *filter_sql(const filter *f, const char *before, const char *after)
{
    char *sql = malloc(strlen(before) + f->length + strlen(after) + 1);
    if (sql) strcat(strcat(strcpy(sql, before), f->where), after);
    return sql;
}

void filter_bind(const filter *f, db_stmt *q)
{
    for (size_t i = 0; i < f->n_values; i++) {
        const filter_value *v = &f->value[i];
        if (v->kind == 'i') db_int(q, v->i);
        else if (v->kind == 'r') db_real(q, v->r);
        else if (v->kind == 't') db_text(q, v->text);
        else db_blob(q, v->text, v->n);
    }
}
