/* The options that every program has: --config, --repository, --verbose, --quiet, --help, --version. Layer 1.
 */
#ifndef WALFERRY_OPTIONS_H
#define WALFERRY_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#define WALFERRY_VERSION "0.1.0"

struct options {
    const char *config;     /* NULL: the default place */
    const char *repository; /* NULL: all, or the only one */
};

enum options_result {
    OPTIONS_RUN,   /* go on */
    OPTIONS_DONE,  /* --help or --version was answered: exit 0 */
    OPTIONS_WRONG, /* a usage error was logged: exit 2 */
};

/* One option that a program has of its own; arrays of it end with an entry whose name is NULL. */
struct option_spec {
    const char *name;                             /* long name without dashes */
    int letter;                                   /* short name, or 0 */
    const char *argument;                         /* name of the argument in --help, or NULL: a switch */
    int (*set)(void *context, const char *value); /* 0, or -1 after logging; value is borrowed from argv */
    const char *help;                             /* one line or several */
};

struct program {
    const char *name;
    const char *summary;               /* one line: what it does */
    const char *operands;              /* "NAME PATH", or "" */
    int operand_count;                 /* exactly */
    const struct option_spec *options; /* may be NULL */
    const char *epilogue; /* behind the options in --help: exit statuses and the like; may be NULL */
};

/* Begins the process (process.h), then parses with getopt_long. context goes to the set functions. *operands
 * points at the first operand in argv.
 */
enum options_result options_parse(const struct program *program, int argc, char **argv,
                                  struct options *options, void *context, char ***operands);

/* Whole decimal number between least and most. 0, or -1 after logging '%s must be ...'. */
int options_number(const char *option, const char *text, unsigned long least, unsigned long most,
                   unsigned long *value);

#endif
