/* postgresql.auto.conf: reading it as PostgreSQL does, and putting the recovery settings into it so that they
 * can be taken back. Pure: works on text; reads and writes no file. Source: PostgreSQL guc-file.l, guc.c
 * (AlterSystemSetConfigFile).
 *
 * What we write stands in one block at the end, between two comment lines. A user's own line of the same name
 * stays where it was, as a comment "# walferry-saved: <the line>", and comes back when the block is taken
 * back.
 *
 * ALTER SYSTEM drops all comments and keeps all settings (rule 21). Without the comments our settings are
 * known by their names if restore_command is one of ours; a value that we never write (archive_mode = on)
 * stays the user's in any case. */
#ifndef WALFERRY_SETTINGS_H
#define WALFERRY_SETTINGS_H

#include "common/buffer.h"

#include <stdbool.h>

struct setting {
    const char *name; /* borrowed, of static life */
    char *value;      /* owned */
};

/* What is to be written, in this order. */
#define SETTING_LIST_MOST 16
struct setting_list {
    struct setting settings[SETTING_LIST_MOST];
    size_t count;
};

/* 0, or -1 after logging. */
int setting_list_add(struct setting_list *list, const char *name, const char *value);
/* NULL when it is not in the list. */
const char *setting_list_value(const struct setting_list *list, const char *name);
void setting_list_free(struct setting_list *list);

enum settings_line_kind {
    SETTINGS_OTHER,   /* blank, comment, or what PostgreSQL would call a syntax error */
    SETTINGS_SETTING, /* name and value are set */
    SETTINGS_SAVED,   /* a user's line put aside: text, name and value are those of the line itself */
    SETTINGS_MARK,    /* first or last line of our block */
};

struct settings_line {
    enum settings_line_kind kind;
    bool ours;
    char *text; /* without the line end */
    char *name;
    char *value; /* without quotes and escapes */
};

struct settings {
    struct settings_line *lines;
    size_t count;
    unsigned malformed_line; /* number of the first line that PostgreSQL would refuse; 0: none */
};

/* 0, or -1 after logging. settings is to be freed in both cases. */
int settings_parse(const char *text, size_t length, struct settings *settings);
void settings_free(struct settings *settings);

/* The names that we own. */
bool settings_name_is_owned(const char *name);
/* The value in force, that of the last line; NULL when the file does not set it. Borrowed. */
const char *settings_value(const struct settings *settings, const char *name);
/* Is there anything that we wrote, be it an empty block? */
bool settings_has_ours(const struct settings *settings);

/* Drops what we wrote and brings the saved lines back. */
void settings_take_back(struct settings *settings);
/* Takes back, puts the user's lines of the listed names aside and appends the block. 0, or -1 after logging.
 */
int settings_put(struct settings *settings, const struct setting_list *list);
/* Appends the file's text. only_ours: just our block and the saved lines. 0, or -1 after logging. */
int settings_write(const struct settings *settings, bool only_ours, struct buffer *out);

/* The value in single quotes, as PostgreSQL reads it back. 0, or -1 after logging: a line end can't be
 * written, since a quoted value must not span lines. */
int settings_quote(const char *value, struct buffer *out);

#endif
