/* Times, durations and sizes in few words, for people. */
#ifndef WALFERRY_WORDS_H
#define WALFERRY_WORDS_H

#include <stdint.h>

#define WORDS_BYTES 64
#define WORDS_LONG_BYTES 160

struct picture_repository;

/* "2026-11-22 09:30:00", in UTC. out has room for WORDS_BYTES, here and below. Returns out. */
const char *words_time(int64_t time, char *out);
/* "0.4 s", "42 s", "12 min", "3 h 10 min", "8 d 4 h": two units at most. */
const char *words_seconds(double seconds, char *out);
/* "1.5 GiB" */
const char *words_bytes(uint64_t bytes, char *out);
/* "1 backup", "3 backups" */
const char *words_count(uint64_t count, const char *what, char *out);
/* Behind "the newest safe commit is 5 s old": "; the server has no later one", or what of its commits is not
 * safe; "" where that is not known. out has room for WORDS_LONG_BYTES. */
const char *words_exposure(const struct picture_repository *repository, char *out);

#endif
