#include "options.h"

#include "log.h"
#include "process.h"
#include "timestamp.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OWN_MOST 24
/* Values of long options beyond any character. */
enum { OPTION_CONFIG = 1000, OPTION_REPOSITORY, OPTION_HELP, OPTION_VERSION, OPTION_LOG_JSON, OPTION_OWN };

static void print_help(const struct program *program)
{
    printf("%s: %s\n\nUsage:\n  %s [OPTION]...%s%s\n\nOptions:\n", program->name, program->summary,
           program->name, *program->operands == '\0' ? "" : " ", program->operands);
    for (const struct option_spec *option = program->options; option != NULL && option->name != NULL;
         option++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", option->letter ? "-" : " ",
                 option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
                 option->argument ? "=" : "", option->argument ? option->argument : "");
        printf("  %-29s ", left);
        for (const char *c = option->help; *c != '\0'; c++) {
            putchar(*c);
            if (*c == '\n')
                printf("%32s", "");
        }
        putchar('\n');
    }
    printf("      --config=FILE             configuration file (default: $WALFERRY_CONFIG, else "
           "/etc/walferry.conf)\n"
           "      --repository=NAME         only this repository of the configuration%s\n"
           "      --log-json                messages as one JSON object a line\n"
           "  -v, --verbose                 say more\n"
           "  -q, --quiet                   say nothing but errors\n"
           "  -?, --help                    show this help, then exit\n"
           "  -V, --version                 show the version, then exit\n",
           program->takes_several
               ? "; may be\n                                given several times: these, in this order"
               : "");
    if (program->epilogue != NULL)
        printf("\n%s\n", program->epilogue);
}

struct parsing {
    const struct program *program;
    struct option longs[OWN_MOST + 10];
    char shorts[3 * OWN_MOST + 16];
};

static void add_long(struct parsing *parsing, size_t *count, const char *name, int argument, int value)
{
    parsing->longs[(*count)++] = (struct option){name, argument, NULL, value};
}

static void build(struct parsing *parsing)
{
    size_t count = 0, letters = 0;
    const struct option_spec *own = parsing->program->options;

    memset(parsing->longs, 0, sizeof parsing->longs);
    parsing->shorts[letters++] = ':';
    for (int i = 0; own != NULL && own[i].name != NULL && i < OWN_MOST; i++) {
        add_long(parsing, &count, own[i].name, own[i].argument ? required_argument : no_argument,
                 OPTION_OWN + i);
        if (own[i].letter != 0)
            parsing->shorts[letters++] = (char)own[i].letter;
        if (own[i].letter != 0 && own[i].argument != NULL)
            parsing->shorts[letters++] = ':';
    }
    add_long(parsing, &count, "config", required_argument, OPTION_CONFIG);
    add_long(parsing, &count, "repository", required_argument, OPTION_REPOSITORY);
    add_long(parsing, &count, "log-json", no_argument, OPTION_LOG_JSON);
    add_long(parsing, &count, "verbose", no_argument, 'v');
    add_long(parsing, &count, "quiet", no_argument, 'q');
    add_long(parsing, &count, "help", no_argument, OPTION_HELP);
    add_long(parsing, &count, "version", no_argument, OPTION_VERSION);
    memcpy(parsing->shorts + letters, "vqV", sizeof "vqV");
}

static const struct option_spec *own_option(const struct program *program, int value)
{
    if (value >= OPTION_OWN)
        return &program->options[value - OPTION_OWN];
    for (const struct option_spec *own = program->options; own != NULL && own->name != NULL; own++)
        if (own->letter != 0 && own->letter == value)
            return own;
    return NULL;
}

static int wrong(const struct program *program)
{
    log_hint("Try \"%s --help\" for more information.", program->name);
    return program->usage_status != 0 ? program->usage_status : OPTIONS_USAGE_STATUS;
}

/* OPTIONS_GO_ON, or the exit status. */
static int parse_one(const struct program *program, int value, char **argv, struct options *options,
                     void *context)
{
    const struct option_spec *own = own_option(program, value);

    if (own != NULL)
        return own->set(context, optarg) == 0 ? OPTIONS_GO_ON : wrong(program);
    switch (value) {
    case OPTION_CONFIG:
        options->config = optarg;
        return OPTIONS_GO_ON;
    case OPTION_REPOSITORY:
        if (options->repository_count == OPTIONS_REPOSITORIES_MOST) {
            log_error("--repository was given more than %d times", OPTIONS_REPOSITORIES_MOST);
            return wrong(program);
        }
        options->repository = options->repositories[options->repository_count++] = optarg;
        return OPTIONS_GO_ON;
    case OPTION_LOG_JSON:
        log_set_json(true);
        return OPTIONS_GO_ON;
    case 'v':
        log_set_threshold(LOG_DEBUG);
        return OPTIONS_GO_ON;
    case 'q':
        log_set_threshold(LOG_ERROR);
        return OPTIONS_GO_ON;
    case OPTION_HELP:
        print_help(program);
        return 0;
    case 'V':
    case OPTION_VERSION:
        printf("%s (walferry) %s\n", program->name, WALFERRY_VERSION);
        return 0;
    case ':':
        log_error("option \"%s\" needs an argument", argv[optind - 1]);
        return wrong(program);
    default:
        if (optopt == '?') { /* -? is help, as in PostgreSQL's tools */
            print_help(program);
            return 0;
        }
        log_error("unknown option \"%s\"", argv[optind - 1]);
        return wrong(program);
    }
}

/* Ahead of the parsing, so that a usage error before it is one JSON line too. */
static bool wants_json(char **argv)
{
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
        if (strcmp(*argv, "--log-json") == 0)
            return true;
    return false;
}

static enum log_level usual_level(void)
{
    const char *level = getenv(OPTIONS_LEVEL_VARIABLE);

    return level != NULL && strcmp(level, OPTIONS_LEVEL_WARNING) == 0 ? LOG_WARNING : LOG_INFO;
}

int options_parse(const struct program *program, int argc, char **argv, struct options *options,
                  void *context, char ***operands)
{
    struct parsing parsing = {.program = program};
    int value;

    *options = (struct options){.config = NULL};
    log_open(program->name, usual_level(), wants_json(argv));
    process_begin();
    build(&parsing);
    opterr = 0;
    while ((value = getopt_long(argc, argv, parsing.shorts, parsing.longs, NULL)) != -1) {
        int result = parse_one(program, value, argv, options, context);
        if (result != OPTIONS_GO_ON)
            return result;
    }
    if (argc - optind > program->operand_count) {
        log_error("too many arguments (the first surplus one is \"%s\")",
                  argv[optind + program->operand_count]);
        return wrong(program);
    }
    if (argc - optind < program->operand_count) {
        log_error("missing arguments: %s", program->operands);
        return wrong(program);
    }
    *operands = argv + optind;
    return OPTIONS_GO_ON;
}

int options_load(const struct options *options, struct config *config, const struct repository_config **only)
{
    *only = NULL;
    if (options->repository_count > 1) {
        log_error("--repository was given several times, but only one can be named here");
        return -1;
    }
    if (config_load(options->config, config) != 0)
        return -1;
    if (options->repository == NULL || (*only = config_repository(config, options->repository)) != NULL)
        return 0;
    config_free(config);
    return -1;
}

int options_load_set(const struct options *options, struct config *config)
{
    if (config_load(options->config, config) != 0)
        return -1;
    if (options->repository_count == 0 ||
        config_choose(config, options->repositories, options->repository_count) == 0)
        return 0;
    config_free(config);
    return -1;
}

static bool is_listed(const struct repository_config *const *list, size_t count,
                      const struct repository_config *repository)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == repository)
            return true;
    return false;
}

static int fill_list(const struct options *options, const struct config *config,
                     const struct repository_config **list, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < options->repository_count; i++) {
        const struct repository_config *named = config_repository(config, options->repositories[i]);
        if (named == NULL)
            return -1;
        if (!is_listed(list, *count, named))
            list[(*count)++] = named;
    }
    for (size_t i = 0; options->repository_count == 0 && i < config->repository_count; i++)
        list[(*count)++] = &config->repositories[i];
    return 0;
}

int options_load_list(const struct options *options, struct config *config,
                      const struct repository_config ***list, size_t *count)
{
    if (config_load(options->config, config) != 0)
        return -1;
    *list = calloc(config->repository_count, sizeof(struct repository_config *));
    if (*list == NULL)
        log_out_of_memory();
    else if (fill_list(options, config, *list, count) == 0)
        return 0;
    free(*list);
    *list = NULL;
    config_free(config);
    return -1;
}

int options_number(const char *option, const char *text, unsigned long least, unsigned long most,
                   unsigned long *value)
{
    char *end = NULL;

    if (isdigit((unsigned char)*text))
        *value = strtoul(text, &end, 10);
    if (end == NULL || *end != '\0' || *value < least || *value > most) {
        log_error("%s must be a whole number from %lu to %lu, not \"%s\"", option, least, most, text);
        return -1;
    }
    return 0;
}

/* The server would read such a time in its own time zone, which is rarely the one the DBA has in mind. */
static void explain_offset(const char *text, int64_t as_utc)
{
    time_t wall = (time_t)(as_utc / 1000000 - (as_utc % 1000000 < 0));
    struct tm tm;
    char offset[8] = "";

    gmtime_r(&wall, &tm); /* the fields as they were written */
    tm.tm_isdst = -1;
    if (mktime(&tm) != (time_t)-1)
        strftime(offset, sizeof offset, "%z", &tm);
    log_error("the time \"%s\" has no offset from UTC, so it could mean any of 24 hours", text);
    if (strlen(offset) != 5)
        log_hint("As UTC it is \"%s+00\".", text);
    else if (strcmp(offset, "+0000") == 0)
        log_hint("As UTC, this machine's time zone, it is \"%s+00\"; an hour east of it \"%s+01\".", text,
                 text);
    else
        log_hint("With this machine's offset it is \"%s%.3s%s%s\"; as UTC it is \"%s+00\".", text, offset,
                 strcmp(offset + 3, "00") == 0 ? "" : ":", strcmp(offset + 3, "00") == 0 ? "" : offset + 3,
                 text);
}

int options_bytes(const char *option, const char *text, uint64_t *value)
{
    if (config_bytes_parse(text, value))
        return 0;
    log_error("%s must be 0, or a whole number with a unit (kB, MB, GB), not \"%s\"", option, text);
    return -1;
}

int options_time(const char *text, int64_t *value)
{
    switch (timestamp_parse(text, value)) {
    case TIMESTAMP_OK:
        return 0;
    case TIMESTAMP_NO_OFFSET:
        explain_offset(text, *value);
        return -1;
    case TIMESTAMP_MALFORMED:
        break;
    }
    log_error("\"%s\" is not a time", text);
    log_hint("Write it like \"2026-11-20 14:29:59.5+01\": date, time of day, offset from UTC.");
    return -1;
}

int options_time_is_past(int64_t value)
{
    int64_t now = timestamp_now();
    char wanted[TIMESTAMP_TEXT_BYTES], current[TIMESTAMP_TEXT_BYTES];

    if (value <= now)
        return 0;
    timestamp_format(value, wanted);
    timestamp_format(now, current);
    log_error("the target time %s lies in the future: it is %s by this machine's clock", wanted, current);
    log_hint(
        "PostgreSQL could never reach it. For the newest there is, give no target. Otherwise look at the "
        "offset (+00 is UTC) and at the clock.");
    return -1;
}

/* PostgreSQL reads these with strtoul(..., 0), to which a leading zero means octal: such a number, like one
 * copied from a file name, is refused. */
int options_id(const char *what, const char *text, uint64_t *value)
{
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = is_hex ? text + 2 : text;
    const char *allowed = is_hex ? "0123456789abcdefABCDEF" : "0123456789";
    size_t length = strspn(digits, allowed);

    if (!is_hex && length > 1 && digits[0] == '0' && digits[length] == '\0') {
        log_error("%s \"%s\" begins with a zero: it could be decimal, octal or hexadecimal", what, text);
        log_hint(
            "Leave the zeros out. Digits of a file name are hexadecimal: write them with 0x before them.");
        return -1;
    }
    errno = 0;
    *value = strtoull(digits, NULL, is_hex ? 16 : 10);
    if (length == 0 || digits[length] != '\0' || errno != 0) {
        log_error("%s \"%s\" is not a number", what, text);
        if (strspn(text, "0123456789abcdefABCDEF") == strlen(text) && *text != '\0')
            log_hint("If it is hexadecimal, write 0x before it.");
        return -1;
    }
    return 0;
}

int options_timeline(const char *text, uint32_t *timeline)
{
    uint64_t value;

    if (options_id("timeline", text, &value) != 0) {
        log_hint("A timeline is \"latest\", \"current\" or a number.");
        return -1;
    }
    if (value == 0 || value > UINT32_MAX) {
        log_error("there is no timeline %s: they go from 1 to %u", text, UINT32_MAX);
        return -1;
    }
    *timeline = (uint32_t)value;
    return 0;
}
