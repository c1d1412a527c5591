/* A drill as a JSON document, for --json and for the repository. */
#ifndef WALFERRY_DRILL_JSON_H
#define WALFERRY_DRILL_JSON_H

#include "drill.h"

void drill_json_fill(struct json *object, const struct drill *drill);

/* Stores it in reports/ of the repository that was restored from. 0, or -1 after logging. */
int drill_json_store(const struct drill *drill);

/* The page for people, on standard output. */
void drill_print(const struct drill *drill);

#endif
