#include "target.h"

#include "common/log.h"
#include "common/options.h"
#include "common/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MOST_BYTES 63 /* MAXFNAMELEN - 1 in PostgreSQL */
#define FIRST_NORMAL_XID 3

/* Values */

static int resolve_time(const char *text, struct target *target)
{
    target->kind = TARGET_TIME;
    return options_time(text, &target->time);
}

static int resolve_xid(const char *text, struct target *target)
{
    uint64_t value;

    target->kind = TARGET_XID;
    if (options_id("transaction id", text, &value) != 0)
        return -1;
    /* pg_current_xact_id() shows the epoch too; the WAL knows the low 32 bits. */
    target->xid = (uint32_t)value;
    if (target->xid < FIRST_NORMAL_XID) {
        log_error("\"%s\" is not the id of a transaction: ids begin at %d", text, FIRST_NORMAL_XID);
        return -1;
    }
    return 0;
}

static int resolve_lsn(const char *text, struct target *target)
{
    target->kind = TARGET_LSN;
    if (lsn_parse(text, &target->lsn) && target->lsn != 0)
        return 0;
    log_error("\"%s\" is not an LSN", text);
    log_hint("Write it as PostgreSQL shows it, like 0/3000028.");
    return -1;
}

static int resolve_name(const char *text, struct target *target)
{
    target->kind = TARGET_NAME;
    target->name = text;
    if (*text == '\0') {
        log_error("the name of a restore point must not be empty");
        return -1;
    }
    if (strlen(text) > NAME_MOST_BYTES) {
        log_error("the name of a restore point has at most %d bytes, this one has %zu", NAME_MOST_BYTES,
                  strlen(text));
        return -1;
    }
    if (strchr(text, '\n') != NULL) {
        log_error("the name of a restore point can't hold a line end here");
        return -1;
    }
    return 0;
}

static int resolve_timeline(const char *text, struct target *target)
{
    if (strcmp(text, "latest") == 0 || strcmp(text, "current") == 0) {
        target->timeline_choice = *text == 'l' ? TIMELINE_LATEST : TIMELINE_CURRENT;
        return 0;
    }
    target->timeline_choice = TIMELINE_NUMBER;
    return options_timeline(text, &target->timeline);
}

static int resolve_accept_end(const struct target_request *request, struct target *target)
{
    struct wal_name name = wal_name_parse(request->accept_end);

    if (name.kind != WAL_SEGMENT) {
        log_error("\"%s\" is not the name of a WAL segment", request->accept_end);
        log_hint("It has 24 upper-case hexadecimal digits, like 000000010000000A000000FF.");
        return -1;
    }
    target->end_at = request->accept_end;
    if (request->timeline == NULL) {
        target->timeline_choice = TIMELINE_NUMBER;
        target->timeline = name.timeline;
    }
    return 0;
}

static int resolve_action(const char *text, struct target *target)
{
    static const char *const actions[] = {"pause", "promote", "shutdown"};

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(text, actions[i]) == 0) {
            target->action = actions[i];
            return 0;
        }
    log_error("unknown action \"%s\"", text);
    log_hint("What happens at the target is \"pause\", \"promote\" or \"shutdown\".");
    return -1;
}

static int resolve_archive(const char *text, struct target *target)
{
    if (strcmp(text, "off") == 0 || strcmp(text, "keep") == 0) {
        target->archive = *text == 'o' ? ARCHIVE_OFF : ARCHIVE_KEEP;
        return 0;
    }
    log_error("--archive is \"off\" or \"keep\", not \"%s\"", text);
    return -1;
}

/* Options together */

static int check_one_target(const struct target_request *request)
{
    int given = (request->time != NULL) + (request->xid != NULL) + (request->lsn != NULL) +
                (request->name != NULL) + request->immediate + request->standby;

    if (given <= 1)
        return 0;
    log_error("more than one target was given");
    log_hint(
        "Choose one of --target-time, --target-xid, --target-lsn, --target-name, --immediate and --standby.");
    return -1;
}

static int check_combination(const struct target_request *request, const struct target *target)
{
    bool ordered = target->kind == TARGET_TIME || target->kind == TARGET_XID || target->kind == TARGET_LSN;
    bool standby = target->kind == TARGET_STANDBY;

    if (request->exclusive && !ordered) {
        log_error("--exclusive needs one of --target-time, --target-xid and --target-lsn");
        return -1;
    }
    if (request->action != NULL && !target_is_set(target)) {
        log_error("--action needs a target: without one there is nothing to stop at");
        return -1;
    }
    if (standby && request->timeline != NULL) {
        log_error("--timeline can't be used with --standby: a standby follows the latest timeline");
        return -1;
    }
    if (standby && request->accept_end != NULL) {
        log_error("--accept-end can't be used with --standby: a standby waits for WAL that is missing");
        return -1;
    }
    return 0;
}

static int resolve_kind(const struct target_request *request, struct target *target)
{
    if (request->time != NULL)
        return resolve_time(request->time, target);
    if (request->xid != NULL)
        return resolve_xid(request->xid, target);
    if (request->lsn != NULL)
        return resolve_lsn(request->lsn, target);
    if (request->name != NULL)
        return resolve_name(request->name, target);
    if (request->immediate)
        target->kind = TARGET_IMMEDIATE;
    else if (request->standby)
        target->kind = TARGET_STANDBY;
    return 0;
}

int target_resolve(const struct target_request *request, struct target *target)
{
    *target = (struct target){.kind = TARGET_NEWEST};
    if (check_one_target(request) != 0 || resolve_kind(request, target) != 0 ||
        check_combination(request, target) != 0)
        return -1;
    target->exclusive = request->exclusive;
    target->without_proof = request->unproven;
    if (target_is_set(target) &&
        resolve_action(request->action == NULL ? "pause" : request->action, target) != 0)
        return -1;
    if (request->timeline != NULL && resolve_timeline(request->timeline, target) != 0)
        return -1;
    if (request->accept_end != NULL && resolve_accept_end(request, target) != 0)
        return -1;
    return request->archive == NULL ? 0 : resolve_archive(request->archive, target);
}

void target_turn(struct target *target, uint64_t lsn)
{
    target->kind = TARGET_LSN;
    target->lsn = lsn;
    target->exclusive = false;
}

bool target_is_set(const struct target *target)
{
    return target->kind != TARGET_NEWEST && target->kind != TARGET_STANDBY;
}

void target_as_wanted(const struct target *target, struct window_target *wanted)
{
    static const enum window_target_kind kinds[] = {
        [TARGET_NEWEST] = WINDOW_NEWEST, [TARGET_TIME] = WINDOW_TIME, [TARGET_XID] = WINDOW_XID,
        [TARGET_LSN] = WINDOW_LSN,       [TARGET_NAME] = WINDOW_NAME, [TARGET_IMMEDIATE] = WINDOW_IMMEDIATE,
        [TARGET_STANDBY] = WINDOW_NEWEST};

    *wanted = (struct window_target){.kind = kinds[target->kind],
                                     .time = target->time,
                                     .lsn = target->lsn,
                                     .xid = target->xid,
                                     .name = target->name,
                                     .exclusive = target->exclusive,
                                     .is_on_latest = target->timeline_choice == TIMELINE_LATEST,
                                     .accept_end = target->end_at};
}

void target_describe(const struct target *target, char *out, size_t length)
{
    struct window_target wanted;

    target_as_wanted(target, &wanted);
    window_target_describe(&wanted, out, length);
}

/* Settings */

static const char *target_name(enum target_kind kind)
{
    switch (kind) {
    case TARGET_TIME:
        return "recovery_target_time";
    case TARGET_XID:
        return "recovery_target_xid";
    case TARGET_LSN:
        return "recovery_target_lsn";
    case TARGET_NAME:
        return "recovery_target_name";
    case TARGET_IMMEDIATE:
        return "recovery_target";
    case TARGET_NEWEST:
    case TARGET_STANDBY:
        break;
    }
    return NULL;
}

/* The value as PostgreSQL reads it back, at most NAME_MOST_BYTES. */
static void target_value(const struct target *target, char out[NAME_MOST_BYTES + 1])
{
    *out = '\0';
    if (target->kind == TARGET_TIME)
        timestamp_format(target->time, out);
    else if (target->kind == TARGET_XID)
        snprintf(out, NAME_MOST_BYTES + 1, "%u", target->xid);
    else if (target->kind == TARGET_LSN)
        lsn_format(target->lsn, out);
    else if (target->kind == TARGET_NAME)
        snprintf(out, NAME_MOST_BYTES + 1, "%s", target->name);
    else if (target->kind == TARGET_IMMEDIATE)
        snprintf(out, NAME_MOST_BYTES + 1, "immediate");
}

/* An empty one behind the chosen one would clear it, so the chosen one comes last. Empty ones are needed at
 * all because postgresql.conf may set another, and two are fatal. */
static int add_target(const struct target *target, struct setting_list *list)
{
    static const enum target_kind kinds[] = {TARGET_IMMEDIATE, TARGET_TIME, TARGET_XID, TARGET_LSN,
                                             TARGET_NAME};
    char value[NAME_MOST_BYTES + 1];

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i] != target->kind && setting_list_add(list, target_name(kinds[i]), "") != 0)
            return -1;
    if (!target_is_set(target))
        return 0;
    target_value(target, value);
    if (setting_list_add(list, target_name(target->kind), value) != 0 ||
        setting_list_add(list, "recovery_target_inclusive", target->exclusive ? "off" : "on") != 0)
        return -1;
    return setting_list_add(list, "recovery_target_action", target->action);
}

static int add_timeline(const struct target *target, struct setting_list *list)
{
    char number[16];

    if (target->timeline_choice == TIMELINE_LATEST)
        return setting_list_add(list, "recovery_target_timeline", "latest");
    if (target->timeline_choice == TIMELINE_CURRENT)
        return setting_list_add(list, "recovery_target_timeline", "current");
    snprintf(number, sizeof number, "%u", target->timeline);
    return setting_list_add(list, "recovery_target_timeline", number);
}

int target_settings(const struct target *target, unsigned major, const char *restore_command,
                    struct setting_list *list)
{
    bool archive_off = target->archive == ARCHIVE_OFF ||
                       (target->archive == ARCHIVE_DEFAULT && target->kind != TARGET_STANDBY);

    if (setting_list_add(list, "restore_command", restore_command) != 0 || add_target(target, list) != 0 ||
        add_timeline(target, list) != 0)
        return -1;
    /* Rule 6: looking ahead it asks for the segment behind the target's, which may be missing. */
    if (target_is_set(target) && major >= 15 && setting_list_add(list, "recovery_prefetch", "off") != 0)
        return -1;
    /* Rule 19: a restored copy would archive into the original's repository. */
    return archive_off ? setting_list_add(list, "archive_mode", "off") : 0;
}
