/* Libraries that are loaded when they are needed: what is missing is said, and is no crash. */
#include "common/library.h"
#include "common/log.h"
#include "unit.h"

static unsigned begun;

static int begin(void)
{
    begun++;
    return 0;
}

static int fail_to_begin(void)
{
    begun++;
    return -1;
}

int main(void)
{
    static double (*cosine)(double value);
    static const struct library_function good[] = {{"cos", &cosine}};
    static const struct library_function missing[] = {{"walferry_has_no_such_function", &cosine}};
    struct library whole = {"libm.so.6", "libc6", good, 1, begin, 0};
    struct library unwilling = {"libm.so.6", "libc6", good, 1, fail_to_begin, 0};
    struct library poor = {"libm.so.6", "libc6", missing, 1, NULL, 0};
    struct library nowhere = {"libwalferry-nowhere.so.1", "no-package", good, 1, NULL, 0};

    CHECK(library_need(&whole) == 0 && library_need(&whole) == 0 && begun == 1);
    CHECK(cosine != NULL && cosine(0.0) > 0.5);
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    CHECK(library_need(&unwilling) == -1 && library_need(&unwilling) == -1 && begun == 2);
    CHECK(library_need(&poor) == -1);
    CHECK(library_need(&nowhere) == -1);
    return unit_done("library");
}
