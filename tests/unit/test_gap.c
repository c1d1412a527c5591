/* Gap markers: what is written is read, what is not one is refused; and those of this machine, where its
 * state directory fails. */
#include "common/file.h"
#include "common/gap.h"
#include "common/log.h"
#include "common/state.h"
#include "unit.h"
#include "wal-push/gaps.h"
#include "wal-push/shipper.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct gap five_to_seven = {
    .system_identifier = 7574912398475612345u,
    .segment_bytes = 16u << 20,
    .first = "000000010000000000000005",
    .last = "000000010000000000000007",
    .segments = 3,
    .since = 1795254000123456,
    .until = 1795254060000001,
    .host = "db1",
};

static bool comes_back(const struct gap *gap)
{
    struct buffer text = BUFFER_EMPTY;
    struct gap found;
    bool result = gap_seal(gap, &text) == 0 && gap_parse(text.data, text.length, "the test's", &found) == 0 &&
                  found.since == gap->since && found.until == gap->until && found.segments == gap->segments &&
                  strcmp(found.first, gap->first) == 0 && strcmp(found.last, gap->last) == 0 &&
                  strcmp(found.host, gap->host) == 0;

    buffer_free(&text);
    return result;
}

static void test_documents(void)
{
    struct gap gap = five_to_seven;

    CHECK(comes_back(&gap));
    gap.segments = 2; /* but three from first to last */
    CHECK(!comes_back(&gap));
    gap = five_to_seven;
    gap.last[7] = '2'; /* another timeline */
    CHECK(!comes_back(&gap));
    gap = five_to_seven;
    gap.last[21] = '1'; /* too long for one marker */
    gap.segments += 256;
    CHECK(!comes_back(&gap));
    gap = five_to_seven;
    gap.last[23] = '4'; /* before the first */
    CHECK(!comes_back(&gap));
    gap = five_to_seven;
    gap.first[23] = 'x';
    CHECK(!comes_back(&gap));
    gap = five_to_seven;
    gap.system_identifier = 0;
    CHECK(!comes_back(&gap));
    gap = five_to_seven;
    gap.segment_bytes = 3u << 20;
    CHECK(!comes_back(&gap));
    CHECK(gap_parse("{}", 2, "the test's", &gap) == -1);
}

static size_t count_markers(const char *directory, const char *ending)
{
    DIR *open_directory = opendir(directory);
    size_t count = 0;

    REQUIRE(open_directory != NULL);
    for (struct dirent *item; (item = readdir(open_directory)) != NULL;)
        count += strstr(item->d_name, ending) != NULL;
    closedir(open_directory);
    return count;
}

/* A marker ends where those that may cover a segment are looked for, also between two folders. */
static void test_boundaries(void)
{
    static const char *const names[] = {"0000000100000003000000FE", "0000000100000003000000FF",
                                        "000000010000000400000000", "000000010000000400000001"};
    char directory[] = "/tmp/walferry-unit-XXXXXX";
    struct state state = {directory};
    struct source source = {.system_identifier = five_to_seven.system_identifier, .segment_bytes = 16u << 20};
    const struct config config = {.repository_count = 0};
    const struct shipper shipper = {.config = &config, .state = &state};
    struct buffer text = BUFFER_EMPTY;
    struct gap gap;

    CHECK(mkdtemp(directory) != NULL);
    for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) { /* each asked for again afterwards */
        source.name = names[i % (sizeof names / sizeof names[0])];
        source.parsed = wal_name_parse(source.name);
        CHECK(gaps_add(&source, &shipper) == 0);
    }
    CHECK(count_markers(directory, ".open") == 2);
    char *second = string_printf("%s/gap-7574912398475612345-%s.open", directory, names[2]);
    CHECK(second != NULL && file_read_all(second, 65536, &text) == FILE_OK);
    CHECK(gap_parse(text.data, text.length, "the test's", &gap) == 0);
    CHECK(gap.segments == 2 && strcmp(gap.last, names[3]) == 0);
    buffer_free(&text);
    free(second);
    unit_remove_tree(directory);
}

/* A state directory with a marker; each way in which it may fail is a failure, and lets go of nothing. */
static void test_state(void)
{
    char directory[] = "/tmp/walferry-unit-XXXXXX";
    struct state state = {NULL};
    struct source source = {.name = "000000010000000000000005",
                            .system_identifier = five_to_seven.system_identifier,
                            .segment_bytes = 16u << 20};
    const uint64_t system = source.system_identifier;
    char name[] = "main", url[] = "file:///nowhere";
    struct repository_config place = {.name = name, .url = url};
    const struct config config = {.cluster_name = name, .repositories = &place, .repository_count = 1};
    struct shipper_place places[1] = {{.has_failed = true}};
    const struct shipper shipper = {.config = &config, .state = &state, .places = places};
    struct repository nowhere = {.config = &config, .settings = &place, .state = &state};

    source.parsed = wal_name_parse(source.name);
    CHECK(gaps_add(&source, &shipper) == -1);
    CHECK(gaps_send(&state, &nowhere, system) == 0);

    CHECK(mkdtemp(directory) != NULL);
    state.directory = directory;
    CHECK(gaps_send(&state, &nowhere, system) == 0);
    CHECK(gaps_add(&source, &shipper) == 0);
    CHECK(gaps_add(&source, &shipper) == 0); /* asked for again: still one */
    char *lock = path_join(directory, "gaps.lock");
    char *open_marker = string_printf("%s/gap-7574912398475612345-%s.open", directory, source.name);
    char *closed_marker = string_printf("%s/gap-7574912398475612345-%s.closed", directory, source.name);
    REQUIRE(lock != NULL && open_marker != NULL && closed_marker != NULL);
    CHECK(access(open_marker, F_OK) == 0);

    /* a place where the closed marker should go that cannot be replaced */
    CHECK(mkdir(closed_marker, 0700) == 0);
    CHECK(gaps_send(&state, &nowhere, system) == -1);
    CHECK(access(open_marker, F_OK) == 0);
    CHECK(rmdir(closed_marker) == 0);

    /* no lock to be had */
    CHECK(unlink(lock) == 0 && mkdir(lock, 0700) == 0);
    CHECK(gaps_add(&source, &shipper) == -1);
    CHECK(gaps_send(&state, &nowhere, system) == -1);
    CHECK(rmdir(lock) == 0);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
    CHECK(gaps_add(&source, &shipper) == -1); /* five seconds */
    close(fd);

    /* damaged markers */
    CHECK(file_replace(open_marker, "{}", 2, 0600) == 0);
    CHECK(gaps_add(&source, &shipper) == -1);
    CHECK(gaps_send(&state, &nowhere, system) == -1); /* closed now, and not sent */
    CHECK(access(closed_marker, F_OK) == 0);

    unit_remove_tree(directory);
    CHECK(gaps_add(&source, &shipper) == -1);
    CHECK(gaps_send(&state, &nowhere, system) == -1);
    free(lock);
    free(open_marker);
    free(closed_marker);
}

int main(void)
{
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    test_documents();
    test_boundaries();
    test_state();
    return unit_done("gap");
}
