/* Where keys come from and go to on this machine: a user's command, a passphrase, key files. For
 * repository-key. */
#ifndef WALFERRY_KEY_SOURCE_H
#define WALFERRY_KEY_SOURCE_H

#include "common/config.h"
#include "common/key.h"

/* The first key file of the configuration that is not there; caller frees. NULL: all are (nothing logged), or
 * after logging. */
char *key_source_missing_file(const struct repository_config *repository, bool *failed);

/* Is any of them there? False, too, when it failed, after logging. */
bool key_source_has_file(const struct repository_config *repository, bool *failed);

/* Writes a file that is not there yet, 0600. 0, or -1 after logging. */
int key_source_write(const char *path, const struct key *key);

/* What key_command prints. Run without a shell, within a minute, with an environment that holds no secret of
 * ours. 0, or -1 after logging. */
int key_source_command(const struct repository_config *repository, struct key *key);

#define KEY_PASSPHRASE_BYTES 1024
/* A line from fd; from the terminal, unseen, if fd is -1; twice asks for it a second time there. Its length,
 * or -1 after logging. The caller wipes it. */
int key_source_passphrase(int fd, bool twice, char passphrase[KEY_PASSPHRASE_BYTES]);

#endif
