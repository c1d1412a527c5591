/* backup_manifest, of whole files and of one in pieces. What pg_verifybackup says of it: scenarios. */
#include "unit.h"

#include "basebackup/pg_manifest.h"
#include "common/crc32c.h"
#include "common/file.h"
#include "common/log.h"

static const char backup_id[] = "20261120T020003Z-00000001-0000000A1F000028";

/* A part with one line: a file, or a piece of one. */
static void add(struct catalog *catalog, const char *name, const char *path, const char *content, uint64_t at,
                uint64_t of)
{
    struct index_entry part = {.line = INDEX_PART, .bytes = 100, .files = at == 0},
                       file = {.line = INDEX_FILE,
                               .mode = 0600,
                               .bytes = strlen(content),
                               .stored = 100,
                               .header = at == 0 ? 512 : 0,
                               .modified = 1000000000ll * 1000000,
                               .at = at,
                               .of = of};
    struct buffer lines = BUFFER_EMPTY;

    part.path = string_copy(name);
    file.path = string_copy(path);
    file.crc32c = of == 0 ? 0 : crc32c(content, strlen(content));
    CHECK(sha256_of(content, strlen(content), file.sha256) == 0);
    CHECK(index_entry_write(&file, &lines) == 0);
    CHECK(catalog_add_part(catalog, &(struct catalog_part){part, &lines}, file.bytes) == 0);
    buffer_free(&lines);
    index_entry_free(&part);
    index_entry_free(&file);
}

int main(void)
{
    struct pg_manifest_settings settings = {.backup_id = backup_id,
                                            .postgresql_version = 15,
                                            .timeline = 1,
                                            .start_lsn = 0x28,
                                            .stop_lsn = 0x100};
    struct catalog *catalog = catalog_open(NULL, false, backup_id, 1);
    int fd = file_open_unnamed(NULL);
    char text[4096] = "";
    uint64_t bytes = 0;

    log_open("test_pg_manifest", LOG_ERROR, false);
    REQUIRE(catalog != NULL && fd >= 0);
    add(catalog, "main-00000001", "before", "abc", 0, 0);
    add(catalog, "main-00000002", "split", "1234", 0, 9);
    add(catalog, "main-00000003", "split", "56", 4, 9);
    add(catalog, "main-00000004", "split", "789", 6, 9);
    add(catalog, "external-00000001", "outside", "1234", 0, 9); /* not of the data directory */
    add(catalog, "external-00000002", "outside", "56789", 4, 9);
    add(catalog, "main-00000005", "behind", "abc", 0, 0);
    CHECK(pg_manifest_write(&settings, catalog, 0, fd, &bytes) == 0);
    CHECK(bytes < sizeof text && file_pread_fully(fd, text, (size_t)bytes, 0) == 0);
    text[strcspn(text, "]")] = '\0';
#define WHEN "\"Last-Modified\": \"2001-09-09 01:46:40 GMT\", "
#define ABC                                                                                                  \
    "\"Size\": 3, " WHEN "\"Checksum-Algorithm\": \"SHA256\", \"Checksum\": "                                \
    "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\" }"
    CHECK_TEXT(text, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
                     "{ \"Path\": \"before\", " ABC ",\n"
                     "{ \"Path\": \"split\", \"Size\": 9, " WHEN
                     "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" },\n"
                     "{ \"Path\": \"behind\", " ABC "\n");
    catalog_close(catalog);
    close(fd);
    return unit_done("test_pg_manifest");
}
