/* What the driver of encrypted repositories has for its own files, store_sealed.c, store_sealed_keys.c,
 * store_sealed_put.c and store_sealed_get.c. Layer 2. */
#ifndef WALFERRY_STORE_SEALED_H
#define WALFERRY_STORE_SEALED_H

#include "keyring.h"
#include "sealing.h"
#include "store_driver.h"

/* The header of the object that was last read by a range: the next range needs no request for it. */
struct sealed_known {
    char *key; /* NULL: none is known */
    char version_id[128];
    struct store_object object; /* as the store has it */
    struct sealing_header header;
};

/* store->own */
struct sealed {
    struct store inner; /* where the objects lie as they are */
    struct keyring *keyring;
    const struct config
        *config; /* borrowed, with state: where the documents of keys are remembered; or NULL */
    const struct state *state;
    struct sealing sealing; /* of the object that is being read */
    unsigned char *piece;   /* SEALING_PIECE_BYTES_MOST, once something was read */
    struct sealed_known known;
    struct store *reader; /* of sealed_copy, which reads while it writes; NULL until it is needed */
};

/* What lies behind the cluster's folder, if it is sealed there: "7.../wal/..."; NULL for cluster.json, keys/
 * and what repository_probe puts. */
const char *sealed_name(const char *key);

/* The key of an epoch: what is known, else what state_dir has, else, if may_ask, a GET for each of the
 * configured keys. OK; ABSENT: not known without asking, or there is none for any of them, or it is another
 * one (nothing logged); DAMAGED or FAILED after logging. cluster: the object's key, which begins with the
 * cluster's folder. */
enum store_result sealed_epoch_key(struct sealed *sealed, const char *cluster,
                                   const struct sealing_epoch *epoch, bool may_ask,
                                   unsigned char epoch_key[CIPHER_KEY_BYTES]);

/* store_list_key_ids, of the store within; keyring NULL: all are others. */
int sealed_list_key_ids(struct store *store, const struct keyring *keyring, const char *cluster,
                        uint32_t epoch, struct buffer *others, struct buffer *ours);

/* store_set_epoch and its kin. */
enum store_result sealed_set_epoch(struct sealed *sealed, const char *cluster,
                                   const struct sealing_epoch *epoch);
struct sealing_epoch sealed_newest_epoch(struct sealed *sealed);
int sealed_accept_epoch(struct sealed *sealed);
void sealed_tell_behind(const struct sealed *sealed);

/* Something is written or deleted: the header that is known may not be what is there. */
void sealed_forget(struct sealed *sealed);
/* The sealing of a new object. 0, or -1 after logging. */
int sealed_begin_new(struct sealed *sealed, const char *key, struct sealing *sealing);

/* What the driver does, in the two other files. */
enum store_result sealed_put_absent(struct store *store, const char *key, const struct body *body,
                                    enum store_condition condition, struct store_object *object);
enum store_result sealed_replace(struct store *store, const char *key, const struct body *body);
void *sealed_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                          enum store_condition condition);
int sealed_upload_write(void *own, const void *data, size_t length);
enum store_result sealed_upload_finish(void *own, struct store_object *object);
void sealed_upload_abort(void *own);
enum store_result sealed_copy(struct store *store, const char *from, const char *to);
enum store_result sealed_get(struct store *store, const char *key, const char *version_id,
                             const struct store_range *range, const struct sink *sink,
                             struct store_object *object);

#endif
