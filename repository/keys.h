/* The key epochs of an encrypted repository: what lies in its keys/, and new ones. For repository-init and
 * repository-key. Format: docs/encryption.md. */
#ifndef WALFERRY_KEYS_H
#define WALFERRY_KEYS_H

#include "common/key.h"
#include "common/repository.h"

/* One document of keys/. */
struct keys_entry {
    uint32_t epoch;
    char id[KEY_ID_BYTES];
};
struct keys_list {
    struct keys_entry *entries; /* by epoch, then id */
    size_t count;
};
int keys_list(struct repository *repository, struct keys_list *list); /* 0, or -1 after logging */
void keys_list_free(struct keys_list *list);

/* Reads the document of one. 0, or -1 after logging. */
int keys_get(struct repository *repository, const struct keys_entry *entry, struct key_object *object);

/* A new epoch, for all configured keys; repository->cluster names it then, which is still to be stored. 0, or
 * -1 after logging. */
int keys_begin_epoch(struct repository *repository);

/* Does this key open the current epoch, as cluster.json names it? 0; 1: there is no document of it (nothing
 * logged); -1 after logging. */
int keys_check(struct repository *repository, const struct keys_list *list, const struct key *key);

/* Every epoch also for this key. derivation: NULL of a random one. *added: how many documents were made. 0,
 * or -1 after logging; an epoch that no configured key opens is named, and passed over. */
int keys_wrap_all(struct repository *repository, const struct key *key,
                  const struct key_derivation *derivation, size_t *added);

#endif
