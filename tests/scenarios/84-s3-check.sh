#!/bin/bash
# goal: repository-check says what the bucket itself is set to: lifecycle rules that delete or archive, object lock, uploads that cannot be given up; what the settings will cost; without writing; as JSON; in bounded time
# stores: none
# limit: 200
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

fault_server faults
config_write "request_timeout = 5"
sed -i '/^pgdata/d; /^ca_file/d' "$CONFIG"
cp "$CONFIG" plain.conf
server_create main # repository-init wants one
{ echo "[cluster]" && echo "pgdata = $T/main" && sed 1d plain.conf; } >init.conf
chmod 600 init.conf
WALFERRY_CONFIG=$T/init.conf expect_status 0 repository-init
system=$(system_identifier main)

rule() { # FILTER ACTION [STATUS]
    echo "<Rule><ID>the rule</ID>$1<Status>${3:-Enabled}</Status>$2</Rule>"
}
# check_row STATUS PATTERN SCRIPT SETTINGS RULES: LINES with ";", rules as "FILTER ACTION[ STATUS]" with ";", %0A is a line end
check_row() {
    local filter action status rules
    { cat plain.conf && tr ';' '\n' <<<"$4"; } >"$CONFIG"
    chmod 600 "$CONFIG"
    rules=
    if [ "${5:--}" != - ]; then
        rules="set lifecycle $T/rules.xml"
        while read -r filter action status; do rule "$filter" "$action" "$status"; done < <(tr ';' '\n' <<<"$5") >rules.body
        { echo '<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' && sed 's/%0A/\n/' rules.body && echo '</LifecycleConfiguration>'; } >rules.xml
    fi
    script "${3//;/$'\n'}" "$rules"
    expect_status "$1" repository-check
    output=${output//$'\n'/ }
    expect_output "$2"
    expect_equal "probes left behind" "" "$(find "$T/faults/objects" -name 'probe-*')"
    expect_equal "uploads left behind" "" "$(ls "$T/faults/uploads")"
}
step "what the bucket and the settings say"
table check_row <<'TABLE'
# status | what is said | script | settings | lifecycle rules
0 | ok     no lifecycle rule deletes or archives what is stored .* ok     an upload that is not completed can be given up | # | # | -
0 | the bucket has no object lock | # | # | -
1 | FAILS  lifecycle rule "the rule" deletes WAL and backups 30 days after | # | # | <Filter/> <Expiration><Days>30</Days></Expiration>
1 | FAILS  lifecycle rule "the rule" deletes WAL and backups 2030-01-01T00:00:00Z \(its date\) | # | # | <Filter/> <Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>
1 | FAILS  lifecycle rule "the rule" deletes WAL and backups 2030-01-01T00:00:00Z\?FORGED | # | # | <Filter/> <Expiration><Date>2030-01-01T00:00:00Z%0AFORGED</Date></Expiration>
1 | FAILS  lifecycle rule "the rule" deletes | # | # | <Prefix>pg/</Prefix> <Expiration><Days>30</Days></Expiration>
1 | FAILS  lifecycle rule "the rule" deletes | # | # | <Filter><And><Prefix>pg/main/7</Prefix></And></Filter> <Expiration><Days>30</Days></Expiration>
0 | no lifecycle rule deletes | # | # | <Filter><Prefix>logs/</Prefix></Filter> <Expiration><Days>30</Days></Expiration>
0 | no lifecycle rule deletes | # | # | <Filter/> <Expiration><Days>30</Days></Expiration> Disabled
0 | no lifecycle rule deletes | # | # | <Filter/> <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>
0 | note   lifecycle rule "the rule", which is for objects with a tag, deletes | # | # | <Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter> <Expiration><Days>1</Days></Expiration>
1 | FAILS  lifecycle rule "the rule" moves objects to DEEP_ARCHIVE after 60 days | # | # | <Filter/> <Transition><Days>60</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>
1 | FAILS  lifecycle rule "the rule" moves objects to GLACIER after 90 days | # | # | <Filter/> <Transition><Days>90</Days><StorageClass>GLACIER</StorageClass></Transition><Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>
1 | FAILS  lifecycle rule "the rule" moves objects to GLACIER after 2030-01-01T00:00:00Z: | # | # | <Filter/> <Transition><Date>2030-01-01T00:00:00Z</Date><StorageClass>GLACIER</StorageClass></Transition>
0 | no lifecycle rule deletes or archives | # | # | <Filter/> <Transition><Days>60</Days><StorageClass>STANDARD_IA</StorageClass></Transition>
0 | removes deleted and overwritten versions after 45 days.*and one gives up uploads | # | # | <Filter/> <NoncurrentVersionExpiration><NoncurrentDays>45</NoncurrentDays></NoncurrentVersionExpiration>;<Filter/> <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>
0 | note   whether lifecycle rules delete or archive what is stored could not be seen: grant s3:GetLifecycleConfiguration | LIFECYCLE * 1 - status=403 code=AccessDenied | # | -
0 | note   whether lifecycle rules .* could not be seen: HTTP 501 NotImplemented | LIFECYCLE * 1 - status=501 code=NotImplemented | # | -
0 | lifecycle rules: the store's answer cannot be understood | LIFECYCLE * 1 - status=200 | # | -
0 | note   object lock could not be seen: grant s3:GetBucketObjectLockConfiguration | LOCK * 1 - status=403 code=AccessDenied | # | -
0 | the bucket has object lock .* note   object_lock is not set | set bucketlock on | # | -
0 | ok     the bucket locks what is stored by itself: COMPLIANCE for 30 days .* note   AWS demands a checksum | set bucketlock COMPLIANCE:30 | # | -
0 | what is stored is locked for 14 days \(governance\) | set bucketlock on | object_lock = governance;object_lock_days = 14 | -
1 | FAILS  the bucket has no object lock, which object_lock and legal_hold need | # | object_lock = governance;object_lock_days = 14 | -
0 | ok     the store knows no object lock \(its answer is of something else\) .* note   lifecycle rules: the store's answer cannot be understood: it is of something else | set subresources ignored | # | -
1 | FAILS  the store knows no object lock .*: nothing that is stored there is locked | set subresources ignored | object_lock = governance;object_lock_days = 14 | -
1 | FAILS  the store knows no object lock \(NotImplemented\) | LOCK * 1 - status=501 code=NotImplemented | object_lock = governance;object_lock_days = 14 | -
0 | note   an upload cannot be given up \(s3:AbortMultipartUpload\) | ABORT * 1 1 done status=403 code=AccessDenied | # | -
0 | ok     the store says that it encrypts, as sse = s3 asks \(AES256\) | # | sse = s3 | -
1 | FAILS  sse = s3 is set, but the store does not say that it encrypts | set encryption ignored | sse = s3 | -
1 | FAILS  sse = kms is set, but the store does not say that it encrypts: | set encryption ignored | sse = kms | -
1 | FAILS  sse = kms is set, but the store does not say that it encrypts so \("AES256"\) | set encryption AES256 | sse = kms | -
0 | note   storage_class = GLACIER_IR: each object is paid for at least 90 days, and the retention policy lets backups go after 14 | # | storage_class = GLACIER_IR;keep_wal = 7 days;keep_daily = 14 | -
0 | note   storage_class_wal = STANDARD_IA: each object is paid for at least 30 days, and the retention policy lets WAL go after 7 | # | storage_class_wal = STANDARD_IA;keep_wal = 7 days;keep_for = 90 days | -
0 | note   storage_class = DEEP_ARCHIVE: a backup cannot be restored, verified or copied before | # | storage_class = DEEP_ARCHIVE | -
0 | note   object_lock_days = 30: the retention policy lets WAL go after 7 days | set bucketlock on | object_lock = compliance;object_lock_days = 30;keep_wal = 7 days | -
TABLE
expect_rows 36

step "what costs nothing is not noted"
{ cat plain.conf && printf 'storage_class = STANDARD_IA\nkeep_wal = 30 days\n'; } >"$CONFIG"
script
expect_status 0 repository-check
expect_equal "notes of costs" 0 "$(grep -c "paid for" <<<"$output" || true)"

step "--read-only writes nothing"
cp plain.conf "$CONFIG"
script
expect_status 0 repository-check --read-only
expect_output "listing works"
expect_requests 0 "(PUT|DELETE|CREATE|PART|COMPLETE|COPY|ABORT) "
script "LIST * 1 - status=403 code=AccessDenied"
expect_status 1 repository-check --read-only

step "--json: the same findings in one document"
script
expect_status 0 repository-check --json
printf '%s\n' "$output" >found.json
repository-check >found.text
python3 - found.json found.text <<'PY'
import json, re, sys
document, text = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
assert document["program"] == "repository-check" and document["status"] == 0 and document["failures"] == 0, document
[repository] = document["repositories"]
assert repository["name"] == "here" and repository["required"] is True, repository
plain = lambda line: re.sub(r"[0-9.]+", "N", line)
told = [plain(line[9:]) for line in text.splitlines() if line.startswith("  ")]
found = [plain(one["text"]) for one in document["machine"]["findings"] + repository["findings"]]
assert told == found and len(found) > 10, (told, found)
assert {one["finding"] for one in repository["findings"]} <= {"ok", "note"}
PY
script "LIST * 1 - status=403 code=AccessDenied"
status=0
repository-check --json >failed.json 2>/dev/null || status=$?
expect_equal "exit status" 1 "$status"
expect_true "the failure" grep -q '"finding": "fails"' failed.json

step "a store that hangs does not hold it up for ever"
for operation in GET PUT LIST LIFECYCLE LOCK DELETE; do
    script "$operation * 1 - hang=answer"
    began=$SECONDS
    repository-check >hanging.text 2>&1 || true
    tail -3 hanging.text
    expect_true "$operation: $((SECONDS - began)) s, at most 20" test $((SECONDS - began)) -le "$(slowly 20)"
    find "$T/faults/objects" -name 'probe-*' -delete
done
