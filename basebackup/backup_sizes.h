/* How much of a backup belongs to which database and tablespace, by the paths in its index. */
#ifndef WALFERRY_BACKUP_SIZES_H
#define WALFERRY_BACKUP_SIZES_H

#include "common/backup.h"

struct backup_size {
    uint32_t oid;
    uint64_t bytes; /* plain */
    uint64_t files;
};

struct backup_sizes {
    struct backup_size *databases;   /* in the order of the manifest */
    struct backup_size *tablespaces; /* in the order of the manifest */
    size_t database_count;
    size_t tablespace_count;
    bool is_outside; /* while reading: the part at hand holds files from outside the data directory */
};

/* Reads the index. 0, or -1 after logging. */
int backup_sizes_load(struct repository *repository, const struct backup *backup, struct backup_sizes *sizes);
void backup_sizes_free(struct backup_sizes *sizes); /* NULL-safe */

/* Whose file is it? 0: nobody's. *tablespace: the one it lies in; *database: base/OID, pg_tblspc/.../OID. */
void backup_path_owner(const char *path, uint32_t *tablespace, uint32_t *database);

#endif
