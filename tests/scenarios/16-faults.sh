#!/bin/bash
# goal: whatever an S3 store answers, or does not, no program takes it for what it is not: a table of program x fault
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

# ---- what the rows have in common

set_up() { # a repository in a fault server behind TLS, and two configurations: patient for faults that pass, hasty for the others
    fault_server faults "$S3_CERTIFICATE"
    objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX # what is under the repository's url
    config_write $'connect_timeout = 1\nrequest_timeout = 1\n[wal-push]\ntimeout = 1
[wal-fetch]\ntimeout = 1\nstandby_timeout = 1\nhistory_wait = 1\nswitch_wait = 1\nhole_wait = 0\n[basebackup]\nstore_timeout = 1'
    cp "$CONFIG" hasty.conf
    sed 's/^\(timeout\|standby_timeout\|history_wait\|switch_wait\|store_timeout\) = 1/\1 = 20/' hasty.conf >patient.conf
    chmod 600 hasty.conf patient.conf
    name=$(S 3)
    object=$objects/$(wal_key "$name")
    patient
    fill
    cp "$object" right
    # The segment of another server: the same name, other content.
    mkdir -p copy/pg_wal && cp -r main/global main/PG_VERSION copy/
    cp "main/pg_wal/$name" copy/pg_wal/ && printf other | dd of="copy/pg_wal/$name" bs=1 seek=500000 conv=notrunc status=none
    rm "$object" && (cd copy && expect_status 0 wal-push "pg_wal/$name") && mv "$object" other && cp right "$object"
    bodies
}
fill() { # the repository anew, with segments 1, 2, 3, 5, and 6 on a second timeline
    local one
    bucket_empty
    script
    rm -rf state
    expect_status 0 repository-init
    for one in "$(S 1)" "$(S 2)" "$name" "$(S 5)" 00000002.history "$(S 6 2)"; do push 0 "$one"; done
}
bodies() { # of answers that are not S3's
    head -c 1000000 /dev/urandom >noise
    : >empty
    list '<Name>bucket</Name>' >unfinished
    list '<IsTruncated>true</IsTruncated>' >tokenless
    list "<IsTruncated>false</IsTruncated><Contents><Key>$(S 9)</Key><Size>1</Size></Contents>" >elsewhere
    list '<IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>' >nameless
    printf '<!DOCTYPE a [<!ENTITY b "c">]>%s' "$(list '<IsTruncated>false</IsTruncated>&b;')" >entities
    { printf '<ListBucketResult>' && head -c 9000000 /dev/zero | tr '\0' x; } >endless
}
list() { printf '<ListBucketResult>%s</ListBucketResult>' "$1"; } # INNER
patient() { WALFERRY_CONFIG=$T/patient.conf; }
choose_config() { # COUNT: a fault that is there for ever is not waited for
    patient
    [ "$1" != - ] || WALFERRY_CONFIG=$T/hasty.conf
}
began() { began=$SECONDS; }
in_time() { # COUNT: nothing takes longer than its limit allows
    [ "$1" != - ] || expect_true "within its time limit, not $((SECONDS - began)) s" test $((SECONDS - began)) -le "$(slowly 8)"
}
says() { # MESSAGE, which may stand on two lines; "-": any
    output=${output//$'\n'/ }
    [ "$1" = - ] || expect_output "$1"
}
sums() { find "$objects" -type f -exec sha256sum {} + | sort; }
push() { cd "$T/main" && expect_status "$1" wal-push "pg_wal/$2" && cd "$T"; } # STATUS NAME
# fetch STATUS MODE NAME: MODE is recovery, standby, switch (no signal file, a relative path) or hand (an absolute one).
# Where it fails nothing is left.
fetch() {
    local path=pg_wal/RECOVERYXLOG
    rm -f "$T"/target/*.signal "$T"/target/pg_wal/{RECOVERY*,by.hand}
    case $2 in
    recovery | standby) touch "$T/target/$2.signal" ;;
    hand) path=$T/target/pg_wal/by.hand ;;
    esac
    case $3 in *.history) path=${path/XLOG/HISTORY} ;; esac
    cd "$T/target"
    expect_status "$1" wal-fetch "$3" "$path"
    expect_absent "$path.walferry"
    if [ "$1" = 0 ]; then expect_same "$3" "$T/main/pg_wal/$3" "$path"; else expect_absent "$path"; fi
    rm -f "$path"
    cd "$T"
}

# ---- wal-push

# What is stored afterwards is right or nothing, and the next call, without a fault, succeeds.
push_row() { # COUNT STATUS PUTS STORED MESSAGE ACTIONS
    rm -f "$object"
    choose_config "$1"
    script "PUT *$name 1 $1 $6"
    began
    push "$2" "$name"
    in_time "$1"
    says "$5"
    [ "$2" = 0 ] || says "could not put|was there and is gone"
    expect_requests "$3" "PUT .*$name "
    case $4 in
    yes) expect_same "the object" right "$object" ;;
    no) expect_absent "$object" ;;
    esac
    patient
    script
    push 0 "$name"
    expect_same "the object" right "$object"
}
wal_push_put() {
    step "wal-push: the PUT of a segment" # wound: wal-g#1578, #1590, #1948
    table push_row <<'TABLE'
# COUNT | status | PUTs | stored | message | what the store does
2 | 0 | 3  | yes | - | status=500 code=InternalError
- | 1 | 2+ | no  | 500 InternalError.*tries in | status=500 code=InternalError
2 | 0 | 3  | yes | - | status=503 code=SlowDown
- | 1 | 2+ | no  | 503 SlowDown | status=503 code=SlowDown
2 | 0 | 3  | yes | - | status=503
2 | 0 | 3  | yes | - | status=429 code=TooManyRequests
- | 1 | 2+ | no  | 429 | status=429 code=TooManyRequests header=retry-after:1
2 | 0 | 3  | yes | - | status=408
2 | 0 | 3  | yes | - | status=502
2 | 0 | 3  | yes | - | status=504
- | 1 | 1  | no  | 403 AccessDenied.*s3:PutObject | status=403 code=AccessDenied
- | 1 | 1  | no  | 403 InvalidAccessKeyId.*came from | status=403 code=InvalidAccessKeyId
- | 1 | 1  | no  | 403 SignatureDoesNotMatch | status=403 code=SignatureDoesNotMatch
- | 1 | 1  | no  | HTTP 403.*not that of an S3 store | status=403
- | 1 | 1  | no  | NoSuchBucket.*makes no buckets | status=404 code=NoSuchBucket
- | 1 | 1  | no  | NoSuchKey | status=404 code=NoSuchKey
- | 1 | 1  | no  | HTTP 404.*not that of an S3 store | status=404
- | 1 | 1  | no  | 405 MethodNotAllowed | status=405 code=MethodNotAllowed
2 | 0 | 3  | yes | - | status=409 code=ConditionalRequestConflict
- | 1 | 2+ | no  | 409 ConditionalRequestConflict | status=409 code=ConditionalRequestConflict
2 | 0 | 3  | yes | - | status=409 code=OperationAborted
- | 1 | 1  | no  | was there and is gone | status=412 code=PreconditionFailed
- | 1 | 1  | no  | 501 NotImplemented.*--probe | status=501 code=NotImplemented
- | 1 | 2  | no  | region "elsewhere-1".*AuthorizationHeaderMalformed | status=301 code=PermanentRedirect header=x-amz-bucket-region:elsewhere-1
- | 1 | 1  | no  | 301 PermanentRedirect.*check region | status=301 code=PermanentRedirect region=test-1
- | 1 | 1  | no  | 301 | status=301 code=PermanentRedirect region=a/b.c
- | 1 | 2  | no  | AuthorizationHeaderMalformed | status=400 code=AuthorizationHeaderMalformed region=elsewhere-1
- | 1 | 1  | no  | 307 | status=307 code=TemporaryRedirect
- | 1 | 1  | no  | 307 | status=307 code=TemporaryRedirect redirect=http://127.0.0.1:9
- | 1 | 1  | no  | 307 | status=307 code=TemporaryRedirect redirect=https://somebody@127.0.0.1:9
- | 1 | 1  | no  | connect | status=307 code=TemporaryRedirect redirect=https://127.0.0.1:9
2 | 0 | 3  | yes | - | status=400 code=RequestTimeout
2 | 0 | 3  | yes | - | status=400 code=IncompleteBody
2 | 0 | 3  | yes | - | status=400 code=BadDigest
- | 1 | 2+ | no  | BadDigest | status=400 code=BadDigest
- | 1 | 1  | no  | 400 InvalidArgument | status=400 code=InvalidArgument
- | 1 | 1  | no  | HTTP 400.*not that of an S3 store | status=400
1 | 0 | 2  | yes | - | status=400 code=ExpiredToken
- | 1 | 2  | no  | ExpiredToken.*temporary credentials | status=400 code=ExpiredToken
- | 1 | 2  | no  | InvalidToken | status=400 code=InvalidToken
1 | 0 | 2  | yes | clock of this machine | status=403 code=RequestTimeTooSkewed
- | 1 | 2  | no  | RequestTimeTooSkewed.*set the clock | status=403 code=RequestTimeTooSkewed
2 | 0 | 3  | yes | - | status=200 code=InternalError
- | 1 | 2+ | no  | 200 InternalError | status=200 code=InternalError
- | 1 | 2+ | no  | 200 NeverHeardOf | status=200 code=NeverHeardOf
- | 1 | 1  | no  | 200 AccessDenied | status=200 code=AccessDenied
- | 1 | 1  | no  | HTTP 200, but not as an S3 store | status=200
- | 1 | 1  | no  | HTTP 201, but not as an S3 store | status=201
- | 1 | 1  | no  | HTTP 204, but not as an S3 store | status=204
- | 1 | 1  | no  | HTTP 302 | status=302 redirect=https://127.0.0.1:9
2 | 0 | 3  | yes | - | reset=start
- | 1 | 2+ | no  | reset|send|SSL | reset=start
2 | 0 | 3  | yes | - | close=start
2 | 0 | 3  | yes | - | reset=upload
- | 1 | 2+ | no  | reset|send|SSL | reset=upload
2 | 0 | 3  | yes | - | close=upload
1 | 0 | 2  | yes | - | hang=upload
- | 1 | 1+ | no  | time | hang=upload
# stored, but the answer is lost: the second try finds it there and sees that it is the same
1 | 0 | 2  | yes | - | reset=answer
1 | 0 | 2  | yes | - | close=answer
1 | 0 | 2  | yes | - | reset=headers length=9
1 | 0 | 2  | yes | - | hang=answer
- | 1 | 2+ | yes | reset | reset=answer
- | 1 | 1+ | yes | time | hang=answer
- | 1 | 1+ | yes | time | hang=headers length=9
1 | 0 | 2  | yes | - | done status=500 code=InternalError
- | 1 | 2+ | yes | 500 InternalError | done status=500 code=InternalError
1 | 0 | 2  | yes | - | done status=200 code=InternalError
- | 1 | 1  | yes | AccessDenied | done status=403 code=AccessDenied
1 | 0 | 2  | yes | - | done status=409 code=ConditionalRequestConflict
1 | 0 | 1+ | yes | - | reset=end
9 | 0 | 1  | yes | - | close=end
# an ETag is opaque
9 | 0 | 1  | yes | - | etag=0123456789abcdef
# the one lie that no request can see through: checked by whoever reads (docs/reliability.md)
1 | 0 | 1  | no  | - | pretend
TABLE
    signed_row() { # each try takes a second at least, so each has a time of its own
        patient
        rm -f "$object"
        script "PUT *$name 1 2 hang=upload"
        push 0 "$name"
        expect_equal "times at which its three tries were signed" 3 "$(sed -n "s/^PUT .*$name .* signed=\([0-9TZ]*\).*/\1/p" faults/requests | sort -u | wc -l)"
    }
    row "a try is signed anew" signed_row # wound: pgbackrest#2711, #2556, #2792
}

# With nothing remembered, and the key taken if THERE is "same" or "other": what is stored stays as it is.
ask_row() { # OPERATION KEY COUNT STATUS THERE MESSAGE ACTIONS
    case $5 in
    same) cp right "$object" ;;
    other) cp other "$object" ;;
    no) rm -f "$object" ;;
    esac
    sums >before
    rm -rf state
    choose_config "$3"
    script "$1 *$2 1 $3 $7"
    began
    push "$4" "$name"
    in_time "$3"
    says "$6"
    if [ "$5$4" = no0 ]; then
        expect_same "the object" right "$object"
    else
        sums >now
        expect_same "what is stored" before now
    fi
}
wal_push_questions() {
    step "wal-push: what it asks before and after"
    table ask_row <<'TABLE'
# request | key | COUNT | status | there | message | what the store does
GET | cluster.json | 2 | 0 | no | - | status=503 code=SlowDown
GET | cluster.json | - | 1 | no | cluster.json.*503 SlowDown | status=503 code=SlowDown
GET | cluster.json | - | 1 | no | cluster.json.*AccessDenied.*s3:ListBucket | status=403 code=AccessDenied
GET | cluster.json | - | 1 | no | NoSuchBucket | status=404 code=NoSuchBucket
GET | cluster.json | - | 1 | no | there is no walferry repository here.*repository-init | status=404 code=NoSuchKey
GET | cluster.json | - | 1 | no | has been deleted | status=404 code=NoSuchKey header=x-amz-delete-marker:true
GET | cluster.json | - | 1 | no | HTTP 404.*not that of an S3 store | status=404
GET | cluster.json | - | 1 | no | cluster.json is damaged | status=200
GET | cluster.json | - | 1 | no | cluster.json is damaged | garble
GET | cluster.json | - | 1 | no | cluster.json is damaged | length=-7
GET | cluster.json | 1 | 0 | no | - | close=middle
GET | cluster.json | - | 1 | no | time limit | hang=middle
# the duplicate's trailer
GET | 000000003 | 9 | 0 | same | - | drip=1000000
GET | 000000003 | 2 | 0 | same | - | status=500 code=InternalError
GET | 000000003 | - | 1 | same | 500 InternalError | status=500 code=InternalError
GET | 000000003 | - | 1 | same | 403 AccessDenied.*s3:GetObject | status=403 code=AccessDenied
GET | 000000003 | - | 1 | same | was there and is gone | status=404 code=NoSuchKey
GET | 000000003 | - | 1 | same | HTTP 404.*not that of an S3 store | status=404
GET | 000000003 | - | 1 | same | damaged.*nothing is overwritten | garble
GET | 000000003 | - | 1 | same | damaged.*nothing is overwritten | status=200
GET | 000000003 | - | 1 | same | no sensible range | status=206
GET | 000000003 | 1 | 0 | same | - | reset=middle
GET | 000000003 | - | 1 | same | disagree | length=-24
GET | 000000003 | - | 1 | other | with other content, which stays | drip=1000000
GET | 000000003 | - | 1 | other | 503 SlowDown | status=503 code=SlowDown
GET | 000000003 | - | 1 | other | was there and is gone | status=404 code=NoSuchKey
TABLE
    cp right "$object"
}

# count_row STATUS REQUESTS COMMAND...: all is well; the requests in their order, as in "1 GET,2 PUT"
count_row() {
    local requests=$2
    patient
    script
    expect_status "$1" "${@:3}"
    expect_equal "requests" "$requests" "$(cut -d' ' -f1 faults/requests | uniq -c | sed 's/^ *//' | paste -sd,)"
}
stranger_row() { # SCRIPT PATTERN
    script ${1:+"$1"}
    expect_status 1 wal-push --config "$T/loose.conf" "loose/pg_wal/$(S 8)"
    expect_output "$2"
    expect_equal "says that it is another's" "$([ -n "$1" ] || echo 1)" "$(grep -c "home of another cluster" <<<"$output" | grep -vx 0 || true)"
    expect_requests 1 "GET .*cluster.json"
    expect_requests 0 PUT
}
wal_push_costs() {
    step "wal-push: requests when all is well" # wound: wal-g#456, #892, barman#1018, plugin-barman-cloud#656, CNPG#10561
    rm -rf state
    row "the first one asks for cluster.json" count_row 0 "1 GET,1 PUT" wal-push "main/pg_wal/$(S 4)"
    patient && script && push 0 "$(S 5)" # remembers it, in every shard
    mkdir -p loose/pg_wal # a segment of a cluster that is not at home there
    cp "main/pg_wal/$(S 8)" loose/pg_wal/
    printf x | dd of="loose/pg_wal/$(S 8)" bs=1 seek=24 conv=notrunc status=none
    sed '/^pgdata/d' "$CONFIG" >loose.conf && chmod 600 loose.conf
    row "another cluster's: what is remembered is asked for again before it is refused" stranger_row "" "home of another cluster"
    row "and where that cannot be asked for, nothing is known" stranger_row "GET *cluster.json 1 - status=403 code=AccessDenied" "AccessDenied"
    row "a new segment is one PUT" count_row 0 "1 PUT" wal-push "main/pg_wal/$(S 7)"
    row "a duplicate is a PUT and a GET" count_row 0 "1 PUT,1 GET" wal-push "main/pg_wal/$name"
    row "so is a history file's" count_row 0 "1 PUT,1 GET" wal-push main/pg_wal/00000002.history
    row "other content, too" count_row 1 "1 PUT,1 GET" wal-push "copy/pg_wal/$name"
    step "wal-push and wal-fetch: a store that knows no checksum headers" # wound: barman#1064, CNPG#7715
    plain_row() {
        patient
        rm -f "$object"
        script "set checksums refused"
        push 0 "$name"
        expect_same "the object" right "$object"
        fetch 0 recovery "$name"
    }
    row "neither sends one" plain_row
    fill
}

# bucket_row PROBED NOW WHAT STATUS MESSAGE: what the script says when repository-init probes, and afterwards (";" between
# lines); WHAT is pushed: new, same, other
bucket_row() {
    local already=no
    patient
    bucket_empty
    rm -rf state
    script "${1//;/$'\n'}"
    expect_status 0 repository-init
    [ "$3" = new ] || { push 0 "$name"; already=yes; }
    script "${2//;/$'\n'}"
    cd main
    [ "$3" != other ] || cd ../copy
    expect_status "$4" wal-push "pg_wal/$name"
    cd "$T"
    says "$5"
    if [ "$already$4" = no1 ]; then expect_absent "$object"; else expect_same "the object" right "$object"; fi
}
wal_push_buckets() {
    local probed plain='set condition honoured' versions='set versions on' ceph='set versions on;set condition ignored'
    local swift='set condition refused;set completion refused' careless='set condition ignored'
    step "wal-push: buckets that treat If-None-Match and versions in their own ways"
    for probed in "$plain" "$versions" "$ceph" "$swift" "$careless"; do
        row "$probed: a new segment" bucket_row "$probed" "$probed" new 0 -
        row "$probed: the same again" bucket_row "$probed" "$probed" same 0 -
        row "$probed: other content" bucket_row "$probed" "$probed" other 1 "with other content"
    done
    table bucket_row <<TABLE
# settings when it was probed | now | what is pushed | status | message
$plain | $versions | new | 0 | -
$plain | $versions | other | 1 | with other content
$plain | $versions;VERSIONS * 1 2 status=503 code=SlowDown | new | 0 | -
$plain | $swift | same | 1 | 501 NotImplemented.*--probe
$plain | set lock on | new | 0 | takes nothing without a checksum.*checksum = sha256
$versions | $ceph | new | 0 | -
$ceph | $ceph;VERSIONS * 1 2 status=503 code=SlowDown | new | 0 | -
$ceph | $ceph;VERSIONS * 1 2 status=200 code=InternalError | new | 0 | -
# what was said to be stored is looked for, and missed
$careless | $careless;PUT *$name 1 - pretend | new | 1 | is not there|is gone
$swift | $swift;PUT *$name 1 - pretend | new | 1 | is not there|is gone
$ceph | $ceph;PUT *$name 1 - pretend | new | 1 | is not there|is gone
TABLE
    fill
}

# ---- wal-fetch

fetch_row() { # COUNT RECOVERY STANDBY GETS MESSAGE ACTIONS
    local mode status
    choose_config "$1"
    for mode in recovery standby; do
        status=$2
        [ $mode = recovery ] || status=$3
        script "GET *$name 1 $1 $6"
        began
        fetch "$status" $mode "$name"
        in_time "$1"
        says "$5"
        expect_requests "$4" "GET .*$name "
    done
    [ "$2" != 0 ] || return 0
    script
    fetch 0 recovery "$name"
}
wal_fetch_get() {
    step "wal-fetch: a segment that is there, in recovery and on a standby" # wound: wal-g#1126, #1195, barman#1193, #438, cnpg-plugin-pgbackrest#105, CNPG#11540
    table fetch_row <<'TABLE'
# COUNT | in recovery | on a standby | GETs | message | what the store does
2 | 0 | 0 | 3 | - | status=500 code=InternalError
- | 200 | 1 | 2+ | 500 InternalError | status=500 code=InternalError
2 | 0 | 0 | 3 | - | status=503 code=SlowDown
- | 200 | 1 | 2+ | 503 SlowDown | status=503 code=SlowDown
2 | 0 | 0 | 3 | - | status=429
2 | 0 | 0 | 3 | - | status=408 code=RequestTimeout
2 | 0 | 0 | 3 | - | status=502
2 | 0 | 0 | 3 | - | status=504
- | 200 | 1 | 1 | 403 AccessDenied.*s3:ListBucket | status=403 code=AccessDenied
- | 200 | 1 | 1 | HTTP 403.*not that of an S3 store | status=403
- | 200 | 1 | 1 | InvalidAccessKeyId | status=403 code=InvalidAccessKeyId
- | 200 | 1 | 1 | SignatureDoesNotMatch | status=403 code=SignatureDoesNotMatch
- | 200 | 1 | 1 | InvalidObjectState.*Glacier | status=403 code=InvalidObjectState
- | 200 | 1 | 1 | NoSuchBucket | status=404 code=NoSuchBucket
- | 200 | 1 | 1 | HTTP 404.*not that of an S3 store | status=404
- | 200 | 1 | 1 | NoSuchVersion | status=404 code=NoSuchVersion
- | 200 | 1 | 1 | NoSuchUpload | status=404 code=NoSuchUpload
- | 200 | 1 | 1 | NotFound | status=404 code=NotFound
- | 200 | 1 | 1 | has been deleted.*delete marker | status=404 code=NoSuchKey header=x-amz-delete-marker:true
- | 200 | 1 | 1 | has been deleted.*delete marker | status=404 header=x-amz-delete-marker:true
- | 200 | 1 | 1 | has been deleted | status=405 code=MethodNotAllowed header=x-amz-delete-marker:true
- | 200 | 1 | 1 | NoSuchKey | status=410 code=NoSuchKey
- | 200 | 1 | 1 | NoSuchKey | status=403 code=NoSuchKey
- | 200 | 1 | 1 | damaged | status=200 code=NoSuchKey
- | 200 | 1 | 1 | HTTP 304 | status=304
- | 200 | 1 | 1 | InvalidRange | status=416 code=InvalidRange
- | 200 | 1 | 1 | PreconditionFailed | status=412 code=PreconditionFailed
2 | 0 | 0 | 3 | - | status=409 code=ConditionalRequestConflict
- | 200 | 1 | 2 | AuthorizationHeaderMalformed | status=301 code=PermanentRedirect header=x-amz-bucket-region:elsewhere-1
- | 200 | 1 | 1 | 301 | status=301 code=PermanentRedirect
- | 200 | 1 | 1 | 307 | status=307 code=TemporaryRedirect
- | 200 | 1 | 1 | 307 | status=307 code=TemporaryRedirect redirect=http://127.0.0.1:9
1 | 0 | 0 | 2 | - | status=400 code=ExpiredToken
- | 200 | 1 | 2 | ExpiredToken | status=400 code=ExpiredToken
1 | 0 | 0 | 2 | - | status=403 code=RequestTimeTooSkewed
- | 200 | 1 | 2 | RequestTimeTooSkewed | status=403 code=RequestTimeTooSkewed
- | 200 | 1 | 1 | damaged | status=200 code=InternalError
- | 200 | 1 | 1 | damaged.*shorter | status=200
- | 200 | 1 | 1 | damaged | status=200 body=noise
- | 200 | 1 | 1 | no sensible range | status=206
- | 200 | 1 | 1 | HTTP 204 | status=204
# the bytes
- | 200 | 1 | 1 | damaged | garble
- | 200 | 1 | 1 | damaged | length=-100
- | 200 | 1 | 1 | damaged | length=-1040000
1 | 200 | 1 | 2 | InvalidRange|not the range | length=100
2 | 0 | 0 | 3 | - | reset=start
- | 200 | 1 | 2+ | reset | reset=answer
2 | 0 | 0 | 3 | - | close=answer
2 | 0 | 0 | 3 | - | reset=headers
2 | 0 | 0 | 3 | - | close=headers
2 | 0 | 0 | 3 | - | reset=middle
2 | 0 | 0 | 3 | - | close=middle
- | 200 | 1 | 3+ | tries in | close=middle
1 | 0 | 0 | 1+ | - | reset=end
9 | 0 | 0 | 1 | - | close=end
9 | 0 | 0 | 1 | - | drip=600000
- | 200 | 1 | 1+ | time limit | drip=1000
1 | 0 | 0 | 2 | - | hang=answer
- | 200 | 1 | 1+ | time | hang=answer
- | 200 | 1 | 1+ | time | hang=headers
1 | 0 | 0 | 2 | - | hang=middle
- | 200 | 1 | 1+ | time | hang=middle
# what an ETag says is compared with ETags only
9 | 0 | 0 | 1 | - | etag=0123456789abcdef
1 | 200 | 1 | 2 | PreconditionFailed | reset=middle etag=0123456789abcdef
TABLE
}

lines_row() { # MODE STATUS NAME MESSAGE LINE...: the lines are the script
    patient
    cp right "$object" # swapped by a row before
    script "${@:5}"
    fetch "$2" "$1" "$3"
    says "$4"
}
wal_fetch_cut() {
    local cut="GET *$name 1 1 close=middle"
    step "wal-fetch: a download that is cut, and goes on" # wound: pgbackrest#842, wal-g#63, barman#1100
    cp "$objects/$(wal_key "$(S 2)")" second
    resumed() {
        lines_row recovery 0 "$name" - "GET *$name 1 3 close=middle"
        expect_requests 3 "GET .* 206 if-match=\"[0-9a-f]{32}\" range=bytes=[0-9]+-[0-9]+"
    }
    row "it goes on where it was cut, with a range and If-Match" resumed
    throttled() { # wound: pgbackrest#2742, #2040, #1650
        lines_row recovery 0 "$name" - "$cut" "GET *$name 1 2 status=503 code=SlowDown" "GET *$name 1 2 status=429 code=TooManyRequests"
        expect_requests 6 "GET .*$name "
        expect_requests 1 "GET .*$name 206 if-match"
    }
    row "the store throttles what is left of it" throttled
    row "the object changes" lines_row recovery 200 "$name" "PreconditionFailed" "$cut" "GET *$name 1 - swap=$T/second"
    row "the object changes, and the store ignores If-Match" lines_row recovery 200 "$name" "damaged|not the range" \
        "set ignore if-match" "$cut" "GET *$name 1 - swap=$T/second"
    row "the same, and it is of the same length" lines_row recovery 200 "$name" "damaged" \
        "set ignore if-match" "$cut" "GET *$name 1 - swap=$T/other"
    row "the store ignores Range" lines_row recovery 200 "$name" "not the range.*header Range" "set ignore range" "$cut"
    row "the object goes" lines_row recovery 200 "$name" "NoSuchKey" "$cut" "GET *$name 1 - status=404 code=NoSuchKey"
    row "the object goes; standby" lines_row standby 1 "$name" "NoSuchKey.*ask again" "$cut" "GET *$name 1 - status=404 code=NoSuchKey"
    cp right "$object"
}

# "Not there" is believed only if each of its requests was answered beyond doubt.
miss_row() { # NAME REQUEST COUNT RECOVERY STANDBY MESSAGE ACTIONS: REQUEST is GET, CLUSTER or LIST
    local mode status asked=$1 line
    case $1 in [0-9]) asked=$(S "$1") ;; esac
    case $2 in
    GET) line="GET *$asked 1 $3 $7" ;;
    CLUSTER) line="GET *cluster.json 1 $3 $7" ;;
    LIST) line="LIST * 1 $3 $7" ;;
    esac
    choose_config "$3"
    for mode in recovery standby; do
        status=$4
        [ $mode = recovery ] || status=$5
        rm -rf state
        script "$line"
        began
        fetch "$status" $mode "$asked"
        in_time "$3"
        if [ $mode = recovery ]; then says "$6"
        elif [ "$7" = "status=404 code=NoSuchKey" ]; then : # to a standby it is a miss like any other
        elif [ "$status$3$2" = 1-GET ] || [ "$status$3$2" = 1-CLUSTER ]; then says "ask again|a promotion now may reuse|not handed over"; fi
    done
}
wal_fetch_miss() {
    step "wal-fetch: what is not there is 1 beyond doubt only"
    table miss_row <<'TABLE'
# file | request | COUNT | in recovery | on a standby | message in recovery | what the store does
7 | GET | 1 | 1 | 1 | the end of the archive | drip=100000
3 | GET | 1 | 0 | 1 | - | status=404 code=NoSuchKey
3 | GET | - | 200 | 1 | is listed, but cannot be got | status=404 code=NoSuchKey
7 | GET | 2 | 1 | 1 | the end of the archive | status=503 code=SlowDown
7 | GET | - | 200 | 1 | SlowDown | status=503 code=SlowDown
7 | GET | - | 200 | 1 | AccessDenied.*ListBucket | status=403 code=AccessDenied
7 | GET | - | 200 | 1 | NoSuchBucket | status=404 code=NoSuchBucket
7 | GET | - | 200 | 1 | HTTP 404 | status=404
7 | GET | - | 200 | 1 | has been deleted | status=404 code=NoSuchKey header=x-amz-delete-marker:true
7 | GET | - | 200 | 1 | NoSuchKey | status=400 code=NoSuchKey
7 | GET | - | 200 | 1 | damaged | status=200
7 | GET | 1 | 1 | 1 | the end of the archive | close=middle
7 | GET | - | 200 | 1 | tries in | close=middle
7 | GET | - | 200 | 1 | HTTP 404.*not that of an S3 store | length=-30
7 | GET | - | 200 | 1 | time limit | hang=middle
7 | CLUSTER | 2 | 1 | 1 | the end of the archive | status=500 code=InternalError
7 | CLUSTER | - | 200 | 1 | 500 InternalError | status=500 code=InternalError
7 | CLUSTER | - | 200 | 1 | AccessDenied | status=403 code=AccessDenied
7 | CLUSTER | - | 200 | 200 | there is no walferry repository here | status=404 code=NoSuchKey
7 | CLUSTER | - | 200 | 1 | NoSuchBucket | status=404 code=NoSuchBucket
7 | CLUSTER | - | 200 | 1 | HTTP 404 | status=404
7 | CLUSTER | - | 200 | 200 | cluster.json is damaged | garble
7 | CLUSTER | - | 200 | 200 | cluster.json is damaged | status=200
7 | CLUSTER | - | 200 | 1 | time limit | hang=headers
7 | LIST | 2 | 1 | 1 | the end of the archive | status=503 code=SlowDown
7 | LIST | - | 200 | 1 | SlowDown | status=503 code=SlowDown
7 | LIST | - | 200 | 1 | AccessDenied.*s3:ListBucket | status=403 code=AccessDenied
7 | LIST | - | 200 | 1 | NoSuchBucket | status=404 code=NoSuchBucket
7 | LIST | - | 200 | 1 | NoSuchKey | status=404 code=NoSuchKey
7 | LIST | - | 200 | 1 | HTTP 404 | status=404
7 | LIST | 2 | 1 | 1 | the end of the archive | status=200 code=InternalError
7 | LIST | - | 200 | 1 | InternalError | status=200 code=InternalError
7 | LIST | - | 200 | 1 | cannot be understood | status=200
7 | LIST | - | 200 | 1 | cannot be understood | length=-20
7 | LIST | - | 200 | 1 | cannot be understood | status=200 body=noise
7 | LIST | - | 200 | 1 | cannot be understood | status=200 body=empty
7 | LIST | - | 200 | 1 | cannot be understood | status=200 body=unfinished
7 | LIST | - | 200 | 1 | cannot be understood | status=200 body=entities
7 | LIST | - | 200 | 1 | but not where | status=200 body=tokenless
7 | LIST | - | 200 | 1 | out of order | status=200 body=elsewhere
7 | LIST | - | 200 | 1 | cannot be understood | status=200 body=nameless
7 | LIST | - | 200 | 1 | longer than | status=200 body=endless
7 | LIST | - | 200 | 1 | tries in | close=middle
7 | LIST | - | 200 | 1 | time | hang=answer
# a history file: a promotion would take its timeline
00000003.history | GET | 2 | 1 | 1 | - | status=503 code=SlowDown
00000003.history | GET | - | 200 | 1 | SlowDown | status=503 code=SlowDown
00000003.history | GET | - | 200 | 1 | AccessDenied | status=403 code=AccessDenied
00000003.history | GET | - | 200 | 1 | HTTP 404 | status=404
00000003.history | GET | - | 200 | 1 | has been deleted | status=404 code=NoSuchKey header=x-amz-delete-marker:true
00000003.history | CLUSTER | - | 200 | 1 | SlowDown | status=503 code=SlowDown
00000003.history | CLUSTER | - | 200 | 200 | there is no walferry repository here | status=404 code=NoSuchKey
TABLE
}

wal_fetch_other_callers() {
    local dead="GET * 1 - status=503 code=SlowDown" damaged="GET * 1 - garble" none="set accept reset" mode
    dead_row() { # MODE STATUS NAME MESSAGE LINE: as lines_row, and within the limit
        choose_config "${5:+-}"
        script "$5"
        began
        fetch "$2" "$1" "$3"
        in_time -
        says "$4"
    }
    have_history() { cp main/pg_wal/00000002.history target/pg_wal/; "$@"; rm target/pg_wal/00000002.history; }
    step "wal-fetch: while the timeline changes, and by hand"
    row "switch: the store is away" dead_row switch 200 00000002.history "do not start this" "$dead"
    row "switch: nobody listens" dead_row switch 200 00000002.history "do not start this" "$none"
    row "switch: damaged" dead_row switch 200 00000002.history "damaged.*do not start this" "$damaged"
    row "switch: no grant" dead_row switch 200 00000002.history "do not start this" "GET * 1 - status=403 code=AccessDenied"
    row "switch: the store is away, pg_wal has it" have_history dead_row switch 1 00000002.history "pg_wal has it" "$dead"
    row "switch: damaged, pg_wal has it" have_history dead_row switch 1 00000002.history "pg_wal has it" "$damaged"
    row "switch: not there" dead_row switch 1 00000003.history - ""
    row "switch: it is there" dead_row switch 0 00000002.history - ""
    row "switch: a segment" dead_row switch 200 "$(S 6 2)" "do not start this" "$dead"
    row "hand: the store is away" dead_row hand 200 "$name" SlowDown "$dead"
    row "hand: damaged" dead_row hand 200 "$name" damaged "$damaged"
    row "hand: it is there" dead_row hand 0 "$name" - ""
    row "hand: not there" dead_row hand 1 "$(S 7)" - ""
    for mode in recovery standby switch hand; do
        row "$mode: 00000001.history needs no store" dead_row $mode 1 00000001.history - "$none"
    done
    rm -f target/*.signal target/pg_wal/*.history
}

wal_fetch_costs() {
    in_target() { # MODE REQUESTS NAME STATUS: in a recovery that has begun
        local status=0
        rm -f target/*.signal
        touch "target/$1.signal"
        printf '%s\n%s\n%s\n' 4711 "$T/target" 1 >target/postmaster.pid
        script
        cd target
        wal-fetch "$3" pg_wal/RECOVERYXLOG || status=$?
        rm -f pg_wal/RECOVERYXLOG
        cd ..
        expect_equal "status" "$4" $status
        expect_equal "requests" "$2" "$(cut -d' ' -f1 faults/requests | uniq -c | sed 's/^ *//' | paste -sd,)"
    }
    costs() { # MODE FIRST-MISS NEXT-MISS MISS-FAR-BEHIND
        patient
        rm -rf state
        in_target "$1" "1 GET" "$name" 0
        in_target "$1" "$2" "$(S 6)" 1
        in_target "$1" "$3" "$(S 6)" 1
        in_target "$1" "$4" "$(S 8)" 1
        in_target "$1" "1 GET" 00000003.history 1
        rm -f target/postmaster.pid
    }
    step "wal-fetch: requests when all is well" # wound: wal-g#456, #892, barman#1018, plugin-barman-cloud#656, CNPG#10561
    # Where the list does not show the segment before, cluster.json is asked for at the end of recovery once more.
    row "recovery: a hit is one GET, the first miss asks for cluster.json too, a miss is a GET and a LIST" \
        costs recovery "2 GET,1 LIST" "1 GET,1 LIST" "1 GET,1 LIST,1 GET"
    row "standby: a hit is one GET, the first miss asks for cluster.json too, a miss is a GET" costs standby "2 GET" "1 GET" "1 GET"
}

# ---- the other programs; ";" between the lines of a script

no_rubbish() { # nothing of a probe, no unfinished upload
    expect_equal "probes left behind" "" "$(find "$objects" -name 'probe-*')"
    expect_equal "uploads left behind" "" "$(find "$T/faults/uploads" -mindepth 1 -type d)"
}
init_row() { # STATUS MESSAGE LINES
    patient
    bucket_empty
    rm -rf faults/uploads/id*
    mkdir "$objects"
    rm -rf state
    script "${3//;/$'\n'}"
    expect_status "$1" repository-init
    says "$2"
    [[ $3 = *DELETE*403* ]] || no_rubbish
    script
    expect_status 0 repository-init
    push 0 "$name"
    expect_same "the object" right "$object"
}
repository_init() {
    step "repository-init"
    table init_row <<'TABLE'
# status | message | script
0 | made | # all is well
0 | made | GET *cluster.json 1 2 status=503 code=SlowDown
1 | AccessDenied.*s3:ListBucket | GET *cluster.json 1 - status=403 code=AccessDenied
1 | HTTP 404.*not that of an S3 store | GET *cluster.json 1 - status=404
1 | has been deleted | GET *cluster.json 1 - status=404 code=NoSuchKey header=x-amz-delete-marker:true
1 | NoSuchBucket.*makes no buckets | GET *cluster.json 1 - status=404 code=NoSuchBucket
1 | cluster.json is damaged | GET *cluster.json 1 - status=200
0 | made | PUT *probe-* 1 2 status=503 code=SlowDown
1 | AccessDenied.*s3:PutObject | PUT *probe-* 1 - status=403 code=AccessDenied
1 | HTTP 200, but not as an S3 store | PUT *probe-* 1 - status=200
0 | takes nothing without a checksum.*made | set lock on
0 | made | PUT *probe-* 1 1 done status=500 code=InternalError
0 | made | PUT *probe-* 2 1 done status=500 code=InternalError
0 | made | PUT *probe-* 1 1 close=answer
0 | left behind | DELETE *probe-* 1 - status=403 code=AccessDenied
0 | made | DELETE *probe-* 1 2 status=503 code=SlowDown
1 | AccessDenied | PUT *cluster.json 1 - status=403 code=AccessDenied
0 | made | PUT *cluster.json 1 2 status=503 code=SlowDown
0 | made | PUT *cluster.json 1 1 done status=500 code=InternalError
0 | made | PUT *cluster.json 1 1 close=answer
0 | made | set region elsewhere-1
0 | made | set clock 7200
0 | made.*note | set condition ignored
0 | made.*note | set versions on;set condition ignored
0 | made | set versions on
TABLE
    fill
}

check_row() { # STATUS MESSAGE LINES
    patient
    find "$objects" -name 'probe-*' -delete # of a row before that went wrong
    rm -rf faults/uploads/id*
    sums >before
    script "${3//;/$'\n'}"
    expect_status "$1" repository-check
    says "$2"
    [ "$1" = 0 ] || expect_output "FAILS"
    [[ $3 = DELETE*403* ]] || no_rubbish
    find "$objects" -name 'probe-*' -delete
    sums >now
    expect_same "what is stored" before now
}
repository_check() {
    step "repository-check"
    table check_row <<'TABLE'
# status | message | script
0 | certificate verified.*writing works.*cannot be overwritten.*reading works.*listing works.*deleting works.*in parts | # all is well
0 | in parts | set page 1
1 | answered 403, not 404.*s3:ListBucket | GET *probe-* 1 1 status=403 code=AccessDenied
1 | there is no bucket | GET *probe-* 1 1 status=404 code=NoSuchBucket
1 | not the answer of an S3 store | GET *probe-* 1 1 status=404
1 | an object that nobody made is there | GET *probe-* 1 1 status=200
1 | is not accepted: HTTP 403 InvalidAccessKeyId | GET *probe-* 1 1 status=403 code=InvalidAccessKeyId
1 | cannot be reached | set accept reset
0 | writing works | GET *probe-* 1 2 status=503 code=SlowDown
1 | writing does not work | PUT *probe-* 1 - status=403 code=AccessDenied
0 | takes nothing without a checksum.*writing works.*in parts | set lock on
0 | writing works | PUT *probe-* 1 2 status=503 code=SlowDown
0 | writing works | PUT *probe-* 1 1 done status=500 code=InternalError
0 | writing works | PUT *probe-* 3 1 done status=500 code=InternalError
1 | reading does not work | GET *probe-* 2 - status=403 code=AccessDenied
1 | reading does not work | GET *probe-* 2 1 garble
1 | a part or the end of an object does not work | set ignore range
1 | listing does not work | LIST * 1 - status=403 code=AccessDenied
1 | listing does not work | LIST * 1 - status=200
1 | listing does not work | LIST * 1 - status=200 body=tokenless
0 | deleting does not work | DELETE *probe-* 1 - status=403 code=AccessDenied
1 | cannot be stored in parts | CREATE * 1 - status=403 code=AccessDenied
1 | cannot be stored in parts | CREATE * 1 - status=200
1 | cannot be stored in parts | PART * 1 - status=403 code=AccessDenied
1 | cannot be stored in parts | PART * 1 - status=200
1 | InvalidPart.*cannot be stored in parts | PART * 1 1 pretend
1 | InvalidPart.*cannot be stored in parts | PART * 2 1 etag=0123456789abcdef
0 | in parts | PART * 1 2 status=500 code=InternalError
0 | in parts | PART * 2 1 reset=upload
0 | in parts | PART * 1 1 done status=503 code=SlowDown
1 | AccessDenied.*cannot be stored in parts | COMPLETE * 1 - status=403 code=AccessDenied
1 | 200 AccessDenied.*cannot be stored in parts | COMPLETE * 1 - status=200 code=AccessDenied
1 | did not say that the upload is complete.*cannot be stored in parts | COMPLETE * 1 - status=200
0 | in parts | COMPLETE * 1 2 status=200 code=InternalError
0 | in parts | COMPLETE * 1 2 status=200
0 | in parts | COMPLETE * 1 2 status=503 code=SlowDown
# done, but the answer was another or got lost: found again by its mark
0 | in parts | COMPLETE * 1 1 done status=500 code=InternalError
0 | in parts | COMPLETE * 1 1 done status=200 code=InternalError
0 | in parts | COMPLETE * 1 1 done status=200
0 | in parts | COMPLETE * 1 1 close=answer
0 | in parts | COMPLETE * 1 1 close=middle
0 | in parts | COMPLETE * 1 1 hang=answer
0 | in parts | COMPLETE * 1 1 status=409 code=ConditionalRequestConflict
1 | cannot be stored in parts | COMPLETE * 1 - status=412 code=PreconditionFailed
1 | NoSuchUpload.*cannot be stored in parts | COMPLETE * 1 - status=404 code=NoSuchUpload
0 | in parts | set completion ignored
0 | in parts | set completion refused
1 | cluster.json cannot be read | GET *cluster.json 1 - status=403 code=AccessDenied
1 | there is no cluster.json | GET *cluster.json 1 - status=404 code=NoSuchKey
1 | cannot be read or is damaged | GET *cluster.json 1 - garble
1 | otherwise than when it was probed.*--probe | set condition ignored
1 | otherwise than when it was probed.*--probe | set versions on
0 | behind the store's: from 900 s | set clock 300
0 | clock of this machine.*behind the store's | set clock 7200
0 | is in region "elsewhere-1" | set region elsewhere-1
TABLE
}

list_row() { # COUNT STATUS MESSAGE LINES
    choose_config "$1"
    script "${4//;/$'\n'}"
    began
    expect_status "$2" basebackup-list
    in_time "$1"
    says "$3"
    [ "$2" = 0 ] || expect_equal "said that there is none" "" "$(grep -o 'no complete' <<<"$output" || true)"
}
basebackup_list() {
    step "basebackup-list, where there is no backup"
    table list_row <<'TABLE'
# COUNT | status | message | script
1 | 0 | There is no complete base backup | # all is well
1 | 0 | There is no complete base backup | LIST * 1 2 status=503 code=SlowDown
- | 1 | SlowDown | LIST * 1 - status=503 code=SlowDown
- | 1 | AccessDenied | LIST * 1 - status=403 code=AccessDenied
- | 1 | HTTP 404 | LIST * 1 - status=404
- | 1 | NoSuchBucket | LIST * 1 - status=404 code=NoSuchBucket
- | 1 | cannot be understood | LIST * 1 - status=200
- | 1 | but not where | LIST * 1 - status=200 body=tokenless
- | 1 | InternalError | LIST * 1 - status=200 code=InternalError
- | 1 | there is no walferry repository here | GET *cluster.json 1 - status=404 code=NoSuchKey
- | 1 | cluster.json is damaged | GET *cluster.json 1 - garble
- | 1 | SlowDown | GET *cluster.json 1 - status=503 code=SlowDown
TABLE
}

# ---- connections, certificates, addresses, clocks

# way_row PUSH RECOVERY MESSAGE SED-SCRIPT [LINE]: with this change of the configuration and this script
way_row() {
    local config=hasty
    [ "$1" != 0 ] || config=patient
    sed -e 's/^timeout = 1$/timeout = 2/' -e "$4" $config.conf >way.conf # 2: for a handshake on a busy machine
    chmod 600 way.conf
    rm -f "$object"
    rm -rf state
    script "${5:-}"
    WALFERRY_CONFIG=$T/way.conf
    began
    push "$1" "$name"
    says "$3"
    if [ "$1" = 0 ]; then expect_same "the object" right "$object"; else expect_absent "$object"; fi
    cp right "$object"
    script "${5:-}"
    fetch "$2" recovery "$name"
    says "$3"
    in_time -
    expect_equal "secrets in the messages" 0 "$(grep -Fc "$S3_SECRET_KEY" <<<"$output" || true)"
}
ways() {
    local right_one=$S3_ENDPOINT right_pid=$server_pid port=${S3_ENDPOINT##*:} plain expired foreign misnamed selfsigned
    step "certificates, connections, addresses, clocks, keys"
    endpoint() { echo "s|^endpoint.*|endpoint = $1|"; } # URL
    fault_server plain && plain=$S3_ENDPOINT
    fault_server expired ../expired.pem && expired=$S3_ENDPOINT
    fault_server foreign ../foreign.pem && foreign=$S3_ENDPOINT
    fault_server misnamed ../misnamed.pem && misnamed=$S3_ENDPOINT
    fault_server selfsigned ../selfsigned.pem && selfsigned=$S3_ENDPOINT
    S3_ENDPOINT=$right_one server_pid=$right_pid
    head -c 1000 noise >garbage.pem
    table way_row <<TABLE
# wal-push | wal-fetch | message | change of the configuration | script
0 | 0 | - | n
1 | 200 | certificate.*ca_file | $(endpoint "$foreign")
1 | 200 | certificate.*ca_file | $(endpoint "$selfsigned")
1 | 200 | certificate has expired | $(endpoint "$expired")
1 | 200 | subject.*name.*host's name in endpoint | $(endpoint "$misnamed")
1 | 200 | certificate | /^ca_file/d
1 | 200 | ca_file | s!^ca_file.*!ca_file = $T/nowhere.pem!
1 | 200 | ca_file | s!^ca_file.*!ca_file = $T/garbage.pem!
0 | 0 | - | s!^ca_file.*!tls_verify = no!
1 | 200 | SSL|TLS|wrong version | $(endpoint "https://${plain#http://}")
1 | 200 | empty reply|reset|HTTP 400|HTTP/0.9 | $(endpoint "http://${right_one#https://}")
1 | 200 | connect | $(endpoint https://127.0.0.1:9)
1 | 200 | resolve | $(endpoint https://nowhere.invalid)
0 | 0 | - | $(endpoint "https://localhost:$port")
1 | 200 | reset|SSL|closed|connect | n | set accept reset
1 | 200 | reset|SSL|closed|connect | n | set accept close
1 | 200 | time | n | set accept hang
0 | 0 | bucket "bucket" is in region "elsewhere-1" | n | set region elsewhere-1
0 | 0 | the clock of this machine | n | set clock 3600
0 | 0 | the clock of this machine | n | set clock -86400
0 | 0 | - | n | set clock 600
1 | 200 | SignatureDoesNotMatch.*came from | s/^secret_key.*/secret_key = wrong/
1 | 200 | InvalidAccessKeyId.*came from | s/^access_key.*/access_key = NOBODY/
1 | 200 | NoSuchBucket | s!^url.*!url = s3://elsewhere/pg!
1 | 200 | there is no walferry repository here|NoSuchKey | s!^url.*!url = s3://bucket/gp!
0 | 0 | - | n | PUT * 1 1 status=307 code=TemporaryRedirect redirect=https://localhost:$port
0 | 0 | - | n | GET * 1 3 status=307 code=TemporaryRedirect redirect=https://localhost:$port
1 | 200 | 307 TemporaryRedirect | n | GET * 1 - status=307 code=TemporaryRedirect redirect=https://localhost:$port
1 | 200 | certificate | n | GET * 1 1 status=307 code=TemporaryRedirect redirect=$foreign
1 | 200 | 307 TemporaryRedirect | n | GET * 1 1 status=307 code=TemporaryRedirect redirect=$plain
TABLE
}

# ---- all of them

everything() {
    set_up
    wal_push_put
    wal_push_questions
    wal_push_costs
    wal_push_buckets
    wal_fetch_get
    wal_fetch_cut
    wal_fetch_miss
    wal_fetch_other_callers
    wal_fetch_costs
    repository_init
    repository_check
    basebackup_list
    ways
    expect_rows 399
}
step "a cluster and certificates"
cluster_create
authority ca && authority another && authority selfsigned
certificate server ca IP:127.0.0.1,DNS:localhost
certificate expired ca IP:127.0.0.1 -1
certificate foreign another IP:127.0.0.1
certificate misnamed ca DNS:elsewhere.example
cat selfsigned.key >>selfsigned.pem
S3_CERTIFICATE=$T/server.pem
step "the tables"
in_shards 6 everything
