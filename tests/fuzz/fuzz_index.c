/* The index of a backup, in odd pieces. What is read is written as a line that is read again. */
#include "fuzz.h"

#include "common/backup_index.h"

#define FUZZ_INDEX_ID "20261120T020003Z-00000001-0000000A1F000028"

static int fuzz_index_each(void *context, struct index_entry *entry)
{
    FUZZ_CHECK(entry->line == INDEX_PART || index_path_is_safe(entry->path));
    return index_entry_write(entry, context);
}

static int fuzz_index_read(const void *data, size_t length, size_t piece, struct buffer *out)
{
    struct index_reader *reader = index_reader_new(FUZZ_INDEX_ID, "the input", fuzz_index_each, out);
    int result;

    FUZZ_CHECK(reader != NULL && index_header_write(FUZZ_INDEX_ID, out) == 0);
    const struct sink sink = index_reader_sink(reader);
    result = fuzz_push(&sink, data, length, piece);
    if (result == 0)
        result = index_reader_finish(reader);
    index_reader_free(reader);
    return result;
}

FUZZ_TARGET(index)
{
    struct buffer once = BUFFER_EMPTY, twice = BUFFER_EMPTY;

    if (fuzz_index_read(data, length, length % 29 + 1, &once) == 0) {
        FUZZ_CHECK(fuzz_index_read(once.data, once.length, 100, &twice) == 0);
        FUZZ_CHECK(strcmp(buffer_string(&once), buffer_string(&twice)) == 0);
    }
    buffer_free(&once);
    buffer_free(&twice);
    return 0;
}
