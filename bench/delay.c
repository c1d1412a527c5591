/* delay PORT TARGET-PORT MILLISECONDS: passes TCP connections from 127.0.0.1:PORT on to
 * 127.0.0.1:TARGET-PORT, and each byte, either way, MILLISECONDS later; the first byte of a connection one
 * round trip more, for its handshake. How much is on its way at a time is not limited, so neither is the
 * bandwidth, but by this machine. */
#include "clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)128 * 1024)
#define WAY_MOST_PIECES 2048 /* 256 MiB: far more than 30 ms carry */

struct piece {
    struct piece *next;
    long long due;
    size_t length; /* 0: the end */
    char data[];
};

/* One direction of a connection: a thread reads, another writes when it is time. */
struct way {
    int from, to;
    long long not_before;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct piece *first, **last;
    unsigned pieces;
    struct connection *connection;
};

struct connection {
    int client, server;
    struct way ways[2];
    pthread_mutex_t lock;
    unsigned threads;
};

static long long delay; /* microseconds */
static unsigned target_port;

static void die(const char *what)
{
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void release(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    bool is_last = --connection->threads == 0;
    pthread_mutex_unlock(&connection->lock);
    if (!is_last)
        return;
    close(connection->client);
    close(connection->server);
    free(connection);
}

static void *read_way(void *argument)
{
    struct way *way = argument;
    ssize_t got;

    do {
        struct piece *piece = malloc(sizeof *piece + PIECE_BYTES);
        if (piece == NULL)
            die("memory");
        got = recv(way->from, piece->data, PIECE_BYTES, 0);
        long long now = clock_now(CLOCK_MONOTONIC);
        piece->next = NULL;
        piece->length = got > 0 ? (size_t)got : 0;
        piece->due = (now > way->not_before ? now : way->not_before) + delay;
        if (piece->length > 0 && piece->length < PIECE_BYTES / 4) {
            struct piece *smaller = realloc(piece, sizeof *piece + piece->length);
            piece = smaller != NULL ? smaller : piece;
        }
        pthread_mutex_lock(&way->lock);
        while (way->pieces >= WAY_MOST_PIECES)
            pthread_cond_wait(&way->changed, &way->lock);
        *way->last = piece;
        way->last = &piece->next;
        way->pieces++;
        pthread_cond_broadcast(&way->changed);
        pthread_mutex_unlock(&way->lock);
    } while (got > 0);
    release(way->connection);
    return NULL;
}

static void sleep_until(long long due)
{
    const struct timespec until = {due / 1000000, due % 1000000 * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* What cannot be written any more is dropped. */
static void pass_on(const struct way *way, const struct piece *piece)
{
    size_t sent = 0;

    while (sent < piece->length) {
        ssize_t written = send(way->to, piece->data + sent, piece->length - sent, MSG_NOSIGNAL);
        if (written <= 0)
            break;
        sent += (size_t)written;
    }
    if (sent < piece->length)
        shutdown(way->from, SHUT_RD);
    if (piece->length == 0)
        shutdown(way->to, SHUT_WR);
}

static void *write_way(void *argument)
{
    struct way *way = argument;
    bool is_end = false;

    while (!is_end) {
        pthread_mutex_lock(&way->lock);
        while (way->first == NULL)
            pthread_cond_wait(&way->changed, &way->lock);
        struct piece *piece = way->first;
        way->first = piece->next;
        if (way->first == NULL)
            way->last = &way->first;
        way->pieces--;
        pthread_cond_broadcast(&way->changed);
        pthread_mutex_unlock(&way->lock);
        sleep_until(piece->due);
        pass_on(way, piece);
        is_end = piece->length == 0;
        free(piece);
    }
    release(way->connection);
    return NULL;
}

static struct sockaddr_in local(unsigned port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((unsigned short)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void serve(int client)
{
    const struct sockaddr_in target = local(target_port);
    const int on = 1;
    struct connection *connection = calloc(1, sizeof *connection);
    pthread_t thread;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connection == NULL || server < 0)
        die("connection");
    if (connect(server, (const struct sockaddr *)&target, sizeof target) != 0)
        die("connect");
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->client = client;
    connection->server = server;
    connection->threads = 4;
    pthread_mutex_init(&connection->lock, NULL);
    for (int i = 0; i < 2; i++) {
        struct way *way = &connection->ways[i];
        way->from = i == 0 ? client : server;
        way->to = i == 0 ? server : client;
        way->not_before = i == 0 ? clock_now(CLOCK_MONOTONIC) + 2 * delay : 0;
        way->last = &way->first;
        way->connection = connection;
        pthread_mutex_init(&way->lock, NULL);
        pthread_cond_init(&way->changed, NULL);
    }
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&thread, NULL, read_way, &connection->ways[i]) != 0 ||
            pthread_detach(thread) != 0 ||
            pthread_create(&thread, NULL, write_way, &connection->ways[i]) != 0 ||
            pthread_detach(thread) != 0)
            die("thread");
    }
}

int main(int argc, char **argv)
{
    const int on = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: delay PORT TARGET-PORT MILLISECONDS\n");
        return 2;
    }
    const struct sockaddr_in address = local((unsigned)strtoul(argv[1], NULL, 10));
    target_port = (unsigned)strtoul(argv[2], NULL, 10);
    delay = strtoll(argv[3], NULL, 10) * 1000;
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0)
        die("listen");
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            serve(client);
        else if (errno != EINTR && errno != ECONNABORTED)
            die("accept");
    }
}
