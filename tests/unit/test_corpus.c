/* Fuzzing's corpus: every input of tests/fuzz/corpus, what was made by hand and what libFuzzer found, is
 * given once more to its target; it must not crash (the sanitizers look on) nor take more than a second. With
 * operands NAME FILE...: only these. The names of the inputs go to standard error, so that the last one there
 * is the one that failed. */
#define FUZZ_CORPUS
#include "common/file.h"
#include "unit.h"

#include <dirent.h>
#include <time.h>

/* a target is one function */
#include "tests/fuzz/fuzz_bucket.c"
#include "tests/fuzz/fuzz_cluster.c"
#include "tests/fuzz/fuzz_codec.c"
#include "tests/fuzz/fuzz_config.c"
#include "tests/fuzz/fuzz_control.c"
#include "tests/fuzz/fuzz_credentials.c"
#include "tests/fuzz/fuzz_drill.c"
#include "tests/fuzz/fuzz_dump.c"
#include "tests/fuzz/fuzz_gap.c"
#include "tests/fuzz/fuzz_history.c"
#include "tests/fuzz/fuzz_index.c"
#include "tests/fuzz/fuzz_key.c"
#include "tests/fuzz/fuzz_manifest.c"
#include "tests/fuzz/fuzz_note.c"
#include "tests/fuzz/fuzz_object.c"
#include "tests/fuzz/fuzz_part.c"
#include "tests/fuzz/fuzz_past.c"
#include "tests/fuzz/fuzz_records.c"
#include "tests/fuzz/fuzz_remembered.c"
#include "tests/fuzz/fuzz_removal.c"
#include "tests/fuzz/fuzz_restore_points.c"
#include "tests/fuzz/fuzz_s3.c"
#include "tests/fuzz/fuzz_sealed.c"
#include "tests/fuzz/fuzz_settings.c"
#include "tests/fuzz/fuzz_sources.c"
#include "tests/fuzz/fuzz_stored.c"
#include "tests/fuzz/fuzz_temporary.c"
#include "tests/fuzz/fuzz_timestamp.c"
#include "tests/fuzz/fuzz_upload.c"
#include "tests/fuzz/fuzz_wal.c"
#include "tests/fuzz/fuzz_wal_index.c"

#define CORPUS "tests/fuzz/corpus"
#define INPUT_BYTES_MOST (1u << 20)

static const struct {
    const char *name;
    int (*target)(const uint8_t *data, size_t length);
} targets_of_corpus[] = {
    {"bucket", fuzz_bucket},
    {"cluster", fuzz_cluster},
    {"codec", fuzz_codec},
    {"config", fuzz_config},
    {"control", fuzz_control},
    {"credentials", fuzz_credentials},
    {"drill", fuzz_drill},
    {"dump", fuzz_dump},
    {"gap", fuzz_gap},
    {"history", fuzz_history},
    {"index", fuzz_index},
    {"key", fuzz_key},
    {"manifest", fuzz_manifest},
    {"note", fuzz_note},
    {"object", fuzz_object},
    {"part", fuzz_part},
    {"past", fuzz_past},
    {"records", fuzz_records},
    {"remembered", fuzz_remembered},
    {"removal", fuzz_removal},
    {"restore_points", fuzz_restore_points},
    {"s3", fuzz_s3},
    {"sealed", fuzz_sealed},
    {"settings", fuzz_settings},
    {"sources", fuzz_sources},
    {"stored", fuzz_stored},
    {"temporary", fuzz_temporary},
    {"timestamp", fuzz_timestamp},
    {"upload", fuzz_upload},
    {"wal", fuzz_wal},
    {"wal_index", fuzz_wal_index},
};
#define TARGETS (sizeof targets_of_corpus / sizeof targets_of_corpus[0])

static void replay(size_t target, const char *path)
{
    struct buffer input = BUFFER_EMPTY;
    clock_t began = clock();

    fprintf(stderr, "-- %s\n", path);
    CHECK(file_read_all(path, INPUT_BYTES_MOST, &input) == FILE_OK);
    /* a copy of exactly this length: what is read behind its end is seen */
    uint8_t *exact = malloc(input.length + (input.length == 0));
    if (exact != NULL) {
        memcpy(exact, buffer_string(&input), input.length);
        targets_of_corpus[target].target(exact, input.length);
    }
    CHECK(exact != NULL && clock() - began < CLOCKS_PER_SEC);
    free(exact);
    buffer_free(&input);
}

static void replay_all(size_t target)
{
    int passed = unit_passed, failed = unit_failed;
    char *directory = path_join(CORPUS, targets_of_corpus[target].name);
    struct dirent **entries = NULL;
    int count = directory != NULL ? scandir(directory, &entries, NULL, alphasort) : -1;

    CHECK(count > 2); /* more than . and .. */
    for (int i = 0; i < count; i++) {
        char *path = entries[i]->d_name[0] != '.' ? path_join(directory, entries[i]->d_name) : NULL;

        if (path != NULL)
            replay(target, path);
        free(path);
        free(entries[i]);
    }
    free(entries);
    free(directory);
    printf("corpus/%s: %d passed, %d failed\n", targets_of_corpus[target].name, unit_passed - passed,
           unit_failed - failed);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < TARGETS; i++) {
        if (argc == 1)
            replay_all(i);
        else if (strcmp(argv[1], targets_of_corpus[i].name) == 0)
            for (int j = 2; j < argc; j++)
                replay(i, argv[j]);
    }
    return unit_done("test_corpus");
}
