#include "last_part.h"

#include "common/file.h"
#include "common/timestamp.h"
#include "pg_manifest.h"

#include <string.h>
#include <unistd.h>

static int write_manifest(const struct last_part *last, const struct ship_content *label,
                          const struct ship_content *control, int fd, uint64_t *bytes)
{
    struct pg_manifest_file files[2] = {
        {.path = label->path, .bytes = label->bytes, .modified = label->modified_seconds * 1000000},
        {.path = control->path, .bytes = control->bytes, .modified = control->modified_seconds * 1000000},
    };
    struct pg_manifest_settings settings = {
        .backup_id = last->backup->id,
        .postgresql_version = last->backup->postgresql_version,
        .system_identifier = last->backup->system_identifier,
        .timeline = last->backup->timeline,
        .start_lsn = last->backup->start_lsn,
        .stop_lsn = last->backup->stop_lsn,
        .files = files,
        .file_count = 2,
    };

    if (sha256_of(label->data, (size_t)label->bytes, files[0].sha256) != 0 ||
        sha256_of(control->data, (size_t)control->bytes, files[1].sha256) != 0)
        return -1;
    return pg_manifest_write(&settings, last->catalog, last->lane, fd, bytes);
}

int last_part_ship(const struct last_part *last)
{
    unsigned mode = last->directory->file_mode;
    int64_t now = timestamp_now() / 1000000;
    struct ship_content label = {.series = last->series,
                                 .path = "backup_label",
                                 .mode = mode,
                                 .modified_seconds = now,
                                 .data = last->backup_label,
                                 .bytes = strlen(last->backup_label)};
    struct ship_content manifest = {
        .series = last->series, .path = "backup_manifest", .mode = mode, .modified_seconds = now};
    struct ship_content control = {.series = last->series,
                                   .path = "global/pg_control",
                                   .mode = mode,
                                   .modified_seconds = last->directory->control_modified_seconds,
                                   .data = last->directory->control_bytes,
                                   .bytes = sizeof last->directory->control_bytes};
    struct ship *ship = copy_ship(last->copy);
    int result = -1;

    manifest.fd = file_open_unnamed(last->spool_directory);
    if (manifest.fd < 0)
        return -1;
    part_writer_hold(copy_parts(last->copy));
    if (write_manifest(last, &label, &control, manifest.fd, &manifest.bytes) == 0 &&
        ship_content(ship, &label) == 0 && ship_content(ship, &manifest) == 0 &&
        ship_content(ship, &control) == 0)
        result = part_writer_finish(copy_parts(last->copy));
    close(manifest.fd);
    return result;
}
