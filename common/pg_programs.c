#include "pg_programs.h"

#include "file.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "postgres (PostgreSQL) 15.18 (Debian ...)" is 150018, as PG_VERSION_NUM; 0: it could not be run. */
static unsigned version_of(const char *directory, const char *program, const struct look *look)
{
    struct buffer output = BUFFER_EMPTY;
    char *path = path_join(directory, program);
    char *words[] = {path, "--version", NULL};
    unsigned major = 0, minor = 0;

    if (path != NULL && child_run(words, ENVIRONMENT_CLEAN_BUT_S3, look, &output) == 0) {
        const char *text = strchr(buffer_string(&output), ')');
        char *end = NULL;
        major = text == NULL ? 0 : (unsigned)strtoul(text + 1, &end, 10);
        minor = end != NULL && *end == '.' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
    }
    buffer_free(&output);
    free(path);
    return major * 10000 + minor;
}

static bool is_there(const char *directory, const char *program)
{
    char *path = path_join(directory, program);
    bool there = path != NULL && access(path, X_OK) == 0;

    free(path);
    return there;
}

/* As pg_config tells. Caller frees; NULL: there is none, or it tells of programs that are not there. */
static char *ask_pg_config(const char *program, const struct look *look)
{
    char *words[] = {"pg_config", "--bindir", NULL}, *found = NULL;
    struct buffer output = BUFFER_EMPTY;
    bool was_muted = log_mute_thread(true);

    if (child_run(words, ENVIRONMENT_CLEAN_BUT_S3, look, &output) == 0)
        found = string_copy(buffer_string(&output));
    log_mute_thread(was_muted);
    if (found != NULL)
        found[strcspn(found, "\n")] = '\0';
    buffer_free(&output);
    if (found == NULL || is_there(found, program))
        return found;
    free(found);
    return NULL;
}

static char *find(const char *program, unsigned major, unsigned newest, const struct look *look)
{
    char debian[64], red_hat[64];

    for (; major <= newest; major++) {
        snprintf(debian, sizeof debian, "/usr/lib/postgresql/%u/bin", major);
        snprintf(red_hat, sizeof red_hat, "/usr/pgsql-%u/bin", major);
        if (is_there(debian, program))
            return string_copy(debian);
        if (is_there(red_hat, program))
            return string_copy(red_hat);
    }
    return ask_pg_config(program, look);
}

char *pg_programs_find(const char *program, unsigned major, unsigned newest, const char *pg_bin,
                       const struct look *look, unsigned *found)
{
    char *directory = pg_bin != NULL ? string_copy(pg_bin) : find(program, major, newest, look);

    *found = directory == NULL ? 0 : version_of(directory, program, look);
    return directory;
}
