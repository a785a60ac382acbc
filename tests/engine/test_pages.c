/* test_pages.c: a search opens the text tower alone, and the image tower's pages, most of a model, stay on the disk. The model
 * wide_image has 28 MB, of which the text tower is 0.1: its image tensors are few and large, because the fingerprint reads 64
 * bytes of each, and the system maps up to 64 KB around every byte that is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/model.h"
#include "made_model.h"

/* Bytes of the mapping of a file that this process has touched. */
static size_t resident(const char *file)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[4096];
    size_t kilobytes = 0, sum = 0;
    int inside = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (strchr(line, '-') && strchr(line, ':') && strchr(line, '-') < strchr(line, ' ')) inside = strstr(line, file) != NULL;
        else if (inside && sscanf(line, "Rss: %zu", &kilobytes) == 1) sum += kilobytes;
    }
    fclose(f);
    return sum * 1024;
}

static void a_text_tower_touches_only_its_own_pages(void **state)
{
    static const char weights[] = "wide_image/open_clip_model.safetensors";
    clip_model *m;
    clip_text_encoder *e;
    clip_error err = {0};
    float v[MADE_TEXTS * 16];
    volatile unsigned sum = 0;
    size_t image = 0;
    if (clip_model_open(made_model("wide_image"), &m, &err)) fail_msg("%s", err.text);
    if (clip_text_encoder_create(m, &(clip_encoder_options){.threads = 1}, &e, &err)) fail_msg("%s", err.text);
    assert_int_equal(clip_text_encode(e, made_texts, MADE_TEXTS, v, &err), CLIP_OK);
    size_t touched = resident(weights);
    for (size_t i = 0; i < clip_safetensors_count(m->file); i++) {
        const clip_tensor *t = clip_safetensors_at(m->file, i);
        if (strncmp(t->name, "visual.", 7)) continue;
        image += t->bytes;
        for (size_t at = 0; at < t->bytes; at += 4096) sum += ((const uint8_t *)t->data)[at];
    }
    printf("# %zu KB of %zu KB touched\n", touched / 1024, image / 1024);
    assert_true(image > (size_t)24 << 20);
    assert_true(touched > 0 && touched < (size_t)3 << 20);
    assert_true(resident(weights) > image); /* so what was measured is what was touched */
    clip_text_encoder_destroy(e);
    clip_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_text_tower_touches_only_its_own_pages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
