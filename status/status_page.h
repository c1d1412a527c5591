/* The picture as a page for a terminal, which answers in five seconds: can I recover, to when, from where;
 * when was that last proven; what is wrong, and what to do. */
#ifndef WALFERRY_STATUS_PAGE_H
#define WALFERRY_STATUS_PAGE_H

#include "picture.h"

void status_page_print(const struct picture *picture, bool with_colour);

#endif
