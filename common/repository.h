/* A repository: the key layout, cluster.json, and the write-once rule, over a store. Layer 3. Format:
 * docs/format.md.
 *
 *     <name>/cluster.json
 *     <name>/keys/<epoch>.<key id>                                          (key.h)
 *     <name>/<system identifier>/wal/<timeline+log>/<segment>[.partial|.<offset>.backup]
 *     <name>/<system identifier>/wal/<timeline>.history
 *     <name>/<system identifier>/restore-points/<segment>.<8 hex of its SHA-256>  (restore_point.h)
 *     <name>/<system identifier>/index/<timeline+log>                       (wal_index.h)
 *     <name>/<system identifier>/base/<backup id>/...                       (backup.h)
 *     <name>/<system identifier>/notes/...                                  (note.h) */
#ifndef WALFERRY_REPOSITORY_H
#define WALFERRY_REPOSITORY_H

#include "config.h"
#include "digest.h"
#include "object.h"
#include "pg_control.h"
#include "relay.h"
#include "state.h"
#include "store.h"

/* One life of the cluster between two pg_upgrades. */
struct generation {
    uint64_t system_identifier;
    unsigned postgresql_version; /* major */
    uint32_t control_version;
    uint32_t catalog_version;
    uint32_t segment_bytes;
    int64_t added; /* timestamp */
};

/* cluster.json */
struct cluster {
    char *name;
    struct generation *generations; /* oldest first; at least one */
    size_t generation_count;
    enum store_condition condition; /* what the probe found: does the bucket honour If-None-Match? */
    bool versioned;                 /* did it keep versions then? */
    struct sealing_epoch epoch;     /* of the key that new objects are encrypted with; number 0: it is not
                                       encrypted */
    unsigned char read_as[SHA256_BYTES]; /* of the document that was parsed */
};
int cluster_parse(const void *data, size_t length, const char *what,
                  struct cluster *cluster);                          /* 0, or -1 after logging */
int cluster_seal(const struct cluster *cluster, struct buffer *out); /* 0, or -1 after logging */
void cluster_free(struct cluster *cluster);
/* NULL when that system is not accepted. */
const struct generation *cluster_generation(const struct cluster *cluster, uint64_t system_identifier);

struct repository {
    const struct config *config;              /* borrowed */
    const struct repository_config *settings; /* borrowed */
    const struct state *state;                /* borrowed; NULL: nothing is remembered */
    struct store *store;
    struct relay *relay; /* of repository_use_relays; NULL: none */
    bool cluster_known;
    bool is_lost;           /* of is_locked: as far as keys/ tells no other key opens the epoch */
    bool is_locked;         /* what failed last failed for want of a key, which no store can mend */
    struct cluster cluster; /* when cluster_known */
};

enum repository_result {
    REPOSITORY_OK = 0,
    REPOSITORY_ABSENT,    /* beyond doubt; nothing logged (for cluster.json: logged, with the way out) */
    REPOSITORY_IDENTICAL, /* put: the same content is there already */
    REPOSITORY_COLLISION, /* put: other content is there. Nothing logged: only the caller knows the way out */
    REPOSITORY_DAMAGED,   /* logged */
    REPOSITORY_FAILED,    /* logged: could not find out */
    REPOSITORY_SINK,      /* get: the plain sink failed (and logged) */
};

/* Opens the store; asks nothing of it. 0, or -1 after logging. */
int repository_open(const struct config *config, const struct repository_config *settings,
                    const struct state *state, const struct store_limits *limits,
                    struct repository *repository);
void repository_close(struct repository *repository);
/* From now on what is got is unpacked by a thread of the store's own, and hashed by another, while more
 * comes: for whoever reads much. 0, or -1 after logging. */
int repository_use_relays(struct repository *repository);

/* Knows repository->cluster afterwards (when REPOSITORY_OK). A copy of at most most_age_seconds remembered in
 * state_dir will do for s3; a directory is always looked at. ABSENT means: no cluster.json in a place that
 * could be asked; logged as an error that says what a mistyped prefix looks like and names repository-init.
 */
enum repository_result repository_load_cluster(struct repository *repository, int64_t most_age_seconds);
/* For whoever only reads: all that opens the current epoch may be lost or damaged, which is logged; other
 * epochs' objects can be read all the same. Nothing can be stored then. */
enum repository_result repository_load_cluster_to_read(struct repository *repository);

/* An object could not be read: is that its own (permissions, a bad sector, a storage class that must be
 * thawed first), or the store's? True: the store gives cluster.json, which can be read of any repository that
 * can be asked. False after logging: it does not. */
bool repository_answers(struct repository *repository);

/* Do cluster.json and the configuration agree on encryption, and is the key there? Part of
 * repository_load_cluster; for whoever has read repository->cluster by other ways. 0, or -1 after logging. */
int repository_take_epoch(struct repository *repository);

/* Logs that cluster.json was read and does not accept this system, and the ways out. */
void repository_tell_foreign(const struct repository *repository, uint64_t system_identifier);

/* Stores repository->cluster as cluster.json in place of the one that it was read from; refused when that is
 * not there any more, or names an epoch that is behind. 0, or -1 after logging. */
int repository_replace_cluster(struct repository *repository);

/* What state_dir has of cluster.json is worth nothing now, whoever's it is. False: it stays there. */
bool repository_forget_cluster(const struct repository *repository);

/* Keys; caller frees; NULL after logging. */
char *repository_cluster_key(const struct repository *repository);
char *repository_system_key(const struct repository *repository, uint64_t system_identifier,
                            const char *rest);
/* name is one that wal_name_parse knows, or <segment>.partial.<8 hex>. */
char *repository_wal_key(const struct repository *repository, uint64_t system_identifier, const char *name);

/* Stores a sealed object under key if nothing is there; facts are those it was sealed with. One PUT when all
 * is well. Where the store cannot prevent an overwrite it is looked for (see docs/stores.md). */
enum repository_result repository_put_object(struct repository *repository, const char *key,
                                             const struct body *body, const struct object_facts *facts);

/* Gets and verifies a sealed object: one GET. Plain bytes go to plain as they come; they are to be believed
 * only after REPOSITORY_OK. facts may be NULL. The caller compares name, kind and system with what it wanted.
 */
enum repository_result repository_get_object(struct repository *repository, const char *key,
                                             const struct sink *plain, struct object_facts *facts);

/* Only the trailer: one ranged GET. version_id here and below: NULL for what is served. */
enum repository_result repository_get_facts(struct repository *repository, const char *key,
                                            const char *version_id, struct object_facts *facts);
/* The same of a WAL segment; DAMAGED if it is another's. */
enum repository_result repository_get_segment_facts(struct repository *repository, uint64_t system_identifier,
                                                    const char *segment, struct object_facts *facts);

/* A small whole object (a document), appended to *out; limit 16 MiB. */
enum repository_result repository_get_small(struct repository *repository, const char *key,
                                            const char *version_id, struct buffer *out);
/* The same, with what the store tells of it. */
enum repository_result repository_get_document(struct repository *repository, const char *key,
                                               struct buffer *out, struct store_object *object);
/* The same of a sealed object: its plain content. facts may be NULL. */
enum repository_result repository_get_small_object(struct repository *repository, const char *key,
                                                   struct buffer *out, struct object_facts *facts);
/* Puts a document, if absent. IDENTICAL or COLLISION when something is there. */
enum repository_result repository_put_small(struct repository *repository, const char *key,
                                            const struct buffer *data);

/* What lies around a segment on its timeline: one LIST of a few keys and those that begin as a gap marker
 * that covers the segment would (at most 256 segments), more only when other names are in the way. */
struct later_segment {
    char next[WAL_SEGMENT_NAME_BYTES]; /* the nearest later segment, at any distance; "" when there is none */
    bool has_before;              /* the segment before it is there: so this place is not an emptied one */
    bool has_itself;              /* it has arrived since it was asked for */
    bool partial;                 /* <segment>.partial is there (looked for only up to the nearest) */
    char gap[WAL_GAP_NAME_BYTES]; /* a marker says that it was let go of (gap.h); "" when there is none */
};
enum repository_result repository_later_segment(struct repository *repository, uint64_t system_identifier,
                                                const char *segment, uint32_t segment_bytes,
                                                struct later_segment *later); /* OK or FAILED */

/* Fetches and parses <timeline>.history. ABSENT when it is not there. */
enum repository_result repository_get_history(struct repository *repository, uint64_t system_identifier,
                                              uint32_t timeline, struct timeline_history *history);

#endif
