/* The configuration file. */
#include "fuzz.h"

#include "common/config.h"

FUZZ_TARGET(config)
{
    struct config config;
    char path[64];
    int fd = fuzz_file(data, length, path);

    if (config_load(path, &config) == 0) {
        FUZZ_CHECK(config.repository_count > 0 && config.cluster_name != NULL && config.state_dir != NULL);
        FUZZ_CHECK(config_repository(&config, config.repositories[0].name) == &config.repositories[0]);
        config_free(&config);
    }
    close(fd);
    return 0;
}
