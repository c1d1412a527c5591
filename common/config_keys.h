/* The keys of the configuration file: where the value of each goes, and what it may be. For config.c and
 * config_check.c alone. Layer 1. */
#ifndef WALFERRY_CONFIG_KEYS_H
#define WALFERRY_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_KEYS_MOST 128

enum value_kind {
    VALUE_TEXT,
    VALUE_NUMBER,
    VALUE_BYTES,
    VALUE_DURATION,
    VALUE_SWITCH,
    VALUE_CHOICE,
    VALUE_WORD,
    VALUE_CODEC,
    VALUE_CREDENTIALS,
    VALUE_PRIORITY
};

struct config_key {
    const char *section; /* "repository" stands for every [repository NAME] */
    const char *name;
    enum value_kind kind;
    size_t offset;        /* in struct config, or struct repository_config */
    unsigned least, most; /* of a number; of bytes the least is in MiB, of a duration in minutes */
    const char *no, *yes; /* the two words of a choice; no: those of VALUE_WORD, in the order of the enum */
};

/* NULL if there is none of that name. */
const struct config_key *config_key_find(const char *section, const char *name);
/* Is a section of that name known, "repository NAME" for one? */
bool config_section_is_known(const char *section, size_t length);

/* Which keys a section has given. */
struct config_seen {
    bool keys[CONFIG_KEYS_MOST];
};
bool config_key_see(struct config_seen *seen, const struct config_key *key); /* false: it was there before */
bool config_key_was_seen(const struct config_seen *seen, const char *section, const char *name);

/* base: struct config or struct repository_config. 0, or -1: the caller frees *problem; NULL if memory was
 * short, which is logged. */
int config_key_set(const struct config_key *key, void *base, const char *value, char **problem);
/* Wipes and frees all that is text. */
void config_keys_free(void *base, bool of_repository);

#endif
