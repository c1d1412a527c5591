/* cluster.json. What is read comes out as the same document again. */
#include "fuzz.h"

#include "common/repository.h"

FUZZ_TARGET(cluster)
{
    struct buffer text = BUFFER_EMPTY, once = BUFFER_EMPTY, twice = BUFFER_EMPTY;
    struct cluster cluster, again;

    if (cluster_parse(data, length, "the input as it is", &cluster) == 0)
        cluster_free(&cluster);
    fuzz_seal(data, length, &text);
    if (cluster_parse(buffer_string(&text), text.length, "the sealed input", &cluster) == 0) {
        FUZZ_CHECK(cluster.generation_count > 0);
        FUZZ_CHECK(cluster_generation(&cluster, cluster.generations[0].system_identifier) != NULL);
        FUZZ_CHECK(cluster_seal(&cluster, &once) == 0);
        FUZZ_CHECK(cluster_parse(once.data, once.length, "our own output", &again) == 0);
        FUZZ_CHECK(cluster_seal(&again, &twice) == 0);
        FUZZ_CHECK(strcmp(buffer_string(&once), buffer_string(&twice)) == 0);
        cluster_free(&again);
        cluster_free(&cluster);
    }
    buffer_free(&text);
    buffer_free(&once);
    buffer_free(&twice);
    return 0;
}
