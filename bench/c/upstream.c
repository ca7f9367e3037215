/* A scripted LLM and a receiver of callbacks, from one thread: upstream PORT
 *
 * A request for a model named fake-d<DELAY ms>c<CHUNKS>i<MICROSECONDS> is answered after the delay, or streamed if it
 * asks for that: so many chunks, so far apart. Any other POST is a callback, answered with 200 at once.
 * GET /stats shows what came since the last time it was asked for, and counts anew. A callback whose body has
 * "sent":"<NANOSECONDS>", by the monotonic clock, counts in its latencies.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL
#define MOST_FILES 65000
#define MOST_SAMPLES 4000000
#define LATE (BILLION / 20) /* a stream that fell behind by more is not caught up with */

typedef struct {
    int fd, busy, streams, begun, interval, chunks, left;
    unsigned generation;
    int64_t due;
    char *in, *out;
    int in_length, in_room, out_from, out_length, out_room;
} Connection;

typedef struct {
    int64_t at;
    int fd;
    unsigned generation;
} Timer;

static Connection *by_file[MOST_FILES];
static Timer *heap;
static int heap_length, heap_room, poller;
static unsigned generations;

static long calls, callbacks, samples;
static int in_flight, most_in_flight;
static int64_t first_callback, last_callback;
static double *latencies;

static char whole[2048];
static int whole_length;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * BILLION + t.tv_nsec;
}

static void add_timer(Timer timer) {
    if (heap_length == heap_room) heap = realloc(heap, (heap_room = heap_room ? heap_room * 2 : 1024) * sizeof *heap);
    int i = heap_length++;
    for (; i && heap[(i - 1) / 2].at > timer.at; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = timer;
}

static Timer take_timer(void) {
    Timer first = heap[0], last = heap[--heap_length];
    int i = 0;
    for (int child; (child = 2 * i + 1) < heap_length; i = child) {
        if (child + 1 < heap_length && heap[child + 1].at < heap[child].at) child++;
        if (heap[child].at >= last.at) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return first;
}

static void drop(Connection *c) {
    if (c->busy) in_flight--;
    by_file[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void await(Connection *c, unsigned what) {
    struct epoll_event event = {what, {.fd = c->fd}};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

/* All of these return -1 when the connection is to be dropped. */
static int put(Connection *c, const char *data, int length) {
    if (c->out_from == c->out_length) {
        c->out_from = c->out_length = 0;
        ssize_t sent = send(c->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return -1;
        if (sent > 0) data += sent, length -= sent;
    }
    if (!length) return 0;
    if (c->out_length + length > c->out_room) c->out = realloc(c->out, c->out_room = (c->out_length + length) * 2);
    memcpy(c->out + c->out_length, data, length);
    c->out_length += length;
    await(c, EPOLLIN | EPOLLOUT);
    return 0;
}

static int flush(Connection *c) {
    ssize_t sent = send(c->fd, c->out + c->out_from, c->out_length - c->out_from, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? 0 : -1;
    c->out_from += sent;
    if (c->out_from == c->out_length) {
        c->out_from = c->out_length = 0;
        await(c, EPOLLIN);
    }
    return 0;
}

static int take_request(Connection *c);

static int finish(Connection *c) {
    c->busy = 0;
    in_flight--;
    return c->in_length ? take_request(c) : 0;
}

static int chunk(char *out, const char *event) {
    return sprintf(out, "%zx\r\n%s\r\n", strlen(event), event);
}

static int content(char *out, int number) {
    char event[512];
    sprintf(event,
            "data: {\"id\":\"chatcmpl-fake\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
            "\"model\":\"fake-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tok%d\"},"
            "\"finish_reason\":null}]}\n\n",
            number);
    return chunk(out, event);
}

static int end(char *out, int chunks) {
    char event[1024];
    sprintf(event,
            "data: {\"id\":\"chatcmpl-fake\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
            "\"model\":\"fake-model\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
            "data: {\"id\":\"chatcmpl-fake\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
            "\"model\":\"fake-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":%d,"
            "\"total_tokens\":%d}}\n\ndata: [DONE]\n\n",
            chunks, chunks + 12);
    return chunk(out, event) + sprintf(out + strlen(out), "0\r\n\r\n");
}

/* Sends what is due now. */
static int answer(Connection *c) {
    static char out[1 << 18];
    int length = 0;
    if (!c->streams) return put(c, whole, whole_length) ? -1 : finish(c);
    if (!c->begun) {
        c->begun = 1;
        c->due = now();
        length = sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n");
    }
    do {
        if (!c->left) break;
        length += content(out + length, c->chunks - c->left--);
        if (length > 200000) {
            if (put(c, out, length)) return -1;
            length = 0;
        }
    } while (!c->interval);
    if (!c->left) {
        length += end(out + length, c->chunks);
        return put(c, out, length) ? -1 : finish(c);
    }
    if (put(c, out, length)) return -1;
    c->due += c->interval * 1000LL;
    if (c->due < now() - LATE) c->due = now() - LATE;
    add_timer((Timer){c->due, c->fd, c->generation});
    return 0;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double at(double share) { return samples ? latencies[(long)((samples - 1) * share)] : 0; }

static int show_stats(Connection *c) {
    char text[1024], out[1200];
    qsort(latencies, samples, sizeof *latencies, ascending);
    sprintf(text,
            "{\"calls\":%ld,\"callbacks\":%ld,\"callback_seconds\":%.6f,\"p50_us\":%.0f,\"p90_us\":%.0f,"
            "\"p99_us\":%.0f,\"max_us\":%.0f,\"in_flight\":%d,\"most_in_flight\":%d,\"last_callback_ns\":%lld}\n",
            calls, callbacks, (last_callback - first_callback) / 1e9, at(.5), at(.9), at(.99), at(1), in_flight,
            most_in_flight, (long long)last_callback);
    calls = callbacks = samples = 0;
    most_in_flight = in_flight;
    int length = sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         strlen(text), text);
    return put(c, out, length);
}

static int take_callback(Connection *c, const char *body, int length) {
    static const char thanks[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    char *sent = memmem(body, length, "\"sent\":", 7);
    int64_t t = now();
    if (!callbacks++) first_callback = t;
    last_callback = t;
    if (sent && samples < MOST_SAMPLES) latencies[samples++] = (t - atoll(sent + 7 + strspn(sent + 7, " \""))) / 1e3;
    return put(c, thanks, sizeof thanks - 1);
}

static int take_call(Connection *c, const char *model) {
    int delay = 0;
    c->chunks = 200;
    c->interval = 0;
    sscanf(model + 6, "%dc%di%d", &delay, &c->chunks, &c->interval);
    calls++;
    c->busy = 1;
    c->begun = 0;
    c->left = c->chunks;
    if (++in_flight > most_in_flight) most_in_flight = in_flight;
    if (!delay) return answer(c);
    add_timer((Timer){now() + delay * 1000000LL, c->fd, c->generation});
    return 0;
}

static int take_request(Connection *c) {
    while (!c->busy && c->in_length) {
        char *head_end = memmem(c->in, c->in_length, "\r\n\r\n", 4), *field, *model;
        int length = 0, head, total, code;
        if (!head_end) return 0;
        head = head_end - c->in + 4;
        *head_end = 0;
        if ((field = strcasestr(c->in, "\ncontent-length:"))) length = atoi(field + 16);
        int chunked = !field && strcasestr(c->in, "\ntransfer-encoding: chunked");
        *head_end = '\r';
        if (chunked) {
            char *last = memmem(c->in + head, c->in_length - head, "0\r\n\r\n", 5);
            if (!last) return 0;
            length = last + 5 - c->in - head;
        }
        total = head + length;
        if (c->in_length < total) return 0;
        if (!memcmp(c->in, "GET /stats", 10))
            code = show_stats(c);
        else if ((model = memmem(c->in + head, length, "fake-d", 6)) && memmem(c->in, head, "/chat/completions", 17)) {
            c->streams = memmem(c->in + head, length, "\"stream\":true", 13) ||
                         memmem(c->in + head, length, "\"stream\": true", 14);
            char name[64] = {0};
            memcpy(name, model, length - (model - c->in - head) < 63 ? length - (model - c->in - head) : 63);
            memmove(c->in, c->in + total, c->in_length -= total);
            if (take_call(c, name)) return -1;
            continue;
        } else
            code = take_callback(c, c->in + head, length);
        if (code) return -1;
        memmove(c->in, c->in + total, c->in_length -= total);
    }
    return 0;
}

static int receive(Connection *c) {
    if (c->in_length == c->in_room) c->in = realloc(c->in, (c->in_room *= 2) + 1);
    ssize_t length = recv(c->fd, c->in + c->in_length, c->in_room - c->in_length, 0);
    if (length <= 0) return length < 0 && errno == EAGAIN ? 0 : -1;
    c->in_length += length;
    return take_request(c);
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST_FILES) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Connection *c = by_file[fd] = calloc(1, sizeof *c);
        c->fd = fd;
        c->generation = ++generations;
        c->in = malloc((c->in_room = 4096) + 1);
        struct epoll_event event = {EPOLLIN, {.fd = fd}};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static void write_whole(void) {
    static const char text[] =
        "{\"id\":\"chatcmpl-fake\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"fake-model\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The quick brown fox jumps over "
        "the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog.\"},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":30,\"total_tokens\":42}}";
    whole_length = sprintf(whole, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                           sizeof text - 1, text);
}

int main(int count, char **words) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct rlimit files;
    struct epoll_event ready[512], event = {EPOLLIN, {.fd = listener}};
    if (count != 2) return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    address.sin_port = htons(atoi(words[1]));
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 16384)) {
        perror("upstream");
        return 1;
    }
    latencies = malloc(MOST_SAMPLES * sizeof *latencies);
    write_whole();
    poller = epoll_create1(0);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct timespec wait, *patience = NULL;
        if (heap_length) {
            int64_t left = heap[0].at > now() ? heap[0].at - now() : 0;
            wait.tv_sec = left / BILLION, wait.tv_nsec = left % BILLION;
            patience = &wait;
        }
        int found = epoll_pwait2(poller, ready, 512, patience, NULL);
        for (int i = 0; i < found; i++) {
            int fd = ready[i].data.fd;
            Connection *c = by_file[fd];
            if (fd == listener)
                accept_all(listener);
            else if (c && (ready[i].events & EPOLLOUT) && flush(c))
                drop(c);
            else if (c && (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && receive(c))
                drop(c);
        }
        for (int64_t t = now(); heap_length && heap[0].at <= t;) {
            Timer timer = take_timer();
            Connection *c = by_file[timer.fd];
            if (c && c->generation == timer.generation && c->busy && answer(c)) drop(c);
        }
    }
}
