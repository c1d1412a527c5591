/* The backups of a repository with two timelines: what is listed, and which of them leads to a target. */
#include "common/backup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>

#define SYSTEM 7412345678901234567ULL

static char directory[] = "/tmp/walferry-backup-list-XXXXXX";

static char *below(const char *rest)
{
    return unit_path("%s/main/7412345678901234567/%s", directory, rest);
}

static void put_document(struct repository *repository, const char *key, const struct buffer *text)
{
    const struct body body = {.data = text->data, .fd = -1, .length = text->length};

    CHECK(store_replace(repository->store, key, &body) == STORE_OK);
}

static void put_cluster(struct repository *repository, const char *name)
{
    struct generation generation = {SYSTEM, 15, 1300, 202209061, 16u << 20, 0};
    struct cluster cluster = {
        .name = (char *)(uintptr_t)name, &generation, 1, STORE_CONDITION_HONOURED, false};
    struct buffer text = BUFFER_EMPTY;

    CHECK(cluster_seal(&cluster, &text) == 0);
    put_document(repository, "main/cluster.json", &text);
    buffer_free(&text);
}

/* Its id. */
static const char *put_backup(struct repository *repository, const char *start, uint32_t timeline,
                              uint64_t start_lsn)
{
    static char ids[8][BACKUP_ID_BYTES];
    static unsigned next;
    struct backup backup;
    struct buffer text = BUFFER_EMPTY;
    char *id = ids[next++];

    backup_init(&backup);
    CHECK(timestamp_parse(start, &backup.start_time) == TIMESTAMP_OK);
    backup.stop_time = backup.start_time + 60000000;
    backup.timeline = timeline;
    backup.start_lsn = start_lsn;
    backup.stop_lsn = start_lsn + 0x100;
    backup.system_identifier = SYSTEM;
    backup.postgresql_version = 15;
    backup.server_version = 150018;
    backup.segment_bytes = 16u << 20;
    backup.block_bytes = 8192;
    backup.part_count = backup.file_count = backup.files_bytes = 1;
    backup_id_make(backup.start_time, timeline, start_lsn, backup.id);
    memcpy(id, backup.id, BACKUP_ID_BYTES);
    CHECK(backup_seal(&backup, &text) == 0);
    char *key = backup_key(repository, SYSTEM, id, "manifest.json");
    put_document(repository, key, &text);
    buffer_free(&text);
    free(key);
    return id;
}

static void put_history(struct repository *repository, const char *name, const char *stored_as,
                        const struct buffer *content)
{
    struct object_facts facts = {.kind = "history", .system_identifier = SYSTEM, .timeline = 2};
    struct buffer object = BUFFER_EMPTY;
    struct object_writer *writer = object_writer_new(&(struct compression){CODEC_LZ4, 1});
    char *key = repository_wal_key(repository, SYSTEM, stored_as);

    snprintf(facts.name, sizeof facts.name, "%s", name);
    CHECK(object_writer_begin(writer, sink_to_buffer(&object)) == 0 &&
          object_writer_write(writer, content->data, content->length) == 0 &&
          object_writer_end(writer, &facts) == 0);
    put_document(repository, key, &object);
    object_writer_free(writer);
    buffer_free(&object);
    free(key);
}

static void put_histories(struct repository *repository)
{
    struct buffer text = BUFFER_EMPTY;

    buffer_append_string(&text, "1\t0/2000000\tbefore 2026-11-20 03:00:00+00\n");
    put_history(repository, "00000002.history", "00000002.history", &text);
    put_history(repository, "00000002.history", "00000003.history", &text); /* a copy under another name */
    buffer_clear(&text);
    buffer_append_string(&text, "1\tnonsense\tx\n");
    put_history(repository, "00000004.history", "00000004.history", &text);
    buffer_clear(&text);
    CHECK(buffer_reserve(&text, 3 << 20) == 0);
    memset(text.data, '#', 3 << 20);
    text.length = 3 << 20;
    put_history(repository, "00000005.history", "00000005.history", &text);
    buffer_free(&text);
}

static const char *early, *late, *second; /* before and behind the fork, and on the second timeline */

static void test_listing(struct repository *repository)
{
    struct backup_list list;
    char manifest[100];

    early = put_backup(repository, "2026-11-20 02:00:00Z", 1, 0x1000028);
    second = put_backup(repository, "2026-11-20 04:00:00Z", 2, 0x4000028);
    late = put_backup(repository, "2026-11-20 04:00:00Z", 1, 0x3000028); /* at the same time: by their ids */
    CHECK(backup_list_load(repository, &list) == REPOSITORY_OK && list.count == 3 && list.damaged == 0);
    CHECK(list.count == 3 && strcmp(list.backups[0].id, early) == 0 &&
          strcmp(list.backups[1].id, late) == 0 && strcmp(list.backups[2].id, second) == 0);
    backup_list_free(&list);

    /* what else may lie there: other names, a file, a backup without a manifest */
    CHECK(mkdir(below("base/lost+found"), 0700) == 0 && mkdir(below("base/latest"), 0700) == 0);
    CHECK(file_replace(below("base/latest/manifest.json"), "{}", 2, 0600) == 0);
    CHECK(mkdir(below("base/20261121T020000Z-00000001-0000000001000028"), 0700) == 0);
    CHECK(mkdir(below("base/20261121T020000Z-00000001-0000000001000028.old"), 0700) == 0);
    CHECK(file_replace(below("base/20261122T020000Z-00000001-0000000001000028"), "x", 1, 0600) == 0);
    CHECK(backup_list_load(repository, &list) == REPOSITORY_OK && list.count == 3 && list.damaged == 0);
    backup_list_free(&list);

    /* a damaged one does not hide the others */
    snprintf(manifest, sizeof manifest, "base/20261121T020000Z-00000001-0000000001000028/manifest.json");
    CHECK(file_replace(below(manifest), "{}", 2, 0600) == 0);
    CHECK(truncate(below(manifest), (16 << 20) + 1) == 0);
    unit_listen();
    CHECK(backup_list_load(repository, &list) == REPOSITORY_OK && list.count == 3 && list.damaged == 1);
    CHECK(unit_heard("/manifest.json is damaged: it is longer than is sensible for its kind"));
    backup_list_free(&list);
    unit_remove_tree(below("base/20261121T020000Z-00000001-0000000001000028"));
}

/* On the way to a timeline. */
static void check_choice(const struct backup_list *list, const struct timeline_history *history, uint64_t lsn,
                         const char *expected)
{
    const struct backup_wish wish = {.has_lsn = lsn != 0, .lsn = lsn};
    const struct backup *earliest, *chosen = backup_find(list, &wish, history, &earliest);

    CHECK((chosen == NULL) == (expected == NULL));
    if (chosen != NULL && expected != NULL)
        CHECK_TEXT(chosen->id, expected);
    else
        CHECK(earliest != NULL && strcmp(earliest->id, early) == 0);
}

static void test_timelines(struct repository *repository)
{
    static const struct {
        uint32_t timeline;
        enum repository_result result;
        const char *message;
    } wrong[] = {
        {3, REPOSITORY_DAMAGED, "holds history \"00000002.history\", not history \"00000003.history\""},
        {4, REPOSITORY_DAMAGED, "00000004.history is damaged: a line has no LSN"},
        {5, REPOSITORY_DAMAGED, "00000005.history is damaged: it is longer than is sensible for its kind"},
        {7, REPOSITORY_ABSENT, ""},
    };
    const struct timeline_history first = {1, NULL, 0};
    struct timeline_history history;
    struct backup_list list;

    put_histories(repository);
    CHECK(backup_list_load(repository, &list) == REPOSITORY_OK);
    CHECK(repository_get_history(repository, SYSTEM, 2, &history) == REPOSITORY_OK);
    check_choice(&list, NULL, 0, second);
    check_choice(&list, &first, 0, late);
    check_choice(&list, &history, 0, second);
    check_choice(&list, &first, 0x3500000, late);
    check_choice(&list, &history, 0x3500000, early); /* the late one ended behind the fork */
    check_choice(&list, &history, 0x1000000, NULL);
    timeline_history_free(&history);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unit_listen();
        CHECK(repository_get_history(repository, SYSTEM, wrong[i].timeline, &history) == wrong[i].result);
        CHECK(unit_heard(wrong[i].message));
    }
    backup_list_free(&list);
}

/* An object that was copied to another place is not that place's. */
static void test_foreign_cluster(struct repository *repository)
{
    put_cluster(repository, "other");
    unit_listen();
    CHECK(repository_load_cluster(repository, 0) == REPOSITORY_DAMAGED && !repository->cluster_known);
    CHECK(unit_heard("is of the cluster \"other\", not of \"main\""));
    put_cluster(repository, "main");
    CHECK(repository_load_cluster(repository, 0) == REPOSITORY_OK && repository->cluster_known);
}

int main(void)
{
    const struct repository_config settings = {
        .name = (char *)(uintptr_t) "local", .kind = REPOSITORY_FILE, .path = directory};
    const struct config config = {.cluster_name = (char *)(uintptr_t) "main"};
    const struct store_limits limits = {30, 0};
    struct repository repository;

    log_open("test_backup_list", LOG_ERROR, false);
    if (mkdtemp(directory) == NULL || repository_open(&config, &settings, NULL, &limits, &repository) != 0)
        return 1;
    put_cluster(&repository, "main");
    CHECK(repository_load_cluster(&repository, 0) == REPOSITORY_OK);
    test_listing(&repository);
    test_timelines(&repository);
    test_foreign_cluster(&repository);
    repository_close(&repository);
    unit_remove_tree(directory);
    return unit_done("backup_list");
}
