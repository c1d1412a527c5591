#include "wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_hex(const char *text, size_t digits, uint32_t *value)
{
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9')
            *value = *value << 4 | (uint32_t)(c - '0');
        else if (c >= 'A' && c <= 'F')
            *value = *value << 4 | (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    return true;
}

/* ".1234abcd" */
static bool is_hash_suffix(const char *text)
{
    return text[0] == '.' && strlen(text) == 9 && strspn(text + 1, "0123456789abcdef") == 8;
}

struct wal_name wal_name_parse(const char *name)
{
    struct wal_name parsed = {WAL_NOT, 0, 0, 0};
    const struct wal_name none = parsed;
    uint32_t offset;

    if (strlen(name) == 16 && parse_hex(name, 8, &parsed.timeline) && strcmp(name + 8, ".history") == 0)
        parsed.kind = WAL_HISTORY;
    else if (strlen(name) < 24 || !parse_hex(name, 8, &parsed.timeline) ||
             !parse_hex(name + 8, 8, &parsed.log) || !parse_hex(name + 16, 8, &parsed.segment))
        return none;
    else if (name[24] == '\0')
        parsed.kind = WAL_SEGMENT;
    else if (strncmp(name + 24, ".partial", 8) == 0 && (name[32] == '\0' || is_hash_suffix(name + 32)))
        parsed.kind = WAL_PARTIAL;
    else if (strlen(name) == 40 && name[24] == '.' && parse_hex(name + 25, 8, &offset) &&
             strcmp(name + 33, ".backup") == 0)
        parsed.kind = WAL_BACKUP;
    return parsed.kind == WAL_NOT || parsed.timeline == 0 ? none : parsed;
}

const char *wal_kind_name(enum wal_kind kind)
{
    switch (kind) {
    case WAL_SEGMENT:
        return "segment";
    case WAL_PARTIAL:
        return "partial";
    case WAL_HISTORY:
        return "history";
    case WAL_BACKUP:
        return "backup";
    case WAL_NOT:
        break;
    }
    return "unknown";
}

bool wal_segment_size_is_legal(uint64_t bytes)
{
    return bytes >= WAL_SEGMENT_LEAST_BYTES && bytes <= WAL_SEGMENT_MOST_BYTES && (bytes & (bytes - 1)) == 0;
}

uint64_t wal_segments_per_log(uint32_t segment_bytes)
{
    return 0x100000000u / segment_bytes;
}

bool wal_segment_number(const struct wal_name *name, uint32_t segment_bytes, uint64_t *number)
{
    uint64_t per_log = wal_segments_per_log(segment_bytes);

    if (name->segment >= per_log)
        return false;
    *number = name->log * per_log + name->segment;
    return true;
}

void wal_segment_name(uint32_t timeline, uint64_t number, uint32_t segment_bytes,
                      char out[WAL_SEGMENT_NAME_BYTES])
{
    uint64_t per_log = wal_segments_per_log(segment_bytes);

    snprintf(out, WAL_SEGMENT_NAME_BYTES, "%08X%08X%08X", timeline, (uint32_t)(number / per_log),
             (uint32_t)(number % per_log));
}

void wal_history_name(uint32_t timeline, char out[WAL_SEGMENT_NAME_BYTES])
{
    snprintf(out, WAL_SEGMENT_NAME_BYTES, "%08X.history", timeline);
}

bool wal_gap_name_parse(const char *name, char first[WAL_SEGMENT_NAME_BYTES],
                        char last[WAL_SEGMENT_NAME_BYTES])
{
    const size_t digits = WAL_SEGMENT_NAME_BYTES - 1;

    if (strlen(name) != WAL_GAP_NAME_BYTES - 1 || name[digits] != '-' ||
        strcmp(name + 2 * digits + 1, ".gap") != 0)
        return false;
    snprintf(first, WAL_SEGMENT_NAME_BYTES, "%.24s", name);
    snprintf(last, WAL_SEGMENT_NAME_BYTES, "%.24s", name + digits + 1);
    return wal_name_parse(first).kind == WAL_SEGMENT && wal_name_parse(last).kind == WAL_SEGMENT &&
           memcmp(first, last, WAL_GAP_COMMON) == 0 && strcmp(first, last) <= 0;
}

bool wal_points_name_parse(const char *name, char segment[WAL_SEGMENT_NAME_BYTES])
{
    if (strlen(name) != WAL_POINTS_NAME_BYTES - 1 || !is_hash_suffix(name + WAL_SEGMENT_NAME_BYTES - 1))
        return false;
    snprintf(segment, WAL_SEGMENT_NAME_BYTES, "%.24s", name);
    return wal_name_parse(segment).kind == WAL_SEGMENT;
}

/* Up to 8 hex digits of either case, then end. */
static bool parse_lsn_half(const char *text, char end, uint32_t *value, const char **next)
{
    char digits[9];
    char *rest;
    size_t length = strspn(text, "0123456789abcdefABCDEF");

    if (length == 0 || length > 8 || text[length] != end)
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    *value = (uint32_t)strtoul(digits, &rest, 16);
    *next = text + length + 1;
    return *rest == '\0';
}

bool lsn_parse(const char *text, uint64_t *lsn)
{
    uint32_t high, low;
    const char *rest;

    if (!parse_lsn_half(text, '/', &high, &rest) || !parse_lsn_half(rest, '\0', &low, &rest))
        return false;
    *lsn = (uint64_t)high << 32 | low;
    return true;
}

void lsn_format(uint64_t lsn, char out[24])
{
    snprintf(out, 24, "%X/%X", (uint32_t)(lsn >> 32), (uint32_t)lsn);
}

/* PostgreSQL writes in the machine's byte order; WAL of another byte order is another system's and is found
 * by its sizes. */
#define LONG_HEADER 0x0002

bool wal_page_parse(const void *first_page, size_t length, struct wal_page *page)
{
    const unsigned char *bytes = first_page;
    uint16_t info;

    if (length < WAL_LONG_HEADER_BYTES)
        return false;
    memcpy(&page->magic, bytes, 2);
    memcpy(&info, bytes + 2, 2);
    memcpy(&page->timeline, bytes + 4, 4);
    memcpy(&page->address, bytes + 8, 8);
    memcpy(&page->system_identifier, bytes + 24, 8);
    memcpy(&page->segment_bytes, bytes + 32, 4);
    memcpy(&page->block_bytes, bytes + 36, 4);
    return page->magic != 0 && (info & LONG_HEADER) != 0 && wal_segment_size_is_legal(page->segment_bytes) &&
           page->block_bytes >= 1024 && page->block_bytes <= 65536 &&
           (page->block_bytes & (page->block_bytes - 1)) == 0 && page->system_identifier != 0 &&
           page->timeline != 0;
}

unsigned wal_magic_version(uint16_t magic)
{
    switch (magic) { /* XLOG_PAGE_MAGIC of xlog_internal.h */
    case 0xD106:
        return 13;
    case 0xD10D:
        return 14;
    case 0xD110:
        return 15;
    case 0xD113:
        return 16;
    case 0xD116:
        return 17;
    case 0xD118:
        return 18;
    case 0xD122:
        return 19;
    }
    return 0;
}

struct parsing {
    struct timeline_history *history;
    const char *problem;
};

static int add_ancestor(struct parsing *parsing, uint32_t timeline, uint64_t lsn)
{
    struct timeline_history *history = parsing->history;
    struct timeline_switch *last = history->count == 0 ? NULL : &history->ancestors[history->count - 1];

    if (timeline == 0 || timeline >= history->timeline) {
        parsing->problem = "it names a timeline that is not before its own";
        return -1;
    }
    if (last != NULL && timeline <= last->timeline) {
        parsing->problem = "its timelines are not in ascending order";
        return -1;
    }
    struct timeline_switch *grown = realloc(history->ancestors, (history->count + 1) * sizeof *grown);
    if (grown == NULL) {
        parsing->problem = "out of memory";
        return -1;
    }
    history->ancestors = grown;
    grown[history->count++] = (struct timeline_switch){timeline, lsn};
    return 0;
}

/* "2<tab>0/3000000<tab>reason"; blank lines and those that begin with # are passed over, as PostgreSQL does.
 */
static int parse_line(struct parsing *parsing, const char *line)
{
    char lsn_text[24], *end;
    uint64_t lsn;

    line += strspn(line, " \t\r");
    if (*line == '\0' || *line == '#')
        return 0;
    unsigned long timeline = strtoul(line, &end, 10);
    const char *field = end + strspn(end, " \t");
    size_t length = strcspn(field, " \t\r");
    if (end == line || field == end || timeline > UINT32_MAX || length >= sizeof lsn_text) {
        parsing->problem = "a line is not of the form: timeline, LSN, reason";
        return -1;
    }
    memcpy(lsn_text, field, length);
    lsn_text[length] = '\0';
    if (!lsn_parse(lsn_text, &lsn)) {
        parsing->problem = "a line has no LSN";
        return -1;
    }
    return add_ancestor(parsing, (uint32_t)timeline, lsn);
}

/* A recovery that follows timeline 2 to a point before the fork of 1 and 2 writes: 1 was left at the fork, 2
 * at that point. What the next timeline took over ends there for both. */
static void cut_at_later_forks(struct timeline_history *history)
{
    for (size_t i = history->count; i-- > 1;) {
        struct timeline_switch *before = &history->ancestors[i - 1];
        if (before->lsn > history->ancestors[i].lsn)
            before->lsn = history->ancestors[i].lsn;
    }
}

int timeline_history_parse(uint32_t timeline, const char *text, size_t length,
                           struct timeline_history *history, const char **problem)
{
    char line[1024];

    *history = (struct timeline_history){.timeline = timeline};
    struct parsing parsing = {history, NULL};
    while (length > 0 && parsing.problem == NULL) {
        const char *end = memchr(text, '\n', length);
        size_t line_bytes = end == NULL ? length : (size_t)(end - text);
        size_t kept =
            line_bytes < sizeof line - 1 ? line_bytes : sizeof line - 1; /* only the reason can be so long */
        memcpy(line, text, kept);
        line[kept] = '\0';
        if (strlen(line) != kept)
            parsing.problem = "it holds a zero byte";
        else
            parse_line(&parsing, line);
        size_t step = line_bytes + (end != NULL);
        text += step;
        length -= step;
    }
    if (parsing.problem == NULL && history->count == 0)
        parsing.problem = "it names no timeline";
    if (parsing.problem == NULL) {
        cut_at_later_forks(history);
        return 0;
    }
    timeline_history_free(history);
    *problem = parsing.problem;
    return -1;
}

void timeline_history_free(struct timeline_history *history)
{
    if (history == NULL)
        return;
    free(history->ancestors);
    history->ancestors = NULL;
    history->count = 0;
}

bool timeline_history_find(const struct timeline_history *history, uint32_t timeline, uint64_t *end)
{
    if (timeline == history->timeline) {
        *end = UINT64_MAX;
        return true;
    }
    for (size_t i = 0; i < history->count; i++) {
        if (history->ancestors[i].timeline == timeline) {
            *end = history->ancestors[i].lsn;
            return true;
        }
    }
    return false;
}
