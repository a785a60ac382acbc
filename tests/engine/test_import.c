/* test_import.c: what PyTorch wrote becomes the same model, number by number and vector by vector; what is no model, is cut, or
 * was made to do harm is refused with a reason. The files in torch/ are PyTorch's (make_torch_files.py); hostile ones are made here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "engine/model/model.h"
#include "engine/model/pickle.h"
#include "engine/model/torch_file.h"
#include "made_model.h"

/* ---- good files ---- */

typedef struct good {
    const char *file, *model;   /* the one of models/ that it is */
    clip_gelu gelu;
    bool beside;                /* with that model's configuration beside it */
} good;

static const char *new_folder(const char *name)
{
    static char dir[8][160];
    static int turn;
    char *d = dir[turn++ % 8];
    snprintf(d, sizeof dir[0], "%s/%s", made_folder(), name);
    assert_int_equal(mkdir(d, 0700), 0);
    return d;
}

static clip_model *import_good(const good *g, const char *as)
{
    clip_error err = {0};
    char file[512];
    clip_model *m = NULL;
    const char *dir = new_folder(as);
    snprintf(file, sizeof file, "%s/%s", TORCH_DIR, g->file);
    if (clip_model_import(file, g->beside ? made_model(g->model) : NULL, dir, g->gelu, NULL, &err)) fail_msg("%s", err.text);
    made_vocabulary(dir);
    if (clip_model_open(dir, &m, &err)) fail_msg("%s", err.text);
    return m;
}

static void same_numbers(const clip_model *imported, const clip_model *made)
{
    size_t weights = 0;
    for (size_t i = 0; i < clip_safetensors_count(made->file); i++) {
        const clip_tensor *want = clip_safetensors_at(made->file, i), *got = clip_safetensors_find(imported->file, want->name);
        if (!want->is_weight) continue;
        weights++;
        if (!got) fail_msg("%s is missing", want->name);
        assert_string_equal(got->dtype, want->dtype);
        assert_int_equal(got->dims, want->dims);
        assert_memory_equal(got->size, want->size, (size_t)want->dims * sizeof *want->size);
        if (memcmp(got->data, want->data, want->bytes)) fail_msg("%s has other numbers", want->name);
    }
    assert_int_equal(clip_safetensors_count(imported->file), weights); /* and nothing else was taken */
}

static void vectors_of(const clip_model *m, float *images, float *texts)
{
    clip_image_encoder *i;
    clip_text_encoder *t;
    clip_encoder_options o = {.threads = 1};
    uint8_t *rows = made_images(m->config.image.size);
    assert_int_equal(clip_image_encoder_create(m, &o, &i, NULL), CLIP_OK);
    assert_int_equal(clip_text_encoder_create(m, &o, &t, NULL), CLIP_OK);
    assert_int_equal(clip_image_encode(i, rows, MADE_IMAGES, images, NULL), CLIP_OK);
    assert_int_equal(clip_text_encode(t, made_texts, MADE_TEXTS, texts, NULL), CLIP_OK);
    clip_image_encoder_destroy(i);
    clip_text_encoder_destroy(t);
    free(rows);
}

static void near_pytorch(const char *model, const char *layer, const float *v)
{
    made_reference r = made_reference_open(model);
    made_record record;
    char name[16] = {0};
    snprintf(name, sizeof name, "%s", layer);
    do assert_true(made_reference_next(&r, &record));
    while (memcmp(record.name, name, sizeof name));
    for (uint32_t i = 0; i < record.n; i++)
        if (fabsf(v[i] - record.values[i]) > 1e-5f) fail_msg("%s, %s: %g, not %g", model, layer, (double)v[i], (double)record.values[i]);
    made_reference_close(&r);
}

static void an_imported_model_is_the_one_that_was_saved(void **state)
{
    const good *g = *state;
    clip_model *m = import_good(g, strchr(g->file, '/') ? "split" : g->file), *made;
    float images[2][MADE_IMAGES * 32], texts[2][MADE_TEXTS * 32];
    assert_int_equal(clip_model_open(made_model(g->model), &made, NULL), CLIP_OK);
    assert_true(m->config.dim <= 32 && m->config.dim == made->config.dim);
    assert_int_equal(m->config.image.stack.act, made->config.image.stack.act);
    assert_int_equal(m->config.image.size, made->config.image.size);
    assert_int_equal(m->config.image.stack.mlp, made->config.image.stack.mlp);
    same_numbers(m, made);
    vectors_of(m, images[0], texts[0]);
    vectors_of(made, images[1], texts[1]);
    size_t bytes = (size_t)m->config.dim * MADE_IMAGES * sizeof(float);
    assert_memory_equal(images[0], images[1], bytes);
    assert_memory_equal(texts[0], texts[1], bytes);
    near_pytorch(g->model, "image.vector", images[0]);
    near_pytorch(g->model, "text.vector", texts[0]);
    clip_model_close(m);
    clip_model_close(made);
}

/* ---- files that are refused ---- */

static void refused(const char *path, const char *beside, clip_gelu gelu, clip_status want, const char *says)
{
    static int turn;
    char as[32];
    clip_error err = {0};
    snprintf(as, sizeof as, "refused%d", turn++);
    clip_status s = clip_model_import(path, beside, new_folder(as), gelu, NULL, &err);
    if (s != want || !strstr(err.text, says))
        fail_msg("%s: %s, not %s: \"%s\" lacks \"%s\"", path, clip_status_name(s), clip_status_name(want), err.text, says);
    assert_non_null(strstr(err.text, path));
}

static void what_is_no_state_of_a_clip_is_refused(void **state)
{
    static const struct { const char *file; clip_status status; const char *says; } bad[] = {
        {"state_resnet_f16.pt", CLIP_E_ARGUMENT, "say which"}, {"turned_gelu_f32.bin", CLIP_E_ARGUMENT, "say which"},
        {"hf_bf16.bin", CLIP_E_UNSUPPORTED, "config.json is needed"}, {"old_form.bin", CLIP_E_UNSUPPORTED, "older than 1.6"},
        {"not_clip.pt", CLIP_E_UNSUPPORTED, "not a CLIP model"}, {"whole_module.pt", CLIP_E_UNSUPPORTED, "torch.nn.modules.linear.Linear"},
        {"absent.pt", CLIP_E_IO, "No such file"}, {".", CLIP_E_FORMAT, "not a regular file"},
        {"absent.bin.index.json", CLIP_E_IO, "No such file"}, {"shards/pytorch_model.bin.index.json", CLIP_E_UNSUPPORTED, "config.json is needed"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", TORCH_DIR, bad[i].file);
        refused(path, NULL, CLIP_GELU_UNKNOWN, bad[i].status, bad[i].says);
    }
}

/* Where nothing says what the pixels' mean and deviation are, that is told. */
static void what_is_assumed_is_told(void **state)
{
    static const struct { const char *file; clip_gelu gelu; bool beside, assumed; } all[] = {
        {"state_resnet_f16.pt", CLIP_GELU_QUICK, false, true}, {"script_quick_f16.pt", CLIP_GELU_UNKNOWN, false, false},
        {"hf_bf16.bin", CLIP_GELU_UNKNOWN, true, false}, {"shards/pytorch_model.bin.index.json", CLIP_GELU_UNKNOWN, true, false},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char path[512], as[32];
        clip_error err = {0};
        bool assumed = !all[i].assumed;
        snprintf(path, sizeof path, "%s/%s", TORCH_DIR, all[i].file);
        snprintf(as, sizeof as, "assumed%zu", i);
        if (clip_model_import(path, all[i].beside ? made_model("hf_import_bf16") : NULL, new_folder(as), all[i].gelu, &assumed, &err)) fail_msg("%s", err.text);
        assert_int_equal(assumed, all[i].assumed);
    }
}

static char *write_bytes(const void *bytes, size_t n)
{
    static int turn;
    char *path;
    assert_true(asprintf(&path, "%s/bytes%d.pt", made_folder(), turn++) > 0);
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(bytes, 1, n, f) == n);
    fclose(f);
    return path;
}

static void refused_bytes(const void *bytes, size_t n, clip_status want, const char *says)
{
    char *path = write_bytes(bytes, n);
    refused(path, NULL, CLIP_GELU_QUICK, want, says);
    free(path);
}

static void what_is_in_a_models_place_is_named(void **state)
{
    static const struct { const char *bytes, *says; } bad[] = {
        {"<!DOCTYPE html><html>", "web page"}, {"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS"},
        {"\x80\2}q.", "outside an archive"}, {"\x1f\x8b\x08 some gzip", "gzip"}, {"no model at all", "zip archives"}, {"ab", "no file of PyTorch's"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *path = write_bytes(bad[i].bytes, strlen(bad[i].bytes));
        clip_error err = {0};
        assert_true(clip_model_import(path, NULL, new_folder(bad[i].says), CLIP_GELU_QUICK, NULL, &err));
        if (!strstr(err.text, bad[i].says)) fail_msg("\"%s\" lacks \"%s\"", err.text, bad[i].says);
        free(path);
    }
}

static uint8_t *slurp(const char *file, size_t *n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TORCH_DIR, file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *bytes = malloc(1 << 20);
    *n = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

/* A fetch that broke off: the directory is at the end, so every cut takes it away. */
static void a_cut_file_is_refused_wherever_it_is_cut(void **state)
{
    size_t n;
    uint8_t *bytes = slurp("turned_gelu_f32.bin", &n);
    for (size_t at = 4; at < n; at += at < n - 3000 ? 997 : 1) {
        clip_torch_file *f = NULL;
        clip_error err = {0};
        uint8_t *cut = malloc(at); /* so that a read beyond it is found */
        memcpy(cut, bytes, at);
        if (clip_torch_parse("cut", cut, at, &f, &err) == CLIP_OK) fail_msg("a file of %zu bytes instead of %zu was opened", at, n);
        if (!strstr(err.text, "truncated")) fail_msg("%s", err.text);
        free(cut);
    }
    free(bytes);
}

static void a_wrong_bit_is_found_by_its_checksum(void **state)
{
    size_t n;
    uint8_t *bytes = slurp("script_quick_f16.pt", &n), *numbers;
    clip_torch_file *f;
    assert_int_equal(clip_torch_parse("x", bytes, n, &f, NULL), CLIP_OK);
    numbers = (uint8_t *)(uintptr_t)clip_torch_find(f, "token_embedding.weight")->first;
    clip_torch_close(f);
    numbers[1000] ^= 1;
    refused_bytes(bytes, n, CLIP_E_FORMAT, "checksum");
    free(bytes);
}

/* ---- archives made here ---- */

typedef struct part { const char *name; const void *bytes; size_t n; } part;

static void little(FILE *f, uint64_t v, int bytes)
{
    for (; bytes--; v >>= 8) fputc((int)(v & 255), f);
}

/* A stored zip; wide: with its sizes in zip64 records. */
static uint8_t *make_zip(const part *parts, size_t count, bool wide, size_t *n)
{
    char *out;
    long at[16];
    FILE *f = open_memstream(&out, n);
    for (size_t i = 0; i < count; i++) {
        at[i] = ftell(f);
        fwrite("PK\3\4", 1, 4, f), little(f, 20, 2), little(f, 8, 2), little(f, 0, 18), little(f, strlen(parts[i].name), 2), little(f, 0, 2);
        fputs(parts[i].name, f), fwrite(parts[i].bytes, 1, parts[i].n, f);
    }
    long start = ftell(f);
    for (size_t i = 0; i < count; i++) {
        fwrite("PK\1\2", 1, 4, f), little(f, 45, 2), little(f, 45, 2), little(f, 8, 2), little(f, 0, 6);
        little(f, crc32(0, parts[i].bytes, (uInt)parts[i].n), 4);
        little(f, wide ? 0xffffffff : parts[i].n, 4), little(f, wide ? 0xffffffff : parts[i].n, 4);
        little(f, strlen(parts[i].name), 2), little(f, wide ? 28 : 0, 2), little(f, 0, 10), little(f, wide ? 0xffffffff : (uint64_t)at[i], 4);
        fputs(parts[i].name, f);
        if (wide) little(f, 1, 2), little(f, 24, 2), little(f, parts[i].n, 8), little(f, parts[i].n, 8), little(f, (uint64_t)at[i], 8);
    }
    long end = ftell(f);
    if (wide) {
        fwrite("PK\6\6", 1, 4, f), little(f, 44, 8), little(f, 0, 12), little(f, count, 8), little(f, count, 8);
        little(f, (uint64_t)(end - start), 8), little(f, (uint64_t)start, 8);
        fwrite("PK\6\7", 1, 4, f), little(f, 0, 4), little(f, (uint64_t)end, 8), little(f, 1, 4);
    }
    fwrite("PK\5\6", 1, 4, f), little(f, 0, 4), little(f, count, 2), little(f, count, 2);
    little(f, wide ? 0xffffffff : (uint64_t)(end - start), 4), little(f, wide ? 0xffffffff : (uint64_t)start, 4), little(f, 0, 2);
    fclose(f);
    return (uint8_t *)out;
}

/* An archive of one tensor "token_embedding.weight", whose pickle's parts are given. */
typedef struct tensor_text { const char *type, *numbers, *offset, *sizes, *strides; size_t bytes; } tensor_text;

static uint8_t *make_archive(const tensor_text *t, bool wide, size_t *n)
{
    static const uint8_t zeros[256];
    char pickle[1024];
    int m = snprintf(pickle, sizeof pickle, "\x80\2}X%c%c%c%ctoken_embedding.weightctorch._utils\n_rebuild_tensor_v2\n((X%c%c%c%cstorage"
                     "ctorch\n%s\nX%c%c%c%c7X%c%c%c%ccpu%stQ%s%s%s\x89)tRs.", 22, 1, 1, 1, 7, 1, 1, 1, t->type, 1, 1, 1, 1, 3, 1, 1, 1,
                     t->numbers, t->offset, t->sizes, t->strides);
    for (int i = 0; i + 4 < m; i++) /* the zeros of the lengths, which a string cannot hold */
        if (pickle[i] == 'X' && pickle[i + 2] == 1 && pickle[i + 3] == 1) pickle[i + 2] = pickle[i + 3] = pickle[i + 4] = 0;
    return make_zip((part[]){{"x/data.pkl", pickle, (size_t)m}, {"x/data/7", zeros, t->bytes}}, 2, wide, n);
}

static clip_status parse_archive(const tensor_text *t, bool wide, clip_torch_file **f, uint8_t **bytes, clip_error *err)
{
    size_t n;
    *bytes = make_archive(t, wide, &n);
    return clip_torch_parse("made", *bytes, n, f, err);
}

static void sizes_of_64_bits_are_read(void **state)
{
    tensor_text t = {"FloatStorage", "K\6", "K\1", "K\2K\2\x86", "K\2K\1\x86", 24};
    for (int wide = 0; wide < 2; wide++) {
        clip_torch_file *f = NULL;
        clip_error err = {0};
        uint8_t *bytes;
        if (parse_archive(&t, wide, &f, &bytes, &err)) fail_msg("%s", err.text);
        assert_int_equal(clip_torch_at(f, 0)->count, 4);
        assert_int_equal(clip_torch_verify(f, &err), CLIP_OK);
        clip_torch_close(f);
        free(bytes);
    }
}

static void tensors_that_lie_are_refused(void **state)
{
    static const struct { tensor_text t; const char *says; } bad[] = {
        {{"FloatStorage", "K\6", "K\x13", "K\2K\2\x86", "K\2K\1\x86", 24}, "beyond its storage"},
        {{"FloatStorage", "K\6", "K\3", "K\2K\2\x86", "K\2K\1\x86", 24}, "beyond its storage"},
        {{"FloatStorage", "K\7", "K\1", "K\2K\2\x86", "K\2K\1\x86", 24}, "fewer numbers"},
        {{"DoubleStorage", "K\6", "K\1", "K\2K\2\x86", "K\2K\1\x86", 24}, "fewer numbers"},
        {{"FloatStorage", "K\6", "K\1", "K\x7fK\x7f\x86", "K\1K\1\x86", 24}, "beyond its storage"},
        {{"FloatStorage", "K\6", "K\1", "J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", "J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", 24}, "beyond its storage"},
        {{"FloatStorage", "K\6", "J\xff\xff\xff\xff", "K\2K\2\x86", "K\2K\1\x86", 24}, "impossible shape"},
        {{"FloatStorage", "K\6", "K\1", "K\2K\2\x86", "K\1\x85", 24}, "impossible shape"},
        {{"FloatStorage", "K\6", "K\1", "K\2N\x86", "K\2K\1\x86", 24}, "impossible shape"},
        {{"FloatStorage", "K\6", "K\1", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\2\x86", "K\1K\1\x86", 24}, "impossible shape"},
        {{"FloatStorage", "N", "K\1", "K\2K\2\x86", "K\2K\1\x86", 24}, "has no storage"},
        {{"FloatStorage", "K\6", "K\1", "K\6\x85", "K\x05\x85", 24}, "beyond its storage"},
        {{"PickleStorage", "K\6", "K\1", "K\2K\2\x86", "K\2K\1\x86", 24}, "asks for torch.PickleStorage"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clip_torch_file *f = NULL;
        clip_error err = {0};
        uint8_t *bytes;
        if (parse_archive(&bad[i].t, false, &f, &bytes, &err) == CLIP_OK) fail_msg("case %zu was opened", i);
        if (!strstr(err.text, bad[i].says)) fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, bad[i].says);
        free(bytes);
    }
}

/* A header inside another file's bytes: each file ends where the archive's files do. */
static void files_inside_each_other_are_refused(void **state)
{
    enum { INNER = 5000 };
    size_t n;
    uint8_t *inner = calloc(1, INNER), *zip, *at;
    clip_torch_file *f = NULL;
    clip_error err = {0};
    zip = make_zip((part[]){{"x/data.pkl", "\x80\2}.", 4}, {"a", inner, INNER}, {"b", inner, INNER}}, 3, false, &n);
    for (at = zip + n - 69; memcmp(at, "PK\1\2", 4) || at[46] != 'a'; at--) continue; /* "a" now takes "b" in, and is as long as both */
    at[20] = at[24] = 2 * INNER & 255, at[21] = at[25] = 2 * INNER >> 8;
    assert_int_equal(clip_torch_parse("inside", zip, n, &f, &err), CLIP_E_FORMAT);
    if (!strstr(err.text, "its files overlap")) fail_msg("%s", err.text);
    free(zip);
    free(inner);
}

/* ---- pickles ---- */

static void pickles_that_would_run_something_are_refused(void **state)
{
#define P(text, says) {text, sizeof text - 1, says}
    static const struct { const char *bytes; size_t n; const char *says; } bad[] = {
        P("\x80\2cos\nsystem\nX\4\0\0\0true\x85R.", "asks for os.system"), P("\x80\2cbuiltins\neval\n(X\1\0\0\0001tR.", "asks for builtins.eval"),
        P("\x80\2ctorch.hub\nload\n)R.", "asks for torch.hub.load"), P("\x80\2c__builtin__\nexec\n.", "asks for __builtin__.exec"),
        P("\x80\2c__torch__.x\nY\n)R.", "call that is not known"), P("\x80\2ccollections\nOrderedDict\n)\x81.", "none of TorchScript's"),
        P("\x80\2ctorch\nFloatStorage\n)R.", "call that is not known"), P("\x80\4\x95", "protocol 4"), P("\x80\2(i", "instruction"),
        P("\x80\2", "too early"), P("\x80\2.", "nothing on the stack"), P("\x80\2R.", "nothing on the stack"), P("\x80\2(.", "nothing on the stack"),
        P("\x80\2t.", "no mark"), P("\x80\2Nt.", "no mark"), P("\x80\2(\x85.", "mark inside"), P("\x80\2](NNu.", "something else"),
        P("\x80\2}(Nu.", "without a value"), P("\x80\2NNa.", "something else"), P("\x80\2h\1.", "never put"), P("\x80\2j\xff\xff\xff\xff.", "never put"),
        P("\x80\2Nr\xff\xff\xff\xff.", "beyond its limit"), P("\x80\2X\xff\xff\xff\xffno", "too early"), P("\x80\2\x8a\x09        N.", "more than 64"),
        P("\x80\2NQ.", "no known type"), P("\x80\2NNb.", "has none"), P("\x80\2cno end", "without an end"), P("\x80\2}Nb.", "has none"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clip_pickle p;
        clip_error err = {0};
        uint8_t *exact = malloc(bad[i].n);
        memcpy(exact, bad[i].bytes, bad[i].n);
        if (clip_pickle_parse("pickle", exact, bad[i].n, &p, &err) == CLIP_OK) fail_msg("case %zu was read", i);
        if (!strstr(err.text, bad[i].says)) fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, bad[i].says);
        free(exact);
    }
}

/* Attributes are copied; a few bytes must not copy a long list for ever. */
static void a_pickle_that_grows_without_end_is_stopped(void **state)
{
    size_t n = 0;
    uint8_t *p = malloc(1 << 20);
    p[n++] = 0x80, p[n++] = 2, p[n++] = '}', p[n++] = '(';
    for (int i = 0; i < 200000; i++) p[n++] = 'N';
    p[n++] = 'u', p[n++] = 'q', p[n++] = 1;
    memcpy(p + n, "c__torch__.a\nB\nq\2", 17);
    n += 17;
    for (int i = 0; i < 1000; i++) memcpy(p + n, "h\2)\x81h\1b", 7), n += 7;
    p[n++] = '.';
    clip_pickle out;
    clip_error err = {0};
    if (clip_pickle_parse("grows", p, n, &out, &err) != CLIP_E_LIMIT) fail_msg("%s", err.text);
    for (n = 2; n < 1 << 20; n++) p[n] = 'N';
    assert_int_equal(clip_pickle_parse("grows", p, 1 << 20, &out, NULL), CLIP_E_LIMIT);
    free(p);
}

static void modules_in_a_circle_are_left(void **state)
{
    static const char circle[] = "\x80\2c__torch__.a\nB\n)\x81q\1}X\1\0\0\0ah\1sb.";
    static const char twice[] = "c__torch__.a\nB\n)\x81}(X\1\0\0\0ah\1X\1\0\0\0bh\1ub"; /* two ways down, twenty levels: a million */
    char bomb[2048] = "\x80\2c__torch__.a\nB\n)\x81q\1";
    size_t n = strlen(bomb), zip_n;
    clip_torch_file *f = NULL;
    clip_error err = {0};
    uint8_t *zip = make_zip(&(part){"x/data.pkl", circle, sizeof circle - 1}, 1, false, &zip_n);
    assert_int_equal(clip_torch_parse("circle", zip, zip_n, &f, &err), CLIP_E_FORMAT);
    free(zip);
    for (int i = 0; i < 25; i++) memcpy(bomb + n, twice, sizeof twice - 1), n += sizeof twice - 1, bomb[n++] = 'q', bomb[n++] = 1;
    bomb[n++] = '.';
    zip = make_zip(&(part){"x/data.pkl", bomb, n}, 1, false, &zip_n);
    assert_int_equal(clip_torch_parse("bomb", zip, zip_n, &f, NULL), CLIP_E_LIMIT);
    free(zip);
}

#define GOOD(...) {"an_imported_model_is_the_one_that_was_saved", an_imported_model_is_the_one_that_was_saved, NULL, NULL, &(good){__VA_ARGS__}}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GOOD("script_quick_f16.pt", "import_quick_f16"), GOOD("trace_gelu_f32.pt", "import_gelu_f32"),
        GOOD("checkpoint_quick_f16.pt", "import_quick_f16", CLIP_GELU_QUICK), GOOD("state_resnet_f16.pt", "import_resnet_f16", CLIP_GELU_QUICK),
        GOOD("turned_gelu_f32.bin", "import_gelu_f32", CLIP_GELU_EXACT), GOOD("hf_bf16.bin", "hf_import_bf16", .beside = true),
        GOOD("shards/pytorch_model.bin.index.json", "hf_import_bf16", .beside = true), cmocka_unit_test(what_is_assumed_is_told),
        cmocka_unit_test(what_is_no_state_of_a_clip_is_refused), cmocka_unit_test(what_is_in_a_models_place_is_named),
        cmocka_unit_test(a_cut_file_is_refused_wherever_it_is_cut), cmocka_unit_test(a_wrong_bit_is_found_by_its_checksum),
        cmocka_unit_test(files_inside_each_other_are_refused), cmocka_unit_test(sizes_of_64_bits_are_read), cmocka_unit_test(tensors_that_lie_are_refused),
        cmocka_unit_test(pickles_that_would_run_something_are_refused), cmocka_unit_test(a_pickle_that_grows_without_end_is_stopped),
        cmocka_unit_test(modules_in_a_circle_are_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
