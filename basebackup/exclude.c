#include "exclude.h"

#include <stddef.h>
#include <string.h>

struct excluded_name {
    const char *name;
    bool is_prefix;
};

static const struct excluded_name excluded_anywhere[] = {
    {"pgsql_tmp", true},
    {"pg_internal.init", true}, /* built again at start; temporary ones end with a process id */
    {"postgresql.auto.conf.tmp", false},
    {"current_logfiles.tmp", false},
    {"backup_label", false}, /* of an older backup that this directory was restored from */
    {"tablespace_map", false},
    {"backup_manifest", false},
    {"postmaster.pid", false},
    {"postmaster.opts", false},
    {".DS_Store", false},
};

/* They would decide how a restored directory starts; that is for recovery-config to say. */
static const char *const excluded_at_top[] = {"standby.signal", "recovery.signal"};

static const char *const kept_empty[] = {
    "pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

bool exclude_name(const char *directory, const char *name)
{
    for (size_t i = 0; i < COUNT(excluded_anywhere); i++) {
        const struct excluded_name *excluded = &excluded_anywhere[i];
        if (excluded->is_prefix ? strncmp(name, excluded->name, strlen(excluded->name)) == 0
                                : strcmp(name, excluded->name) == 0)
            return true;
    }
    if (*directory == '\0')
        for (size_t i = 0; i < COUNT(excluded_at_top); i++)
            if (strcmp(name, excluded_at_top[i]) == 0)
                return true;
    return false;
}

bool exclude_contents(const char *name)
{
    for (size_t i = 0; i < COUNT(kept_empty); i++)
        if (strcmp(name, kept_empty[i]) == 0)
            return true;
    return false;
}

/* A decimal number without leading zeros that fits 32 bits. Advances *text. */
static bool take_number(const char **text, uint32_t *number)
{
    uint64_t value = 0;
    const char *next = *text;

    if (*next < '1' || *next > '9')
        return false;
    for (; *next >= '0' && *next <= '9'; next++) {
        value = value * 10 + (uint64_t)(*next - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *text = next;
    *number = (uint32_t)value;
    return true;
}

static bool take_text(const char **text, const char *expected)
{
    size_t length = strlen(expected);

    if (strncmp(*text, expected, length) != 0)
        return false;
    *text += length;
    return true;
}

/* The part behind the numbers: "", "_fsm", ".1", "_vm.2" and nothing else. */
static bool take_fork_and_segment(const char *text, enum relation_fork *fork, uint32_t *segment)
{
    *fork = FORK_MAIN;
    *segment = 0;
    if (take_text(&text, "_fsm"))
        *fork = FORK_FREE_SPACE_MAP;
    else if (take_text(&text, "_vm"))
        *fork = FORK_VISIBILITY_MAP;
    else if (take_text(&text, "_init"))
        *fork = FORK_INIT;
    if (take_text(&text, ".") && !take_number(&text, segment))
        return false;
    return *text == '\0';
}

bool relation_name_parse(const char *name, struct relation_name *relation)
{
    struct relation_name found;

    if (!take_number(&name, &found.number) || !take_fork_and_segment(name, &found.fork, &found.segment))
        return false;
    *relation = found;
    return true;
}

bool relation_name_is_temporary(const char *name)
{
    uint32_t number, segment;
    enum relation_fork fork;

    return take_text(&name, "t") && take_number(&name, &number) && take_text(&name, "_") &&
           take_number(&name, &number) && take_fork_and_segment(name, &fork, &segment);
}
