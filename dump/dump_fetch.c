/* dump-fetch: writes a dump out, whole or restored by pg_restore. */
#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/server.h"
#include "restore.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    const char *id, *database, *output;
    bool wants_globals;
    struct restore_wish wish;
};

static int set_dump(void *context, const char *value)
{
    ((struct request *)context)->id = value;
    return dump_wish_is_valid(value) ? 0 : -1;
}

static int set_globals(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->wants_globals = true;
    return 0;
}

/* Empty is what a script makes of a variable that is not set. */
static int set_text(const char *option, const char **text, const char *value)
{
    if (*value == '\0') {
        log_error("%s is empty", option);
        return -1;
    }
    *text = value;
    return 0;
}

static int set_database(void *context, const char *value)
{
    return set_text("--database", &((struct request *)context)->database, value);
}

static int set_output(void *context, const char *value)
{
    return set_text("--output", &((struct request *)context)->output, value);
}

static int set_to(void *context, const char *value)
{
    return set_text("--to", &((struct request *)context)->wish.conninfo, value);
}

static int add_name(const char *option, const char **names, size_t *count, const char *value)
{
    if (*count == RESTORE_NAMES_MOST || *value == '\0') {
        log_error("%s must be a name, at most %d times", option, RESTORE_NAMES_MOST);
        return -1;
    }
    names[(*count)++] = value;
    return 0;
}

static int add_table(void *context, const char *value)
{
    struct restore_wish *wish = &((struct request *)context)->wish;

    return add_name("--table", wish->tables, &wish->table_count, value);
}

static int add_schema(void *context, const char *value)
{
    struct restore_wish *wish = &((struct request *)context)->wish;

    return add_name("--schema", wish->schemas, &wish->schema_count, value);
}

static int set_create(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->wish.creates = true;
    return 0;
}

static int set_no_owner(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->wish.no_owner = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"dump", 0, "ID", set_dump, "this one (default: latest)"},
    {"database", 'd', "NAME", set_database, "the dump of this database"},
    {"globals", 'g', NULL, set_globals, "roles and tablespaces, as SQL"},
    {"output", 'o', "FILE", set_output, "write it there; \"-\": to standard output"},
    {"to", 0, "CONNINFO", set_to,
     "restore it by pg_restore, in one transaction, into the\ndatabase that this leads to (or has this "
     "name)"},
    {"table", 't', "NAME", add_table,
     "with --to: only this table's definition and rows; the\nname alone, its schema by --schema "
     "(repeatable)"},
    {"schema", 'n', "NAME", add_schema, "with --to: only what is in this schema (repeatable)"},
    {"no-owner", 0, NULL, set_no_owner, "with --to: without owners and grants"},
    {"create", 'C', NULL, set_create,
     "with --to: create the database, under its own name, and\nrestore into that (not in one transaction)"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "dump-fetch",
    .summary = "writes out a dump of a database, or restores it by pg_restore",
    .operands = "",
    .options = own_options,
    .epilogue = "Each piece is verified before any of it is handed on.\n"
                "Exit status: 0 done, 1 failed, 2 usage or configuration error.",
};

static int check(const struct request *request)
{
    const struct restore_wish *wish = &request->wish;
    const char *problem = NULL;

    if ((request->database != NULL) == request->wants_globals)
        problem = "either --database or --globals is needed";
    else if ((request->output != NULL) == (wish->conninfo != NULL))
        problem = "either --output or --to is needed";
    else if (request->wants_globals && wish->conninfo != NULL)
        problem = "--globals can't be combined with --to: pipe its output into psql";
    else if (wish->conninfo == NULL &&
             (wish->table_count > 0 || wish->schema_count > 0 || wish->creates || wish->no_owner))
        problem = "--table, --schema, --create and --no-owner need --to";
    else if (wish->creates && (wish->table_count > 0 || wish->schema_count > 0))
        problem = "--create can't be combined with --table or --schema";
    if (problem == NULL)
        return wish->conninfo == NULL || restore_is_name(wish->conninfo)
                   ? 0
                   : server_check_database("--to", wish->conninfo);
    log_error("%s", problem);
    return -1;
}

static int fetch(const struct config *config, const struct repository_config *only,
                 const struct request *request)
{
    const struct dump_stream *stream;
    struct sources sources;
    int result = -1;

    if (sources_open(config, only, request->id, &sources) == 0 &&
        (stream = sources_stream(&sources, request->database)) != NULL &&
        sources_check(&sources, stream) == 0) {
        log_info("dump %s", sources.dump->id);
        result = request->output != NULL ? restore_to_file(&sources, stream, request->output)
                                         : restore_to_database(config, &sources, stream, &request->wish);
    }
    sources_close(&sources);
    return result;
}

int main(int argc, char **argv)
{
    static struct request request = {.id = "latest"};
    struct options options;
    struct config config;
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (check(&request) != 0 || options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    interrupt_catch_signals();
    status = fetch(&config, only, &request) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    if (status != 0 && interrupt_signal() != 0) {
        log_error("interrupted by signal %d", interrupt_signal());
        interrupt_raise_again();
    }
    return status;
}
