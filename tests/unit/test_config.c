/* The configuration file: what is accepted, what is refused and where the message points. */
#include "unit.h"

#include "common/config.h"
#include "common/log.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/walferry-test-config.XXXXXX";
static bool is_other_user;

/* In place of the C library's. */
uid_t geteuid(void)
{
    return is_other_user ? 12345 : getuid();
}

static int load(const char *text, mode_t mode, struct config *config)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
    chmod(path, mode);
    return config_load(path, config);
}

#define BASE "[cluster]\nname = main\n[repository local]\nurl = file:///var/backups/walferry\n"

static void test_hooks(void)
{
    struct config config;

    CHECK(load(BASE, 0600, &config) == 0);
    CHECK(config.hook_on_success == NULL && config.hook_on_failure == NULL &&
          config.hook_timeout_seconds == 60);
    config_free(&config);
    CHECK(load(BASE "[hooks]\non_success = /bin/a 'b c'\non_failure = d\ntimeout = 5\n", 0600, &config) == 0);
    CHECK_TEXT(config.hook_on_success, "/bin/a 'b c'");
    CHECK_TEXT(config.hook_on_failure, "d");
    CHECK(config.hook_timeout_seconds == 5);
    config_free(&config);
    CHECK(load(BASE "[hooks]\non_success = a \"b\n", 0600, &config) != 0);
    CHECK(load(BASE "[hooks]\non_failure = ''\n", 0600, &config) != 0);
    CHECK(load(BASE "[hooks]\ntimeout = 0\n", 0600, &config) != 0);
    CHECK(load(BASE "[hooks]\non_error = a\n", 0600, &config) != 0);
}

static void test_good(void)
{
    struct config config;

    CHECK(load("# remark\n[cluster]\nname = main ; remark\npgdata = /data/\nconninfo = host=/tmp user=x\n\n"
               "[repository local]\nurl = file:///var/backups/walferry/\n"
               "[repository offsite]\nurl = s3://my-bucket/pg/a/\nendpoint = "
               "https://s3.example.net:9000/\nregion = eu-central-1\n"
               "access_key = A\nsecret_key = S\nrequired = no\n"
               "[repository aws]\nurl = s3://my-bucket\n"
               "[wal-push]\ntimeout = 20\n[wal-fetch]\nend_at = 000000010000000000000005\n",
               0600, &config) == 0);
    CHECK_TEXT(config.cluster_name, "main");
    CHECK_TEXT(config.pgdata, "/data");
    CHECK_TEXT(config.state_dir, "/var/lib/walferry/main");
    CHECK(config.repository_count == 3 && config.wal_push_timeout_seconds == 20 &&
          config.compression.codec == CODEC_LZ4 && config.compression.level == 1 &&
          compression_is_equal(&config.compression, &config.repositories[2].compression));
    CHECK_TEXT(config.repositories[0].path, "/var/backups/walferry");
    CHECK(config.repositories[0].kind == REPOSITORY_FILE && config.repositories[0].required);
    CHECK_TEXT(config.repositories[1].bucket, "my-bucket");
    CHECK_TEXT(config.repositories[1].path, "pg/a");
    CHECK_TEXT(config.repositories[1].endpoint, "https://s3.example.net:9000");
    CHECK(config.repositories[1].path_style && !config.repositories[1].required &&
          config.repositories[1].tls_verify);
    CHECK_TEXT(config.repositories[2].path, "");
    CHECK(!config.repositories[2].path_style);
    CHECK(config_repository(&config, "offsite") == &config.repositories[1] &&
          config_repository(&config, "x") == NULL);
    config_free(&config);
}

#define S3 "[cluster]\nname = main\n[repository s3]\nurl = s3://my-bucket\n"

static void test_credentials(void)
{
    static const char *const bad[] = {
        S3 "credentials = elsewhere\n",
        S3 "credentials = config\n",
        S3 "access_key = A\n",
        S3 "external_id = x\n",
        S3 "web_identity_token_file = /t\n",
        S3 "role_duration = 900\n",
        S3 "sts_endpoint = sts\n",
        S3 "proxy = somewhere:3128\n",
        S3 "role_arn = r\nrole_duration = 899\n",
    };
    struct config config;

    CHECK(load(S3 "credentials = container\nrole_arn = r\nexternal_id = x\nrole_duration = 3600\n"
                  "sts_endpoint = https://sts/\nproxy = http://u:p@proxy:3128\n"
                  "[repository direct]\nurl = s3://my-bucket\nregion = x\nproxy = none\n",
               0600, &config) == 0);
    const struct repository_config *s3 = &config.repositories[0], *direct = &config.repositories[1];
    CHECK(s3->credentials == CREDENTIALS_CONTAINER && direct->credentials == CREDENTIALS_AUTO);
    CHECK(s3->role_duration_seconds == 3600 && s3->region_is_default && !direct->region_is_default);
    CHECK_TEXT(s3->sts_endpoint, "https://sts");
    CHECK_TEXT(s3->proxy, "http://u:p@proxy:3128");
    CHECK_TEXT(direct->proxy, "");
    CHECK_TEXT(direct->state_dir, config.state_dir);
    config_free(&config);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(load(bad[i], 0600, &config) != 0);
    log_set_threshold(LOG_WARNING);
    unit_listen();
    CHECK(load(S3 "proxy = user:s3cr3t@proxy\n", 0600, &config) != 0);
    const char *said = unit_listened();
    /* it may hold a password */
    CHECK(strstr(said, "proxy must be none") != NULL && strstr(said, "s3cr3t") == NULL);
    unit_listen();
    CHECK(load(S3 "tls_verify = no\n", 0600, &config) == 0);
    CHECK(unit_heard("tls_verify = no: whoever is on the way"));
    config_free(&config);
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
}

static void test_bad(void)
{
    static const char *const table[] = {
        "",
        "name = main\n",
        "[cluster]\nname = main\n",              /* no repository */
        "[repository local]\nurl = file:///x\n", /* no cluster */
        BASE "unknown = 1\n",
        BASE "[unknown]\nkey = 1\n",
        BASE "[unknown]\n",
        BASE "[wal-pus]\n[compression]\nlevel = 1\n",
        BASE "[repository]\n",
        BASE "url = file:///y\n", /* twice */
        BASE "[wal-push]\ntimeout = soon\n",
        BASE "[wal-push]\ntimeout = 0\n",
        BASE "[wal-push]\ntimeout = 15s\n",
        BASE "[wal-push]\ntimeout\n",
        BASE "[wal-push]\ntimeout = -1\n",
        BASE "required = maybe\n",
        BASE "addressing = both\n",
        BASE "[repository]\nurl = file:///x\n",
        BASE "[repository a b]\nurl = file:///x\n",
        BASE "[repository x]\n"
             "required = yes\n", /* no url */
        BASE "[repository x]\nurl = http://x\n",
        BASE "[repository x]\nurl = file://relative\n",
        BASE "[repository x]\nurl = s3://\n",
        BASE "[repository x]\nurl = s3://ab\n",
        BASE "[repository x]\nurl = s3://bucket/a//b\n",
        BASE "[repository x]\nurl = s3://bucket/a?b\n",
        BASE "[repository x]\nurl = s3://bucket\nendpoint = s3.example.net\n",
        BASE "[repository x]\nurl = s3://bucket\nsse = aws\n",
        BASE "[repository x]\nurl = s3://bucket\nsse_kms_key_id = k\n",
        BASE "[repository x]\nurl = s3://bucket\nsse = kms\nsse_kms_key_id = a b\n",
        BASE "[repository x]\nurl = s3://bucket\nsse = customer\n",
        BASE "[repository x]\nurl = s3://bucket\nsse_customer_key_file = /k\n",
        BASE "[repository x]\nurl = s3://bucket\nsse = customer\nsse_customer_key_file = k\n",
        BASE "[repository x]\nurl = s3://bucket\nendpoint = http://x\nsse = customer\nsse_customer_key_file "
             "= /k\n",
        BASE
        "[repository x]\nurl = s3://bucket\ntls_verify = no\nsse = customer\nsse_customer_key_file = /k\n",
        BASE "[repository x]\nurl = s3://bucket\nstorage_class = a b\n",
        BASE "[repository x]\nurl = s3://bucket\nstorage_class_wal = GLACIER\n",
        BASE "[repository x]\nurl = s3://bucket\nstorage_class_wal = DEEP_ARCHIVE\n",
        BASE "[repository x]\nurl = s3://bucket\ntags = a\n",
        BASE "[repository x]\nurl = s3://bucket\ntags = =a\n",
        BASE "[repository x]\nurl = s3://bucket\ntags = a=b&\n",
        BASE "[repository x]\nurl = s3://bucket\ntags = a=b=c\n",
        BASE "[repository x]\nurl = s3://bucket\ntags = a=b c\n",
        BASE "[repository x]\nurl = s3://bucket\ntags = a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&k=11\n",
        BASE "[repository x]\nurl = s3://bucket\nobject_lock = governance\n",
        BASE "[repository x]\nurl = s3://bucket\nobject_lock_days = 3\n",
        BASE "[repository x]\nurl = s3://bucket\nobject_lock = legal\nobject_lock_days = 3\n",
        BASE "[repository x]\nurl = s3://bucket\nobject_lock = compliance\nobject_lock_days = 0\n",
        BASE "[repository x]\nurl = s3://bucket\nchecksum = md5\n",
        BASE "[repository x]\nurl = s3://bucket\nexpected_bucket_owner = me\n",
        BASE "[repository x]\nurl = s3://bucket\nexpected_bucket_owner = 1111222233334\n",
        BASE "[repository x]\nurl = s3://bucket\nrequester_pays = maybe\n",
        BASE "[repository x]\nurl = s3://bucket\nas_of = yesterday\n",
        BASE "[repository x]\nurl = s3://bucket\nas_of = 2026-11-20 14:29:59\n",
        BASE "[repository x]\nurl = s3://bucket\nheader. = a\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.Host = a\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.host = a\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.x-amz-date = a\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.content-type = a\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.if-match = a\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.x-amz-checksum-sha256 = a\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.x-amz-tagging-directive = COPY\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.x-a = a  b\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.x-a = \303\244\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.x-a = a\nheader.x-a = b\n",
        BASE "[repository x]\nurl = s3://bucket\nheader.a = 1\nheader.b = 1\nheader.c = 1\nheader.d = "
             "1\nheader.e = 1\nheader.f = 1\nheader.g = 1\nheader.h = 1\nheader.i = 1\n",
        BASE "[repository x]\nurl = file:///x\nsse = s3\n",
        BASE "[repository x]\nurl = file:///x\nstorage_class = STANDARD_IA\n",
        BASE "[repository x]\nurl = file:///x\ntags = a=b\n",
        BASE "[repository x]\nurl = file:///x\nobject_lock = none\n",
        BASE "[repository x]\nurl = file:///x\nchecksum = none\n",
        BASE "[repository x]\nurl = file:///x\nas_of = 2026-11-20 14:29:59+00\n",
        BASE "[repository x]\nurl = file:///x\nheader.x-a = b\n",
        BASE "[repository x]\nurl = s3://bucket\naccess_key = A\n",
        BASE "codec = gzip\n",
        BASE "codec =\n",
        BASE "level = 13\n", /* lz4 */
        BASE "level = 0\n",
        BASE "codec = zstd\nlevel = 20\n",
        BASE "level = 1\ncodec = none\n",
        BASE "keep_wal = 0\n",
        BASE "keep_wal = 7\n",
        BASE "keep_wal = 59 min\n",
        BASE "keep_wal = 7 dayss\n",
        BASE "keep_wal = -7 days\n",
        BASE "keep_wal = 9999999 weeks\n",
        BASE "keep_last = 0\n",
        BASE "keep_daily = 7 days\n",
        BASE "keep_wal = 2 days\nkeep_for = 1 day\n",
        BASE "orphan_age = 1 day\n", /* without a policy */
        BASE "[compression]\ncodec = LZ4\n",
        BASE "[compression]\nlevel = 13\n",
        BASE "[compression]\ncodec = none\nlevel = 1\n",
        BASE "[wal-fetch]\nend_at = 5\n",
        BASE "[wal-fetch]\nread_ahead = 256\n",
        BASE "[wal-fetch]\nread_ahead = 256mb\n",
        BASE "[wal-fetch]\nread_ahead = -1MB\n",
        BASE "[wal-fetch]\nread_ahead = MB\n",
        BASE "[wal-fetch]\nread_ahead = 99999999TB\n",
        BASE "[basebackup]\nsplit_size = 0\n",
        BASE "[basebackup]\nsplit_size = 1023kB\n",
        BASE "[basebackup]\nsplit_size = 128\n",
        BASE "[basebackup]\nmax_rate = 5\n",
        BASE "[basebackup]\npriority = high\n",
        BASE "[basebackup]\npriority = Low\n",
        BASE "[wal-fetch]\nparallel = 0\n",
        BASE "[wal-fetch]\nparallel = 17\n",
        BASE "[drill]\nscratch = drills\n",
        BASE "[drill]\npg_bin = bin\n",
        BASE "[dump]\npg_bin = bin\n",
        BASE "[dump]\nlock_timeout = 25 days\n",
        BASE "[drill]\nscan = all\n",
        BASE "[drill]\ntimeout = 59\n",
        BASE "[drill]\nreport = maybe\n",
        BASE "[drill]\nmax_size = 10\n",
        BASE "[status]\nbackup_age = 26\n",
        BASE "[status]\ndisk_free = 100\n",
        BASE "[status]\ntimeout = 0\n",
        BASE "[drill]\ncheck. = SELECT 1 => 1\n",
        BASE "[drill]\ncheck.a = SELECT 1 => 1\ncheck.a = SELECT 2 => 2\n",
        BASE "[basebackup]\ncheck.a = SELECT 1 => 1\n",
        "[cluster]\nname = main\npgdata = /d\n[repository x]\nurl = file:///x\n[drill]\nscratch = /d/drill\n",
        "[cluster]\nname = ../main\n[repository x]\nurl = file:///x\n",
        "[cluster]\nname = main\npgdata = data\n[repository x]\nurl = file:///x\n",
        "[cluster]\nname = main\nstate_dir = tmp\n[repository x]\nurl = file:///x\n",
        "[cluster]\nname = main\npgdata = /d\nstate_dir = /d/state\n[repository x]\nurl = file:///x\n",
        "[cluster\nname = main\n",
    };
    struct config config;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int result = load(table[i], 0600, &config);
        if (result != -1)
            fprintf(stderr, "accepted: %s\n", table[i]);
        CHECK(result == -1);
    }
}

static void test_retention(void)
{
    struct config config;
    const struct retention_policy *policy;

    REQUIRE(load(BASE "", 0600, &config) == 0);
    CHECK(!retention_policy_is_given(&config.repositories[0].retention));
    config_free(&config);
    REQUIRE(load(BASE
                 "keep_wal = 36 hours\nkeep_for = 2 weeks\nkeep_last = 3\nkeep_daily = 4\nkeep_weekly = 5\n"
                 "keep_monthly = 6\nkeep_yearly = 7\n",
                 0600, &config) == 0);
    policy = &config.repositories[0].retention;
    CHECK(retention_policy_is_given(policy) && policy->keep_wal_seconds == 129600 &&
          policy->keep_for_seconds == 1209600 && policy->orphan_age_seconds == 604800);
    CHECK(policy->keep_last == 3 && policy->keep_daily == 4 && policy->keep_weekly == 5 &&
          policy->keep_monthly == 6 && policy->keep_yearly == 7);
    config_free(&config);
    REQUIRE(load(BASE "keep_yearly = 1\norphan_age = 90min\n", 0600, &config) == 0);
    policy = &config.repositories[0].retention;
    CHECK(retention_policy_is_given(policy) && policy->keep_wal_seconds == 0 &&
          policy->orphan_age_seconds == 5400);
    config_free(&config);
}

static void test_s3_settings(void)
{
    struct config config;
    const struct s3_settings *s3;

    CHECK(
        load(BASE
             "[repository x]\nurl = s3://bucket\nsse = kms\nsse_kms_key_id = alias/pg\nstorage_class = "
             "DEEP_ARCHIVE\nstorage_class_wal = OWN-CLASS_1\ntags = a=b&c=%20&d=\nobject_lock = compliance\n"
             "object_lock_days = 30\nchecksum = sha256\nrequester_pays = yes\nexpected_bucket_owner = "
             "012345678901\nheader.x-amz-acl = bucket-owner-full-control\nheader.x-b = a b\nas_of = "
             "2026-11-20 14:29:59+01\n",
             0600, &config) == 0);
    s3 = &config.repositories[1].s3;
    CHECK(s3->sse == S3_ENCRYPTION_KMS && s3->object_lock == S3_LOCK_COMPLIANCE &&
          s3->object_lock_days == 30);
    CHECK(s3->legal_hold && s3->checksum == 1 && s3->requester_pays && s3->extra_count == 2);
    CHECK_TEXT(s3->extra[0].name, "x-amz-acl");
    CHECK_TEXT(s3->extra[1].value, "a b");
    CHECK(s3->as_of == 1795181399000000);
    config_free(&config);
    CHECK(load(BASE "[repository x]\nurl = s3://bucket\nsse = customer\nsse_customer_key_file = /k\n"
                    "object_lock = governance\nobject_lock_days = 1\nlegal_hold = no\n",
               0600, &config) == 0);
    CHECK(config.repositories[1].s3.sse == S3_ENCRYPTION_CUSTOMER && !config.repositories[1].s3.legal_hold);
    config_free(&config);
}

static void test_drill(void)
{
    struct config config;

    REQUIRE(load(BASE, 0600, &config) == 0);
    CHECK(config.drill.scratch == NULL && config.drill.check_count == 0 &&
          config.drill.timeout_seconds == 86400 && config.drill.scan == DRILL_SCAN_RELATIONS &&
          config.drill.max_bytes == 0 && !config.drill.without_report);
    config_free(&config);
    REQUIRE(load(BASE
                 "[drill]\nscratch = /drills/\nscan = amcheck\nmax_size = 5GB\ntimeout = 90min\nreport = "
                 "no\ncheck.a = SELECT 1 => 1\ncheck.b-2 = [x] SELECT a = 'b' => t\n",
                 0600, &config) == 0);
    CHECK_TEXT(config.drill.scratch, "/drills");
    CHECK(config.drill.scan == DRILL_SCAN_AMCHECK && config.drill.max_bytes == UINT64_C(5) << 30 &&
          config.drill.timeout_seconds == 5400 && config.drill.without_report &&
          config.drill.check_count == 2);
    CHECK_TEXT(config.drill.checks[1].name, "b-2");
    CHECK_TEXT(config.drill.checks[1].value, "[x] SELECT a = 'b' => t");
    config_free(&config);
}

static void test_status(void)
{
    struct config config;

    REQUIRE(load(BASE, 0600, &config) == 0);
    CHECK(config.status.backup_age_seconds == 26 * 3600 && config.status.wal_age_seconds == 900 &&
          config.status.verify_age_seconds == 8 * 86400 && config.status.drill_age_seconds == 35 * 86400 &&
          config.status.disk_free_percent == 10 && config.status.timeout_seconds == 30);
    config_free(&config);
    REQUIRE(load(BASE "[status]\nbackup_age = 2 hours\ndrill_age = 0 days\ndisk_free = 0\ntimeout = 5\n",
                 0600, &config) == 0);
    CHECK(config.status.backup_age_seconds == 7200 && config.status.drill_age_seconds == 0 &&
          config.status.disk_free_percent == 0 && config.status.timeout_seconds == 5);
    config_free(&config);
}

/* What a repository does not say holds as [compression] says; a level only for the same codec. */
static void test_compression(void)
{
    static const struct {
        const char *general, *own;
        struct compression compression;
    } table[] = {
        {"", "", {CODEC_LZ4, 1}},
        {"", "level = 12\n", {CODEC_LZ4, 12}},
        {"", "codec = zstd\n", {CODEC_ZSTD, 3}},
        {"", "level = 19\ncodec = zstd\n", {CODEC_ZSTD, 19}},
        {"", "codec = none\n", {CODEC_NONE, 0}},
        {"level = 9\n", "", {CODEC_LZ4, 9}},
        {"level = 9\n", "codec = lz4\n", {CODEC_LZ4, 9}},
        {"level = 9\n", "codec = zstd\n", {CODEC_ZSTD, 3}},
        {"level = 9\n", "codec = none\n", {CODEC_NONE, 0}},
        {"codec = zstd\nlevel = 15\n", "", {CODEC_ZSTD, 15}},
        {"level = 15\ncodec = zstd\n", "codec = lz4\n", {CODEC_LZ4, 1}},
        {"codec = zstd\nlevel = 15\n", "level = 1\n", {CODEC_ZSTD, 1}},
        {"codec = none\n", "", {CODEC_NONE, 0}},
        {"codec = none\n", "codec = lz4\n", {CODEC_LZ4, 1}},
    };
    struct config config;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = string_printf(BASE "%s[compression]\n%s", table[i].own, table[i].general);
        CHECK(load(text, 0600, &config) == 0 &&
              compression_is_equal(&config.repositories[0].compression, &table[i].compression));
        config_free(&config);
        free(text);
    }
}

static void test_bytes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } table[] = {{"0", 0},
                 {"0MB", 0},
                 {"1B", 1},
                 {"1023kB", 1023 * 1024},
                 {"64 MB", 64 * 1024 * 1024},
                 {"3GB", UINT64_C(3) << 30},
                 {"1TB", UINT64_C(1) << 40}};
    struct config config;
    char text[200];

    CHECK(load(BASE, 0600, &config) == 0);
    CHECK(config.wal_fetch_read_ahead_bytes == 256u << 20 && config.wal_fetch_parallel == 4);
    config_free(&config);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        snprintf(text, sizeof text, BASE "[wal-fetch]\nread_ahead = %s\n", table[i].text);
        CHECK(load(text, 0600, &config) == 0);
        CHECK(config.wal_fetch_read_ahead_bytes == table[i].bytes);
        config_free(&config);
    }
}

static void test_basebackup(void)
{
    static const char *const words[] = {"normal", "low", "idle"};
    struct config config;
    char text[200];

    CHECK(load(BASE, 0600, &config) == 0);
    CHECK(config.basebackup_split_bytes == 128u << 20 && config.basebackup_max_rate == 0);
    CHECK(config.basebackup_priority == PRIORITY_NORMAL);
    config_free(&config);
    CHECK(load(BASE "[basebackup]\nsplit_size = 1MB\nmax_rate = 50 MB\n", 0600, &config) == 0);
    CHECK(config.basebackup_split_bytes == 1u << 20 && config.basebackup_max_rate == 50u << 20);
    config_free(&config);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, BASE "[basebackup]\npriority = %s\n", words[i]);
        CHECK(load(text, 0600, &config) == 0 && config.basebackup_priority == (enum config_priority)i);
        config_free(&config);
    }
}

static void test_long_lines(void)
{
    static char text[20000];
    struct config config;
    size_t length = (size_t)snprintf(text, sizeof text,
                                     BASE "[repository x]\nurl = s3://bucket\naccess_key = A\nsecret_key = ");

    memset(text + length, 'k', 3000); /* far beyond inih's 200 */
    memcpy(text + length + 3000, "\n", 2);
    CHECK(load(text, 0600, &config) == 0);
    CHECK(strlen(config.repositories[1].secret_key) == 3000);
    config_free(&config);
    memset(text + length, 'k', 9000);
    memcpy(text + length + 9000, "\n", 2);
    CHECK(load(text, 0600, &config) == -1);
    snprintf(text, sizeof text, BASE "[repository %0100d]\nurl = file:///x\n", 1);
    CHECK(load(text, 0600, &config) == -1);
}

static void test_permissions(void)
{
    struct config config;

    CHECK(load(BASE, 0604, &config) == -1);
    CHECK(load(BASE, 0620, &config) == -1);
    CHECK(load(BASE, 0601, &config) == -1);
    CHECK(load(BASE, 0640, &config) == 0);
    config_free(&config);
    CHECK(config_load("/nonexistent/walferry.conf", &config) == -1);
    setenv("WALFERRY_CONFIG", path, 1);
    CHECK(config_load(NULL, &config) == 0);
    config_free(&config);
}

/* Whose message tells what was wrong. */
static void test_files(void)
{
    struct config config;
    static char text[1200000];
    size_t length = strlen(BASE);

    memcpy(text, BASE, length);
    while (length + 101 < sizeof text)
        length += (size_t)snprintf(text + length, sizeof text - length, "# %097d\n", 0);
    unit_listen();
    CHECK(load(text, 0600, &config) == -1);
    CHECK(unit_heard("is longer than the 1048576 bytes that are sensible for it"));
    text[1000000] = '\0';
    CHECK(load(text, 0600, &config) == 0);
    config_free(&config);
    if (getuid() == 0) /* root's may be used by anybody */
        CHECK(chown(path, 54321, (gid_t)-1) == 0);
    is_other_user = true;
    unit_listen();
    CHECK(config_load(path, &config) == -1);
    CHECK(unit_heard("belongs to neither root nor the user that runs this program"));
    is_other_user = false;
    if (access("/etc/walferry.conf", F_OK) != 0) {
        setenv("WALFERRY_CONFIG", "", 1);
        unit_listen();
        CHECK(config_load(NULL, &config) == -1);
        CHECK(unit_heard("there is no configuration file \"/etc/walferry.conf\""));
    }
}

int main(void)
{
    int fd = mkstemp(path);

    close(fd);
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    test_good();
    test_hooks();
    test_credentials();
    test_bad();
    test_bytes();
    test_basebackup();
    test_compression();
    test_retention();
    test_s3_settings();
    test_drill();
    test_status();
    test_long_lines();
    test_permissions();
    log_set_threshold(LOG_ERROR);
    test_files();
    unlink(path);
    return unit_done("config");
}
