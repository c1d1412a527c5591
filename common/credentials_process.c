/* A command that prints credentials (credentials_source.h). Source: AWS SDKs and Tools Reference Guide,
 * "Process credential provider". */
#include "credentials_source.h"

#include "command.h"
#include "credentials_document.h"
#include "log.h"

#include <stdlib.h>

#define PROCESS_SECONDS 15
#define OUTPUT_BYTES_MOST (64u * 1024)

static enum found fetch(const struct search *search, void *context, struct credentials *credentials)
{
    struct credentials_document document = {.access_key = NULL};
    struct buffer output = BUFFER_EMPTY;
    const char *problem = NULL;
    enum found found = FAILED;

    (void)search;
    if (command_run("credential_process", context, PROCESS_SECONDS, OUTPUT_BYTES_MOST, &output) != 0)
        goto done;
    if (!credentials_document_json(output.data, output.length, &document, &problem) ||
        document.code[0] != '\0' || document.version != 1) {
        log_error("what credential_process printed is not understood: %s", problem != NULL ? problem
                                                                           : document.version != 1
                                                                               ? "its Version is not 1"
                                                                               : document.code);
        log_hint("It is to print {\"Version\": 1, \"AccessKeyId\": ..., \"SecretAccessKey\": ..., "
                 "\"SessionToken\": ..., \"Expiration\": \"2026-11-22T10:00:00Z\"}.");
        goto done;
    }
    found = credentials_take(credentials, string_copy("credential_process"), document.access_key,
                             document.secret_key, document.session_token);
    credentials->expires = document.expires;
done:
    credentials_document_wipe(&document);
    buffer_wipe(&output);
    return found;
}

enum found credentials_run(const struct search *search, const char *command, const char *identity,
                           struct credentials *credentials)
{
    char *whole = string_printf("process\n%s\n%s", identity, command);
    enum found found =
        whole == NULL ? FAILED : credentials_remembered(search, whole, fetch, (void *)command, credentials);

    free(whole);
    return found;
}

enum found credentials_by_process(const struct search *search, struct credentials *credentials)
{
    const char *command = search->config->credential_process;

    return command == NULL ? NOT_HERE : credentials_run(search, command, "", credentials);
}
