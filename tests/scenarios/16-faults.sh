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
- | 0 | 1  | yes | - | reset=end
- | 0 | 1  | yes | - | close=end
# an ETag is opaque
- | 0 | 1  | yes | - | etag=0123456789abcdef
# the one lie that no request can see through: checked by whoever reads (docs/reliability.md)
1 | 0 | 1  | no  | - | pretend
TABLE
expect_rows 74
