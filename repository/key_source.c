#include "key_source.h"

#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define COMMAND_SECONDS 60
#define COMMAND_WORDS_MOST 64
#define COMMAND_OUTPUT_BYTES 4096

/* Key files */

char *key_source_missing_file(const struct repository_config *repository, bool *failed)
{
    const char *next = repository->encryption_key_file;

    *failed = false;
    while (*next != '\0') {
        size_t length = strcspn(next, ",");
        char *path = string_printf("%.*s", (int)length, next);
        *failed = path == NULL;
        if (path == NULL || !file_exists(path))
            return path;
        free(path);
        next += length;
        next += strspn(next, ", \t");
    }
    return NULL;
}

int key_source_write(const char *path, const struct key *key)
{
    char text[2 * CIPHER_KEY_BYTES + 2];
    char *directory = path_directory(path);
    int result = -1, fd = -1;

    if (directory == NULL)
        return -1;
    hex_encode(key->bytes, sizeof key->bytes, text);
    strcpy(text + 2 * CIPHER_KEY_BYTES, "\n");
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_error("could not create key file \"%s\": %m", path);
    } else if (file_write_fully(fd, text, strlen(text)) != 0 || fsync(fd) != 0) {
        log_error("could not write key file \"%s\": %m", path);
        unlink(path);
    } else {
        result = file_sync_directory(directory);
    }
    if (fd >= 0)
        close(fd);
    explicit_bzero(text, sizeof text);
    free(directory);
    return result;
}

/* A command */

struct words {
    char *text;
    char *items[COMMAND_WORDS_MOST + 1];
};

static int split(const char *command, struct words *words)
{
    size_t count = 0;
    char *rest;

    words->text = string_copy(command);
    if (words->text == NULL)
        return -1;
    for (char *word = strtok_r(words->text, " \t", &rest); word != NULL && count < COMMAND_WORDS_MOST;
         word = strtok_r(NULL, " \t", &rest))
        words->items[count++] = word;
    words->items[count] = NULL;
    if (count > 0 && *words->items[0] == '/' && count < COMMAND_WORDS_MOST)
        return 0;
    log_error("key_command must begin with the absolute path of a program");
    log_hint("It is run without a shell, its words are parted by blanks: for more, name a script.");
    free(words->text);
    return -1;
}

static void become(const struct words *words, int output)
{
    static const char *const kept[] = {"HOME", "PATH", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ"};
    char *environment[sizeof kept / sizeof *kept + 1];
    size_t count = 0;
    int nothing = open("/dev/null", O_RDONLY);

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (getenv(kept[i]) != NULL &&
            (environment[count] = string_printf("%s=%s", kept[i], getenv(kept[i]))))
            count++;
    environment[count] = NULL;
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0)
        execve(words->items[0], words->items, environment);
    log_error("could not run key_command \"%s\": %m", words->items[0]);
    _exit(127);
}

/* Until the command has closed its output. 0, or -1 after logging. */
static int collect(int fd, int64_t deadline, unsigned char *out, size_t *length)
{
    for (;;) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        int64_t left = (deadline - monotonic_now()) / 1000;
        int ready = left > 0 ? poll(&waiting, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            log_error("key_command did not end within %d seconds", COMMAND_SECONDS);
            return -1;
        }
        ssize_t got = read(fd, out + *length, COMMAND_OUTPUT_BYTES - *length);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR) {
            log_error("could not read what key_command prints: %m");
            return -1;
        }
        *length += got > 0 ? (size_t)got : 0;
        if (*length == COMMAND_OUTPUT_BYTES) {
            log_error("key_command prints more than a key");
            return -1;
        }
    }
}

int key_source_command(const struct repository_config *repository, struct key *key)
{
    unsigned char output[COMMAND_OUTPUT_BYTES];
    struct words words;
    size_t length = 0;
    int ends[2], status = 0, result = -1;

    if (split(repository->key_command, &words) != 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_error("could not make a pipe: %m");
        free(words.text);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(&words, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        log_error("could not start key_command: %m");
    } else {
        result = collect(ends[0], monotonic_now() + COMMAND_SECONDS * (int64_t)1000000, output, &length);
        if (result != 0)
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (result == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
            log_error("key_command \"%s\" failed: %s %d", words.items[0],
                      WIFEXITED(status) ? "exit status" : "signal",
                      WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
            result = -1;
        }
    }
    close(ends[0]);
    if (result == 0)
        result = key_take(output, length, "the output of key_command", key);
    explicit_bzero(output, sizeof output);
    free(words.text);
    return result;
}

/* Passphrases */

/* One line, without its end. */
static int read_line(int fd, char line[KEY_PASSPHRASE_BYTES])
{
    size_t length = 0;

    for (;;) {
        ssize_t got = read(fd, line + length, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            log_error("could not read the passphrase: %m");
            return -1;
        }
        if (got == 0 || line[length] == '\n')
            break;
        if (++length == KEY_PASSPHRASE_BYTES) {
            log_error("the passphrase is longer than %d bytes", KEY_PASSPHRASE_BYTES - 1);
            return -1;
        }
    }
    if (length == 0)
        log_error("the passphrase is empty");
    return length == 0 ? -1 : (int)length;
}

static int ask(int terminal, const char *prompt, char line[KEY_PASSPHRASE_BYTES])
{
    struct termios seen, unseen;
    int length;

    if (tcgetattr(terminal, &seen) != 0) {
        log_error("could not switch off the terminal's echo: %m");
        return -1;
    }
    unseen = seen;
    unseen.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(terminal, TCSAFLUSH, &unseen);
    dprintf(terminal, "%s: ", prompt);
    length = read_line(terminal, line);
    tcsetattr(terminal, TCSAFLUSH, &seen);
    dprintf(terminal, "\n");
    return length;
}

int key_source_passphrase(int fd, bool twice, char passphrase[KEY_PASSPHRASE_BYTES])
{
    char again[KEY_PASSPHRASE_BYTES];
    int length;

    if (fd >= 0)
        return read_line(fd, passphrase);
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        log_error("there is no terminal to ask for the passphrase: %m");
        log_hint("Give it by --passphrase-fd, the number of a descriptor to read it from.");
        return -1;
    }
    length = ask(terminal, "Passphrase", passphrase);
    if (length > 0 && twice) {
        int second = ask(terminal, "The same once more", again);
        if (second != length || memcmp(passphrase, again, (size_t)length) != 0) {
            log_error("the two are not the same");
            length = -1;
        }
        explicit_bzero(again, sizeof again);
    }
    close(terminal);
    return length;
}
