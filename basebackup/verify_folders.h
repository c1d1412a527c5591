/* The folders of small objects, which say something of backups or WAL: indexes, restore points, notes. */
#ifndef WALFERRY_VERIFY_FOLDERS_H
#define WALFERRY_VERIFY_FOLDERS_H

#include "verify_object.h"

/* By their names and lengths. Sets verify->folders. 0, or -1 after logging: it could not be found out. */
int verify_folders(struct verify *verify);

/* The kind of the objects in verify->folders[i]. */
const struct verify_kind *verify_folder_kind(size_t i);

/* Tells that such an object is damaged if it is too short for its kind. */
void verify_look_at_length(struct verify *verify, const struct verify_kind *kind, const char *key,
                           uint64_t bytes);

#endif
