/* What every program begins with: its options (--config, --repository, --verbose, --quiet, --help, --version
 * and its own), and the configuration they name. Layer 1. */
#ifndef WALFERRY_OPTIONS_H
#define WALFERRY_OPTIONS_H

#include "config.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WALFERRY_VERSION "0.1.0"

#define OPTIONS_REPOSITORIES_MOST 64

struct options {
    const char *config;                                  /* NULL: the default place */
    const char *repository;                              /* the last that was named; NULL: all */
    const char *repositories[OPTIONS_REPOSITORIES_MOST]; /* all that were */
    size_t repository_count;
};

enum { OPTIONS_GO_ON = -1, OPTIONS_USAGE_STATUS = 2 };

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
    const char *operands;              /* "NAME PATH", or ""; with a count of 0, needed options: "-D DIR" */
    int operand_count;                 /* exactly */
    const struct option_spec *options; /* may be NULL */
    const char *epilogue; /* behind the options in --help: exit statuses and the like; may be NULL */
    int usage_status;     /* exit status of a usage error; 0 stands for OPTIONS_USAGE_STATUS */
    bool takes_several;   /* --repository may be given several times */
};

/* Set by a program of ours for those that it calls: without --verbose and --quiet they say nothing but
 * warnings and errors. */
#define OPTIONS_LEVEL_VARIABLE "WALFERRY_LOG_LEVEL"
#define OPTIONS_LEVEL_WARNING "warning"

/* Begins log and process (log.h, process.h), then parses with getopt_long. context goes to the set functions.
 * *operands points at the first operand in argv. OPTIONS_GO_ON, or the exit status: 0 when --help or
 * --version was answered, else the program's usage_status, after logging. */
int options_parse(const struct program *program, int argc, char **argv, struct options *options,
                  void *context, char ***operands);

/* The configuration that the options name; *only is the repository that --repository chose, NULL for all.
 * 0, or -1 after logging, with nothing to free. */
int options_load(const struct options *options, struct config *config, const struct repository_config **only);
/* The same where --repository may be given several times: the configuration has only those that were named,
 * in that order. */
int options_load_set(const struct options *options, struct config *config);
/* The same, but the configuration is whole, and the list (caller frees) tells which were named; none: all. */
int options_load_list(const struct options *options, struct config *config,
                      const struct repository_config ***list, size_t *count);

/* Whole decimal number between least and most. 0, or -1 after logging '%s must be ...'. */
int options_number(const char *option, const char *text, unsigned long least, unsigned long most,
                   unsigned long *value);

/* The id of a timeline or transaction: decimal, or hexadecimal with 0x. 0, or -1 after logging. */
int options_id(const char *what, const char *text, uint64_t *value);
/* A timeline by number; the words that stand for one are the caller's. 0, or -1 after logging. */
int options_timeline(const char *text, uint32_t *timeline);

/* A size as the configuration file has them. 0, or -1 after logging. */
int options_bytes(const char *option, const char *text, uint64_t *value);

/* An instant that a recovery is to get to; its offset from UTC is demanded. 0, or -1 after logging. */
int options_time(const char *text, int64_t *value);

/* 0, or -1 after logging if it is in the future by this machine's clock: no recovery gets there. */
int options_time_is_past(int64_t value);

#endif
