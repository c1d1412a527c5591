/* A note on a backup (a pin), with its SHA-256 put right: what is taken can be written and is taken again.
 * And a note's name. */
#include "fuzz.h"

#include "common/note.h"

FUZZ_TARGET(note)
{
    struct buffer sealed = BUFFER_EMPTY, again = BUFFER_EMPTY;
    struct note note, same;
    char backup[BACKUP_ID_BYTES], name[BACKUP_ID_BYTES + 32];
    uint32_t number;

    fuzz_seal(data, length, &sealed);
    if (note_parse(buffer_string(&sealed), sealed.length, "the input", &note) == 0) {
        FUZZ_CHECK(backup_id_is_valid(note.backup) && note.system_identifier != 0);
        FUZZ_CHECK(note_seal(&note, &again) == 0);
        FUZZ_CHECK(note_parse(again.data, again.length, "our own", &same) == 0);
        FUZZ_CHECK(strcmp(note.backup, same.backup) == 0 && strcmp(note.host, same.host) == 0 &&
                   note.system_identifier == same.system_identifier && note.event == same.event &&
                   note.time == same.time);
        FUZZ_CHECK(strlen(note.reason) == NOTE_REASON_BYTES - 1 || strcmp(note.reason, same.reason) == 0);
    }
    if (note_name_parse(buffer_string(&sealed), backup, &number)) {
        FUZZ_CHECK(number <= NOTE_NUMBER_MOST);
        snprintf(name, sizeof name, "%s.%08u.json", backup, (unsigned)number);
        FUZZ_CHECK(strcmp(name, buffer_string(&sealed)) == 0);
    }
    buffer_free(&sealed);
    buffer_free(&again);
    return 0;
}
