/* made_model.c: the rule of make_reference.py in C. Every number has at most eight significant bits, so writing it as f16 or
 * bf16 rounds nothing and one set of reference values serves all types. */
#include "made_model.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const made_texts[MADE_TEXTS] = {"a", "bird on a trunk", "x y"};

#define VOCAB 514

static void *must(void *p)
{
    if (!p) abort();
    return p;
}

static char *join(const char *a, const char *b)
{
    char *path;
    if (asprintf(&path, "%s/%s", a, b) < 0) abort();
    return path;
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

static char folder[64];

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command)) perror(command);
}

const char *made_folder(void)
{
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/clipsearch-engine-XXXXXX");
        must(mkdtemp(folder));
        atexit(remove_folder);
    }
    return folder;
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    if (!in) return;
    FILE *out = must(fopen(to, "wb"));
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, in));) fwrite(block, 1, n, out);
    fclose(in);
    fclose(out);
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static uint32_t hash_name(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

static int noise(uint32_t seed, uint32_t i)
{
    uint32_t x = i * 2654435761u + seed;
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    return (int)((x ^ x >> 16) >> 24);
}

uint8_t *made_images(int size)
{
    size_t n = (size_t)MADE_IMAGES * (size_t)size * (size_t)size * 3;
    uint8_t *p = must(malloc(n));
    uint32_t seed = hash_name("images");
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)noise(seed, (uint32_t)i);
    return p;
}

typedef struct made_tensor {
    char name[128], dtype[8];
    int dims;
    long size[6];
    size_t count, bytes;
} made_tensor;

static int ends(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static float number(const made_tensor *t, int k, float scale)
{
    if (!strcmp(t->name, "logit_scale")) return 2.65625f;
    if (ends(t->name, "running_var")) return (float)(64 + k / 4) / 128;
    if (t->dims == 1 && ends(t->name, "weight")) return (float)(64 + k / 16 - 8) / 64;
    if (t->dims <= 1) return (float)(k / 16 - 8) / 64;
    return (float)(k - 128) / 128 * scale;
}

/* Exact for the numbers above: eight significant bits, exponents well inside. */
static uint16_t to_half(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    if (!(u & 0x7fffffff)) return 0;
    int exponent = (int)(u >> 23 & 255) - 112;
    if (exponent > 0) return (uint16_t)((u >> 16 & 0x8000) | (uint32_t)exponent << 10 | (u >> 13 & 1023));
    return (uint16_t)((u >> 16 & 0x8000) | (0x400 | (u >> 13 & 1023)) >> (1 - exponent));
}

static void write_tensor(FILE *f, const made_tensor *t)
{
    uint32_t seed = hash_name(t->name);
    float scale = 1;
    size_t fan_in = 1;
    for (int i = 1; i < t->dims; i++) fan_in *= (size_t)t->size[i];
    double gain = strstr(t->name, "trunk") && !strstr(t->name, "pwl") ? 6 : 3;
    if (t->dims > 1) scale = (float)exp2(rint(log2(sqrt(gain / (double)fan_in))));
    for (size_t i = 0; i < t->count; i++) {
        float v = number(t, noise(seed, (uint32_t)i), scale);
        uint32_t u;
        memcpy(&u, &v, 4);
        uint16_t h = t->dtype[0] == 'B' ? (uint16_t)(u >> 16) : to_half(v);
        if (!strcmp(t->dtype, "F32")) fwrite(&v, 4, 1, f);
        else if (!strcmp(t->dtype, "I64")) fwrite(&(int64_t){0}, 8, 1, f);
        else fwrite(&h, 2, 1, f);
    }
}

uint8_t *made_numbers(const char *name, const char *dtype, int dims, const int64_t *size, size_t *bytes)
{
    made_tensor t = {.dims = dims, .count = 1};
    char *numbers = NULL;
    FILE *f = must(open_memstream(&numbers, bytes));
    snprintf(t.name, sizeof t.name, "%s", name);
    snprintf(t.dtype, sizeof t.dtype, "%s", dtype);
    for (int i = 0; i < dims; i++) t.size[i] = (long)size[i], t.count *= (size_t)size[i];
    write_tensor(f, &t);
    fclose(f);
    return (uint8_t *)numbers;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static made_tensor *read_list(const char *path, size_t *count)
{
    FILE *f = must(fopen(path, "r"));
    made_tensor *all = must(calloc(2048, sizeof *all));
    char line[256];
    *count = 0;
    while (fgets(line, sizeof line, f)) {
        made_tensor *t = &all[(*count)++];
        int used = 0;
        if (sscanf(line, "%127s %7s%n", t->name, t->dtype, &used) < 2) abort();
        t->count = 1;
        for (char *at = line + used, *end; t->dims < 6; at = end) {
            long n = strtol(at, &end, 10);
            if (end == at) break;
            t->size[t->dims++] = n;
            t->count *= (size_t)n;
        }
        t->bytes = t->count * (t->dtype[0] == 'I' ? 8 : t->dtype[1] == '3' ? 4 : 2);
    }
    fclose(f);
    return all;
}

static void write_weights(const char *list, const char *path)
{
    size_t n, offset = 0, length;
    made_tensor *all = read_list(list, &n);
    char *header = NULL;
    FILE *h = must(open_memstream(&header, &length));
    for (size_t i = 0; i < n; i++) {
        fprintf(h, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{", all[i].name, all[i].dtype);
        for (int d = 0; d < all[i].dims; d++) fprintf(h, "%s%ld", d ? "," : "", all[i].size[d]);
        fprintf(h, "],\"data_offsets\":[%zu,%zu]}", offset, offset + all[i].bytes);
        offset += all[i].bytes;
    }
    fputc('}', h);
    fclose(h);
    FILE *f = must(fopen(path, "wb"));
    uint64_t size = length;
    fwrite(&size, 8, 1, f); /* these tests run on little-endian machines */
    fwrite(header, 1, length, f);
    for (size_t i = 0; i < n; i++) write_tensor(f, &all[i]);
    fclose(f);
    free(header);
    free(all);
}

/* CLIP's alphabet: printable bytes stand for themselves, the others for U+0100 and on; ids in that order. */
void made_vocabulary(const char *dir)
{
    char *path = join(dir, "vocab.json"), *merges = join(dir, "merges.txt");
    FILE *f = must(fopen(path, "w"));
    int id = 0, other = 256;
    for (int end = 0; end < 2; end++)
        for (int pass = 0; pass < 2; pass++) {
            if (!pass) other = 256;
            for (int b = 0; b < 256; b++) {
                int printable = (b >= 33 && b < 127) || (b >= 161 && b < 173) || b >= 174;
                if (printable == pass) continue;
                int c = printable ? b : other++;
                fprintf(f, "%s\"\\u%04x%s\":%d", id ? "," : "{", (unsigned)c, end ? "</w>" : "", id);
                id++;
            }
        }
    fprintf(f, ",\"<|startoftext|>\":512,\"<|endoftext|>\":513}");
    fclose(f);
    f = must(fopen(merges, "w"));
    fputs("#version: 0.2\n", f);
    fclose(f);
    free(path);
    free(merges);
}

/* A sentencepiece model of <pad>, </s>, <unk>, the space (U+2581) and a to z, which all cost the same. */
static void write_pieces(const char *dir)
{
    static const char *const special[] = {"<pad>", "</s>", "<unk>", "\xE2\x96\x81"};
    static const int kinds[] = {3, 3, 2, 1};
    char *path = join(dir, "spiece.model"), letter[2] = "a";
    FILE *f = must(fopen(path, "wb"));
    for (int i = 0; i < 4 + 26; i++, letter[0] = (char)('a' + i - 4)) {
        const char *piece = i < 4 ? special[i] : letter;
        int n = (int)strlen(piece), kind = i < 4 ? kinds[i] : 1;
        fprintf(f, "\x0A%c\x0A%c%s\x15%c%c\x80\xBF\x18%c", n + 9, n, piece, 0, 0, kind); /* score -1 */
    }
    fclose(f);
    free(path);
}

static char *reference_path(const char *name, const char *file)
{
    char *dir = join(MODELS_DIR, name), *path = join(dir, file);
    free(dir);
    return path;
}

static void make_folder(const char *name, const char *dir)
{
    static const char *const configs[] = {"open_clip_config.json", "config.json", "preprocessor_config.json"};
    char *list = reference_path(name, "tensors.txt"), *path;
    mkdir(dir, 0700);
    for (int i = 0; i < 3; i++) {
        char *from = reference_path(name, configs[i]), *to = join(dir, configs[i]);
        copy_file(from, to);
        free(from);
        free(to);
    }
    int hugging = strncmp(name, "hf_", 3) == 0;
    path = join(dir, hugging ? "model.safetensors" : "open_clip_model.safetensors");
    write_weights(list, path);
    if (strstr(name, "siglip")) write_pieces(dir);
    else made_vocabulary(dir);
    free(path);
    free(list);
}

const char *made_model_copy(const char *name, const char *as)
{
    static char kept[64][128];
    static int used;
    char *dir = kept[used++ % 64];
    snprintf(dir, sizeof kept[0], "%s/%s", made_folder(), as);
    make_folder(name, dir);
    return dir;
}

const char *made_model(const char *name)
{
    static char dir[128];
    snprintf(dir, sizeof dir, "%s/%s", made_folder(), name);
    if (access(dir, F_OK)) make_folder(name, dir);
    return dir;
}

/* ---- reference values --------------------------------------------------------------------------------------------- */

made_reference made_reference_open(const char *name)
{
    char *path = reference_path(name, "reference.bin");
    FILE *f = must(fopen(path, "rb"));
    made_reference r = {0};
    fseek(f, 0, SEEK_END);
    r.length = (size_t)ftell(f);
    rewind(f);
    r.bytes = must(malloc(r.length));
    if (fread(r.bytes, 1, r.length, f) != r.length) abort();
    fclose(f);
    free(path);
    return r;
}

int made_reference_next(made_reference *r, made_record *out)
{
    if (r->at == r->length) return 0;
    const unsigned char *p = r->bytes + r->at;
    memcpy(out->name, p, 16);
    memcpy(&out->rows, p + 16, 4);
    memcpy(&out->width, p + 20, 4);
    memcpy(&out->n, p + 24, 4);
    out->values = (const float *)(const void *)(p + 28);
    r->at += 28 + out->n * sizeof(float);
    assert(r->at <= r->length);
    return 1;
}

void made_reference_close(made_reference *r) { free(r->bytes); }
