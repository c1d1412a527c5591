#include "result.h"

#include "log.h"
#include "timestamp.h"

#include <stdio.h>

int result_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    log_error("could not write to standard output: %m");
    return -1;
}

int result_print_repositories(const char *cluster, struct json *list)
{
    struct json *document = json_new_object();

    json_set_string(document, "cluster", cluster);
    json_set(document, "repositories", list);
    int result = json_print(document);
    json_free(document);
    return result;
}

void result_begin(struct result *result, const char *program, bool is_wanted)
{
    result->document = json_new_object();
    result->is_wanted = is_wanted;
    result->begun = monotonic_now();
    json_set_string(result->document, "program", program);
    json_set_uint(result->document, "status", 0);
}

static int64_t milliseconds(const struct result *result)
{
    return (monotonic_now() - result->begun) / 1000;
}

void result_set_rate(struct result *result, uint64_t bytes)
{
    int64_t taken = milliseconds(result);

    json_set_uint(result->document, "bytes_per_second", taken == 0 ? 0 : bytes * 1000 / (uint64_t)taken);
}

int result_end(struct result *result, int status)
{
    json_set_uint(result->document, "status", (uint64_t)status);
    json_set_real(result->document, "seconds", (double)milliseconds(result) / 1000);
    if (status != 0)
        json_set_text(result->document, "error", log_first_error());
    if (result->is_wanted && json_print(result->document) != 0 && status == 0)
        status = 1;
    json_free(result->document);
    result->document = NULL;
    return status;
}
