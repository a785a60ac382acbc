/* bench_cold.c: what a command costs from a fresh process on.
 *
 *   bench_cold [-n RUNS] [-d] COMMAND ARG...
 *
 * Runs the command RUNS times (default 25), once more beforehand, and prints: median and best milliseconds from fork to exit,
 * median processor time in milliseconds, the largest resident set in MB. "%" in an argument becomes a word that no run has
 * had before, so that `search "a dog %"` is never answered from memory. -d drops the page cache before each run (root). Output
 * of the command goes to /dev/null; a status above 1 ends the program. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct run { double wall, cpu; long kb; } run;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void drop_pages(void)
{
    sync();
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
    if (fd < 0 || write(fd, "3", 1) != 1) exit((perror("/proc/sys/vm/drop_caches"), 2));
    close(fd);
}

static char *fresh(const char *argument, const char *word)
{
    const char *at = strchr(argument, '%');
    char *out = NULL;
    if (!at) return strdup(argument);
    return asprintf(&out, "%.*s%s%s", (int)(at - argument), argument, word, at + 1) < 0 ? NULL : out;
}

static void child(char **argv, int number)
{
    char word[64];
    snprintf(word, sizeof word, "%d %d", (int)getppid(), number);
    for (char **a = argv; *a; a++) *a = fresh(*a, word);
    int fd = open("/dev/null", O_WRONLY);
    if (fd >= 0) dup2(fd, STDOUT_FILENO);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

static run measure(char **argv, int number, int drop)
{
    struct rusage u;
    int status;
    if (drop) drop_pages();
    double start = now();
    pid_t pid = fork();
    if (!pid) child(argv, number);
    if (pid < 0 || wait4(pid, &status, 0, &u) < 0) exit((perror("fork"), 2));
    run r = {.wall = now() - start, .kb = u.ru_maxrss};
    r.cpu = 1e3 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) exit((fprintf(stderr, "%s failed\n", argv[0]), 2));
    return r;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int n = 25, drop = 0;
    for (int c; (c = getopt(argc, argv, "+n:d")) != -1;) {
        if (c == 'n') n = atoi(optarg);
        else if (c == 'd') drop = 1;
        else return 2;
    }
    if (optind == argc || n < 1) return fprintf(stderr, "bench_cold [-n RUNS] [-d] COMMAND ARG...\n"), 2;
    double *wall = calloc((size_t)n, sizeof *wall), *cpu = calloc((size_t)n, sizeof *cpu);
    long kb = 0;
    if (!wall || !cpu) return 2;
    measure(argv + optind, 0, 0);
    for (int i = 0; i < n; i++) {
        run r = measure(argv + optind, i + 1, drop);
        wall[i] = r.wall, cpu[i] = r.cpu;
        if (r.kb > kb) kb = r.kb;
    }
    qsort(wall, (size_t)n, sizeof *wall, ascending);
    qsort(cpu, (size_t)n, sizeof *cpu, ascending);
    printf("%.1f\t%.1f\t%.1f\t%ld\n", wall[n / 2], wall[0], cpu[n / 2], kb >> 10);
    free(wall);
    free(cpu);
    return 0;
}
