/* The directory of what is read ahead: names, locks, what is kept and what is dropped. */
#include "unit.h"

#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "wal-fetch/ahead_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT_BYTES (1024u * 1024)
#define OWN "ahead-0123456789abcdef"

static char state[] = "/tmp/walferry-test-ahead.XXXXXX";
static struct ahead_owner owner = {1, 1, state};

static const char *segment(uint32_t timeline, uint64_t number)
{
    static char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(timeline, number, SEGMENT_BYTES, name);
    return name;
}

static void put(int directory, const char *name, const void *hash)
{
    bool is_taken;
    int part = ahead_part_begin(directory, name, &is_taken);

    CHECK(part >= 0 && !is_taken);
    CHECK(write(part, "x", 1) == 1);
    CHECK(ahead_part_finish(directory, name, hash));
    close(part);
}

static bool has(int directory, const char *name)
{
    struct ahead_file file;

    return ahead_file_find(directory, name, &file);
}

static void test_position(int directory)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    CHECK(!ahead_position_read(directory, name));
    CHECK(ahead_position_write(directory, segment(1, 5), &owner));
    CHECK(ahead_position_read(directory, name));
    CHECK_TEXT(name, "000000010000000000000005");
    CHECK(ahead_position_write(directory, segment(2, 0x1234), &owner));
    CHECK(ahead_position_read(directory, name));
    CHECK_TEXT(name, "000000020000000100000234");
    ahead_position_forget(directory);
    CHECK(!ahead_position_read(directory, name));
    static const char *const bad[] = {"",
                                      "x",
                                      "00000001000000000000000\n",
                                      "000000010000000000000005",
                                      "000000010000000000000005x\n",
                                      "00000001000000000000000g\n1 1\n/\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd = openat(directory, "position", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        CHECK(write(fd, bad[i], strlen(bad[i])) == (ssize_t)strlen(bad[i]));
        close(fd);
        CHECK(!ahead_position_read(directory, name));
    }
    ahead_position_forget(directory);
}

static void test_segments(int directory)
{
    unsigned char hash[CHECKSUM_BYTES];
    struct ahead_file file;

    memset(hash, 0xab, sizeof hash);
    for (uint64_t number = 3; number <= 9; number++)
        put(directory, segment(1, number), hash);
    put(directory, segment(2, 5), hash);
    CHECK(ahead_file_find(directory, segment(1, 5), &file));
    CHECK(memcmp(file.checksum, hash, sizeof hash) == 0 && strlen(file.name) == 24 + 1 + 32);
    CHECK(strncmp(file.name, segment(1, 5), 24) == 0);
    CHECK(!has(directory, segment(1, 2)));
    ahead_file_keep(directory, SEGMENT_BYTES, 1, 5, 7);
    for (uint64_t number = 3; number <= 9; number++)
        CHECK(has(directory, segment(1, number)) == (number >= 5 && number <= 7));
    CHECK(!has(directory, segment(2, 5)));
    ahead_file_keep(directory, SEGMENT_BYTES, 1, 0, 0);
    CHECK(!has(directory, segment(1, 5)));
}

/* Another process has the segment in hand for so long. */
static pid_t hold(int directory, const char *name, unsigned milliseconds, bool finishes)
{
    static const unsigned char hash[CHECKSUM_BYTES];
    pid_t pid = fork();
    bool is_taken;

    if (pid == 0) {
        int part = ahead_part_begin(directory, name, &is_taken);
        usleep(milliseconds * 1000);
        if (finishes)
            ahead_part_finish(directory, name, hash);
        _exit(part < 0);
    }
    for (int i = 0; i < 1000; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/" OWN "/%s.part", state, name);
        if (file_exists(path))
            break;
        usleep(1000);
    }
    return pid;
}

static void test_parts(int directory)
{
    const char *name = segment(1, 5);
    bool is_taken;
    int status;

    CHECK(ahead_part_wait(directory, name, monotonic_now()) == AHEAD_NONE);
    pid_t pid = hold(directory, name, 300, true);
    CHECK(ahead_part_begin(directory, name, &is_taken) < 0 && is_taken);
    CHECK(ahead_part_wait(directory, name, monotonic_now() + 20000) == AHEAD_LATE);
    CHECK(ahead_part_wait(directory, name, monotonic_now() + 20000000) == AHEAD_AGAIN);
    CHECK(has(directory, name));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    ahead_file_keep(directory, SEGMENT_BYTES, 1, 0, 0);

    pid = hold(directory, name, 0, false); /* killed in the middle: its part stays, without a lock */
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(ahead_part_wait(directory, name, monotonic_now() + 20000000) == AHEAD_AGAIN);
    CHECK(ahead_part_wait(directory, name, monotonic_now() + 20000000) == AHEAD_NONE);
    pid = hold(directory, name, 0, false);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    int part = ahead_part_begin(directory, name, &is_taken);
    CHECK(part >= 0 && !is_taken);
    ahead_part_give_up(directory, name);
    close(part);
    CHECK(ahead_part_wait(directory, name, monotonic_now()) == AHEAD_NONE);

    /* its directory was cleared under it: what has no name gets none */
    part = ahead_part_begin(directory, name, &is_taken);
    CHECK(part >= 0);
    ahead_part_give_up(directory, name);
    CHECK(!ahead_part_finish(directory, name, (const unsigned char *)"0123456789abcdef"));
    CHECK(!has(directory, name) && ahead_part_wait(directory, name, monotonic_now()) == AHEAD_NONE);
    close(part);
}

static void test_dropping(int directory)
{
    static const unsigned char hash[CHECKSUM_BYTES];
    char path[200];

    put(directory, segment(1, 5), hash);
    int lock = ahead_lock(directory);
    CHECK(lock >= 0);
    CHECK(ahead_lock(directory) < 0);
    ahead_directory_drop(state, OWN);
    CHECK(has(directory, segment(1, 5))); /* somebody is at work there */
    close(lock);
    snprintf(path, sizeof path, "%s/" OWN "/stranger", state);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    ahead_directory_drop(state, OWN);
    CHECK(!has(directory, segment(1, 5)));
    CHECK(file_exists(path)); /* not ours: neither it nor its directory goes */
    CHECK(unlink(path) == 0);
    ahead_directory_drop(state, OWN);
    CHECK(ahead_directory_open(state, OWN, false) < 0);
}

static int make(const char *name, const struct ahead_owner *whose)
{
    int directory = ahead_directory_open(state, name, true);

    CHECK(directory >= 0);
    CHECK(whose == NULL || ahead_position_write(directory, segment(1, 1), whose));
    return directory;
}

static bool is_there(const char *name)
{
    int directory = ahead_directory_open(state, name, false);

    if (directory >= 0)
        close(directory);
    return directory >= 0;
}

/* A new one drops those whose server does not run any more, or is not known. */
static void test_leftovers(void)
{
    struct ahead_owner living = {getpid(), 1700000000, state}, ended = {getpid(), 1700000001, state};
    char path[200], text[100];

    snprintf(path, sizeof path, "%s/postmaster.pid", state);
    int length =
        snprintf(text, sizeof text, "%" PRId64 "\n%s\n%d\n", living.postmaster_pid, "/x", 1700000000);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    CHECK(write(fd, text, (size_t)length) == length);
    close(fd);
    close(make("ahead-000000000000000a", &living));
    int locked = make("ahead-000000000000000b", NULL), lock = ahead_lock(locked);
    close(make("ahead-000000000000000c", &ended));
    close(make("ahead-000000000000000d", NULL));
    snprintf(path, sizeof path, "%s/ahead-link", state);
    CHECK(symlink("/tmp", path) == 0);
    close(make(OWN, NULL));
    CHECK(is_there("ahead-000000000000000a") && is_there("ahead-000000000000000b"));
    CHECK(!is_there("ahead-000000000000000c") && !is_there("ahead-000000000000000d"));
    CHECK(file_exists(path) && !is_there("ahead-link"));
    close(lock);
    close(locked);
}

/* Another user's is not ours, nor one where nothing can be made. */
static void test_others(void)
{
    if (geteuid() != 0)
        CHECK(ahead_directory_open("/", "usr", false) < 0);
    CHECK(ahead_directory_open(state, "ahead-missing/" OWN, true) < 0);
}

int main(void)
{
    log_set_threshold(LOG_ERROR);
    if (mkdtemp(state) == NULL)
        return 1;
    int directory = ahead_directory_open(state, OWN, true);
    CHECK(directory >= 0 && ahead_directory_open(state, "ahead-fedcba9876543210", false) < 0);
    test_position(directory);
    test_segments(directory);
    test_parts(directory);
    test_dropping(directory);
    close(directory);
    test_leftovers();
    test_others();
    unit_remove_tree(state);
    return unit_done("ahead");
}
