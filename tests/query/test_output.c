/* test_output.c: names of files as a person, a shell and a JSON reader get them; places; numbers. */
#include "cli/cli.h"
#include "query/npy.h"
#include "query/print.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void expect_quoted(const char *path, const char *expected)
{
    char *text = cli_quote_path(path);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void plain_names_stay_plain(void **state)
{
    expect_quoted("/home/u/a.jpg", "/home/u/a.jpg");
    expect_quoted("a-b_c+d,e@f%g:h=", "'a-b_c+d,e@f%g:h='");
    expect_quoted("{x}", "{x}");
    expect_quoted("Ünïcode/\xe6\x97\xa5\xe6\x9c\xac.jpg", "Ünïcode/\xe6\x97\xa5\xe6\x9c\xac.jpg");
    expect_quoted("a~b#c", "a~b#c");
}

/* The expected strings are what `ls --quoting-style=shell-escape` (coreutils 9.1) prints. */
static void odd_names_are_quoted_as_ls_does(void **state)
{
    expect_quoted("", "''");
    expect_quoted("a b", "'a b'");
    expect_quoted("it's", "\"it's\"");
    expect_quoted("it's $5", "'it'\\''s $5'");
    expect_quoted("a\nb", "'a'$'\\n''b'");
    expect_quoted("a\x1b[31m", "'a'$'\\033''[31m'");
    expect_quoted("a\xff", "'a'$'\\377'");
    expect_quoted("~x", "'~x'");
    expect_quoted("#x", "'#x'");
    expect_quoted("a;b", "'a;b'");
    expect_quoted("back\\slash", "'back\\slash'");
}

static void what_is_quoted_can_be_pasted_into_a_shell(void **state)
{
    static const char *const names[] = {"a b", "it's", "it's $5 `x` \"y\"", "\n\t\x01\x7f", "\xff\xfe x", "$HOME",
                                        "!!", "\xe2\x80\xae" "evil", "-n", "'", "''", "a'\n'b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *quoted = cli_quote_path(names[i]), *command = NULL, back[256] = "";
        assert_true(asprintf(&command, "bash -c \"$(cat <<'EOF'\nprintf %%s %s\nEOF\n)\"", quoted) > 0);
        if (names[i][0] != '-') {
            FILE *f = popen(command, "r");
            back[fread(back, 1, sizeof back - 1, f)] = 0;
            assert_int_equal(pclose(f), 0);
            assert_string_equal(back, names[i]);
        }
        free(command);
        free(quoted);
    }
}

static void a_pipe_gets_the_bytes_themselves(void **state)
{
    FILE *f = tmpfile();
    char back[16] = "";
    cli_print_path(f, "a\n\xff'b");
    rewind(f);
    assert_int_equal(fread(back, 1, sizeof back, f), 5);
    assert_memory_equal(back, "a\n\xff'b", 5);
    fclose(f);
}

static void utf8_is_told_from_other_bytes(void **state)
{
    assert_true(cli_is_utf8(""));
    assert_true(cli_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    static const char *const bad[] = {"\xff", "\xc3", "a\xc3(", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(cli_is_utf8(bad[i]));
}

static void json_has_the_path_or_its_bytes(void **state)
{
    json_t *plain = json_object(), *odd = json_object();
    cli_json_path(plain, "/\xc3\xa9.jpg");
    cli_json_path(odd, "/\xe9.jpg");
    assert_string_equal(json_string_value(json_object_get(plain, "path")), "/\xc3\xa9.jpg");
    assert_null(json_object_get(plain, "path_base64"));
    assert_null(json_object_get(odd, "path"));
    assert_string_equal(json_string_value(json_object_get(odd, "path_base64")), "L+kuanBn");
    json_decref(plain);
    json_decref(odd);
}

static void base64_is_rfc_4648(void **state)
{
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xff\xff", "////"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *text = cli_base64(pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(text, pairs[i][1]);
        free(text);
    }
}

static void a_photo_without_facts_has_every_field(void **state)
{
    static const char *const fields[] = {"width", "height", "format", "taken", "camera", "latitude", "longitude",
                                         "modified", "reason"};
    json_t *o = json_object();
    const store_photo p = {.size = 5};
    query_json_photo(o, &p, "/a");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) assert_true(json_is_null(json_object_get(o, fields[i])));
    assert_int_equal(json_integer_value(json_object_get(o, "size")), 5);
    assert_int_equal(json_object_size(o), 11);
    json_decref(o);
}

static void facts_that_are_not_utf8_are_null_and_not_lost_lines(void **state)
{
    json_t *o = json_object();
    const store_photo p = {.camera = "\xff", .format = "jpeg"};
    query_json_photo(o, &p, "/a");
    assert_true(json_is_null(json_object_get(o, "camera")));
    assert_string_equal(json_string_value(json_object_get(o, "format")), "jpeg");
    json_decref(o);
}

static void vectors_survive_json(void **state)
{
    const float v[4] = {0.1f, -1.0f / 3, 1e-8f, 1};
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    json_t *o = json_object();
    json_object_set_new(o, "text", json_string("x"));
    query_print_vector_json(f, o, v, 4);
    query_print_vector_json(f, json_object(), v, 1);
    fclose(f);
    char *second = strchr(text, '\n') + 1;
    assert_string_equal(second, "{\"vector\":[0.100000001]}\n");
    *second = 0;
    json_t *back = json_loads(text, 0, NULL);
    assert_non_null(back);
    for (size_t i = 0; i < 4; i++)
        assert_true((float)json_number_value(json_array_get(json_object_get(back, "vector"), i)) == v[i]);
    json_decref(back);
    free(text);
}

static void an_array_file_begins_as_numpy_wants_it(void **state)
{
    static const long sizes[] = {0, 1, 12345678};
    for (size_t i = 0; i < 3; i++) {
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);
        query_npy_begin(f, sizes[i], 512);
        fclose(f);
        assert_int_equal(n % 64, 0);
        assert_memory_equal(text, "\x93NUMPY\1\0", 8);
        assert_int_equal((unsigned char)text[8] + 256 * (unsigned char)text[9] + 10, n);
        assert_int_equal(text[n - 1], '\n');
        char expected[64];
        snprintf(expected, sizeof expected, "'shape': (%ld, 512), }", sizes[i]);
        assert_non_null(strstr(text + 10, expected));
        assert_non_null(strstr(text + 10, "'descr': '<f4', 'fortran_order': False"));
        free(text);
    }
}

static void numbers_are_readable(void **state)
{
    char room[32];
    assert_string_equal(cli_count(0, room), "0");
    assert_string_equal(cli_count(999, room), "999");
    assert_string_equal(cli_count(1000, room), "1,000");
    assert_string_equal(cli_count(-1234567, room), "-1,234,567");
    assert_string_equal(cli_count(INT64_MIN, room), "-9,223,372,036,854,775,808");
    assert_string_equal(cli_bytes(0, room), "0 bytes");
    assert_string_equal(cli_bytes(999, room), "999 bytes");
    assert_string_equal(cli_bytes(1000, room), "1.0 kB");
    assert_string_equal(cli_bytes(999999, room), "1.0 MB");
    assert_string_equal(cli_bytes(123456789, room), "123 MB");
}

/* ---- places ---- */

static char folder[] = "/tmp/clipsearch-test-XXXXXX";

static int make_folder(void **state)
{
    char path[512];
    if (!mkdtemp(folder) || chdir(folder)) return -1;
    setenv("XDG_DATA_HOME", folder, 1);
    snprintf(path, sizeof path, "mkdir -p %s/clipsearch/models/Maker/small real && : >clipsearch/models/Maker/small/config.json "
             "&& ln -s real link && : > real/a.jpg", folder);
    return system(path);
}

static int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") || system(command);
}

static void expect_absolute(const char *path, const char *below)
{
    char expected[256], *got = cli_absolute(path);
    snprintf(expected, sizeof expected, "%s%s", folder, below);
    assert_string_equal(got, expected);
    free(got);
}

static void paths_are_made_absolute_whether_or_not_they_exist(void **state)
{
    expect_absolute("link/a.jpg", "/real/a.jpg");
    expect_absolute("link/gone.jpg", "/real/gone.jpg");
    expect_absolute("gone/x/../y/./z//b.jpg", "/gone/y/z/b.jpg");
    expect_absolute(".", "");
    char *link = cli_absolute_link("link");
    assert_string_equal(link + strlen(folder), "/link");
    free(link);
    char *root = cli_absolute("/no-such-folder/../../..");
    assert_string_equal(root, "/");
    free(root);
}

static void models_are_found_by_name_and_by_folder(void **state)
{
    clip_error err = {0};
    char *by_name = cli_model_dir("Maker/small", &err), *by_folder = cli_model_dir("./clipsearch/models/Maker/small", &err);
    assert_string_equal(err.text, "");
    assert_string_equal(by_name, by_folder);
    free(by_name);
    free(by_folder);
}

static void a_model_that_is_not_here_is_named_in_the_message(void **state)
{
    clip_error err = {0};
    assert_null(cli_model_dir("nonsense", &err));
    assert_non_null(strstr(err.text, "there is no model \"nonsense\""));
    assert_non_null(strstr(err.text, "clipsearch model list"));
}

static void the_library_lies_where_xdg_says(void **state)
{
    char expected[128], *home;
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", "/home/u", 1);
    home = cli_data_home();
    assert_string_equal(home, "/home/u/.local/share/clipsearch"); /* a relative one is to be ignored */
    free(home);
    setenv("XDG_DATA_HOME", folder, 1);
    home = cli_data_home();
    snprintf(expected, sizeof expected, "%s/clipsearch", folder);
    assert_string_equal(home, expected);
    free(home);
}

/* What run() wrote to stderr. */
static void expect_on_stderr(void (*run)(void), const char *expected)
{
    char text[512] = "";
    int kept = dup(2), fd = memfd_create("stderr", 0);
    assert_true(kept >= 0 && fd >= 0 && dup2(fd, 2) == 2);
    run();
    fflush(stderr);
    assert_int_equal(dup2(kept, 2), 2);
    assert_true(pread(fd, text, sizeof text - 1, 0) >= 0);
    close(kept);
    close(fd);
    assert_string_equal(text, expected);
}

static void speak(void) { cli_warn("%s", "red \033[31m, \xc2\x9b" "31m, \xe2\x80\xae, \xff, \xc3\xbc,\ttwo\nlines"); }
static void print_reason(void) { cli_print_text(stderr, "a\nb\t\xc3\xbc"); }

static void nothing_that_is_told_steers_the_terminal(void **state)
{
    expect_on_stderr(speak, "clipsearch: red \\033[31m, \\302\\23331m, \\342\\200\\256, \\377, \xc3\xbc,\ttwo\nlines\n");
    expect_on_stderr(print_reason, "a\\012b\\011\xc3\xbc");
}

static void draw_and_speak(void)
{
    cli_draw("half %d", 1);
    cli_warn("told");
    cli_draw("half %d", 2);
    cli_draw_end();
    cli_draw_end();
}

static void a_message_takes_the_progress_line_away(void **state)
{
    expect_on_stderr(draw_and_speak, "\rhalf 1\033[K\r\033[Kclipsearch: told\n\rhalf 2\033[K\r\033[K");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_stay_plain),
        cmocka_unit_test(odd_names_are_quoted_as_ls_does),
        cmocka_unit_test(what_is_quoted_can_be_pasted_into_a_shell),
        cmocka_unit_test(a_pipe_gets_the_bytes_themselves),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(json_has_the_path_or_its_bytes),
        cmocka_unit_test(base64_is_rfc_4648),
        cmocka_unit_test(a_photo_without_facts_has_every_field),
        cmocka_unit_test(facts_that_are_not_utf8_are_null_and_not_lost_lines),
        cmocka_unit_test(vectors_survive_json),
        cmocka_unit_test(an_array_file_begins_as_numpy_wants_it),
        cmocka_unit_test(numbers_are_readable),
        cmocka_unit_test(paths_are_made_absolute_whether_or_not_they_exist),
        cmocka_unit_test(models_are_found_by_name_and_by_folder),
        cmocka_unit_test(a_model_that_is_not_here_is_named_in_the_message),
        cmocka_unit_test(the_library_lies_where_xdg_says),
        cmocka_unit_test(nothing_that_is_told_steers_the_terminal),
        cmocka_unit_test(a_message_takes_the_progress_line_away),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
