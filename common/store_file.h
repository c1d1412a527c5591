/* What the files of the directory driver share. Layer 2; included by store_file.c, store_file_write.c and
 * store_file_list.c only. */
#ifndef WALFERRY_STORE_FILE_H
#define WALFERRY_STORE_FILE_H

#include "store_driver.h"

#define STORE_FILE_CHUNK_BYTES (256 * 1024) /* of one call */

/* store->own: the directory that the store was opened with. Held, so that its inode number stays its own. */
struct store_file_root {
    int fd; /* -1: it was not there yet */
};

/* Where the object of this key lies; caller frees; NULL after logging. */
char *store_file_path(struct store *store, const char *key);
/* A root that is not there is an unmounted disk or a mistyped path, never "no such object". Logs when false.
 */
bool store_file_root_is_there(struct store *store);

/* What the driver does, in the two other files. Directories that are missing below the root are made. */
enum store_result store_file_put_absent(struct store *store, const char *key, const struct body *body,
                                        enum store_condition condition, struct store_object *object);
enum store_result store_file_replace(struct store *store, const char *key, const struct body *body);
enum store_result store_file_copy(struct store *store, const char *from, const char *to);
void *store_file_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                              enum store_condition condition);
int store_file_upload_write(void *upload, const void *data, size_t length);
enum store_result store_file_upload_finish(void *upload, struct store_object *object);
void store_file_upload_abort(void *upload);

/* As store_list and store_list_folders. */
enum store_result store_file_list(struct store *store, const struct store_listing *listing);
enum store_result store_file_list_folders(struct store *store, const char *prefix,
                                          bool (*each)(void *context, const char *name), void *context);
enum store_result store_file_list_unfinished(struct store *store, const char *prefix,
                                             bool (*each)(void *context,
                                                          const struct store_unfinished *unfinished),
                                             void *context);
/* How the hidden name of what replaces a file (file_replace) ends; FILE_TEMPORARY: of a new one. */
#define STORE_FILE_REPLACEMENT ".walferry"

#endif
