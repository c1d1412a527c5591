#!/bin/bash
# goal: lz4, zstd and none at once, WAL and backups: each object says its codec, every repository restores, also one whose codec was changed, also by hand
# turns: file s3
. "$(dirname "$0")/../lib.sh"
. "$here/by-hand.sh"

# use CODEC: the repository under test with this one, beside a directory with zstd and one with none.
use() {
    config_write "codec = $1
[repository packed]
url = file://$T/packed
codec = zstd
level = 9
[repository plain]
url = file://$T/plain
codec = none
[basebackup]
jobs = 2"
}
codec_of() { tail -c 1016 "$1" | grep -o '"codec":"[a-z0-9]*"' | cut -d'"' -f4; } # FILE: a sealed object
unpacked() { # FILE: its content, with the tools of docs/format.md
    case $(codec_of "$1") in
    lz4) lz4 -dcq "$1" ;;
    zstd) zstd -dcq "$1" ;;
    none) head -c -1024 "$1" ;;
    esac
}
part_codecs() { unpacked "$1" | grep '^{"part"' | grep -o '"codec":"[a-z0-9]*"' | sort -u | cut -d'"' -f4; } # FILE: an index
alone() { # REPOSITORY: $CONFIG knows this one only
    awk -v name="[repository $1]" '/^\[/ { on = $0 !~ /^\[repository/ || $0 == name } on' all.conf >"$CONFIG"
}

step "a server whose WAL and backup go to three repositories"
use lz4
mkdir packed plain
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
mkdir one
sql main "create tablespace one location '$T/one'" "create table t tablespace one as select i, md5(i::text) from generate_series(1, 20000) i" \
    "create table u (i int)"
expect_status 0 basebackup-push --checkpoint=fast
first=$(tail -1 <<<"$output")
sql main "insert into u select generate_series(1, 1000)"
archived main
segment=$(sql main "select last_archived_wal from pg_stat_archiver")
object_get "$(wal_key "$segment")" here.segment
expect_equal "codecs of a segment" "lz4 zstd none" "$(codec_of here.segment) $(codec_of "packed/$(wal_key "$segment")") $(codec_of "plain/$(wal_key "$segment")")"
for file in here.segment "packed/$(wal_key "$segment")" "plain/$(wal_key "$segment")"; do
    unpacked "$file" >found
    expect_same "$file" "main/pg_wal/$segment" found
done
object_get "main/$system/base/$first/files" here.files
expect_equal "codecs of the parts" "lz4 zstd none" \
    "$(part_codecs here.files) $(part_codecs "packed/main/$system/base/$first/files") $(part_codecs "plain/main/$system/base/$first/files")"
bytes() { du -sb "$1/main/$system/base/$first" | cut -f1; }
expect_true "zstd needs less than none" test "$(bytes packed)" -lt $(($(bytes plain) / 2))

step "a hit does not load libzstd, nor does what is not packed with it" # library.h
with_libraries() { LD_DEBUG=files "$@" 2>&1 | grep -c "libzstd" || true; }
cp "main/pg_wal/$segment" asked
alone_codec() { printf '[repository alone]\nurl = file://%s\n' "$T/$1"; }
{ sed '/^\[repository/,$d' "$CONFIG" && alone_codec plain; } >plain.conf && chmod 600 plain.conf
{ sed '/^\[repository/,$d' "$CONFIG" && alone_codec packed; } >packed.conf && chmod 600 packed.conf
expect_equal "libzstd in a fetch without it" 0 "$(with_libraries wal-fetch --config "$T/plain.conf" "$segment" "$T/fetched")"
expect_true "libzstd in a fetch with it" test "$(with_libraries wal-fetch --config "$T/packed.conf" "$segment" "$T/fetched")" -gt 0
expect_same "what was fetched" asked fetched

step "the codec of a repository changes: what is there stays readable, what comes is packed the new way"
use zstd
sql main "insert into u select generate_series(1, 1000)"
archived main
later=$(sql main "select last_archived_wal from pg_stat_archiver")
object_get "$(wal_key "$later")" here.segment
expect_equal "codec of a later segment" zstd "$(codec_of here.segment)"
expect_status 0 wal-push "$T/main/pg_wal/$segment" # the same content, packed otherwise
expect_status 0 basebackup-push --checkpoint=fast --repository here
second=$(tail -1 <<<"$output")
object_get "main/$system/base/$second/files" here.files
expect_equal "codecs of the parts" zstd "$(part_codecs here.files)"
sql main "insert into u select generate_series(1, 1000)"
archived main
rows=$(sql main "select (select count(*) from t), (select count(*) from u)")

step "what is no codec, or no level of it, is refused"
refused() { # LINES MESSAGE
    use "$1"
    expect_status 2 wal-push "$T/main/pg_wal/$segment"
    expect_output "$2"
}
refused gzip 'walferry.conf.*line [0-9]+: "codec" must be lz4, zstd or none, not "gzip"'
refused $'zstd\nlevel = 23' 'line [0-9]+: "level" must be a whole number from 1 to 19'
refused $'lz4\nlevel = 13' 'repository here\]: level must be 1 to 12 with codec lz4, not 13'
refused $'none\nlevel = 1' 'repository here\]: there is no level with codec none'
use zstd

step "restored from each"
cp "$CONFIG" all.conf
restored() { # REPOSITORY BACKUP
    rm -rf copy moved
    alone "$1"
    expect_status 0 basebackup-fetch --quiet --backup "$2" -D "$T/copy" -T "$T/one=$T/moved"
    expect_status 0 pg_verifybackup -n -q copy
    expect_status 0 recovery-config -D "$T/copy"
    server_start copy
    wait_open copy
    expect_equal "rows, from $1" "$rows" "$(sql copy "select (select count(*) from t), (select count(*) from u)")"
    server_stop copy
    cp all.conf "$CONFIG"
}
restored here "$first"
restored here "$second"
[ "$STORE" = file ] || exit 0 # the other two are directories in either case
restored packed "$first"
restored plain "$first"

step "by hand, with zstd, and with tar alone"
by_hand_read
id=$first
for repository in "$T/packed" "$T/plain"; do
    by_hand "hand.${repository##*/}" ""
    wait_open "hand.${repository##*/}"
    expect_equal "rows, by hand" "$rows" "$(sql "hand.${repository##*/}" "select (select count(*) from t), (select count(*) from u)")"
    server_stop "hand.${repository##*/}"
done
