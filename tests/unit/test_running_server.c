/* basebackup-fetch: does a server run in a data directory? */
#include "basebackup/running_server.h"
#include "common/log.h"
#include "unit.h"

#include <signal.h>
#include <sys/stat.h>

static char base[] = "/tmp/walferry-running-XXXXXX";

static void write_file(long long pid)
{
    FILE *file = fopen(unit_path("%s/data/postmaster.pid", base), "w");

    REQUIRE(file != NULL);
    fprintf(file, "%lld\n/data\n1790000000\n5432\n/tmp\n\n", pid);
    REQUIRE(fclose(file) == 0);
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
    char *data = unit_path("%s/data", base);
    pid_t inside = work_in(data), outside = work_in(base);

    CHECK(running_server_in(data) == 0); /* a shell may stand there as well */
    write_file(inside);
    CHECK(running_server_in(data) == inside);
    write_file(-inside);
    CHECK(running_server_in(data) == inside);
    write_file(outside);
    CHECK(running_server_in(data) == 0);
    end(inside);
    end(outside);
}

int main(int argc, char **argv)
{
    (void)argv;
    log_open("test_running_server", argc > 1 ? LOG_DEBUG : LOG_ERROR + 1, false);
    REQUIRE(mkdtemp(base) != NULL && mkdir(unit_path("%s/data", base), 0700) == 0);
    test_names();
    unit_remove_tree(base);
    return unit_done("test_running_server");
}
