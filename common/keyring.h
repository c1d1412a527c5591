/* The keys that this process has for an encrypted repository: those of its key files, and the epoch keys that
 * they have opened so far. One for each repository, shared by all stores of it, from whatever thread; wiped
 * when the last of them is closed. Layer 1. */
#ifndef WALFERRY_KEYRING_H
#define WALFERRY_KEYRING_H

#include "config.h"
#include "key.h"
#include "sealing.h"

struct keyring;

/* Reads the key files the first time. One that is not there is warned of if another is. NULL after logging.
 */
struct keyring *keyring_open(const struct repository_config *repository);
void keyring_close(struct keyring *keyring); /* NULL-safe */

/* In the order of the configuration; at least one. */
size_t keyring_count(const struct keyring *keyring);
const struct key *keyring_key(const struct keyring *keyring, size_t index);
/* The one of that id. NULL: it is not configured (nor is any, keyring NULL). */
const struct key *keyring_key_of(const struct keyring *keyring, const char *id);
/* "0123456789abcdef, ..." for messages. */
const char *keyring_ids(const struct keyring *keyring);

/* The files that are not there, for messages. NULL: all are. */
const char *keyring_missing(const struct keyring *keyring);

/* False: that epoch's key is not known yet. */
bool keyring_find(struct keyring *keyring, const struct sealing_epoch *epoch,
                  unsigned char epoch_key[CIPHER_KEY_BYTES]);
/* Is there a key of an epoch of this number, whatever its id? */
bool keyring_has_number(struct keyring *keyring, uint32_t number);
/* Takes what a document keys/<epoch>.<id> of one of its keys holds: *taken. 0, or -1 after logging "<what> is
 * damaged ..." */
int keyring_take(struct keyring *keyring, uint32_t number, const struct key *key, const void *data,
                 size_t length, const char *what, struct sealing_epoch *taken);
/* A new one. */
int keyring_add(struct keyring *keyring, uint32_t number, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                struct sealing_epoch *epoch);

/* The epoch of new objects, as cluster.json says. Number 0: it is not known yet. */
struct sealing_epoch keyring_epoch(struct keyring *keyring);
void keyring_set_epoch(struct keyring *keyring, const struct sealing_epoch *epoch);
/* The newest that was ever seen: what is seen later has a higher number. Number 0: none. */
struct sealing_epoch keyring_newest(struct keyring *keyring);
void keyring_see(struct keyring *keyring, const struct sealing_epoch *epoch);
void keyring_set_newest(struct keyring *keyring, const struct sealing_epoch *epoch);
/* Is that of new objects older, or another of its number? */
bool keyring_is_behind(struct keyring *keyring);

#endif
