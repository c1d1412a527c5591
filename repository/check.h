/* The examination of one repository: each step says in a line what works and what does not. */
#ifndef WALFERRY_REPOSITORY_CHECK_H
#define WALFERRY_REPOSITORY_CHECK_H

#include "common/repository.h"

#include <stdbool.h>

/* For one small request with its retries, and for all of them with one repository; sending a large object
 * comes on top. */
#define CHECK_REQUEST_SECONDS 5
#define CHECK_SECONDS 10

struct check {
    struct repository *repository;
    bool reads_only;       /* nothing is tried that would write: --read-only, or as_of */
    int64_t deadline;      /* monotonic; of the small requests */
    struct json *findings; /* an array, where they are wanted as JSON; else NULL, and they are printed */
    unsigned failures;     /* of what is needed */
    bool keeps_versions;   /* from check_writing on */
    enum store_condition condition; /* from check_writing on */
};

enum finding {
    FINDING_OK,
    FINDING_NOTE,
    FINDING_FAILURE
}; /* a note is nothing that a backup or a recovery needs */

/* One line on standard output, or one member of findings; a failure is counted. */
void check_say(struct check *check, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Can the store be reached, and does it know us? False: there is no use in going on with this repository. */
bool check_contact(struct check *check);

/* Only of S3: what the bucket is set to, and what the settings will cost. */
void check_bucket(struct check *check);

/* In place of check_objects where nothing may be written: listing. */
void check_listing_alone(struct check *check);

/* Write, overwrite, read, ranges, list, versions, a large object, delete. Removes what it made, or names it.
 */
void check_objects(struct check *check);

#endif
