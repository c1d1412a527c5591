/* The small documents of a backup in the making: started.json and heartbeat.json; and its index, packed for
 * upload. */
#ifndef WALFERRY_DOCUMENTS_H
#define WALFERRY_DOCUMENTS_H

#include "catalog.h"
#include "target.h"

/* started.json: who began which backup, when and where. Appended. 0, or -1 after logging. */
int documents_started(const struct backup *backup, struct buffer *out);

/* heartbeat.json: it still runs. now: a timestamp. Appended. 0, or -1 after logging. */
int documents_heartbeat(const char *backup_id, int64_t now, struct buffer *out);

/* Packs the index as a sealed object into spool (caller frees it in any case) and notes its hash and size in
 * *backup. directory: for spool; may be NULL. 0, or -1 after logging. */
int documents_pack_index(struct catalog *catalog, int compression_level, const char *directory,
                         struct backup *backup, struct object_spool *spool, struct object_facts *facts);

/* Stores the packed index, then manifest.json, in every target that lives. 0, or -1 after logging when none
 * is left. */
int documents_put(struct targets *targets, struct object_spool *spool, const struct object_facts *facts,
                  const struct backup *backup);

#endif
