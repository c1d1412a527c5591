/* The shared files: the profile's name, then a file, which is read as both kinds are. No command is run. */
#include "fuzz.h"

#include "common/credentials_profile.h"

FUZZ_TARGET(credentials)
{
    struct fuzz_input input = {data, length};
    size_t name_length;
    char *name = fuzz_take(&input, 1, &name_length);

    for (int is_config = 0; is_config < 2; is_config++) {
        struct profile profile = {.name = name};
        char *text = malloc(input.left + 1);

        FUZZ_CHECK(text != NULL);
        memcpy(text, input.next, input.left);
        text[input.left] = '\0';
        profile_parse(text, is_config != 0, &profile);
        for (int i = 0; i < PROFILE_VALUES; i++) {
            FUZZ_CHECK(profile.value[i] == NULL || profile.is_there);
            FUZZ_CHECK(profile.value[i] == NULL || (profile.value[i] > text && *profile.value[i] != '\0' &&
                                                    profile.value[i] < text + input.left));
        }
        free(text);
    }
    free(name);
    return 0;
}
