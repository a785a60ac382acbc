/* test_photo_folders.c: collections of photos made to be difficult, where the environment's CLIPSEARCH_TEST_DATA names a
 * folder that has them under robustness/: PngSuite (its broken files begin with x), photos in all eight orientations, the
 * smallest files of many formats, libjpeg's test images. */
#include "engine/image/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 64 };

static uint8_t row[SIZE * SIZE * 3];

static clip_status try_file(const char *folder, const char *name, clip_photo *info, clip_error *e)
{
    static const clip_resize_spec spec = {.size = SIZE};
    char path[4096];
    snprintf(path, sizeof path, "%s/robustness/%s/%s", getenv("CLIPSEARCH_TEST_DATA"), folder, name);
    uint8_t *bytes = NULL;
    size_t n;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    clip_status s = clip_file_read(fd, name, NULL, &bytes, &n, e);
    if (!s) s = clip_image_to_row(&spec, bytes, n, NULL, row, info, e);
    close(fd);
    free(bytes);
    return s;
}

/* Calls `check` for every file of a folder; returns how many there were. */
static int for_each(const char *folder, void (*check)(const char *folder, const char *name))
{
    char path[4096];
    snprintf(path, sizeof path, "%s/robustness/%s", getenv("CLIPSEARCH_TEST_DATA"), folder);
    DIR *d = opendir(path);
    int n = 0;
    if (!d) print_message("# skipped: %s is not there\n", path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        check(folder, e->d_name);
        n++;
    }
    if (d) closedir(d);
    return n;
}

static void good_loads_broken_is_refused(const char *folder, const char *name)
{
    if (!strstr(name, ".png")) return;
    clip_error e = {0};
    clip_photo info;
    clip_status s = try_file(folder, name, &info, &e);
    if (!s != (name[0] != 'x')) print_message("# %s: %s %s\n", name, clip_status_name(s), e.text);
    assert_true(!s == (name[0] != 'x'));
    if (!s) assert_false(info.truncated);
}

static void pngsuite_loads_and_its_broken_files_are_refused(void **state)
{
    for_each("png/pngsuite", good_loads_broken_is_refused);
    for_each("png/pngsuite-extra", good_loads_broken_is_refused);
}

static void all_orientations_show_one_picture(void **state)
{
    static uint8_t upright[sizeof row];
    static const char *const kinds[] = {"Landscape", "Portrait"};
    char path[4096];
    snprintf(path, sizeof path, "%s/robustness/exif-orientation", getenv("CLIPSEARCH_TEST_DATA"));
    if (access(path, R_OK)) return;
    for (size_t k = 0; k < 2; k++)
        for (int o = 0; o <= 8; o++) {
            char name[32];
            clip_photo info;
            double sum = 0;
            snprintf(name, sizeof name, "%s_%d.jpg", kinds[k], o);
            assert_int_equal(try_file("exif-orientation", name, &info, NULL), CLIP_OK);
            if (o == 0) memcpy(upright, row, sizeof row);
            assert_int_equal(info.orientation, o ? o : 1);
            assert_int_equal(info.width, k ? 1200 : 1800);
            for (size_t i = 0; i < sizeof row; i++) sum += abs(row[i] - upright[i]);
            assert_true(sum / sizeof row < 3);
        }
}

static void says_why(const char *folder, const char *name)
{
    clip_error e = {0};
    clip_photo info;
    clip_status s = try_file(folder, name, &info, &e);
    assert_true(!s == !e.text[0]);
}

static void every_odd_file_loads_or_says_why(void **state)
{
    for_each("tiny", says_why);
    for_each("jpeg", says_why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pngsuite_loads_and_its_broken_files_are_refused),
        cmocka_unit_test(all_orientations_show_one_picture),
        cmocka_unit_test(every_odd_file_loads_or_says_why),
    };
    if (!getenv("CLIPSEARCH_TEST_DATA")) {
        printf("1..0 # SKIP CLIPSEARCH_TEST_DATA names no folder\n");
        return 0;
    }
    return cmocka_run_group_tests_name("photo folders", tests, NULL, NULL);
}
