#include "metrics.h"

#include "common/file.h"
#include "common/options.h"
#include "metric_values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LABELS_MOST 4

/* What is written, and whether anything failed: then nothing more is. */
struct writer {
    const struct picture *picture;
    struct buffer *out;
    bool has_failed;
};

struct label {
    const char *name, *value;
};

int metrics_append_label_value(struct buffer *out, const char *value)
{
    int result = buffer_append_string(out, "\"");

    for (; result == 0 && *value != '\0'; value++)
        switch (*value) {
        case '\\':
        case '"':
            result = buffer_printf(out, "\\%c", *value);
            break;
        case '\n':
            result = buffer_append_string(out, "\\n");
            break;
        default:
            result = buffer_append(out, value, 1);
        }
    return result == 0 ? buffer_append_string(out, "\"") : -1;
}

static void begin(struct writer *writer, const char *name, const char *help)
{
    size_t length = strlen(name);
    bool is_counter = length > 6 && strcmp(name + length - 6, "_total") == 0;

    if (!writer->has_failed && buffer_printf(writer->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                                             is_counter ? "counter" : "gauge") != 0)
        writer->has_failed = true;
}

/* labels behind cluster, up to one without a name. */
static int append_sample(const struct writer *writer, const char *name, const struct label *labels,
                         double value)
{
    if (buffer_printf(writer->out, "%s{cluster=", name) != 0 ||
        metrics_append_label_value(writer->out, writer->picture->config->cluster_name) != 0)
        return -1;
    for (; labels->name != NULL; labels++)
        if (buffer_printf(writer->out, ",%s=", labels->name) != 0 ||
            metrics_append_label_value(writer->out, labels->value) != 0)
            return -1;
    return buffer_printf(writer->out, "} %.16g\n", value);
}

static void sample(struct writer *writer, const char *name, const struct label *labels, double value)
{
    if (!writer->has_failed && !isnan(value) && append_sample(writer, name, labels, value) != 0)
        writer->has_failed = true;
}

/* One value of each */

static void write_of_cluster(struct writer *writer)
{
    const struct label none[] = {{NULL, NULL}}, version[] = {{"version", WALFERRY_VERSION}, {NULL, NULL}};

    begin(writer, "walferry_build_info", "The version of walferry-status.");
    sample(writer, "walferry_build_info", version, 1);
    for (const struct cluster_metric *metric = cluster_metrics; metric->name != NULL; metric++) {
        begin(writer, metric->name, metric->help);
        sample(writer, metric->name, none, metric->value(writer->picture));
    }
}

static void write_of_repositories(struct writer *writer)
{
    for (const struct repository_metric *metric = repository_metrics; metric->name != NULL; metric++) {
        begin(writer, metric->name, metric->help);
        for (size_t i = 0; i < writer->picture->repository_count; i++) {
            const struct picture_repository *repository = &writer->picture->repositories[i];
            const struct label labels[] = {{"repository", repository->settings->name}, {NULL, NULL}};
            if (repository_knows(repository, metric->needs))
                sample(writer, metric->name, labels, metric->value(repository));
        }
    }
}

static void write_of_runs(struct writer *writer)
{
    for (const struct run_metric *metric = run_metrics; metric->name != NULL; metric++) {
        begin(writer, metric->name, metric->help);
        for (size_t i = 0; i < writer->picture->run_count; i++) {
            const struct picture_run *run = &writer->picture->runs[i];
            const struct label labels[] = {{"program", run->program}, {NULL, NULL}};
            if (picture_last_run(run) != NULL)
                sample(writer, metric->name, labels, metric->value(run));
        }
    }
}

/* Several values of each */

static double has_problem(const struct picture *picture, enum problem_kind kind,
                          const struct picture_repository *repository)
{
    for (size_t i = 0; i < picture->problem_count; i++)
        if (picture->problems[i].kind == kind &&
            (repository == NULL || picture->problems[i].repository == repository))
            return 1;
    return 0;
}

static void write_problems(struct writer *writer)
{
    begin(writer, "walferry_problem", "1: there is such a problem, in whatever repository.");
    for (int kind = 0; kind < PROBLEM_KINDS; kind++) {
        const struct label labels[] = {{"kind", problem_kind_name((enum problem_kind)kind)}, {NULL, NULL}};
        sample(writer, "walferry_problem", labels,
               has_problem(writer->picture, (enum problem_kind)kind, NULL));
    }
}

/* To know that there is no such problem. */
static enum metric_needs needs_of(enum problem_kind kind)
{
    switch (kind) {
    case PROBLEM_UNREACHABLE:
        return NEEDS_NOTHING;
    case PROBLEM_NOT_RECOVERABLE:
    case PROBLEM_INCOMPLETE_BACKUP:
    case PROBLEM_HOLE:
    case PROBLEM_LAGGING:
        return NEEDS_WAL;
    case PROBLEM_DAMAGED:
    case PROBLEM_VERIFICATION_OLD:
    case PROBLEM_DRILL_FAILED:
        return NEEDS_PROOF;
    default:
        return NEEDS_ACCESS;
    }
}

static void write_repository_problems(struct writer *writer)
{
    begin(writer, "walferry_repository_problem", "1: the repository has such a problem.");
    for (size_t i = 0; i < writer->picture->repository_count; i++) {
        const struct picture_repository *repository = &writer->picture->repositories[i];
        for (int kind = 0; kind < PROBLEM_KINDS; kind++) {
            const struct label labels[] = {{"repository", repository->settings->name},
                                           {"kind", problem_kind_name((enum problem_kind)kind)},
                                           {NULL, NULL}};
            if (problem_is_of_repository((enum problem_kind)kind) &&
                (repository_knows(repository, needs_of((enum problem_kind)kind)) ||
                 has_problem(writer->picture, (enum problem_kind)kind, repository) != 0))
                sample(writer, "walferry_repository_problem", labels,
                       has_problem(writer->picture, (enum problem_kind)kind, repository));
        }
    }
}

static void write_failures(struct writer *writer)
{
    begin(writer, "walferry_run_failures_total", "Failed runs, by the kind of the first error.");
    for (size_t i = 0; i < writer->picture->run_count; i++) {
        const struct picture_run *run = &writer->picture->runs[i];
        for (size_t k = 0; k < run->note.kind_count; k++) {
            const struct label labels[] = {
                {"program", run->program}, {"kind", run->note.kinds[k].kind}, {NULL, NULL}};
            sample(writer, "walferry_run_failures_total", labels, (double)run->note.kinds[k].count);
        }
    }
}

int metrics_write(const struct picture *picture, struct buffer *out)
{
    struct writer writer = {picture, out, false};

    write_of_cluster(&writer);
    write_problems(&writer);
    write_repository_problems(&writer);
    write_of_repositories(&writer);
    write_of_runs(&writer);
    write_failures(&writer);
    return writer.has_failed ? -1 : 0;
}

int metrics_to_file(const struct picture *picture, const char *path)
{
    struct buffer text = BUFFER_EMPTY;
    int result = metrics_write(picture, &text);

    if (result == 0 && strcmp(path, "-") == 0)
        fwrite(text.data, 1, text.length, stdout); /* result_flush tells of a failure */
    else if (result == 0)
        result = file_replace(path, text.data, text.length, 0644);
    buffer_free(&text);
    return result;
}
