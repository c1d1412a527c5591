/* What a driver of store.h provides. Layer 2; included by store.c and the drivers only.
 * Each function has the meaning of the store_ function of its name. */
#ifndef WALFERRY_STORE_DRIVER_H
#define WALFERRY_STORE_DRIVER_H

#include "relay.h"
#include "store.h"

struct store_driver {
    void (*close)(struct store *store); /* frees the driver's part, not struct store */
    void (*set_limits)(struct store *store, const struct store_limits *limits);
    unsigned (*slow_downs)(const struct store *store); /* NULL: never */
    int64_t (*now)(const struct store *store);         /* NULL: it has this machine's clock */
    enum store_result (*put_absent)(struct store *store, const char *key, const struct body *body,
                                    enum store_condition condition, struct store_object *object);
    enum store_result (*replace)(struct store *store, const char *key, const struct body *body);
    /* version_id NULL: the newest */
    enum store_result (*get)(struct store *store, const char *key, const char *version_id,
                             const struct store_range *range, const struct sink *sink,
                             struct store_object *object);
    int (*time_of)(struct store *store, const char *key, int64_t *time); /* NULL: by a get */
    enum store_result (*list)(struct store *store, const struct store_listing *listing);
    enum store_result (*list_folders)(struct store *store, const char *prefix,
                                      bool (*each)(void *context, const char *name), void *context);
    enum store_result (*versions)(struct store *store, const char *key,
                                  bool (*each)(void *context, const struct store_version *version),
                                  void *context);
    enum store_result (*list_versions)(struct store *store, const struct store_version_listing *listing);
    enum store_result (*list_unfinished)(struct store *store, const char *prefix,
                                         bool (*each)(void *context,
                                                      const struct store_unfinished *unfinished),
                                         void *context);
    enum store_result (*abort_unfinished)(struct store *store, const char *key, const char *upload_id);
    enum store_result (*put_back)(struct store *store, const char *key, const char *version_id);
    enum store_result (*copy)(struct store *store, const char *from, const char *to);
    enum store_result (*delete)(struct store *store, const char *key, const char *version_id);
    enum store_result (*delete_many)(struct store *store, struct store_deletion *deletions, size_t count);
    void (*remove_folder)(struct store *store, const char *folder); /* NULL: there are none */
    enum store_result (*get_lock)(struct store *store, const char *key, const char *version_id,
                                  struct store_lock *lock); /* NULL: there are none */
    enum store_result (*set_hold)(struct store *store, const char *key, const char *version_id,
                                  bool on); /* NULL: there are none */
    /* The driver's own struct, seen by store.c only as a pointer. */
    void *(*upload_begin)(struct store *store, const char *key, uint64_t expected_bytes,
                          enum store_condition condition);
    int (*upload_write)(void *upload, const void *data, size_t length);
    enum store_result (*upload_finish)(void *upload, struct store_object *object);
    void (*upload_abort)(void *upload);
};

struct store {
    const struct store_driver *driver;
    const struct repository_config *config; /* borrowed */
    struct store_limits limits;
    char *description;   /* of store_describe */
    struct relay *relay; /* of store_use_relay; NULL: none */
    void *own;           /* the driver's */
};

/* Set store->driver and store->own. 0, or -1 after logging. */
int store_file_open(struct store *store);
int store_s3_open(struct store *store);
/* Puts itself in front of what one of the two has set. */
int store_sealed_open(struct store *store);

#endif
