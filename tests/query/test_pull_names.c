/* Names that `model pull` takes, and the table of known models. */
#include "query/known_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void known_names_and_aliases_are_found(void **state)
{
    assert_string_equal(query_known_model_find("ViT-L/14@336px")->name, "ViT-L-14-336/openai");
    assert_string_equal(query_known_model_find("vit-b/32")->name, "ViT-B-32/openai");
    assert_string_equal(query_known_model_find("ViT-H-14/laion2b_s32b_b79k")->repo, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K");
    assert_string_equal(query_known_model_find("RN50x64")->name, "RN50x64/openai");
    assert_null(query_known_model_find("RN51"));
    assert_null(query_known_model_find(""));
}

static void every_known_model_has_a_repository_of_its_own(void **state)
{
    for (const query_known_model *k = query_known_models; k->name; k++) {
        query_model_source s;
        char spec[256];
        assert_true(k->px > 0 && k->dim > 0 && k->image_gmacs > 0 && k->imagenet >= 0 && k->imagenet < 100 && k->licence);
        assert_ptr_equal(query_known_model_find(k->name), k);
        assert_non_null(strchr(k->name, '/'));
        snprintf(spec, sizeof spec, "hf:%s", k->repo);
        assert_true(query_model_source_parse(spec, &s, NULL));
        for (const query_known_model *other = k + 1; other->name; other++) assert_string_not_equal(other->repo, k->repo);
    }
}

static void repositories_and_revisions_are_taken_apart(void **state)
{
    query_model_source s;
    assert_true(query_model_source_parse("hf:laion/CLIP_a.b-c", &s, NULL));
    assert_string_equal(s.repo, "laion/CLIP_a.b-c");
    assert_string_equal(s.revision, "main");
    assert_string_equal(s.name, "laion/CLIP_a.b-c");
    assert_true(query_model_source_parse("hf:a/b@refs/pr/3", &s, NULL));
    assert_string_equal(s.repo, "a/b");
    assert_string_equal(s.revision, "refs/pr/3");
    assert_string_equal(s.name, "a/b@refs-pr-3");
    assert_true(query_model_source_parse("ViT-B/32", &s, NULL));
    assert_string_equal(s.name, "ViT-B-32/openai");
}

static void names_that_could_leave_the_folder_are_refused(void **state)
{
    static const char *const bad[] = {
        "", "hf:", "hf:/", "hf:a", "hf:a/", "hf:/a", "hf:a//b", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/.b", "hf:-a/b", "hf:a/b@",
        "hf:a/b@..", "hf:a/b@x/../y", "hf:a/b@/x", "hf:a/b@x/", "hf:a/b@x@y", "hf:a/b c", "hf:a/b?x", "hf:a/b#x", "hf:a/b%2e",
        "hf:a/b\n", "hf:a\\b/c", "hf:a/\xc3\xa4", "http://a/b", "nothing"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        query_model_source s;
        clip_error err = {0};
        if (query_model_source_parse(bad[i], &s, &err)) fail_msg("taken: %s", bad[i]);
        assert_non_null(strstr(err.text, "model list"));
    }
    char longest[1000] = "hf:a/";
    memset(longest + 5, 'x', sizeof longest - 6);
    query_model_source s;
    assert_false(query_model_source_parse(longest, &s, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_names_and_aliases_are_found),
        cmocka_unit_test(every_known_model_has_a_repository_of_its_own),
        cmocka_unit_test(repositories_and_revisions_are_taken_apart),
        cmocka_unit_test(names_that_could_leave_the_folder_are_refused),
    };
    return cmocka_run_group_tests_name("pull_names", tests, NULL, NULL);
}
