/* The configuration file (INI), validated into structs, with the defaults in one place. Layer 1; the only
 * user of inih. */
#ifndef WALFERRY_CONFIG_H
#define WALFERRY_CONFIG_H

#include "codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_DEFAULT_PATH "/etc/walferry.conf"

enum config_priority { PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_IDLE };
enum repository_kind { REPOSITORY_FILE, REPOSITORY_S3 };

/* [repository] credentials: where they are to come from. CREDENTIALS_AUTO: the first place that has any. */
enum credentials_choice {
    CREDENTIALS_AUTO,
    CREDENTIALS_CONFIG,
    CREDENTIALS_ENVIRONMENT,
    CREDENTIALS_WEB_IDENTITY,
    CREDENTIALS_SHARED,
    CREDENTIALS_PROCESS,
    CREDENTIALS_CONTAINER,
    CREDENTIALS_INSTANCE
};

/* What basebackup-expire and dump-expire leave in a repository. 0: not asked for. */
struct retention_policy {
    uint64_t keep_wal_seconds; /* any instant of so long stays recoverable; 0: since the oldest backup */
    uint64_t keep_for_seconds; /* backups not older than this */
    unsigned keep_last;        /* so many of the newest backups, and the newest one */
    unsigned keep_daily;       /* of each of so many days, weeks, months, years that have any */
    unsigned keep_weekly;
    unsigned keep_monthly;
    unsigned keep_yearly;
    unsigned keep_dumps; /* so many of the newest dumps */
    uint64_t keep_dumps_for_seconds;
    unsigned keep_dumps_monthly; /* of each of so many months that have any */
    uint64_t orphan_age_seconds; /* 7 days: what lies so long without a manifest is garbage */
};
/* Else nothing expires. */
bool retention_policy_is_given(const struct retention_policy *policy);
bool retention_policy_is_given_for_dumps(const struct retention_policy *policy);

enum s3_encryption { S3_ENCRYPTION_NONE, S3_ENCRYPTION_S3, S3_ENCRYPTION_KMS, S3_ENCRYPTION_CUSTOMER };
enum s3_lock { S3_LOCK_NONE, S3_LOCK_GOVERNANCE, S3_LOCK_COMPLIANCE };

#define S3_EXTRA_HEADERS_MOST 8
struct s3_extra_header { /* header.NAME = value; both owned */
    char *name;          /* in lower case */
    char *value;
};

/* How objects lie in a bucket, and what goes with each request. Which objects get what: s3_options.h. */
struct s3_settings {
    enum s3_encryption sse;      /* sse = none | s3 | kms | customer */
    char *sse_kms_key_id;        /* NULL: the bucket's */
    char *sse_customer_key_file; /* 32 bytes, as they are, in hex or in base64 */
    char *storage_class;         /* of a backup's parts; NULL: STANDARD */
    char *storage_class_wal;     /* of WAL segments */
    char *tags;                  /* "key=value&key2=value2", as it is sent */
    enum s3_lock object_lock;    /* none | governance | compliance */
    unsigned object_lock_days;
    bool legal_hold;     /* for what is pinned; default: yes with object_lock */
    unsigned checksum;   /* none | sha256: 1 */
    bool requester_pays; /* no */
    char *expected_bucket_owner;
    struct s3_extra_header extra[S3_EXTRA_HEADERS_MOST];
    unsigned extra_count;
    char *as_of_text;
    int64_t as_of; /* a timestamp: the bucket is read as it was then, and not written to; 0: as it is */
};

struct repository_config { /* [repository NAME]; strings are owned by the config; NULL where not given */
    char *name;
    char *url; /* as written */
    enum repository_kind kind;
    char *path; /* file: absolute directory, no closing slash.  s3: the prefix without slashes at its ends, ""
                   if none */
    char *bucket;           /* s3 only, from here on */
    char *region;           /* default: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1 */
    char *endpoint;         /* https://HOST[:PORT], no closing slash; default: AWS */
    bool region_is_default; /* nothing named one: a profile may */
    bool path_style;        /* addressing = path | virtual; default: path with an endpoint, virtual without */
    char *ca_file;
    bool tls_verify;
    char *proxy; /* http[s]://[USER:PASSWORD@]HOST[:PORT], or "" for none; NULL: the environment's */
    enum credentials_choice credentials;
    char *access_key; /* all three NULL: looked for as every S3 tool does, see credentials.h */
    char *secret_key;
    char *session_token;
    char *credentials_file;   /* default: AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials */
    char *profile;            /* default: AWS_PROFILE, else default */
    char *credential_process; /* a command that prints credentials */
    char *role_arn;           /* is assumed with what was found, or with web_identity_token_file */
    char *external_id;
    char *role_session_name;        /* default: AWS_ROLE_SESSION_NAME, else walferry */
    unsigned role_duration_seconds; /* 0: as long as the role says */
    char *web_identity_token_file;
    char *sts_endpoint;               /* default: see credentials_sts.c */
    const char *state_dir;            /* the cluster's; borrowed from there. NULL: nothing is remembered */
    unsigned connect_timeout_seconds; /* 5 */
    unsigned request_timeout_seconds; /* 60: without a byte moving */
    struct s3_settings s3;
    bool required;             /* yes */
    char *encryption_key_file; /* what the repository is encrypted with: absolute paths, parted by commas;
                                  NULL: it is not encrypted. See keyring.h */
    char *key_command;         /* prints a key, for repository-key unlock */
    struct compression compression; /* codec = lz4 | zstd | none, level; default: what [compression] says */
    struct retention_policy retention;
};

#define DRILL_CHECKS_MOST 200
struct drill_check { /* check.NAME = VALUE; both owned */
    char *name;
    char *value;
};
enum drill_scan { DRILL_SCAN_RELATIONS, DRILL_SCAN_AMCHECK, DRILL_SCAN_NONE };

/* [drill]: restore-drill. Strings are owned; NULL where not given. */
struct drill_settings {
    char *scratch;            /* absolute directory */
    char *pg_bin;             /* of PostgreSQL's programs */
    char *user;               /* postgres: a superuser of the cluster */
    char *backup;             /* latest | oldest | random | ID */
    char *target_time;        /* latest | random | TIME */
    char *preload;            /* shared_preload_libraries */
    enum drill_scan scan;     /* relations | amcheck | none */
    uint64_t max_bytes;       /* max_size = 0: none */
    uint64_t max_rate;        /* 0: none */
    uint64_t timeout_seconds; /* 24 hours: the whole drill */
    bool without_report;      /* report = yes | no */
    struct drill_check checks[DRILL_CHECKS_MOST];
    size_t check_count;
};

/* [status]: what walferry-status takes for wrong. 0: it is not looked at. */
struct status_settings {
    uint64_t backup_age_seconds; /* 26 hours */
    uint64_t wal_age_seconds;    /* 15 min */
    uint64_t verify_age_seconds; /* 8 days */
    uint64_t drill_age_seconds;  /* 35 days */
    unsigned disk_free_percent;  /* 10 */
    unsigned timeout_seconds;    /* 30: for all that is asked of a repository */
};

struct config {
    char *path; /* of the file that was read; absolute */
    char *cluster_name;
    char *pgdata;           /* NULL when not set */
    char *conninfo;         /* "" */
    char *primary_conninfo; /* where conninfo leads to a standby: its primary; NULL when not set */
    char *state_dir;        /* /var/lib/walferry/NAME */
    struct repository_config *repositories;
    size_t repository_count; /* at least 1 */

    struct compression compression; /* [compression] codec = lz4 | zstd | none; level = 1..12 with lz4
                                       (1), 1..19 with zstd (3) */

    unsigned wal_push_timeout_seconds; /* [wal-push] timeout = 15 */
    unsigned wal_push_ahead;    /* [wal-push] ahead = 128: segments behind the one asked for; 0: none */
    unsigned wal_push_parallel; /* [wal-push] parallel = 4: of those, at once */
    uint64_t wal_push_queue_limit_bytes; /* [wal-push] queue_limit = 0: none */
    bool wal_push_drops; /* [wal-push] on_full = stop | drop: beyond the limit WAL is let go of */
    unsigned wal_fetch_timeout_seconds; /* [wal-fetch] timeout = 60: one call in recovery, retries included */
    unsigned wal_fetch_standby_timeout_seconds; /* [wal-fetch] standby_timeout = 5 */
    unsigned wal_fetch_history_wait_seconds;    /* [wal-fetch] history_wait = 60 */
    unsigned wal_fetch_switch_wait_seconds;     /* [wal-fetch] switch_wait = 300: after the point of no return
                                                   (rule 2) */
    unsigned
        wal_fetch_hole_wait_seconds; /* [wal-fetch] hole_wait = 10: a segment that may arrive out of order */
    char *wal_fetch_end_at;          /* [wal-fetch] end_at = SEGMENT; NULL */
    uint64_t wal_fetch_read_ahead_bytes; /* [wal-fetch] read_ahead = 256MB; 0: off */
    unsigned wal_fetch_parallel;         /* [wal-fetch] parallel = 4: segments fetched ahead at a time */

    uint64_t basebackup_split_bytes;          /* [basebackup] split_size = 128MB: whole MiB, at least 1 */
    uint64_t basebackup_max_rate;             /* [basebackup] max_rate = 0: bytes a second; 0: no limit */
    enum config_priority basebackup_priority; /* [basebackup] priority = normal | low | idle */
    unsigned basebackup_jobs;                 /* [basebackup] jobs; default: number of cores, 2..8 */
    unsigned basebackup_wal_timeout_seconds;  /* [basebackup] wal_timeout = 300 */
    unsigned basebackup_resume_age_seconds; /* [basebackup] resume_age = 86400: an interrupted backup is gone
                                               on with so long after its last sign of life; 0: never */
    unsigned basebackup_store_timeout_seconds; /* [basebackup] store_timeout = 300: one request, retries
                                                  included */
    struct drill_settings drill;
    struct status_settings status;
    char *hook_on_success; /* [hooks] on_success: a command; NULL */
    char *hook_on_failure;
    unsigned hook_timeout_seconds; /* [hooks] timeout = 60 */

    char *dump_pg_bin;                   /* [dump] pg_bin: directory of pg_dump and pg_restore; NULL */
    unsigned dump_stall_timeout_seconds; /* [dump] stall_timeout; 0: by lock_timeout */
    uint64_t dump_lock_timeout_seconds;  /* [dump] lock_timeout = 30 min: for each table's lock */
};

/* option_path (from --config), else $WALFERRY_CONFIG, else CONFIG_DEFAULT_PATH. An unknown section or key, a
 * repeated key, a missing or malformed value and wrong permissions are errors that name the file and the
 * line. 0, or -1 after logging. */
int config_load(const char *option_path, struct config *config);
void config_free(struct config *config); /* NULL-safe; wipes secrets */

/* A size as the file has it: "0", "128MB", "64 kB"; 1kB is 1024 bytes, as in postgresql.conf. */
bool config_bytes_parse(const char *text, uint64_t *value);

/* A duration as the file has it: "12 hours", "7 days", "2 weeks", "90min", "36h", "7d". In seconds. */
bool config_duration_parse(const char *text, uint64_t *seconds);

/* The repository of that name, or NULL after logging the names there are. */
const struct repository_config *config_repository(const struct config *config, const char *name);
/* Leaves only the repositories of these names, in their order. 0, or -1 after logging that there is none of a
 * name. */
int config_choose(struct config *config, const char *const *names, size_t count);

#endif
