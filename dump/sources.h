/* Repositories that have one and the same dump, and reading it from them: a piece that one lacks, or has
 * damaged, comes from the next. */
#ifndef WALFERRY_DUMP_SOURCES_H
#define WALFERRY_DUMP_SOURCES_H

#include "common/dump.h"

struct source {
    struct repository repository;
    const struct repository_config *settings;
    bool is_open, is_listed;
    struct dump_list list;
    const struct dump *dump; /* borrowed from the list; NULL: it does not have it */
};

struct sources {
    struct source *items; /* in the order of the configuration */
    size_t count;
    struct state state;
    const struct dump *dump; /* of the first that has it */
};

/* id: "latest" for the newest that any has; it is an error if a newer one has a manifest that is damaged or
 * can't be read. A repository that can't be read is passed over, with its error.
 * 0, or -1 after logging: none has it. sources_close in any case. */
int sources_open(const struct config *config, const struct repository_config *only, const char *id,
                 struct sources *sources);
void sources_close(struct sources *sources);

/* Its stream of this database (NULL: the globals). NULL after logging. */
const struct dump_stream *sources_stream(const struct sources *sources, const char *database);

/* Is each piece there, as far as listings tell? 0, or -1 after logging. */
int sources_check(struct sources *sources, const struct dump_stream *stream);

/* Hands on all plain bytes in order, each piece only when its SHA-256 is right. 0; 1: the sink's write has
 * returned 1, it wants no more; -1 after logging. */
int sources_read(struct sources *sources, const struct dump_stream *stream, const struct sink *sink);

#endif
