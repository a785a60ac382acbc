/* writer.c: one writer at a time, by a lock on "photos.db.lock".
 *
 * SQLite's own write lock would do for safety, but its holder is unknown and a second `index` would only learn "database is
 * locked" in the middle of its work. flock goes with the process, so that a kill leaves nothing to clean up; the file's
 * text (process, start) is for the message alone and the file is never removed, because removing a lock file races. */
#include "store/library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static store_status cannot(const char *lock, store_error *err)
{
    if (errno == EROFS || errno == EACCES || errno == EPERM)
        return store_fail(err, STORE_E_READONLY, "%s: cannot be written (%s): the library can be searched but not changed; "
                          "check the permissions of its folder, or name another file with --db", lock, strerror(errno));
    if (errno == ENOSPC || errno == EDQUOT)
        return store_fail(err, STORE_E_FULL, "%s: no space left on the disk: free some and try again", lock);
    return store_fail(err, STORE_E_IO, "%s: %s", lock, strerror(errno));
}

static void sign(int fd)
{
    char text[96], since[32];
    time_t t = time(NULL);
    struct tm tm;
    strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    int n = snprintf(text, sizeof text, "process %ld, since %s\n", (long)getpid(), since);
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n) return; /* only the message will be poorer */
}

static void who(int fd, const char *library, char *line, size_t room)
{
    char text[96];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
    snprintf(line, room, "%s: another clipsearch is writing to this library (%s)", library, *text ? text : "just started");
}

store_status writer_lock(const char *library, double seconds, void (*waiting)(const char *, void *), void *ctx, int *fd,
                         store_error *err)
{
    char lock[4200], line[4400];
    snprintf(lock, sizeof lock, "%s.lock", library);
    int f = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (f < 0) return cannot(lock, err);
    double end = now() + seconds;
    for (bool told = false; flock(f, LOCK_EX | LOCK_NB);) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            store_status st = cannot(lock, err);
            close(f);
            return st;
        }
        who(f, library, line, sizeof line);
        if (seconds >= 0 && now() >= end) {
            close(f);
            return store_fail(err, STORE_E_BUSY, "%.400s: wait for it to finish, or stop it", line);
        }
        if (!told && waiting) waiting(line, ctx);
        told = true;
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
    sign(f);
    *fd = f;
    return STORE_OK;
}

/* A reader where no log can be shared: *fd is -1 when there is nothing to lock (a medium without a lock file). */
store_status writer_exclude(const char *library, int *fd, store_error *err)
{
    char lock[4200], line[4400];
    snprintf(lock, sizeof lock, "%s.lock", library);
    *fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0 || !flock(*fd, LOCK_SH | LOCK_NB)) return STORE_OK;
    who(*fd, library, line, sizeof line);
    close(*fd);
    *fd = -1;
    return store_fail(err, STORE_E_BUSY, "%.400s, and on a network file system it cannot be searched meanwhile: wait for it "
                      "to finish, or keep the library on a local disk with --db", line);
}

void writer_unlock(int fd)
{
    if (fd >= 0) close(fd);
}
