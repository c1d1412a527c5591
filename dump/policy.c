#include "policy.h"

#include "common/log.h"
#include "common/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[DUMP_REASONS] = {
    "the newest", "keep_dumps", "keep_dumps_for", "keep_dumps_monthly",
    "damaged",    "unfinished", "in the future",  "the newest of a database",
};

const char *dump_reason_name(unsigned reason)
{
    for (unsigned i = 0; i < DUMP_REASONS; i++)
        if (reason == 1u << i)
            return names[i];
    return "";
}

/* By that of the two clocks that says later: no wrong clock makes it look old. */
static int64_t ended(const struct dump_entry *entry)
{
    return entry->heard > entry->dump.ended ? entry->heard : entry->dump.ended;
}

static bool is_older(int64_t time, int64_t now, uint64_t seconds)
{
    return time < now - (int64_t)seconds * 1000000;
}

/* The server's clock names the month: "202611". */
static void month_of(const struct dump *dump, char out[8])
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_compact(dump->ended, text);
    snprintf(out, 8, "%.6s", text);
}

/* Of the dumps before that are complete and not in the future: those with this database, or the globals. By
 * name: one that is dropped and made anew has another oid. */
struct count {
    const char *name; /* borrowed; NULL: the globals */
    unsigned dumps, months;
    char month[8];
};

struct counts {
    struct count *items;
    size_t count, capacity;
    size_t next; /* where the next name probably is: dumps have them in the same order */
    bool any;
};

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* NULL after logging. */
static struct count *find_count(struct counts *counts, const char *name)
{
    for (size_t i = 0; i < counts->count; i++) {
        size_t at = (counts->next + i) % counts->count;
        if (is_same(counts->items[at].name, name)) {
            counts->next = at + 1;
            return &counts->items[at];
        }
    }
    if (counts->count == counts->capacity) {
        size_t capacity = counts->capacity == 0 ? 64 : 2 * counts->capacity;
        struct count *grown = realloc(counts->items, capacity * sizeof *grown);
        if (grown == NULL) {
            log_out_of_memory();
            return NULL;
        }
        counts->items = grown;
        counts->capacity = capacity;
    }
    counts->next = 0;
    counts->items[counts->count] = (struct count){.name = name};
    return &counts->items[counts->count++];
}

static int judge_complete(const struct retention_policy *policy, const struct dump_entry *entry, int64_t now,
                          struct counts *counts, unsigned *reasons)
{
    char month[8];

    *reasons = counts->any ? 0 : DUMP_KEPT_NEWEST;
    counts->any = true;
    if (policy->keep_dumps_for_seconds > 0 && !is_older(ended(entry), now, policy->keep_dumps_for_seconds))
        *reasons |= DUMP_KEPT_AGE;
    month_of(&entry->dump, month);
    for (size_t i = 0; i < entry->dump.stream_count; i++) {
        struct count *count = find_count(counts, entry->dump.streams[i].name);
        if (count == NULL)
            return -1;
        if (count->dumps == 0 && (*reasons & DUMP_KEPT_NEWEST) == 0)
            *reasons |= DUMP_KEPT_LAST;
        if (++count->dumps <= policy->keep_dumps)
            *reasons |= DUMP_KEPT_COUNT;
        if (strcmp(month, count->month) == 0)
            continue;
        snprintf(count->month, sizeof count->month, "%s", month);
        if (++count->months <= policy->keep_dumps_monthly)
            *reasons |= DUMP_KEPT_MONTHLY;
    }
    return 0;
}

int dump_policy_plan(const struct retention_policy *policy, const struct dump_list *list, int64_t now,
                     unsigned *reasons)
{
    struct counts counts = {.items = NULL};
    int result = 0;

    for (size_t i = list->count; i > 0 && result == 0; i--) { /* the newest first */
        const struct dump_entry *entry = &list->entries[i - 1];
        unsigned *reason = &reasons[i - 1];
        *reason = 0;
        if (entry->state == DUMP_DAMAGED)
            *reason = DUMP_KEPT_DAMAGED;
        else if (entry->state == DUMP_UNFINISHED)
            /* one that was never heard of has nothing in it */
            *reason = entry->heard != 0 && !is_older(entry->heard, now, policy->orphan_age_seconds)
                          ? DUMP_KEPT_RUNNING
                          : 0;
        else if (dump_is_in_future(&entry->dump, now))
            *reason = DUMP_KEPT_FUTURE;
        else
            result = judge_complete(policy, entry, now, &counts, reason);
    }
    free(counts.items);
    return result;
}
