/* Logical dumps in a repository: ids, names, manifest.json, the list of them. Layer 3. Format:
 * docs/format.md.
 *
 *     <name>/<system identifier>/dumps/<dump id>/started.json         written first
 *                                                heartbeat.json       replaced every few minutes meanwhile
 *                                                globals-00000001     pieces of what pg_dumpall wrote
 *                                                <oid>-00000001 ...   of what pg_dump wrote of a database
 *                                                manifest.json        written last */
#ifndef WALFERRY_DUMP_H
#define WALFERRY_DUMP_H

#include "json.h"
#include "repository.h"

#define DUMP_ID_BYTES 24 /* "20261120T020003Z" */
#define DUMP_PIECE_NAME_BYTES 32
#define DUMP_KIND "dump"                  /* of the sealed objects and of the manifest */
#define DUMP_PIECE_BYTES (16u << 20)      /* plain; each but the last of a stream has so many */
#define DUMP_PIECE_BYTES_MOST (64u << 20) /* what is read */
#define DUMP_PIECES_MOST 99999999u        /* of a stream */

/* What one program wrote: of a database, or the globals (roles and tablespaces). */
struct dump_stream {
    uint32_t oid;    /* of the database; 0: the globals */
    char *name;      /* of the database; NULL: the globals. Owned */
    int64_t started; /* just before: what was committed until then is in it. By the server's clock, of
                        a standby the last commit it had replayed */
    uint64_t pieces;
    uint64_t bytes, stored_bytes;
    unsigned char sha256[SHA256_BYTES]; /* of all its plain bytes */
};

/* manifest.json */
struct dump {
    char id[DUMP_ID_BYTES];
    uint64_t system_identifier;
    uint32_t server_version; /* 150018 */
    uint32_t program_major;  /* of the pg_dump that wrote it */
    bool from_standby;
    bool has_passwords;     /* the globals have the roles' passwords */
    int64_t started, ended; /* by the server's clock */
    enum codec codec;
    char *host;                  /* where dump-push ran; owned */
    struct dump_stream *streams; /* owned; the globals, if they are there, then databases by oid */
    size_t stream_count;
};
int dump_seal(const struct dump *dump, struct buffer *out); /* 0, or -1 after logging */
/* 0, or -1 after logging. dump_free in the first case. */
int dump_parse(const void *data, size_t length, const char *what, struct dump *dump);
void dump_free(struct dump *dump);
/* As it stands in a manifest. */
struct json *dump_stream_json(const struct dump_stream *stream);
uint64_t dump_bytes(const struct dump *dump);
uint64_t dump_stored_bytes(const struct dump *dump);
/* By its name; NULL: the globals. NULL: it has none. */
const struct dump_stream *dump_find(const struct dump *dump, const char *database);

bool dump_id_is_valid(const char *id);
/* Is it that, or "latest"? False after logging. */
bool dump_wish_is_valid(const char *id);
void dump_id_make(int64_t time, char out[DUMP_ID_BYTES]);
bool dump_id_parse(const char *id, int64_t *time);

/* "globals-00000001", "16384-00000002" */
void dump_piece_name(uint32_t oid, uint64_t number, char out[DUMP_PIECE_NAME_BYTES]);
bool dump_piece_parse(const char *name, uint32_t *oid, uint64_t *number);

/* <name>/<system>/dumps/<id>/<file>; caller frees; NULL after logging. */
char *dump_key(const struct repository *repository, uint64_t system_identifier, const char *id,
               const char *file);

/* Gets a piece and verifies it, appended to *out. OK, ABSENT, DAMAGED or FAILED; logged. */
enum repository_result dump_get_piece(struct repository *repository, const struct dump *dump, uint32_t oid,
                                      uint64_t number, struct buffer *out);

/* Of each stream of a dump, in their order, what lies in its folder. */
struct dump_found {
    uint64_t pieces, stored_bytes; /* of those that belong to it, by name */
};
/* found: stream_count items. *has_started: started.json is there. 0, or -1 after logging. */
int dump_look(struct repository *repository, const struct dump *dump, struct dump_found *found,
              bool *has_started);
/* Is it all there, by number and length? Logs what is not. */
bool dump_is_all_there(const struct repository *repository, const struct dump *dump,
                       const struct dump_found *found);

/* All folders below dumps/, of all generations, the oldest id first. */
enum dump_state {
    DUMP_COMPLETE,
    DUMP_DAMAGED,    /* its manifest is damaged or can't be read: logged */
    DUMP_UNFINISHED, /* it has none: it is being made, or was given up, or half deleted */
};
struct dump_entry {
    struct dump dump; /* if it is not complete: id and system_identifier alone */
    enum dump_state state;
    int64_t heard; /* by the store's clock: when it got the manifest, else the last sign of life; 0: unknown
                    */
};
struct dump_list {
    struct dump_entry *entries; /* owned */
    size_t count, capacity;
    size_t damaged;
    bool keeps_versions; /* the bucket does */
    int64_t now;         /* by the store's clock */
};
/* The repository's cluster must be loaded. OK or FAILED. */
enum repository_result dump_list_load(struct repository *repository, struct dump_list *list);
/* Of a dump that has no manifest: started.json, the heartbeat, else what is there at all: whoever copies a
 * repository may bring the pieces first. *heard 0: nothing is there. 0, or -1 after logging. */
int dump_last_sign(struct repository *repository, const struct dump *dump, int64_t *heard);
void dump_list_free(struct dump_list *list);
/* Ended later than now: the server's clock was wrong. */
bool dump_is_in_future(const struct dump *dump, int64_t now);
/* Complete, and of this id; "latest": the newest, one in the future only if there is no other. NULL: there is
 * none. */
const struct dump *dump_list_find(const struct dump_list *list, const char *id);

#endif
