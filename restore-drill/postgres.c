#include "postgres.h"

#include "common/file.h"
#include "common/log.h"
#include "common/pg_programs.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_SECONDS 20
#define WAIT_MILLISECONDS 20
#define MORE_PREPARED 100       /* max_prepared_transactions may have been raised behind the backup */
#define EMPTIES_NOTHING_SINCE 5 /* the minor release of 13 */
#define ORIGINS_MOST 10000      /* a subscriber's; pg_control does not tell how many it had room for */
#define ARGUMENTS_MOST 128

/* The programs */

static bool is_there(const char *directory, const char *program)
{
    char *path = path_join(directory, program);
    bool there = path != NULL && access(path, X_OK) == 0;

    free(path);
    return there;
}

int postgres_open(const char *scratch, unsigned major, const char *pg_bin, const struct look *look,
                  struct postgres *postgres)
{
    struct sockaddr_un address;

    *postgres = (struct postgres){.scratch = scratch, .major = major};
    postgres->data = path_join(scratch, "data");
    postgres->log_path = path_join(scratch, "server.log");
    if (postgres->data == NULL || postgres->log_path == NULL ||
        server_log_open(postgres->log_path, &postgres->log) != 0)
        return -1;
    if (strlen(scratch) + strlen("/.s.PGSQL." POSTGRES_PORT) >= sizeof address.sun_path) {
        log_error("the path of the scratch directory \"%s\" is too long for a socket in it", scratch);
        return -1;
    }
    unsigned number; /* as PG_VERSION_NUM */
    postgres->bin = pg_programs_find("postgres", major, major, pg_bin, look, &number);
    const unsigned found = number / 10000, minor = number % 10000;
    if (found == major && (major > 13 || minor >= EMPTIES_NOTHING_SINCE))
        return 0;
    if (found == major) {
        log_error("the programs in \"%s\" are of PostgreSQL %u.%u, whose recovery empties the directory of a "
                  "tablespace that the WAL creates",
                  postgres->bin, major, minor);
        log_hint("It could be the living server's. Use 13.%d or later.", EMPTIES_NOTHING_SINCE);
        return -1;
    }
    if (postgres->bin == NULL || found == 0)
        log_error("the programs of PostgreSQL %u were not found%s%s%s", major, pg_bin == NULL ? "" : " in \"",
                  pg_bin == NULL ? "" : pg_bin, pg_bin == NULL ? "" : "\"");
    else
        log_error("the backup is of PostgreSQL %u, but the programs in \"%s\" are of %u", major,
                  postgres->bin, found);
    log_hint(
        "Install the server of PostgreSQL %u here, or name its directory with pg_bin in section [drill] of "
        "the configuration.",
        major);
    return -1;
}

int postgres_check_amcheck(const struct postgres *postgres)
{
    if (is_there(postgres->bin, "pg_amcheck"))
        return 0;
    log_error("there is no pg_amcheck in \"%s\", which scan = amcheck needs", postgres->bin);
    log_hint("PostgreSQL 14 and later have it.");
    return -1;
}

void postgres_close(struct postgres *postgres)
{
    server_log_close(&postgres->log);
    free(postgres->data);
    free(postgres->log_path);
    free(postgres->bin);
    *postgres = (struct postgres){.pid = 0};
}

/* Its files */

static int write_file(const char *directory, const char *name, const char *text)
{
    char *path = path_join(directory, name);
    int result = path == NULL ? -1 : file_replace(path, text, strlen(text), 0600);

    free(path);
    return result;
}

/* The WAL behind the backup may create a tablespace: its link would lead to where the original's lies, and
 * replay would write there (tried). So no link can be made: recovery ends. 0, or -1 after logging. */
static int forbid_links(const struct postgres *postgres)
{
    char *path = path_join(postgres->data, "pg_tblspc");
    int result = -1;

    if (path != NULL && chmod(path, 0500) == 0 && access(path, W_OK) != 0)
        result = 0;
    else if (path != NULL)
        log_error("could not make directory \"%s\" read-only: %m", path);
    free(path);
    return result;
}

static void hint_at_end(const char *message)
{
    if (strstr(message, "\"pg_tblspc/") != NULL)
        log_hint(
            "A tablespace was created or dropped behind the beginning of the backup. A drill does not "
            "replay that, since the living server's files may be there. Take a new base backup, or choose "
            "an earlier target.");
}

int postgres_prepare(const struct postgres *postgres)
{
    static const char settings[] = "# Written by restore-drill.\n"
                                   "lc_messages = 'C'\n"
                                   "log_timezone = 'UTC'\n"
                                   "log_line_prefix = '%m [%p] '\n"
                                   "log_checkpoints = off\n"
                                   "shared_buffers = 128MB\n"
                                   "dynamic_shared_memory_type = mmap\n"
                                   "huge_pages = off\n"
                                   "autovacuum = off\n"
                                   "recovery_prefetch = off\n";
    char *from = path_join(postgres->data, "postgresql.auto.conf");
    char *to = path_join(postgres->scratch, "restored.auto.conf");
    /* 15 and later know it */
    const char *last = strstr(settings, "recovery_prefetch");
    char *text = string_printf("%.*s%s", (int)(last - settings), settings, postgres->major >= 15 ? last : "");
    int result = from == NULL || to == NULL || text == NULL ? -1 : forbid_links(postgres);

    if (result == 0 && rename(from, to) != 0 && errno != ENOENT) {
        log_error("could not rename \"%s\": %m", from);
        result = -1;
    }
    if (result == 0 && (write_file(postgres->data, "postgresql.auto.conf", "") != 0 ||
                        write_file(postgres->scratch, "postgresql.conf", text) != 0 ||
                        write_file(postgres->scratch, "pg_hba.conf", "local all all trust\n") != 0 ||
                        write_file(postgres->scratch, "pg_ident.conf", "") != 0))
        result = -1;
    free(from);
    free(to);
    free(text);
    return result;
}

/* Its command line */

struct line {
    char *words[ARGUMENTS_MOST]; /* owned */
    size_t count;
    bool is_bad; /* logged */
};

/* Takes word. */
static void add(struct line *line, char *word)
{
    if (word == NULL || line->count == ARGUMENTS_MOST - 1) {
        line->is_bad = true;
        free(word);
        return;
    }
    line->words[line->count++] = word;
}

static void set(struct line *line, const char *name, const char *value)
{
    add(line, string_copy("-c"));
    add(line, string_printf("%s=%s", name, value));
}

static void set_number(struct line *line, const char *name, uint32_t value)
{
    char text[16];

    snprintf(text, sizeof text, "%" PRIu32, value);
    set(line, name, text);
}

static void line_free(struct line *line)
{
    for (size_t i = 0; i < line->count; i++)
        free(line->words[i]);
}

/* What could reach out, or run something, is off whatever has been restored. */
static void set_safe(struct line *line, unsigned major, const char *preload)
{
    static const struct {
        const char *name, *value;
        unsigned since;
    } settings[] = {
        {"listen_addresses", "", 0},
        {"archive_mode", "off", 0},
        {"archive_command", "", 0},
        {"archive_library", "", 15},
        {"archive_cleanup_command", "", 0},
        {"recovery_end_command", "", 0},
        {"primary_conninfo", "", 0},
        {"primary_slot_name", "", 0},
        {"max_logical_replication_workers", "0", 0},
        {"sync_replication_slots", "off", 17},
        {"synchronous_standby_names", "", 0},
        {"session_preload_libraries", "", 0},
        {"local_preload_libraries", "", 0},
        {"ssl", "off", 0},
        {"ssl_passphrase_command", "", 0},
        {"logging_collector", "off", 0},
        {"log_destination", "stderr", 0},
        {"external_pid_file", "", 0},
        {"event_triggers", "off", 17},
        {"restart_after_crash", "off", 0},
        {"hot_standby", "off",
         0}, /* no session before its recovery is over, and no limits to fall short of */
    };

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (major >= settings[i].since)
            set(line, settings[i].name, settings[i].value);
    set(line, "shared_preload_libraries", preload == NULL ? "" : preload);
}

static void set_places(struct line *line, const struct postgres *postgres)
{
    static const char *const files[][2] = {
        {"config_file", "postgresql.conf"}, {"hba_file", "pg_hba.conf"}, {"ident_file", "pg_ident.conf"}};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = path_join(postgres->scratch, files[i][1]);
        if (path == NULL)
            line->is_bad = true;
        else
            set(line, files[i][0], path);
        free(path);
    }
    set(line, "unix_socket_directories", postgres->scratch);
    set(line, "unix_socket_permissions", "0700");
    set(line, "port", POSTGRES_PORT);
}

/* These must be at least twice a segment's size. */
static void set_wal_sizes(struct line *line, uint32_t segment_bytes)
{
    unsigned least = 2 * (segment_bytes >> 20);

    add(line, string_copy("-c"));
    add(line, string_printf("min_wal_size=%uMB", least < 80 ? 80 : least));
    add(line, string_copy("-c"));
    add(line, string_printf("max_wal_size=%uMB", least < 1024 ? 1024 : least));
}

/* A server in recovery may need as much as its primary had. */
static void set_maxima(struct line *line, const struct pg_control *control, unsigned major)
{
    set_number(line, major >= 18 ? "max_active_replication_origins" : "max_replication_slots", ORIGINS_MOST);
    set_number(line, "max_connections", control->max_connections < 10 ? 10 : control->max_connections);
    set_number(line, "max_worker_processes", control->max_worker_processes);
    set_number(line, "max_wal_senders", control->max_wal_senders);
    set_number(line, "max_prepared_transactions", control->max_prepared_transactions + MORE_PREPARED);
    set_number(line, "max_locks_per_transaction", control->max_locks_per_transaction);
}

/* Its life */

static void tell_end(struct postgres *postgres, int status)
{
    postgres->pid = 0;
    server_log_read(&postgres->log);
    server_log_tell(&postgres->log);
    if (*postgres->log.fatal != '\0') {
        log_error("the server ended: %s", postgres->log.fatal);
        hint_at_end(postgres->log.fatal);
    } else if (WIFSIGNALED(status))
        log_error("the server was ended by signal %d", WTERMSIG(status));
    else
        log_error("the server ended with status %d", WEXITSTATUS(status));
}

/* Until is_reached. 0, or -1 after logging. */
static int wait_for(struct postgres *postgres, const struct look *look,
                    bool (*is_reached)(const struct postgres *postgres))
{
    int status;

    for (;;) {
        server_log_read(&postgres->log);
        if (child_has_ended(postgres->pid, &status)) {
            tell_end(postgres, status);
            return -1;
        }
        if (is_reached(postgres))
            return 0;
        if (look->look(look->context) != 0)
            return -1;
        nanosleep(&(struct timespec){0, WAIT_MILLISECONDS * 1000000}, NULL);
    }
}

static bool is_recovering(const struct postgres *postgres)
{
    return postgres->log.is_recovering || postmaster_is_ready(postgres->data);
}

static bool is_open(const struct postgres *postgres)
{
    return postmaster_is_ready(postgres->data);
}

static int run(struct postgres *postgres, struct line *line)
{
    struct child_wish wish = {
        .words = line->words, .environment = ENVIRONMENT_CLEAN_BUT_S3, .death_signal = SIGQUIT};
    int log = open(postgres->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (log < 0) {
        log_error("could not create file \"%s\": %m", postgres->log_path);
        return -1;
    }
    wish.out = wish.complaints = log;
    int result = child_start(&wish, &postgres->pid);
    if (result != 0)
        postgres->pid = 0;
    else
        log_debug("the server is process %lld", (long long)postgres->pid);
    close(log);
    return result;
}

int postgres_start(struct postgres *postgres, const char *preload, const struct look *look)
{
    struct line line = {.count = 0};
    struct pg_control control;
    int result = pg_control_read(postgres->data, &control, NULL);

    if (result > 0)
        log_error("there is no pg_control in \"%s\"", postgres->data);
    if (result != 0)
        return -1;
    add(&line, path_join(postgres->bin, "postgres"));
    add(&line, string_copy("-D"));
    add(&line, string_copy(postgres->data));
    set_places(&line, postgres);
    set_safe(&line, postgres->major, preload);
    set_maxima(&line, &control, postgres->major);
    set_wal_sizes(&line, control.segment_bytes);
    result = line.is_bad ? -1 : run(postgres, &line);
    line_free(&line);
    return result == 0 ? wait_for(postgres, look, is_recovering) : -1;
}

int postgres_wait(struct postgres *postgres, const struct look *look)
{
    return wait_for(postgres, look, is_open);
}

/* A server that was killed leaves it; nobody is attached when all its processes are gone. */
static void remove_memory(const struct postgres *postgres)
{
    struct shmid_ds memory;
    uint32_t key;
    int id;

    if (!postmaster_read_memory(postgres->data, &key, &id))
        return;
    for (int i = 0; i < 100 && shmctl(id, IPC_STAT, &memory) == 0 && memory.shm_nattch > 0; i++)
        nanosleep(&(struct timespec){0, 50 * 1000000}, NULL);
    if (shmctl(id, IPC_STAT, &memory) == 0 && memory.shm_nattch == 0)
        shmctl(id, IPC_RMID, NULL);
}

void postgres_stop(struct postgres *postgres)
{
    if (postgres->pid == 0)
        return;
    /* What is in its memory goes with the directory: there is nothing to write. */
    if (!child_end(postgres->pid, SIGQUIT, STOP_SECONDS)) {
        log_warning("the server did not end within %d seconds and was killed", STOP_SECONDS);
        remove_memory(postgres);
    }
    postgres->pid = 0;
}

char *postgres_session_options(const struct postgres *postgres, bool may_write, int64_t until)
{
    static const struct {
        const char *setting;
        unsigned since;
    } settings[] = {
        {"session_preload_libraries=", 0},
        {"local_preload_libraries=", 0},
        {"event_triggers=off", 17},
        {"role=none", 0},
        /* damage is to be seen */
        {"zero_damaged_pages=off", 0},
        {"ignore_checksum_failure=off", 0},
        /* the drill has its own limit */
        {"statement_timeout=0", 0},
        {"transaction_timeout=0", 17},
        {"idle_session_timeout=0", 14},
        {"idle_in_transaction_session_timeout=0", 0},
        {"lock_timeout=0", 0},
        {"default_transaction_deferrable=off", 0},
        {"lc_messages=C", 0}, /* messages are understood */
    };
    struct buffer options = BUFFER_EMPTY;
    char time[TIMESTAMP_TEXT_BYTES];
    int result = 0;

    for (size_t i = 0; i < sizeof settings / sizeof *settings && result == 0; i++)
        if (postgres->major >= settings[i].since)
            result = buffer_printf(&options, "-c %s ", settings[i].setting);
    timestamp_format_iso_micros(until, time);
    if (result == 0)
        result = buffer_printf(&options, "-c drill.until=%s -c default_transaction_read_only=%s", time,
                               may_write ? "off" : "on");
    char *text = result == 0 ? string_copy(buffer_string(&options)) : NULL;
    buffer_free(&options);
    return text;
}
