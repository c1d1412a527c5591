/* A WAL page's header, and what is read out of names: WAL files, LSNs, backup ids, paths of an index. */
#include "fuzz.h"

#include "common/backup_index.h"
#include "common/utf8.h"

static void fuzz_wal_name(const char *text)
{
    static const uint32_t sizes[] = {1u << 20, 16u << 20, 1u << 30};
    struct wal_name name = wal_name_parse(text);
    char again[WAL_SEGMENT_NAME_BYTES];
    uint64_t number;

    FUZZ_CHECK(wal_kind_name(name.kind) != NULL || name.kind == WAL_NOT);
    for (size_t i = 0; name.kind == WAL_SEGMENT && i < sizeof sizes / sizeof sizes[0]; i++) {
        if (!wal_segment_number(&name, sizes[i], &number))
            continue;
        wal_segment_name(name.timeline, number, sizes[i], again);
        FUZZ_CHECK(strcmp(again, text) == 0);
    }
    if (name.kind == WAL_HISTORY) {
        wal_history_name(name.timeline, again);
        FUZZ_CHECK(strcmp(again, text) == 0);
    }
}

static void fuzz_wal_text(const char *text)
{
    char formatted[24];
    uint64_t lsn, again;

    if (lsn_parse(text, &lsn)) {
        lsn_format(lsn, formatted);
        FUZZ_CHECK(lsn_parse(formatted, &again) && again == lsn);
    }
    if (backup_id_is_valid(text))
        FUZZ_CHECK(strlen(text) < BACKUP_ID_BYTES);
    if (index_path_is_safe(text))
        FUZZ_CHECK(text[0] != '/' && strstr(text, "//") == NULL && strncmp(text, "../", 3) != 0 &&
                   strstr(text, "/../") == NULL);
    utf8_is_valid(text, strlen(text));
}

FUZZ_TARGET(wal)
{
    struct fuzz_input input = {data, length};
    struct wal_page page;

    while (input.left > 0) {
        size_t taken;
        char *block = fuzz_take(&input, 0, &taken);

        if (wal_page_parse(block, taken, &page)) {
            FUZZ_CHECK(wal_segment_size_is_legal(page.segment_bytes));
            wal_magic_version(page.magic);
        }
        char *text = strndup(block, taken);
        FUZZ_CHECK(text != NULL);
        fuzz_wal_name(text);
        fuzz_wal_text(text);
        free(text);
        free(block);
    }
    return 0;
}
