/* What one thread needs to bring WAL files into the repositories, one after the other, over connections that
 * stay open between them. */
#ifndef WALFERRY_SHIPPER_H
#define WALFERRY_SHIPPER_H

#include "source.h"

#include "common/config.h"
#include "common/object.h"
#include "common/repository.h"
#include "common/state.h"
#include "common/wal_summary.h"

struct shipper_place {
    struct repository repository;
    size_t lane;
    bool is_open;
    bool has_stored, has_failed; /* the last file; neither: it was not tried there */
    bool is_left_out; /* it is not tried: required = no, and it failed; or it failed a moment ago (queue.h) */
};

/* The file as it is packed for those repositories that want it so. */
struct shipper_lane {
    struct compression compression;
    struct object_writer *writer;
    struct object_spool spool;
    struct object_facts facts; /* with the next: of the file at work */
    struct body body;
};

struct shipper {
    const struct config *config; /* borrowed, as the next two */
    const struct state *state;
    const struct repository_config *only; /* --repository, or NULL: all */
    size_t memory_bytes; /* compressed files over this, of all lanes, go through unlinked ones */
    struct shipper_lane *lanes;
    size_t lane_count;
    struct wal_scan *scan;
    struct buffer restore_points; /* a segment's, sealed (restore_point.h); empty: it has none */
    struct shipper_place *places; /* one for each repository of the configuration */
    bool is_refused; /* what failed last was not that a store could not be used: the file, a collision,
                        damage, a foreign place, a key or its epoch */
};

/* 0, or -1 after logging. shipper_close in any case. */
int shipper_open(const struct config *config, const struct state *state, const struct repository_config *only,
                 size_t memory_bytes, struct shipper *shipper);
void shipper_close(struct shipper *shipper);

/* Reads the file, once, and stores it: 0 when every required repository holds all of it and it is durable
 * there. Else -1 after logging. deadline: monotonic. sha256: of the file, filled when it was read. */
int shipper_ship(struct shipper *shipper, struct source *source, int64_t deadline,
                 unsigned char sha256[SHA256_BYTES]);

/* How often a store said "slow down" so far. */
unsigned shipper_slow_downs(const struct shipper *shipper);

#endif
