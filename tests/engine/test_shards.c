/* test_shards.c: a model in several files is the model that it was in one, and an index that lies is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/model/model.h"
#include "engine/model/torch_file.h"
#include "made_model.h"

#define WHOLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

static const char *path_in(const char *dir, const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

/* Every `step`-th tensor of s, beginning with the first-th, as a file of its own; its lines of the index go to `index`. */
static void write_shard(const clip_safetensors *s, const char *dir, const char *name, size_t first, size_t step, FILE *index)
{
    char *header;
    size_t length, at = 0;
    FILE *h = open_memstream(&header, &length), *f = fopen(path_in(dir, name), "wb");
    for (size_t i = first; i < clip_safetensors_count(s); i += step) {
        const clip_tensor *t = clip_safetensors_at(s, i);
        fprintf(h, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", at ? "," : "{", t->name, t->dtype);
        for (int d = 0; d < t->dims; d++) fprintf(h, "%s%lld", d ? "," : "", (long long)t->size[d]);
        fprintf(h, "],\"data_offsets\":[%zu,%zu]}", at, at + t->bytes);
        at += t->bytes;
        fprintf(index, "%s\"%s\":\"%s\"", i ? "," : "", t->name, name);
    }
    fprintf(h, "}");
    fclose(h);
    uint64_t n = length;
    fwrite(&n, 8, 1, f);
    fwrite(header, 1, length, f);
    for (size_t i = first; i < clip_safetensors_count(s); i += step)
        fwrite(clip_safetensors_at(s, i)->data, 1, clip_safetensors_at(s, i)->bytes, f);
    fclose(f);
    free(header);
}

static void write_index(const char *dir, const char *text)
{
    FILE *f = fopen(path_in(dir, INDEX), "wb");
    fputs(text, f);
    fclose(f);
}

/* A model in three files; *whole is what it was. */
static const char *split_model(const char *as, clip_safetensors **whole)
{
    char *text;
    size_t n;
    const char *dir = made_model_copy("hf_quick_f16", as);
    assert_int_equal(clip_safetensors_open(path_in(dir, WHOLE), whole, NULL), CLIP_OK);
    FILE *index = open_memstream(&text, &n);
    fprintf(index, "{\"metadata\":{\"total_size\":1},\"weight_map\":{");
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "model-%05zu-of-00003.safetensors", i + 1);
        write_shard(*whole, dir, name, i, 3, index);
    }
    fprintf(index, "}}");
    fclose(index);
    write_index(dir, text);
    free(text);
    unlink(path_in(dir, WHOLE)); /* its mapping stays */
    return dir;
}

static void a_split_model_is_the_whole_one(void **state)
{
    clip_safetensors *whole;
    clip_model *m;
    clip_error err = {0};
    const char *dir = split_model("split", &whole);
    if (clip_model_open(dir, &m, &err)) fail_msg("%s", err.text);
    assert_true(m->info.has_image && m->info.has_text);
    assert_int_equal(clip_safetensors_count(m->file), clip_safetensors_count(whole));
    for (size_t i = 0; i < clip_safetensors_count(whole); i++) {
        const clip_tensor *a = clip_safetensors_at(whole, i), *b = clip_safetensors_find(m->file, a->name);
        assert_non_null(b);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    clip_image_encoder *e;
    uint8_t *rows = made_images(m->config.image.size);
    float v[64];
    assert_true(m->config.dim <= 64);
    assert_int_equal(clip_image_encoder_create(m, &(clip_encoder_options){.threads = 1}, &e, NULL), CLIP_OK);
    assert_int_equal(clip_image_encode(e, rows, 1, v, NULL), CLIP_OK);
    clip_image_encoder_destroy(e);
    free(rows);
    clip_model_close(m);
    clip_safetensors_close(whole);
}

/* Any change to any of the files gives another fingerprint. */
static void each_file_counts_for_the_fingerprint(void **state)
{
    clip_safetensors *whole;
    clip_model *m;
    const char *dir = split_model("prints", &whole);
    char first[33];
    clip_safetensors_close(whole);
    assert_int_equal(clip_model_open(dir, &m, NULL), CLIP_OK);
    memcpy(first, m->info.fingerprint, 33);
    clip_model_close(m);
    assert_int_equal(clip_model_open(dir, &m, NULL), CLIP_OK);
    assert_string_equal(first, m->info.fingerprint);
    clip_model_close(m);
    FILE *f = fopen(path_in(dir, "model-00003-of-00003.safetensors"), "r+b");
    fseek(f, 0, SEEK_END);
    long end = ftell(f);
    for (long at = end / 2; at < end; at += 2) { /* among them is some tensor's middle */
        fseek(f, at, SEEK_SET);
        fputc(0x11, f);
    }
    fclose(f);
    assert_int_equal(clip_model_open(dir, &m, NULL), CLIP_OK);
    assert_string_not_equal(first, m->info.fingerprint);
    clip_model_close(m);
}

static void assert_refused(const char *dir, clip_status want, const char *says)
{
    clip_model *m = NULL;
    clip_error err = {0};
    clip_status s = clip_model_open(dir, &m, &err);
    if (s != want || !strstr(err.text, says)) fail_msg("%s, not %s: \"%s\" lacks \"%s\"", clip_status_name(s), clip_status_name(want), err.text, says);
}

static void an_index_that_lies_is_refused(void **state)
{
    clip_safetensors *whole;
    const char *dir = split_model("lies", &whole);
    clip_safetensors_close(whole);
    static const struct { const char *index, *says; } bad[] = {
        {"{", INDEX}, {"[]", INDEX}, {"{}", "weight_map"}, {"{\"weight_map\":[]}", "weight_map"}, {"{\"weight_map\":{}}", "lists 0 tensors"},
        {"{\"weight_map\":{\"a\":1}}", "tensor a is in no file"}, {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "tensor a is in no file"},
        {"{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}", "in no file"}, {"{\"weight_map\":{\"a\":\".x.safetensors\"}}", "in no file"},
        {"{\"weight_map\":{\"a\":\".safetensors\"}}", "in no file"}, {"{\"weight_map\":{\"a\":\"passwd\"}}", "in no file"},
        {"{\"weight_map\":{\"a\":\"model-00001-of-00003.safetensors\"}}", "tensor a is not in"},
        {"{\"weight_map\":{\"logit_scale\":\"model-00001-of-00003.safetensors\"}}", "lists 1 tensors"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_index(dir, bad[i].index);
        assert_refused(dir, CLIP_E_FORMAT, bad[i].says);
    }
    write_index(dir, "{\"weight_map\":{\"a\":\"absent.safetensors\"}}");
    assert_refused(dir, CLIP_E_IO, "absent.safetensors");
}

static void a_tensor_in_two_files_is_refused(void **state)
{
    clip_safetensors *whole, *parts[2], *joined = NULL;
    clip_error err = {0};
    const char *dir = split_model("twice", &whole);
    for (int i = 0; i < 2; i++)
        assert_int_equal(clip_safetensors_open(path_in(dir, "model-00002-of-00003.safetensors"), &parts[i], NULL), CLIP_OK);
    assert_int_equal(clip_safetensors_join("x", parts, 2, &joined, &err), CLIP_E_FORMAT);
    assert_non_null(strstr(err.text, "in two of the files"));
    clip_safetensors_close(whole);
}

static void a_shard_that_is_cut_is_named(void **state)
{
    clip_safetensors *whole;
    const char *dir = split_model("cut", &whole);
    clip_safetensors_close(whole);
    assert_int_equal(truncate(path_in(dir, "model-00002-of-00003.safetensors"), 20000), 0);
    assert_refused(dir, CLIP_E_FORMAT, "model-00002-of-00003.safetensors");
    unlink(path_in(dir, "model-00002-of-00003.safetensors"));
    assert_refused(dir, CLIP_E_IO, "model-00002-of-00003.safetensors");
}

/* ---- PyTorch's -------------------------------------------------------------------------------------------------- */

#define TORCH_INDEX "pytorch_model.bin.index.json"

static const char *read_text(const char *path, size_t *n)
{
    static char text[1 << 16];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *n = fread(text, 1, sizeof text, f);
    fclose(f);
    return text;
}

static void torch_refused(const char *json, clip_status want, const char *says)
{
    clip_torch_file *f = NULL;
    clip_error err = {0};
    clip_status s = clip_torch_shards_open(path_in(TORCH_DIR "/shards", TORCH_INDEX), json, strlen(json), &f, &err);
    if (s != want || !strstr(err.text, says)) fail_msg("%s, not %s: \"%s\" lacks \"%s\"", clip_status_name(s), clip_status_name(want), err.text, says);
}

static void a_split_file_of_pytorchs_is_the_whole_one(void **state)
{
    size_t n;
    clip_torch_file *split, *whole;
    clip_error err = {0};
    const char *json = read_text(TORCH_DIR "/shards/" TORCH_INDEX, &n);
    if (clip_torch_shards_open(TORCH_DIR "/shards/" TORCH_INDEX, json, n, &split, &err)) fail_msg("%s", err.text);
    assert_int_equal(clip_torch_open(TORCH_DIR "/hf_bf16.bin", &whole, NULL), CLIP_OK);
    assert_int_equal(clip_torch_count(split), clip_torch_count(whole));
    for (size_t i = 0; i < clip_torch_count(whole); i++) {
        const clip_torch_tensor *a = clip_torch_at(whole, i), *b = clip_torch_find(split, a->name);
        assert_non_null(b);
        assert_int_equal(a->count, b->count);
        assert_memory_equal(a->first, b->first, (size_t)a->count * a->unit);
    }
    assert_int_equal(clip_torch_verify(split, NULL), CLIP_OK);
    assert_false(clip_torch_is_script(split));
    clip_torch_close(split);
    clip_torch_close(whole);
}

static void an_index_of_pytorchs_that_lies_is_refused(void **state)
{
    torch_refused("{\"weight_map\":{\"a\":\"x.safetensors\"}}", CLIP_E_FORMAT, "in no file");
    torch_refused("{\"weight_map\":{\"a\":\"../hf_bf16.bin\"}}", CLIP_E_FORMAT, "in no file");
    torch_refused("{\"weight_map\":{\"a\":\"absent.bin\"}}", CLIP_E_IO, "absent.bin");
    torch_refused("{\"weight_map\":{\"a\":\"pytorch_model-00001-of-00002.bin\"}}", CLIP_E_FORMAT, "tensor a is not in");
    torch_refused("{\"weight_map\":{\"logit_scale\":\"pytorch_model-00001-of-00002.bin\"}}", CLIP_E_FORMAT, "lists 1 tensors");
    torch_refused("{\"weight_map\":{}}", CLIP_E_FORMAT, "lists 0 tensors");
    torch_refused("{\"weight_map\":7}", CLIP_E_FORMAT, "no weight_map");
    torch_refused("", CLIP_E_FORMAT, TORCH_INDEX);
}

static void a_tensor_in_two_of_pytorchs_files_is_refused(void **state)
{
    clip_torch_file *parts[2], *joined = NULL;
    clip_error err = {0};
    for (int i = 0; i < 2; i++) assert_int_equal(clip_torch_open(TORCH_DIR "/shards/pytorch_model-00002-of-00002.bin", &parts[i], NULL), CLIP_OK);
    assert_int_equal(clip_torch_join("x", parts, 2, &joined, &err), CLIP_E_FORMAT);
    assert_non_null(strstr(err.text, "in two of the files"));
}

/* A wrong bit in any of the files is found. */
static void every_files_checksums_are_compared(void **state)
{
    for (int which = 1; which <= 2; which++) {
        char name[64], command[1024], dir[200], file[300];
        clip_error err = {0};
        clip_torch_file *f;
        size_t n;
        snprintf(name, sizeof name, "pytorch_model-0000%d-of-00002.bin", which);
        snprintf(command, sizeof command, "rm -rf '%s/bits' && cp -r '%s/shards' '%s/bits'", made_folder(), TORCH_DIR, made_folder());
        assert_int_equal(system(command), 0);
        snprintf(dir, sizeof dir, "%s/bits", made_folder());
        snprintf(file, sizeof file, "%s/%s", dir, name);
        const char *json = read_text(path_in(dir, TORCH_INDEX), &n);
        assert_int_equal(clip_torch_open(file, &f, NULL), CLIP_OK);
        const clip_torch_tensor *t = clip_torch_at(f, 0);
        FILE *out = fopen(file, "r+b");
        char *bytes = malloc(1 << 20);
        size_t length = fread(bytes, 1, 1 << 20, out);
        char *at = memmem(bytes, length, t->first, (size_t)t->count * t->unit);
        assert_non_null(at);
        fseek(out, at - bytes, SEEK_SET);
        fputc(*at ^ 1, out);
        fclose(out);
        clip_torch_close(f);
        free(bytes);
        assert_int_equal(clip_torch_shards_open(path_in(dir, TORCH_INDEX), json, n, &f, NULL), CLIP_OK);
        assert_int_equal(clip_torch_verify(f, &err), CLIP_E_FORMAT);
        assert_non_null(strstr(err.text, name));
        clip_torch_close(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_model_is_the_whole_one), cmocka_unit_test(each_file_counts_for_the_fingerprint),
        cmocka_unit_test(an_index_that_lies_is_refused),  cmocka_unit_test(a_tensor_in_two_files_is_refused),
        cmocka_unit_test(a_shard_that_is_cut_is_named),
        cmocka_unit_test(a_split_file_of_pytorchs_is_the_whole_one), cmocka_unit_test(an_index_of_pytorchs_that_lies_is_refused),
        cmocka_unit_test(a_tensor_in_two_of_pytorchs_files_is_refused), cmocka_unit_test(every_files_checksums_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
