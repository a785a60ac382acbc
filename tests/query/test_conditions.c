/* test_conditions.c: dates and places as people write them. */
#include "query/conditions.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void days_that_exist_are_dates(void **state)
{
    static const char *const good[] = {"2023", "2023-07", "2023-07-14", "2024-02-29", "2000-02-29", "1999-12-31", "0001"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!query_date_valid(good[i])) fail_msg("%s was refused", good[i]);
}

static void everything_else_is_no_date(void **state)
{
    static const char *const bad[] = {
        "", "23", "202", "20233", "2023-", "2023-7", "2023-13", "2023-00", "2023-07-", "2023-07-1", "2023-07-32",
        "2023-04-31", "2023-02-29", "1900-02-29", "2023-07-00", "2023-07-14 ", "2023-07-14T10", " 2023", "2023/07",
        "14.07.2023", "2023-07-14-01", "-023", "0000", "last summer", "20x3", "2023-0x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (query_date_valid(bad[i])) fail_msg("%s was accepted", bad[i]);
}

static void expect_place(const char *text, double latitude, double longitude, double km)
{
    double a, b, c;
    if (!query_near_parse(text, &a, &b, &c)) fail_msg("%s was refused", text);
    assert_true(fabs(a - latitude) < 1e-9 && fabs(b - longitude) < 1e-9 && fabs(c - km) < 1e-9);
}

static void a_place_is_latitude_longitude_and_perhaps_a_distance(void **state)
{
    expect_place("52.52,13.41", 52.52, 13.41, 10);
    expect_place("-33.8,151.2,5", -33.8, 151.2, 5);
    expect_place("52.52, 13.41, 0.5", 52.52, 13.41, 0.5);
    expect_place("90,-180,1", 90, -180, 1);
}

static void what_lies_on_no_map_is_refused(void **state)
{
    static const char *const bad[] = {"", "52", "52,", "52,13,", "91,0", "0,181", "0,0,0", "0,0,-1", "nan,0", "0,inf",
                                      "a,b", "52;13", "52,13,1,1", "52,13x", "52 13"};
    double a, b, c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (query_near_parse(bad[i], &a, &b, &c)) fail_msg("%s was accepted", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_that_exist_are_dates),
        cmocka_unit_test(everything_else_is_no_date),
        cmocka_unit_test(a_place_is_latitude_longitude_and_perhaps_a_distance),
        cmocka_unit_test(what_lies_on_no_map_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
