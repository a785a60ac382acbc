/* hub_server.c: a hub of our own on the loopback, as well-behaved or as bad as a story wants it.
 *
 *     hub_server DIR          serves DIR/OWNER/REPO/FILE as /OWNER/REPO/resolve/REVISION/FILE and as /other/OWNER/REPO/FILE;
 *                             writes its port into DIR/port; ends when its standard input does
 *
 * As a proxy it is asked for whole addresses, and answers as the host in them.
 *
 * Each request is a line of DIR/log: FILE RANGE-OR-dash TOKEN-OR-dash HOST. *.safetensors have X-Linked-Etag (SHA-256), other
 * files the git blob's SHA-1 as ETag, as the hub has it. DIR/rules changes that; each line is used N times, then the next one
 * of that file:
 *     FILE N status CODE      answer CODE (429 with Retry-After: 1)
 *     FILE N break BYTES      hang up after so many bytes
 *     FILE N stall BYTES      say nothing more after so many bytes
 *     FILE N norange 0        ignore the range
 *     FILE N long BYTES       announce so many bytes more than are sent
 *     FILE N short BYTES      announce so many bytes fewer
 *     FILE N flip 0           one byte is wrong
 *     FILE N slow MS          ten pieces, with a rest after each
 *     FILE N redirect 0       to /other, under another name of this host
 *     FILE N loop 0           to itself */
#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RULES = 32 };
typedef struct rule { char file[64], what[16]; int left; long value; } rule;
static rule rules[RULES];
static const char *dir;
static int port;

static void read_rules(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/rules", dir);
    FILE *f = fopen(path, "r");
    for (int i = 0; f && i < RULES; i++)
        if (fscanf(f, "%63s %d %15s %ld", rules[i].file, &rules[i].left, rules[i].what, &rules[i].value) != 4) break;
    if (f) fclose(f);
}

static const rule *rule_for(const char *file)
{
    static const rule none = {.what = ""};
    for (int i = 0; i < RULES; i++)
        if (rules[i].left > 0 && strcmp(rules[i].file, file) == 0) return rules[i].left--, &rules[i];
    return &none;
}

static void say(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t w = write(fd, bytes, n);
        if (w <= 0) return;
        bytes += w;
        n -= (size_t)w;
    }
}

static void answer(int fd, const char *head) { say(fd, head, strlen(head)); }

static char *load(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *bytes = malloc(64 << 20);
    *n = bytes ? fread(bytes, 1, 64 << 20, f) : 0;
    fclose(f);
    return bytes;
}

static void check_value(const char *file, const char *bytes, size_t n, char *out, size_t room)
{
    uint8_t digest[32];
    char hex[65], head[40];
    size_t m = strlen(file);
    int large = m > 12 && strcmp(file + m - 12, ".safetensors") == 0, length = large ? 32 : 20;
    struct sha256_ctx a;
    struct sha1_ctx b;
    sha256_init(&a);
    sha256_update(&a, n, (const uint8_t *)bytes);
    sha1_init(&b);
    sha1_update(&b, (size_t)snprintf(head, sizeof head, "blob %zu", n) + 1, (const uint8_t *)head);
    sha1_update(&b, n, (const uint8_t *)bytes);
    if (large) sha256_digest(&a, 32, digest);
    else sha1_digest(&b, 20, digest);
    for (int i = 0; i < length; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (large) snprintf(out, room, "X-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\nETag: \"other\"\r\n", hex, n);
    else snprintf(out, room, "ETag: \"%s\"\r\n", hex);
}

/* The value of a header, or "-". */
static void header(const char *request, const char *name, char *out, size_t room)
{
    const char *p = strcasestr(request, name);
    snprintf(out, room, "-");
    if (!p) return;
    p += strlen(name);
    size_t n = strcspn(p, "\r\n");
    snprintf(out, room, "%.*s", (int)n, p);
}

static void send_file(int fd, const char *file, char *bytes, size_t n, const char *range, const rule *r, const char *check)
{
    char head[1024];
    size_t from = 0;
    int partial = sscanf(range, "bytes=%zu-", &from) == 1 && strcmp(r->what, "norange") != 0;
    if (!partial) from = 0;
    if (partial && from >= n) {
        answer(fd, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    size_t count = n - from, told = count, sent = count;
    if (strcmp(r->what, "long") == 0) told += (size_t)r->value;
    if (strcmp(r->what, "short") == 0) told -= (size_t)r->value;
    if (!strcmp(r->what, "break") || !strcmp(r->what, "stall")) sent = (size_t)r->value < count ? (size_t)r->value : count;
    if (strcmp(r->what, "flip") == 0) bytes[n / 2] ^= 1;
    int m = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s"
                     "X-Repo-Commit: 0123456789012345678901234567890123456789\r\n", partial ? "206 Partial Content" : "200 OK", told, check);
    if (partial) m += snprintf(head + m, sizeof head - (size_t)m, "Content-Range: bytes %zu-%zu/%zu\r\n", from, n - 1, n);
    snprintf(head + m, sizeof head - (size_t)m, "\r\n");
    answer(fd, head);
    for (size_t at = 0, piece = sent / 10 + 1; strcmp(r->what, "slow") == 0 && at < sent; at += piece) {
        say(fd, bytes + from + at, piece < sent - at ? piece : sent - at);
        usleep((useconds_t)r->value * 1000);
    }
    if (strcmp(r->what, "slow") != 0) say(fd, bytes + from, sent);
    if (strcmp(r->what, "stall") == 0) sleep(60);
}

static void serve(int fd, const char *request, const rule *r, const char *file, const char *path, const char *range)
{
    char head[1024], check[256] = "";
    size_t n = 0;
    char *bytes = load(path, &n);
    if (strcmp(r->what, "status") == 0 || !bytes) {
        snprintf(head, sizeof head, "HTTP/1.1 %ld No\r\n%sConnection: close\r\nContent-Length: 3\r\n\r\nno\n", bytes ? r->value : 404,
                 r->value == 429 ? "Retry-After: 1\r\n" : "");
        answer(fd, head);
    } else if (strcmp(r->what, "loop") == 0) {
        snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: %.*s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                 (int)strcspn(request + 4, " "), request + 4);
        answer(fd, head);
    } else if (strcmp(r->what, "redirect") == 0) {
        check_value(file, bytes, n, check, sizeof check);
        snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: http://localhost:%d/other%s\r\n%sConnection: close\r\n"
                 "Content-Length: 5\r\n\r\nmoved", port, path + strlen(dir), check);
        answer(fd, head);
    } else {
        if (strncmp(request, "GET /other/", 11) != 0) check_value(file, bytes, n, check, sizeof check);
        send_file(fd, file, bytes, n, range, r, check);
    }
    free(bytes);
}

static void handle(int fd, char *request)
{
    char owner[200], repo[200], file[200], revision[200], path[4096], range[64], token[100], host[100];
    char *whole = strncmp(request, "GET http://", 11) == 0 ? strchr(request + 11, '/') : NULL;
    if (whole) memmove(request + 4, whole, strlen(whole) + 1);
    if (sscanf(request, "GET /other/%199[^/]/%199[^/]/%199[^ ]", owner, repo, file) != 3 &&
        sscanf(request, "GET /%199[^/]/%199[^/]/resolve/%199[^/]/%199[^ ]", owner, repo, revision, file) != 4) {
        answer(fd, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    header(request, "\nRange: ", range, sizeof range);
    header(request, "\nAuthorization: Bearer ", token, sizeof token);
    header(request, "\nHost: ", host, sizeof host);
    snprintf(path, sizeof path, "%s/log", dir);
    FILE *log = fopen(path, "a");
    if (log) fprintf(log, "%s %s %s %s\n", file, range, token, host), fclose(log);
    snprintf(path, sizeof path, "%s/%s/%s/%s", dir, owner, repo, file);
    const rule *r = rule_for(file);
    if (fork() == 0) { /* a stalled answer must not hold up the others */
        serve(fd, request, r, file, path, range);
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    char path[4096], request[8192];
    if (argc != 2) return 2;
    dir = argv[1];
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    read_rules();
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || bind(s, (struct sockaddr *)&here, size) || listen(s, 16) || getsockname(s, (struct sockaddr *)&here, &size))
        return perror("hub_server"), 2;
    port = ntohs(here.sin_port);
    snprintf(path, sizeof path, "%s/port.new", dir);
    FILE *f = fopen(path, "w");
    if (!f) return 2;
    fprintf(f, "%d\n", port);
    fclose(f);
    char final[4096];
    snprintf(final, sizeof final, "%s/port", dir);
    if (rename(path, final)) return 2;
    for (;;) {
        struct pollfd wait[2] = {{.fd = s, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        if (poll(wait, 2, 120000) <= 0 || wait[1].revents) return 0;
        int fd = accept(s, NULL, NULL);
        if (fd < 0) continue;
        size_t n = 0;
        ssize_t r = 0;
        for (request[0] = 0; n < sizeof request - 1 && !strstr(request, "\r\n\r\n"); request[n] = 0) {
            if ((r = read(fd, request + n, sizeof request - 1 - n)) <= 0) break;
            n += (size_t)r;
        }
        if (r > 0) handle(fd, request);
        close(fd);
    }
}
