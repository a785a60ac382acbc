/* encode.c: words and pictures to vectors, with everything made on demand.
 *
 * A search whose text was asked before never comes here, so that it costs no model; a text query never makes the image
 * tower, and the other way round. A picture may come from a pipe, which the engine refuses on purpose when it walks
 * folders: here the user has named it, so it is read to its end, up to the engine's own limit for a file. */
#include "query/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t MOST_BYTES = (size_t)256 << 20;

int query_encoder_dim(const query_encoder *e)
{
    return clip_model_describe(e->model)->dim;
}

int query_encode_texts(query_encoder *e, const char *const *texts, size_t n, float *out)
{
    clip_error err = {0};
    const clip_encoder_options o = {.threads = e->c->threads, .precision = CLIP_AUTO};
    if (!e->text && clip_text_encoder_create(e->model, &o, &e->text, &err))
        return cli_fail("cannot use the model's text tower: %s", err.text);
    if (clip_text_encode(e->text, texts, n, out, &err)) return cli_fail("cannot encode the text: %s", err.text);
    return 0;
}

/* ---- pictures ---- */

static int read_stream(int fd, const char *name, uint8_t **bytes, size_t *n)
{
    size_t room = 0, used = 0;
    uint8_t *data = NULL;
    for (;;) {
        if (used == room) {
            if (room >= MOST_BYTES) {
                free(data);
                return cli_fail("%s: larger than 256 MiB", name);
            }
            room = room ? room * 2 : 1 << 16;
            uint8_t *larger = realloc(data, room);
            if (!larger) {
                free(data);
                return cli_fail("memory ran out");
            }
            data = larger;
        }
        ssize_t got = read(fd, data + used, room - used);
        if (got > 0) used += (size_t)got;
        else if (got == 0) break;
        else if (errno != EINTR) {
            free(data);
            return cli_fail("cannot read %s: %s", name, strerror(errno));
        }
    }
    *bytes = data, *n = used;
    return 0;
}

static char *shown(const char *path)
{
    return strcmp(path, "-") == 0 ? strdup("standard input") : cli_quote_path(path);
}

static int read_file(const char *path, uint8_t **bytes, size_t *n)
{
    clip_error err = {0};
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    char *name = shown(path);
    int status = 0, fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (!name) status = cli_fail("memory ran out");
    else if (fd < 0 || fstat(fd, &st)) status = cli_fail("cannot open %s: %s", name, strerror(errno));
    else if (S_ISDIR(st.st_mode)) status = cli_fail("%s is a folder; name one photo", name);
    else if (S_ISREG(st.st_mode) && !standard) {
        if (clip_file_read(fd, name, NULL, bytes, n, &err)) status = cli_fail("%s", err.text);
    } else status = read_stream(fd, name, bytes, n);
    if (fd > STDIN_FILENO) close(fd);
    free(name);
    return status;
}

static int encode_bytes(query_encoder *e, const char *path, const uint8_t *bytes, size_t n, float *out)
{
    clip_error err = {0};
    clip_photo info;
    size_t side = (size_t)clip_model_describe(e->model)->image_size;
    uint8_t *row = malloc(side * side * 3); /* [side][side][3] */
    if (!row) return cli_fail("memory ran out");
    int status = 0;
    if (clip_photo_to_row(e->model, bytes, n, NULL, row, &info, &err)) {
        char *name = shown(path);
        status = cli_fail("cannot read %s as a photo: %s", name ? name : path, err.text);
        free(name);
    } else if (clip_image_encode(e->image, row, 1, out, &err)) {
        status = cli_fail("cannot encode the picture: %s", err.text);
    } else if (info.truncated) {
        cli_say(e->c, "part of the picture is missing; what is there was used");
    }
    free(row);
    return status;
}

int query_encode_image(query_encoder *e, const char *path, float *out)
{
    clip_error err = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    int status = read_file(path, &bytes, &n);
    if (!status && !e->image) {
        const clip_encoder_options o = {.threads = e->c->threads, .max_batch = 1, .precision = CLIP_F32};
        if (clip_image_encoder_create(e->model, &o, &e->image, &err))
            status = cli_fail("cannot use the model's image tower: %s", err.text);
    }
    if (!status) status = encode_bytes(e, path, bytes, n, out);
    free(bytes);
    return status;
}

void query_encoder_close(query_encoder *e)
{
    clip_text_encoder_destroy(e->text);
    clip_image_encoder_destroy(e->image);
    clip_model_close(e->model);
    free(e->dir);
    *e = (query_encoder){0};
}
