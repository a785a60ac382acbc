/* test_kernels.c: the vector kernels do what their plain reference does, at every size that leaves a remainder. The reference
 * sums one number after the other in f32, so it is itself no closer than about 1e-6 of the terms' size. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uniform_numbers.h"

#include "engine/math/cpu.h"
#include "engine/math/kernels.h"

static void assert_close(const float *got, const float *want, size_t n, float limit, const char *what, int a, int b, int c)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) <= limit))
            fail_msg("%s %d %d %d: number %zu is %.9g, not %.9g", what, a, b, c, i, (double)got[i], (double)want[i]);
}

/* Each test runs on each table that this CPU has. */
static int tables(const clip_kernels *out[2])
{
    int n = 0;
#if defined(__x86_64__)
    clip_cpu c = clip_cpu_get();
    if (c.avx2 && c.fma && c.f16c) out[n++] = &clip_kernels_avx2;
    if (c.avx512) out[n++] = &clip_kernels_avx512;
#endif
    return n;
}

static void one_linear(const clip_kernels *k, int rows, int in, int out, clip_type type, bool add)
{
    float *x = numbers((size_t)rows * (size_t)(in + 3)), *b = numbers((size_t)out), *y = numbers((size_t)rows * (size_t)(out + 5));
    float *want = numbers((size_t)rows * (size_t)(out + 5));
    size_t size = clip_type_size(type);
    unsigned char *w = malloc((size_t)out * (size_t)in * size + 1);
    for (int i = 0; i < out * in; i++) {
        float f = uniform() / sqrtf((float)in);
        uint16_t h = (uint16_t)((0x2400u | (seed >> 12 & 0x8bff)) & 0xafff); /* f16 of 0.016 .. 0.12, either sign */
        if (type == CLIP_T_BF16) k->to_bf16(&f, &h, 1);
        memcpy(w + 1 + (size_t)i * size, type == CLIP_T_F32 ? (void *)&f : (void *)&h, size); /* as unaligned as a file may be */
    }
    memcpy(want, y, (size_t)rows * (size_t)(out + 5) * sizeof *y);
    clip_linear_args a = {.x = x, .ldx = (size_t)in + 3, .rows = rows, .in = in, .w = w + 1, .type = type, .b = add ? NULL : b, .y = y,
                          .ldy = (size_t)out + 5, .act = add ? CLIP_ACT_NONE : CLIP_ACT_QUICK_GELU, .add = add};
    k->linear(&a, 1, out - 1); /* the first and the last column are another thread's */
    a.y = want;
    clip_kernels_plain.linear(&a, 1, out - 1);
    assert_close(y, want, (size_t)rows * (size_t)(out + 5), 2e-5f, "linear", rows, in, out);
    free(x), free(b), free(y), free(want), free(w);
}

static void linear_layers_match_the_reference(void **state)
{
    const clip_kernels *all[2];
    for (int t = tables(all) - 1; t >= 0; t--)
        for (int rows = 1; rows <= 14; rows++)
            for (int in = 15; in <= 100; in += 17)
                for (int type = CLIP_T_F32; type <= CLIP_T_BF16; type++)
                    for (int out = 3; out <= 12; out += 3) one_linear(all[t], rows, in, out, type, rows & 1);
}

static void one_attention(const clip_kernels *k, int queries, int keys, int head, bool causal)
{
    size_t ld = (size_t)head * 3 + 7, ldo = (size_t)head + 2;
    float *q = numbers((size_t)queries * ld), *kv = numbers((size_t)keys * ld);
    float *out = numbers((size_t)queries * ldo), *want = numbers((size_t)queries * ldo);
    float *scratch = numbers(clip_attention_scratch(keys, head));
    memcpy(want, out, (size_t)queries * ldo * sizeof *out);
    clip_attention_args a = {.q = q, .k = kv, .v = kv + head, .ldq = ld, .ldkv = ld, .scale = 2, .out = out, .ldo = ldo,
                             .queries = queries, .keys = keys, .head = head, .causal = causal, .scratch = scratch};
    k->attention(&a);
    a.out = want;
    clip_kernels_plain.attention(&a);
    assert_close(out, want, (size_t)queries * ldo, 5e-6f, "attention", queries, keys, head);
    free(q), free(kv), free(out), free(want), free(scratch);
}

static void attention_matches_the_reference(void **state)
{
    const clip_kernels *all[2];
    for (int t = tables(all) - 1; t >= 0; t--)
        for (int keys = 1; keys <= 80; keys += keys < 20 ? 1 : 13)
            for (int head = 5; head <= 85; head += 16) {
                one_attention(all[t], keys, keys, head, false);
                one_attention(all[t], keys, keys, head, true);
                one_attention(all[t], 1, keys, head, true);
            }
}

/* Scores of 60 apart: e^60 overflows nothing, because the largest is subtracted first. */
static void attention_survives_large_scores(void **state)
{
    const clip_kernels *all[2];
    for (int t = tables(all) - 1; t >= 0; t--) {
        float *scratch = numbers(clip_attention_scratch(3, 16)), x[48] = {0}, out[48], want[48];
        for (int i = 0; i < 3; i++) x[i * 16] = (float)(i - 1) * 1000;
        clip_attention_args a = {.q = x, .k = x, .v = x, .ldq = 16, .ldkv = 16, .scale = 1, .out = out, .ldo = 16, .queries = 3,
                                 .keys = 3, .head = 16, .scratch = scratch};
        all[t]->attention(&a);
        a.out = want;
        clip_kernels_plain.attention(&a);
        assert_close(out, want, 48, 1e-3f, "attention", 3, 3, 16);
        free(scratch);
    }
}

static void layer_norm_matches_the_reference(void **state)
{
    const clip_kernels *all[2];
    for (int t = tables(all) - 1; t >= 0; t--)
        for (int n = 1; n <= 1000; n += n < 40 ? 1 : 93) {
            float *x = numbers((size_t)n), *g = numbers((size_t)n), *b = numbers((size_t)n), *y = numbers((size_t)n), *want = numbers((size_t)n);
            for (int i = 0; i < n; i++) x[i] += 3;
            all[t]->layer_norm(x, g, b, 1e-5f, n, y);
            clip_kernels_plain.layer_norm(x, g, b, 1e-5f, n, want);
            assert_close(y, want, (size_t)n, 2e-5f, "layer norm", n, 0, 0);
            free(x), free(g), free(b), free(y), free(want);
        }
}

static void activations_match_the_reference(void **state)
{
    enum { N = 4003 };
    const clip_kernels *all[2];
    static float x[N], y[N], want[N];
    for (int i = 0; i < N; i++) x[i] = (float)(i - N / 2) / 100; /* -20 .. 20 */
    x[0] = -1e30f, x[1] = 1e30f, x[2] = -0.0f, x[3] = 1e-30f;
    for (int t = tables(all) - 1; t >= 0; t--)
        for (int act = CLIP_ACT_NONE; act <= CLIP_ACT_RELU; act++)
            for (int n = N - 17; n <= N; n++) {
                memcpy(y, x, sizeof y);
                memcpy(want, x, sizeof y);
                all[t]->activate(y, (size_t)n, act);
                clip_kernels_plain.activate(want, (size_t)n, act);
                assert_true(y[1] == want[1] || fabsf(y[1] / want[1] - 1) < 1e-6f);
                y[1] = want[1];
                assert_close(y, want, act == CLIP_ACT_NONE ? 0 : N, 3e-6f, "activation", act, n, 0);
            }
}

static void nan_stays_nan(void **state)
{
    const clip_kernels *all[2];
    for (int t = tables(all) - 1; t >= 0; t--)
        for (int act = CLIP_ACT_GELU; act <= CLIP_ACT_QUICK_GELU; act++) {
            float x[20] = {0};
            x[3] = x[17] = NAN;
            all[t]->activate(x, 20, act);
            assert_true(isnan(x[3]) && isnan(x[17]) && !isnan(x[4]));
        }
}

static void every_half_converts_exactly(void **state)
{
    const clip_kernels *all[2];
    static uint16_t h[65536 + 5];
    static float y[65536 + 5], want[65536 + 5];
    for (uint32_t i = 0; i < 65536 + 5; i++) h[i] = (uint16_t)i;
    for (int t = tables(all) - 1; t >= 0; t--)
        for (int type = CLIP_T_F16; type <= CLIP_T_BF16; type++) {
            all[t]->to_f32(h, type, y, 65536 + 5);
            clip_kernels_plain.to_f32(h, type, want, 65536 + 5);
            for (int i = 0; i < 65536 + 5; i++)
                if (isnan(want[i]) ? !isnan(y[i]) : memcmp(&y[i], &want[i], 4) != 0) fail_msg("half %04x of type %d", h[i], type);
        }
    clip_kernels_plain.to_f32(h, CLIP_T_BF16, want, 65536 + 5);
    assert_true(want[0x7f80] == INFINITY);
    clip_kernels_plain.to_f32((uint16_t[]){0x3c00, 0xc000, 0x0001, 0x7bff}, CLIP_T_F16, want, 4);
    assert_true(want[0] == 1 && want[1] == -2 && want[2] == 0x1p-24f && want[3] == 65504);
}

static void bf16_rounds_to_nearest_even(void **state)
{
    const clip_kernels *all[2];
    const float x[] = {1.0f, 1.00390625f /* half way, down */, 1.01171875f /* half way, up */, -3.14159265f, 1e-40f, INFINITY, NAN, 3.4e38f};
    const uint16_t want[] = {0x3f80, 0x3f80, 0x3f82, 0xc049, 0x0001, 0x7f80, 0x7fc0, 0x7f80};
    uint16_t y[8];
    clip_kernels_plain.to_bf16(x, y, 8);
    assert_memory_equal(y, want, sizeof y);
    for (int t = tables(all) - 1; t >= 0; t--) {
        memset(y, 0, sizeof y);
        all[t]->to_bf16(x, y, 8);
        assert_memory_equal(y, want, sizeof y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_layers_match_the_reference), cmocka_unit_test(attention_matches_the_reference),
        cmocka_unit_test(attention_survives_large_scores),   cmocka_unit_test(layer_norm_matches_the_reference),
        cmocka_unit_test(activations_match_the_reference),   cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(every_half_converts_exactly),       cmocka_unit_test(bf16_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
