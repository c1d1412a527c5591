/* What the dumping programs write, cut into pieces, packed and stored in all targets while more comes. The
 * memory of a few pieces is all it takes. */
#ifndef WALFERRY_PIECES_H
#define WALFERRY_PIECES_H

#include "common/dump.h"
#include "common/targets.h"

struct pieces;

/* targets: borrowed; their id is set. NULL after logging. */
struct pieces *pieces_open(struct targets *targets, unsigned server_version, const char *directory);

/* A stream: begin, write, end, one after the other. */
int pieces_begin(struct pieces *pieces, uint32_t oid); /* 0, or -1 after logging */
int pieces_write(struct pieces *pieces, const void *data, size_t length);
/* *stream gets pieces, bytes and sha256; stored: for each lane of the targets the stored bytes. */
int pieces_end(struct pieces *pieces, struct dump_stream *stream, uint64_t *stored);

/* Waits until all is stored. 0, or -1 after logging when no target is left. Frees. NULL-safe (0). */
int pieces_finish(struct pieces *pieces);

#endif
