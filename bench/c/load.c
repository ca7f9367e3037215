/* HTTP/1.1 load from one thread: as many connections as are asked for, each with one request at a time.
 *
 * load -p PORT -c CONNECTIONS [-r RATE] [-w WARM-UP SECONDS] [-d SECONDS | -n REQUESTS] [-u PATH]
 *      [-m METHOD] [-b BODY] [-H "name: value\nname: value\n"]
 *
 * Without a rate each connection asks again as soon as it is answered (closed loop). With one, requests are sent on
 * time whatever the server does, and latency counts from when a request was due (open loop). In the body
 * UUUUUUUUUUUU becomes a number of this request alone, and TTTTTTTTTTTTTTTTTTT the time in nanoseconds of the
 * monotonic clock. Prints one line of JSON; events are those of streams, `data:` lines.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL
#define MOST_SAMPLES 8000000
#define UNTIL_CLOSE (1L << 60)

enum chunked { SIZE, DATA, DATA_END, LAST_END };

typedef struct {
    int fd, busy, in_head, head_length, status, closes, chunked, matched;
    enum chunked phase;
    long left; /* of the body, or of the chunk */
    int64_t sent, first_byte;
    char head[8192];
} Connection;

static int port = 8000, connections = 64, poller;
static double seconds = 5, rate = 0, warm_up = 0;
static long wanted = 0;
static const char *method = "POST", *path = "/", *body = "{}", *headers = "";
static char request[1 << 20];
static int request_length;
static char *unique, *stamp;

static double *latencies, *first_bytes;
static long samples, issued, done, failed, not_2xx, events, reconnects;
static int64_t measure_from, measure_until;
static Connection **idle;
static int idle_count;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * BILLION + t.tv_nsec;
}

static int measured(int64_t t) { return t >= measure_from && t <= measure_until; }

static void open_connection(Connection *c) {
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (c->fd > 0) close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (void *)&address, sizeof address)) {
        perror("load: connect");
        exit(2);
    }
    struct epoll_event event = {EPOLLIN, {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    c->busy = 0;
}

static void send_request(Connection *c, int64_t due) {
    char number[24];
    c->busy = c->in_head = 1;
    c->head_length = c->chunked = c->closes = c->matched = 0;
    c->phase = SIZE;
    c->left = -1;
    c->first_byte = 0;
    c->sent = due;
    issued++;
    if (unique) {
        snprintf(number, sizeof number, "%04d%08ld", (int)getpid() % 10000, issued % 100000000L);
        memcpy(unique, number, 12);
    }
    if (stamp) {
        snprintf(number, sizeof number, "%019lld", (long long)due);
        memcpy(stamp, number, 19);
    }
    if (send(c->fd, request, request_length, MSG_NOSIGNAL) != request_length) failed++;
}

static void answered(Connection *c, int whole) {
    int64_t t = now();
    c->busy = 0;
    if (measured(t)) {
        if (whole) {
            if (samples < MOST_SAMPLES) {
                latencies[samples] = (t - c->sent) / 1e3;
                first_bytes[samples++] = ((c->first_byte ? c->first_byte : t) - c->sent) / 1e3;
            }
            done++;
            if (c->status / 100 != 2) not_2xx++;
        } else
            failed++;
    }
    if (!whole || c->closes) {
        open_connection(c);
        reconnects++;
    }
    if (rate > 0)
        idle[idle_count++] = c;
    else if (!wanted || issued < wanted)
        send_request(c, now());
}

static void count_events(Connection *c, const char *data, long length) {
    static const char field[] = "data:";
    if (!c->first_byte && length) c->first_byte = now();
    for (long i = 0; i < length; i++) {
        if (data[i] != field[c->matched])
            c->matched = data[i] == 'd';
        else if (++c->matched == 5) {
            c->matched = 0;
            if (measured(now())) events++;
        }
    }
}

/* Reads the head as far as it has come; returns how many bytes it used, or -1 if it never ends. */
static long take_head(Connection *c, const char *data, long length) {
    long room = (long)sizeof c->head - 1 - c->head_length, taken = length < room ? length : room;
    int before = c->head_length;
    char *end, *field;
    if (!taken) return -1;
    memcpy(c->head + before, data, taken);
    c->head_length += taken;
    c->head[c->head_length] = 0;
    if (!(end = strstr(c->head, "\r\n\r\n"))) return taken;
    end[2] = 0;
    c->in_head = 0;
    c->status = atoi(c->head + 9);
    if ((field = strcasestr(c->head, "\ncontent-length:"))) c->left = atol(field + 16);
    if (strcasestr(c->head, "\ntransfer-encoding: chunked")) c->chunked = 1, c->left = 0;
    if (strcasestr(c->head, "\nconnection: close")) c->closes = 1;
    if (c->left < 0) c->left = UNTIL_CLOSE, c->closes = 1;
    return end - c->head + 4 - before;
}

/* Reads chunks; returns how many bytes it used. Sets `*whole` at the end of the body. */
static long take_chunks(Connection *c, const char *data, long length, int *whole) {
    long used = 0;
    while (used < length && !*whole) {
        char byte = data[used];
        if (c->phase == DATA) {
            long part = length - used < c->left ? length - used : c->left;
            count_events(c, data + used, part);
            used += part;
            if (!(c->left -= part)) c->phase = DATA_END;
            continue;
        }
        used++;
        if (c->phase == SIZE && byte != '\n' && byte != '\r')
            c->left = c->left * 16 + (byte <= '9' ? byte - '0' : (byte | 32) - 'a' + 10);
        if (byte != '\n') continue;
        if (c->phase == SIZE)
            c->phase = c->left ? DATA : LAST_END;
        else if (c->phase == DATA_END)
            c->phase = SIZE, c->left = 0;
        else
            *whole = 1;
    }
    return used;
}

static void receive(Connection *c, const char *data, long length) {
    int whole = 0;
    while (length > 0 && !whole) {
        long used;
        if (c->in_head) {
            if ((used = take_head(c, data, length)) < 0) {
                answered(c, 0);
                return;
            }
            whole = !c->in_head && !c->chunked && !c->left;
        } else if (c->chunked)
            used = take_chunks(c, data, length, &whole);
        else {
            used = length < c->left ? length : c->left;
            count_events(c, data, used);
            whole = !(c->left -= used);
        }
        data += used;
        length -= used;
    }
    if (whole) answered(c, 1);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double at(const double *sorted, double share) { return samples ? sorted[(long)((samples - 1) * share)] : 0; }

static void print(double elapsed) {
    qsort(latencies, samples, sizeof *latencies, ascending);
    qsort(first_bytes, samples, sizeof *first_bytes, ascending);
    printf("{\"rate\":%.1f,\"done\":%ld,\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f,"
           "\"first_byte_p50_us\":%.0f,\"first_byte_p99_us\":%.0f,\"events_per_second\":%.0f,\"not_2xx\":%ld,"
           "\"failed\":%ld,\"reconnects\":%ld,\"seconds\":%.3f}\n",
           done / elapsed, done, at(latencies, .5), at(latencies, .9), at(latencies, .99), at(latencies, 1),
           at(first_bytes, .5), at(first_bytes, .99), events / elapsed, not_2xx, failed, reconnects, elapsed);
}

static void build_request(void) {
    char lines[8192], *out = lines;
    for (const char *in = headers; *in && out < lines + sizeof lines - 3; in++) {
        if (in[0] == '\\' && in[1] == 'n')
            *out++ = '\r', *out++ = '\n', in++;
        else
            *out++ = *in;
    }
    *out = 0;
    request_length = snprintf(request, sizeof request,
                              "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                              "%sContent-Length: %zu\r\n\r\n%s",
                              method, path, port, lines, strlen(body), body);
    unique = strstr(request, "UUUUUUUUUUUU");
    stamp = strstr(request, "TTTTTTTTTTTTTTTTTTT");
}

static void read_options(int count, char **words) {
    for (int i = 1; i + 1 < count; i += 2) {
        const char *value = words[i + 1];
        switch (words[i][1]) {
        case 'p': port = atoi(value); break;
        case 'c': connections = atoi(value); break;
        case 'r': rate = atof(value); break;
        case 'w': warm_up = atof(value); break;
        case 'd': seconds = atof(value); break;
        case 'n': wanted = atol(value); break;
        case 'u': path = value; break;
        case 'm': method = value; break;
        case 'b': body = value; break;
        case 'H': headers = value; break;
        default: fprintf(stderr, "load: unknown option %s\n", words[i]); exit(2);
        }
    }
}

/* Sends what is due; returns the nanoseconds until the next is. */
static int64_t send_due(int64_t began, long *sent) {
    for (;;) {
        int64_t due = began + (int64_t)(*sent * (double)BILLION / rate), t = now();
        if (due > t) return due - t;
        if (!idle_count) return BILLION / 1000;
        if (wanted && issued >= wanted) return BILLION / 20;
        send_request(idle[--idle_count], due);
        ++*sent;
    }
}

int main(int count, char **words) {
    static char buffer[1 << 17];
    struct epoll_event ready[256];
    struct rlimit files;
    long sent = 0;
    read_options(count, words);
    build_request();
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(0);
    latencies = malloc(MOST_SAMPLES * sizeof *latencies);
    first_bytes = malloc(MOST_SAMPLES * sizeof *first_bytes);
    Connection *all = calloc(connections, sizeof *all);
    idle = calloc(connections, sizeof *idle);
    for (int i = 0; i < connections; i++) open_connection(&all[i]);
    int64_t began = now();
    measure_from = began + (int64_t)(warm_up * BILLION);
    measure_until = measure_from + (int64_t)(seconds * BILLION);
    for (int i = 0; i < connections; i++) {
        if (rate > 0)
            idle[idle_count++] = &all[i];
        else if (!wanted || issued < wanted)
            send_request(&all[i], now());
    }
    while (now() <= measure_until && !(wanted && done + failed >= wanted)) {
        int64_t patience = rate > 0 ? send_due(began, &sent) : BILLION / 20;
        struct timespec wait = {0, patience < BILLION / 20 ? patience : BILLION / 20};
        int found = epoll_pwait2(poller, ready, 256, &wait, NULL);
        for (int i = 0; i < found; i++) {
            Connection *c = ready[i].data.ptr;
            ssize_t length = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (length < 0 && errno == EAGAIN) continue;
            if (length > 0) {
                if (c->busy) receive(c, buffer, length);
            } else if (c->busy)
                answered(c, !c->in_head && c->left > UNTIL_CLOSE / 2);
            else {
                open_connection(c);
                reconnects++;
            }
        }
    }
    double elapsed = (now() - measure_from) / (double)BILLION;
    print(elapsed < seconds ? elapsed : seconds);
    return 0;
}
