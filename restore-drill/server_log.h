/* What the private server's log tells of its recovery, read as it grows. Its messages are in English, since
 * lc_messages is ours. */
#ifndef WALFERRY_SERVER_LOG_H
#define WALFERRY_SERVER_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct server_log {
    char *path; /* owned */
    uint64_t read;
    bool is_inside_line; /* which was too long */
    bool is_recovering;  /* recovery has begun */
    bool is_consistent;
    bool has_stopped; /* at the target */
    char stop[256];   /* "before commit of transaction 744, time ..." */
    char fatal[512];  /* the first FATAL or PANIC message; "" */
};

/* 0, or -1 after logging. */
int server_log_open(const char *path, struct server_log *log);
void server_log_close(struct server_log *log);

/* Takes in what was written since, whole lines only. */
void server_log_read(struct server_log *log);

/* Passes through what says why the server has failed: its FATAL and PANIC lines, and the messages of
 * wal-fetch. */
void server_log_tell(const struct server_log *log);

/* Of a recovery that has succeeded: what wal-fetch had to say nevertheless, as warnings. */
void server_log_warn(const struct server_log *log);

#endif
