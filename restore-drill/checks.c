#include "checks.h"

#include "last.h"

#include "common/interrupt.h"
#include "common/log.h"
#include "common/server.h"

#include <stdlib.h>
#include <string.h>

int checks_open(struct drill *drill)
{
    const struct drill_settings *settings = &drill->config->drill;
    const char *problem;

    drill->checks = calloc(settings->check_count + 1, sizeof *drill->checks);
    if (drill->checks == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < settings->check_count; i++) {
        struct check_result *check = &drill->checks[drill->check_count++];
        check->name = settings->checks[i].name;
        if (check_parts_split(settings->checks[i].value, &check->parts, &problem) == 0)
            continue;
        if (problem != NULL) {
            log_error("check.%s in section [drill] of the configuration is malformed: %s", check->name,
                      problem);
            log_hint("As in: check.%s = [mydb] SELECT count(*) FROM orders => >= 1000", check->name);
        }
        return -1;
    }
    return 0;
}

void checks_close(struct drill *drill)
{
    for (size_t i = 0; i < drill->check_count; i++) {
        check_parts_free(&drill->checks[i].parts);
        free(drill->checks[i].value);
        free(drill->checks[i].last);
    }
    free(drill->checks);
    drill->checks = NULL;
    drill->check_count = 0;
}

/* Running */

/* 0, or -1 after logging. */
static int ask(struct drill *drill, struct check_result *check)
{
    struct server *server = drill_connect(drill, check->parts.database);
    struct server_query query = {
        .sql = check->parts.sql, .timeout_seconds = drill_seconds_left(drill), .first_row_only = true};
    struct server_rows rows;
    enum server_result result = server == NULL ? SERVER_LOST : server_ask(server, &query, &rows);

    server_close(server);
    if (result != SERVER_OK)
        return -1;
    if (rows.row_count > 0 && rows.column_count > 0 && server_cell(&rows, 0, 0) != NULL)
        check->value = string_copy(server_cell(&rows, 0, 0));
    server_rows_free(&rows);
    return 0;
}

/* 0, or -1 after logging. */
static int run(struct drill *drill, struct check_result *check)
{
    const struct expectation *expectation = &check->parts.expectation;

    check->is_done = true;
    if (ask(drill, check) != 0) {
        if (interrupt_requested())
            return -1;
        log_error("check \"%s\" could not be made", check->name);
        return -1;
    }
    check->has_passed = expectation_holds(expectation, check->value, check->last);
    if (check->has_passed)
        return 0;
    log_error("check \"%s\" found %s%s%s, but expects %s%s%s%s", check->name,
              check->value == NULL ? "" : "\"", check->value == NULL ? "nothing" : check->value,
              check->value == NULL ? "" : "\"", expectation->text,
              check->last == NULL ? "" : ", which was \"", check->last == NULL ? "" : check->last,
              check->last == NULL ? "" : "\"");
    return -1;
}

int checks_run(struct drill *drill)
{
    int result = last_values(drill);

    for (size_t i = 0; i < drill->check_count; i++) {
        if (drill->look.look(drill->look.context) != 0)
            return -1;
        if (run(drill, &drill->checks[i]) != 0)
            result = -1;
    }
    return result;
}
