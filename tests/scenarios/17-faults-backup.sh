#!/bin/bash
# goal: base backups in a store that fails: none is called complete that is not, none is restored that is not whole and right
# stores: none
# limit: 420
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

every=6
step "a server that archives to a fault server behind TLS"
authority ca && certificate server ca IP:127.0.0.1
fault_server faults server.pem
objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX
config_write $'connect_timeout = 1\nrequest_timeout = 1\n[basebackup]\nstore_timeout = 3\nwal_timeout = 3\njobs = 2'
cp "$CONFIG" hasty.conf
sed 's/^store_timeout = .*/store_timeout = 30/; s/^wal_timeout = .*/wal_timeout = 30/' hasty.conf >patient.conf
chmod 600 hasty.conf patient.conf
export WALFERRY_CONFIG=$T/patient.conf
server_create main --wal-segsize=1
head -c 17500000 /dev/urandom >main/large # goes in parts of its own
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
- | 1 | there is no walferry repository here | GET *cluster.json 1 - status=404 code=NoSuchKey
- | 1 | cluster.json is damaged | GET *cluster.json 1 - garble
1 | 0 | is complete | PUT *started.json 1 1 done status=500 code=InternalError
- | 1 | AccessDenied.*has failed | PUT *started.json 1 - status=403 code=AccessDenied
1 | 0 | is complete | PUT *main-* 1 1 done status=500 code=InternalError
- | 1 | AccessDenied.*has failed | PUT *main-* 1 - status=403 code=AccessDenied
- | 1 | SlowDown.*has failed | PUT *main-* 2 - status=503 code=SlowDown
- | 1 | not as an S3 store.*has failed | PUT *main-* 1 - status=200
- | 1 | time limit.*has failed | PUT *main-* 1 - hang=upload
- | 1 | AccessDenied.*has failed | CREATE * 1 - status=403 code=AccessDenied
- | 1 | names no upload id.*has failed | CREATE * 1 - status=200
1 | 0 | is complete | PART * 1 2 status=503 code=SlowDown
1 | 0 | is complete | PART * 2 1 done status=500 code=InternalError
1 | 0 | is complete | PART * 1 1 reset=upload
- | 1 | AccessDenied.*has failed | PART * 2 - status=403 code=AccessDenied
- | 1 | InvalidPart.*has failed | PART * 1 1 pretend
- | 1 | AccessDenied.*its parts stay in the bucket.*has failed | PART * 2 - status=403 code=AccessDenied;ABORT * 1 - status=403 code=AccessDenied
# wound: pgbackrest#1290, #1116
1 | 0 | is complete | COMPLETE * 1 2 status=200 code=InternalError
1 | 0 | is complete | COMPLETE * 1 1 done status=200 code=InternalError
- | 1 | 200 AccessDenied.*has failed | COMPLETE * 1 - status=200 code=AccessDenied
- | 1 | 200 InternalError.*has failed | COMPLETE * 1 - status=200 code=InternalError
- | 1 | did not say that the upload is complete.*has failed | COMPLETE * 1 - pretend
# wound: Ceph completes an upload over what is there, so "is there anything?" must be answered
- | 1 | could not look for .*main-[0-9]*": HTTP 403.*has failed | HEAD *main-* 1 - status=403 code=AccessDenied
- | 1 | could not look for .*has failed | HEAD *main-* 1 - reset=answer
1 | 0 | is complete | HEAD *main-* 1 1 status=503 code=SlowDown
1 | 0 | is complete | HEAD *main-* 1 1 status=400 code=ExpiredToken;GET *main-* 1 1 status=400 code=ExpiredToken # keys are renewed by the code in a body
# wound: barman#1064, CNPG#7715
1 | 0 | is complete | set checksums refused
1 | 0 | is complete | PUT *files 1 1 done status=500 code=InternalError
1 | 0 | is complete | PUT *files 1 1 reset=upload
- | 1 | AccessDenied.*has failed | PUT *files 1 - status=403 code=AccessDenied
1 | 0 | is complete | PUT *manifest.json 1 1 done status=500 code=InternalError
- | 1 | AccessDenied.*has failed | PUT *manifest.json 1 - status=403 code=AccessDenied
- | 1 | started.json.*has been removed.*has failed | PUT *started.json 1 1 pretend
- | 1 | main-.*has been removed.*has failed | PUT *main-* 1 1 pretend
- | 1 | files.*has been removed.*has failed | PUT *files 1 1 pretend
- | 1 | AccessDenied.*has failed | LIST *base* 1 - status=403 code=AccessDenied
- | 1 | SlowDown.*has failed | LIST *base* 2 - status=503 code=SlowDown
1 | 0 | is complete | set page 1
- | 1 | AccessDenied.*has failed | LIST * 1 - status=403 code=AccessDenied
- | 1 | cannot be understood.*has failed | LIST * 1 - status=200
- | 1 | did not arrive.*archive_command | PUT *wal/0* 1 - status=503 code=SlowDown
TABLE

# An earlier backup failed at its very end, so that all its parts are stored.
resume_row() { # COUNT STATUS MESSAGE LINES
    rm -rf "$objects/main/$system/base" state
    choose_config -
    script "PUT *files 1 - status=403 code=AccessDenied"
    expect_status 1 basebackup-push --checkpoint=fast --jobs 1
    choose_config "$1"
    script "${4//;/$'\n'}"
    expect_status "$2" basebackup-push --checkpoint=fast
    says "$3"
    if [ "$2" = 0 ]; then list_is 1; else list_is 0; fi
    [ "$2" = 1 ] || restores_all
}
restores_all() { # also by hand: no part is there twice
    rm -rf copy by.hand && mkdir by.hand
    expect_status 0 basebackup-fetch --quiet -D "$T/copy"
    expect_status 0 pg_verifybackup -n -q copy
    cat "$(dirname "$(find "$objects" -name manifest.json)")"/main-* | lz4 -dc | tar -xpif - -C by.hand
    expect_status 0 pg_verifybackup -n -q by.hand
}
step "going on from a backup that failed"
mkdir main/quiet # the second of these has a part of its own, so that no file that changes is in it
for i in 1 2; do head -c 15000000 /dev/urandom >main/quiet/$i; done
table resume_row <<'TABLE'
# COUNT | status | message | script
1 | 0 | [1-9][0-9]* of [0-9]+ parts of backup .* are taken over | # all is well
1 | 0 | [1-9][0-9]* of [0-9]+ parts of backup .* are taken over | COPY * 1 1 status=200 code=InternalError
1 | 0 | [1-9][0-9]* of [0-9]+ parts of backup .* are taken over | COPY * 1 1 done status=500 code=InternalError
1 | 0 | AccessDenied.*nothing more is taken over | COPY * 1 - status=403 code=AccessDenied
1 | 0 | AccessDenied.*nothing more is taken over | COPY * 1 - status=200 code=AccessDenied
1 | 0 | nothing more is taken over | COPY * 1 - done pretend
1 | 0 | nothing more is taken over.* 0 of [0-9]+ parts | COPY * 1 - done status=403 code=AccessDenied
1 | 0 | 0 of [0-9]+ parts of backup .* are taken over | GET *main-* 1 - status=404 code=NoSuchKey
1 | 0 | not known any more in repository | GET *started.json 1 - status=404 code=NoSuchKey
1 | 0 | nothing more is taken over | COPY * 1 - status=403 code=AccessDenied;DELETE * 1 - status=403 code=AccessDenied
1 | 0 | AccessDenied.*may have stayed in the folder of backup .*Remove it before | COPY * 1 - done status=403 code=AccessDenied;DELETE * 1 - status=403 code=AccessDenied
TABLE
late() { # the store makes a copy when the backup has given it up and sends other parts
    local push copy
    rm -rf "$objects/main/$system/base" state
    script "PUT *files 1 - status=403 code=AccessDenied"
    expect_status 1 basebackup-push --checkpoint=fast --jobs 1
    script "COPY * 1 - status=403 code=AccessDenied"
    basebackup-push --checkpoint=fast --jobs 1 >push.log 2>&1 &
    push=$!
    wait_until 30 "other parts" grep -q "^PUT [^ ]*/main-" faults/requests
    kill -STOP $push
    expect_requests 0 "PUT [^ ]*/files "
    copy=$(sed -n 's/^COPY \([^ ]*\) .*/\1/p' faults/requests | head -1)
    echo old >"$T/faults/objects/$S3_BUCKET/$copy"
    kill -CONT $push
    wait $push || fail "the backup failed: $(cat push.log)"
    expect_absent "$T/faults/objects/$S3_BUCKET/$copy"
    restores_all
}
row "a copy that is made late" late
rm -r main/quiet

# ---- basebackup-push: the WAL that it holds comes from the server where the repository can't be read

unreadable() {
    local push
    rm -rf "$objects/main/$system/base" state
    sed 's/^store_timeout = .*/store_timeout = 3/' patient.conf >wal.conf && chmod 600 wal.conf
    sql main "alter system set max_replication_slots = 0" "alter system set max_wal_senders = 0" # else nothing is asked for
    server_stop main && server_start main
    script "GET *wal/0* 1 - status=503 code=SlowDown"
    basebackup-push --config "$T/wal.conf" --checkpoint=fast --wal=include --max-rate 10MB >push.log 2>&1 &
    push=$!
    wait_until 30 "the backup to begin" grep -q "begins at" push.log
    kill -STOP $push
    for _ in 1 2 3; do sql main "create table w ()" "drop table w" "select pg_switch_wal()" >/dev/null; done
    kill -CONT $push
    wait $push || fail "the backup failed: $(cat push.log)"
    sql main "alter system reset all"
    server_stop main && server_start main
    expect_equal "segments that were asked for" 1 "$(sed -n 's/^GET \([^ ]*wal\/0[^ ]*\) .*/\1/p' faults/requests | sort -u | wc -l)"
    list_is 1
    expect_status 0 basebackup-fetch --quiet -D "$T/whole"
    expect_true "segments are in it" test "$(find whole/pg_wal -name '0*' | wc -l)" -ge 4
    expect_status 0 pg_verifybackup whole
    rm -rf whole
}
row "WAL can't be read" unreadable

# ---- basebackup-push: temporary keys that are renewed while it runs

renewed() { # wound: wal-g#2297, #1810
    local push
    renew() { # TOKEN
        printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" "$1" >renewed
        chmod 600 renewed && mv renewed credentials
    }
    rm -rf "$objects/main/$system/base"
    sed "/^secret_key/d; s|^access_key.*|credentials_file = $T/credentials|" patient.conf >renewed.conf && chmod 600 renewed.conf
    secret_place private:credentials
    renew first
    script "set token first" "PART * 1 - hang=upload"
    basebackup-push --config "$T/renewed.conf" --checkpoint=fast >push.log 2>&1 &
    push=$!
    wait_until 30 "a part that hangs" grep -q "^PART" faults/requests
    renew second
    script "set token second"
    wait $push || fail "the backup failed: $(cat push.log)"
    expect_requests 1+ "PART [^ ]* 400 " # with the first one
    list_is 1
}
row "the session token expires in the middle" renewed

# ---- basebackup-push: its folder is taken for garbage before it is complete

removed() { # FILES WHEN: of the folder; in the wait for WAL, or when the index is stored
    local push folder
    rm -rf "$objects/main/$system/base"
    WALFERRY_CONFIG=$T/patient.conf
    script
    expect_status 0 basebackup-push --checkpoint=fast
    folder=$(ls "$objects/main/$system/base")
    [ "$2" = waiting ] || script "PUT *files 1 1 delay=2000"
    [ "$2" != waiting ] || sql main "alter system set archive_command = 'false'" "select pg_reload_conf()" >/dev/null
    basebackup-push --checkpoint=fast >push.log 2>&1 &
    push=$!
    if [ "$2" = waiting ]; then
        wait_until 30 "the wait" grep -q "waiting for WAL segment" push.log
    else
        wait_until 30 "the index" grep -q "^PUT [^ ]*/files .*fault=" faults/requests
    fi
    (cd "$objects/main/$system/base" && rm -r -- $(ls -d -- [!.]*/$1 | grep -v "^$folder/"))
    sql main "alter system reset archive_command" "select pg_reload_conf()" >/dev/null
    if wait $push; then fail "it succeeded: $(cat push.log)"; fi
    expect_true "it says so" grep -q "was stored, and has been removed or changed meanwhile: the backup is not completed" push.log
    expect_equal "manifests" "$folder" "$(cd "$objects/main/$system/base" && ls -d -- */manifest.json | cut -d/ -f1)"
    [ "$2" = storing ] || expect_equal "indexes" "$folder" "$(cd "$objects/main/$system/base" && ls -d -- */files | cut -d/ -f1)"
    list_is 1
    expect_output "$folder"
    expect_status 0 basebackup-push --checkpoint=fast # what the interrupted one has left misleads nobody
    expect_status 0 basebackup-verify --full
}
for files in '*' started.json main-00000001; do
    row "$files gone while WAL is waited for" removed "$files" waiting
    row "$files gone while the index is stored" removed "$files" storing
done

# ---- basebackup-push: a part that is lost later; a restore notices

lost() {
    rm -rf "$objects/main/$system/base"
    WALFERRY_CONFIG=$T/patient.conf
    script
    expect_status 0 basebackup-push --checkpoint=fast
    rm "$objects/main/$system/base"/*/main-00000001
    expect_status 1 basebackup-fetch -D "$T/restored"
    says "is missing.*is incomplete"
    rm -rf restored
}
row "a part is lost when the backup is complete" lost
[ ${#wrong_rows[@]} = 0 ] || expect_rows "$rows"

# ---- basebackup-list and basebackup-fetch

step "two backups to be restored"
script
rm -rf "$objects/main/$system/base"
WALFERRY_CONFIG=$T/patient.conf
expect_status 0 basebackup-push --checkpoint=fast
expect_status 0 basebackup-push --checkpoint=fast
list_is 2
id=$(grep -o '"id": *"[^"]*' <<<"$output" | tail -1 | cut -d'"' -f4)
large=$(cd "$objects/main/$system/base/$id" && find . -size +16M -printf '%P\n')
server_stop main
list_row() { # COUNT STATUS MESSAGE LINES
    choose_config "$1"
    script "${4//;/$'\n'}"
    expect_status "$2" basebackup-list
    says "$3"
}
# What fails has no control file under any name, so no server starts in it.
fetch_row() { # COUNT STATUS MESSAGE LINES
    rm -rf restored
    cp "$T/../faults/objects/$S3_BUCKET/$S3_PREFIX/main/$system/base/$id/$large" "$objects/main/$system/base/$id/"
    choose_config "$1"
    script "${4//;/$'\n'}"
    expect_status "$2" basebackup-fetch -D "$T/restored" --backup "$id"
    says "$3"
    if [ "$2" = 0 ]; then
        expect_same "a file" "$T/../main/large" restored/large
        expect_status 0 pg_verifybackup -n -q restored
    else
        expect_equal "control files" "" "$(find restored -name pg_control 2>/dev/null || true)"
    fi
}
reading() { # with a copy of the store, and a server of its own
    fault_server faults ../server.pem
    objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX
    cp -r "$T/../faults/objects/$S3_BUCKET/$S3_PREFIX" "$T/faults/objects/$S3_BUCKET/"
    for one in hasty patient; do
        sed "s!^endpoint = .*!endpoint = $S3_ENDPOINT!" "$T/../$one.conf" >$one.conf
        chmod 600 $one.conf
    done
    step "basebackup-list"
    table list_row <<'TABLE'
# COUNT | status | message | script
1 | 0 | - | # all is well
1 | 0 | - | set page 1
1 | 0 | - | GET *manifest.json 1 2 status=503 code=SlowDown
1 | 0 | - | GET *manifest.json 1 1 close=middle
- | 1 | AccessDenied | GET *manifest.json 2 - status=403 code=AccessDenied
- | 1 | SlowDown | GET *manifest.json 2 - status=503 code=SlowDown
- | 1 | HTTP 404 | GET *manifest.json 1 - status=404
- | 1 | has been deleted | GET *manifest.json 1 - status=404 code=NoSuchKey header=x-amz-delete-marker:true
- | 1 | manifest.json.* is damaged | GET *manifest.json 1 - garble
- | 1 | manifest.json.* is damaged | GET *manifest.json 1 - status=200
- | 1 | manifest.json.* is damaged | GET *manifest.json 1 - length=-7
- | 1 | time limit | GET *manifest.json 1 - hang=middle
- | 1 | SlowDown | LIST * 1 - status=503 code=SlowDown
- | 1 | AccessDenied | LIST * 1 - status=403 code=AccessDenied
- | 1 | cannot be understood | LIST * 1 - status=200
- | 1 | cannot be understood | LIST * 1 - length=-40
# the second page is refused
- | 1 | SlowDown | set page 1;LIST * 2 - status=503 code=SlowDown
TABLE
    asks_little() { # wound: pgbackrest#2351, #2828
        WALFERRY_CONFIG=$T/patient.conf
        script
        expect_status 0 basebackup-list
        expect_equal "requests, however much WAL there is" "GET cluster.json,LIST $system/notes/,LIST $system/base/,GET manifest.json,GET manifest.json,LIST $system/reports/" \
            "$(cut -d' ' -f1,2 faults/requests | sed "s|$S3_PREFIX/main/||; s|$system/base/[0-9].*/||" | paste -sd,)"
    }
    row "it asks for the backups and what is noted of them, and for nothing else" asks_little
    step "basebackup-fetch"
    table fetch_row <<TABLE
# COUNT | status | message | script
1 | 0 | is restored | # all is well
1 | 0 | is restored | GET * 1 2 status=503 code=SlowDown
- | 1 | SlowDown | GET *cluster.json 1 - status=503 code=SlowDown
- | 1 | there is no walferry repository here | GET *cluster.json 1 - status=404 code=NoSuchKey
- | 1 | cluster.json is damaged | GET *cluster.json 1 - garble
- | 1 | AccessDenied | LIST * 1 - status=403 code=AccessDenied
- | 1 | manifest.json.* is damaged.*no complete backup | GET *$id/manifest.json 1 - garble
- | 1 | AccessDenied | GET *$id/manifest.json 1 - status=403 code=AccessDenied
- | 1 | no complete backup | GET *$id/manifest.json 1 - status=404 code=NoSuchKey
- | 1 | AccessDenied | GET *$id/files 1 - status=403 code=AccessDenied
- | 1 | index .* is missing | GET *$id/files 1 - status=404 code=NoSuchKey
- | 1 | HTTP 404 | GET *$id/files 1 - status=404
- | 1 | files is damaged | GET *$id/files 1 - garble
- | 1 | files is damaged | GET *$id/files 1 - length=-7
1 | 0 | is restored | GET *$id/files 1 2 close=middle
- | 1 | AccessDenied.*is incomplete.*no server can be started | GET *$id/main-* 1 - status=403 code=AccessDenied
# wound: wal-g#1323, #1263, #655
- | 1 | is missing.*is incomplete | GET *$id/main-* 1 - status=404 code=NoSuchKey
- | 1 | has been deleted.*is incomplete | GET *$id/main-* 2 - status=404 code=NoSuchKey header=x-amz-delete-marker:true
- | 1 | HTTP 404.*is incomplete | GET *$id/main-* 1 - status=404
- | 1 | SlowDown.*is incomplete | GET *$id/main-* 2 - status=503 code=SlowDown
- | 1 | damaged.*is incomplete | GET *$id/main-* 1 - garble
- | 1 | damaged.*is incomplete | GET *$id/main-* 1 - status=200
- | 1 | damaged.*is incomplete | GET *$id/main-* 1 - length=-7
- | 1 | time.*is incomplete | GET *$id/$large 1 - hang=middle
1 | 0 | is restored | GET *$id/main-* 1 2 status=503 code=SlowDown
# wound: pgbackrest#842, wal-g#63, barman#1100
1 | 0 | is restored | GET *$id/$large 1 3 close=middle
1 | 0 | is restored | GET *$id/$large 1 1 hang=middle
1 | 0 | is restored | GET *$id/$large 1 2 reset=middle
# wound: pgbackrest#2742, #2040, #1650
1 | 0 | is restored | GET *$id/$large 1 1 close=middle;GET *$id/$large 1 2 status=503 code=SlowDown;GET *$id/$large 1 1 status=429
# wound: barman#1064, CNPG#7715
1 | 0 | is restored | set checksums refused
- | 1 | PreconditionFailed.*is incomplete | GET *$id/$large 1 1 close=middle;GET *$id/$large 1 - swap=$T/../main/large
- | 1 | not the range.*is incomplete | set ignore if-match;GET *$id/$large 1 1 close=middle;GET *$id/$large 1 - swap=$T/../main/large
TABLE
    expect_rows 113
}
in_shards 3 reading
