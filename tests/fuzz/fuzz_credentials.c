/* The shared credentials file: the profile's name, then the file. */
#include "fuzz.h"

#include "common/credentials.h"

FUZZ_TARGET(credentials)
{
    struct fuzz_input input = {data, length};
    struct credentials credentials = CREDENTIALS_EMPTY;
    size_t profile_length;
    char path[64], *profile = fuzz_take(&input, 1, &profile_length);
    int fd = fuzz_file(input.next, input.left, path);
    const struct repository_config config = {
        .name = (char[]){"main"}, .credentials_file = path, .profile = profile_length > 0 ? profile : NULL};

    if (credentials_find(&config, &credentials) == 0)
        FUZZ_CHECK(credentials.access_key[0] != '\0' && credentials.secret_key[0] != '\0');
    credentials_wipe(&credentials);
    close(fd);
    free(profile);
    return 0;
}
