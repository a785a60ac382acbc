/* Tags: given, found by, counted, taken away, and gone with their photo. */
#include "library_fixture.h"

static size_t found_with(fixture *f, const char *const *tags, size_t n_tags)
{
    float q[16];
    store_hit hits[32];
    size_t n;
    make_vector(0, q, f->dim);
    OK(f, store_search(f->s, f->model, q, 32, &(store_filter){.tags = tags, .n_tags = n_tags}, hits, &n, &f->err));
    return n;
}

static void photos_are_found_by_all_of_their_tags_in_any_letter_case(void **state)
{
    fixture f;
    fixture_start(&f, 16);
    OK(&f, store_batch_begin(f.s, &f.err));
    int64_t a = save_with_vector(&f, "a.jpg", 1), b = save_with_vector(&f, "b.jpg", 2);
    OK(&f, store_tag_put(f.s, a, "Dog", &f.err));
    OK(&f, store_tag_put(f.s, a, "dog", &f.err)); /* again: nothing new */
    OK(&f, store_tag_put(f.s, b, "dog", &f.err));
    OK(&f, store_tag_put(f.s, b, "beach", &f.err));
    OK(&f, store_tag_put(f.s, 999, "dog", &f.err)); /* a photo that is gone */
    OK(&f, store_batch_commit(f.s, &f.err));
    assert_int_equal(found_with(&f, (const char *const[]){"DOG"}, 1), 2);
    assert_int_equal(found_with(&f, (const char *const[]){"dog", "beach"}, 2), 1);
    assert_int_equal(found_with(&f, (const char *const[]){"cat"}, 1), 0);
    fixture_end(&f);
}

static void tags_are_counted_and_taken_away(void **state)
{
    fixture f;
    store_tag *tags;
    size_t n;
    int64_t cleared;
    fixture_start(&f, 16);
    OK(&f, store_tags(f.s, &tags, &n, &f.err));
    assert_int_equal(n, 0);
    store_tags_free(tags, n);
    OK(&f, store_batch_begin(f.s, &f.err));
    int64_t a = save_with_vector(&f, "a.jpg", 1), b = save_with_vector(&f, "b.jpg", 2);
    OK(&f, store_tag_put(f.s, a, "dog", &f.err));
    OK(&f, store_tag_put(f.s, b, "dog", &f.err));
    OK(&f, store_tag_put(f.s, b, "beach", &f.err));
    OK(&f, store_photo_set_state(f.s, a, STORE_MISSING, &f.err));
    OK(&f, store_batch_commit(f.s, &f.err));
    OK(&f, store_tags(f.s, &tags, &n, &f.err));
    assert_int_equal(n, 2);
    assert_string_equal(tags[0].tag, "beach");
    assert_string_equal(tags[1].tag, "dog");
    assert_int_equal(tags[1].photos, 1); /* the other one is missing */
    store_tags_free(tags, n);
    OK(&f, store_batch_begin(f.s, &f.err));
    OK(&f, store_tag_clear(f.s, "DOG", &cleared, &f.err));
    assert_int_equal(cleared, 2);
    OK(&f, store_tag_clear(f.s, NULL, &cleared, &f.err));
    assert_int_equal(cleared, 1);
    OK(&f, store_batch_commit(f.s, &f.err));
    assert_int_equal(found_with(&f, (const char *const[]){"beach"}, 1), 0);
    fixture_end(&f);
}

static void tags_are_written_in_batches_only_and_have_names(void **state)
{
    fixture f;
    int64_t cleared;
    fixture_start(&f, 16);
    FAILS(&f, STORE_E_ARGUMENT, store_tag_put(f.s, 1, "dog", &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_tag_clear(f.s, NULL, &cleared, &f.err));
    OK(&f, store_batch_begin(f.s, &f.err));
    FAILS(&f, STORE_E_ARGUMENT, store_tag_put(f.s, 1, "", &f.err));
    store_batch_abandon(f.s);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(photos_are_found_by_all_of_their_tags_in_any_letter_case),
        cmocka_unit_test(tags_are_counted_and_taken_away),
        cmocka_unit_test(tags_are_written_in_batches_only_and_have_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
