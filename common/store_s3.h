/* What the files of the S3 driver share. Layer 2; included by store_s3*.c only. */
#ifndef WALFERRY_STORE_S3_H
#define WALFERRY_STORE_S3_H

#include "s3_client.h"
#include "s3_options.h"
#include "store_driver.h"

enum s3_locks {
    S3_LOCKS_UNASKED,
    S3_LOCKS_UNTOLD, /* asked in vain */
    S3_LOCKS_NONE,
    S3_LOCKS_THERE,
};

struct s3_store {
    struct s3_client *client;
    struct s3_options options;
    struct store_driver past; /* with as_of */
    enum s3_locks locks;      /* has the bucket object lock? */
};

static inline struct s3_client *store_s3_client(const struct store *store)
{
    return ((const struct s3_store *)store->own)->client;
}
static inline struct s3_options *store_s3_options(const struct store *store)
{
    return &((struct s3_store *)store->own)->options;
}

/* "prefix/key", or the key itself. Caller frees; NULL after logging. */
char *store_s3_key(const struct store *store, const char *key);

/* How a request that did not succeed ends when no answer of its kind explains it: reported if it was not yet.
 */
enum store_result store_s3_failed(const struct store *store, const struct s3_request *request,
                                  enum s3_result result, const struct s3_answer *answer);

/* s3_perform of a request with a body. If the bucket wants a checksum with it, it is sent once more with one,
 * and from now on with the others. with_md5: with Content-MD5, of a body in memory (a part of an upload that
 * was begun without checksums). */
enum s3_result store_s3_send(const struct store *store, struct s3_request *request, struct s3_answer *answer,
                             bool with_md5);

/* Takes total_bytes as given and the version id out of an answer. */
void store_s3_describe_object(const struct s3_answer *answer, uint64_t total_bytes,
                              struct store_object *object);

/* A whole body in one PUT. absent: with If-None-Match unless condition says that it is refused. */
enum store_result store_s3_put(struct store *store, const char *key, const struct body *body, bool absent,
                               enum store_condition condition, struct store_object *object);

enum store_result store_s3_get(struct store *store, const char *key, const char *version_id,
                               const struct store_range *range, const struct sink *sink,
                               struct store_object *object);

enum store_result store_s3_list(struct store *store, const struct store_listing *listing);
enum store_result store_s3_list_folders(struct store *store, const char *prefix,
                                        bool (*each)(void *context, const char *name), void *context);
enum store_result store_s3_versions(struct store *store, const char *key,
                                    bool (*each)(void *context, const struct store_version *version),
                                    void *context);
enum store_result store_s3_list_versions(struct store *store, const struct store_version_listing *listing);
enum store_result store_s3_list_unfinished(struct store *store, const char *prefix,
                                           bool (*each)(void *context,
                                                        const struct store_unfinished *unfinished),
                                           void *context);

enum store_result store_s3_list_versions(struct store *store, const struct store_version_listing *listing);
enum store_result store_s3_delete(struct store *store, const char *key, const char *version_id);
enum store_result store_s3_delete_many(struct store *store, struct store_deletion *deletions, size_t count);
enum store_result store_s3_get_lock(struct store *store, const char *key, const char *version_id,
                                    struct store_lock *lock);

enum store_result store_s3_set_hold(struct store *store, const char *key, const char *version_id, bool on);

enum store_result store_s3_abort_unfinished(struct store *store, const char *key, const char *upload_id);
void *store_s3_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                            enum store_condition condition);
int store_s3_upload_write(void *upload, const void *data, size_t length);
enum store_result store_s3_upload_finish(void *upload, struct store_object *object);
void store_s3_upload_abort(void *upload);

/* Reading as of an earlier time, and no writing, in place of a driver's functions. */
void store_s3_read_past(struct store_driver *driver);

#endif
