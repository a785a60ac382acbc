/* test_labels.c: labels are read from words and from files. */
#include "query/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void expect(const char *given, const char *joined)
{
    query_labels l;
    char text[256] = "";
    assert_int_equal(query_labels_open(given, &l), 0);
    for (size_t i = 0; i < l.n; i++) strcat(strcat(text, i ? "|" : ""), l.items[i]);
    assert_string_equal(text, joined);
    query_labels_close(&l);
}

static void refuse(const char *given)
{
    query_labels l;
    assert_int_equal(query_labels_open(given, &l), 2);
    query_labels_close(&l);
}

static void write_file(const char *name, const char *bytes, size_t n)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    fwrite(bytes, 1, n, f);
    fclose(f);
}

static void words_are_split_at_commas(void **state)
{
    expect("cat", "cat");
    expect(" polar bear ,dog,, cat ", "polar bear|dog|cat");
    expect("a/b,c", "a/b|c");
}

static void of_equal_labels_the_first_counts(void **state)
{
    expect("dog,cat,Dog,cat,bird,dog", "dog|cat|bird");
}

static void a_file_has_one_label_a_line(void **state)
{
    write_file("labels.txt", "cat\r\n\n  salt, pepper\nlast", 25);
    expect("labels.txt", "cat|salt, pepper|last");
}

static void what_holds_no_label_is_refused(void **state)
{
    refuse(" , ,");
    refuse("");
    refuse("./nosuchfile");
    refuse("nosuchfile.txt");
    write_file("empty.txt", "\n\n", 2);
    refuse("empty.txt");
    write_file("binary.txt", "cat\0dog", 7);
    refuse("binary.txt");
}

static int in_a_folder_of_its_own(void **state)
{
    char folder[] = "/tmp/labels-XXXXXX";
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_it(void **state)
{
    char *here = getcwd(NULL, 0), *command = NULL;
    int failed = !here || asprintf(&command, "rm -rf '%s'", here) < 0 || system(command);
    free(command);
    free(here);
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_split_at_commas), cmocka_unit_test(of_equal_labels_the_first_counts),
        cmocka_unit_test(a_file_has_one_label_a_line), cmocka_unit_test(what_holds_no_label_is_refused)};
    return cmocka_run_group_tests(tests, in_a_folder_of_its_own, leave_it);
}
