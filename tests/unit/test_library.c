/* Libraries that are loaded when they are needed: what is missing is said, and is no crash. */
#include "common/library.h"
#include "common/log.h"
#include "unit.h"

int main(void)
{
    static double (*cosine)(double value);
    static const struct library_function good[] = {{"cos", &cosine}};
    static const struct library_function missing[] = {{"walferry_has_no_such_function", &cosine}};

    CHECK(library_load("libm.so.6", "libc6", good, 1) == 0);
    CHECK(cosine != NULL && cosine(0.0) > 0.5);
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    CHECK(library_load("libm.so.6", "libc6", missing, 1) == -1);
    CHECK(library_load("libwalferry-nowhere.so.1", "no-package", good, 1) == -1);
    return unit_done("library");
}
