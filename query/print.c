/* print.c: what a result looks like.
 *
 * Default: the score with four decimals, a tab, the path; with colours the score is dim and the folders are blue. --paths and -0: the path alone. --json: one object a line.
 * The same names stand everywhere that a photo is written as JSON (search, similar, status --failed, prune, export):
 *
 *   score         number    cosine of question and photo, -1 to 1 (search and similar)
 *   relevance     number    probability that the photo shows it, 0 to 1; null for questions with images or --subtract (search)
 *   path          string    absolute path; where it is not UTF-8, path_base64 stands instead: its bytes in base64
 *   width height  number    pixels, after turning
 *   format        string    "jpeg", "png", ...
 *   taken         string    "YYYY-MM-DD HH:MM:SS", the camera's clock
 *   camera        string    maker and model
 *   latitude longitude      degrees, north and east positive
 *   size          number    bytes
 *   modified      string    the file's time, "YYYY-MM-DD HH:MM:SS", local
 *   reason        string    why it could not be read, or a remark such as "truncated" (null: none)
 *   vector        array     the model's unit vector (export and embed)
 *
 * A fact that is not known is null, so that every line has the same fields. Paths are always absolute: a line means the
 * same wherever it is read. */
#include "query/print.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void query_style_options(query_style *s, cli_option *rows)
{
    const cli_option table[QUERY_STYLE_OPTIONS] = {
        {"paths", 0, CLI_FLAG, NULL, "print paths alone, without scores", &s->paths},
        {"print0", '0', CLI_FLAG, NULL, "print paths alone, each ended by a zero byte", &s->zero},
        {"json", 0, CLI_FLAG, NULL, "print one JSON object a line", &s->json}};
    memcpy(rows, table, sizeof table);
}

int query_style_check(const query_style *s, const cli_usage *u)
{
    if (s->paths + s->zero + s->json > 1) return cli_misuse(u, "choose one of --paths, --print0 and --json");
    return 0;
}

/* ---- JSON ---- */

static json_t *text_or_null(const char *text)
{
    json_t *value = text && *text ? json_string(text) : NULL;
    return value ? value : json_null();
}

static json_t *number_or_null(bool known, double value)
{
    return known ? json_real(value) : json_null();
}

static json_t *integer_or_null(int64_t value)
{
    return value > 0 ? json_integer(value) : json_null();
}

static json_t *local_time(int64_t ns)
{
    char text[32];
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm parts;
    if (!ns || !localtime_r(&seconds, &parts) || !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts))
        return json_null();
    return json_string(text);
}

void query_json_photo(void *object, const store_photo *p, const char *where)
{
    cli_json_path(object, where);
    json_object_set_new(object, "width", integer_or_null(p->width));
    json_object_set_new(object, "height", integer_or_null(p->height));
    json_object_set_new(object, "format", text_or_null(p->format));
    json_object_set_new(object, "taken", text_or_null(p->taken));
    json_object_set_new(object, "camera", text_or_null(p->camera));
    json_object_set_new(object, "latitude", number_or_null(p->has_gps, p->latitude));
    json_object_set_new(object, "longitude", number_or_null(p->has_gps, p->longitude));
    json_object_set_new(object, "size", json_integer(p->size));
    json_object_set_new(object, "modified", local_time(p->mtime_ns));
    json_object_set_new(object, "reason", text_or_null(p->reason));
}

static void print_hit_json(FILE *f, const query_hit *h)
{
    json_t *object = json_object();
    json_object_set_new(object, "score", json_real(round((double)h->score * 1e6) / 1e6));
    json_object_set_new(object, "relevance", number_or_null(!isnan(h->relevance), (double)h->relevance));
    query_json_photo(object, &h->photo, h->where);
    cli_print_json(f, object);
}

/* By hand rather than as a jansson array: a library's export has a hundred million numbers. Nine digits keep a float. */
void query_print_vector_json(FILE *f, void *object, const float *vector, int dim)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (!text) return;
    fprintf(f, "%.*s%s\"vector\":[", (int)strlen(text) - 1, text, strlen(text) > 2 ? "," : "");
    for (int i = 0; i < dim; i++) fprintf(f, i ? ",%.9g" : "%.9g", (double)vector[i]);
    fputs("]}\n", f);
    free(text);
}

/* ---- lines ---- */

void query_print_path(FILE *f, const char *path, const query_style *s)
{
    if (s->zero) {
        fputs(path, f);
        putc(0, f);
        return;
    }
    (s->paint ? cli_paint_path : cli_print_path)(f, path);
    putc('\n', f);
}

void query_print_hits(FILE *f, const query_hits *h, const query_style *s)
{
    for (size_t i = 0; i < h->n; i++) {
        const query_hit *hit = &h->items[i];
        if (s->json) {
            print_hit_json(f, hit);
            continue;
        }
        if (!s->paths && !s->zero) fprintf(f, s->paint ? "\033[2m%.4f\033[0m\t" : "%.4f\t", (double)hit->score);
        query_print_path(f, hit->where, s);
    }
}
