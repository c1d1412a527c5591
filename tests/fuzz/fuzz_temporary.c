/* What temporary credentials come in and from: JSON, STS's XML, a command's line. The first byte chooses. */
#include "fuzz.h"

#include "common/command.h"
#include "common/credentials_document.h"

static void fuzz_command_line(const uint8_t *data, size_t length)
{
    struct fuzz_input input = {data, length};
    char *words[COMMAND_WORDS_MOST + 1], *memory, *line = fuzz_take(&input, 1, &length);
    const char *problem;
    int count = command_split(line, &memory, words, &problem);
    size_t bytes = 0;

    FUZZ_CHECK(count <= COMMAND_WORDS_MOST && count != 0);
    for (int i = 0; i < count; i++)
        bytes += strlen(words[i]) + 1;
    FUZZ_CHECK(count < 0 || (words[count] == NULL && words[0][0] != '\0'));
    FUZZ_CHECK(bytes <= strlen(line) + 1);
    free(memory);
    free(line);
}

FUZZ_TARGET(temporary)
{
    struct credentials_document document;
    const char *problem = NULL;
    bool good;

    if (length == 0)
        return 0;
    if (data[0] % 3 == 2) {
        fuzz_command_line(data + 1, length - 1);
        return 0;
    }
    good = data[0] % 3 == 0 ? credentials_document_json(data + 1, length - 1, &document, &problem)
                            : credentials_document_xml(data + 1, length - 1, &document, &problem);
    FUZZ_CHECK(!good || document.code[0] != '\0' ||
               (document.access_key[0] != '\0' && document.secret_key[0] != '\0' && document.expires >= 0));
    FUZZ_CHECK(good || problem != NULL);
    FUZZ_CHECK(strnlen(document.code, sizeof document.code) < sizeof document.code);
    FUZZ_CHECK(strpbrk(document.message, "\r\n") == NULL);
    credentials_document_wipe(&document);
    return 0;
}
