/* The restore of parts: a byte that says how, an index, then one part behind the other. Bit 0 of the byte:
 * the parts are made of the rest of the input as the index says, with its hashes put right, so that files are
 * really restored; bit 1: with one byte wrong. Nothing may ever appear outside of the places. */
#include "fuzz.h"

#include "basebackup/restore_part.h"
#include "common/backup_index.h"
#include "common/codec.h"
#include "common/tar.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>

#define FUZZ_PART_ID "20261120T020003Z-00000001-0000000A1F000028"
#define FUZZ_PART_FILE_MOST (64u << 10)
#define FUZZ_PARTS_MOST 8

static char fuzz_part_base[] = "/tmp/walferry-fuzz-XXXXXX";
static char fuzz_part_paths[3][64];
static struct restore_place fuzz_part_items[3];
static const struct restore_places fuzz_part_places = {
    .items = fuzz_part_items, .count = 3, .has_external = true};

struct fuzz_part {
    struct backup_part *parts[FUZZ_PARTS_MOST];
    struct restore_split *split;
    struct buffer stored[FUZZ_PARTS_MOST];
    size_t count;
    struct fuzz_input content;
    struct encoder *encoder;
    bool is_made;
};

static int fuzz_part_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    return walk->level == 0 ? 0 : remove(path);
}

static void fuzz_part_leave(void)
{
    for (int i = 0; i < 3; i++)
        close(fuzz_part_items[i].fd);
    nftw(fuzz_part_base, fuzz_part_remove, 16, FTW_DEPTH | FTW_PHYS);
    rmdir(fuzz_part_base);
}

static void fuzz_part_enter(void)
{
    static const char *const names[] = {"data", "fast", "external"};

    if (fuzz_part_items[0].path != NULL)
        return;
    FUZZ_CHECK(mkdtemp(fuzz_part_base) != NULL);
    for (int i = 0; i < 3; i++) {
        snprintf(fuzz_part_paths[i], sizeof fuzz_part_paths[i], "%s/%s", fuzz_part_base, names[i]);
        FUZZ_CHECK(mkdir(fuzz_part_paths[i], 0700) == 0);
        fuzz_part_items[i] =
            (struct restore_place){.oid = i == 1 ? 16400 : 0,
                                   .path = fuzz_part_paths[i],
                                   .location = fuzz_part_paths[i],
                                   .fd = open(fuzz_part_paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        FUZZ_CHECK(fuzz_part_items[i].fd >= 0);
    }
    atexit(fuzz_part_leave);
}

static void fuzz_part_empty(void)
{
    DIR *directory = opendir(fuzz_part_base);
    unsigned count = 0;

    FUZZ_CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    FUZZ_CHECK(count == 5); /* the places, . and .. */
    for (int i = 0; i < 3; i++)
        FUZZ_CHECK(nftw(fuzz_part_paths[i], fuzz_part_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* A member as it would be stored, of the next bytes of the input. */
static int fuzz_part_make(struct fuzz_part *test, struct index_entry *file)
{
    struct buffer *stored = &test->stored[test->count - 1];
    uint64_t blocks = file->header / TAR_BLOCK_BYTES;
    unsigned char *content;

    file->bytes %= FUZZ_PART_FILE_MOST;
    file->header = index_entry_begins_file(file) ? (uint32_t)(blocks % 8 + 1) * TAR_BLOCK_BYTES : 0;
    size_t total = file->header + file->bytes;
    if (index_entry_ends_file(file))
        total += tar_padding_bytes(file->at + file->bytes);
    size_t taken = test->content.left < file->bytes ? test->content.left : (size_t)file->bytes;
    content = calloc(1, total);
    FUZZ_CHECK(content != NULL);
    memcpy(content + file->header, test->content.next, taken);
    test->content.next += taken;
    test->content.left -= taken;
    FUZZ_CHECK(sha256_of(content + file->header, file->bytes, file->sha256) == 0);
    file->offset = stored->length;
    FUZZ_CHECK(encoder_begin(test->encoder, sink_to_buffer(stored)) == 0 &&
               encoder_write(test->encoder, content, total) == 0 && encoder_end(test->encoder) == 0);
    file->stored = stored->length - file->offset;
    free(content);
    return 0;
}

static int fuzz_part_entry(void *context, struct index_entry *entry)
{
    struct fuzz_part *test = context;

    if (entry->line == INDEX_DIRECTORY)
        return restore_make_directory(&fuzz_part_places, entry->path, entry->mode);
    if (entry->line == INDEX_PART) {
        if (test->count == FUZZ_PARTS_MOST)
            return -1;
        test->parts[test->count] = backup_part_new(entry);
        encoder_free(test->encoder);
        test->encoder = encoder_new(&(struct compression){entry->codec, 1});
        FUZZ_CHECK(test->parts[test->count] != NULL && test->encoder != NULL);
        test->count++;
        return 0;
    }
    FUZZ_CHECK(test->count > 0);
    struct backup_part *part = test->parts[test->count - 1];
    if (entry->of != 0) {
        struct restore_split *split = restore_split_for(&test->split, &fuzz_part_places, part->name, entry);
        if (split == NULL)
            return -1;
        restore_part_attach(part, split);
    }
    if (test->is_made)
        fuzz_part_make(test, entry);
    return backup_part_add(part, entry);
}

static void fuzz_part_restore(struct fuzz_part *test, uint8_t how)
{
    struct unpacker *unpacker = unpacker_new(&fuzz_part_places, NULL, NULL);

    FUZZ_CHECK(unpacker != NULL);
    for (size_t i = 0; i < test->count; i++) {
        struct buffer *stored = &test->stored[i];
        uint64_t total;
        size_t length;

        if (test->is_made) {
            test->parts[i]->bytes = stored->length;
            if ((how & 2) != 0 && stored->length > 0)
                stored->data[(how >> 2) * 31u % stored->length] ^= 1;
        } else {
            char *piece = fuzz_take(&test->content, 0, &length);
            FUZZ_CHECK(buffer_append(stored, piece, length) == 0);
            free(piece);
            if ((how & 2) == 0)
                test->parts[i]->bytes = stored->length;
        }
        total = stored->length;
        struct part_range range;
        if (!backup_part_range(test->parts[i], 0, &range))
            continue;
        FUZZ_CHECK(unpacker_begin(unpacker, test->parts[i], &range, "the input", &total) == 0);
        const struct sink sink = unpacker_sink(unpacker);
        unpacker_end(unpacker, fuzz_push(&sink, stored->data, stored->length, how + 1u) == 0);
    }
    unpacker_free(unpacker);
}

FUZZ_TARGET(part)
{
    struct fuzz_part test = {.count = 0};
    size_t index_length;

    fuzz_part_enter();
    test.content = (struct fuzz_input){data, length};
    uint8_t how = fuzz_byte(&test.content);
    char *index = fuzz_take(&test.content, 0, &index_length);
    test.is_made = (how & 1) != 0;
    struct index_reader *reader = index_reader_new(FUZZ_PART_ID, "the input", fuzz_part_entry, &test);
    FUZZ_CHECK(reader != NULL);
    const struct sink sink = index_reader_sink(reader);
    if (sink.write(sink.context, index, index_length) == 0 && index_reader_finish(reader) == 0)
        fuzz_part_restore(&test, how);
    index_reader_free(reader);
    encoder_free(test.encoder);
    restore_split_release(test.split);
    for (size_t i = 0; i < test.count; i++) {
        backup_part_free(test.parts[i]);
        buffer_free(&test.stored[i]);
    }
    free(index);
    fuzz_part_empty();
    return 0;
}
