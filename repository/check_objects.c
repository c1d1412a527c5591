/* What can be done with objects in this place: tried out, with objects that nobody else knows of. */
#include "check.h"

#include "probe.h"

#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEBIBYTE (1024u * 1024)
/* More than one part of 16 MiB, so that it takes a multipart upload. */
#define LARGE_SECONDS 30 /* for one part */
#define LARGE_BYTES (16u * MEBIBYTE + 1000)

static double milliseconds_since(int64_t began)
{
    return (double)(monotonic_now() - began) / 1000;
}

/* --- writing
 * ------------------------------------------------------------------------------------------------------ */

static void say_condition(struct check *check)
{
    const char *versions =
        check->keeps_versions ? "; the bucket keeps versions, so the earlier content stays" : "";

    switch (check->condition) {
    case STORE_CONDITION_HONOURED:
        check_say(check, FINDING_OK,
                  "an object that is there cannot be overwritten (If-None-Match is honoured)");
        break;
    case STORE_CONDITION_IGNORED:
        check_say(check, FINDING_NOTE, "If-None-Match is ignored: an overwrite is detected, not prevented%s",
                  versions);
        break;
    default:
        check_say(check, FINDING_NOTE, "If-None-Match is refused: an overwrite is detected, not prevented%s",
                  versions);
        break;
    }
    if (check->repository->settings->kind == REPOSITORY_S3)
        check_say(check, FINDING_OK,
                  check->keeps_versions ? "the bucket keeps versions" : "the bucket keeps no versions");
}

static bool check_writing(struct check *check, struct probe *probe)
{
    if (probe_condition(check->repository, probe, &check->condition, &check->keeps_versions) != 0) {
        check_say(check, FINDING_FAILURE,
                  "writing does not work: wal-push and basebackup-push cannot store anything here");
        return false;
    }
    check_say(check, FINDING_OK, "writing works");
    if (check->repository->settings->kind == REPOSITORY_S3)
        say_condition(check);
    else if (check->condition == STORE_CONDITION_HONOURED)
        check_say(check, FINDING_OK, "an object that is there cannot be overwritten");
    else
        check_say(check, FINDING_FAILURE,
                  "an object that is there can be overwritten: this file system will not do");
    return true;
}

/* --- reading
 * ------------------------------------------------------------------------------------------------------ */

static bool got(struct check *check, const char *key, const struct store_range *range, const char *expected,
                size_t total)
{
    struct buffer out = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&out);
    struct store_object object = {0};
    bool same = store_get(check->repository->store, key, range, &sink, &object) == STORE_OK &&
                strcmp(buffer_string(&out), expected) == 0 && object.total_bytes == total;

    buffer_free(&out);
    return same;
}

static void check_reading(struct check *check, const struct probe *probe)
{
    /* where the condition was not honoured the second PUT won */
    const char *text = probe->text[probe->puts - 1];
    size_t length = strlen(text);
    const struct store_range middle = {8, 5, 0}, tail = {0, 0, 10}, long_tail = {0, 0, 1024};
    char part[6] = "";

    if (!got(check, probe->key, NULL, text, length)) {
        check_say(check, FINDING_FAILURE, "reading does not work: what was written does not come back");
        return;
    }
    memcpy(part, text + 8, 5);
    if (got(check, probe->key, &middle, part, length) &&
        got(check, probe->key, &tail, text + length - 10, length) &&
        got(check, probe->key, &long_tail, text, length))
        check_say(check, FINDING_OK, "reading works, also of a part and of the end of an object");
    else
        check_say(check, FINDING_FAILURE,
                  "reading a part or the end of an object does not work (header Range)");
}

struct search {
    const char *key;
    bool found;
};

static bool look_at_key(void *context, const char *key, uint64_t bytes)
{
    struct search *search = context;

    (void)bytes;
    search->found = strcmp(key, search->key) == 0;
    return !search->found;
}

static void check_listing(struct check *check, const struct probe *probe)
{
    struct search search = {probe->key, false};
    const struct store_listing listing = {probe->key, NULL, 10, look_at_key, &search};

    if (store_list(check->repository->store, &listing) == STORE_OK && search.found)
        check_say(check, FINDING_OK, "listing works");
    else
        check_say(check, FINDING_FAILURE,
                  "listing does not work: basebackup-list and every recovery need it (s3:ListBucket)");
}

static bool look_at_any(void *context, const char *key, uint64_t bytes)
{
    (void)context;
    (void)key;
    (void)bytes;
    return false;
}

void check_listing_alone(struct check *check)
{
    const struct store_listing listing = {"", NULL, 1, look_at_any, NULL};

    if (store_list(check->repository->store, &listing) == STORE_OK)
        check_say(check, FINDING_OK, "listing works");
    else
        check_say(check, FINDING_FAILURE,
                  "listing does not work: basebackup-list and every recovery need it (s3:ListBucket)");
}

static bool count_version(void *context, const struct store_version *version)
{
    (void)version;
    ++*(unsigned *)context;
    return true;
}

static void check_versions(struct check *check, const struct probe *probe)
{
    unsigned count = 0;

    if (!check->keeps_versions)
        return;
    if (store_versions(check->repository->store, probe->key, count_version, &count) == STORE_OK &&
        count == probe->puts)
        check_say(check, FINDING_OK, "the versions of an object can be listed");
    else
        check_say(check, check->condition == STORE_CONDITION_HONOURED ? FINDING_NOTE : FINDING_FAILURE,
                  "the versions of an object cannot be listed (s3:ListBucketVersions): overwriting is not "
                  "detected");
}

static void check_latency(struct check *check)
{
    struct store *store = check->repository->store;
    struct probe probe;
    struct store_object object = {0};
    struct body body = {.fd = -1};
    struct buffer out = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&out);
    int64_t began;
    bool good = false;

    if (probe_begin(check->repository, &probe) != 0) {
        check->failures++;
        return;
    }
    body.data = probe.text[0];
    body.length = strlen(probe.text[0]);
    if (sha256_of(body.data, body.length, body.sha256) == 0) {
        began = monotonic_now();
        enum store_result result = store_put_absent(store, probe.key, &body, check->condition, &object);
        if (result == STORE_OK || result == STORE_EXISTS) { /* by an earlier try, whose answer was lost */
            double put = milliseconds_since(began);

            memcpy(probe.version[probe.puts++], object.version_id, sizeof object.version_id);
            began = monotonic_now();
            good = store_get(store, probe.key, NULL, &sink, &object) == STORE_OK;
            if (good)
                check_say(check, FINDING_OK, "a small object takes %.1f ms to put and %.1f ms to get", put,
                          milliseconds_since(began));
        }
    }
    if (!good && probe.puts > 0)
        check_say(check, FINDING_FAILURE, "a small object cannot be got again");
    else if (!good)
        check_say(check, FINDING_FAILURE, "a small object cannot be put. Possibly left behind: \"%s\"",
                  store_describe(store, probe.key));
    buffer_free(&out);
    probe_end(check->repository, &probe);
}

/* --- a large object
 * ------------------------------------------------------------------------------------------------ */

static int upload_zeros(struct store_upload *upload, const unsigned char *zeros)
{
    for (unsigned done = 0; done < LARGE_BYTES;) {
        unsigned now = LARGE_BYTES - done < MEBIBYTE ? LARGE_BYTES - done : MEBIBYTE;

        if (store_upload_write(upload, zeros, now) != 0)
            return -1;
        done += now;
    }
    return 0;
}

/* Where nothing can be deleted the upload is aborted instead of finished: it would stay, and be paid for. */
static void check_upload(struct check *check, bool deletes)
{
    struct store *store = check->repository->store;
    unsigned char *zeros = calloc(1, MEBIBYTE);
    struct store_upload *upload = NULL;
    struct store_object object = {0};
    struct probe probe;
    int64_t began = monotonic_now();
    bool good = false;

    store_set_limits(store, &(struct store_limits){.operation_seconds = LARGE_SECONDS});
    if (zeros == NULL) { /* nothing is known of the store */
        log_out_of_memory();
        check->failures++;
        return;
    }
    if (probe_begin(check->repository, &probe) == 0)
        upload = store_upload_begin(store, probe.key, LARGE_BYTES, check->condition);
    if (upload == NULL || upload_zeros(upload, zeros) != 0) {
        store_upload_abort(upload);
    } else if (!deletes) {
        store_upload_abort(upload);
        good = true;
    } else if (store_upload_finish(upload, &object) == STORE_OK) {
        memcpy(probe.version[probe.puts++], object.version_id, sizeof object.version_id);
        good = true;
    }
    if (good)
        check_say(check, FINDING_OK, "a large object can be sent in parts (%u MiB in %.1f s: %.1f MiB/s)%s",
                  LARGE_BYTES / MEBIBYTE, milliseconds_since(began) / 1000,
                  LARGE_BYTES / (double)MEBIBYTE / (milliseconds_since(began) / 1000),
                  deletes ? "" : "; its end was not tried, since the object could not have been removed");
    else
        check_say(check, FINDING_FAILURE,
                  "a large object cannot be stored in parts: basebackup-push needs it");
    probe_end(check->repository, &probe);
    free(zeros);
}

/* --- all of it
 * ---------------------------------------------------------------------------------------------------- */

static bool check_deleting(struct check *check, struct probe *probe)
{
    char *where = string_copy(store_describe(check->repository->store, probe->key));
    bool gone = probe_end(check->repository, probe);

    if (gone)
        check_say(check, FINDING_OK, "deleting works");
    else
        check_say(check, FINDING_NOTE,
                  "deleting does not work (backups and recoveries do not need it; expiry will). Left behind: "
                  "\"%s\"",
                  where != NULL ? where : "");
    free(where);
    return gone;
}

/* A place where nothing was before is left as it was. */
static void remove_directory(const struct check *check)
{
    const struct repository *repository = check->repository;
    char *path = NULL;

    if (repository->settings->kind == REPOSITORY_FILE)
        path = path_join(repository->settings->path, repository->config->cluster_name);
    if (path != NULL)
        rmdir(path); /* fails where it is not empty, as it should */
    free(path);
}

void check_objects(struct check *check)
{
    struct probe probe;

    if (probe_begin(check->repository, &probe) != 0) {
        check->failures++;
        return;
    }
    if (check_writing(check, &probe)) {
        check_reading(check, &probe);
        check_listing(check, &probe);
        check_versions(check, &probe);
        bool deletes = check_deleting(check, &probe);

        if (deletes) /* each leaves an object */
            check_latency(check);
        check_upload(check, deletes);
    } else {
        probe_end(check->repository, &probe);
    }
    remove_directory(check);
}
