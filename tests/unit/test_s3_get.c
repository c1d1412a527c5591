/* A get whose connection is cut: it goes on where it was, and asks for nothing more when all had come. */
#include "unit.h"

#include "tests/fuzz/fake_http.h"

struct taken {
    char text[100];
    size_t length, most;
};

static int take(void *context, const void *data, size_t length)
{
    struct taken *taken = context;

    if (taken->length + length > taken->most)
        return -1;
    memcpy(taken->text + taken->length, data, length);
    taken->length += length;
    return 0;
}

/* Answers as for fuzzing: one after the other, FUZZ_SEPARATOR between them; "!": cut behind the last byte. */
static enum store_result get(const char *answers, size_t length, size_t most, struct taken *taken)
{
    const struct store_range all = {0};
    struct store_object object = {0};
    struct store *store = fake_store((const uint8_t *)answers, length);
    const struct sink sink = {take, taken};

    *taken = (struct taken){.most = most};
    enum store_result result = store_get(store, "main/a", &all, &sink, &object);
    store_close(store);
    return result;
}

#define GET(answers, most) get(answers, sizeof(answers) - 1, most, &taken)
#define WHOLE "HTTP/1.1 200 OK\nContent-Length: 5\nETag: \"e\"\n\n"
#define REST "HTTP/1.1 206 Partial\nContent-Length: 2\nContent-Range: bytes 3-4/5\nETag: \"e\"\n\n"

int main(void)
{
    struct taken taken = {.most = 0};

    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    CHECK(GET(WHOLE "hello", 100) == STORE_OK && taken.length == 5);
    CHECK(GET("!" WHOLE "hel" FUZZ_SEPARATOR REST "lo", 100) == STORE_OK &&
          memcmp(taken.text, "hello", 5) == 0);
    CHECK(GET("!" WHOLE "hel", 100) == STORE_FAILED);
    CHECK(GET(WHOLE "hel", 100) == STORE_FAILED); /* as if that were all */
    CHECK(GET("!HTTP/1.1 200 OK\nContent-Length: 5\n\nhel" FUZZ_SEPARATOR REST "lo", 100) == STORE_FAILED &&
          taken.length == 3); /* of which object they are nobody knows */
    CHECK(GET("!" WHOLE "hello", 100) == STORE_OK && memcmp(taken.text, "hello", 5) == 0);
    CHECK(GET("!" WHOLE "hel" FUZZ_SEPARATOR "!" REST "lo", 100) == STORE_OK &&
          memcmp(taken.text, "hello", 5) == 0);
    CHECK(GET("!" WHOLE "hello" FUZZ_SEPARATOR "HTTP/1.1 416 No\n\n", 100) == STORE_OK && taken.length == 5);
    CHECK(GET("!" WHOLE "hello", 4) != STORE_OK); /* the last byte was not taken */
    CHECK(GET("!" WHOLE "hello!", 100) != STORE_OK);
    return unit_done("s3_get");
}
