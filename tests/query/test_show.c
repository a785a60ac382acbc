/* test_show.c: what is handed to other programs and to browsers. */
#include "query/act.h"
#include "query/sheet.h"
#include "query/thumbnail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void expect_filled(const char *argument, const char *path, const char *expected)
{
    char *text = query_act_fill(argument, path);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void placeholders_are_parts_of_the_path(void **state)
{
    const char *path = "/home/a b/c.d/photo.2.jpg";
    expect_filled("{}", path, path);
    expect_filled("{/}", path, "photo.2.jpg");
    expect_filled("{//}", path, "/home/a b/c.d");
    expect_filled("{.}", path, "/home/a b/c.d/photo.2");
    expect_filled("{/.}", path, "photo.2");
    expect_filled("x{/.}y{}z", "/p.jpg", "xpy/p.jpgz");
    expect_filled("plain {x} {", path, "plain {x} {");
    expect_filled("", path, "");
}

static void odd_paths_have_parts_too(void **state)
{
    expect_filled("{//}", "/p.jpg", "/");
    expect_filled("{.}", "/a.b/none", "/a.b/none");
    expect_filled("{/.}", "/a/.hidden", ".hidden");
    expect_filled("{}", "/a\n\xff'\"$(x)", "/a\n\xff'\"$(x)");
    expect_filled("{}", "/{/}", "/{/}");
    assert_true(query_act_has_place("a{/.}"));
    assert_false(query_act_has_place("{a}"));
}

static char *page_text(void (*put)(FILE *, const char *), const char *text)
{
    char *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    put(f, text);
    assert_int_equal(fclose(f), 0);
    return out;
}

static void expect_page(void (*put)(FILE *, const char *), const char *text, const char *expected)
{
    char *out = page_text(put, text);
    assert_string_equal(out, expected);
    free(out);
}

static void names_are_text_in_a_page_and_never_markup(void **state)
{
    expect_page(query_sheet_text, "<script>alert(\"1\" & '2')</script>", "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
    expect_page(query_sheet_text, "caf\xc3\xa9", "caf\xc3\xa9");
    expect_page(query_sheet_text, "a\xff\x01\xc2\x85" "b\xe6\x97", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "b\xef\xbf\xbd\xef\xbf\xbd");
}

static void links_are_percent_encoded(void **state)
{
    expect_page(query_sheet_link, "/a b/c#d?e%f\"<\xff.jpg", "file:///a%20b/c%23d%3Fe%25f%22%3C%FF.jpg");
    expect_page(query_sheet_link, "/-._~/Az09", "file:///-._~/Az09");
}

static void a_thumbnail_is_the_picture(void **state)
{
    enum { W = 61, H = 37 };
    clip_picture p = {malloc(W * H * 3), W, H}, back;
    clip_error err = {0};
    uint8_t *jpeg = NULL;
    size_t n = 0;
    for (int i = 0; i < W * H; i++) p.rgb[3 * i] = (uint8_t)(4 * (i % W)), p.rgb[3 * i + 1] = (uint8_t)(6 * (i / W)), p.rgb[3 * i + 2] = 90;
    assert_true(query_thumbnail_encode(&p, 95, &jpeg, &n));
    assert_int_equal(clip_picture_decode(jpeg, n, NULL, 0, &back, NULL, &err), CLIP_OK);
    assert_int_equal(back.width, W);
    assert_int_equal(back.height, H);
    for (int i = 0; i < W * H * 3; i++) assert_in_range(abs(p.rgb[i] - back.rgb[i]), 0, 16);
    clip_picture_finish(&back);
    free(jpeg);
    free(p.rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_are_parts_of_the_path),
        cmocka_unit_test(odd_paths_have_parts_too),
        cmocka_unit_test(names_are_text_in_a_page_and_never_markup),
        cmocka_unit_test(links_are_percent_encoded),
        cmocka_unit_test(a_thumbnail_is_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
