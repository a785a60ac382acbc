/* command_export.c: `clipsearch export`: the whole library in a form that other programs read.
 *
 * The order is the same in every form (by path), so that the rows of an array and the lines of a table belong together.
 * An array file names its size first, so the photos are counted in one pass and written in a second; a photo that
 * leaves the library in between is an error, because rows and lines would not match any more. */
#include "query/open_library.h"
#include "query/npy.h"
#include "query/print.h"
#include "query/query.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_usage usage = {
    .command = "export",
    .summary = "Write the whole library, vectors and facts, for other programs.",
    .details =
        "Every photo that can be searched, in order of path, the same in every form. jsonl: one object a line, with "
        "the fields of `search --json` and \"vector\". csv: path, path_base64 (instead of path, where the name is not "
        "UTF-8), width, height, format, taken, camera, latitude, longitude, size, modified, reason, and the vector's "
        "numbers in columns v0, v1, ... npy: the vectors alone, an array of 32-bit floats, one row a photo.",
    .examples = "clipsearch export --format npy --output vectors.npy\n"
                "clipsearch export --format csv > photos.csv\n"
                "clipsearch export | jq -r 'select(.camera == null) | .path'",
};

typedef enum form { JSONL, CSV, NPY } form;

typedef struct exporter {
    query_library *l;
    FILE *f;
    form form;
    float *vector;              /* [dim] */
    int64_t n;
    bool counting;
    store_error err;
    bool failed;
} exporter;

/* ---- CSV, as RFC 4180 has it, with new lines instead of CR LF ---- */

static void put_csv(FILE *f, const char *text)
{
    if (!text) return;
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, f);
        return;
    }
    putc('"', f);
    for (; *text; text++) {
        if (*text == '"') putc('"', f);
        putc(*text, f);
    }
    putc('"', f);
}

static void put_csv_value(FILE *f, const json_t *value)
{
    if (json_is_string(value)) put_csv(f, json_string_value(value));
    else if (json_is_integer(value)) fprintf(f, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value)) fprintf(f, "%.9g", json_real_value(value));
}

static const char *const columns[] = {"path", "path_base64", "width", "height", "format", "taken", "camera", "latitude",
                                      "longitude", "size", "modified", "reason"};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static void put_csv_head(FILE *f, int dim)
{
    for (int i = 0; i < N_COLUMNS; i++) fprintf(f, i ? ",%s" : "%s", columns[i]);
    for (int i = 0; i < dim; i++) fprintf(f, ",v%d", i);
    putc('\n', f);
}

/* From the same object that JSON is written from, so that the two forms cannot drift apart. */
static void put_csv_line(FILE *f, json_t *object, const float *vector, int dim)
{
    for (int i = 0; i < N_COLUMNS; i++) {
        if (i) putc(',', f);
        put_csv_value(f, json_object_get(object, columns[i]));
    }
    for (int i = 0; i < dim; i++) fprintf(f, ",%.9g", (double)vector[i]);
    putc('\n', f);
    json_decref(object);
}

/* ---- */

static void put_photo(exporter *x, const store_photo *p, const char *where)
{
    int dim = x->l->model.dim;
    if (x->form == NPY) {
        fwrite(x->vector, sizeof *x->vector, (size_t)dim, x->f);
        return;
    }
    json_t *object = json_object();
    query_json_photo(object, p, where);
    if (x->form == CSV) put_csv_line(x->f, object, x->vector, dim);
    else query_print_vector_json(x->f, object, x->vector, dim);
}

static bool export_photo(const store_photo *p, const char *where, void *ctx)
{
    exporter *x = ctx;
    store_status s = store_vector_get(x->l->store, p->id, x->l->model.id, x->vector, &x->err);
    if (s == STORE_E_NOT_FOUND) return true; /* not encoded with this model yet */
    if (s != STORE_OK) return x->failed = true, false;
    x->n++;
    if (!x->counting) put_photo(x, p, where);
    return !ferror(x->f);
}

static int each_photo(exporter *x, bool counting)
{
    const store_state state = STORE_PRESENT;
    x->n = 0;
    x->counting = counting;
    store_status s = store_photos_each(x->l->store, &state, export_photo, x, &x->err);
    return s != STORE_OK || x->failed ? cli_fail("%s", x->err.text) : 0;
}

static int write_all(exporter *x)
{
    int64_t expected = -1;
    int status = 0;
    if (x->form == CSV) put_csv_head(x->f, x->l->model.dim);
    if (x->form == NPY) {
        if ((status = each_photo(x, true))) return status;
        expected = x->n;
        query_npy_begin(x->f, expected, x->l->model.dim);
    }
    status = each_photo(x, false);
    if (!status && expected >= 0 && x->n != expected)
        return cli_fail("the library changed while it was exported; try again when no index is running");
    return status;
}

static int export(cli *c, form how, const char *path)
{
    query_library l;
    char count[32];
    exporter x = {.l = &l, .form = how, .f = stdout};
    int status = query_library_open(&l, c);
    if (status) goto end;
    if (!(x.vector = malloc((size_t)l.model.dim * sizeof *x.vector))) status = cli_fail("memory ran out");
    else if (path && !(x.f = fopen(path, "wb"))) status = cli_fail("cannot write %s: %s", path, strerror(errno));
    if (status) goto end;
    status = write_all(&x);
    if (path) {
        bool failed = ferror(x.f);
        if ((fclose(x.f) || failed) && !status) status = cli_fail("cannot write %s: %s", path, strerror(errno));
        if (!status) cli_say(c, "%s photos written to %s", cli_count(x.n, count), path);
    }
end:
    free(x.vector);
    query_library_close(&l);
    return status;
}

int query_command_export(struct cli *c, int argc, char **argv)
{
    int chosen = JSONL;
    const char *path = NULL;
    const cli_option options[] = {
        {"format", 'f', CLI_CHOICE, "jsonl|csv|npy", "the form; jsonl when not given", &chosen},
        {"output", 'o', CLI_STRING, "FILE", "where to write it; else standard output", &path},
        {0}};
    int first, status = cli_parse(c, &usage, options, argc, argv, &first);
    if (status >= 0) return status;
    if (first < argc) return cli_misuse(&usage, "\"%s\" is not needed; --output names the file", argv[first]);
    if (path && strcmp(path, "-") == 0) path = NULL;
    if (chosen == NPY && !path && isatty(STDOUT_FILENO))
        return cli_misuse(&usage, "an array is not for a terminal; name a file: --output FILE");
    return export(c, chosen, path);
}
