/* The files that recovery-config writes: postgresql.auto.conf and the two signal files. Each change is
 * durable when a function returns. */
#ifndef WALFERRY_RECOVERY_FILES_H
#define WALFERRY_RECOVERY_FILES_H

#include "data_directory.h"
#include "settings.h"

#define SETTINGS_FILE "postgresql.auto.conf"

/* "recovery.signal" or "standby.signal"; NULL for SERVER_NORMAL. */
const char *signal_file_name(enum server_mode mode);
bool signal_file_exists(const struct data_directory *directory, enum server_mode mode);

/* A missing file reads as an empty one. 0, or -1 after logging. settings is to be freed in both cases. */
int recovery_files_read(const struct data_directory *directory, struct settings *settings);

/* The mode of the file is kept. 0, or -1 after logging. */
int recovery_files_write(const struct data_directory *directory, const struct settings *settings);

/* Makes the one signal file, then removes the other: at no time is there none, with which the server would
 * start without recovery. 0, or -1 after logging. */
int signal_file_set(const struct data_directory *directory, enum server_mode mode);
/* 0 also when there is none, or -1 after logging. */
int signal_file_remove(const struct data_directory *directory, enum server_mode mode);

#endif
