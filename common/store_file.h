/* What the files of the directory driver share. Layer 2; included by store_file.c and store_file_list.c only.
 */
#ifndef WALFERRY_STORE_FILE_H
#define WALFERRY_STORE_FILE_H

#include "store_driver.h"

/* Where the object of this key lies; caller frees; NULL after logging. */
char *store_file_path(struct store *store, const char *key);
/* A root that is not there is an unmounted disk or a mistyped path, never "no such object". Logs when false.
 */
bool store_file_root_is_there(struct store *store);

/* As store_list and store_list_folders. */
enum store_result store_file_list(struct store *store, const struct store_listing *listing);
enum store_result store_file_list_folders(struct store *store, const char *prefix,
                                          bool (*each)(void *context, const char *name), void *context);

#endif
