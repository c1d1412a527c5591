/* Metrics for a Prometheus Pushgateway: for pods, on which no textfile is read. */
#ifndef WALFERRY_PUSHGATEWAY_H
#define WALFERRY_PUSHGATEWAY_H

#include "picture.h"

/* Replaces the metrics of the group job="walferry", cluster=NAME. url: http[s]://HOST[:PORT][/PATH]. For so
 * many seconds at most, tries included. 0, or -1 after logging. */
int pushgateway_put(const struct picture *picture, const char *url, unsigned seconds);

/* 0, or -1 after logging that it can't be one. */
int pushgateway_check(const char *url);

#endif
