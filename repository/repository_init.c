/* repository-init: makes cluster.json in every repository of the configuration, or says what is there
 * already. The only program that makes a repository, so that a mistyped prefix never looks like a new home to
 * the others. */
#include "keys.h"
#include "probe.h"

#include "common/config_s3.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/options.h"
#include "common/pg_control.h"
#include "common/repository.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct init {
    struct config config;
    struct state state;
    const struct repository_config *only;
    bool add_generation;
    bool probe_again;
    struct generation here; /* the cluster in [cluster] pgdata */
};

static int read_here(struct init *init)
{
    struct pg_control control;
    const char *directory = init->config.pgdata;

    if (directory == NULL) {
        log_error("configuration file \"%s\" has no [cluster] pgdata: which cluster is the repository for?",
                  init->config.path);
        return -1;
    }
    int result = pg_control_read(directory, &control, NULL);
    if (result == 1)
        log_error("\"%s\" is no data directory: there is no global/pg_control", directory);
    if (result != 0)
        return -1;
    unsigned version = pg_version_read(directory);
    if (version == 0) {
        log_error("could not find out PostgreSQL's version from \"%s/PG_VERSION\"", directory);
        return -1;
    }
    init->here = (struct generation){
        .system_identifier = control.system_identifier,
        .postgresql_version = version,
        .control_version = control.control_version,
        .catalog_version = control.catalog_version,
        .segment_bytes = control.segment_bytes,
        .added = timestamp_now(),
    };
    return 0;
}

static void tell(const struct repository *repository, const char *what)
{
    const struct cluster *cluster = &repository->cluster;

    printf("%s: %s (%s)\n", repository->settings->name, what, repository->settings->url);
    for (size_t i = 0; i < cluster->generation_count; i++) {
        const struct generation *generation = &cluster->generations[i];
        char added[TIMESTAMP_TEXT_BYTES];
        timestamp_format_iso(generation->added, added);
        printf("    cluster %s, system %" PRIu64 ", PostgreSQL %u, segments of %" PRIu32
               " MiB, accepted %s\n",
               cluster->name, generation->system_identifier, generation->postgresql_version,
               generation->segment_bytes / 1048576, added);
    }
    if (cluster->epoch.number != 0)
        printf("    encrypted (epoch %" PRIu32 ", key %s); whoever loses the key loses the repository\n",
               cluster->epoch.number, store_key_ids(repository->store));
    if (repository->settings->kind == REPOSITORY_S3 && cluster->condition != STORE_CONDITION_HONOURED)
        printf("    note: this bucket does not honour If-None-Match; overwriting is detected, not prevented "
               "(docs/stores.md)\n");
}

static void advise(void *context, const char *text)
{
    log_warning("%s: %s", ((const struct repository_config *)context)->name, text);
}

static int put_cluster(struct repository *repository)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = repository_cluster_key(repository);
    int result = -1;

    if (key == NULL || cluster_seal(&repository->cluster, &text) != 0)
        goto done;
    switch (repository_put_small(repository, key, &text)) {
    case REPOSITORY_OK:
    case REPOSITORY_IDENTICAL: /* our own first try, whose answer was lost */
        result = 0;
        break;
    case REPOSITORY_COLLISION:
        log_error("\"%s\" has just been made by somebody else", store_describe(repository->store, key));
        log_hint("Run repository-init again to see what is there.");
        break;
    default:
        break;
    }
done:
    buffer_free(&text);
    free(key);
    return result;
}

/* What was remembered of a repository that was here before is forgotten, also by root for the archiver: its
 * key is not this one's. */
static void forget_before(const struct init *init, const struct repository *repository)
{
    char *name = state_name("epoch", &init->config, repository->settings);
    bool is_forgotten = repository_forget_cluster(repository) && name != NULL;

    if (repository->cluster.epoch.number != 0 && init->state.directory == NULL)
        is_forgotten = is_forgotten && state_forget_anywhere(&init->config, name);
    free(name);
    if (is_forgotten || repository->cluster.epoch.number == 0)
        return;
    log_warning("what \"%s\" (state_dir) remembers of repository \"%s\" is another user's, and stays",
                init->config.state_dir, repository->settings->name);
    log_hint(
        "If there was a repository here before, run \"repository-key accept\" as that user now: what its "
        "archiver stores until then, for up to an hour, is encrypted with the key of the one before, "
        "and lost.");
}

static int make(struct init *init, struct repository *repository)
{
    struct cluster *cluster = &repository->cluster;

    if (repository->settings->kind == REPOSITORY_FILE &&
        file_make_directories(repository->settings->path, 0700) != 0)
        return -1;
    *cluster = (struct cluster){.condition = STORE_CONDITION_UNKNOWN};
    repository->cluster_known = true;
    cluster->name = string_copy(init->config.cluster_name);
    cluster->generations = malloc(sizeof *cluster->generations);
    if (cluster->name == NULL || cluster->generations == NULL)
        return log_out_of_memory();
    cluster->generations[0] = init->here;
    cluster->generation_count = 1;
    if (repository_probe(repository, &cluster->condition, &cluster->versioned) != 0 ||
        (repository->settings->encryption_key_file != NULL && keys_begin_epoch(repository) != 0) ||
        put_cluster(repository) != 0)
        return -1;
    forget_before(init, repository);
    if (cluster->epoch.number != 0 && store_accept_epoch(repository->store) != 0)
        return -1;
    tell(repository, "made");
    return 0;
}

static int add_generation(const struct init *init, struct repository *repository)
{
    struct cluster *cluster = &repository->cluster;
    struct generation *grown = realloc(cluster->generations, (cluster->generation_count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    cluster->generations = grown;
    grown[cluster->generation_count++] = init->here;
    if (repository_replace_cluster(repository) != 0)
        return -1;
    repository_forget_cluster(repository);
    tell(repository, "a new generation was added");
    return 0;
}

static int probe_again(struct repository *repository)
{
    struct cluster *cluster = &repository->cluster;

    if (repository_probe(repository, &cluster->condition, &cluster->versioned) != 0 ||
        repository_replace_cluster(repository) != 0)
        return -1;
    repository_forget_cluster(repository);
    tell(repository, "probed again");
    return 0;
}

static int look_at_existing(struct init *init, struct repository *repository)
{
    if (cluster_generation(&repository->cluster, init->here.system_identifier) != NULL) {
        if (init->probe_again)
            return probe_again(repository);
        tell(repository, "there already");
        return 0;
    }
    if (init->add_generation)
        return add_generation(init, repository);
    tell(repository, "there already, for another system");
    log_error("repository \"%s\" does not accept system %" PRIu64 " of \"%s\"", repository->settings->name,
              init->here.system_identifier, init->config.pgdata);
    log_hint(
        "If this is the same cluster after pg_upgrade or a new initdb, run repository-init --add-generation. "
        "If it is another cluster, give it another [cluster] name.");
    return -1;
}

/* Is cluster.json there? A directory that does not exist yet is as good as an empty one here, and only here.
 */
static enum repository_result look(struct repository *repository)
{
    struct buffer text = BUFFER_EMPTY;
    enum repository_result result = REPOSITORY_ABSENT;

    if (repository->settings->kind == REPOSITORY_FILE && !file_exists(repository->settings->path))
        return REPOSITORY_ABSENT;
    char *key = repository_cluster_key(repository);
    if (key == NULL)
        return REPOSITORY_FAILED;
    result = repository_get_small(repository, key, NULL, &text);
    if (result == REPOSITORY_OK) {
        if (cluster_parse(text.data, text.length, store_describe(repository->store, key),
                          &repository->cluster) != 0 ||
            repository_take_epoch(repository) != 0)
            result = REPOSITORY_DAMAGED;
        else
            repository->cluster_known = true;
    }
    buffer_free(&text);
    free(key);
    return result;
}

static int init_one(struct init *init, const struct repository_config *settings)
{
    const struct store_limits limits = {.operation_seconds = 60};
    struct repository repository;
    int result = -1;

    config_s3_advise(settings, advise, (void *)settings);
    if (repository_open(&init->config, settings, &init->state, &limits, &repository) != 0)
        return -1;
    switch (look(&repository)) {
    case REPOSITORY_OK:
        result = look_at_existing(init, &repository);
        break;
    case REPOSITORY_ABSENT:
        result = make(init, &repository);
        break;
    default:
        break;
    }
    repository_close(&repository);
    return result;
}

static int set_add_generation(void *context, const char *value)
{
    (void)value;
    ((struct init *)context)->add_generation = true;
    return 0;
}

static int set_probe(void *context, const char *value)
{
    (void)value;
    ((struct init *)context)->probe_again = true;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option_spec own[] = {
        {"add-generation", 0, NULL, set_add_generation,
         "accept the cluster in pgdata as the next life of this one (pg_upgrade)"},
        {"probe", 0, NULL, set_probe,
         "find out again what the bucket does with If-None-Match (after versioning was switched)"},
        {NULL, 0, NULL, NULL, NULL},
    };
    static const struct program program = {
        .name = "repository-init",
        .summary = "makes cluster.json in every repository of the configuration",
        .operands = "",
        .options = own,
        .epilogue = "Exit status: 0 every repository is ready; 1 failed; 2 usage or configuration.",
    };
    struct options options;
    struct init init = {.only = NULL};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &init, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &init.config, &init.only) != 0)
        return OPTIONS_USAGE_STATUS;
    state_open(&init.config, &init.state);
    status = read_here(&init) == 0 ? 0 : OPTIONS_USAGE_STATUS;
    for (size_t i = 0; status != OPTIONS_USAGE_STATUS && i < init.config.repository_count; i++)
        if (init.only == NULL || init.only == &init.config.repositories[i])
            status = init_one(&init, &init.config.repositories[i]) == 0 ? status : 1;
    state_close(&init.state);
    config_free(&init.config);
    return status;
}
