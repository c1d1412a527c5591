#include "progress.h"

#include "log.h"
#include "timestamp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_MICROSECONDS 500000
#define LOG_MICROSECONDS (30 * 1000000ll)

void progress_init(struct progress *progress, bool wanted)
{
    memset(progress, 0, sizeof *progress);
    progress->is_terminal = isatty(STDERR_FILENO) == 1 && log_shows(LOG_INFO);
    progress->is_wanted = wanted || progress->is_terminal;
}

void progress_begin(struct progress *progress, uint64_t total_bytes)
{
    progress->stage = NULL;
    progress->total_bytes = total_bytes;
    progress->begun = progress->told = monotonic_now();
}

void progress_add(struct progress *progress, uint64_t bytes)
{
    atomic_fetch_add_explicit(&progress->done_bytes, bytes, memory_order_relaxed);
}

void progress_format_bytes(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* "12.3 GiB of 40.0 GiB (30 %), 210.5 MiB/s, 2:11 left" */
static void describe(const struct progress *progress, int64_t now, char *out, size_t out_bytes)
{
    uint64_t done_bytes = atomic_load(&progress->done_bytes);
    /* Files grow while they are read; more than everything would look wrong. */
    uint64_t total_bytes =
        progress->total_bytes != 0 && progress->total_bytes < done_bytes ? done_bytes : progress->total_bytes;
    double seconds = (double)(now - progress->begun) / 1000000;
    double rate = seconds > 0 ? (double)done_bytes / seconds : 0;
    char done[32], total[32], speed[32], part[80] = "", left[48] = "";

    progress_format_bytes(done_bytes, done);
    progress_format_bytes(total_bytes, total);
    progress_format_bytes((uint64_t)rate, speed);
    if (total_bytes > 0)
        snprintf(part, sizeof part, " of %s (%d %%)", total,
                 (int)(100.0 * (double)done_bytes / (double)total_bytes));
    if (total_bytes > 0 && rate > 0) {
        unsigned long rest = (unsigned long)((double)(total_bytes - done_bytes) / rate);
        snprintf(left, sizeof left, ", %lu:%02lu left", rest / 60, rest % 60);
    }
    snprintf(out, out_bytes, "%s%s, %s/s%s", done, part, speed, left);
}

/* The one place beside log.c that writes to standard error: a line that ends with a carriage return, so that
 * the next message begins at the margin. */
static void show(const char *text)
{
    char line[256];
    int length = snprintf(line, sizeof line, "%s\033[K\r", text);
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);
    (void)written;
}

/* "waiting for the checkpoint, 0:42" */
static void describe_stage(const struct progress *progress, int64_t now, char *out, size_t out_bytes)
{
    unsigned long seconds = (unsigned long)((now - progress->stage_begun) / 1000000);

    snprintf(out, out_bytes, "%s, %lu:%02lu", progress->stage, seconds / 60, seconds % 60);
}

void progress_stage(struct progress *progress, const char *stage)
{
    char text[200];

    progress_end(progress);
    progress->stage = stage;
    progress->stage_begun = progress->told = monotonic_now();
    if (stage != NULL && progress->is_terminal) {
        describe_stage(progress, progress->told, text, sizeof text);
        show(text);
    }
}

void progress_tick(struct progress *progress)
{
    int64_t now = monotonic_now();
    char text[200];

    if (!progress->is_wanted ||
        now - progress->told < (progress->is_terminal ? TERMINAL_MICROSECONDS : LOG_MICROSECONDS))
        return;
    progress->told = now;
    if (progress->stage != NULL)
        describe_stage(progress, now, text, sizeof text);
    else
        describe(progress, now, text, sizeof text);
    if (progress->is_terminal)
        show(text);
    else
        log_info("%s", text);
}

void progress_end(struct progress *progress)
{
    if (progress->is_terminal && progress->told != 0)
        show("");
}
