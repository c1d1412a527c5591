/* The picture as JSON for programs: walferry-status(1) describes it. */
#ifndef WALFERRY_STATUS_JSON_H
#define WALFERRY_STATUS_JSON_H

#include "common/json.h"
#include "picture.h"

struct json *status_json(const struct picture *picture);

#endif
