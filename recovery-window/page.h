/* What can be recovered, as a page for people. */
#ifndef WALFERRY_PAGE_H
#define WALFERRY_PAGE_H

#include "common/survey.h"

void page_print(const struct survey *survey);

#endif
