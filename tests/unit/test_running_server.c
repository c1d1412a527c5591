/* basebackup-fetch: does a server run in a data directory? */
#include "common/file.h"
#include "common/log.h"
#include "common/running_server.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>

static char base[] = "/tmp/walferry-running-XXXXXX";

static char data[64];

/* memory: the line of its segment. */
static void write_file(long long pid, long long started, const char *memory)
{
    FILE *file = fopen(unit_path("%s/postmaster.pid", data), "w");

    REQUIRE(file != NULL);
    fprintf(file, "%lld\n/data\n%lld\n5432\n/tmp\n\n%s\n", pid, started, memory);
    REQUIRE(fclose(file) == 0);
}

static enum running_server ask(int64_t expected_pid)
{
    int64_t pid;
    enum running_server result = running_server_in(data, &pid);

    CHECK(pid == expected_pid);
    return result;
}

/* A process of no name in particular that works in this directory, until it is ended. */
static pid_t work_in(const char *directory)
{
    int ready[2];
    char byte;

    REQUIRE(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(directory) == 0 && write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    REQUIRE(pid > 0 && close(ready[1]) == 0 && read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void test_names(void)
{
    pid_t inside = work_in(data), outside = work_in(base);

    CHECK(ask(0) == RUNNING_SERVER_NONE); /* a shell may stand there as well */
    write_file(inside, 1790000000, "");
    CHECK(ask(inside) == RUNNING_SERVER_FOUND);
    write_file(-inside, 1790000000, "");
    CHECK(ask(inside) == RUNNING_SERVER_FOUND);
    write_file(outside, 1790000000, "");
    CHECK(ask(outside) != RUNNING_SERVER_FOUND);
    end(inside);
    end(outside);
}

/* A process that is not there: a crash has left the file, or its server is elsewhere. */
static void test_memory(void)
{
    pid_t gone = work_in(base);
    struct stat status;
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC), id = shmget(0x77616c66, 100, IPC_CREAT | 0600);
    enum running_server without = /* all processes are seen from the first PID namespace */
        stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == 0xEFFFFFFC && file_is_on_own_device(fd)
            ? RUNNING_SERVER_NONE
            : RUNNING_SERVER_UNKNOWN;
    long long now = time(NULL);

    end(gone);
    close(fd);
    REQUIRE(id >= 0);
    void *memory = shmat(id, NULL, 0);
    write_file(gone, now - 5, unit_path("%9u %9d", 0x77616c66, id));
    CHECK(ask(gone) == RUNNING_SERVER_FOUND);
    write_file(gone, now - 5, unit_path("%9u %9d", 0x77616c67, id)); /* somebody else's */
    CHECK(ask(gone) == without);
    shmdt(memory);
    write_file(gone, now - 5, unit_path("%9u %9d", 0x77616c66, id));
    CHECK(ask(gone) == RUNNING_SERVER_NONE);
    write_file(gone, now + 100, unit_path("%9u %9d", 0x77616c66, id)); /* an earlier server's */
    CHECK(ask(gone) == without);
    shmctl(id, IPC_RMID, NULL);
    write_file(gone, now - 5, unit_path("%9u %9d", 0x77616c66, id));
    CHECK(ask(gone) == without);
    REQUIRE(truncate(unit_path("%s/postmaster.pid", data), 0) == 0);
    CHECK(ask(0) == RUNNING_SERVER_UNKNOWN);
}

int main(int argc, char **argv)
{
    (void)argv;
    log_open("test_running_server", argc > 1 ? LOG_DEBUG : LOG_ERROR + 1, false);
    REQUIRE(mkdtemp(base) != NULL);
    snprintf(data, sizeof data, "%s/data", base);
    REQUIRE(mkdir(data, 0700) == 0);
    test_names();
    test_memory();
    unit_remove_tree(base);
    return unit_done("test_running_server");
}
