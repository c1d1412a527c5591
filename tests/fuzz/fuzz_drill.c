/* What a drill reads of others: the names of reports, of which one that is taken is written so again or
 * stands for the same; and the log of its server, which tells the same whether it is read at once or as it
 * grows. */
#include "fuzz.h"

#include "common/drill_report.h"
#include "restore-drill/server_log.h"

static void read_log(struct server_log *log, const char *path, const char *text, size_t first, size_t length)
{
    FILE *file = fopen(path, "w");

    FUZZ_CHECK(file != NULL && fwrite(text, 1, first, file) == first && fflush(file) == 0);
    if (first < length)
        server_log_read(log);
    FUZZ_CHECK(fwrite(text + first, 1, length - first, file) == length - first && fclose(file) == 0);
    server_log_read(log);
}

static void check_log(const char *text, size_t length, size_t first)
{
    struct server_log whole, grown;
    char path[64];
    int fd = fuzz_file("", 0, path);

    FUZZ_CHECK(server_log_open(path, &whole) == 0 && server_log_open(path, &grown) == 0);
    read_log(&whole, path, text, length, length);
    read_log(&grown, path, text, first, length);
    FUZZ_CHECK(whole.is_recovering == grown.is_recovering && whole.is_consistent == grown.is_consistent &&
               whole.has_stopped == grown.has_stopped && whole.read == grown.read);
    FUZZ_CHECK(strcmp(whole.stop, grown.stop) == 0 && strcmp(whole.fatal, grown.fatal) == 0);
    FUZZ_CHECK(whole.read <= length);
    server_log_tell(&whole);
    server_log_warn(&whole);
    server_log_close(&whole);
    server_log_close(&grown);
    close(fd);
}

FUZZ_TARGET(drill)
{
    struct fuzz_input input = {data, length};
    size_t first = fuzz_byte(&input) * (size_t)128 + fuzz_byte(&input), taken;
    struct drill_report report, same;
    char name[DRILL_REPORT_NAME_BYTES];

    char *text = fuzz_take(&input, 1, &taken);
    if (drill_report_parse_name(text, &report)) {
        FUZZ_CHECK(backup_id_is_valid(report.backup));
        drill_report_name(&report, name);
        FUZZ_CHECK(drill_report_parse_name(name, &same));
        FUZZ_CHECK(strcmp(report.backup, same.backup) == 0 && report.time == same.time &&
                   report.milliseconds == same.milliseconds && report.is_failed == same.is_failed);
    }
    free(text);
    text = fuzz_take(&input, 0, &taken);
    check_log(text, taken, first < taken ? first : taken);
    free(text);
    return 0;
}
