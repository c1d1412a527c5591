/* Notes: what is written is read; the last one of a backup holds, whatever the clocks say; a damaged one is a
 * pin. */
#include "common/log.h"
#include "common/note.h"
#include "unit.h"

#include <sys/stat.h>

#define SYSTEM 7574912398475612345u

static const char first_id[] = "20261120T020003Z-00000001-0000000A1F000028";
static const char second_id[] = "20261121T020003Z-00000001-0000000B1F000028";

static struct note note_of(const char *backup, enum note_event event)
{
    struct note note = {.system_identifier = SYSTEM, .event = event, .time = 1795254000123456};

    snprintf(note.backup, sizeof note.backup, "%s", backup);
    snprintf(note.host, sizeof note.host, "db1");
    snprintf(note.reason, sizeof note.reason, "before the \"migration\"");
    return note;
}

static void test_document(void)
{
    struct note note = note_of(first_id, NOTE_UNPIN), found;
    struct buffer text = BUFFER_EMPTY;

    CHECK(note_seal(&note, &text) == 0 && note_parse(text.data, text.length, "the test's", &found) == 0);
    CHECK_TEXT(found.backup, first_id);
    CHECK_TEXT(found.host, "db1");
    CHECK_TEXT(found.reason, "before the \"migration\"");
    CHECK(found.event == NOTE_UNPIN && found.time == note.time && found.system_identifier == SYSTEM);
    buffer_clear(&text);
    snprintf(note.backup, sizeof note.backup, "nonsense");
    CHECK(note_seal(&note, &text) == 0);
    unit_listen();
    CHECK(note_parse(text.data, text.length, "the test's", &found) == -1);
    CHECK(unit_heard("is damaged"));
    buffer_free(&text);
}

static bool is_pinned(struct repository *repository, const char *id)
{
    struct notes notes;
    bool result;

    REQUIRE(notes_load(repository, &notes) == REPOSITORY_OK);
    result = notes_pin(&notes, SYSTEM, id) != NULL;
    CHECK(notes_pin(&notes, SYSTEM + 1, id) == NULL);
    notes_free(&notes);
    return result;
}

static void add(struct repository *repository, const char *id, enum note_event event)
{
    struct note note = note_of(id, event);

    CHECK(note_add(repository, &note) == REPOSITORY_OK);
}

static void test_order(const char *root)
{
    char name[] = "here", cluster_name[] = "main", path[128];
    struct repository_config settings = {.name = name, .url = path, .kind = REPOSITORY_FILE, .path = path};
    struct config config = {.cluster_name = cluster_name, .repositories = &settings, .repository_count = 1};
    struct generation generation = {.system_identifier = SYSTEM};
    const struct store_limits limits = {30, 0};
    struct repository repository;

    snprintf(path, sizeof path, "%s", root);
    REQUIRE(repository_open(&config, &settings, NULL, &limits, &repository) == 0);
    repository.cluster = (struct cluster){.generations = &generation, .generation_count = 1};
    CHECK(!is_pinned(&repository, first_id));
    add(&repository, first_id, NOTE_PIN);
    CHECK(is_pinned(&repository, first_id) && !is_pinned(&repository, second_id));
    add(&repository, second_id, NOTE_PIN);
    add(&repository, first_id, NOTE_UNPIN);
    CHECK(!is_pinned(&repository, first_id) && is_pinned(&repository, second_id));
    for (int i = 0; i < 10; i++) /* up to number 13: the order is that of the numbers */
        add(&repository, first_id, i % 2 == 0 ? NOTE_PIN : NOTE_UNPIN);
    CHECK(!is_pinned(&repository, first_id));
    add(&repository, first_id, NOTE_PIN);
    CHECK(is_pinned(&repository, first_id));
    add(&repository, first_id, NOTE_UNPIN);
    char *last = unit_path("%s/main/%llu/notes/%s.00000014.json", root, (unsigned long long)SYSTEM, first_id);
    CHECK(access(last, F_OK) == 0);
    unit_write(last, "{}", 2);
    unit_listen();
    CHECK(is_pinned(&repository, first_id));
    CHECK(unit_heard("is damaged"));
    unit_write(unit_path("%s/main/%llu/notes/stray.json", root, (unsigned long long)SYSTEM), "{}", 2);
    CHECK(is_pinned(&repository, second_id));
    repository_close(&repository);
}

int main(void)
{
    char root[] = "/tmp/walferry-note-XXXXXX";

    log_open("test_note", LOG_WARNING, false);
    REQUIRE(mkdtemp(root) != NULL);
    test_document();
    test_order(root);
    unit_remove_tree(root);
    return unit_done("note");
}
