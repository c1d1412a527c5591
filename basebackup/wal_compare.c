#include "wal_compare.h"

#include "common/archive_status.h"
#include "common/file.h"
#include "common/log.h"
#include "file_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int wal_compare(const char *pg_wal, struct target *target, uint64_t system_identifier, const char *name)
{
    char *path = path_join(pg_wal, name);
    char *key = repository_wal_key(&target->repository, system_identifier, name);
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    unsigned char digest[SHA256_BYTES];
    struct object_facts facts;
    enum repository_result looked = REPOSITORY_FAILED; /* logged */
    int result = -1;

    if (path == NULL || key == NULL)
        goto done;
    if (fd < 0 && errno == ENOENT)
        result = 0; /* archived and removed meanwhile */
    else if (fd < 0)
        log_error("could not open file \"%s\": %m", path);
    else if (file_hash(fd, 0, UINT64_MAX, digest) != 0)
        log_error("could not read file \"%s\": %m", path);
    else
        looked = repository_get_facts(&target->repository, key, NULL, &facts);
    if (looked == REPOSITORY_ABSENT)
        log_error("WAL segment %s has vanished from repository \"%s\"", name,
                  target->repository.settings->name);
    if (looked == REPOSITORY_OK) {
        /* archived by now, it may have been recycled under its descriptor */
        result =
            memcmp(digest, facts.sha256, SHA256_BYTES) == 0 || !archive_status_waits(pg_wal, name) ? 0 : -1;
        if (result != 0) {
            log_error("WAL segment %s, which the backup needs, is in repository \"%s\" with other content "
                      "than in \"%s\": two histories use its name",
                      name, target->repository.settings->name, pg_wal);
            log_hint("This server can't archive it before that is decided: see COLLISIONS in wal-push(1). "
                     "Then take the backup again.");
        }
    }
done:
    if (fd >= 0)
        close(fd);
    free(path);
    free(key);
    return result;
}
