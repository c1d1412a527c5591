/* The examination of one repository: each step says in a line what works and what does not. */
#ifndef WALFERRY_REPOSITORY_CHECK_H
#define WALFERRY_REPOSITORY_CHECK_H

#include "common/repository.h"

#include <stdbool.h>

struct check {
    struct repository *repository;
    unsigned failures;              /* of what is needed */
    bool keeps_versions;            /* from check_writing on */
    enum store_condition condition; /* from check_writing on */
};

enum finding {
    FINDING_OK,
    FINDING_NOTE,
    FINDING_FAILURE
}; /* a note is nothing that a backup or a recovery needs */

/* One line on standard output; a failure is counted. */
void check_say(struct check *check, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Can the store be reached, and does it know us? False: there is no use in going on with this repository. */
bool check_contact(struct check *check);

/* Write, overwrite, read, ranges, list, versions, a large object, delete. Removes what it made, or names it.
 */
void check_objects(struct check *check);

#endif
