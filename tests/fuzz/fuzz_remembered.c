/* Temporary credentials as they are remembered in state_dir. The first byte says whether fresh ones are to be
 * had, and which the store has refused; the rest is the file, in which "@" stands for whose they are on this
 * machine. */
#include "fuzz.h"

#include "common/credentials_source.h"
#include "common/file.h"
#include "common/json.h"
#include "common/timestamp.h"

#define FUZZ_REMEMBERED_IDENTITY "a role"

static enum found fuzz_remembered_fetch(const struct search *search, void *context,
                                        struct credentials *credentials)
{
    const unsigned *details = context;

    (void)search;
    if ((*details & 1) == 0)
        return FAILED;
    FUZZ_CHECK(credentials_take(credentials, string_copy("fresh"), "fresh", "secret", "token") == FOUND);
    credentials->expires = timestamp_now() + (*details >> 4) * 100000000LL;
    return FOUND;
}

/* The name tells what it is of. */
static void fuzz_remembered_name(const char *directory, const char *end, char path[128])
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];

    FUZZ_CHECK(sha256_of(FUZZ_REMEMBERED_IDENTITY, strlen(FUZZ_REMEMBERED_IDENTITY), digest) == 0);
    hex_encode(digest, sizeof digest, hex);
    snprintf(path, 128, "%s/credentials-%.16s.%s", directory, hex, end);
}

/* What is written there says whose it is, and after the next start of the machine no more. */
static const char *fuzz_remembered_identity(const struct search *search, const char *path)
{
    static char identity[100];
    struct credentials credentials = CREDENTIALS_EMPTY;
    struct buffer text = BUFFER_EMPTY;
    unsigned details = 0xf1;

    if (identity[0] != '\0')
        return identity;
    FUZZ_CHECK(credentials_remembered(search, FUZZ_REMEMBERED_IDENTITY, fuzz_remembered_fetch, &details,
                                      &credentials) == FOUND);
    FUZZ_CHECK(file_read_all(path, 10000, &text) == FILE_OK);
    struct json *json = json_parse(text.data, text.length, NULL, 0);
    FUZZ_CHECK(json_text(json, "identity") != NULL);
    snprintf(identity, sizeof identity, "%s", json_text(json, "identity"));
    json_free(json);
    buffer_free(&text);
    credentials_wipe(&credentials);
    return identity;
}

static void fuzz_remembered_write(const char *path, const struct fuzz_input *input, const char *identity)
{
    const uint8_t *at = memmem(input->next, input->left, "\"@\"", 3);
    size_t before = at != NULL ? (size_t)(at - input->next) + 1 : input->left;
    struct buffer text = BUFFER_EMPTY;

    FUZZ_CHECK(buffer_append(&text, input->next, before) == 0);
    if (at != NULL)
        FUZZ_CHECK(buffer_append_string(&text, identity) == 0 &&
                   buffer_append(&text, at + 2, input->left - before - 1) == 0);
    FILE *file = fopen(path, "we");
    FUZZ_CHECK(file != NULL && fchmod(fileno(file), 0600) == 0);
    FUZZ_CHECK(fwrite(buffer_string(&text), 1, text.length, file) == text.length && fclose(file) == 0);
    buffer_free(&text);
}

FUZZ_TARGET(remembered)
{
    struct fuzz_input input = {data, length};
    unsigned details = fuzz_byte(&input);
    char directory[] = "/tmp/walferry-fuzz-XXXXXX", path[128], lock[128];
    struct search search = {.refused = (details & 2) != 0 ? "token" : (details & 4) != 0 ? "key" : NULL};
    struct credentials credentials = CREDENTIALS_EMPTY;

    FUZZ_CHECK(mkdtemp(directory) != NULL);
    fuzz_remembered_name(directory, "json", path);
    fuzz_remembered_name(directory, "lock", lock);
    state_open_directory(directory, &search.state);
    FUZZ_CHECK(search.state.directory != NULL);
    fuzz_remembered_write(path, &input, fuzz_remembered_identity(&search, path));
    if (credentials_remembered(&search, FUZZ_REMEMBERED_IDENTITY, fuzz_remembered_fetch, &details,
                               &credentials) == FOUND) {
        bool is_fresh = strcmp(credentials.source, "fresh") == 0;

        FUZZ_CHECK(credentials.access_key != NULL && credentials.secret_key != NULL);
        FUZZ_CHECK(is_fresh || credentials.expires > timestamp_now());
        FUZZ_CHECK(is_fresh || credentials.refresh <= credentials.expires);
        FUZZ_CHECK(is_fresh || search.refused == NULL || credentials.session_token == NULL ||
                   strcmp(search.refused, credentials.session_token) != 0);
        for (const char *next = credentials.secret_key; *next != '\0'; next++)
            FUZZ_CHECK((unsigned char)*next > ' ' && *next != 0x7f);
    } else {
        FUZZ_CHECK((details & 1) == 0);
    }
    credentials_wipe(&credentials);
    state_close(&search.state);
    unlink(path);
    unlink(lock);
    FUZZ_CHECK(rmdir(directory) == 0);
    return 0;
}
