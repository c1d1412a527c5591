#!/bin/bash
# goal: base backups in a store that fails: none is called complete that is not, none is restored that is not whole and right
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

step "a server that archives to a fault server behind TLS"
authority ca && certificate server ca IP:127.0.0.1
fault_server faults server.pem
objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX
config_write $'connect_timeout = 1\nrequest_timeout = 1\n[basebackup]\nstore_timeout = 2\nwal_timeout = 3\njobs = 2'
cp "$CONFIG" hasty.conf
sed 's/^store_timeout = .*/store_timeout = 30/; s/^wal_timeout = .*/wal_timeout = 30/' hasty.conf >patient.conf
chmod 600 hasty.conf patient.conf
export WALFERRY_CONFIG=$T/patient.conf
server_create main --wal-segsize=1
head -c 20000000 /dev/urandom >main/large # goes in parts of its own
server_start main
system=$(system_identifier main)
script
expect_status 0 repository-init
sql main "drop database template0 with (force)" "create table t as select generate_series(1, 10000) i" 2>/dev/null ||
    sql main "create table t as select generate_series(1, 10000) i"
choose_config() { # COUNT
    WALFERRY_CONFIG=$T/patient.conf
    [ "$1" != - ] || WALFERRY_CONFIG=$T/hasty.conf
}
says() { # MESSAGE, which may stand on two lines
    output=${output//$'\n'/ }
    [ "$1" = - ] || expect_output "$1"
}
list_is() { # NUMBER: so many complete backups
    WALFERRY_CONFIG=$T/patient.conf
    script
    expect_status 0 basebackup-list --json
    expect_equal "complete backups" "$1" "$(grep -c '"id":' <<<"$output" || true)"
}

# ---- basebackup-push

# What failed is no backup, and nothing stays that is not under its id.
push_row() { # COUNT STATUS MESSAGE LINES
    rm -rf "$objects/main/$system/base"
    choose_config "$1"
    script "${4//;/$'\n'}"
    expect_status "$2" basebackup-push --checkpoint=fast
    says "$3"
    if [ "$2" = 0 ]; then list_is 1; else list_is 0; fi
    if [ "$2" = 1 ]; then expect_equal "manifests" "" "$(find "$objects" -name manifest.json)"; fi
    [[ $4 = *ABORT* ]] || expect_equal "unfinished uploads" "" "$(ls "$T/faults/uploads")"
    rm -rf "$T"/faults/uploads/id*
}
step "basebackup-push"
table push_row <<'TABLE'
# COUNT | status | message | script
1 | 0 | is complete | # all is well
1 | 0 | is complete | GET *cluster.json 1 2 status=503 code=SlowDown
- | 1 | AccessDenied | GET *cluster.json 1 - status=403 code=AccessDenied
- | 1 | there is no walferry repository here | GET *cluster.json 1 - status=404 code=NoSuchKey
- | 1 | cluster.json is damaged | GET *cluster.json 1 - garble
1 | 0 | is complete | PUT *started.json 1 2 status=503 code=SlowDown
1 | 0 | is complete | PUT *started.json 1 1 done status=500 code=InternalError
- | 1 | AccessDenied.*has failed | PUT *started.json 1 - status=403 code=AccessDenied
- | 1 | SlowDown.*has failed | PUT *started.json 1 - status=503 code=SlowDown
1 | 0 | is complete | PUT *main-* 1 2 status=503 code=SlowDown
1 | 0 | is complete | PUT *main-* 1 1 done status=500 code=InternalError
1 | 0 | is complete | PUT *main-* 1 1 close=answer
1 | 0 | is complete | PUT *main-* 1 1 reset=upload
- | 1 | AccessDenied.*has failed | PUT *main-* 1 - status=403 code=AccessDenied
- | 1 | SlowDown.*has failed | PUT *main-* 2 - status=503 code=SlowDown
- | 1 | not as an S3 store.*has failed | PUT *main-* 1 - status=200
- | 1 | time limit.*has failed | PUT *main-* 1 - hang=upload
1 | 0 | is complete | CREATE * 1 2 status=500 code=InternalError
- | 1 | AccessDenied.*has failed | CREATE * 1 - status=403 code=AccessDenied
- | 1 | names no upload id.*has failed | CREATE * 1 - status=200
1 | 0 | is complete | PART * 1 2 status=503 code=SlowDown
1 | 0 | is complete | PART * 2 1 done status=500 code=InternalError
1 | 0 | is complete | PART * 1 1 reset=upload
1 | 0 | is complete | PART * 1 1 hang=answer
- | 1 | AccessDenied.*has failed | PART * 2 - status=403 code=AccessDenied
- | 1 | SlowDown.*has failed | PART * 2 - status=503 code=SlowDown
- | 1 | InvalidPart.*has failed | PART * 1 1 pretend
- | 1 | InvalidPart.*has failed | PART * 1 1 etag=0123456789abcdef
- | 1 | AccessDenied.*its parts stay in the bucket.*has failed | PART * 2 - status=403 code=AccessDenied;ABORT * 1 - status=403 code=AccessDenied
1 | 0 | is complete | COMPLETE * 1 2 status=200 code=InternalError
1 | 0 | is complete | COMPLETE * 1 1 done status=200 code=InternalError
1 | 0 | is complete | COMPLETE * 1 1 done status=500 code=InternalError
1 | 0 | is complete | COMPLETE * 1 1 close=answer
- | 1 | 200 AccessDenied.*has failed | COMPLETE * 1 - status=200 code=AccessDenied
- | 1 | 200 InternalError.*has failed | COMPLETE * 1 - status=200 code=InternalError
- | 1 | did not say that the upload is complete.*has failed | COMPLETE * 1 - status=200
- | 1 | did not say that the upload is complete.*has failed | COMPLETE * 1 - pretend
1 | 0 | is complete | PUT *files 1 1 done status=500 code=InternalError
- | 1 | AccessDenied.*has failed | PUT *files 1 - status=403 code=AccessDenied
1 | 0 | is complete | PUT *manifest.json 1 1 done status=500 code=InternalError
1 | 0 | is complete | PUT *manifest.json 1 1 close=answer
- | 1 | AccessDenied.*has failed | PUT *manifest.json 1 - status=403 code=AccessDenied
- | 1 | SlowDown.*has failed | PUT *manifest.json 1 - status=503 code=SlowDown
1 | 0 | is complete | LIST * 1 2 status=503 code=SlowDown
1 | 0 | is complete | set page 1
- | 1 | AccessDenied.*has failed | LIST * 1 - status=403 code=AccessDenied
- | 1 | cannot be understood.*has failed | LIST * 1 - status=200
- | 1 | did not arrive.*archive_command | PUT *wal/0* 1 - status=503 code=SlowDown
TABLE
expect_rows 0
