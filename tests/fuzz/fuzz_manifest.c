/* manifest.json. What is read comes out as the same document again. */
#include "fuzz.h"

#include "common/backup.h"

FUZZ_TARGET(manifest)
{
    struct buffer text = BUFFER_EMPTY, once = BUFFER_EMPTY, twice = BUFFER_EMPTY;
    struct backup backup, again;

    backup_init(&backup);
    if (backup_parse(data, length, "the input as it is", &backup) == 0)
        backup_free(&backup);
    fuzz_seal(data, length, &text);
    backup_init(&backup);
    if (backup_parse(buffer_string(&text), text.length, "the sealed input", &backup) == 0) {
        backup_init(&again);
        FUZZ_CHECK(backup_id_is_valid(backup.id));
        FUZZ_CHECK(backup_seal(&backup, &once) == 0);
        FUZZ_CHECK(backup_parse(once.data, once.length, "our own output", &again) == 0);
        FUZZ_CHECK(backup_seal(&again, &twice) == 0);
        FUZZ_CHECK(strcmp(buffer_string(&once), buffer_string(&twice)) == 0);
        backup_free(&again);
    }
    backup_free(&backup);
    buffer_free(&text);
    buffer_free(&once);
    buffer_free(&twice);
    return 0;
}
