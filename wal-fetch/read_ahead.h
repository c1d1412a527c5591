/* The helper that reads ahead: a process of its own, which fetches the segments behind the one that was
 * handed over last into the recovery's directory (ahead_directory.h), several at once. It tells nobody
 * anything: what it does not find, or cannot get, is for the call to find out that asks for it. It ends, and
 * removes what is left, when the server or its recovery ends, when a segment was not found by such a call, or
 * when nobody has asked for a while. */
#ifndef WALFERRY_READ_AHEAD_H
#define WALFERRY_READ_AHEAD_H

#include <stdbool.h>

#define READ_AHEAD_SEGMENTS_MOST 64
#define READ_AHEAD_IDLE_SECONDS 300

struct ahead;

/* Returns at once. False when there is nothing to be read ahead, or no room, or no process (logged at debug
 * level). lock: the directory's, which the helper takes over; the caller closes it. */
bool read_ahead_start(const struct ahead *ahead, int lock);

#endif
