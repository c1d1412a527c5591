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
enum store_result store_file_list_unfinished(struct store *store, const char *prefix,
                                             bool (*each)(void *context,
                                                          const struct store_unfinished *unfinished),
                                             void *context);
/* How a temporary file's name ends, where unnamed ones are not to be had; it begins with a dot. That of what
 * replaces a file (file_replace) does, too, and ends with the second. */
#define STORE_FILE_TEMPORARY ".walferry-tmp"
#define STORE_FILE_REPLACEMENT ".walferry"

#endif
