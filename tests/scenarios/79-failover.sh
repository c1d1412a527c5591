#!/bin/bash
# goal: a restore and a recovery take the first repository that has a good copy: on damage, or where one cannot be asked, they go on with the next, saying so, and bring back every row
# turns: file s3
. "$(dirname "$0")/../lib.sh"

spoil() { # KEY: of the first repository; in the middle of what is compressed
    object_get "$1" right
    cp right wrong
    printf '\x5a\xa5' | dd of=wrong bs=1 seek=$(($(stat -c %s wrong) / 2)) conv=notrunc status=none
    object_put "$1" wrong
}
untried='' # the first is passed over before anything is restored from it
restores() { # MESSAGE [OPTION...]: from the second, and whole
    local message=$1
    shift
    rm -rf copy space.copy
    expect_status 0 basebackup-fetch -D "$T/copy" -T "$T/space=$T/space.copy" "$@"
    expect_output "$message"
    expect_output "is restored in .* from repository \"second\""
    [ -n "$untried" ] || expect_output "repository \"second\" is tried"
    told=$output
    expect_status 0 pg_verifybackup -n -q copy
    expect_absent copy/restore.walferry
}

step "a server with a tablespace, backed up to two repositories with other codecs"
config_write "[repository second]
url = file://$T/second
codec = zstd
[basebackup]
jobs = 2
split_size = 2MB
store_timeout = 5
[wal-fetch]
timeout = 10
hole_wait = 1"
server_create main --wal-segsize=1
server_start main
system=$(system_identifier main)
mkdir space
expect_status 0 repository-init
ledger_create main
sql main "create tablespace space location '$T/space'" "create table t tablespace space as select i, md5(i::text) from generate_series(1, 60000) i"
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
ledger_start main 1
has_commits() { [ -n "$(ledger main)" ]; }
wait_until 20 "the first commits" has_commits
archived main
archived main
ledger_stop
archived main
ledger main >ledger.txt
base=main/$system/base/$id

step "one damaged part: what was right stays, the rest comes from the next"
part=$(object_list | grep -oE "^$base/main-[0-9]{8}" | sed -n 2p)
spoil "$part"
restores "${part##*/}.* is damaged"
rm -rf alone space.alone
expect_status 1 basebackup-fetch --repository here -D "$T/alone" -T "$T/space=$T/space.alone"
expect_absent alone/global/pg_control

step "the same of a set, in the order in which it was named; the next step has the same set"
rm -rf alone space.alone
restores "recovery-config --repository here --repository second -D" --repository here --repository second
untried=1
restores "recovery-config --repository second --repository here --repository second -D" --repository second --repository here --repository second
[[ $told != *'repository "here"'* ]] || fail "the second of the set was asked"
untried=''
expect_status 2 basebackup-fetch --repository here --repository nobody -D "$T/alone"
expect_status 0 basebackup-fetch --repository second --repository here --file PG_VERSION --output "$T/version"
rm version
object_put "$part" right

step "a missing part, and with --json"
object_get "$part" right
object_delete "$part"
restores "\"repository\": \"second\"" --json
object_put "$part" right

step "a damaged index, and a damaged manifest"
spoil "$base/files"
restores "files is damaged"
object_put "$base/files" right
spoil "$base/manifest.json"
untried=1
restores "manifest.json is damaged"
object_put "$base/manifest.json" right

step "one file"
for key in $(object_list | grep -oE "^$base/main-[0-9]{8}"); do
    object_get "$key" "right.${key##*/}"
    printf x >wrong
    object_put "$key" wrong
done
expect_status 0 basebackup-fetch --file PG_VERSION --output "$T/version"
expect_same PG_VERSION main/PG_VERSION version
for key in $(object_list | grep -oE "^$base/main-[0-9]{8}"); do object_put "$key" "right.${key##*/}"; done

step "the first cannot be asked"
cp "$CONFIG" right.conf
if [ "$STORE" = file ]; then mv repository repository.away; else sed -i 's|^endpoint = .*|endpoint = https://127.0.0.1:1|' "$CONFIG"; fi
restores "is not there|could not"
[ "$STORE" != file ] || mv repository.away repository
cp right.conf "$CONFIG"

step "WAL: a damaged and a missing segment of the first come from the second"
mapfile -t segments < <(object_list | grep -oE "^main/$system/wal/[0-9A-F]{16}/[0-9A-F]{24} " | tr -d ' ' | tail -4)
spoil "${segments[0]}"
object_delete "${segments[1]}"
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
expect_ledger copy ledger.txt
server_stop copy

step "a set of repositories is named by several --repository"
expect_status 200 wal-fetch --repository here --repository nobody "${segments[0]##*/}" "$T/segment"
expect_status 200 wal-fetch --repository here "${segments[0]##*/}" "$T/segment"
expect_absent segment
expect_status 0 wal-fetch --repository here --repository second "${segments[0]##*/}" "$T/segment"
expect_output "repository \"here\" has no good copy of \"${segments[0]##*/}\""
expect_output "hint: The others are asked"
expect_same "the segment" <(zstd -dcq "second/${segments[0]}") segment
expect_status 2 basebackup-list --repository here --repository second
server_stop main
