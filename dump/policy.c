#include "policy.h"

#include "common/timestamp.h"

#include <stdio.h>
#include <string.h>

static const char *const names[DUMP_REASONS] = {
    "the newest", "keep_dumps", "keep_dumps_for", "keep_dumps_monthly",
    "damaged",    "unfinished", "in the future",
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

/* Of an entry that is complete, and not in the future. */
struct counts {
    unsigned dumps, months;
    char month[8];
};

static unsigned judge_complete(const struct retention_policy *policy, const struct dump_entry *entry,
                               int64_t now, struct counts *counts)
{
    unsigned reasons = counts->dumps == 0 ? DUMP_KEPT_NEWEST : 0;
    char month[8];

    if (++counts->dumps <= policy->keep_dumps)
        reasons |= DUMP_KEPT_COUNT;
    if (policy->keep_dumps_for_seconds > 0 && !is_older(ended(entry), now, policy->keep_dumps_for_seconds))
        reasons |= DUMP_KEPT_AGE;
    month_of(&entry->dump, month);
    if (strcmp(month, counts->month) != 0) {
        snprintf(counts->month, sizeof counts->month, "%s", month);
        if (++counts->months <= policy->keep_dumps_monthly)
            reasons |= DUMP_KEPT_MONTHLY;
    }
    return reasons;
}

void dump_policy_plan(const struct retention_policy *policy, const struct dump_list *list, int64_t now,
                      unsigned *reasons)
{
    struct counts counts = {.month = ""};

    for (size_t i = list->count; i > 0; i--) { /* the newest first */
        const struct dump_entry *entry = &list->entries[i - 1];
        unsigned *reason = &reasons[i - 1];
        *reason = 0;
        if (entry->state == DUMP_DAMAGED)
            *reason = DUMP_KEPT_DAMAGED;
        else if (entry->state == DUMP_UNFINISHED)
            /* one that was never heard of has neither started.json nor a heartbeat: half deleted */
            *reason = entry->heard != 0 && !is_older(entry->heard, now, policy->orphan_age_seconds)
                          ? DUMP_KEPT_RUNNING
                          : 0;
        else if (is_older(now, entry->dump.ended, 60))
            *reason = DUMP_KEPT_FUTURE;
        else
            *reason = judge_complete(policy, entry, now, &counts);
    }
}
