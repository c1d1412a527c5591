/* archiver DIRECTORY COUNT COMMAND: does with the data directory what PostgreSQL's archiver does, and nothing
 * else, until COUNT files are archived: of what archive_status names as .ready the lowest first, 64 a look;
 * COMMAND with %p and %f through a shell; .ready becomes .done when it ends with 0. After three failures of
 * one file it gives up. */
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_DIRECTORY "pg_wal/archive_status"
#define NAME_LENGTH 24
#define LOOK_NAMES 64
#define NAMES_MOST 1000000
#define TRIES 3

extern char **environ;
static char names[NAMES_MOST][NAME_LENGTH + 1];

static void die(const char *what)
{
    fprintf(stderr, "archiver: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The names that wait, in order. */
static size_t look(void)
{
    const struct dirent *entry;
    size_t count = 0;
    DIR *directory = opendir(STATUS_DIRECTORY);

    if (directory == NULL)
        die(STATUS_DIRECTORY);
    while ((entry = readdir(directory)) != NULL && count < NAMES_MOST)
        if (strlen(entry->d_name) == NAME_LENGTH + 6 && strcmp(entry->d_name + NAME_LENGTH, ".ready") == 0)
            snprintf(names[count++], NAME_LENGTH + 1, "%.*s", NAME_LENGTH, entry->d_name);
    closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    return count;
}

static void fill_in(const char *command, const char *name, char *out, size_t size)
{
    size_t length = 0;

    for (; *command != '\0' && length + NAME_LENGTH + 8 < size; command++)
        if (command[0] == '%' && (command[1] == 'p' || command[1] == 'f'))
            length += (size_t)snprintf(out + length, size - length, "%s%s",
                                       *++command == 'p' ? "pg_wal/" : "", name);
        else
            out[length++] = *command;
    out[length] = '\0';
}

static bool run(const char *command, const char *name)
{
    char text[4096], sh[] = "sh", option[] = "-c";
    char *arguments[] = {sh, option, text, NULL};
    int status;
    pid_t pid;

    fill_in(command, name, text, sizeof text);
    if (posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ) != 0 || waitpid(pid, &status, 0) != pid)
        die("sh");
    return status == 0;
}

static void archive(const char *command, const char *name)
{
    char ready[128], done[128];
    int tries = 0;

    while (!run(command, name)) {
        fprintf(stderr, "archiver: %s failed\n", name);
        if (++tries == TRIES)
            exit(1);
        sleep(1);
    }
    snprintf(ready, sizeof ready, STATUS_DIRECTORY "/%s.ready", name);
    snprintf(done, sizeof done, STATUS_DIRECTORY "/%s.done", name);
    if (rename(ready, done) != 0)
        die(ready);
}

int main(int argc, char **argv)
{
    size_t left, found;

    if (argc != 4 || (left = strtoul(argv[2], NULL, 10)) == 0 || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: archiver DIRECTORY COUNT COMMAND\n");
        return 2;
    }
    while (left > 0 && (found = look()) > 0)
        for (size_t i = 0; i < found && i < LOOK_NAMES && left > 0; i++, left--)
            archive(argv[3], names[i]);
    return left == 0 ? 0 : 1;
}
