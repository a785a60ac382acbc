/* fuzz_replay.c: runs a fuzz target over its seeds without libFuzzer, so that every ordinary test run replays them.
 *
 *   fuzz_NAME_replay [--mutations N] FILE|FOLDER...
 *
 * Each seed is tried whole, cut short at a number of places, and N times with a few bytes changed; the changes follow from the
 * seed's bytes alone, so a failure comes back on every run. Each input sits in an allocation of exactly its size, where a
 * sanitizer sees the first byte read beyond it. When the target dies, the input is left in fuzz-failure.bin, which
 * the libFuzzer build of the same target takes as an argument.
 *
 * Output is TAP: one case for each seed. */
#include "tests/made_numbers.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum { SECONDS_FOR_ONE_INPUT = 20, TRUNCATIONS = 24 };

static const uint8_t *current;
static size_t current_size;
static char current_name[4096];

/* Only calls that a signal handler may make. */
static void leave_the_input(void)
{
    static const char text[] = "\n# died on this input, kept in fuzz-failure.bin: ";
    int fd = open("fuzz-failure.bin", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, current, current_size) < 0 || write(1, text, sizeof text - 1) < 0 ||
        write(1, current_name, strlen(current_name)) < 0 || write(1, "\n", 1) < 0)
        return;
    close(fd);
}

static void on_signal(int sig)
{
    leave_the_input();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void try_input(const uint8_t *bytes, size_t size, const char *name, const char *how, int number)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        exit(2);
    if (size)
        memcpy(exact, bytes, size);
    current = exact;
    current_size = size;
    snprintf(current_name, sizeof current_name, "%s, %s %d", name, how, number);
    alarm(SECONDS_FOR_ONE_INPUT);
    /* An empty input still needs an address; one byte of slack there is the price. */
    LLVMFuzzerTestOneInput(exact, size);
    alarm(0);
    free(exact);
}

/* Bytes that parsers trip over: limits of signed and unsigned fields, structure characters. */
static uint8_t nasty_byte(uint64_t r)
{
    static const uint8_t nasty[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '}', '[', '\\', '-', '9'};
    return r & 1 ? (uint8_t)(r >> 8) : nasty[(r >> 8) % sizeof nasty];
}

static void mutate(uint8_t *bytes, size_t size, uint64_t *state)
{
    size_t changes = 1 + made_bits(state) % 8;
    for (size_t i = 0; i < changes && size; i++) {
        uint64_t r = made_bits(state);
        /* Headers decide: every second change falls into the first 256 bytes. */
        size_t reach = r & 2 && size > 256 ? 256 : size;
        bytes[made_bits(state) % reach] = nasty_byte(r >> 2);
    }
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *bytes = NULL;
    if (f && fstat(fileno(f), &st) == 0 && (bytes = malloc((size_t)st.st_size + 1)))
        *size = fread(bytes, 1, (size_t)st.st_size, f);
    if (f)
        fclose(f);
    return bytes;
}

static int cases;

static void replay_file(const char *path, int mutations)
{
    size_t size = 0;
    uint8_t *seed = read_file(path, &size), *copy = malloc(size + 1);
    if (!seed || !copy) {
        printf("not ok %d - %s: cannot be read\n", ++cases, path);
        exit(1);
    }
    try_input(seed, size, path, "whole", 0);
    for (int i = 0; i < TRUNCATIONS && mutations; i++)
        try_input(seed, size * (size_t)i / TRUNCATIONS, path, "truncation", i);
    uint64_t state = size;
    for (size_t i = 0; i < size; i++)
        state = state * 31 + seed[i];
    for (int i = 0; i < mutations; i++) {
        memcpy(copy, seed, size);
        mutate(copy, size, &state);
        try_input(copy, size, path, "mutation", i);
    }
    free(seed);
    free(copy);
    const char *name = strrchr(path, '/');
    printf("ok %d - %s\n", ++cases, name ? name + 1 : path);
    fflush(stdout);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void replay_folder(const char *path, int mutations)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay_file(file, mutations);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    int mutations = 0;
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(leave_the_input);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        signal(deadly[i], on_signal);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (!strcmp(argv[i], "--mutations") && i + 1 < argc)
            mutations = atoi(argv[++i]);
        else if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            replay_folder(argv[i], mutations);
        else
            replay_file(argv[i], mutations);
    }
    printf("1..%d\n", cases);
    return cases ? 0 : 1; /* a target without seeds proves nothing */
}
