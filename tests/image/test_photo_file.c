/* test_photo_file.c: files are read whole, and only files; formats are known by their bytes. */
#include "engine/image/image.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static clip_status read_fd(int fd, const clip_limits *limits, clip_error *e)
{
    uint8_t *bytes = (uint8_t *)1;
    size_t n = 1;
    assert_true(fd >= 0);
    clip_status s = clip_file_read(fd, "some\nname", limits, &bytes, &n, e);
    if (s) assert_null(bytes);
    free(bytes);
    close(fd);
    return s;
}

static void a_file_is_read_whole_whatever_its_offset(void **state)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    for (int i = 0; i < 100000; i++) fputc(i & 255, f);
    fflush(f);
    uint8_t *bytes;
    size_t n;
    assert_int_equal(clip_file_read(fileno(f), "x", NULL, &bytes, &n, NULL), CLIP_OK);
    assert_int_equal(n, 100000);
    for (int i = 0; i < 100000; i++) assert_int_equal(bytes[i], i & 255);
    free(bytes);
    fclose(f);
}

static void what_is_not_a_file_is_named_and_not_read(void **state)
{
    int pipes[2], sockets[2];
    clip_error e = {0};
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(read_fd(pipes[0], NULL, &e), CLIP_E_UNSUPPORTED); /* would block for ever otherwise */
    assert_string_equal(e.text, "some\\nname: is a pipe, not a file");
    close(pipes[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    assert_int_equal(read_fd(sockets[0], NULL, NULL), CLIP_E_UNSUPPORTED);
    close(sockets[1]);
    assert_int_equal(read_fd(open("/", O_RDONLY), NULL, NULL), CLIP_E_UNSUPPORTED);
    assert_int_equal(read_fd(open("/dev/zero", O_RDONLY), NULL, NULL), CLIP_E_UNSUPPORTED);
}

static void a_file_beyond_the_limit_takes_no_memory(void **state)
{
    clip_error e = {0};
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), (off_t)1 << 40), 0); /* sparse: as large as you like */
    assert_int_equal(read_fd(dup(fileno(f)), NULL, &e), CLIP_E_LIMIT);
    assert_int_equal(ftruncate(fileno(f), 101), 0);
    assert_int_equal(read_fd(dup(fileno(f)), &(clip_limits){.max_bytes = 100}, NULL), CLIP_E_LIMIT);
    assert_int_equal(read_fd(dup(fileno(f)), &(clip_limits){.max_bytes = 101}, NULL), CLIP_OK);
    fclose(f);
}

static void a_closed_descriptor_is_an_error_that_says_so(void **state)
{
    clip_error e = {0};
    uint8_t *bytes;
    size_t n;
    assert_int_equal(clip_file_read(-1, "gone.jpg", NULL, &bytes, &n, &e), CLIP_E_IO);
    assert_string_equal(e.text, "gone.jpg: Bad file descriptor");
    e.text[0] = 0; /* a message is UTF-8 whatever the name is */
    assert_int_equal(clip_file_read(-1, "\xe2\x82\xac caf\xe9 \xc2\x9b\x1b[1m \xed\xa0\x80\x7f", NULL, &bytes, &n, &e), CLIP_E_IO);
    assert_non_null(strstr(e.text, "\xe2\x82\xac caf\\xe9 \\x9b\\x1b[1m \\xed\\xa0\\x80\\x7f: "));
}

static void an_empty_file_is_no_photo(void **state)
{
    clip_error e = {0};
    clip_photo p;
    assert_int_equal(clip_photo_probe((const uint8_t *)"", 0, NULL, &p, &e), CLIP_E_FORMAT);
    assert_string_equal(e.text, "the file is empty");
}

static void formats_are_known_by_their_bytes(void **state)
{
    static const struct { const char *bytes; size_t n; clip_format format; } cases[] = {
        {"\xff\xd8\xff\xe0", 4, CLIP_FORMAT_JPEG},
        {"\x89PNG\r\n\x1a\n", 8, CLIP_FORMAT_PNG},
        {"\x89PNG\n\n\x1a\n", 8, CLIP_FORMAT_UNKNOWN},
        {"RIFF\1\2\3\4WEBPVP8 ", 16, CLIP_FORMAT_WEBP},
        {"RIFF\1\2\3\4WAVEfmt ", 16, CLIP_FORMAT_UNKNOWN},
        {"GIF89a", 6, CLIP_FORMAT_GIF},
        {"II*\0\x08\0\0\0\0\0", 10, CLIP_FORMAT_TIFF},
        {"MM\0*\0\0\0\x08\0\0", 10, CLIP_FORMAT_TIFF},
        {"II*\0\x10\0\0\0CR\2\0", 12, CLIP_FORMAT_RAW},
        {"\0\0\0\x18" "ftypheic\0\0\0\0mif1heic", 24, CLIP_FORMAT_HEIC},
        {"\0\0\0\x18" "ftypmif1\0\0\0\0mif1avif", 24, CLIP_FORMAT_AVIF},
        {"\0\0\0\x18" "ftypmif1\0\0\0\0miafheic", 24, CLIP_FORMAT_HEIC},
        {"\0\0\0\x18" "ftypavif\0\0\0\0mif1miaf", 24, CLIP_FORMAT_AVIF},
        {"\0\0\0\x18" "ftypisom\0\0\0\0isomiso2", 24, CLIP_FORMAT_UNKNOWN},
        {"%PDF-1.4", 8, CLIP_FORMAT_UNKNOWN},
        {"", 0, CLIP_FORMAT_UNKNOWN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        assert_int_equal(clip_format_sniff(bytes, cases[i].n), cases[i].format);
        for (size_t n = 0; n < cases[i].n; n++) { /* a beginning is no other format */
            clip_format f = clip_format_sniff(bytes, n);
            assert_true(f == CLIP_FORMAT_UNKNOWN || f == cases[i].format ||
                        (f == CLIP_FORMAT_TIFF && cases[i].format == CLIP_FORMAT_RAW) ||
                        (f == CLIP_FORMAT_HEIC && cases[i].format == CLIP_FORMAT_AVIF));
        }
    }
    assert_true(clip_format_supported(CLIP_FORMAT_JPEG));
    assert_true(clip_format_supported(CLIP_FORMAT_PNG));
    assert_false(clip_format_supported(CLIP_FORMAT_UNKNOWN));
    assert_string_equal(clip_format_name(CLIP_FORMAT_HEIC), "heic");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_whatever_its_offset),
        cmocka_unit_test(what_is_not_a_file_is_named_and_not_read),
        cmocka_unit_test(a_file_beyond_the_limit_takes_no_memory),
        cmocka_unit_test(a_closed_descriptor_is_an_error_that_says_so),
        cmocka_unit_test(an_empty_file_is_no_photo),
        cmocka_unit_test(formats_are_known_by_their_bytes),
    };
    return cmocka_run_group_tests_name("photo file", tests, NULL, NULL);
}
