/* recovery-window: what can be recovered, from which backup, along which timeline. Reads what there is, and
 * changes nothing. */
#include "common/config.h"
#include "common/log.h"
#include "common/options.h"
#include "common/result.h"
#include "common/survey.h"
#include "page.h"
#include "window_json.h"

#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    bool as_json;
};

static int set_json(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->as_json = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"json", 0, NULL, set_json, "one JSON document instead of a page"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "recovery-window",
    .summary = "shows which instants can be recovered",
    .operands = "",
    .options = own_options,
    .epilogue =
        "Exit status: 0 done, whatever can be recovered; 1 a repository, or something in it, could not be\n"
        "read; 2 usage or configuration error.",
};

static int show(const struct config *config, const struct repository_config *settings, struct json *list,
                bool is_first)
{
    struct survey survey;
    int result = survey_load(config, settings, &survey);

    /* Nothing is said of a repository that could not be read: its error stands on standard error. */
    if (list != NULL)
        json_append(list, window_json(&survey));
    else if (result == 0 || survey.count > 0) {
        if (!is_first)
            putchar('\n');
        page_print(&survey);
    }
    survey_close(&survey);
    return result;
}

static int show_all(const struct config *config, const struct repository_config *only, struct json *list)
{
    int result = 0;

    for (size_t i = 0; i < config->repository_count; i++) {
        const struct repository_config *settings = &config->repositories[i];
        if ((only == NULL || only == settings) && show(config, settings, list, only != NULL || i == 0) != 0)
            result = -1;
    }
    return result;
}

static int run(const struct config *config, const struct repository_config *only, bool as_json)
{
    struct json *list = as_json ? json_new_array() : NULL;
    int result = show_all(config, only, list);

    if (as_json && result_print_repositories(config->cluster_name, list) != 0)
        result = -1;
    if (result_flush() != 0)
        result = -1;
    return result;
}

int main(int argc, char **argv)
{
    struct options options;
    struct config config;
    const struct repository_config *only;
    struct request request = {.as_json = false};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    status = run(&config, only, request.as_json) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    return status;
}
