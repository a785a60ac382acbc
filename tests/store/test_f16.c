/* Half precision: the fast code gives what the plain code gives. */
#include "library_fixture.h"

#include "store/f16.h"

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static void every_half_widens_alike_and_comes_back(void **state)
{
    (void)state;
    static uint16_t half[65536], back[65536];
    static float plain[65536], fast[65536];
    for (int i = 0; i < 65536; i++) half[i] = (uint16_t)i;
    f16_to_f32_plain(half, plain, 65536);
    f16_to_f32(half, fast, 65536);
    assert_memory_equal(plain, fast, sizeof plain);
    f16_from_f32_plain(plain, back, 65536);
    for (int i = 0; i < 65536; i++)
        if (plain[i] == plain[i]) assert_int_equal(back[i], i);
    assert_true(plain[0x3c00] == 1 && plain[0xc000] == -2 && plain[1] == 0x1p-24f && plain[0x7bff] == 65504);
}

static void floats_are_rounded_alike(void **state)
{
    (void)state;
    enum { N = 1 << 16 };
    static float x[N];
    static uint16_t plain[N], fast[N];
    static const uint32_t special[] = {0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0x477fe000, 0x477fefff, 0x477ff000,
                                       0x33000000, 0x33000001, 0x32ffffff, 0x387fc000, 0x387fe000, 0x387ff000, 0x38800000, 0x3f801000,
                                       0x3f803000, 0x3f801001, 1, 0x007fffff};
    uint64_t seed = 3;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < N; i++) {
            uint32_t r = (uint32_t)made_bits(&seed);
            x[i] = float_of(round % 2 ? r : (r & 0x807fffff) | (uint32_t)(96 + r % 52) << 23);
        }
        for (size_t i = 0; i < sizeof special / sizeof *special; i++) x[i * 3] = float_of(special[i]);
        f16_from_f32_plain(x, plain, N);
        f16_from_f32(x, fast, N);
        for (int i = 0; i < N; i++)
            if (plain[i] != fast[i]) fail_msg("%08x: plain %04x, fast %04x", bits_of(x[i]), plain[i], fast[i]);
    }
}

static void dot_products_agree_at_every_length_and_address(void **state)
{
    (void)state;
    float q[700], v[700];
    uint8_t room[1500];
    uint64_t seed = 5;
    for (int n = 0; n < 700; n += n < 70 ? 1 : 61) {
        for (int i = 0; i < n; i++) q[i] = random_normal(&seed), v[i] = random_normal(&seed);
        float first = 0;
        for (int shift = 0; shift < 3; shift++) {
            f16_from_f32(v, room + shift, (size_t)n);
            float fast = f16_dot(room + shift, q, (size_t)n), plain = f16_dot_plain(room + shift, q, (size_t)n);
            assert_true(fabsf(fast - plain) <= 1e-5f * (float)(n + 1));
            if (!shift) first = fast;
            assert_memory_equal(&first, &fast, sizeof first);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_widens_alike_and_comes_back),
        cmocka_unit_test(floats_are_rounded_alike),
        cmocka_unit_test(dot_products_agree_at_every_length_and_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
