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

struct repository_metric {
    const char *name, *help;
    double (*value)(const struct picture_repository *repository);
    bool also_if_down; /* else it is asked of repositories that are up only */
};
extern const struct repository_metric repository_metrics[];

struct run_metric {
    const char *name, *help;
    double (*value)(const struct picture_run *run); /* of a program that has run */
};
extern const struct run_metric run_metrics[];

#endif
