/* test_crew.c: whoever helps, and whenever, every column of every product is computed once, and none before the product before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/math/crew.h"
#include "engine/math/pool.h"

enum { PRODUCTS = 2000, COLUMNS = 300 };

typedef struct chain {
    clip_crew crew;
    int value[COLUMNS]; /* plain memory: a thread checker sees who touches it without order */
    int columns;
    bool late;          /* the helpers come when nothing is left to do */
} chain;

/* Each column takes its neighbour's value of the product before. */
typedef struct product { chain *c; int from[COLUMNS]; } product;

static void piece(const void *p, int first, int end)
{
    const product *now = p;
    for (int i = first; i < end; i++) now->c->value[i] = now->from[(i + 1) % now->c->columns] + 1;
}

static void lead(chain *c)
{
    product p = {.c = c};
    for (int i = 0; i < PRODUCTS; i++) {
        memcpy(p.from, c->value, sizeof p.from);
        clip_crew_run(&c->crew, piece, &p, c->columns);
    }
    clip_crew_end(&c->crew);
}

static bool task(void *context, int worker, int i)
{
    chain *c = context;
    if (i == (c->late ? 3 : 0)) lead(c);
    else if (!c->late) clip_crew_help(&c->crew);
    return true;
}

static void every_column_of_every_product_once(void **state)
{
    static const int columns[] = {1, 2, 7, 8, 16, 17, 64, COLUMNS};
    for (int workers = 1; workers <= 4; workers++)
        for (size_t k = 0; k < 2 * sizeof columns / sizeof *columns; k++) {
            chain c = {.crew = CLIP_CREW_INIT, .columns = columns[k / 2], .late = k % 2};
            clip_pool *pool;
            for (int i = 0; i < COLUMNS; i++) c.value[i] = 10 * i;
            assert_int_equal(clip_pool_create(workers, &pool, NULL), 0);
            assert_true(clip_pool_run(pool, task, &c, 4));
            clip_pool_destroy(pool);
            for (int i = 0; i < c.columns; i++) assert_int_equal(c.value[i], PRODUCTS + 10 * ((i + PRODUCTS) % c.columns));
            for (int i = c.columns; i < COLUMNS; i++) assert_int_equal(c.value[i], 10 * i);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_column_of_every_product_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
