/* The id of a backup is claimed in all repositories or in none. */
#include "common/targets.h"
#include "common/log.h"
#include "unit.h"

#include <sys/stat.h>

#define ID "20261120T020003Z-00000001-0000000A1F000028"

static char directory[] = "/tmp/walferry-targets-XXXXXX";
static struct config config = {.cluster_name = (char *)"main"};
static struct repository_config settings[2];
static struct target items[2];
static struct targets targets = {.items = items, .count = 2, .system_identifier = 7, .id = ID};

static void open_targets(void)
{
    struct store_limits limits = {0, 0};

    for (size_t i = 0; i < 2; i++) {
        settings[i] = (struct repository_config){.name = (char *)(i == 0 ? "here" : "there"),
                                                 .path = string_printf("%s/%zu", directory, i)};
        settings[i].kind = REPOSITORY_FILE;
        CHECK(mkdir(settings[i].path, 0700) == 0);
        REQUIRE(repository_open(&config, &settings[i], NULL, &limits, &items[i].repository) == 0);
        items[i].is_open = items[i].is_required = true;
    }
}

static bool is_claimed(size_t target)
{
    return access(unit_path("%s/%zu/main/7/base/" ID "/started.json", directory, target), F_OK) == 0;
}

int main(void)
{
    struct buffer ours = BUFFER_EMPTY, others = BUFFER_EMPTY;

    log_open("test_targets", LOG_ERROR, false);
    REQUIRE(mkdtemp(directory) != NULL);
    open_targets();
    CHECK(buffer_append_string(&ours, "ours") == 0 && buffer_append_string(&others, "others") == 0);
    CHECK(target_put(&targets, &items[1], "started.json", &others) == 0);
    CHECK(targets_claim(&targets, "started.json", &ours) == 1);
    CHECK(!is_claimed(0) && is_claimed(1));
    memcpy(strchr(targets.id, 'Z') - 1, "4", 1); /* the next second */
    CHECK(targets_claim(&targets, "started.json", &ours) == 0);
    CHECK(targets_claim(&targets, "started.json", &ours) == 0); /* an earlier try arrived */
    memcpy(strchr(targets.id, 'Z') - 1, "3", 1);
    CHECK(target_put(&targets, &items[0], "started.json", &others) == 0);
    CHECK(targets_claim(&targets, "started.json", &ours) == 1);
    CHECK(is_claimed(0) && is_claimed(1)); /* another's */
    for (size_t i = 0; i < 2; i++) {
        repository_close(&items[i].repository);
        free(settings[i].path);
    }
    buffer_free(&ours);
    buffer_free(&others);
    unit_remove_tree(directory);
    return unit_done("targets");
}
