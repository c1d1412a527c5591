/* The manifest of a dump, with its SHA-256 put right: what is taken can be written and is taken again. And
 * the names of pieces and of dumps. */
#include "fuzz.h"

#include "common/dump.h"

static void check_names(const char *text)
{
    char name[DUMP_PIECE_NAME_BYTES], id[DUMP_ID_BYTES];
    uint64_t number;
    uint32_t oid;
    int64_t time;

    if (dump_piece_parse(text, &oid, &number)) {
        FUZZ_CHECK(number > 0 && number <= DUMP_PIECES_MOST);
        dump_piece_name(oid, number, name);
        FUZZ_CHECK(strcmp(name, text) == 0);
    }
    if (dump_id_parse(text, &time)) {
        dump_id_make(time, id);
        FUZZ_CHECK(strcmp(id, text) == 0);
    }
}

static void check_streams(const struct dump *dump)
{
    for (size_t i = 0; i < dump->stream_count; i++) {
        const struct dump_stream *stream = &dump->streams[i];
        FUZZ_CHECK((stream->oid == 0) == (stream->name == NULL));
        FUZZ_CHECK(stream->pieces > 0 && stream->pieces <= DUMP_PIECES_MOST);
        FUZZ_CHECK(i == 0 || stream->oid > dump->streams[i - 1].oid);
    }
}

FUZZ_TARGET(dump)
{
    struct buffer sealed = BUFFER_EMPTY, again = BUFFER_EMPTY;
    struct dump dump, same;

    fuzz_seal(data, length, &sealed);
    if (dump_parse(buffer_string(&sealed), sealed.length, "the input", &dump) == 0) {
        FUZZ_CHECK(dump_id_is_valid(dump.id) && dump.system_identifier != 0 && dump.stream_count > 0);
        check_streams(&dump);
        FUZZ_CHECK(dump_seal(&dump, &again) == 0);
        FUZZ_CHECK(dump_parse(again.data, again.length, "our own", &same) == 0);
        FUZZ_CHECK(strcmp(dump.id, same.id) == 0 && dump.stream_count == same.stream_count &&
                   dump.started == same.started && dump.codec == same.codec &&
                   dump_bytes(&dump) == dump_bytes(&same));
        for (size_t i = 0; i < dump.stream_count; i++)
            FUZZ_CHECK(dump.streams[i].name == NULL ||
                       strcmp(dump.streams[i].name, same.streams[i].name) == 0);
        dump_free(&same);
        dump_free(&dump);
    }
    check_names(buffer_string(&sealed));
    buffer_free(&sealed);
    buffer_free(&again);
    return 0;
}
