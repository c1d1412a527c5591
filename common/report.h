/* What is found out about a repository's content later: "reports/", one document an event, never changed.
 * This kind: a unit of the content (a backup, a log of WAL) was read and verified, or a part of it. What a
 * next verification needs stands in the name, so that one listing tells it. The other kind: drill_report.h.
 * Layer 3. Format: docs/format.md. */
#ifndef WALFERRY_REPORT_H
#define WALFERRY_REPORT_H

#include "repository.h"

#define REPORT_UNIT_BYTES 72
#define REPORT_HOST_BYTES 256
#define REPORT_OBJECT_BYTES 128
/* Clocks differ a little, and a store's Date has whole seconds; a report that is later than now by more was
 * written by a clock that was wrong. */
#define REPORT_AHEAD_MICROSECONDS 60000000ll

/* All names of reports begin with their time, "20261121T200001.123456Z". */
#define REPORT_TIME_LENGTH 23
void report_time_format(int64_t time, char out[REPORT_TIME_LENGTH + 1]);
bool report_time_parse(const char *name, int64_t *time);
/* The names of all reports, of any kind, in the order of their time. OK or FAILED; each returns false to end
 * it. */
enum repository_result report_names(struct repository *repository, uint64_t system_identifier,
                                    bool (*each)(void *context, const char *name), void *context);

/* Of a unit, from where the verification before stopped. */
struct verified {
    char unit[REPORT_UNIT_BYTES];   /* as in docs/format.md: "base-<backup id>" and others */
    int64_t time;                   /* of its end, by the store's clock: a timestamp */
    char last[REPORT_OBJECT_BYTES]; /* name of the last object that is done, when it was cut short; "": all
                                       are */
    bool is_damaged;                /* something in the unit was missing or damaged */
    uint64_t objects, bytes;        /* that were read; stored */
    char host[REPORT_HOST_BYTES];
};

/* What the reports of a unit tell together. */
struct verified_state {
    int64_t time;                   /* of the last one; 0: there is none */
    char last[REPORT_OBJECT_BYTES]; /* as in that */
    bool has_damage;                /* what was read up to last has some */
    int64_t damaged;       /* when it was found damaged and not read since from its beginning to its end; 0 */
    int64_t ahead_damaged; /* the same by a clock that was ahead: nothing tells when that was */
    int64_t ahead;         /* the newest report by such a clock; 0: there is none */
    char ahead_last[REPORT_OBJECT_BYTES]; /* as in that, if it tells of no damage */
};

/* One more, in the order of verified_list. None that a wrong clock has written says that all is well, but for
 * one that is later by that clock than the damage. now: by the store's clock. */
void verified_take(struct verified_state *state, const struct verified *verified, int64_t now);

/* Since when is it known to be damaged? 0: it is not. */
int64_t verified_damaged(const struct verified_state *state);

/* Is nothing of that left when one who began behind from ("": at the beginning) has come to the end, and
 * found none? */
bool verified_takes_back(const struct verified_state *state, const char *from);

/* When the time of those that are ahead has come, the last of them would hold. So the next report, by one who
 * began behind from, is stored behind them, too: at this time. 0: not needed, or it does not go on from what
 * the last of them tells. */
int64_t verified_again_at(const struct verified_state *state, const struct verified *verified,
                          const char *from);

/* 0, or -1 after logging. */
int verified_put(struct repository *repository, uint64_t system_identifier, const struct verified *verified);

/* All of them in the order of their time; only what the name tells is set. OK or FAILED; each returns false
 * to end it. */
enum repository_result verified_list(struct repository *repository, uint64_t system_identifier,
                                     bool (*each)(void *context, const struct verified *verified),
                                     void *context);

#endif
