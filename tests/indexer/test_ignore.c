/* test_ignore.c: what ignore files and --exclude promise. */
#include "indexer/ignore.h"
#include "scratch.h"

#include <time.h>

typedef struct line { const char *rules, *path; bool folder, ignored; } line;

static const line lines[] = {
    /* names at any depth */
    {"*.png", "a.png", false, true}, {"*.png", "x/y/a.png", false, true}, {"*.png", "a.PNG", false, false},
    {"a.jpg", "b/a.jpg", false, true}, {"a.jpg", "b/aa.jpg", false, false}, {"?.jpg", "a.jpg", false, true},
    {"?.jpg", "\xc3\xa4.jpg", false, true}, {"?.jpg", "ab.jpg", false, false}, {"??.jpg", "\xff\xfe.jpg", false, true},
    {"IMG_[0-9].jpg", "IMG_7.jpg", false, true}, {"IMG_[!0-9].jpg", "IMG_7.jpg", false, false},
    {"[]a].jpg", "].jpg", false, true}, {"[a", "[a", false, true}, {"[a-]x", "-x", false, true},
    {"*", "anything/at all", false, true}, {"a*b*c", "aXbYbZc", false, true}, {"a*b*c", "aXbYbZ", false, false},
    /* comments, blanks, quotes */
    {"# a.jpg\n\n   \n", "a.jpg", false, false}, {"\\#a", "#a", false, true}, {"a.jpg  ", "a.jpg", false, true},
    {"a\\ ", "a ", false, true}, {"a.jpg\r\nb.jpg\r\n", "a.jpg", false, true}, {"\\*.jpg", "x.jpg", false, false},
    {"\\*.jpg", "*.jpg", false, true}, {"\xef\xbb\xbf" "a.jpg", "a.jpg", false, true},
    /* a slash ties */
    {"/a.jpg", "a.jpg", false, true}, {"/a.jpg", "b/a.jpg", false, false}, {"b/a.jpg", "b/a.jpg", false, true},
    {"b/a.jpg", "c/b/a.jpg", false, false}, {"b/*.jpg", "b/c/a.jpg", false, false}, {"*/a.jpg", "b/a.jpg", false, true},
    /* folders only */
    {"raw/", "raw", true, true}, {"raw/", "raw", false, false}, {"raw/", "x/raw", true, true}, {"/raw/", "x/raw", true, false},
    /* ** */
    {"**/a.jpg", "a.jpg", false, true}, {"**/a.jpg", "x/y/a.jpg", false, true}, {"x/**/a.jpg", "x/a.jpg", false, true},
    {"x/**/a.jpg", "x/1/2/a.jpg", false, true}, {"x/**", "x/1/2/a.jpg", false, true}, {"x/**", "x", true, false},
    {"**/x/**/y", "1/x/2/x/3/y", false, true}, {"**/x/**/y", "1/x/2/x/3/z", false, false}, {"a**b", "aXXb", false, true},
    {"a/**b", "a/x/b", false, false},
    /* the last match decides; ! takes back */
    {"*.jpg\n!keep.jpg", "keep.jpg", false, false}, {"!keep.jpg\n*.jpg", "keep.jpg", false, true},
    {"*.jpg\n!keep.jpg\nkeep.jpg", "keep.jpg", false, true}, {"\\!a", "!a", false, true}, {"/", "a", true, false}, {"!", "a", true, false},
};

static void a_rule_means_what_gitignore_says(void **state) {
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const line *l = &lines[i];
        indexer_ignore *r = indexer_ignore_create(NULL, 0);
        assert_true(indexer_ignore_add_text(r, l->rules, strlen(l->rules)));
        if (indexer_ignore_match(r, l->path, l->folder) != l->ignored) fail_msg("\"%s\" on %s", l->rules, l->path);
        indexer_ignore_destroy(r);
    }
}

static void the_innermost_folder_has_the_last_word(void **state) {
    indexer_ignore *top = indexer_ignore_create(NULL, 0), *in = indexer_ignore_create(top, strlen("a/b/"));
    assert_true(indexer_ignore_add_text(top, "*.jpg\n/a/b/x.png", 17));
    assert_true(indexer_ignore_add_text(in, "!/x.jpg\ny.png", 13));
    assert_false(indexer_ignore_match(in, "a/b/x.jpg", false));
    assert_true(indexer_ignore_match(in, "a/b/c/x.jpg", false));
    assert_true(indexer_ignore_match(in, "a/b/x.png", false));
    assert_true(indexer_ignore_match(in, "a/b/c/y.png", false));
    indexer_ignore_destroy(in);
    indexer_ignore_destroy(top);
}

/* Backtracking matchers need years for these. */
static void a_hostile_pattern_costs_no_time(void **state) {
    char pattern[4001], path[4001];
    clock_t begin = clock();
    for (int i = 0; i < 2000; i++) memcpy(pattern + 2 * i, "*a", 2);
    pattern[4000] = 0;
    memset(path, 'a', 4000); path[1900] = 0;
    assert_false(indexer_glob(pattern, path));
    for (int i = 0; i + 5 <= 4000; i += 5) memcpy(pattern + i, "**/a/", 5);
    for (int i = 0; i < 4000; i += 2) memcpy(path + i, "a/", 2);
    path[3999] = 'b'; path[4000] = 0; path[3998] = '/';
    assert_false(indexer_glob(pattern, path));
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_means_what_gitignore_says),
        cmocka_unit_test(the_innermost_folder_has_the_last_word),
        cmocka_unit_test(a_hostile_pattern_costs_no_time),
    };
    return cmocka_run_group_tests_name("ignore", tests, NULL, NULL);
}
