/* Base backups in a repository: ids, manifest.json, the list of them, choosing one for a target. Layer 3.
 *
 *     <name>/<system identifier>/base/<backup id>/started.json            written first
 *                                                 heartbeat.json          replaced every few minutes while it
 * runs main-00000001 ...       tar members of the data directory, each its own LZ4 frame(s) <oid>-00000001
 * ...      of a tablespace external-00000001 ...   of files outside the data directory tablespace_map as the
 * server gave it; only when there are tablespaces files                   the index (backup_index.h), a
 * sealed object manifest.json           written last: without it there is no backup Format: docs/format.md.
 */
#ifndef WALFERRY_BACKUP_H
#define WALFERRY_BACKUP_H

#include "repository.h"

#define BACKUP_ID_BYTES 64

struct backup_tablespace {
    uint32_t oid;
    char *name;     /* NULL when unknown */
    char *location; /* absolute path on the original server */
};

struct backup_database {
    uint32_t oid;
    char *name;
};

struct backup_annotation {
    char *key;
    char *value;
};

/* A page that was wrong when it was backed up. */
#define BACKUP_PAGE_ERRORS_MOST 1000 /* so many are listed; all are counted */
struct backup_page_error {
    char *file;         /* as in the index */
    uint32_t block;     /* in the whole relation: NAME.1 begins with block 131072 */
    bool has_checksums; /* else the header was that of an empty page, but the page was not empty */
    uint16_t found;
    uint16_t expected;
};

/* manifest.json. Strings are owned. */
struct backup {
    char
        id[BACKUP_ID_BYTES]; /* 20261120T020003Z-00000001-0000000A1F000028: start time, timeline, start LSN */
    uint64_t system_identifier;
    unsigned postgresql_version; /* major */
    uint32_t server_version;     /* server_version_num: 150018 */
    uint32_t timeline;
    uint64_t start_lsn;    /* redo location of the backup's checkpoint */
    uint64_t stop_lsn;     /* the data directory is consistent from here on */
    int64_t start_time;    /* timestamps by the server's clock */
    int64_t stop_time;     /* after backup stop; serves a target T if stop_time < T (rule 22) */
    int64_t covered_until; /* a second before backup stop: no commit behind stop_lsn is older; 0: not known,
                              of a standby's */
    uint32_t segment_bytes;
    uint32_t block_bytes;
    bool data_checksums;
    bool from_standby;
    bool wal_included; /* pg_wal holds what it needs to start */
    char *label;
    char *host;
    struct backup_annotation *annotations; /* in the order in which they were given; each key once */
    size_t annotation_count;
    struct backup_tablespace *tablespaces;
    size_t tablespace_count;
    struct backup_database *databases; /* as pg_database had them while the backup ran; none: unknown */
    size_t database_count;
    char **external; /* absolute paths, as on the original server, of what external-* holds */
    size_t external_count;
    uint64_t part_count;
    uint64_t file_count;
    uint64_t plain_bytes;
    uint64_t stored_bytes;                     /* of all parts */
    enum codec codec;                          /* of all parts and the index */
    uint64_t zero_pages;                       /* all-zero pages seen (legal) */
    uint64_t page_errors;                      /* pages whose checksum was wrong */
    struct backup_page_error *page_error_list; /* of them, the first ones by file and block */
    size_t page_error_list_count;
    unsigned char files_sha256[SHA256_BYTES]; /* of the plain index */
    uint64_t files_bytes;                     /* stored size of the index object */
};

void backup_init(struct backup *backup);
void backup_free(struct backup *backup);
int backup_seal(const struct backup *backup, struct buffer *out); /* 0, or -1 after logging */
int backup_parse(const void *data, size_t length, const char *what,
                 struct backup *backup); /* 0, or -1 after logging */

bool backup_id_is_valid(const char *id);
void backup_id_make(int64_t start_time, uint32_t timeline, uint64_t start_lsn, char out[BACKUP_ID_BYTES]);
/* <name>/<system>/base/<id>/<file>; caller frees; NULL after logging. */
char *backup_key(const struct repository *repository, uint64_t system_identifier, const char *id,
                 const char *file);

bool backup_id_parse(const char *id, int64_t *start_time, uint32_t *timeline, uint64_t *start_lsn);

/* The folders of one system's backups, complete or not, by id. */
struct backup_ids {
    char (*ids)[BACKUP_ID_BYTES]; /* owned */
    size_t count, capacity;
};
enum repository_result backup_ids_load(struct repository *repository, uint64_t system_identifier,
                                       struct backup_ids *ids); /* OK or FAILED */
void backup_ids_free(struct backup_ids *ids);

/* manifest.json of one, and what the store tells of it. OK; ABSENT: it has none (nothing logged); DAMAGED or
 * FAILED. */
enum repository_result backup_get(struct repository *repository, uint64_t system_identifier, const char *id,
                                  struct backup *backup, struct store_object *object);

/* All complete backups of all generations, oldest first by start time. A folder without manifest.json is
 * passed over (debug); a damaged manifest, or one that can't be read although the repository answers, is
 * logged, counted in damaged and passed over. The repository's cluster must be loaded. */
struct backup_list {
    struct backup *backups;
    size_t count;
    size_t damaged;
};
enum repository_result backup_list_load(struct repository *repository, struct backup_list *list);
/* The same, but a manifest that can't be read is for the caller to judge, who is told its key: 0: it is
 * passed over; -1: that is FAILED. */
enum repository_result backup_list_load_readable(struct repository *repository, struct backup_list *list,
                                                 int (*judge)(void *context, const char *key), void *context);
void backup_list_free(struct backup_list *list);

/* What is asked for; everything unset: the latest. */
struct backup_wish {
    const char *id; /* NULL or "latest": by the target */
    bool has_time;
    int64_t time;
    bool has_lsn;
    uint64_t lsn;
};
/* "time 2026-11-20 14:29:59.000000+00" or "LSN 0/3000028": the target, if it has one. */
void backup_wish_describe(const struct backup_wish *wish, char *out, size_t length);
/* The newest backup that serves the wish, borrowed from the list. NULL after logging why there is none: "the
 * target ... is before the end of the oldest backup ..." and what there is. */
const struct backup *backup_choose(const struct repository *repository, const struct backup_list *list,
                                   const struct backup_wish *wish);
/* The same in silence, for a caller that explains: by the target only, along this history (NULL: any timeline
 * will do). Where there is none, *earliest is the first to end on that way, or NULL. */
const struct backup *backup_find(const struct backup_list *list, const struct backup_wish *wish,
                                 const struct timeline_history *history, const struct backup **earliest);

#endif
