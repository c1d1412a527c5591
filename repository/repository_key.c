/* repository-key: the keys of encrypted repositories. Makes key files, starts epochs, wraps their keys for
 * another key, and brings the key that a passphrase or a command gives. Never touches an object that holds
 * data. */
#include "key_source.h"
#include "keys.h"

#include "common/digest.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define TMPFS_TYPE 0x01021994
#define RAMFS_TYPE 0x858458f6

struct keys_call {
    struct config config;
    struct state state;
    bool passphrase;
    int passphrase_fd; /* -1: the terminal */
};

typedef int command(struct keys_call *call, const struct repository_config *settings);

/* What lies in keys/ can be read without any key: so without the key files. 0; 1: there is no repository yet
 * (nothing logged); -1 after logging. plain must outlive the repository. */
static int open_plain(struct keys_call *call, const struct repository_config *settings,
                      struct repository_config *plain, struct repository *repository)
{
    const struct store_limits limits = {.operation_seconds = 60};
    struct buffer text = BUFFER_EMPTY;
    int result = -1;

    *plain = *settings;
    plain->encryption_key_file = NULL;
    if (repository_open(&call->config, plain, NULL, &limits, repository) != 0)
        return -1;
    char *key = repository_cluster_key(repository);
    if (key == NULL)
        goto done;
    enum repository_result got = repository_get_small(repository, key, NULL, &text);
    if (got == REPOSITORY_ABSENT) {
        result = 1;
    } else if (got == REPOSITORY_OK) {
        result = cluster_parse(text.data, text.length, store_describe(repository->store, key),
                               &repository->cluster);
        repository->cluster_known = result == 0;
    }
    if (result == 0 && repository->cluster.epoch.number == 0) {
        log_error("repository \"%s\" is not encrypted", settings->name);
        result = -1;
    }
done:
    buffer_free(&text);
    free(key);
    if (result != 0)
        repository_close(repository);
    return result;
}

static int tell_absent(const struct repository_config *settings)
{
    log_error("there is no walferry repository at \"%s\"", settings->url);
    log_hint("A new repository is made by repository-init.");
    return -1;
}

static int open_sealed(struct keys_call *call, const struct repository_config *settings,
                       struct repository *repository)
{
    const struct store_limits limits = {.operation_seconds = 60};

    if (repository_open(&call->config, settings, &call->state, &limits, repository) != 0)
        return -1;
    if (repository_load_cluster(repository, 0) == REPOSITORY_OK)
        return 0;
    repository_close(repository);
    return -1;
}

/* The commands */

static int generate(struct keys_call *call, const struct repository_config *settings)
{
    struct key key;
    unsigned char bytes[CIPHER_KEY_BYTES];
    bool failed;
    char *path;
    int result = 0;

    (void)call;
    while (result == 0 && (path = key_source_missing_file(settings, &failed)) != NULL) {
        result = random_bytes(bytes, sizeof bytes);
        if (result == 0)
            result = key_from_bytes(bytes, &key);
        if (result == 0)
            result = key_source_write(path, &key);
        if (result == 0)
            printf("%s: made key %s in \"%s\"; keep a copy of it where the repository is not: without it "
                   "nobody can read what it encrypts\n",
                   settings->name, key.id, path);
        explicit_bzero(bytes, sizeof bytes);
        key_wipe(&key);
        free(path);
    }
    return failed ? -1 : result;
}

static int list(struct keys_call *call, const struct repository_config *settings)
{
    struct repository_config plain;
    struct repository repository;
    struct keyring *keyring = NULL;
    struct keys_list entries;
    struct key_object object;
    bool failed;

    int result = open_plain(call, settings, &plain, &repository);
    if (result != 0)
        return result < 0 ? -1 : tell_absent(settings);
    if (key_source_has_file(settings, &failed)) {
        keyring = keyring_open(settings);
        failed = keyring == NULL;
    } else if (!failed) { /* what is in keys/ needs no key */
        log_warning("there is no key file of repository \"%s\": which keys are configured is not known here",
                    settings->name);
    }
    result = failed ? -1 : 0;
    if (keys_list(&repository, &entries) != 0) {
        result = -1;
    } else {
        printf("%s: encrypted (%s)\n", settings->name, settings->url);
        for (size_t i = 0; i < entries.count; i++) {
            const struct keys_entry *entry = &entries.entries[i];
            if (keys_get(&repository, entry, &object) != 0)
                result = -1;
            else
                printf("    epoch %" PRIu32 "%s, key %s%s%s\n", entry->epoch,
                       entry->epoch == repository.cluster.epoch.number ? " (current)" : "", entry->id,
                       object.derivation.n != 0 ? ", from a passphrase" : "",
                       keyring_key_of(keyring, entry->id) != NULL ? ", configured" : "");
        }
        keys_list_free(&entries);
    }
    keyring_close(keyring);
    repository_close(&repository);
    return result;
}

static void tell_followers(const struct keys_call *call, const struct repository *repository)
{
    if (repository_forget_cluster(repository))
        return;
    log_warning("what \"%s\" (state_dir) remembers of repository \"%s\" is another user's, and stays",
                call->config.state_dir, repository->settings->name);
    log_hint("That user's wal-push goes on with the epoch before for up to an hour.");
}

static int rotate(struct keys_call *call, const struct repository_config *settings)
{
    struct repository repository;
    int result = open_sealed(call, settings, &repository);

    if (result != 0)
        return -1;
    result = keys_begin_epoch(&repository);
    if (result == 0)
        result = repository_replace_cluster(&repository);
    if (result == 0)
        result = repository_take_epoch(&repository); /* the newest from now on */
    if (result == 0) {
        tell_followers(call, &repository);
        printf("%s: epoch %" PRIu32 " has begun, for the key %s\n", settings->name,
               repository.cluster.epoch.number, store_key_ids(repository.store));
    }
    repository_close(&repository);
    return result;
}

/* cluster.json is right, whatever was seen here before. */
static int accept_epoch(struct keys_call *call, const struct repository_config *settings)
{
    struct repository repository;
    int result;

    if (call->state.directory == NULL) {
        log_error("nothing is remembered: there is no state_dir that is this user's alone");
        return -1;
    }
    if (settings->s3.as_of != 0) {
        log_error("repository \"%s\" is read as it was (as_of): what was the newest epoch then is not what "
                  "is written with",
                  settings->name);
        log_hint("Take as_of out of section [repository %s].", settings->name);
        return -1;
    }
    if (open_sealed(call, settings, &repository) != 0)
        return -1;
    result = store_accept_epoch(repository.store);
    if (result == 0)
        printf("%s: epoch %" PRIu32 " is the newest\n", settings->name, repository.cluster.epoch.number);
    repository_close(&repository);
    return result;
}

static int wrap(struct repository *repository, const struct key *key, const struct key_derivation *derivation)
{
    size_t added;
    int result = keys_wrap_all(repository, key, derivation, &added);

    if (result == 0)
        printf("%s: key %s opens all epochs%s\n", repository->settings->name, key->id,
               added == 0 ? " already" : " now");
    else if (added > 0)
        printf("%s: key %s opens %zu more epochs, but not all\n", repository->settings->name, key->id, added);
    return result;
}

static int wrap_for_passphrase(struct keys_call *call, struct repository *repository)
{
    char passphrase[KEY_PASSPHRASE_BYTES];
    struct key_derivation derivation;
    struct key key;
    int length = key_source_passphrase(call->passphrase_fd, true, passphrase), result = -1;

    if (length > 0 && key_derivation_new(&derivation) == 0 &&
        key_derive(passphrase, (size_t)length, &derivation, &key) == 0)
        result = wrap(repository, &key, &derivation);
    explicit_bzero(passphrase, sizeof passphrase);
    key_wipe(&key);
    return result;
}

static int add(struct keys_call *call, const struct repository_config *settings)
{
    struct repository repository;
    struct keyring *keyring;
    int result = open_sealed(call, settings, &repository);

    if (result != 0)
        return -1;
    keyring = keyring_open(settings);
    if (keyring == NULL)
        result = -1;
    else if (call->passphrase)
        result = wrap_for_passphrase(call, &repository);
    for (size_t i = 0; !call->passphrase && keyring != NULL && i < keyring_count(keyring); i++)
        if (wrap(&repository, keyring_key(keyring, i), NULL) != 0)
            result = -1;
    if (!call->passphrase && keyring != NULL && keyring_missing(keyring) != NULL) {
        log_error("the key of %s was not added: it is not there", keyring_missing(keyring));
        result = -1;
    }
    keyring_close(keyring);
    repository_close(&repository);
    return result;
}

/* The key that the passphrase makes, as any document of it tells, of whatever epoch. */
static int derive(struct keys_call *call, struct repository *repository, const struct keys_list *entries,
                  struct key *key)
{
    char passphrase[KEY_PASSPHRASE_BYTES];
    struct key_object object;
    int length = key_source_passphrase(call->passphrase_fd, false, passphrase), result = -1;
    bool has_any = false;

    for (size_t i = entries->count; length > 0 && result != 0 && i-- > 0;) {
        if (keys_get(repository, &entries->entries[i], &object) != 0 || object.derivation.n == 0)
            continue;
        has_any = true;
        if (key_derive(passphrase, (size_t)length, &object.derivation, key) == 0 &&
            strcmp(key->id, object.id) == 0)
            result = 0;
    }
    if (length > 0 && result != 0) {
        log_error(has_any ? "the passphrase is not one of repository \"%s\""
                          : "repository \"%s\" has no key that is made from a passphrase",
                  repository->settings->name);
        if (!has_any)
            log_hint("One is added by repository-key add --passphrase, where a key file is there.");
    }
    explicit_bzero(passphrase, sizeof passphrase);
    return result;
}

/* Does it open the current epoch? */
static int check_key(struct repository *repository, const struct keys_list *entries, const struct key *key)
{
    int result = keys_check(repository, entries, key);

    if (result <= 0)
        return result;
    log_error("the key %s does not open epoch %" PRIu32 " of repository \"%s\"", key->id,
              repository->cluster.epoch.number, repository->settings->name);
    log_hint("\"repository-key list\" says which keys do.");
    return -1;
}

static void warn_of_disk(const char *path)
{
    struct statfs status;

    if (statfs(path, &status) == 0 && (unsigned long)status.f_type != TMPFS_TYPE &&
        (unsigned long)status.f_type != RAMFS_TYPE)
        log_warning("\"%s\" is on a disk, and stays there when the machine is off; /run is in memory", path);
}

static int unlock(struct keys_call *call, const struct repository_config *settings)
{
    struct repository_config plain;
    struct repository repository;
    struct keys_list entries = {NULL, 0};
    struct key key;
    bool failed;
    char *path = key_source_missing_file(settings, &failed);
    int result = -1;

    if (path == NULL) {
        if (!failed)
            printf("%s: the key is there\n", settings->name);
        return failed ? -1 : 0;
    }
    const bool is_command = settings->key_command != NULL && !call->passphrase;
    int opened = open_plain(call, settings, &plain, &repository);
    if (opened == 0) {
        if (keys_list(&repository, &entries) == 0)
            result =
                is_command ? key_source_command(settings, &key) : derive(call, &repository, &entries, &key);
        if (result == 0)
            result = check_key(&repository, &entries, &key);
        repository_close(&repository);
    } else if (opened > 0) { /* what a command gives may be the key that it is to be made with */
        result = is_command ? key_source_command(settings, &key) : tell_absent(settings);
    }
    if (result == 0)
        result = key_source_write(path, &key);
    if (result == 0) {
        warn_of_disk(path);
        printf("%s: key %s is in \"%s\"\n", settings->name, key.id, path);
    }
    key_wipe(&key);
    keys_list_free(&entries);
    free(path);
    return result;
}

static command *find_command(const char *name)
{
    static const struct {
        const char *name;
        command *command;
    } commands[] = {{"generate", generate}, {"list", list},     {"rotate", rotate},
                    {"add", add},           {"unlock", unlock}, {"accept", accept_epoch}};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].command;
    log_error("there is no command \"%s\"", name);
    log_hint("There is: generate, list, rotate, add, unlock, accept.");
    return NULL;
}

static int set_passphrase(void *context, const char *value)
{
    (void)value;
    ((struct keys_call *)context)->passphrase = true;
    return 0;
}

static int set_passphrase_fd(void *context, const char *value)
{
    struct keys_call *call = context;
    unsigned long number;

    if (options_number("--passphrase-fd", value, 0, 1023, &number) != 0)
        return -1;
    call->passphrase = true;
    call->passphrase_fd = (int)number;
    return 0;
}

static bool is_meant(const struct repository_config *settings, const struct repository_config *only)
{
    return settings->encryption_key_file != NULL && (only == NULL || only == settings);
}

/* What is accepted of one repository must not be of another by the way: there it may be what somebody has put
 * back. */
static int run_all(command *run, struct keys_call *call, const struct repository_config *only)
{
    const struct config *config = &call->config;
    size_t count = 0;
    int status = 0;

    for (size_t i = 0; i < config->repository_count; i++)
        count += is_meant(&config->repositories[i], only);
    if (count == 0) {
        log_error("no repository%s%s has an encryption_key_file in configuration file \"%s\"",
                  only == NULL ? "" : " of the name ", only == NULL ? "" : only->name, config->path);
        return OPTIONS_USAGE_STATUS;
    }
    if (count > 1 && run == accept_epoch) {
        log_error("%zu repositories are encrypted: which one's epoch is to be accepted?", count);
        log_hint("Name it: repository-key accept --repository NAME.");
        return OPTIONS_USAGE_STATUS;
    }
    for (size_t i = 0; i < config->repository_count; i++)
        if (is_meant(&config->repositories[i], only) && run(call, &config->repositories[i]) != 0)
            status = 1;
    return status;
}

int main(int argc, char **argv)
{
    static const struct option_spec own[] = {
        {"passphrase", 0, NULL, set_passphrase, "add, unlock: a key that is made from a passphrase"},
        {"passphrase-fd", 0, "N", set_passphrase_fd, "the same; it is read from this descriptor"},
        {NULL, 0, NULL, NULL, NULL},
    };
    static const struct program program = {
        .name = "repository-key",
        .summary = "the keys of encrypted repositories: generate, list, rotate, add, unlock or accept",
        .operands = "COMMAND",
        .operand_count = 1,
        .options = own,
        .epilogue =
            "generate   make the key files of the configuration that are not there\n"
            "list       which keys open which epoch\n"
            "rotate     start an epoch: new objects are encrypted with a new key\n"
            "add        let every configured key, or a passphrase, open all epochs\n"
            "unlock     bring the key that a passphrase, or key_command, gives\n"
            "accept     take the epoch of cluster.json for the newest, also where a later one was seen;\n"
            "           of several encrypted repositories one must be named by --repository\n\n"
            "Exit status: 0 done; 1 failed; 2 usage or configuration.",
    };
    struct options options;
    struct keys_call call = {.passphrase_fd = -1};
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &call, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    command *run = find_command(operands[0]);
    if (run == NULL || options_load(&options, &call.config, &only) != 0)
        return OPTIONS_USAGE_STATUS;
    state_open(&call.config, &call.state);
    status = run_all(run, &call, only);
    state_close(&call.state);
    config_free(&call.config);
    return status;
}
