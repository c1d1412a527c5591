#include "fetch_report.h"

#include "common/timestamp.h"

void fetch_report_begin(struct result *result, const struct repository *repository,
                        const struct backup *backup, const struct restore_places *places)
{
    char stop_time[TIMESTAMP_TEXT_BYTES], stop_lsn[24];

    timestamp_format_iso_micros(backup->stop_time, stop_time);
    lsn_format(backup->stop_lsn, stop_lsn);
    json_set_string(result->document, "repository", repository->settings->name);
    json_set_string(result->document, "id", backup->id);
    json_set_string(result->document, "stop_lsn", stop_lsn);
    json_set_string(result->document, "stop_time", stop_time);
    json_set_uint(result->document, "page_errors", backup->page_errors);
    json_set_text(result->document, "directory", places->items[0].path);
}

void fetch_report_end(struct result *result, const struct restore_outcome *outcome)
{
    json_set_uint(result->document, "files", outcome->files);
    json_set_uint(result->document, "bytes", outcome->bytes);
    json_set_uint(result->document, "kept_files", outcome->kept_files);
    json_set_uint(result->document, "kept_bytes", outcome->kept_bytes);
    json_set_uint(result->document, "fetched_bytes", outcome->fetched_bytes);
    json_set_uint(result->document, "requests", outcome->requests);
    result_set_rate(result, outcome->bytes);
}
