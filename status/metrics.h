/* The picture as metrics, in Prometheus' text format: docs/monitoring.md lists them. */
#ifndef WALFERRY_METRICS_H
#define WALFERRY_METRICS_H

#include "common/buffer.h"
#include "picture.h"

/* Appends them. 0, or -1 after logging (memory). */
int metrics_write(const struct picture *picture, struct buffer *out);

/* Writes them to a file, "-": standard output. The file is replaced at once and may be read by everybody, as
 * node_exporter needs it. 0, or -1 after logging. */
int metrics_to_file(const struct picture *picture, const char *path);

/* Appends the value of a label as the format has it, in quotes. 0, or -1 after logging. */
int metrics_append_label_value(struct buffer *out, const char *value);

#endif
