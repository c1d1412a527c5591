/* The tables of metrics: name, what it means, and its value in a picture; NAN: not known, no sample. Each
 * ends with an entry without a name. */
#ifndef WALFERRY_METRIC_VALUES_H
#define WALFERRY_METRIC_VALUES_H

#include "picture.h"

struct cluster_metric {
    const char *name, *help;
    double (*value)(const struct picture *picture);
};
extern const struct cluster_metric cluster_metrics[];

/* What must be known of a repository, else it has no sample. */
enum metric_needs { NEEDS_NOTHING, NEEDS_ACCESS, NEEDS_WAL, NEEDS_PROOF, NEEDS_COUNT };
bool repository_knows(const struct picture_repository *repository, enum metric_needs needs);

struct repository_metric {
    const char *name, *help;
    double (*value)(const struct picture_repository *repository);
    enum metric_needs needs;
};
extern const struct repository_metric repository_metrics[];

struct run_metric {
    const char *name, *help;
    double (*value)(const struct picture_run *run); /* of a program that has run */
};
extern const struct run_metric run_metrics[];

#endif
