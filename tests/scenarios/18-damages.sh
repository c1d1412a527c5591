#!/bin/bash
# goal: every damage to everything that is read back is found and named, ends in the right status, and puts nothing wrong in place
# stores: none
# limit: 600
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

# A directory and an S3 store see the same objects: those of the fault server, which has no faults here.

configurations() { # in $T: file.conf and s3.conf, for the cluster main
    fault_server faults
    objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX
    config_write $'[wal-fetch]\nhole_wait = 0\nstandby_timeout = 20\n[basebackup]\njobs = 2\n[compression]\ncodec = lz4'
    sed -i '/^ca_file/d' "$CONFIG"
    cp "$CONFIG" s3.conf
    sed "/^\(region\|endpoint\|access_key\|secret_key\)/d; s!^url = .*!url = file://$objects!" "$CONFIG" >file.conf
    chmod 600 s3.conf file.conf
}
says() { # MESSAGE, which may stand on two lines; in the shell itself, since there are thousands
    output=${output//$'\n'/ }
    [ "$1" = - ] || [[ $output =~ $1 ]] || fail "expected a message like \"$1\", found \"$output\""
}
use() { WALFERRY_CONFIG=$T/$1.conf; } # file or s3
use_both() { # FIRST-STORE: which of the two is asked by whom changes from row to row
    first=file second=s3
    [ $((rows % 2)) = 0 ] || { first=s3 second=file; }
}
status_is() { # STATUS COMMAND...: expect_status, without a pipe to make it look better
    local expected=$1 status=0
    shift
    output=$("$@" 2>&1) || status=$?
    printf '%s -> %s\n%s\n' "$*" $status "$output"
    [ $status = "$expected" ] || fail "exit status of $*: expected $expected, found $status"
}
# fetch STATUS MODE NAME EXPECTED-FILE: nothing is left where it fails. MODE (recovery, standby) is a data directory, too.
fetch() {
    local path=pg_wal/RECOVERYXLOG left
    case $3 in *.history) path=pg_wal/RECOVERYHISTORY ;; esac
    cd "$T/$2"
    left=(pg_wal/*)
    [ "${left[*]}" = 'pg_wal/*' ] || rm pg_wal/* # of a row before that went wrong
    status_is "$1" wal-fetch "$3" "$path"
    if [ "$1" = 0 ]; then
        expect_same "$3" "$T/$4" "$path"
        rm "$path"
    fi
    left=(pg_wal/*)
    expect_equal "left in pg_wal" 'pg_wal/*' "${left[*]}"
    cd "$T"
}
pace=1 # one damage in so many
damages() { # KIND FILE OTHER [INDEX NAME]: makes the copies, anew in $T/damaged, and sets $damages to their names
    rm -rf damaged
    mkdir damaged
    "$here/damage" "$@" "$T/damaged" >damages.txt || fail "tests/damage $*"
    expect_true "there are damages" test -s damages.txt
    mapfile -t damages < <(awk -v pace="$pace" -v seed="$SEED" '(NR + seed) % pace == 0 || /^index-piece-/' damages.txt)
}

# ---- WAL files

# What wal-fetch and, for the same file pushed once more, wal-push say. A push looks at the trailer only: that the data behind a
# right trailer is damaged it can't see, and leaves it as it is.
wal_row() { # NAME OBJECT DAMAGE
    local recovery=200 standby=1 push=1 message='is damaged|is a document of|holds |belongs to|format version|is longer than' copy=damaged/$3
    case $3 in
    harmless-* | trailer-forged-records-*) recovery=0 standby=0 push=0 message=- ;; # a recovery does not need that
    trailer-forged-system) standby=200 ;;
    frame-*) push=0 ;;
    trailer-forged-other-codec | trailer-forged-other-codec-none) push=0 ;; # which it is says the data's beginning
    esac
    # A .partial of other content is another server's, and stored beside it.
    case $1/$3 in *.partial/forged-another | *.partial/*-forged-system | *.partial/*-forged-other-@(name|kind|plain_*)) push=0 ;; esac
    use_both
    cp "$copy" "$2"
    use $first
    fetch $recovery recovery "$1" "main/pg_wal/$1"
    says "$message"
    [ $recovery = 0 ] || says "$1"
    use $second
    fetch $standby standby "$1" "main/pg_wal/$1"
    says "$message"
    status_is $push wal-push "main/pg_wal/$1"
    [ $push = 0 ] || says "with other content|is damaged, and nothing is overwritten"
    expect_same "the stored object" "$copy" "$2"
    [[ $1 != *.partial ]] || rm -f "$2".????????
}
wal_files() { # NAME OTHER-NAME
    local object damage
    object=$objects/$(wal_key "$1")
    step "wal-fetch and wal-push: $1"
    cp "$object" right
    damages sealed right "$objects/$(wal_key "$2")"
    for damage in "${damages[@]}"; do row "$codec: $1: $damage" wal_row "$1" "$object" "$damage"; done
    cp right "$object"
    use file
    fetch 0 recovery "$1" "main/pg_wal/$1"
}

# ---- cluster.json

cluster_row() { # DAMAGE: nothing is stored, nothing is called "not there", and repository-init does not make it anew
    local status=1 recovery=200 standby=200 message='cluster.json is damaged|cluster.json is a document|cluster.json has format version'
    local new=$objects/$(wal_key "$(S 7)")
    case $1 in
    harmless-*) status=0 recovery=1 standby=1 message=- ;;
    forged-another) message='home of another cluster|does not accept|is not accepted' ;;
    esac
    cp "damaged/$1" "$objects/main/cluster.json"
    rm -rf state
    rm -f "$new"
    use_both
    use $first
    status_is $status wal-push "main/pg_wal/$(S 7)"
    says "$message"
    [ $status = 0 ] || expect_absent "$new"
    rm -f "$new"
    fetch $recovery recovery "$(S 8)" -
    [ $recovery = 1 ] || says "${message/does not accept/is not known}"
    use $second
    rm -rf state
    fetch $standby standby "$(S 8)" -
    status_is $status repository-init
    says "$message"
    if [ "$1" != forged-another ]; then
        status_is $status basebackup-list
        says "$message"
    fi
    expect_same "cluster.json" "damaged/$1" "$objects/main/cluster.json"
}
cluster_json() {
    local damage file=$objects/main/cluster.json
    step "cluster.json"
    cp "$file" right.json
    sed "s/$system/7000000000000000001/" "$file" | python3 -c '
import hashlib, sys
text = sys.stdin.read().rpartition(",\"sha256\"")[0]
print(text + ",\"sha256\":\"" + hashlib.sha256(text.encode()).hexdigest() + "\"}")' >another.json
    damages document right.json another.json
    for damage in "${damages[@]}"; do row "cluster.json: $damage" cluster_row "$damage"; done
    cp right.json "$file"
    rm -rf state
}

# ---- base backups: $base is the directory of the newest one, $older an earlier one

restore() { # STATUS MESSAGE [OPTION...]: what fails can't be started, and lies nowhere else
    rm -rf restored restored.space evil ../evil /tmp/evil
    status_is "$1" basebackup-fetch -D "$T/restored" -T "$space=$T/restored.space" "${@:3}"
    says "$2"
    expect_absent evil ../evil /tmp/evil restored.space/evil
    if [ "$1" != 0 ]; then
        expect_absent restored/global/pg_control
    else
        expect_status 0 pg_verifybackup -n -q restored
    fi
}
manifest_row() { # DAMAGE
    local status=1 message='manifest.json is damaged|manifest.json is a document|manifest.json has format version'
    case $1 in harmless-* | document-forged-@(label|host|databases|annotations|from_standby|wal_included|page_error_list|covered_until)-missing | document-forged-@(label|host)-*) status=0 message=- ;; esac
    cp "damaged/$1" "$base/manifest.json"
    use_both
    use base.$first
    status_is $status basebackup-list
    says "$message"
    says "$older"
    use base.$second
    restore $status "$message" --backup "$id"
    [ $status = 0 ] || expect_absent restored
}
index_row() { # DAMAGE, of the sealed object
    local status=1 message='files is damaged|files is a document|files holds|files belongs to|files has format version'
    case $1 in harmless-*) status=0 message=- ;; esac
    cp "damaged/$1" "$base/files"
    use_both
    use base.$first
    restore $status "$message" --backup "$id"
    [ $status = 0 ] || expect_absent restored
}
line_row() { # DAMAGE: an index of which all checks fit
    local status=1 message='error:'
    case $1 in harmless-*) status=0 message=- ;; esac
    cp "damaged/$1/"* "$base/"
    use_both
    use base.$first
    restore $status "$message" --backup "$id"
}
part_row() { # PART DAMAGE
    local status=1 message="part \"$1\" .* is damaged.*is incomplete"
    case $2 in harmless-*) status=0 message=- ;; esac
    cp "damaged/$2" "$base/$1"
    use_both
    use base.$first
    restore $status "$message" --backup "$id"
}
manifests() {
    local damage
    step "manifest.json"
    cp "$base/manifest.json" right.json
    damages document right.json "${base/$id/$older}/manifest.json"
    for damage in "${damages[@]}"; do row "manifest.json: $damage" manifest_row "$damage"; done
    older_instead() {
        printf x >>"$base/manifest.json"
        use base.s3
        restore 0 "manifest.json is damaged.*backup $older, .* is restored"
    }
    row "the newest manifest is damaged: the one before is restored, aloud" older_instead
    cp right.json "$base/manifest.json"

    step "what a restore does not need"
    unneeded() { # FILE
        printf x >>"$base/$1"
        use base.file
        expect_status 0 basebackup-list
        restore 0 "is restored" --backup "$id"
        truncate -s -1 "$base/$1"
    }
    row "started.json" unneeded started.json
    row "tablespace_map" unneeded tablespace_map
}

plain() { case $codec in lz4 | pieces) lz4 -dcq "$1" ;; zstd) zstd -dcq "$1" ;; none) head -c -1024 "$1" ;; esac; } # SEALED-OBJECT
index_and_parts() {
    local damage file other
    step "the index"
    cp "$base/manifest.json" right.json
    cp "$base/files" right
    damages sealed right "${base/$id/$older}/files"
    for damage in "${damages[@]}"; do row "$codec: files: $damage" index_row "$damage"; done
    cp right "$base/files"
    damages index right.json right
    for damage in "${damages[@]}"; do row "$codec: lines: $damage" line_row "$damage"; done
    cp right "$base/files" && cp right.json "$base/manifest.json"

    step "parts"
    plain right >index
    for file in $(cd "$base" && ls -d *-0000*); do
        cp "$base/$file" right
        other=main-00000001
        [ "$file" != $other ] || other=main-00000002
        damages part right "$base/$other" index "$file"
        for damage in "${damages[@]}"; do row "$codec: $file: $damage" part_row "$file" "$damage"; done
        cp right "$base/$file"
    done
}

# ---- by ranges, where the rest of a part is not looked at

wrong_range='is damaged|has only [0-9]+ bytes|InvalidRange'
# What comes back is right, or it does not come back. FILE is in PART.
range_row() { # PART DAMAGE FILE
    local status=0
    cp "damaged/$2" "$base/$1"
    use_both
    use base.$first
    rm -f one
    output=$(basebackup-fetch --backup "$id" --file "$3" --output "$T/one" 2>&1) || status=$?
    echo "--file: status $status: $output"
    if [ $status = 0 ]; then expect_same "$3" "whole/$3" one
    else
        says "error: .*$1.*$wrong_range"
        expect_absent one
    fi
    use base.$second
    rm -rf restored restored.space
    cp -a whole restored && cp -a whole.space restored.space
    printf x >>"restored/$3"
    status=0
    output=$(basebackup-fetch --delta -D "$T/restored" -T "$space=$T/restored.space" --backup "$id" 2>&1) || status=$?
    echo "--delta: status $status: $output"
    if [ $status = 0 ]; then expect_status 0 pg_verifybackup -n -q restored
    else
        says "error: .*$1.*$wrong_range"
        expect_absent restored/global/pg_control
    fi
    case $2 in
    part-@(large|piece)-@(magic|block*|content-checksum|descriptor|repacked-content)) expect_true "it fails" test $status = 1 ;;
    harmless-*) expect_equal "status" 0 $status ;;
    esac
}
ranges() {
    local damage part file
    step "ranges"
    use base.file
    restore 0 "is restored" --backup "$id"
    rm -rf whole whole.space
    mv restored whole && mv restored.space whole.space
    plain "$base/files" >index
    read -r part file < <(python3 -c '
import json, sys
part, best = None, (0,)
for line in map(json.loads, open("index")):
    part = line.get("part", part)
    if line.get("file", "").startswith("base/") and (sys.argv[1] == "pieces") == (line.get("at", 0) > 0):
        best = max(best, (line["stored"], part, line["file"]))
print(*best[1:])' $codec)
    cp "$base/$part" right
    damages part right "$base/$(cd "$base" && ls -d main-* | grep -v "$part" | head -1)" index "$part"
    for damage in "${damages[@]}"; do row "$codec: range in $part: $damage" range_row "$part" "$damage" "$file"; done
    cp right "$base/$part"
}

# ---- a file in pieces, each of which is a part of its own; what the index says stays right

# Of the parts "pieces" (three at least, in order, of one file), the second is damaged. What is behind it does not come out in its place.
piece_row() { # DAMAGE FILE: of the index
    local wrong=${pieces[1]} message
    case $1 in
    missing) rm "$base/${pieces[1]}" ;;
    swapped) wrong="($wrong|${pieces[2]})" && cp "right.pieces/${pieces[1]}" "$base/${pieces[2]}" && cp "right.pieces/${pieces[2]}" "$base/${pieces[1]}" ;;
    next) cp "right.pieces/${pieces[2]}" "$base/${pieces[1]}" ;;
    first-again) cp "right.pieces/${pieces[0]}" "$base/${pieces[1]}" ;;
    cut) truncate -s -1 "$base/${pieces[1]}" ;;
    flipped) printf '\x5a\xa5' | dd of="$base/${pieces[1]}" bs=1 seek=$(($(stat -c %s "$base/${pieces[1]}") / 2)) conv=notrunc status=none ;;
    empty) : >"$base/${pieces[1]}" ;;
    esac
    message="error: .*$wrong.* (is missing|$wrong_range)"
    use_both
    use base.$first
    restore 1 "$message" --backup "$id" --jobs $((1 + rows % 3))
    use base.$second
    rm -f one
    status_is 1 basebackup-fetch --backup "$id" --file "$2" --output "$T/one"
    says "$message"
    expect_absent one
    rm -rf restored restored.space
    cp -a whole restored && cp -a whole.space restored.space
    printf x >>"restored/$2"
    status_is 1 basebackup-fetch --delta -D "$T/restored" -T "$space=$T/restored.space" --backup "$id"
    says "$message"
    expect_absent restored/global/pg_control
    cp right.pieces/* "$base/"
}
pieces() {
    local damage file
    step "pieces"
    plain "$base/files" >index
    read -r file pieces < <(python3 -c '
import json
part, files = None, {}
for line in map(json.loads, open("index")):
    part = line.get("part", part)
    if "of" in line: files.setdefault(line["file"], []).append(part)
file = max((len(parts), file) for file, parts in files.items() if file.startswith("base/"))[1]
print(file, *files[file])')
    read -r -a pieces <<<"$pieces"
    expect_true "there are enough pieces: ${pieces[*]}" test ${#pieces[@]} -ge 3
    mkdir right.pieces
    for damage in "${pieces[@]}"; do cp "$base/$damage" right.pieces/; done
    for damage in missing swapped next first-again cut flipped empty; do row "pieces: $damage" piece_row $damage "$file"; done
}

# ---- all of them

wal_with() { # CODEC: everything that is said of WAL files, packed with it
    local one
    codec=$1
    step "WAL with codec $codec"
    rm -rf "$objects/main" state
    for one in file s3; do sed -i "s/^codec = .*/codec = $codec/" $one.conf; done
    use file
    expect_status 0 repository-init
    for one in "$(S 1)" "$(S 4)" "$(S 4).partial" "$(S 5).partial" 00000002.history 00000003.history "$(S 1).00000028.backup" "$(S 2).00000028.backup"; do
        expect_status 0 wal-push "main/pg_wal/$one"
    done
    wal_files "$(S 4)" "$(S 1)"
    wal_files 00000002.history 00000003.history
    pace=$((pace * 3)) # the same ways through the code
    wal_files "$(S 4).partial" "$(S 5).partial"
    wal_files "$(S 1).00000028.backup" "$(S 2).00000028.backup"
    pace=$((pace / 3))
}
backups_with() { # CODEC
    codec=$1
    step "base backups with codec $codec"
    base=$objects/base-$codec/$base_system/base
    mapfile -t ids < <(ls "$base")
    older=${ids[0]} id=${ids[1]} base+=/${ids[1]}
    for one in file s3; do
        sed "s/^name = main/name = base-$codec/; s!^state_dir = .*!state_dir = $T/state.base-$codec!" $one.conf >base.$one.conf
        chmod 600 base.$one.conf
    done
}
everything() {
    local stored=$T/../faults/objects/$S3_BUCKET/$S3_PREFIX
    configurations
    mv target recovery
    cp -r recovery standby
    touch recovery/recovery.signal standby/standby.signal
    mkdir -p "$objects"
    cp -r "$stored"/base-* "$objects/"
    [ -n "$FULL" ] || pace=3
    wal_with lz4
    cluster_json
    backups_with lz4
    [ -n "$FULL" ] || pace=5
    manifests
    index_and_parts
    [ -n "$FULL" ] || pace=6
    ranges
    # The same ways lead to a codec.
    [ -n "$FULL" ] || pace=12
    for codec in zstd none; do
        wal_with $codec
        backups_with $codec
        index_and_parts
        ranges
    done
    [ -n "$FULL" ] || pace=34
    backups_with pieces
    index_and_parts
    ranges
    pieces
    expect_rows "$([ -z "$FULL" ] && echo 400 || echo 3000)+" # how many there are depends on the server and on the compression a little
}

step "WAL files of every kind"
cluster_create
# Neither random throughout nor empty: compressed blocks and others, and an object that is not large.
for number in 1 4 5; do
    seq -f "$number %06.0f" 70000 >text
    { head -c 8192 "main/pg_wal/$(S $number)" && head -c 300000 /dev/urandom && cat text && head -c 110384 /dev/zero; } >segment
    expect_equal "bytes of a segment" 1048576 "$(stat -c %s segment)"
    mv segment "main/pg_wal/$(S $number)"
done
cp "main/pg_wal/$(S 4)" "main/pg_wal/$(S 4).partial"
cp "main/pg_wal/$(S 5)" "main/pg_wal/$(S 5).partial"
printf '1\t0/500100\tno recovery target specified\n\n2\t0/600100\tno recovery target specified\n' >main/pg_wal/00000003.history
for number in 1 2; do
    printf 'START WAL LOCATION: 0/%X00028 (file %s)\nSTOP WAL LOCATION: 0/%X00100 (file %s)\n' $number "$(S $number)" $number "$(S $number)" \
        >"main/pg_wal/$(S $number).00000028.backup"
done

step "base backups of a small server with a tablespace, two with each codec, and two with a file in pieces"
configurations
server_create server --wal-segsize=1
server_start server
PGDATABASE=template1 sql server "drop database postgres" "update pg_database set datistemplate = false where datname = 'template0'" "drop database template0"
export PGDATABASE=template1
space=$T/space
mkdir "$space"
sql server "create tablespace space location '$space'" "create table t tablespace space as select generate_series(1, 1000) i"
base_system=$(system_identifier server)
for codec in lz4 zstd none pieces; do
    [ $codec != pieces ] || head -c 4500000 /dev/urandom >server/base/1/pieces # whose pieces are all of one length when packed
    sed "s/^name = main/name = base-$codec/; s/^codec = .*/codec = ${codec/pieces/lz4}/; $([ $codec != pieces ] || echo 's/^jobs = .*/&\nsplit_size = 1MB/'); s!^pgdata = .*!pgdata = $T/server!
        s!^conninfo = .*!conninfo = host=$T/run/server user=postgres dbname=template1!; s!^state_dir = .*!state_dir = $T/state.$codec!" s3.conf >"$CONFIG"
    expect_status 0 repository-init
    for _ in 1 2; do expect_status 0 basebackup-push --checkpoint=fast; done
done
server_stop server
rm -rf server
step "the tables"
in_shards 4 everything
