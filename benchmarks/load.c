/* A load of HTTP/1.1 requests, as fast as they are answered or at a fixed rate.
 *
 *     load PORT CONNECTIONS RATE SECONDS FILE
 *
 * FILE has the requests, each after its length in four bytes, big end first; they are
 * sent in turns. Sixteen '#' in one are replaced by a number of its own each time.
 * RATE 0: each connection asks again as soon as it is answered. Else requests are due
 * at even intervals whatever becomes of those before them, and how long one took is
 * counted from when it was due, not from when a connection was free for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 8192, READ = 1 << 18, EVENTS = 1024 };

struct message { char *text, *mark; size_t size; };

struct connection {
    int fd, busy, more;         /* more: waits until it can write on */
    double due;
    const char *out;
    size_t left;
    char head[HEAD + 1];
    size_t have;
    long body;                  /* bytes of it still to come; -1: still in the head */
};

static struct message *messages;
static size_t count, sent, done, wrong, broken, slots;
static float *took;
static int port, polls;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void load_messages(const char *path)
{
    unsigned char size[4];
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    while (fread(size, 1, 4, file) == 4) {
        struct message *m;
        messages = realloc(messages, (count + 1) * sizeof *messages);
        m = &messages[count++];
        m->size = (size_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
        m->text = malloc(m->size + 1);
        if (fread(m->text, 1, m->size, file) != m->size) fail("a message is cut off");
        m->text[m->size] = 0;
        m->mark = strstr(m->text, "################");
    }
    fclose(file);
    if (!count) fail("no message");
}

static void watch(struct connection *c, int how, unsigned events)
{
    struct epoll_event e = { .events = events, .data.ptr = c };
    if (epoll_ctl(polls, how, c->fd, &e)) fail("epoll_ctl");
}

static void dial(struct connection *c)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof at)) fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->busy = c->more = 0;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void push(struct connection *c)
{
    while (c->left) {
        ssize_t n = send(c->fd, c->out, c->left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) break; /* Its end will be read. */
            if (!c->more) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->more = 1;
            return;
        }
        c->out += n;
        c->left -= n;
    }
    if (c->more) watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->more = 0;
}

static void ask(struct connection *c, double due)
{
    struct message *m = &messages[sent % count];
    char number[17];
    if (m->mark) {
        snprintf(number, sizeof number, "%016zx", sent);
        memcpy(m->mark, number, 16);
    }
    sent++;
    c->busy = 1;
    c->due = due;
    c->out = m->text;
    c->left = m->size;
    c->have = 0;
    c->body = -1;
    push(c);
}

/* Take bytes of an answer; say whether that was all of it. */
static int take(struct connection *c, const char *data, size_t size)
{
    while (c->body < 0 && size) {
        size_t fits = HEAD - c->have < size ? HEAD - c->have : size, used;
        char *end, *field;
        memcpy(c->head + c->have, data, fits);
        c->head[c->have + fits] = 0;
        end = strstr(c->head, "\r\n\r\n");
        if (!end) {
            c->have += fits;
            if (c->have == HEAD) fail("an answer's head is too long");
            return 0;
        }
        used = end + 4 - c->head - c->have;
        data += used;
        size -= used;
        end[2] = 0;
        field = strcasestr(c->head, "\r\nContent-Length:");
        if (!field) { fprintf(stderr, "no Content-Length in %s", c->head); exit(1); }
        c->body = atol(field + 17);
        if (c->head[9] != '2') wrong++;
    }
    c->body -= size;
    return c->body == 0;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double share(double part)
{
    size_t kept = done < slots ? done : slots;
    return kept ? took[(size_t)(part * (kept - 1))] * 1e6 : 0;
}

int main(int argc, char **argv)
{
    static char data[READ];
    static struct epoll_event events[EVENTS];
    struct rlimit files;
    struct connection *all, **idle;
    int each, connections, free_ones;
    double rate, seconds, begun, until, due, at;

    if (argc != 6) { fputs("PORT CONNECTIONS RATE SECONDS FILE\n", stderr); return 2; }
    port = atoi(argv[1]);
    connections = atoi(argv[2]);
    rate = atof(argv[3]);
    seconds = atof(argv[4]);
    load_messages(argv[5]);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1UL);
    slots = (size_t)(seconds * (rate > 0 ? rate * 1.1 : 200000)) + 1000;
    took = malloc(slots * sizeof *took);
    all = calloc(connections, sizeof *all);
    idle = calloc(connections, sizeof *idle);
    polls = epoll_create1(0);
    for (each = 0; each < connections; each++) {
        dial(&all[each]);
        idle[each] = &all[each];
    }
    free_ones = connections;
    begun = due = now();
    until = begun + seconds;
    if (rate <= 0)
        while (free_ones) ask(idle[--free_ones], begun);
    for (at = begun; at < until; at = now()) {
        double wait_s = until - at;
        struct timespec wait;
        int got;
        if (rate > 0) {
            while (free_ones && due <= at) {
                ask(idle[--free_ones], due);
                due += 1 / rate;
            }
            if (free_ones && due - at < wait_s) wait_s = due > at ? due - at : 0;
        }
        wait.tv_sec = wait_s;
        wait.tv_nsec = (wait_s - wait.tv_sec) * 1e9;
        got = epoll_pwait2(polls, events, EVENTS, &wait, NULL);
        if (got < 0 && errno != EINTR) fail("epoll_pwait2");
        for (each = 0; each < got; each++) {
            struct connection *c = events[each].data.ptr;
            ssize_t n;
            if (events[each].events & EPOLLOUT) push(c);
            if (!(events[each].events & ~EPOLLOUT)) continue;
            n = recv(c->fd, data, READ, MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) continue;
            if (n <= 0) {
                int asked = c->busy;
                broken += asked;
                close(c->fd);
                dial(c);
                if (!asked) continue; /* It is among the idle still. */
            } else if (!c->busy) {
                fail("an answer that nobody asked for");
            } else if (!take(c, data, n)) {
                continue;
            } else {
                at = now();
                if (done < slots) took[done] = at - c->due;
                done++;
            }
            c->busy = 0;
            if (rate <= 0) ask(c, at);
            else idle[free_ones++] = c;
        }
    }
    qsort(took, done < slots ? done : slots, sizeof *took, by_size);
    printf("{\"requests\": %zu, \"seconds\": %.6f, \"wrong\": %zu, \"broken\": %zu, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           done, at - begun, wrong, broken, share(0.5), share(0.99));
    return 0;
}
