/* walferry-status: one picture of where we stand. */
#include "common/config.h"
#include "common/log.h"
#include "common/options.h"
#include "common/result.h"
#include "html.h"
#include "metrics.h"
#include "picture.h"
#include "pushgateway.h"
#include "status_json.h"
#include "status_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_PROBLEM = 1, EXIT_USAGE = 2, EXIT_UNTOLD = 3 };

struct request {
    bool as_json;
    const char *metrics_file; /* "-": standard output; NULL: not wanted, as the next */
    const char *pushgateway;
    const char *html_file;
};

static int set_json(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->as_json = true;
    return 0;
}

static int set_prometheus(void *context, const char *value)
{
    struct request *request = context;

    request->metrics_file = value;
    return 0;
}

static int set_html(void *context, const char *value)
{
    struct request *request = context;

    request->html_file = value;
    return 0;
}

static int set_pushgateway(void *context, const char *value)
{
    struct request *request = context;

    request->pushgateway = value;
    return pushgateway_check(value);
}

static const struct option_spec own_options[] = {
    {"json", 0, NULL, set_json, "one JSON document instead of a page"},
    {"prometheus", 0, "FILE", set_prometheus,
     "instead of a page: metrics, for node_exporter's\ntextfile collector; \"-\": standard output"},
    {"pushgateway", 0, "URL", set_pushgateway, "instead of a page: metrics, to a Pushgateway"},
    {"html", 0, "FILE", set_html, "instead of a page: one of HTML with timelines; \"-\": standard output"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "walferry-status",
    .summary =
        "tells whether you can recover, to when, from where, when that was last proven, and what is wrong",
    .operands = "",
    .options = own_options,
    .epilogue = "Exit status: 0 nothing is wrong; 1 something is, or could not be found out;\n"
                "2 usage or configuration error; 3 what was asked for could not be written or sent.",
};

static int print_json(const struct picture *picture)
{
    struct json *document = status_json(picture);
    int result = json_print(document);

    json_free(document);
    return result;
}

/* Colour where somebody looks at it who has not asked for none (no-color.org). */
static bool wants_colour(void)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && (none == NULL || *none == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

static bool goes_to_output(const char *file)
{
    return file != NULL && strcmp(file, "-") == 0;
}

/* Who asks for something else wants that. */
static bool wants_page(const struct request *request)
{
    return !request->as_json && request->metrics_file == NULL && request->pushgateway == NULL &&
           request->html_file == NULL;
}

/* Each of what is wanted, also where another has failed. */
static int tell(const struct picture *picture, const struct request *request)
{
    int result = 0;

    if (request->metrics_file != NULL && metrics_to_file(picture, request->metrics_file) != 0)
        result = -1;
    if (request->pushgateway != NULL &&
        pushgateway_put(picture, request->pushgateway, picture->config->status.timeout_seconds) != 0)
        result = -1;
    if (request->html_file != NULL && html_to_file(picture, request->html_file) != 0)
        result = -1;
    if (request->as_json && print_json(picture) != 0)
        result = -1;
    if (wants_page(request))
        status_page_print(picture, wants_colour());
    return result_flush() != 0 ? -1 : result;
}

static int run(struct config *config, const struct repository_config *only, const struct request *request)
{
    struct picture picture;
    int status = EXIT_PROBLEM;

    /* A request takes half of the time at most: so that the reason can be told why there is no answer. */
    config->basebackup_store_timeout_seconds = (config->status.timeout_seconds + 1) / 2;
    if (picture_take(config, only, request->html_file != NULL, &picture) == 0)
        status = tell(&picture, request) != 0 ? EXIT_UNTOLD
                 : picture.problem_count != 0 ? EXIT_PROBLEM
                                              : EXIT_DONE;
    if (picture.is_waited_for)
        _exit(status); /* what the thread works on must stay */
    picture_free(&picture);
    return status;
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
    if (request.as_json + goes_to_output(request.metrics_file) + goes_to_output(request.html_file) > 1) {
        log_error("--json, --prometheus=- and --html=- can't go to standard output together");
        return EXIT_USAGE;
    }
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    status = run(&config, only, &request);
    config_free(&config);
    return status;
}
