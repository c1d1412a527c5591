/* turns FILE ROUNDS COMMAND...: in each round runs every COMMAND once through a shell, as PostgreSQL does,
 * each time beginning with the next one, and adds a line to FILE for each run: "command round wall user
 * system peak", the command as its number from 0 on, microseconds and KiB. For calls so short that they must
 * be repeated often. */
#include "clock.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

static int run(char *command, int number, long round, FILE *out)
{
    char sh[] = "sh", option[] = "-c";
    char *arguments[] = {sh, option, command, NULL};
    struct rusage usage;
    int status;
    pid_t pid;
    long long begun = clock_now(CLOCK_MONOTONIC);

    if (posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ) != 0 ||
        wait4(pid, &status, 0, &usage) != pid)
        return -1;
    fprintf(out, "%d %ld %lld %lld %lld %ld\n", number, round, clock_now(CLOCK_MONOTONIC) - begun,
            microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss);
    if (status == 0)
        return 0;
    fprintf(stderr, "turns: wait status %d of: %s\n", status, command);
    return -1;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: turns FILE ROUNDS COMMAND...\n");
        return 2;
    }
    FILE *out = fopen(argv[1], "ae");
    long rounds = strtol(argv[2], NULL, 10);
    int count = argc - 3;
    for (long round = 0; out != NULL && round < rounds; round++)
        for (int i = 0; i < count; i++) {
            int number = (int)((i + round) % count);
            if (run(argv[3 + number], number, round, out) != 0)
                return 1;
        }
    return out == NULL || fclose(out) != 0 ? 1 : 0;
}
