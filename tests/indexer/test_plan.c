/* test_plan.c: the fate of a file, case by case. */
#include "indexer/plan.h"
#include "scratch.h"

enum { NONE = -1 };

typedef struct line {
    const char *promise;
    int row, like;                 /* a store_state, or NONE */
    int64_t row_size, row_mtime;   /* the file has size 100, time 1000 */
    bool row_vector, like_vector, retry;
    indexer_fate fate; bool read;
} line;

static const line lines[] = {
    {"an unknown file is new", NONE, NONE, 0, 0, false, false, false, INDEXER_NEW, true},
    {"a renamed photo is moved unread", NONE, STORE_PRESENT, 0, 0, false, true, false, INDEXER_MOVED, false},
    {"a renamed photo without a vector is moved and read", NONE, STORE_PRESENT, 0, 0, false, false, false, INDEXER_MOVED, true},
    {"a missing photo that turns up elsewhere is moved", NONE, STORE_MISSING, 0, 0, false, true, false, INDEXER_MOVED, false},
    {"a failed photo that was renamed stays failed", NONE, STORE_FAILED, 0, 0, false, false, false, INDEXER_MOVED, false},
    {"a failed photo that was renamed is retried when asked", NONE, STORE_FAILED, 0, 0, false, false, true, INDEXER_MOVED, true},
    {"an unchanged photo is not read", STORE_PRESENT, NONE, 100, 1000, true, false, false, INDEXER_SAME, false},
    {"another size is a change", STORE_PRESENT, NONE, 101, 1000, true, false, false, INDEXER_CHANGED, true},
    {"another time is a change", STORE_PRESENT, NONE, 100, 1001, true, false, false, INDEXER_CHANGED, true},
    {"an earlier time is a change", STORE_PRESENT, NONE, 100, 999, true, false, false, INDEXER_CHANGED, true},
    {"a photo at its path is no rename of another", STORE_PRESENT, STORE_PRESENT, 100, 1000, true, true, false, INDEXER_SAME, false},
    {"a changed photo is read though another was renamed onto it", STORE_PRESENT, STORE_PRESENT, 7, 7, true, true, false, INDEXER_CHANGED, true},
    {"a photo without a vector of this model is embedded", STORE_PRESENT, NONE, 100, 1000, false, false, false, INDEXER_REEMBEDDED, true},
    {"a photo that came back is returned unread", STORE_MISSING, NONE, 100, 1000, true, false, false, INDEXER_RETURNED, false},
    {"a photo that came back without a vector is read", STORE_MISSING, NONE, 100, 1000, false, false, false, INDEXER_RETURNED, true},
    {"a photo that came back as another is changed", STORE_MISSING, NONE, 99, 1000, true, false, false, INDEXER_CHANGED, true},
    {"a failed file is left alone until it changes", STORE_FAILED, NONE, 100, 1000, false, false, false, INDEXER_FAILED, false},
    {"a failed file is retried when asked", STORE_FAILED, NONE, 100, 1000, false, false, true, INDEXER_FAILED, true},
    {"a failed file that changed is read", STORE_FAILED, NONE, 100, 1001, false, false, false, INDEXER_CHANGED, true},
    {"a file that could not be opened is tried at every run", STORE_FAILED, NONE, 100, INDEXER_UNREAD_MTIME, false, false, false, INDEXER_NEW, true},
};

static void every_file_meets_its_fate(void **state) {
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const line *l = &lines[i];
        store_photo row = {.id = 1, .state = (store_state)l->row, .size = l->row_size, .mtime_ns = l->row_mtime};
        store_photo like = {.id = 2, .state = (store_state)l->like, .size = 100, .mtime_ns = 1000};
        indexer_plan_input in = {.size = 100, .mtime_ns = 1000, .row = l->row == NONE ? NULL : &row,
            .like = l->like == NONE ? NULL : &like, .row_has_vector = l->row_vector, .like_has_vector = l->like_vector, .retry = l->retry};
        indexer_plan p = indexer_plan_file(&in);
        if (p.fate != l->fate || p.read != l->read) fail_msg("%s: fate %d, read %d", l->promise, p.fate, p.read);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_file_meets_its_fate)};
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
