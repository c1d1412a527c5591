/* records FILE ROUNDS: what reading a WAL segment's records costs within all that wal-push does on its read
 * of it (reading, SHA-256, LZ4). A line for each round: "SCAN ALL SCAN-INSTRUCTIONS ALL-INSTRUCTIONS", CPU
 * time in nanoseconds and the processor's instructions in this program, 0 where they can't be counted. */
#include "common/object.h"
#include "common/wal_summary.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES (256 * 1024) /* as in wal-push/source.c */

struct cost {
    uint64_t nanoseconds, instructions;
};

static int counter = -1;

static void open_counter(void)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof attributes,
                                         .config = PERF_COUNT_HW_INSTRUCTIONS,
                                         .exclude_kernel = 1,
                                         .exclude_hv = 1};

    counter = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

static struct cost now(void)
{
    struct timespec time;
    uint64_t instructions = 0;

    if (counter < 0 || read(counter, &instructions, sizeof instructions) != sizeof instructions)
        instructions = 0;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (struct cost){(uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec, instructions};
}

static void add(struct cost *sum, struct cost since)
{
    struct cost until = now();

    sum->nanoseconds += until.nanoseconds - since.nanoseconds;
    sum->instructions += until.instructions - since.instructions;
}

/* As wal-push does it. */
static int pack(int fd, struct wal_scan *scan, struct object_writer *writer, struct object_spool *spool,
                struct cost *scanning)
{
    static unsigned char chunk[CHUNK_BYTES];
    struct object_facts facts = {.kind = "segment", .name = "segment", .has_summary = true};
    const struct wal_restore_point *points;
    ssize_t got;
    off_t at = 0;

    if (object_spool_begin(spool, NULL, OBJECT_SPOOL_BYTES, false) != 0 ||
        object_writer_begin(writer, object_spool_sink(spool)) != 0)
        return -1;
    wal_scan_begin(scan);
    for (; (got = pread(fd, chunk, sizeof chunk, at)) > 0; at += got) {
        struct cost since = now();
        wal_scan_feed(scan, chunk, (size_t)got);
        add(scanning, since);
        if (object_writer_write(writer, chunk, (size_t)got) != 0)
            return -1;
    }
    wal_scan_end(scan, &facts.summary, &points);
    if (got < 0 || !facts.summary.is_whole) {
        fprintf(stderr, "records: not all of the segment could be read\n");
        return -1;
    }
    return object_writer_end(writer, &facts);
}

int main(int argc, char **argv)
{
    const struct compression compression = {CODEC_LZ4, 1};
    struct object_writer *writer = object_writer_new(&compression);
    struct object_spool spool = OBJECT_SPOOL_EMPTY;
    struct wal_scan *scan = wal_scan_new();
    int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0 || writer == NULL || scan == NULL) {
        fprintf(stderr, "usage: records FILE ROUNDS\n");
        return 2;
    }
    open_counter();
    for (int round = 0; round <= atoi(argv[2]); round++) { /* the first one warms up */
        struct cost scanning = {0, 0}, all = {0, 0}, since = now();
        if (pack(fd, scan, writer, &spool, &scanning) != 0)
            return 1;
        add(&all, since);
        if (round > 0)
            printf("%llu %llu %llu %llu\n", (unsigned long long)scanning.nanoseconds,
                   (unsigned long long)all.nanoseconds, (unsigned long long)scanning.instructions,
                   (unsigned long long)all.instructions);
    }
    object_writer_free(writer);
    object_spool_free(&spool);
    wal_scan_free(scan);
    close(fd);
    return 0;
}
