/* What can be recovered, as JSON for programs: recovery-window(1) describes it. */
#ifndef WALFERRY_WINDOW_JSON_H
#define WALFERRY_WINDOW_JSON_H

#include "common/json.h"
#include "common/survey.h"

struct json *window_json(const struct survey *survey);

#endif
