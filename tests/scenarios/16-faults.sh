#!/bin/bash
# goal: whatever an S3 store answers, or does not, no program takes it for what it is not: a table of program x fault
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

step "a cluster, a fault server behind TLS, two configurations"
cluster_create
authority ca && certificate server ca IP:127.0.0.1,DNS:localhost
fault_server faults server.pem
# hasty: for faults that last, patient: for those that pass
config_write $'connect_timeout = 1\nrequest_timeout = 1\n[wal-push]\ntimeout = 1
[wal-fetch]\ntimeout = 1\nstandby_timeout = 1\nhistory_wait = 1\nswitch_wait = 1\nhole_wait = 0\n[basebackup]\nstore_timeout = 1'
cp "$CONFIG" hasty.conf
sed 's/^\(timeout\|standby_timeout\|history_wait\|switch_wait\|store_timeout\) = 1/\1 = 20/' hasty.conf >patient.conf
chmod 600 ./*.conf
export WALFERRY_CONFIG=$T/patient.conf
script
expect_status 0 repository-init
push() { cd "$T/main" && expect_status "$1" wal-push "pg_wal/$2" && cd "$T"; } # STATUS NAME
name=$(S 3)
object=$objects/$(wal_key "$name")
for other in "$(S 1)" "$(S 2)" "$name" 00000002.history; do push 0 "$other"; done
cp "$object" right
choose_config() { # COUNT
    WALFERRY_CONFIG=$T/patient.conf
    [ "$1" != - ] || WALFERRY_CONFIG=$T/hasty.conf
}
in_time() { # nothing takes longer than its limit allows
    expect_true "within its time limit, not $((SECONDS - began)) s" test $((SECONDS - began)) -le 5
}

# ---- wal-push

# What is stored afterwards is right or nothing, and the next call, without a fault, succeeds.
push_row() { # COUNT STATUS PUTS STORED MESSAGE ACTIONS
    local began=$SECONDS
    rm -f "$object"
    choose_config "$1"
    script "PUT *$name 1 $1 $6"
    push "$2" "$name"
    [ "$1" != - ] || in_time
    output=${output//$'\n'/ }
    [ "$5" = - ] || expect_output "$5"
    [ "$2" = 0 ] || expect_output "could not put|other content|was there and is gone"
    expect_requests "$3" "PUT .*$name "
    case $4 in
    yes) expect_same "the object" right "$object" ;;
    no) expect_absent "$object" ;;
    esac
    choose_config 1
    script
    push 0 "$name"
    expect_same "the object" right "$object"
}
step "wal-push: the PUT of a segment"
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
- | 0 | 1  | yes | - | close=end
# an ETag is opaque
- | 0 | 1  | yes | - | etag=0123456789abcdef
# the one lie that no request can see through: checked by whoever reads (docs/reliability.md)
1 | 0 | 1  | no  | - | pretend
TABLE

# other_row OPERATION KEY COUNT STATUS STORED MESSAGE ACTIONS: with nothing remembered, and the segment there already when STORED is "same" or "other"
other_row() {
    local began=$SECONDS
    case $5 in
    same) cp right "$object" ;;
    other) cp other "$object" ;;
    no) rm -f "$object" ;;
    esac
    find "$objects" -type f -exec sha256sum {} + | sort >before
    rm -rf state
    choose_config "$3"
    script "$1 $2 1 $3 $7"
    push "$4" "$name"
    [ "$3" != - ] || in_time
    output=${output//$'\n'/ }
    [ "$6" = - ] || expect_output "$6"
    if [ "$5" = no ] && [ "$4" = 0 ]; then
        expect_same "the object" right "$object"
    else
        find "$objects" -type f -exec sha256sum {} + | sort >now
        expect_same "what is stored" before now
    fi
}
step "wal-push: what it asks before and after"
segment_write 3 other.segment && printf other | dd of=other.segment bs=1 seek=500000 conv=notrunc status=none
mkdir -p copy/pg_wal && cp -r main/global main/PG_VERSION copy/ && mv other.segment "copy/pg_wal/$name"
rm "$object" && (cd copy && expect_status 0 wal-push "pg_wal/$name") && mv "$object" other
table other_row <<'TABLE'
# request | key | COUNT | status | there | message | what the store does
GET | *cluster.json | 2 | 0 | no | - | status=503 code=SlowDown
GET | *cluster.json | - | 1 | no | cluster.json.*503 SlowDown | status=503 code=SlowDown
GET | *cluster.json | - | 1 | no | cluster.json.*AccessDenied.*s3:ListBucket | status=403 code=AccessDenied
GET | *cluster.json | - | 1 | no | NoSuchBucket | status=404 code=NoSuchBucket
GET | *cluster.json | - | 1 | no | there is no walferry repository here.*repository-init | status=404 code=NoSuchKey
GET | *cluster.json | - | 1 | no | has been deleted | status=404 code=NoSuchKey header=x-amz-delete-marker:true
GET | *cluster.json | - | 1 | no | HTTP 404.*not that of an S3 store | status=404
GET | *cluster.json | - | 1 | no | cluster.json is damaged | status=200
GET | *cluster.json | - | 1 | no | cluster.json is damaged | garble
GET | *cluster.json | - | 1 | no | cluster.json is damaged | length=-7
GET | *cluster.json | 1 | 0 | no | - | close=middle
GET | *cluster.json | - | 1 | no | time limit | hang=middle
# the duplicate's trailer
GET | *000000010000000000000003 | - | 0 | same | - | drip=1000000
GET | *000000010000000000000003 | 2 | 0 | same | - | status=500 code=InternalError
GET | *000000010000000000000003 | - | 1 | same | 500 InternalError | status=500 code=InternalError
GET | *000000010000000000000003 | - | 1 | same | 403 AccessDenied.*s3:GetObject | status=403 code=AccessDenied
GET | *000000010000000000000003 | - | 1 | same | was there and is gone | status=404 code=NoSuchKey
GET | *000000010000000000000003 | - | 1 | same | HTTP 404.*not that of an S3 store | status=404
GET | *000000010000000000000003 | - | 1 | same | damaged.*with other content | garble
GET | *000000010000000000000003 | - | 1 | same | damaged.*with other content | status=200
GET | *000000010000000000000003 | - | 1 | same | no sensible range | status=206
GET | *000000010000000000000003 | 1 | 0 | same | - | reset=middle
GET | *000000010000000000000003 | - | 1 | same | disagree | length=-24
GET | *000000010000000000000003 | - | 1 | other | with other content.*not touched | drip=1000000
GET | *000000010000000000000003 | - | 1 | other | 503 SlowDown | status=503 code=SlowDown
GET | *000000010000000000000003 | - | 1 | other | was there and is gone | status=404 code=NoSuchKey
TABLE

step "wal-push: requests when all is well"
quiet_row() { # WHAT STATUS NAME EXPECTED-REQUESTS: "1 PUT" ...
    script
    push "$2" "$3"
    expect_equal "requests" "$4" "$(cut -d' ' -f1 faults/requests | uniq -c | sed 's/^ *//' | paste -sd,)"
}
choose_config 1
rm "$object" && script && push 0 "$name" # remembers cluster.json
row "a new segment is one PUT" quiet_row - 0 "$(S 4)" "1 PUT"
row "a duplicate is a PUT and a GET" quiet_row - 0 "$(S 4)" "1 PUT,1 GET"
row "history" quiet_row - 0 00000002.history "1 PUT,1 GET"
rm "$objects/$(wal_key "$(S 4)")"

step "wal-push: buckets that treat the condition in their own way"
# bucket_row PROBED NOW WHAT STATUS MESSAGE: settings when repository-init probed and now; WHAT is pushed (new, same, other)
bucket_row() {
    local kept=new
    script "${1//;/$'\n'}"
    choose_config 1
    rm -rf "$objects" "faults/objects/$S3_BUCKET" state && mkdir "faults/objects/$S3_BUCKET"
    expect_status 0 repository-init
    [ "$3" = new ] || { push 0 "$name"; kept=right; }
    script "${2//;/$'\n'}"
    cd "$T/main"
    [ "$3" != other ] || cd "$T/copy"
    expect_status "$4" wal-push "pg_wal/$name"
    cd "$T"
    output=${output//$'\n'/ }
    [ "$5" = - ] || expect_output "$5"
    [ $kept = new ] && [ "$4" != 0 ] && expect_absent "$object" && return
    expect_same "the object" right "$object"
}
plain='set condition honoured' kept='set versions on' ceph='set versions on;set condition ignored'
swift='set condition refused;set completion refused' careless='set condition ignored'
for probed in "$plain" "$kept" "$ceph" "$swift" "$careless"; do
    row "$probed: a new segment" bucket_row "$probed" "$probed" new 0 -
    row "$probed: the same again" bucket_row "$probed" "$probed" same 0 -
    row "$probed: other content" bucket_row "$probed" "$probed" other 1 "with other content"
done
table bucket_row <<TABLE
# settings when it was probed | now | what is pushed | status | message
$plain | $kept | new | 0 | -
$plain | $kept | other | 1 | with other content
$plain | $ceph | new | 0 | -
$kept | $ceph | new | 0 | -
$ceph | $ceph;VERSIONS * 1 2 status=503 code=SlowDown | new | 0 | -
$plain | $swift | same | 1 | 501 NotImplemented.*--probe
$plain | $kept;VERSIONS * 1 2 status=503 code=SlowDown | new | 0 | -
$plain | set lock on | same | 1 | InvalidRequest.*Content-MD5
$careless | $careless;PUT *$name 1 - pretend | new | 1 | could not|not there|gone
$ceph | $ceph;PUT *$name 1 - pretend | new | 1 | could not|not there|gone
TABLE

# ---- wal-fetch

step "wal-fetch: a segment that is there, in recovery and on a standby"
script
choose_config 1
rm -rf "faults/objects/$S3_BUCKET" state && mkdir "faults/objects/$S3_BUCKET"
expect_status 0 repository-init
for other in "$(S 1)" "$(S 2)" "$name" "$(S 5)" 00000002.history "$(S 6 2)"; do push 0 "$other"; done
# fetch STATUS MODE NAME: MODE is recovery, standby, switch (no signal file, a relative path) or hand (an absolute one)
fetch() {
    local path=pg_wal/RECOVERYXLOG
    rm -f "$T"/target/*.signal
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
fetch_row() { # COUNT RECOVERY STANDBY GETS MESSAGE ACTIONS
    local mode status began
    choose_config "$1"
    for mode in recovery standby; do
        status=$2
        [ $mode = recovery ] || status=$3
        began=$SECONDS
        script "GET *$name 1 $1 $6"
        fetch "$status" $mode "$name"
        [ "$1" != - ] || in_time
        output=${output//$'\n'/ }
        [ "$5" = - ] || expect_output "$5"
        expect_requests "$4" "GET .*$name "
    done
    [ "$2" != 0 ] || return 0
    script
    fetch 0 recovery "$name"
}
# bodies of answers that are not S3's
list() { printf '<ListBucketResult>%s</ListBucketResult>' "$1"; } # INNER
head -c 1000000 /dev/urandom >noise
: >empty
list '<Name>bucket</Name>' >unfinished
list '<IsTruncated>true</IsTruncated>' >tokenless
list "<IsTruncated>false</IsTruncated><Contents><Key>$(S 9)</Key><Size>1</Size></Contents>" >elsewhere
list '<IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>' >nameless
printf '<!DOCTYPE a [<!ENTITY b "c">]>%s' "$(list '<IsTruncated>false</IsTruncated>&b;')" >entities
list "$(head -c 9000000 /dev/zero | tr '\0' x)" >endless
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
- | 200 | 1 | 9+ | tries in | close=middle
1 | 0 | 0 | 1+ | - | reset=end
- | 0 | 0 | 1 | - | close=end
- | 0 | 0 | 1 | - | drip=600000
- | 200 | 1 | 1+ | time limit | drip=1000
1 | 0 | 0 | 2 | - | hang=answer
- | 200 | 1 | 1+ | time | hang=answer
- | 200 | 1 | 1+ | time | hang=headers
1 | 0 | 0 | 2 | - | hang=middle
- | 200 | 1 | 1+ | time | hang=middle
# what an ETag says is compared with ETags only
- | 0 | 0 | 1 | - | etag=0123456789abcdef
1 | 200 | 1 | 2 | PreconditionFailed | reset=middle etag=0123456789abcdef
TABLE

step "wal-fetch: a download that is cut, and goes on"
row_of_script() { # MODE STATUS NAME MESSAGE LINE...: the lines are the script
    local mode=$1 status=$2 asked=$3 message=$4
    shift 4
    script "$@"
    fetch "$status" "$mode" "$asked"
    output=${output//$'\n'/ }
    [ "$message" = - ] || expect_output "$message"
}
choose_config 1
cp "$objects/$(wal_key "$(S 2)")" second
row "it goes on where it was cut, of the same object" row_of_script recovery 0 "$name" - "GET *$name 1 3 close=middle"
row "with a range and If-Match" expect_requests 3 "GET .* 206 if-match=\"[0-9a-f]{32}\" range=bytes=[0-9]+-[0-9]+"
cp right "$object"
row "changed in between" row_of_script recovery 200 "$name" "PreconditionFailed" "GET *$name 1 1 close=middle" "GET *$name 1 - swap=$T/second"
cp right "$object"
row "and the store ignores If-Match" row_of_script recovery 200 "$name" "damaged|not the range" "set ignore if-match" \
    "GET *$name 1 1 close=middle" "GET *$name 1 - swap=$T/second"
cp right "$object"
row "the store ignores Range" row_of_script recovery 200 "$name" "not the range.*header Range" "set ignore range" "GET *$name 1 1 close=middle"
row "gone in between" row_of_script recovery 200 "$name" "NoSuchKey" "GET *$name 1 1 close=middle" "GET *$name 1 - status=404 code=NoSuchKey"
row "gone in between, on a standby" row_of_script standby 1 "$name" "NoSuchKey.*ask again" "GET *$name 1 1 close=middle" \
    "GET *$name 1 - status=404 code=NoSuchKey"

# ---- "not there"

# A miss is believed only if each of its requests was answered beyond doubt. NAME is not there; REQUEST is GET, CLUSTER or LIST.
miss_row() { # NAME REQUEST COUNT RECOVERY STANDBY MESSAGE ACTIONS
    local mode status asked=$1 line began
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
        began=$SECONDS
        fetch "$status" $mode "$asked"
        [ "$3" != - ] || in_time
        output=${output//$'\n'/ }
        [ "$6" = - ] || [ $mode = standby ] || expect_output "$6"
        [ "$mode$status" != standby1 ] || [ "$2" = LIST ] || [ "$3" != - ] || expect_output "ask again|promotion now may|not handed over"
    done
}
step "wal-fetch: what is not there: 1 beyond doubt only"
table miss_row <<'TABLE'
# file | request | COUNT | in recovery | on a standby | message in recovery | what the store does
7 | GET | 1 | 1 | 1 | the end of the archive | drip=100000
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
7 | CLUSTER | - | 200 | 1 | cluster.json is damaged | garble
7 | CLUSTER | - | 200 | 1 | cluster.json is damaged | status=200
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
expect_rows 0
