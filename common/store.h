/* One interface to the places where objects are kept: put-if-absent, get, list, delete on a key. Layer 2.
 * Drivers: store_file.c (a directory) and store_s3.c, and store_sealed.c around them. Keys are relative to
 * the repository's URL, "main/7.../wal/...", made of letters, digits and ._-+/ only, at most 900 bytes.
 *
 * A store belongs to one thread. Every call is bounded: retries with back-off and jitter end at the operation
 * limit or at the deadline, whichever comes first. Failures are logged where they are found, with the URL of
 * the object and the cause. */
#ifndef WALFERRY_STORE_H
#define WALFERRY_STORE_H

#include "buffer.h"
#include "config.h"
#include "sealing.h"
#include "state.h"

enum store_result {
    STORE_OK = 0,
    STORE_ABSENT,  /* the store said so, beyond doubt: 404 NoSuchKey without a delete marker; ENOENT under an
                      existing root.  Nothing is logged. That this is the right place at all is for
                      repository_*  to know (cluster.json). */
    STORE_EXISTS,  /* put-if-absent: the key is taken; nothing was changed, nothing is logged */
    STORE_FAILED,  /* logged; for put: whether it arrived is unknown, ask again */
    STORE_DELETED, /* a delete marker is the newest version: logged as an error for whoever counts on the
                      object */
    STORE_SHORT,   /* get: the object ends before the range that was asked for; nothing is logged */
    STORE_DENIED,  /* delete_many: a lock in the store, or a grant that is missing; nothing is logged */
    STORE_DAMAGED, /* get, of an encrypted repository: what is there was not encrypted under this name, or is
                      not whole; logged */
    STORE_STOPPED, /* the sink of a get failed (and logged), or it asked to stop: no retry was made */
};

struct store;

/* What a bucket does with "If-None-Match: *": found out by the probe, kept in cluster.json (see
 * repository.h). */
enum store_condition {
    STORE_CONDITION_UNKNOWN = 0,
    STORE_CONDITION_HONOURED, /* the second writer gets 412 */
    STORE_CONDITION_IGNORED,  /* the second writer gets 200: detect, not prevent */
    STORE_CONDITION_REFUSED,  /* 501 or 400 for the header: it is not sent */
};

struct store_limits {
    unsigned operation_seconds; /* one request, its retries included: each page of a list, each part of an
                                 * upload; a get: counted from the last bytes that came */
    int64_t deadline; /* monotonic_now() microseconds after which nothing is tried any more; 0: none */
};

/* Nothing is asked of the store yet. NULL after logging (bad credentials or key file, no memory).
 * Where config has encryption_key_file, all that lies below "<cluster>/<system identifier>/" is encrypted on
 * its way into the store and out of it: everything here then speaks of the content and its length. Nothing
 * can be stored there before store_set_epoch. config is the same object for all stores of a repository. */
struct store *store_open(const struct repository_config *config, const struct store_limits *limits);
/* Of an encrypted one: where documents of keys are remembered; both are borrowed. Else: nothing. */
void store_remember_keys(struct store *store, const struct config *config, const struct state *state);
/* What new objects are encrypted with from now on, in all stores of this repository; its key is got. key: any
 * one below the cluster's folder. OK; ABSENT: no configured key opens that epoch, or what is in keys/ is
 * another one (not logged); else after logging. Only of an encrypted one. */
enum store_result store_set_epoch(struct store *store, const char *key, const struct sealing_epoch *epoch);
/* Is the epoch that was set not the newest that was ever set, in this process or (state_dir) on this host?
 * Nothing is encrypted with it then. False of one that is not encrypted. */
bool store_epoch_is_behind(const struct store *store);
void store_tell_epoch_behind(const struct store *store); /* logs that, and the ways out */
/* Number 0: none was set yet. Only of an encrypted one, as the next. */
struct sealing_epoch store_newest_epoch(struct store *store);
/* The epoch that was set last is the newest from now on, whatever was seen. 0, or -1 after logging. */
int store_accept_epoch(struct store *store);
void store_close(struct store *store); /* NULL-safe */
void store_set_limits(struct store *store, const struct store_limits *limits);
/* From now on the sink of a get is called by a thread of the store's own, while more comes (relay.h): for one
 * that has much to do with the bytes. 0, or -1 after logging. */
int store_use_relay(struct store *store);
/* The ids of the configured keys, of an encrypted one. */
const char *store_key_ids(const struct store *store);
/* Those of the keys that open an epoch, by one LIST of keys/, appended: "0123456789abcdef, ..."; those that
 * are configured here, and the others. cluster: any key below the cluster's folder. 0, or -1 after logging.
 */
int store_list_key_ids(struct store *store, const char *cluster, uint32_t epoch, struct buffer *others,
                       struct buffer *ours);
/* How many answers so far asked for fewer requests. */
unsigned store_slow_downs(const struct store *store);
/* The time by the store's own clock, as its last answer told it; a directory, and a store that told none, has
 * this machine's. A timestamp. */
int64_t store_now(const struct store *store);
/* "s3://bucket/prefix/KEY" or "/dir/KEY" for messages: borrowed, valid until the next call with this store.
 */
const char *store_describe(struct store *store, const char *key);

/* What is known of an object that was got or put. */
struct store_object {
    uint64_t total_bytes;   /* whole object, also when a range was asked for */
    bool versioned;         /* the store named a version id: the bucket keeps versions */
    char version_id[128];   /* "" when not versioned */
    int64_t modified;       /* got: when it was stored, by the store's clock; 0: it does not say */
    bool condition_refused; /* a put that ended STORE_FAILED: because the store refuses If-None-Match */
};

/* Stores body under key only if nothing is there. Durable when it returns STORE_OK (files: fsync of file and
 * directories). condition tells whether the condition may be sent; the result for an ignored condition is the
 * caller's to check. On files missing directories below the root are made. object may be NULL. */
enum store_result store_put_absent(struct store *store, const char *key, const struct body *body,
                                   enum store_condition condition, struct store_object *object);

/* Stores body under key, whatever is there: only for cluster.json and heartbeats. */
enum store_result store_replace(struct store *store, const char *key, const struct body *body);

/* Range of a get. All zero: the whole object. suffix != 0: the last suffix bytes (all of a shorter object; an
 * empty object gives no bytes and STORE_OK). Otherwise from offset, length bytes (0: to the end);
 * a range that reaches beyond the end is STORE_SHORT. */
struct store_range {
    uint64_t offset;
    uint64_t length;
    uint64_t suffix;
};

/* Bytes go to sink as they come. A connection cut in mid-body is resumed with a range (of the same object:
 * If-Match), so the sink sees every byte once, in order. object may be NULL; it is filled before the first
 * byte is handed over. */
enum store_result store_get(struct store *store, const char *key, const struct store_range *range,
                            const struct sink *sink, struct store_object *object);

/* Is an object there, and since when, by the store's clock? *time 0: it is not, or the store does not say. 1,
 * 0, or -1 after logging. */
int store_time_of(struct store *store, const char *key, int64_t *time);

/* The first key with this prefix; *key is the caller's; NULL: there is none. 0, or -1 after logging. */
int store_first_key(struct store *store, const char *prefix, char **key);

/* Keys with this prefix and greater than start_after (NULL: all), in byte order of the whole key, until all
 * are told or each returns false. page_keys: how many to ask for at once (0: 1000). STORE_OK also for none.
 */
struct store_listing {
    const char *prefix;
    const char *start_after;
    unsigned page_keys;
    bool (*each)(void *context, const char *key, uint64_t bytes);
    void *context;
};
enum store_result store_list(struct store *store, const struct store_listing *listing);

/* The "folders" directly under prefix (which ends with a slash): each is told the name without slashes, in
 * byte order. */
enum store_result store_list_folders(struct store *store, const char *prefix,
                                     bool (*each)(void *context, const char *name), void *context);

/* All versions of exactly this key, newest first; on a store without versions the one object, with version_id
 * "". */
struct store_version {
    const char *key; /* borrowed, as version_id */
    const char *version_id;
    uint64_t bytes;
    bool is_delete_marker;
    bool is_latest;
    int64_t modified; /* when it was stored, or deleted, by the store's clock; 0: it does not say */
};
enum store_result store_versions(struct store *store, const char *key,
                                 bool (*each)(void *context, const struct store_version *version),
                                 void *context);
/* The same of all keys with this prefix and greater than start_after (NULL: all), in byte order of the keys,
 * until all are told or each returns false. */
struct store_version_listing {
    const char *prefix;
    const char *start_after;
    bool (*each)(void *context, const struct store_version *version);
    void *context;
};
enum store_result store_list_versions(struct store *store, const struct store_version_listing *listing);
/* Reads one version: as store_get, with the version named. */
enum store_result store_get_version(struct store *store, const char *key, const char *version_id,
                                    const struct store_range *range, const struct sink *sink,
                                    struct store_object *object);

/* What was begun below prefix (which ends with a slash) and is not finished: multipart uploads, or temporary
 * files of a directory. It may be at work. */
struct store_unfinished {
    const char *key;       /* that it was to become; of a temporary file its own name */
    const char *upload_id; /* "" of a file */
    uint64_t bytes;        /* 0 of an upload */
    int64_t begun;         /* timestamp: S3's clock; when the file was last written to */
};
enum store_result
store_list_unfinished(struct store *store, const char *prefix,
                      bool (*each)(void *context, const struct store_unfinished *unfinished), void *context);
/* Gives one of them up: what it has taken of room is free. STORE_OK also when it was not there any more. */
enum store_result store_abort_unfinished(struct store *store, const char *key, const char *upload_id);

/* Puts the content of an earlier version under its key again, as the newest one. Never for a directory. */
enum store_result store_put_back(struct store *store, const char *key, const char *version_id);

/* Copies an object within the store, which does it by itself: from and to are keys. For keys that nobody else
 * writes: S3 replaces what is there, a directory tells STORE_EXISTS. STORE_ABSENT: there is nothing under
 * from (nothing logged). At most 5 GiB. */
#define STORE_COPY_BYTES_MOST (5ull * 1024 * 1024 * 1024)
enum store_result store_copy(struct store *store, const char *from, const char *to);

/* STORE_OK also when it was not there. version_id NULL: a plain delete. */
enum store_result store_delete(struct store *store, const char *key, const char *version_id);

/* One of many. */
struct store_deletion {
    const char *key;          /* borrowed, as version_id */
    const char *version_id;   /* NULL: a plain delete */
    enum store_result result; /* OK: also when it was not there; DENIED; FAILED (logged) */
};
/* Deletes them, up to a thousand in one request where the store can do that, else one by one. STORE_OK: each
 * has its result. STORE_FAILED: the store could not be asked (logged); those not OK are FAILED. */
enum store_result store_delete_many(struct store *store, struct store_deletion *deletions, size_t count);

/* A directory: removes what has become empty there. folder ends with a slash. For folders that nobody will
 * write to any more. */
void store_remove_folder(struct store *store, const char *folder);

/* Does the store keep this object from being deleted? version_id "": it has none. */
struct store_lock {
    bool is_locked;
    bool is_legal_hold; /* until somebody takes it off; else: */
    int64_t until;      /* a timestamp */
};
/* STORE_OK or STORE_FAILED after logging. */
enum store_result store_get_lock(struct store *store, const char *key, const char *version_id,
                                 struct store_lock *lock);

/* Puts a legal hold on this version ("": the one without an id), or takes it off. STORE_OK, or STORE_FAILED
 * after logging, as it is for a directory. */
enum store_result store_set_hold(struct store *store, const char *key, const char *version_id, bool on);

/* A large object in parts of bounded memory. Files: written to an unnamed file, linked by finish.
 * S3: a multipart upload; finish believes the completion only if its body says so. An object that stays under
 * one part is sent as one conditional PUT. Where the key is taken, finish returns STORE_EXISTS (as far as the
 * store can tell). expected_bytes: an upper guess (0: unknown), from which the part size is chosen so that
 * 10,000 parts suffice. */
struct store_upload;
struct store_upload *store_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                                        enum store_condition condition); /* NULL after logging */
int store_upload_write(struct store_upload *upload, const void *data,
                       size_t length); /* 0, or -1 after logging */
/* Both free the upload. abort leaves nothing behind if the store can be reached. NULL-safe. */
enum store_result store_upload_finish(struct store_upload *upload, struct store_object *object);
void store_upload_abort(struct store_upload *upload);

#endif
