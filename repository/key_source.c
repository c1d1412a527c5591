#include "key_source.h"

#include "common/command.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define COMMAND_SECONDS 60
#define COMMAND_OUTPUT_BYTES 4096
#define LOOK_MILLISECONDS 100

/* Key files */

/* The first that is there, or that is not. */
static char *find_file(const struct repository_config *repository, bool is_there, bool *failed)
{
    const char *next = repository->encryption_key_file;

    *failed = false;
    while (*next != '\0') {
        size_t length = strcspn(next, ",");
        char *path = string_printf("%.*s", (int)length, next);
        *failed = path == NULL;
        if (path == NULL || file_exists(path) == is_there)
            return path;
        free(path);
        next += length;
        next += strspn(next, ", \t");
    }
    return NULL;
}

char *key_source_missing_file(const struct repository_config *repository, bool *failed)
{
    return find_file(repository, false, failed);
}

bool key_source_has_file(const struct repository_config *repository, bool *failed)
{
    char *path = find_file(repository, true, failed);
    bool has = path != NULL;

    free(path);
    return has;
}

int key_source_write(const char *path, const struct key *key)
{
    char text[2 * CIPHER_KEY_BYTES + 2];
    char *directory = path_directory(path);
    int result = -1, fd = -1;

    if (directory == NULL)
        return -1;
    hex_encode(key->bytes, sizeof key->bytes, text);
    text[2 * CIPHER_KEY_BYTES] = '\n';
    text[2 * CIPHER_KEY_BYTES + 1] = '\0';
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

int key_source_command(const struct repository_config *repository, struct key *key)
{
    struct buffer output = BUFFER_EMPTY;
    int result =
        command_run("key_command", repository->key_command, COMMAND_SECONDS, COMMAND_OUTPUT_BYTES, &output);

    if (result == 0)
        result = key_take(buffer_string(&output), output.length, "the output of key_command", key);
    buffer_wipe(&output);
    return result;
}

/* Passphrases */

/* For something to read, or a signal: one that comes between the look and the wait is seen in a moment. */
static bool wait_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    while (!interrupt_requested()) {
        int count = poll(&readable, 1, LOOK_MILLISECONDS);
        if (count > 0 || (count < 0 && errno != EINTR))
            return true;
    }
    return false;
}

/* One line, without its end. */
static int read_line(int fd, char line[KEY_PASSPHRASE_BYTES])
{
    size_t length = 0;

    for (;;) {
        if (!wait_readable(fd))
            return -1;
        ssize_t got = read(fd, line + length, 1);
        if (got < 0 && errno == EINTR && !interrupt_requested())
            continue;
        if (got < 0) {
            if (!interrupt_requested())
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

/* Unseen, and what would stop or kill the program with the terminal in that state is not taken. */
static int set_unseen(int terminal, struct termios *seen)
{
    struct termios unseen, now;

    if (tcgetattr(terminal, seen) == 0) {
        unseen = *seen;
        unseen.c_lflag &= ~(tcflag_t)ECHO;
        unseen.c_cc[VSUSP] = _POSIX_VDISABLE;
        unseen.c_cc[VQUIT] = _POSIX_VDISABLE;
        if (tcsetattr(terminal, TCSAFLUSH, &unseen) == 0 && tcgetattr(terminal, &now) == 0 &&
            (now.c_lflag & (tcflag_t)ECHO) == 0)
            return 0;
    }
    log_error("could not switch off the terminal's echo, so the passphrase is not asked for: %m");
    return -1;
}

static int ask_unseen(int terminal, const char *prompt, char line[KEY_PASSPHRASE_BYTES])
{
    struct termios seen;
    int length = -1;

    if (set_unseen(terminal, &seen) != 0)
        return -1;
    if (!interrupt_requested()) {
        dprintf(terminal, "%s: ", prompt);
        length = read_line(terminal, line);
    }
    if (tcsetattr(terminal, TCSAFLUSH, &seen) != 0) {
        log_warning("could not switch the terminal's echo on again: %m");
        log_hint("\"stty echo\" does.");
    }
    dprintf(terminal, "\n");
    return length;
}

/* A signal ends the program, but not before the terminal is as it was. */
static int ask(int terminal, const char *prompt, char line[KEY_PASSPHRASE_BYTES])
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct sigaction before[sizeof signals / sizeof *signals];
    int length;

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], NULL, &before[i]);
    interrupt_catch_signals();
    length = ask_unseen(terminal, prompt, line);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &before[i], NULL);
    if (interrupt_requested()) {
        explicit_bzero(line, KEY_PASSPHRASE_BYTES);
        interrupt_raise_again();
    }
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
        if (second < 0) {
            length = -1;
        } else if (second != length || memcmp(passphrase, again, (size_t)length) != 0) {
            log_error("the two are not the same");
            length = -1;
        }
        explicit_bzero(again, sizeof again);
    }
    close(terminal);
    return length;
}
