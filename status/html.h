/* The picture as one HTML page that needs nothing else: no script, no font, no image from elsewhere. For a
 * phone, a screen, and paper. */
#ifndef WALFERRY_STATUS_HTML_H
#define WALFERRY_STATUS_HTML_H

#include "picture.h"

/* Replaces the file, "-": standard output. Only its owner may read it, since it tells much of the cluster,
 * unless it was there already: then its mode stays. 0, or -1 after logging. */
int html_to_file(const struct picture *picture, const char *path);

#endif
